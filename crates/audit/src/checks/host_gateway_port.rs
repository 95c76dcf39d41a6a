//! The gateway's port should not be open to other machines, whatever the configuration says.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::port;
use crate::packet::{Fate, reach};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.gateway-port",
    title: "the gateway's port is open to other machines",
    severity: Level::Critical,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049"],
    attack: &["T1190", "T1133"],
    cis: &["CIS Controls v8 4.4"],
    why: "The configuration says what was meant; the socket says what is.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(listeners) = out.need(&facts.host.listeners) else { return };
    let Some(config) = out.need(&facts.config) else { return };
    let port = port(config);
    for listener in listeners.iter().filter(|listener| listener.port == port && listener.exposed()) {
        let fate = facts.host.firewall.known().map(|firewall| reach(&firewall.chains, listener));
        let (severity, filter) = match fate {
            Some(Fate::Dropped) => (Level::Medium, "the packet filter drops connections to it"),
            Some(Fate::Passes) => (Level::Critical, "no rule of the packet filter stops a connection to it"),
            Some(Fate::Unclear) => (Level::High, "it is unclear what the packet filter does"),
            None => (Level::High, "the packet filter could not be read"),
        };
        out.hit(format!("{}:{}", listener.address, listener.port), format!("held by {}; {filter}", listener.process.as_deref().unwrap_or("an unknown process"))).severity(severity)
            .fix(Fix::risky("bind the gateway to loopback", "clients on other machines").set("gateway.bind", "loopback"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn what_listens_counts() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "127.0.0.1".parse().unwrap(), port: 18789, uid: 0, process: Some("node[1]".into()) }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "0.0.0.0".parse().unwrap(), port: 18789, uid: 0, process: Some("node[1]".into()) }]);
        assert_eq!(check(&CHECK, &facts)[0].severity, Level::High);
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall::default());
        assert_eq!(check(&CHECK, &facts)[0].severity, Level::Critical);
    }

}
