//! Installed plugins should be the ones that were looked at.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "plugins.installs",
    title: "a plugin is not pinned to what was installed",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010.001"],
    attack: &["T1195.002"],
    cis: &["CIS Controls v8 2.5"],
    why: "The next update brings whatever its author, or who took his account, published.",
    openclaw: &["plugins.installs_unpinned_npm_specs", "plugins.installs_missing_integrity", "plugins.installs_version_drift"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(state) = out.need(&facts.state) else { return };
    for (id, record) in state.iter().flat_map(|state| &state.plugin_installs) {
        for fault in crate::openclaw::installs::faults(record) {
            out.hit(format!("plugin {id}"), fault).fix(Fix::risky("install the exact version again", "the plugin while it is installed").run_on("openclaw plugins update", id));
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
    fn records() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| { state.plugin_installs.insert("a".into(), json!({ "source": "npm", "spec": "a" })); });
        assert_eq!(check(&CHECK, &facts).len(), 2);
    }

}
