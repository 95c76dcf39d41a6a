//! Cameras, screens and messages of paired devices should stay off.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::exposed;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.node-commands",
    title: "the agent may use cameras, screens or messages of devices",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1125", "T1113"],
    cis: &["CIS Controls v8 4.8"],
    why: "A hijacked model films, records and sends in your name.",
    openclaw: &["gateway.nodes.allow_commands_dangerous"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let deny = config.strings("gateway.nodes.commands.deny");
    let allowed: Vec<String> = config.strings("gateway.nodes.commands.allow").into_iter().filter(|command| DANGEROUS.contains(&command.as_str()) && !deny.contains(command)).collect();
    if !allowed.is_empty() {
        let rest: Vec<String> = config.strings("gateway.nodes.commands.allow").into_iter().filter(|command| !allowed.contains(command)).collect();
        out.hit("gateway.nodes.commands.allow", format!("allowed: {}", allowed.join(", "))).severity(if exposed(config) { Level::Critical } else { Level::High })
            .fix(Fix::risky("take them out", "tasks that use them").set("gateway.nodes.commands.allow", rest));
    }
}

/// Commands that OpenClaw keeps off by default.
const DANGEROUS: &[&str] = &[
    "camera.snap", "camera.clip", "camera.ptz.control", "screen.record", "contacts.add",
    "calendar.add", "reminders.add", "sms.send", "sms.search", "health.summary",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn allowed_and_not_denied() {
        let bad = json!({"gateway":{"nodes":{"commands":{"allow":["sms.send"]}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"nodes":{"commands":{"allow":["sms.send"],"deny":["sms.send"]}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
