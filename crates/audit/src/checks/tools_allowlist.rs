//! Each agent should have the tools that its task needs.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "tools.allowlist",
    title: "an agent has every high-risk tool",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 4.8"],
    why: "A hijacked model uses what is there: shell, browser, the network, other sessions.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::running(config) {
        let policy = Policy::of(&scope);
        let left = policy.left(HIGH_RISK);
        let name = scope.id.unwrap_or("the default agent");
        let key = if scope.id.is_some() { scope.path("tools").join(".") } else { "tools".into() };
        let path = |last: &str| if scope.id.is_some() { scope.path(&format!("tools.{last}")) } else { vec!["tools".to_owned(), last.to_owned()] };
        if !policy.restricts() {
            out.hit(key, format!("{name} has every tool; of the high-risk ones: {}", left.join(", ")))
                .title("an agent has every tool")
                .fix(Fix::risky("allow reading and writing files, deny the rest until it is needed", "tasks that use other tools").set_at(path("profile"), Some("coding".into())).set_at(path("deny"), Some(serde_json::json!(HIGH_RISK))));
        } else if left.len() > 3 {
            out.hit(key, format!("{name} keeps: {}", left.join(", "))).severity(Level::Medium)
                .fix(Fix::risky("deny what this agent does not need", "tasks that use them").set_at(path("deny"), Some(serde_json::json!(left))));
        }
    }
}

/// Tools that reach the host, the network, other people or OpenClaw itself.
const HIGH_RISK: &[&str] = &[
    "exec", "process", "browser", "web_fetch", "web_search", "terminal", "portal", "nodes", "computer",
    "mobile_ui", "automations", "gateway", "plugins", "openclaw", "sessions_spawn", "code_execution",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn what_is_left_counts() {
        for bad in [json!({}), json!({"tools":{"profile":"full"}}), json!({"tools":{"deny":["tts"]}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"tools":{"allow":["read","write","edit"]}}), json!({"tools":{"profile":"messaging","deny":["gateway","group:sessions"]}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
