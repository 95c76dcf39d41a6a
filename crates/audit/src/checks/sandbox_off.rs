//! Tools should run in a sandbox.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "sandbox.off",
    title: "tools of an agent run on this host",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &["AML.T0053"],
    attack: &["T1611"],
    cis: &[],
    why: "A command that should not have run has the whole account of the gateway's user.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::running(config) {
        let mode = scope.sandbox();
        if mode == "all" || Policy::of(&scope).left(&["exec", "process", "read", "write", "edit", "apply_patch", "browser"]).is_empty() {
            continue;
        }
        let path = scope.path("sandbox.mode");
        let hit = out.hit(path.join("."), format!("`{mode}` for {}", scope.id.unwrap_or("the default agent")));
        // The main session is the operator's own: the guide asks for the others only.
        let hit = if mode == "non-main" { hit.severity(Level::Low).title("the main session's tools run on this host") } else { hit };
        let (what, wanted) = if mode == "non-main" { ("run the main session's tools in a container too", "all") } else { ("run tools of other sessions in a container without network", "non-main") };
        hit.fix(Fix::risky(what, "tasks that need the host or the network").set_at(path, Some(wanted.into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn effective_mode_counts() {
        for bad in [json!({}), json!({"agents":{"defaults":{"sandbox":{"mode":"all"}},"entries":{"a":{"sandbox":{"mode":"off"}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"agents":{"defaults":{"sandbox":{"mode":"all"}}}}), json!({"tools":{"profile":"minimal"}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
        let half = json!({"agents":{"defaults":{"sandbox":{"mode":"non-main"}}}});
        let found = check(&CHECK, &given::config(half));
        assert_eq!(found[0].severity, Level::Low);
        // A fix that sets what is there already would never end.
        assert!(format!("{:?}", found[0].fix).contains("all"), "{found:?}");
    }

}
