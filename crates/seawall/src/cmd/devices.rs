//! `seawall devices list|approve|revoke|prune|watch`: who holds a key to the gateway, giving and
//! taking keys, by the gateway's own calls.

use crate::asked::json as parse;
use crate::clock::now_ms;
use crate::deploy::Runtime;
use crate::harden::target::{Choice, Target};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// Answers are bounded by the gateway; this bounds what is done about them in one call.
const MAX_ACTIONS: usize = 500;
const DAY: u64 = 24 * 60 * 60 * 1000;

/// Paired devices: list them, let one in, take one's key away, take away what nobody uses.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    choice: Choice,
    /// JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Paired devices with age, last use and rights, and pending requests with where they come from.
    List,
    /// Let a waiting device in, with what it asks for.
    Approve {
        /// The request, as `list` shows it; the beginning is enough when it is unique.
        id: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take a device's key away: of one role, or the whole device.
    Revoke {
        /// The device, as `list` shows it; the beginning is enough when it is unique.
        id: String,
        /// Only this role's token.
        #[arg(long)]
        role: Option<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take away devices that nobody used for so long, and pending requests that nobody answered.
    Prune {
        /// Days without use.
        #[arg(long, default_value_t = 90)]
        unused_days: u64,
        /// Minutes that a request may wait.
        #[arg(long, default_value_t = 5)]
        pending_minutes: u64,
        /// Do it; without, only say what would be done.
        #[arg(long)]
        yes: bool,
    },
    /// Show each new request as it comes, and reject what nobody answered in time. Runs until it is
    /// stopped.
    Watch {
        /// Minutes that a request may wait.
        #[arg(long, default_value_t = 5)]
        pending_minutes: u64,
        /// Seconds between looks. Each starts OpenClaw's own program, which takes a second.
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
        every: u64,
        /// Looks before it ends by itself.
        #[arg(long, value_name = "COUNT", hide = true)]
        looks: Option<u64>,
    },
}

/// A paired device, as the gateway tells it. Names are the device's own: shown, never trusted.
struct Device {
    id: String,
    name: String,
    roles: Vec<String>,
    scopes: Vec<String>,
    from: String,
    approved_ms: Option<u64>,
    used_ms: Option<u64>,
}

struct Pending {
    id: String,
    device: String,
    name: String,
    role: String,
    scopes: Vec<String>,
    from: String,
    since_ms: Option<u64>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match devices(args) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn devices(args: &Args) -> Result<ExitCode, String> {
    let target = args.choice.find()?;
    let runtime = target.runtime()?;
    if let What::Watch { pending_minutes, every, looks } = args.what {
        watch(&target, &runtime, pending_minutes, every, looks);
        return Ok(ExitCode::SUCCESS);
    }
    let (paired, pending) = ask(&target, &runtime)?;
    match &args.what {
        What::Watch { .. } => Ok(ExitCode::SUCCESS),
        What::Approve { id, yes } => {
            let request = waiting(&pending, id)?;
            let what = format!(
                "let {} ({}) in as {} [{}]; it asks from {}",
                request.name,
                short(&request.device),
                request.role,
                request.scopes.join(" "),
                request.from
            );
            if !yes && !super::harden::agreed(&format!("{what}?"))? {
                return Err("nothing was changed".into());
            }
            target.openclaw(&runtime, &["devices", "approve", &request.id, "--json"])?;
            super::print(&format!("done: {what}\n"));
            Ok(ExitCode::SUCCESS)
        }
        What::List => list(args, &paired, &pending),
        What::Revoke { id, role, yes } => {
            let device = one(&paired, id)?;
            let what = match role {
                Some(role) => format!("take the {role} token of {} ({})", device.id, device.name),
                None => format!("remove {} ({})", device.id, device.name),
            };
            if !yes && !super::harden::agreed(&format!("{what}?"))? {
                return Err("nothing was changed".into());
            }
            let call = match role {
                Some(role) => {
                    vec!["devices", "revoke", "--device", &device.id, "--role", role, "--json"]
                }
                None => vec!["devices", "remove", &device.id, "--json"],
            };
            target.openclaw(&runtime, &call)?;
            super::print(&format!("done: {what}\n"));
            Ok(ExitCode::SUCCESS)
        }
        What::Prune { unused_days, pending_minutes, yes } => {
            let old = now_ms().saturating_sub(unused_days.saturating_mul(DAY));
            prune(args, &target, &runtime, &paired, &pending, (old, *pending_minutes), *yes)
        }
    }
}

/// Paired devices and pending requests, as the gateway has them now.
fn ask(target: &Target, runtime: &Runtime) -> Result<(Vec<Device>, Vec<Pending>), String> {
    let answer = target.openclaw(runtime, &["devices", "list", "--json"])?;
    let answer = parse(&answer).ok_or("the gateway's list of devices is not JSON")?;
    Ok((
        items(&answer, "paired").filter_map(Device::read).collect(),
        items(&answer, "pending").filter_map(Pending::read).collect(),
    ))
}

/// Looks again and again. A gateway that does not answer is said once, and asked again.
fn watch(target: &Target, runtime: &Runtime, minutes: u64, every: u64, looks: Option<u64>) {
    let mut seen = BTreeSet::new();
    let mut silent = false;
    let mut look = 0_u64;
    loop {
        match ask(target, runtime) {
            Err(why) if !silent => {
                silent = true;
                super::print(&format!("cannot ask the gateway, trying again: {why}\n"));
            }
            Err(_) => {}
            Ok((_, pending)) => {
                silent = false;
                for request in &pending {
                    if seen.insert(request.id.clone()) {
                        super::print(&request.line());
                    }
                    if request.since_ms.is_some_and(|at| late(at, minutes)) {
                        let call = ["devices", "reject", &request.id, "--json"];
                        let done = match target.openclaw(runtime, &call) {
                            Ok(_) => "rejected, nobody answered".to_owned(),
                            Err(why) => format!("COULD NOT BE REJECTED: {why}"),
                        };
                        super::print(&format!("{}  {} {done}\n", request.id, request.name));
                    }
                }
                // Ids that are gone are forgotten: whoever sends requests does not fill the memory.
                seen.retain(|id| pending.iter().any(|request| &request.id == id));
            }
        }
        look += 1;
        if looks.is_some_and(|looks| look >= looks) {
            return;
        }
        std::thread::sleep(Duration::from_secs(every));
    }
}

/// Whether a request waits longer than it may.
fn late(since_ms: u64, minutes: u64) -> bool {
    since_ms < now_ms().saturating_sub(minutes.saturating_mul(60_000))
}

fn prune(
    args: &Args,
    target: &Target,
    runtime: &Runtime,
    paired: &[Device],
    pending: &[Pending],
    (old, minutes): (u64, u64),
    yes: bool,
) -> Result<ExitCode, String> {
    let mut calls: Vec<(String, Vec<&str>)> = Vec::new();
    for device in paired {
        // Never used counts from its approval; without either nobody knows, and it stays.
        if device.used_ms.or(device.approved_ms).is_some_and(|at| at < old) {
            let what = format!(
                "remove {} ({}), last used {}",
                device.id,
                device.name,
                age(device.used_ms)
            );
            calls.push((what, vec!["devices", "remove", &device.id, "--json"]));
        }
    }
    for request in pending {
        if request.since_ms.is_some_and(|at| late(at, minutes)) {
            let what = format!(
                "reject request {} ({}), {} old",
                request.id,
                request.name,
                age(request.since_ms)
            );
            calls.push((what, vec!["devices", "reject", &request.id, "--json"]));
        }
    }
    let mut failed = 0;
    let mut rows = Vec::new();
    for (what, call) in calls.into_iter().take(MAX_ACTIONS) {
        let result = if yes { target.openclaw(runtime, &call).map(|_| ()) } else { Ok(()) };
        let state = match (&result, yes) {
            (Ok(()), true) => "done".to_owned(),
            (Ok(()), false) => "would".to_owned(),
            (Err(why), _) => {
                failed += 1;
                format!("FAILED: {why}")
            }
        };
        rows.push((state, what));
    }
    if args.json {
        let rows: Vec<Value> =
            rows.iter().map(|(state, what)| json!({ "state": state, "what": what })).collect();
        super::print(&format!("{}\n", json!(rows)));
    } else if rows.is_empty() {
        super::print("nothing to prune\n");
    } else {
        rows.iter().for_each(|(state, what)| super::print(&format!("{state}: {what}\n")));
        if !yes {
            super::print("nothing was changed; say --yes to do it\n");
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn list(args: &Args, paired: &[Device], pending: &[Pending]) -> Result<ExitCode, String> {
    if args.json {
        let paired: Vec<Value> = paired
            .iter()
            .map(|d| json!({ "id": d.id, "name": d.name, "roles": d.roles, "scopes": d.scopes, "from": d.from, "approvedMs": d.approved_ms, "usedMs": d.used_ms }))
            .collect();
        let pending: Vec<Value> = pending
            .iter()
            .map(|p| json!({ "id": p.id, "device": p.device, "name": p.name, "role": p.role, "scopes": p.scopes, "from": p.from, "sinceMs": p.since_ms }))
            .collect();
        super::print(&format!("{}\n", json!({ "paired": paired, "pending": pending })));
        return Ok(ExitCode::SUCCESS);
    }
    for request in pending {
        super::print(&request.line());
    }
    for device in paired {
        let admin = device.scopes.iter().any(|scope| scope == "operator.admin");
        super::print(&format!(
            "{}  {}{}  {} [{}]  from {}  paired {} ago, last used {}\n",
            short(&device.id),
            device.name,
            if admin { " (ADMIN)" } else { "" },
            device.roles.join("+"),
            device.scopes.join(" "),
            device.from,
            age(device.approved_ms),
            used(device.used_ms),
        ));
    }
    if paired.is_empty() && pending.is_empty() {
        super::print("no paired devices and no pending requests\n");
    }
    Ok(ExitCode::SUCCESS)
}

impl Device {
    fn read(value: &Value) -> Option<Self> {
        let tokens = value.get("tokens").and_then(Value::as_array);
        let tokens = || tokens.into_iter().flatten().filter(|t| time(t, "revokedAtMs").is_none());
        let mut scopes = strings(value, "approvedScopes");
        scopes.extend(strings(value, "scopes"));
        scopes.extend(tokens().flat_map(|token| strings(token, "scopes")));
        scopes.sort();
        scopes.dedup();
        let mut roles = strings(value, "roles");
        roles.extend(tokens().filter_map(|token| text(token, "role")));
        roles.extend(text(value, "role"));
        roles.sort();
        roles.dedup();
        let used = tokens().filter_map(|token| time(token, "lastUsedAtMs")).max();
        Some(Self {
            id: text(value, "deviceId")?,
            name: ["operatorLabel", "displayName", "clientId"]
                .iter()
                .find_map(|key| text(value, key))
                .unwrap_or_else(|| "(no name)".into()),
            roles,
            scopes,
            from: text(value, "remoteIp").unwrap_or_else(|| "this machine or unknown".into()),
            approved_ms: time(value, "approvedAtMs"),
            used_ms: used.max(time(value, "lastSeenAtMs")),
        })
    }
}

impl Pending {
    fn line(&self) -> String {
        format!(
            "PENDING {}  {} ({}) asks for {} [{}] from {}, {} ago\n        answer: seawall devices approve {} | openclaw devices reject {}\n",
            self.id,
            self.name,
            short(&self.device),
            self.role,
            self.scopes.join(" "),
            self.from,
            age(self.since_ms),
            short(&self.id),
            self.id,
        )
    }

    fn read(value: &Value) -> Option<Self> {
        Some(Self {
            id: text(value, "requestId")?,
            device: text(value, "deviceId").unwrap_or_default(),
            name: ["displayName", "clientId"]
                .iter()
                .find_map(|key| text(value, key))
                .unwrap_or_else(|| "(no name)".into()),
            role: text(value, "role").unwrap_or_else(|| "operator".into()),
            scopes: strings(value, "scopes"),
            from: text(value, "remoteIp").unwrap_or_else(|| "this machine or unknown".into()),
            since_ms: time(value, "ts"),
        })
    }
}

fn items<'a>(answer: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    answer.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// Text that somebody else chose: bounded, on one line, without control characters.
fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?;
    let clean: String = text.chars().filter(|c| !c.is_control()).take(128).collect();
    (!clean.is_empty()).then_some(clean)
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    items(value, key)
        .filter_map(|item| item.as_str())
        .map(|item| item.chars().filter(|c| !c.is_control()).take(64).collect())
        .take(64)
        .collect()
}

fn time(value: &Value, key: &str) -> Option<u64> {
    value.get(key)?.as_u64()
}

/// The request that an id or its beginning means.
fn waiting<'a>(pending: &'a [Pending], id: &str) -> Result<&'a Pending, String> {
    let found: Vec<_> =
        pending.iter().filter(|request| !id.is_empty() && request.id.starts_with(id)).collect();
    match found.as_slice() {
        [request] => Ok(request),
        [] => Err(format!("no pending request `{id}`; see `seawall devices list`")),
        _ => Err(format!("`{id}` begins {} requests; give more of it", found.len())),
    }
}

/// The device that an id or its beginning means.
fn one<'a>(paired: &'a [Device], id: &str) -> Result<&'a Device, String> {
    let found: Vec<_> =
        paired.iter().filter(|device| !id.is_empty() && device.id.starts_with(id)).collect();
    match found.as_slice() {
        [device] => Ok(device),
        [] => Err(format!("no paired device `{id}`; see `seawall devices list`")),
        _ => Err(format!("`{id}` begins {} devices; give more of it", found.len())),
    }
}

