//! A small model should not read the web.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::models::{billions, models};
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "models.small",
    title: "a small model reads content from outside",
    severity: Level::Critical,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(9),
    atlas: &["AML.T0051.001"],
    attack: &[],
    cis: &[],
    why: "Models below 300 billion parameters give in to simple injections.",
    openclaw: &["models.small_params"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for model in models(config).into_iter().filter(|model| !model.image) {
        let Some(size) = billions(&model.id).filter(|size| *size <= 300.0) else { continue };
        let scopes = scope::scopes(config);
        let Some(scope) = scopes.iter().find(|scope| scope.id == model.agent.as_deref()) else { continue };
        let policy = Policy::of(scope).for_model(scope, &model.id);
        let mut web = Vec::new();
        if config.bool("tools.web.search.enabled") != Some(false) && policy.allows("web_search") { web.push("web_search"); }
        if config.bool("tools.web.fetch.enabled") != Some(false) && policy.allows("web_fetch") { web.push("web_fetch"); }
        if config.bool("browser.enabled") != Some(false) && policy.allows("browser") { web.push("browser"); }
        let evidence = format!("`{}` has {size} billion parameters; web tools: {}", model.id, if web.is_empty() { "none".into() } else { web.join(", ") });
        let severity = if web.is_empty() { Level::Info } else { Level::Critical };
        out.hit(model.key, evidence).severity(severity).fix(Fix::risky("take web tools from this model", "its tasks on the web").set_at(vec!["tools".into(), "byProvider".into(), model.id, "deny".into()], Some(serde_json::json!(["group:web", "browser"]))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn size_and_web() {
        let bad = json!({"agents":{"defaults":{"model":"ollama/llama3.1-8b"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"agents":{"defaults":{"model":"anthropic/claude-opus-4-5"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        let held = json!({"tools":{"deny":["group:web","browser"]},"agents":{"defaults":{"model":"ollama/llama3.1-8b"}}});
        assert_eq!(check(&CHECK, &given::config(held))[0].severity, Level::Info);
    }

}
