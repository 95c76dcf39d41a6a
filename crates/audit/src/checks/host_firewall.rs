//! A packet filter should drop what nobody asked for.

use crate::facts::Facts;
use crate::facts::Unknown;
use crate::finding::Fix;
use crate::packet::{Fate, Packet, fate};
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

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(firewall) = out.need(&facts.host.firewall) else { return };
    // A port that no rule is likely to name, for a machine that nobody knows.
    let probe = |to: &str, from: &str| Some(Packet { to: to.parse().ok()?, from: from.parse().ok()?, port: 47_913, user: None });
    for (family, packet) in [("IPv4", probe("192.0.2.1", "198.51.100.7")), ("IPv6", probe("2001:db8::1", "2001:db8:ffff::7"))] {
        let Some(packet) = packet else { continue };
        match fate(&firewall.chains, "input", &packet) {
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

}