fn short(id: &str) -> &str {
    id.get(..16).unwrap_or(id)
}

fn used(at: Option<u64>) -> String {
    at.map_or_else(|| "never".into(), |_| format!("{} ago", age(at)))
}

fn age(at: Option<u64>) -> String {
    let Some(at) = at else { return "unknown".into() };
    let minutes = now_ms().saturating_sub(at) / 60_000;
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_with_its_last_use_and_without_tricks_in_its_name() {
        let device = Device::read(&json!({
            "deviceId": "d1", "displayName": "phone\u{1b}[2J", "approvedAtMs": 5, "lastSeenAtMs": 7,
            "tokens": [{"role":"operator","scopes":["operator.admin"],"lastUsedAtMs":9},
                       {"role":"node","scopes":["x"],"revokedAtMs":1,"lastUsedAtMs":99}],
        }))
        .unwrap();
        assert_eq!((device.name.as_str(), device.used_ms), ("phone[2J", Some(9)));
        assert_eq!(
            (device.roles, device.scopes),
            (vec!["operator".into()], vec!["operator.admin".to_owned()])
        );
        assert!(Device::read(&json!({})).is_none());
    }

    #[test]
    fn an_id_has_to_be_unique() {
        let device = |id: &str| Device::read(&json!({ "deviceId": id })).unwrap();
        let all = [device("abc"), device("abd")];
        assert_eq!(one(&all, "abc").map(|d| d.id.clone()), Ok("abc".into()));
        assert!(one(&all, "ab").is_err() && one(&all, "x").is_err() && one(&all, "").is_err());
    }
}
