//! It should be clear which agent is the default.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "config.roster",
    title: "it is unclear which agent is the default",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "Messages may reach an agent with more rights than was meant.",
    openclaw: &["config.agent_roster.invalid_default_count"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let agents = scope::agents(config);
    let explicit = config.str("agents.ownership") == Some("explicit");
    let defaults = agents.iter().filter(|agent| agent.own("default").and_then(Value::as_bool) == Some(true)).count();
    let wrong = if explicit { defaults != 0 } else { agents.len() > 1 && defaults != 1 };
    if wrong {
        out.hit("agents.entries", format!("{defaults} of {} agents are marked as default", agents.len()))
            .fix(Fix::safe("mark exactly one").run("openclaw doctor --fix"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn one_of_several() {
        for bad in [json!({"agents":{"entries":{"a":{},"b":{}}}}), json!({"agents":{"entries":{"a":{"default":true},"b":{"default":true}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"agents":{"entries":{"a":{}}}}), json!({"agents":{"entries":{"a":{"default":true},"b":{}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
