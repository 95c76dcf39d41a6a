//! An agent's profile should not be wider than the global one.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "tools.profile-overridden",
    title: "an agent's profile is wider than the global one",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1548"],
    cis: &[],
    why: "Who reads the global line believes that everything is minimal.",
    openclaw: &["tools.profile_minimal_overridden"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.str("tools.profile") != Some("minimal") {
        return;
    }
    for agent in scope::agents(config) {
        if let Some(profile) = agent.own("tools.profile").and_then(Value::as_str).filter(|profile| *profile != "minimal") {
            let path = agent.path("tools.profile");
            out.hit(path.join("."), format!("`{profile}`, while tools.profile is `minimal`")).fix(Fix::risky("remove the agent's own", "tasks of this agent").set_at(path, None));
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
    fn wider_ones_are_found() {
        let bad = json!({"tools":{"profile":"minimal"},"agents":{"entries":{"a":{"tools":{"profile":"full"}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"tools":{"profile":"coding"},"agents":{"entries":{"a":{"tools":{"profile":"full"}}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
