//! File tools should stay in the workspace.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "tools.workspace-only",
    title: "file tools reach the whole disk",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0085"],
    attack: &["T1005"],
    cis: &["CIS Controls v8 3.3"],
    why: "A hijacked model reads keys and writes start-up files of its user.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::running(config) {
        let held = scope.sandbox() == "all" || scope.tool("fs.workspaceOnly") == Some(&Value::Bool(true));
        if !held && !Policy::of(&scope).left(&["read", "write", "edit", "apply_patch"]).is_empty() {
            let path = if scope.id.is_some() { scope.path("tools.fs.workspaceOnly") } else { ["tools", "fs", "workspaceOnly"].map(str::to_owned).to_vec() };
            out.hit(path.join("."), format!("not `true` for {}", scope.id.unwrap_or("the default agent"))).fix(Fix::risky("keep file tools in the workspace", "tasks on files elsewhere").set_at(path, Some(true.into())));
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
    fn sandbox_or_switch() {
        let bad = json!({});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({"tools":{"fs":{"workspaceOnly":true}}}), json!({"agents":{"defaults":{"sandbox":{"mode":"all"}}}}), json!({"tools":{"deny":["group:fs"]}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
