//! Old models follow injected instructions most easily.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::models::{models, weakness};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "models.legacy",
    title: "an old model is in use",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(9),
    atlas: &["AML.T0051"],
    attack: &[],
    cis: &[],
    why: "It was made before models were trained to tell data from instructions.",
    openclaw: &["models.legacy"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for model in models(config) {
        if let Some((why, true)) = weakness(&model.id) {
            out.hit(model.key, format!("`{}` is {why}", model.id)).fix(Fix::risky("use a current model", "costs and habits"));
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
    fn families() {
        let bad = json!({"agents":{"defaults":{"model":"openai/gpt-3.5-turbo"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"agents":{"defaults":{"model":"anthropic/claude-opus-4-5"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
