//! Settings of a sandbox that is off protect nothing.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "sandbox.unused-settings",
    title: "the sandbox is set up and switched off",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "Who reads the settings believes that they hold.",
    openclaw: &["sandbox.docker_config_mode_off"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let any_on = scope::agents(config).iter().any(|agent| agent.sandbox() != "off");
    for scope in scope::scopes(config) {
        let set = scope.docker().and_then(Value::as_object).is_some_and(|docker| !docker.is_empty());
        if set && scope.sandbox() == "off" && (scope.id.is_some() || !any_on) {
            let path = scope.path("sandbox.mode");
            out.hit(scope.path("sandbox.docker").join("."), "has settings, and the mode is `off`").fix(Fix::risky("switch the sandbox on", "tasks that need the host").set_at(path, Some("non-main".into())));
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
    fn only_when_off() {
        let bad = json!({"agents":{"defaults":{"sandbox":{"docker":{"network":"none"}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"agents":{"defaults":{"sandbox":{"mode":"all","docker":{"network":"none"}}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
