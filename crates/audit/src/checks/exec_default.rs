//! OpenClaw's default runs commands on this host unasked.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.default",
    title: "commands run on this host, and nothing says who may",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050", "AML.T0053"],
    attack: &["T1059.004"],
    cis: &["CIS Controls v8 2.7"],
    why: "Without a setting, exec has full rights outside a sandbox: one injected sentence is a command.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::running(config) {
        let outside = scope.sandbox() != "all" && scope.exec_host() != "sandbox";
        if !outside || scope.exec_security().is_some() || !Policy::of(&scope).allows("exec") || floor(facts, scope.id) {
            continue;
        }
        let key = if scope.id.is_some() { scope.path("tools.exec.mode") } else { vec!["tools".into(), "exec".into(), "mode".into()] };
        out.hit(dotted(&key), format!("not set for {}; sandbox is `{}`", scope.id.unwrap_or("the default agent"), scope.sandbox()))
            .fix(Fix::risky("ask before commands that are not listed", "commands that ran unasked").set_at(key, Some("ask".into())));
    }
}

/// Whether the approvals file sets a lower limit than `full`.
fn floor(facts: &Facts, agent: Option<&str>) -> bool {
    let approvals = facts.state.known().and_then(|state| state.as_ref()?.approvals.as_ref());
    let own = approvals.and_then(|file| file.get("agents")?.get(agent.unwrap_or("main"))?.get("security"));
    let default = approvals.and_then(|file| file.get("defaults")?.get("security"));
    own.or(default).and_then(serde_json::Value::as_str).is_some_and(|security| security != "full")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn sandbox_policy_or_denial_are_enough() {
        for bad in [json!({}), json!({"agents":{"defaults":{"sandbox":{"mode":"non-main"}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"tools":{"exec":{"mode":"ask"}}}), json!({"tools":{"deny":["exec"]}}), json!({"agents":{"defaults":{"sandbox":{"mode":"all"}}}}), json!({"tools":{"exec":{"host":"sandbox"}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
