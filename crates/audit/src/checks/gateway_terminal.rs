//! A browser should not get a shell of the gateway's user.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.terminal",
    title: "administrators' browsers get a shell on this host",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050"],
    attack: &["T1059.004"],
    cis: &["CIS Controls v8 4.8"],
    why: "One stolen token is a shell with the gateway's environment, and no hook or approval sees what is typed.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("gateway.terminal.enabled") != Some(false) {
        out.hit("gateway.terminal.enabled", "on, which is the default")
            .fix(Fix::risky("switch the operator terminal off", "the terminal in the Control UI").set("gateway.terminal.enabled", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn on_by_default() {
        let bad = json!({});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"terminal":{"enabled":false}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
