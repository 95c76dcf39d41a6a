//! Tools of plugins should reach only agents that need them.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "plugins.tools",
    title: "tools of plugins reach every agent",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 6.8"],
    why: "A tool that nobody looked at is one sentence away from being called.",
    openclaw: &["plugins.tools_reachable_permissive_policy"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let Some(content) = out.need(&facts.content) else { return };
    let (allow, deny) = (config.strings("plugins.allow"), config.strings("plugins.deny"));
    let on: Vec<&str> = content.plugins.iter().map(|plugin| plugin.id.as_str()).filter(|id| {
        let listed = |list: &[String]| list.iter().any(|entry| entry.eq_ignore_ascii_case(id));
        (allow.is_empty() || listed(&allow)) && !listed(&deny) && config.get("plugins.entries").and_then(|entries| entries.get(id)?.get("enabled")) != Some(&Value::Bool(false))
    }).collect();
    if on.is_empty() || config.bool("plugins.enabled") == Some(false) {
        return;
    }
    for scope in scope::scopes(config) {
        let policy = Policy::of(&scope);
        if policy.allows("a-tool-that-no-policy-names") || on.iter().any(|id| policy.allows(id)) {
            out.hit(scope.path("").join("."), format!("reaches tools of {}", on.join(", "))).fix(Fix::risky("use a profile or a list of tools", "tools of plugins for this agent"));
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
    fn without_a_profile() {
        let mut facts = given::config(json!({}));
        let plugin = crate::facts::Plugin { id: "foo".into(), ..Default::default() };
        facts.content = crate::Fact::Known(crate::facts::Content { plugins: vec![plugin], ..Default::default() });
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.config = given::config(json!({ "tools": { "profile": "coding" } })).config;
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
