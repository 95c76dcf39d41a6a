//! An entry that denies nothing looks like protection.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.node-deny",
    title: "entries of the node deny list deny nothing",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1059"],
    cis: &[],
    why: "Names are compared whole: a pattern or a typing error leaves the command open.",
    openclaw: &["gateway.nodes.deny_commands_ineffective"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let odd: Vec<String> = config.strings("gateway.nodes.commands.deny").into_iter().filter(|command| !is_command(command)).collect();
    if !odd.is_empty() {
        out.hit("gateway.nodes.commands.deny", format!("no command has this name: {}", odd.join(", ")))
            .fix(Fix::safe("write the commands' whole names"));
    }
}

/// Groups of commands that OpenClaw's nodes have, with their actions (nodes/index.md).
const COMMANDS: &[(&str, &[&str])] = &[
    ("camera", &["list", "snap", "clip", "ptz.status", "ptz.control"]),
    ("screen", &["snapshot", "record", "stream"]),
    ("desktop", &["stream"]),
    ("computer", &["act"]),
    ("mobile", &["ui.observe", "ui.act"]),
    ("device", &["info", "status", "permissions", "health", "apps"]),
    ("location", &["get"]),
    ("notifications", &["list", "actions"]),
    ("contacts", &["search", "add"]),
    ("calendar", &["events", "add"]),
    ("callLog", &["search"]),
    ("reminders", &["list", "add"]),
    ("photos", &["latest"]),
    ("motion", &["activity", "pedometer"]),
    ("health", &["summary"]),
    ("sms", &["send", "search"]),
    ("talk", &["ptt.start", "ptt.stop", "ptt.cancel", "ptt.once"]),
    ("watch", &["status", "notify"]),
    ("system", &["run", "run.prepare", "which", "notify", "execApprovals.get", "execApprovals.set"]),
    ("browser", &["proxy"]),
    ("canvas", &["present", "hide", "navigate", "eval", "snapshot"]),
];

fn is_command(name: &str) -> bool {
    name.split_once('.').is_some_and(|(group, action)| {
        COMMANDS.iter().any(|(known, actions)| *known == group && actions.contains(&action))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn patterns_and_typing_errors() {
        for bad in [json!({"gateway":{"nodes":{"commands":{"deny":["system.*"]}}}}), json!({"gateway":{"nodes":{"commands":{"deny":["camra.snap"]}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"gateway":{"nodes":{"commands":{"deny":["camera.snap","system.run"]}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
