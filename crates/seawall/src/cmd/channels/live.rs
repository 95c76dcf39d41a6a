//! What the gateway and its database know of senders: who waits, who was let in by pairing, and who
//! wrote when. Names and labels come from strangers: they are shown, never trusted.

use crate::asked::json as parse;
use crate::clock::now_ms;
use crate::deploy::Runtime;
use crate::harden::target::Target;
use rusqlite::{Connection, OpenFlags};
use seawall_audit::facts::Fact;
use seawall_audit::harden::channels::{accounts, same};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

const DAY: u64 = 24 * 60 * 60 * 1000;
/// Sessions that are looked at for when somebody wrote last.
const MAX_SESSIONS: u64 = 5000;

/// A sender who waits.
struct Request {
    id: String,
    channel: String,
    account: String,
    sender: String,
    who: String,
    since_ms: Option<u64>,
}

impl Request {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(plain);
        let who = value.get("metadata").and_then(Value::as_object).map(|map| {
            let parts: Vec<String> = map
                .iter()
                .filter_map(|(k, v)| Some(format!("{k} {}", plain(v.as_str()?))))
                .collect();
            parts.join(", ")
        });
        Some(Self {
            id: text("requestId")?,
            channel: text("channel")?,
            account: text("accountId")?,
            sender: text("senderId")?,
            who: who.unwrap_or_default(),
            since_ms: text("createdAt").and_then(|at| millis(&at)),
        })
    }

    fn line(&self) -> String {
        let waits = self.since_ms.map_or_else(String::new, |at| {
            format!(", waits for {} min", now_ms().saturating_sub(at) / 60_000)
        });
        let who = if self.who.is_empty() { String::new() } else { format!(" ({})", self.who) };
        format!(
            "PENDING {}  {}/{} sender {}{who}{waits}\n",
            self.id, self.channel, self.account, self.sender
        )
    }
}

fn millis(text: &str) -> Option<u64> {
    let at: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(at.as_millisecond()).ok()
}

/// Without what could steer a terminal.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(120).collect()
}

fn call(target: &Target, runtime: &Runtime, method: &str, params: &Value) -> Result<Value, String> {
    let params = params.to_string();
    let arguments = ["gateway", "call", method, "--params", &params, "--json"];
    let said = target.openclaw(runtime, &arguments)?;
    parse(&said).ok_or_else(|| format!("the gateway's answer to {method} is not JSON"))
}

fn requests(target: &Target, runtime: &Runtime) -> Result<Vec<Request>, String> {
    let answer = call(target, runtime, "channels.pairing.list", &json!({}))?;
    let all = answer.get("requests").and_then(Value::as_array);
    Ok(all.into_iter().flatten().filter_map(Request::read).collect())
}

/// Shows who waits.
pub(super) fn pending(as_json: bool, target: &Target) -> Result<ExitCode, String> {
    let waiting = requests(target, &target.runtime()?)?;
    if as_json {
        let rows: Vec<Value> = waiting
            .iter()
            .map(|r| json!({ "id": r.id, "channel": r.channel, "account": r.account, "sender": r.sender, "who": r.who, "sinceMs": r.since_ms }))
            .collect();
        super::super::print(&format!("{}\n", json!(rows)));
    } else if waiting.is_empty() {
        super::super::print("nobody waits\n");
    } else {
        waiting.iter().for_each(|request| super::super::print(&request.line()));
    }
    Ok(ExitCode::SUCCESS)
}

fn one<'a>(all: &'a [Request], id: &str) -> Result<&'a Request, String> {
    let mut fits = all.iter().filter(|r| r.id == id || r.sender == id || r.id.starts_with(id));
    match (fits.next(), fits.next()) {
        (Some(request), None) => Ok(request),
        (Some(_), Some(_)) => Err(format!("`{id}` is more than one; say more of it")),
        _ => Err(format!("`{id}` does not wait; see `seawall channels pending`")),
    }
}

fn named(request: &Request) -> Value {
    json!({ "channel": request.channel, "accountId": request.account, "requestId": request.id })
}

