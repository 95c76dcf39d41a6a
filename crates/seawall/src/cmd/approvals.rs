//! `seawall approvals list|show|allow|deny|revoke|history`: questions that nobody could be asked in
//! the turn in which they arose.

use crate::daemon::approvals::{Listed, scope_word};
use crate::deploy::{Deployment, Wanted};
use crate::home::Home;
use crate::store::{Filter, Reader};
use crate::up;
use seawall_model::Event;
use seawall_policy::approvals::AskKey;
use seawall_policy::approvals::queue::{Given, Waiting};
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Answer questions that nobody could be asked when they arose.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// OpenClaw's named profile.
    #[arg(long, global = true)]
    profile: Option<String>,
    /// JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Questions that wait, and answers that hold.
    List,
    /// All about one question or answer.
    Show {
        /// Its number.
        id: u64,
    },
    /// Say yes: the call goes through when it is made again.
    Allow {
        /// Number of the question.
        id: u64,
        /// The same question again in that session, whatever the call says otherwise.
        #[arg(long, conflicts_with = "standing")]
        session: bool,
        /// The same question again in any session of the agent, until it expires.
        #[arg(long, requires = "last")]
        standing: bool,
        /// How long the answer holds: `30m`, `12h`, `7d`; 24 hours unless told, 90 days at most.
        #[arg(long = "for", value_name = "TIME", id = "last")]
        last: Option<String>,
        /// Sessions in which a standing answer holds: a key, or its beginning with `*`.
        #[arg(long, value_name = "SESSIONS", requires = "standing")]
        within: Option<String>,
    },
    /// Say no: the question is not asked again for an hour.
    Deny {
        /// Number of the question.
        id: u64,
    },
    /// Take an answer back.
    Revoke {
        /// Its number.
        id: u64,
    },
    /// What was asked, answered and used, from the event log.
    History {
        /// Most events to show.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match approvals(args) {
        Ok(text) => {
            super::print(&text);
            ExitCode::SUCCESS
        }
        Err(why) => super::fail(&why),
    }
}

fn approvals(args: &Args) -> Result<String, String> {
    let deployment =
        Deployment::find(&Wanted::from_env(args.profile.clone())).map_err(|e| e.to_string())?;
    let home = Home::locate(&deployment.name)?;
    if let What::History { limit } = &args.what {
        return history(&home, *limit, args.json);
    }
    let answer = up::ask(&home, &question(&args.what)?)?
        .ok_or("Seawall is not running for this deployment")?;
    if let Some(why) = answer.get("error").and_then(Value::as_str) {
        return Err(why.to_owned());
    }
    if let (true, What::Show { id }) = (args.json, &args.what) {
        let is = |v: &&Value| v.get("id") == Some(&json!(id));
        let all = ["waiting", "given"].iter().filter_map(|key| answer.get(key)?.as_array());
        let one = all.flatten().find(is).ok_or_else(|| nothing(*id))?;
        return Ok(format!("{one}\n"));
    }
    if args.json {
        return Ok(format!("{answer}\n"));
    }
    let listed = || serde_json::from_value::<Listed>(answer.clone()).map_err(|e| e.to_string());
    match &args.what {
        What::List => Ok(list(&listed()?)),
        What::Show { id } => show(&listed()?, *id).ok_or_else(|| nothing(*id)),
        What::Allow { .. } => {
            let given = answer.get("given").cloned().unwrap_or_default();
            let given: Given = serde_json::from_value(given).map_err(|e| e.to_string())?;
            Ok(allowed(&given))
        }
        What::Deny { id } => {
            Ok(format!("question {id} is denied and not asked again for an hour\n"))
        }
        What::Revoke { id } => Ok(format!("answer {id} holds no longer\n")),
        What::History { .. } => Ok(String::new()),
    }
}

fn nothing(id: u64) -> String {
    format!("there is no question or answer {id}; see `seawall approvals list`")
}

