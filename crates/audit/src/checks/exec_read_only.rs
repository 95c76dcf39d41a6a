//! Taking away the file tools does not make an agent read-only.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.read-only",
    title: "an agent without file tools can still write with exec",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1059"],
    cis: &[],
    why: "exec is a shell: it writes wherever its user may.",
    openclaw: &["tools.exec.fs_tools_disabled_but_exec_enabled"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let held = scope.sandbox() == "all" && !matches!(scope.exec_host(), "gateway" | "node") && scope.workspace_access() != "rw";
        let policy = Policy::of(&scope);
        if !held && policy.allows("exec") && policy.left(&["write", "edit", "apply_patch"]).is_empty() {
            let key = if scope.id.is_some() { scope.path("tools.deny").join(".") } else { "tools.deny".into() };
            out.hit(key, format!("write, edit and apply_patch are denied for {}, exec is not", scope.id.unwrap_or("every agent")))
                .fix(Fix::risky("deny group:runtime too, or use sandbox mode `all` with a workspace that is not `rw`", "commands of this agent"));
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
    fn only_where_exec_is_left() {
        let bad = json!({"tools":{"deny":["write","edit","apply_patch"]}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"tools":{"deny":["group:fs","group:runtime"]}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
