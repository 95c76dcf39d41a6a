//! Only named plugins should load.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "plugins.allowlist",
    title: "any plugin in the folder is loaded",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010.001"],
    attack: &["T1195"],
    cis: &["CIS Controls v8 2.5"],
    why: "A plugin runs inside the gateway with all its rights; a file dropped in the folder is enough.",
    openclaw: &["plugins.extensions_no_allowlist", "plugins.allow_phantom_entries"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let Some(content) = out.need(&facts.content) else { return };
    let allow = config.strings("plugins.allow");
    if allow.is_empty() {
        if !content.plugins.is_empty() {
            let ids: Vec<String> = content.plugins.iter().map(|plugin| plugin.id.clone()).collect();
            out.hit("plugins.allow", format!("not set; in the folder: {}", ids.join(", "))).fix(Fix::risky("name those that you trust", "other plugins, the bundled ones included").set("plugins.allow", ids));
        }
        return;
    }
    let indexed = facts.state.known().and_then(Option::as_ref).map(|state| state.plugin_ids.as_slice()).unwrap_or_default();
    let unknown: Vec<String> = allow.into_iter().filter(|id| id != "group:plugins" && !indexed.contains(id) && !content.plugins.iter().any(|plugin| plugin.id.eq_ignore_ascii_case(id))).collect();
    if !unknown.is_empty() && !content.plugins.is_empty() {
        out.hit("plugins.allow", format!("names that no installed plugin has: {}", unknown.join(", "))).severity(Level::Low).confidence(Confidence::Low)
            .title("a plugin that is not installed is allowed").fix(Fix::safe("take the names out: whoever publishes such a plugin is trusted already"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn folders_and_names() {
        let mut facts = given::config(json!({}));
        let plugin = crate::facts::Plugin { id: "foo".into(), ..Default::default() };
        facts.content = crate::Fact::Known(crate::facts::Content { plugins: vec![plugin], ..Default::default() });
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.config = given::config(json!({ "plugins": { "allow": ["foo"] } })).config;
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.config = given::config(json!({ "plugins": { "allow": ["foo", "ghost"] } })).config;
        assert!(check(&CHECK, &facts)[0].evidence.contains("ghost"));
    }

}
