//! `seawall skill tools`: approve what an MCP server offers, or see how it differs.

use super::args::ToolsArgs;
use super::child::Scanner;
use super::lock::Lock;
use super::render::{self, Scanned};
use super::{Outcome, content, decide, print, reviewed, show, tools};
use seawall_scan::Verdict;
use std::io::Read as _;

/// Exit code 0: as approved. 1: held.
pub(super) fn run(args: &ToolsArgs) -> Outcome {
    let mut text = String::new();
    let input: Box<dyn std::io::Read> = match &args.list {
        None => Box::new(std::io::stdin().lock()),
        Some(path) => Box::new(
            std::fs::File::open(path)
                .map_err(|e| format!("`{}` could not be read: {e}", path.display()))?,
        ),
    };
    input.take(tools::MAX_LIST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > tools::MAX_LIST {
        return Err(format!("a list of tools longer than {} MiB", tools::MAX_LIST >> 20).into());
    }
    let now = tools::parse(&text).map_err(|e| format!("the list of tools: {e}"))?;
    let path = args.lock.path();
    let mut lock = Lock::read(&path)?;
    let (server, hash) = (&args.server, tools::hash(&now));
    let pinned = lock.mcp.get(server);
    if pinned.is_some_and(|p| p.hash == hash) && !args.approve {
        print(&format!("approved {server} {hash}\n"))?;
        return Ok(0);
    }
    let empty = std::collections::BTreeMap::new();
    let before = pinned.map_or(&empty, |p| &p.tools);
    print(&format!("{}\n", tools::changes(before, &now).join("\n")))?;
    let report = Scanner::default().scan(&tools::document(server, &now))?;
    if report.verdict > Verdict::Allow {
        let scanned = Scanned { path: server.clone(), tree: None, report: report.clone() };
        print(&render::text(content().ok(), &scanned, false))?;
    }
    let what = format!("server {server}");
    if !args.approve {
        let word = if pinned.is_some() { "differs from what was approved" } else { "is new" };
        reviewed::remember(&path, &what, &hash);
        let list = args
            .list
            .as_ref()
            .map_or_else(String::new, |list| format!(" {}", show::word(&list.to_string_lossy())));
        print(&format!(
            "held: {} {word}. To approve exactly this: seawall skill tools {}{list} --approve --hash {hash}\n",
            show::line(server),
            show::word(server)
        ))?;
        return Ok(1);
    }
    let again = format!("seawall skill tools {}", show::word(server));
    reviewed::check(&path, &what, &hash, args.hash.as_deref(), &again)
        .map_err(|why| format!("`{}`: {why}", show::line(server)))?;
    if report.verdict == Verdict::Block && !args.despite_block {
        return Err(format!(
            "a description of `{server}` is blocked. To approve it all the same: --despite-block --reason TEXT"
        )
        .into());
    }
    let pin = tools::Pin {
        hash: hash.clone(),
        tools: now,
        by: decide::who(),
        at: jiff::Timestamp::now().as_second(),
        reason: args.reason.clone(),
    };
    lock.mcp.insert(server.clone(), pin);
    lock.write(&path)?;
    reviewed::forget(&path, &what);
    print(&format!("approved {server} {hash}\n"))?;
    Ok(0)
}
