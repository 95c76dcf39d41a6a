//! Group rooms should not share the main session.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "sessions.group-scope",
    title: "group rooms share the main session",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0080"],
    attack: &["T1005"],
    cis: &["CIS Controls v8 3.3"],
    why: "Everybody in the room reads what you told the agent, and writes into it.",
    openclaw: &["security.trust_model.group_scope_main"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.str("session.groupScope") == Some("main") {
        out.hit("session.groupScope", "`main`").fix(Fix::risky("give each group its own session", "groups that rely on the shared one").set("session.groupScope", "per-group"));
    }
    for (index, binding) in config.get("bindings").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if binding.pointer("/session/groupScope").and_then(Value::as_str) == Some("main") {
            let key = format!("bindings.{index}.session.groupScope");
            out.hit(key.clone(), "`main`").fix(Fix::risky("give the group its own session", "the group's shared one").unset(&key));
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
    fn globally_and_by_binding() {
        for bad in [json!({"session":{"groupScope":"main"}}), json!({"bindings":[{"session":{"groupScope":"main"}}]})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
