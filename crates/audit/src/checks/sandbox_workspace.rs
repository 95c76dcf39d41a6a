//! A sandbox should not write the agent's own instructions.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "sandbox.workspace",
    title: "a sandbox writes the agent's workspace",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Production,
    item: Some(6),
    atlas: &["AML.T0080.000"],
    attack: &["T1565.001"],
    cis: &["CIS Controls v8 3.3"],
    why: "A command in the sandbox changes SOUL.md or a skill, and the next session obeys it.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::running(config) {
        if scope.sandbox() != "off" && scope.workspace_access() == "rw" {
            let path = scope.path("sandbox.workspaceAccess");
            out.hit(path.join("."), format!("`rw` for {}", scope.id.unwrap_or("the default agent"))).fix(Fix::risky("give it a copy, or read access", "tasks that write files of the workspace").set_at(path, Some("ro".into())));
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
    fn only_with_a_sandbox() {
        let bad = json!({"agents":{"defaults":{"sandbox":{"mode":"all","workspaceAccess":"rw"}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"agents":{"defaults":{"sandbox":{"mode":"all"}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
