//! `seawall status`.

use crate::deploy::{Deployment, Wanted};
use crate::home::Home;
use crate::up;
use serde_json::{Value, json};
use std::fmt::Write;
use std::process::ExitCode;

/// Show the protection achieved, plane by plane, from what was tried on this host.
///
/// Exit code 0 when every plane is full, 1 when one is partial or none, 3 when nothing runs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// OpenClaw's named profile.
    #[arg(long)]
    profile: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match status(args) {
        Ok(Some(value)) => {
            let text = if args.json { format!("{value}\n") } else { text(&value) };
            super::print(&text);
            let full = value.pointer("/planes").and_then(Value::as_array).is_some_and(|planes| {
                planes.iter().all(|plane| plane.get("protection") == Some(&json!("full")))
            });
            if full { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Ok(None) => {
            if args.json {
                super::print("{\"running\":false}\n");
            }
            super::fail("Seawall is not running for this deployment; start it with `seawall up`")
        }
        Err(why) => super::fail(&why),
    }
}

fn status(args: &Args) -> Result<Option<Value>, String> {
    let deployment =
        Deployment::find(&Wanted::from_env(args.profile.clone())).map_err(|e| e.to_string())?;
    let home = Home::locate(&deployment.name)?;
    let Some(answer) = up::ask(&home, &json!({ "cmd": "status" }))? else { return Ok(None) };
    Ok(Some(compose(&answer)))
}

/// One view of what the supervisor and the guard say. A guard that does not answer leaves its
/// planes at "none", whatever they were before.
pub(crate) fn compose(answer: &Value) -> Value {
    let supervisor = answer.get("supervisor").cloned().unwrap_or(Value::Null);
    let guard = answer.get("guard").cloned().unwrap_or(Value::Null);
    let mut planes = guard.get("planes").and_then(Value::as_array).cloned().unwrap_or_default();
    if planes.is_empty() {
        let why = guard.get("error").and_then(Value::as_str).unwrap_or("the guard says nothing");
        planes = ["hook", "engine", "door", "egress", "install", "secrets", "log"]
            .iter()
            .map(|plane| json!({ "plane": plane, "protection": "none", "evidence": [why] }))
            .collect();
    }
    if let Some(kernel) = supervisor.get("kernel") {
        planes.push(kernel.clone());
    }
    json!({ "running": true, "supervisor": supervisor, "guard": guard, "planes": planes })
}

fn text(value: &Value) -> String {
    let get = |pointer: &str| match value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "-".into(),
        Some(other) => other.to_string(),
    };
    let mut out = String::new();
    let ready = value.pointer("/supervisor/ready") == Some(&Value::Bool(true));
    let _ = writeln!(
        out,
        "{} · OpenClaw {} on Node {} · http://127.0.0.1:{} · {}",
        get("/supervisor/deployment"),
        get("/supervisor/openclaw"),
        get("/supervisor/node"),
        get("/supervisor/port"),
        if ready { "ready" } else { "not ready" }
    );
    let _ = writeln!(
        out,
        "guard {} ({} restarts) · gateway {} ({} starts) · up {} s · {} calls decided\n",
        get("/supervisor/guard/pid"),
        get("/supervisor/guard/restarts"),
        get("/supervisor/gateway/pid"),
        get("/supervisor/gatewayStarts"),
        get("/supervisor/upSeconds"),
        get("/guard/decided"),
    );
    for plane in value.get("planes").and_then(Value::as_array).into_iter().flatten() {
        let word = |key: &str| plane.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        let evidence: Vec<&str> = plane
            .get("evidence")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let _ = writeln!(
            out,
            "{:<8} {:<8} {}",
            word("plane"),
            word("protection"),
            evidence.first().unwrap_or(&"")
        );
        for fact in evidence.iter().skip(1) {
            let _ = writeln!(out, "{:<17} {fact}", "");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_guard_leaves_nothing_protected() {
        let value = compose(
            &json!({ "supervisor": { "ready": false }, "guard": { "error": "the guard does not answer" } }),
        );
        let planes = value["planes"].as_array().unwrap();
        assert_eq!(planes.len(), 7);
        assert!(planes.iter().all(|plane| plane["protection"] == "none"));
    }

    #[test]
    fn the_page_is_readable() {
        let value = compose(&json!({
            "supervisor": { "deployment": "default", "openclaw": "2026.9.6", "node": "24.21.0", "port": 18789, "upSeconds": 5,
                "ready": true, "guard": { "pid": 10, "restarts": 0 }, "gateway": { "pid": 11 }, "gatewayStarts": 1,
                "kernel": { "plane": "kernel", "protection": "partial", "evidence": ["no memory limit: cgroup v2 has no memory controller", "namespaces: held"] } },
            "guard": { "decided": 3, "planes": [ { "plane": "hook", "protection": "full", "evidence": ["reported 1 s ago"] } ] }
        }));
        insta::assert_snapshot!(text(&value));
    }
}
