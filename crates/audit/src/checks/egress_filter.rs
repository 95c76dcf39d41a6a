//! Only known destinations should be reachable.

use crate::checks::egress_user::{guarded, user};
use crate::facts::Facts;
use crate::facts::Unknown;
use crate::finding::Fix;
use crate::packet::{Fate, Packet, fate};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "egress.filter",
    title: "the agent reaches any address",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(13),
    atlas: &["AML.T0086"],
    attack: &["T1048", "T1567"],
    cis: &["CIS Controls v8 13.4"],
    why: "What it reads can be sent anywhere.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    if guarded(facts) {
        return;
    }
    let Some(firewall) = out.need(&facts.host.firewall) else { return };
    let Some(user) = user(facts) else {
        out.blind(&Unknown { reason: "it is not known which user runs the gateway".into(), command: "openclaw gateway run, then seawall audit".into() });
        return;
    };
    for (family, to, from) in [("IPv4", "203.0.113.77", "192.0.2.1"), ("IPv6", "2001:db8:1::77", "2001:db8::1")] {
        let (Ok(to), Ok(from)) = (to.parse(), from.parse()) else { continue };
        let packet = Packet { to, from, port: 443, user: Some(user) };
        match fate(&firewall.chains, "output", &packet) {
            Fate::Dropped => {}
            Fate::Passes => {
                out.hit(format!("user {user}, {family}"), "no rule stops a connection to an unknown address").fix(Fix::risky("let Seawall be the only way out, or deny by user id", "destinations that no rule allows").run("seawall up"));
            }
            Fate::Unclear => out.blind(&Unknown { reason: format!("the rules for {family} have conditions that are not understood"), command: "nft list ruleset".into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use crate::facts::FileKind;
    use serde_json::json;

    #[test]
    fn rules_or_seawall() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall::default());
        given::files(&mut facts, vec![given::file("/s", FileKind::StateDir, 0o700, &[])]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
        facts.seawall = crate::Fact::Known(Some(json!({ "planes": [{ "plane": "egress", "protection": "full" }] })));
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
