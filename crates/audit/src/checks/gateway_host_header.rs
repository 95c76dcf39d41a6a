//! The Host header should not decide which origin is trusted.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.host-header",
    title: "the Host header decides which origin is trusted",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0049"],
    attack: &["T1557"],
    cis: &[],
    why: "With DNS rebinding, a page of any site becomes a trusted one.",
    openclaw: &["gateway.control_ui.host_header_origin_fallback"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let key = "gateway.controlUi.dangerouslyAllowHostHeaderOriginFallback";
    if config.bool(key) == Some(true) {
        out.hit(key, "switched on").severity(if bind(config) == "loopback" { Level::High } else { Level::Critical })
            .fix(Fix::risky("switch it off and list the origins", "a Control UI whose origin is not listed").unset(key));
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
        let bad = json!({"gateway":{"controlUi":{"dangerouslyAllowHostHeaderOriginFallback":true}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
