//! Where strangers write, tools should not act.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::open_policies;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "channels.open-tools",
    title: "strangers reach tools that act",
    severity: Level::Critical,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0051.000", "AML.T0053"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 6.8"],
    why: "A message from anybody becomes a command, a file or a change of OpenClaw itself.",
    openclaw: &["security.exposure.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let open = open_policies(config);
    if open.is_empty() {
        return;
    }
    let open = open.join(", ");
    if config.bool("tools.elevated.enabled") != Some(false) {
        out.hit("tools.elevated.enabled", format!("on, and anybody may write ({open})")).title("strangers write where elevated commands are on")
            .fix(Fix::risky("switch elevated commands off", "people who use them").set("tools.elevated.enabled", false));
    }
    for scope in scope::scopes(config) {
        let policy = Policy::of(&scope);
        let who = scope.id.unwrap_or("defaults").to_owned();
        let key = if scope.id.is_some() { scope.path("tools").join(".") } else { "tools".into() };
        let runtime = policy.left(&["exec", "process"]);
        let files = policy.left(&["read", "write", "edit", "apply_patch"]);
        let workspace_only = scope.tool("fs.workspaceOnly") == Some(&Value::Bool(true));
        let sandboxed = scope.sandbox() == "all";
        if !runtime.is_empty() && scope.exec_security().unwrap_or("deny") != "deny" {
            out.hit(key.clone(), format!("{who} may run commands, and anybody may write ({open})")).title("strangers reach an agent that runs commands")
                .severity(if sandboxed { Level::Medium } else { Level::Critical })
                .fix(Fix::risky("deny commands where strangers write", "commands of this agent"));
        }
        if !sandboxed && (!runtime.is_empty() || (!files.is_empty() && !workspace_only)) {
            let tools: Vec<&str> = runtime.iter().chain(&files).copied().collect();
            out.hit(key.clone(), format!("{who} has {} outside a sandbox, and anybody may write ({open})", tools.join(", "))).title("strangers reach commands or files of this host")
                .severity(if runtime.is_empty() { Level::High } else { Level::Critical })
                .fix(Fix::risky("use the messaging profile where strangers write", "other tools").set("tools.profile", "messaging"));
        }
        let control = policy.left(&["automations", "gateway", "plugins"]);
        if !control.is_empty() {
            out.hit(key, format!("{who} has {}, and anybody may write ({open})", control.join(", "))).title("strangers reach tools that change OpenClaw itself")
                .fix(Fix::risky("deny them", "tasks that schedule or update").set("tools.deny", serde_json::json!(["automations", "gateway", "plugins"])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn open_and_able() {
        let bad = json!({"channels":{"telegram":{"dmPolicy":"open"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"channels":{"telegram":{"dmPolicy":"open"}},"tools":{"elevated":{"enabled":false},"allow":["message"]}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
