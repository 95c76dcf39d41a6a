//! Small and older models are turned more easily.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::models::{models, weakness};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "models.weak",
    title: "a weak model is in use",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(9),
    atlas: &["AML.T0051"],
    attack: &[],
    cis: &[],
    why: "Fallbacks count too: an attacker waits for, or causes, the failure of the first model.",
    openclaw: &["models.weak_tier"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for model in models(config) {
        if let Some((why, _)) = weakness(&model.id) {
            out.hit(model.key, format!("`{}`: {why}", model.id)).fix(Fix::risky("use a current, large model", "costs and habits"));
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
    fn tiers_and_fallbacks() {
        for bad in [json!({"agents":{"defaults":{"model":"anthropic/claude-haiku-4-5"}}}), json!({"agents":{"entries":{"a":{"model":{"primary":"anthropic/claude-opus-4-5","fallbacks":["openai/gpt-4o"]}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"agents":{"defaults":{"model":"openai/gpt-5.2"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
