//! Pages of MCP servers act with the user's session.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "mcp.apps",
    title: "MCP servers may show pages that call tools",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0053"],
    attack: &["T1204"],
    cis: &[],
    why: "A server that turns bad gets an interface that you trust.",
    openclaw: &["mcp.apps.enabled"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("mcp.apps.enabled") == Some(true) {
        out.hit("mcp.apps.enabled", "switched on").fix(Fix::risky("switch it off", "interactive views of MCP servers").set("mcp.apps.enabled", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn the_switch_is_found() {
        let bad = json!({"mcp":{"apps":{"enabled":true}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