/// What the guard is asked.
fn question(what: &What) -> Result<Value, String> {
    Ok(match what {
        What::List | What::Show { .. } | What::History { .. } => json!({ "cmd": "approvals.list" }),
        What::Allow { id, session, standing, last, within } => {
            let scope = match (session, standing) {
                (_, true) => "standing",
                (true, _) => "session",
                _ => "once",
            };
            let seconds = last.as_deref().map(seconds).transpose()?;
            json!({ "cmd": "approvals.allow", "id": id, "scope": scope, "seconds": seconds, "sessions": within })
        }
        What::Deny { id } => json!({ "cmd": "approvals.deny", "id": id }),
        What::Revoke { id } => json!({ "cmd": "approvals.revoke", "id": id }),
    })
}

/// `90s`, `30m`, `12h`, `7d` in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time such as 30m, 12h or 7d");
    let factor = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text.get(..text.len() - 1).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(factor).filter(|n| *n > 0).ok_or_else(wrong)
}

/// Text that a confined program may have chosen: nothing in it moves the cursor or hides.
fn plain(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// A span of time in one or two units.
fn span(ms: u64) -> String {
    let minutes = ms / 60_000;
    match (minutes / 1440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", ms / 1000),
        (0, 0, m) => format!("{m} min"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

fn time(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn list(all: &Listed) -> String {
    let mut out = String::new();
    let ago = |ms| span(all.now_ms.saturating_sub(ms));
    let left = |ms: u64| span(ms.saturating_sub(all.now_ms));
    let open: Vec<&Waiting> = all.waiting.iter().filter(|w| !w.refused).collect();
    let refused: Vec<&Waiting> = all.waiting.iter().filter(|w| w.refused).collect();
    if open.is_empty() {
        out.push_str("No question waits.\n");
    } else {
        out.push_str("Questions that wait:\n");
        for w in open {
            let often = if w.times == 1 { String::new() } else { format!(", {} times", w.times) };
            let _ = writeln!(out, "{:>5}  {} in {}", w.id, plain(&w.tool), plain(&w.session));
            let _ = writeln!(out, "       {}", plain(&w.why));
            let _ = writeln!(
                out,
                "       asked {} ago{often}, gone in {}",
                ago(w.last_ms),
                left(w.expires_ms)
            );
        }
        out.push_str("`seawall approvals allow ID` lets the call through when it is made again.\n");
    }
    if !all.given.is_empty() {
        out.push_str("Answers that hold:\n");
        for g in &all.given {
            let used = match g.uses {
                0 => "not used yet".to_owned(),
                1 => "used once".to_owned(),
                n => format!("used {n} times"),
            };
            let _ = writeln!(
                out,
                "{:>5}  {} in {}, {used}, ends in {}",
                g.id,
                scope_word(g.scope),
                plain(&g.sessions),
                left(g.expires_ms)
            );
            let _ = writeln!(out, "       {}", plain(&g.why));
        }
    }
    for w in refused {
        let _ = writeln!(out, "{:>5}  denied for another {}", w.id, left(w.expires_ms));
    }
    out
}

fn show(all: &Listed, id: u64) -> Option<String> {
    let mut out = String::new();
    let keys: &[AskKey];
    if let Some(w) = all.waiting.iter().find(|w| w.id == id) {
        let state = if w.refused { "denied" } else { "waits" };
        let _ = writeln!(out, "question {id} ({state})");
        let _ = writeln!(out, "  tool     {}", plain(&w.tool));
        let _ = writeln!(out, "  session  {}", plain(&w.session));
        let _ = writeln!(out, "  why      {}", plain(&w.why));
        let _ = writeln!(out, "  what     {}", plain(&w.call));
        let _ = writeln!(out, "  call     {}", plain(&w.digest));
        let _ = writeln!(
            out,
            "  asked    {} times, first {}, last {}",
            w.times,
            time(w.first_ms),
            time(w.last_ms)
        );
        let _ = writeln!(out, "  until    {}", time(w.expires_ms));
        keys = &w.keys;
    } else {
        let g = all.given.iter().find(|g| g.id == id)?;
        let _ = writeln!(out, "answer {id} ({})", scope_word(g.scope));
        let _ = writeln!(out, "  sessions {}", plain(&g.sessions));
        let _ = writeln!(out, "  why      {}", plain(&g.why));
        let _ = writeln!(out, "  given    {}, used {} times", time(g.made_ms), g.uses);
        let _ = writeln!(out, "  until    {}", time(g.expires_ms));
        keys = &g.keys;
    }
    out.push_str("  a yes answers:\n");
    for key in keys {
        let tool = if key.tool.is_empty() { "any tool" } else { &key.tool };
        let _ = writeln!(
            out,
            "    {} of agent {} by {} about {}",
            plain(&key.rule),
            plain(&key.agent),
            plain(tool),
            plain(&key.target)
        );
    }
    Some(out)
}

fn allowed(given: &Given) -> String {
    let reach = match scope_word(given.scope) {
        "once" => "for this very call, once".to_owned(),
        "session" => format!("in {}", plain(&given.sessions)),
        _ => format!("in sessions {}", plain(&given.sessions)),
    };
    let id = given.id;
    format!(
        "question {id} is allowed {reach}, until {}; `seawall approvals revoke {id}` takes it back\n",
        time(given.expires_ms)
    )
}

fn history(home: &Home, limit: u32, as_json: bool) -> Result<String, String> {
    let path = home.events();
    if !path.exists() {
        return Err("there is no event log yet; start Seawall with `seawall up`".into());
    }
    let reader = Reader::open(&path)?;
    let mut rows = Vec::new();
    for kind in ["approval.", "ask.answered"] {
        let filter = Filter { kind: Some(kind.into()), newest_first: true, ..Filter::default() };
        rows.extend(reader.rows(&filter, limit)?);
    }
    rows.sort_by_key(|(seq, _)| *seq);
    let skip = rows.len().saturating_sub(limit as usize);
    Ok(rows.iter().skip(skip).map(|(seq, event)| line(*seq, event, as_json)).collect())
}

fn line(seq: u64, event: &Event, as_json: bool) -> String {
    if as_json {
        let mut value = serde_json::to_value(event).unwrap_or_default();
        if let Some(map) = value.as_object_mut() {
            map.insert("seq".into(), seq.into());
        }
        return format!("{value}\n");
    }
    format!("{} {:<18} {}\n", time(event.time_ms), event.kind, plain(&event.summary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_policy::approvals::Scope;

    fn key() -> AskKey {
        AskKey {
            rule: "net.unlisted".into(),
            tool: "web_fetch".into(),
            agent: "main".into(),
            target: "news.example".into(),
        }
    }

    fn some() -> Listed {
        let waiting = |id, times, refused| Waiting {
            id,
            keys: vec![key()],
            session: "agent:main:cron:digest".into(),
            tool: "web_fetch".into(),
            digest: "4f2a".into(),
            why: "`news.example` is not listed \u{1b}[2J\u{202e}".into(),
            call: "Call: web_fetch {\"url\":\"https://news.example\"}".into(),
            times,
            first_ms: 1_700_000_000_000,
            last_ms: 1_700_000_060_000,
            expires_ms: 1_700_086_400_000,
            refused,
        };
        let given = Given {
            id: 2,
            keys: vec![key()],
            scope: Scope::Standing,
            sessions: "agent:main:cron:*".into(),
            digest: "4f2a".into(),
            why: "`news.example` is not listed".into(),
            made_ms: 1_700_000_000_000,
            expires_ms: 1_700_604_800_000,
            uses: 3,
        };
        Listed {
            now_ms: 1_700_000_180_000,
            waiting: vec![waiting(1, 2, false), waiting(3, 1, true)],
            given: vec![given],
        }
    }

    #[test]
    fn the_queue_reads_well() {
        let all = some();
        let parts = [
            list(&Listed::default()),
            list(&all),
            show(&all, 1).unwrap(),
            show(&all, 2).unwrap(),
            allowed(&all.given[0]),
        ];
        insta::assert_snapshot!(parts.join("\n"));
        assert!(show(&all, 9).is_none());
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(seconds("7d"), Ok(604_800));
        assert_eq!(seconds("30m"), Ok(1800));
        for bad in ["", "7", "d", "0h", "-1m", "1w", "99999999999999999999d", "7é"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