/// Lets somebody in.
pub(super) fn approve(target: &Target, id: &str, yes: bool) -> Result<ExitCode, String> {
    let runtime = target.runtime()?;
    let waiting = requests(target, &runtime)?;
    let request = one(&waiting, id)?;
    let what = format!("let {} write to the agent on {}", request.sender, request.channel);
    if !yes && !super::super::harden::agreed(&format!("{}{what}?", request.line()))? {
        return Err("nothing was changed".into());
    }
    call(target, &runtime, "channels.pairing.approve", &named(request))?;
    super::super::print(&format!("done: {what}\n"));
    Ok(ExitCode::SUCCESS)
}

/// Turns somebody away.
pub(super) fn dismiss(target: &Target, id: &str) -> Result<ExitCode, String> {
    let runtime = target.runtime()?;
    let waiting = requests(target, &runtime)?;
    let request = one(&waiting, id)?;
    call(target, &runtime, "channels.pairing.dismiss", &named(request))?;
    super::super::print(&format!("turned away: {}\n", request.sender));
    Ok(ExitCode::SUCCESS)
}

/// Looks again and again.
pub(super) fn watch(
    target: &Target,
    minutes: u64,
    every: u64,
    looks: Option<u64>,
) -> Result<ExitCode, String> {
    let runtime = target.runtime()?;
    let mut seen = BTreeSet::new();
    let mut silent = false;
    for look in 1_u64.. {
        match requests(target, &runtime) {
            Err(why) if !silent => {
                silent = true;
                super::super::print(&format!("cannot ask the gateway, trying again: {why}\n"));
            }
            Err(_) => {}
            Ok(waiting) => {
                silent = false;
                for request in &waiting {
                    if seen.insert(request.id.clone()) {
                        super::super::print(&request.line());
                    }
                    let late = now_ms().saturating_sub(minutes.saturating_mul(60_000));
                    if request.since_ms.is_some_and(|at| at < late) {
                        let done =
                            call(target, &runtime, "channels.pairing.dismiss", &named(request));
                        let done = match done {
                            Ok(_) => "turned away, nobody answered".to_owned(),
                            Err(why) => format!("COULD NOT BE TURNED AWAY: {why}"),
                        };
                        super::super::print(&format!(
                            "{}  {} {done}\n",
                            request.id, request.sender
                        ));
                    }
                }
                // Ids that are gone are forgotten: whoever writes does not fill the memory.
                seen.retain(|id| waiting.iter().any(|request| &request.id == id));
            }
        }
        if looks.is_some_and(|looks| look >= looks) {
            break;
        }
        std::thread::sleep(Duration::from_secs(every));
    }
    Ok(ExitCode::SUCCESS)
}

/// Senders let in by pairing, by `channel/account`; from the state database.
pub(super) fn senders(target: &Target) -> Result<BTreeMap<String, Vec<String>>, String> {
    match crate::collect::state::state(&target.deployment.state_dir) {
        Fact::Known(state) => Ok(state.map(|state| state.senders).unwrap_or_default()),
        Fact::Unknown(unknown) => Err(unknown.reason),
    }
}

