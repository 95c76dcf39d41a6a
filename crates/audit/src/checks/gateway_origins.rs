//! The Control UI should answer pages of known origins only.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.origins",
    title: "pages of any site may talk to the gateway",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049"],
    attack: &["T1185"],
    cis: &["CIS Controls v8 4.1"],
    why: "A page that you visit can use your browser as the way in.",
    openclaw: &["gateway.control_ui.allowed_origins_required", "gateway.control_ui.allowed_origins_wildcard"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let local = bind(config) == "loopback";
    let origins = config.strings("gateway.controlUi.allowedOrigins");
    let fallback = config.bool("gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback") == Some(true);
    if origins.iter().any(|origin| origin == "*") {
        out.hit("gateway.controlUi.allowedOrigins", "`*` allows every origin")
            .severity(if local { Level::High } else { Level::Critical })
            .fix(Fix::risky("name the origins", "pages of other origins").set("gateway.controlUi.allowedOrigins", serde_json::json!([])));
    } else if !local && origins.is_empty() && !fallback && config.bool("gateway.controlUi.enabled") != Some(false) {
        out.hit("gateway.controlUi.allowedOrigins", "empty, while the gateway is reachable from other machines")
            .severity(Level::High)
            .title("the Control UI has no list of origins")
            .fix(Fix::risky("name the origins, or switch the Control UI off", "the Control UI in a browser").set("gateway.controlUi.enabled", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn wildcards_and_nothing() {
        for bad in [json!({"gateway":{"controlUi":{"allowedOrigins":["*"]}}}), json!({"gateway":{"bind":"lan"}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"gateway":{"bind":"lan","controlUi":{"allowedOrigins":["https://a"]}}}), json!({"gateway":{"bind":"lan","controlUi":{"enabled":false}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
