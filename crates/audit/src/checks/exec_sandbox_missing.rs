//! Exec that must run in a sandbox needs one.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.sandbox-missing",
    title: "exec must run in a sandbox that does not exist",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "Commands fail, which invites somebody to let them run on the host.",
    openclaw: &["tools.exec.host_sandbox_no_sandbox_defaults", "tools.exec.host_sandbox_no_sandbox_agents"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        if scope.exec_host() == "sandbox" && scope.sandbox() == "off" && (scope.id.is_none() || scope.own("tools.exec.host").is_some()) {
            let path = scope.path("sandbox.mode");
            out.hit(dotted(&path), "tools.exec.host is `sandbox` and sandbox.mode is `off`")
                .fix(Fix::risky("switch the sandbox on", "tools that need the host").set_at(path, Some("all".into())));
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
    fn only_together() {
        for bad in [json!({"tools":{"exec":{"host":"sandbox"}}}), json!({"agents":{"entries":{"a":{"tools":{"exec":{"host":"sandbox"}}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"tools":{"exec":{"host":"sandbox"}},"agents":{"defaults":{"sandbox":{"mode":"all"}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