/// Everybody who may write, and when they last did.
pub(super) fn review(as_json: bool, target: &Target, unused_days: u64) -> Result<ExitCode, String> {
    let config = target.documents()?.value();
    let mut all: BTreeSet<(String, String, &str)> = BTreeSet::new();
    for account in accounts(&config) {
        let key = match &account.account {
            Some(id) => format!("/channels/{}/accounts/{id}", account.channel),
            None => format!("/channels/{}", account.channel),
        };
        for name in ["allowFrom", "groupAllowFrom"] {
            let listed = config.pointer(&format!("{key}/{name}")).and_then(Value::as_array);
            for entry in listed.into_iter().flatten() {
                let text = entry.as_str().map_or_else(|| entry.to_string(), str::to_owned);
                let place = if name == "allowFrom" { "listed" } else { "listed for groups" };
                all.insert((account.channel.clone(), plain(&text), place));
            }
        }
    }
    for (place, ids) in senders(target)? {
        let channel = place.split('/').next().unwrap_or_default().to_owned();
        all.extend(ids.iter().map(|id| (channel.clone(), plain(id), "paired")));
    }
    let runtime = target.runtime()?;
    let answer = call(target, &runtime, "sessions.list", &json!({ "limit": MAX_SESSIONS }))?;
    let sessions = answer.get("sessions").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for (channel, id, place) in all {
        let used = sessions
            .iter()
            .filter(|s| of(s, &channel, &id))
            .filter_map(|s| s.get("updatedAt")?.as_u64());
        let used = used.max();
        let old =
            used.is_some_and(|at| at < now_ms().saturating_sub(unused_days.saturating_mul(DAY)));
        let advice = match (id.as_str(), used, old) {
            ("*", ..) => "EVERYBODY: `seawall channels lock`",
            (_, None, _) => "never wrote in a session of their own",
            (_, _, true) => "unused: `seawall channels revoke`",
            _ => "",
        };
        rows.push((channel, id, place, used, advice));
    }
    if as_json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(c, id, p, used, a)| json!({ "channel": c, "id": id, "place": p, "usedMs": used, "advice": a }))
            .collect();
        super::super::print(&format!("{}\n", json!(rows)));
        return Ok(ExitCode::SUCCESS);
    }
    for (channel, id, place, used, advice) in &rows {
        let used = used.map_or_else(String::new, |at| {
            format!(", last wrote {} days ago", now_ms().saturating_sub(at) / DAY)
        });
        let advice = if advice.is_empty() { String::new() } else { format!("  {advice}") };
        super::super::print(&format!("{channel}  {id}  {place}{used}{advice}\n"));
    }
    if rows.is_empty() {
        super::super::print("nobody is listed\n");
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether a session is this sender's: its key ends so, or it says whom it answers.
fn of(session: &Value, channel: &str, id: &str) -> bool {
    let bare = id.strip_prefix(channel).and_then(|rest| rest.strip_prefix(':')).unwrap_or(id);
    let text = |key: &str| session.get(key).and_then(Value::as_str).unwrap_or_default();
    let key = text("key");
    let from = session.pointer("/origin/from").and_then(Value::as_str).unwrap_or_default();
    (key.contains(&format!(":{channel}:")) && key.ends_with(&format!(":{bare}")))
        || [text("lastTo"), from].iter().any(|to| !to.is_empty() && same(&json!(to), channel, bare))
}

/// A sender's entries among those let in by pairing: account and entry.
pub(super) fn paired(
    target: &Target,
    channel: &str,
    id: &str,
) -> Result<Vec<(String, String)>, String> {
    let mut out = Vec::new();
    for (place, ids) in senders(target)? {
        let Some((name, account)) = place.split_once('/') else { continue };
        if name == channel {
            let entries = ids.into_iter().filter(|entry| same(&json!(entry), channel, id));
            out.extend(entries.map(|entry| (account.to_owned(), entry)));
        }
    }
    Ok(out)
}

/// Takes entries out of OpenClaw's database: it has no call for that. It reads them anew for each
/// message.
pub(super) fn unpair(
    target: &Target,
    channel: &str,
    entries: &[(String, String)],
) -> Result<(), String> {
    if entries.is_empty() {
        return Ok(());
    }
    let path = target.deployment.state_dir.join("state/openclaw.sqlite");
    let run = || -> rusqlite::Result<bool> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut db = Connection::open_with_flags(&path, flags)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.pragma_update(None, "trusted_schema", "OFF")?;
        let table = "channel_pairing_allow_entries";
        // The file is the gateway's: nothing but a plain table is written to.
        let odd: i64 = db.query_row(
            "SELECT count(*) FROM sqlite_master WHERE (name = ?1 AND type <> 'table') OR (tbl_name = ?1 AND type = 'trigger')",
            [table],
            |row| row.get(0),
        )?;
        if odd > 0 {
            return Ok(false);
        }
        let work = db.transaction()?;
        for (account, entry) in entries {
            work.execute(
                "DELETE FROM channel_pairing_allow_entries WHERE channel_key = ?1 AND account_id = ?2 AND entry = ?3",
                [channel, account, entry],
            )?;
        }
        work.commit()?;
        Ok(true)
    };
    match run() {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(format!("`{}` is not as OpenClaw makes it: nothing was taken out", path.display()))
        }
        Err(e) => Err(format!("`{}`: {e}", path.display())),
    }
}
