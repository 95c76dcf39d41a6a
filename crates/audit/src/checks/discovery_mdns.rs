//! The local network should not be told about this host.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "discovery.mdns",
    title: "the local network is told paths and ports of this host",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &[],
    attack: &["T1046"],
    cis: &["CIS Controls v8 4.8"],
    why: "User names, paths and the SSH port are broadcast to everybody nearby.",
    openclaw: &["discovery.mdns_full_mode"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.str("discovery.mdns.mode") == Some("full") {
        out.hit("discovery.mdns.mode", "`full`").severity(if bind(config) == "loopback" { Level::Medium } else { Level::High })
            .fix(Fix::safe("announce the least").set("discovery.mdns.mode", "minimal"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn full_is_too_much() {
        let bad = json!({"discovery":{"mdns":{"mode":"full"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"discovery":{"mdns":{"mode":"off"}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
