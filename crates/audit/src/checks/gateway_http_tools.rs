//! Dangerous tools should not be callable over HTTP.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::exposed;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.http-tools",
    title: "dangerous tools are callable over HTTP",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 4.8"],
    why: "One request with the token runs them, with no model and no approval between.",
    openclaw: &["gateway.tools_invoke_http.dangerous_allow"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let allowed: Vec<String> = config.strings("gateway.tools.allow").into_iter().map(|tool| tool.to_ascii_lowercase()).map(|tool| if tool == "cron" { "automations".to_owned() } else { tool }).filter(|tool| DENIED.contains(&tool.as_str())).collect();
    if !allowed.is_empty() {
        out.hit("gateway.tools.allow", format!("allowed again: {}", allowed.join(", "))).severity(if exposed(config) { Level::Critical } else { Level::High })
            .fix(Fix::risky("take them out", "programs that call them over HTTP").unset("gateway.tools.allow"));
    }
}

/// What OpenClaw denies there by default.
const DENIED: &[&str] = &[
    "exec", "spawn", "shell", "fs_write", "fs_delete", "fs_move", "apply_patch", "terminal", "portal",
    "sessions_spawn", "sessions_send", "conversations_list", "conversations_send",
    "conversations_turn", "automations", "gateway", "plugins", "nodes", "computer", "mobile_ui",
    "openclaw",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn what_is_denied_by_default_and_allowed_again() {
        let bad = json!({"gateway":{"tools":{"allow":["Exec"]}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"tools":{"allow":["web_search"]}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
