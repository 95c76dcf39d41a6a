//! Commands should not run unasked.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::open_policies;
use crate::openclaw::dotted;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.full",
    title: "commands run without limits or approval",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050", "AML.T0053"],
    attack: &["T1059.004"],
    cis: &["CIS Controls v8 2.7"],
    why: "One injected sentence is a command of the gateway's user.",
    openclaw: &["tools.exec.security_full_configured"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let open = !open_policies(config).is_empty();
    for scope in scope::scopes(config) {
        let own = scope.own("tools.exec.mode").is_some() || scope.own("tools.exec.security").is_some();
        if scope.exec_security() != Some("full") || (scope.id.is_some() && !own) {
            continue;
        }
        let key = if scope.id.is_some() { scope.path("tools.exec.mode") } else { vec!["tools".into(), "exec".into(), "mode".into()] };
        let old = if scope.id.is_some() { scope.path("tools.exec.security") } else { vec!["tools".into(), "exec".into(), "security".into()] };
        out.hit(dotted(&key), format!("exec is `full` for {}", scope.id.unwrap_or("every agent")))
            .severity(if open { Level::Critical } else { Level::High })
            .fix(Fix::risky("ask before commands that are not listed", "commands that ran unasked").set_at(key, Some("ask".into())).set_at(old, None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn by_mode_and_by_security() {
        for bad in [json!({"tools":{"exec":{"mode":"full"}}}), json!({"agents":{"entries":{"a":{"tools":{"exec":{"security":"full"}}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"tools":{"exec":{"mode":"ask","security":"full"}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
