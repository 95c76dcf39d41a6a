//! A packet filter should drop what nobody asked for.

use crate::facts::Facts;
use crate::facts::Unknown;
use crate::finding::Fix;
use crate::packet::{Fate, strangers};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.firewall",
    title: "no packet filter drops unasked connections",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(2),
    atlas: &[],
    attack: &["T1190", "T1686"],
    cis: &["CIS Controls v8 4.4"],
    why: "Any program that starts to listen is on the network at once.",
    openclaw: &[],
    run,
};

/// Ports that no rule is likely to name, far from each other.
const PORTS: [u16; 5] = [7919, 20_011, 33_347, 47_913, 61_007];

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(firewall) = out.need(&facts.host.firewall) else { return };
    for (family, v6) in [("IPv4", false), ("IPv6", true)] {
        let fates = PORTS.map(|port| strangers(&firewall.chains, v6, None, port));
        let count = |which: Fate| fates.iter().filter(|fate| **fate == which).count();
        // One of them may lie in a range that somebody opened.
        let all = if count(Fate::Passes) > 1 {
            Fate::Passes
        } else if count(Fate::Unclear) > 0 {
            Fate::Unclear
        } else {
            Fate::Dropped
        };
        match all {
            Fate::Dropped => {}
            Fate::Passes => {
                out.hit(format!("packet filter, {family}"), format!("lets any connection in; rules come from: {}", if firewall.managers.is_empty() { "nobody".into() } else { firewall.managers.join(", ") }))
                    .fix(Fix::risky("deny what comes in, and allow SSH first", "connections that no rule allows").run("ufw allow OpenSSH && ufw default deny incoming && ufw enable"));
            }
            Fate::Unclear => {
                out.blind(&Unknown { reason: format!("the rules for {family} have conditions that are not understood"), command: "nft list ruleset".into() });
            }
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
    fn both_families() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall::default());
        assert_eq!(check(&CHECK, &facts).len(), 2);
        let closed = crate::packet::Chain { table: "inet f".into(), hook: Some("input".into()), drops: true, ..Default::default() };
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall { chains: vec![closed], managers: vec![] });
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

    #[test]
    fn a_list_of_bogons_or_one_port_is_no_firewall() {
        use crate::packet::{Action, Chain, Condition, Rule};
        let mut facts = given::config(json!({}));
        let nets = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"];
        let nets = nets.iter().map(|net| net.parse().unwrap()).collect();
        for condition in [Condition::From(nets), Condition::Port(vec![(47_913, 47_913)])] {
            let rules = vec![Rule { conditions: vec![condition], action: Action::Drop }];
            let open = Chain { table: "inet f".into(), hook: Some("input".into()), rules, ..Chain::default() };
            facts.host.firewall = crate::Fact::Known(crate::facts::Firewall { chains: vec![open], managers: vec![] });
            assert_eq!(check(&CHECK, &facts).len(), 2);
        }
    }
}
