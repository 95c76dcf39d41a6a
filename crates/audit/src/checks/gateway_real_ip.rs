//! Client addresses should come from a header that the proxy overwrites.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::exposed;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.real-ip",
    title: "X-Real-IP is believed",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1090"],
    cis: &[],
    why: "A client that sets the header itself counts as local.",
    openclaw: &["gateway.real_ip_fallback_enabled"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("gateway.allowRealIpFallback") == Some(true) {
        out.hit("gateway.allowRealIpFallback", "switched on").severity(if exposed(config) { Level::High } else { Level::Medium })
            .fix(Fix::risky("switch it off", "a proxy that sends X-Real-IP and no X-Forwarded-For").set("gateway.allowRealIpFallback", false));
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
        let bad = json!({"gateway":{"allowRealIpFallback":true}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
