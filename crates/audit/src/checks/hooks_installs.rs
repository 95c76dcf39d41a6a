//! Installed hooks should be the ones that were looked at.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "hooks.installs",
    title: "a hook is not pinned to what was installed",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010.001"],
    attack: &["T1195.002"],
    cis: &["CIS Controls v8 2.5"],
    why: "The next update brings whatever its author, or who took his account, published.",
    openclaw: &["hooks.installs_unpinned_npm_specs", "hooks.installs_missing_integrity", "hooks.installs_version_drift"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(state) = out.need(&facts.state) else { return };
    for (id, record) in state.iter().flat_map(|state| &state.hook_installs) {
        for fault in crate::openclaw::installs::faults(record) {
            out.hit(format!("hook {id}"), fault).fix(Fix::risky("install the exact version again", "the hook while it is installed").run_on("openclaw hooks update", id));
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
    fn unpinned_ones_are_found() {
        let mut facts = given::config(json!({}));
        let record = json!({ "source": "npm", "spec": "bar", "version": "1.0.0", "installedVersion": "1.0.1" });
        given::state(&mut facts, |state| { state.hook_installs.insert("bar".into(), record); });
        assert_eq!(check(&CHECK, &facts).len(), 3);
    }

}
