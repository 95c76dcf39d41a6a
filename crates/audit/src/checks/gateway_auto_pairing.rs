//! Devices should be paired by a person, even from this host.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.auto-pairing",
    title: "local devices are paired without asking",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1098"],
    cis: &["CIS Controls v8 6.1"],
    why: "Any program on this host that learns the token becomes a lasting administrator.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("gateway.nodes.pairing.autoApproveLocal") != Some(false) {
        out.hit("gateway.nodes.pairing.autoApproveLocal", "on, which is the default")
            .fix(Fix::risky("ask for each device", "the first connection of a new local client").set("gateway.nodes.pairing.autoApproveLocal", false));
    }
    let nets = config.strings("gateway.nodes.pairing.autoApproveCidrs");
    if !nets.is_empty() {
        out.hit("gateway.nodes.pairing.autoApproveCidrs", format!("nodes from {} are paired without asking", nets.join(", "))).severity(Level::Medium)
            .fix(Fix::risky("ask for each node", "new nodes in these networks").unset("gateway.nodes.pairing.autoApproveCidrs"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn both_ways() {
        for bad in [json!({}), json!({"gateway":{"nodes":{"pairing":{"autoApproveLocal":false,"autoApproveCidrs":["10.0.0.0/8"]}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"gateway":{"nodes":{"pairing":{"autoApproveLocal":false}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
