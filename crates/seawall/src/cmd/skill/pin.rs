//! `seawall skill tools`: approve what an MCP server offers, or see how it differs.

use super::args::ToolsArgs;
use super::child::Scanner;
use super::lock::Lock;
use super::render::{self, Scanned};
use super::{Outcome, content, decide, print, tools};
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
    let shown: String = tools::changes(before, &now)
        .join("\n")
        .chars()
        .map(|c| if c.is_control() && c != '\n' { '\u{FFFD}' } else { c })
        .take(64 << 10)
        .collect();
    print(&format!("{shown}\n"))?;
    let report = Scanner::default().scan(&tools::document(server, &now))?;
    if report.verdict > Verdict::Allow {
        let scanned = Scanned { path: server.clone(), report: report.clone() };
        print(&render::text(content().ok(), &scanned, false))?;
    }
    if !args.approve {
        let word = if pinned.is_some() { "differs from what was approved" } else { "is new" };
        print(&format!(
            "held: {server} {word}. To approve it as it is: seawall skill tools {server} --approve\n"
        ))?;
        return Ok(1);
    }
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
    print(&format!("approved {server} {hash}\n"))?;
    Ok(0)
}
