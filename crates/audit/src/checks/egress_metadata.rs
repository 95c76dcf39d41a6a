//! The cloud's metadata service should be out of reach.

use crate::checks::egress_user::{guarded, user};
use crate::facts::Facts;
use crate::finding::Fix;
use crate::packet::{Fate, Packet, fate};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "egress.metadata",
    title: "the agent reaches the cloud's metadata service",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(13),
    atlas: &["AML.T0055"],
    attack: &["T1552.005"],
    cis: &["CIS Controls v8 13.4"],
    why: "One request gives the machine's cloud credentials.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    if guarded(facts) {
        return;
    }
    let Some(firewall) = out.need(&facts.host.firewall) else { return };
    for (to, from) in [("169.254.169.254", "192.0.2.1"), ("fd00:ec2::254", "2001:db8::1")] {
        let (Ok(to), Ok(from)) = (to.parse(), from.parse()) else { continue };
        let packet = Packet { to, from, port: 80, user: Some(user(facts).unwrap_or(65_534)) };
        if fate(&firewall.chains, "output", &packet) == Fate::Passes {
            out.hit(to.to_string(), "no rule stops a connection").severity(if to.is_ipv4() { Level::High } else { Level::Medium })
                .fix(Fix::risky("drop it", "programs that use the machine's cloud role").run(if to.is_ipv4() { "iptables -A OUTPUT -d 169.254.169.254 -j DROP" } else { "ip6tables -A OUTPUT -d fd00:ec2::254 -j DROP" }));
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
    fn each_address() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall::default());
        assert_eq!(check(&CHECK, &facts).len(), 2);
        let chains = crate::packet::parse_iptables("*filter\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -d 169.254.169.254/32 -j DROP\nCOMMIT\n", "ip");
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall { chains, managers: vec![] });
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
