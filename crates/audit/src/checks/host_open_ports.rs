//! Only ports that are needed should be open.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::port;
use crate::packet::{Fate, reach};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.open-ports",
    title: "ports are open to other machines",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(2),
    atlas: &[],
    attack: &["T1046", "T1190"],
    cis: &["CIS Controls v8 4.8"],
    why: "Each is a program that anybody on the network can talk to.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(listeners) = out.need(&facts.host.listeners) else { return };
    let Some(config) = out.need(&facts.config) else { return };
    let Some(firewall) = out.need(&facts.host.firewall) else { return };
    for listener in listeners.iter().filter(|listener| listener.exposed() && listener.port != port(config)) {
        let process = listener.process.as_deref().unwrap_or("an unknown process");
        if process.starts_with("sshd[") || (process.starts_with("systemd[") && listener.port == 22) {
            continue;
        }
        match reach(&firewall.chains, listener) {
            Fate::Dropped => {}
            fate => {
                out.hit(format!("{}:{}", listener.address, listener.port), format!("{process}; {}", if fate == Fate::Passes { "no rule stops a connection" } else { "it is unclear what the packet filter does" }))
                    .fix(Fix::risky("stop the program, bind it to loopback, or close the port", "clients on other machines"));
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
    fn what_the_filter_lets_through() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.firewall = crate::Fact::Known(crate::facts::Firewall::default());
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "0.0.0.0".parse().unwrap(), port: 22, uid: 0, process: Some("sshd[1]".into()) }, crate::facts::Listener { address: "0.0.0.0".parse().unwrap(), port: 5432, uid: 0, process: Some("postgres[2]".into()) }, crate::facts::Listener { address: "127.0.0.1".parse().unwrap(), port: 80, uid: 0, process: Some("x[3]".into()) }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
