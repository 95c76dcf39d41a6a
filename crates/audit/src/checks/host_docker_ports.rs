//! Docker publishes ports past the host's own filter rules.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.docker-ports",
    title: "a container publishes a port to other machines",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(2),
    atlas: &[],
    attack: &["T1190", "T1610"],
    cis: &["CIS Docker Benchmark v1.6 5.14"],
    why: "Docker's own rules come first: ufw shows the port closed, and it is open.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(containers) = out.need(&facts.host.containers) else { return };
    for container in containers {
        for port in container.ports.iter().filter(|port| port.exposed()) {
            let severity = if container.openclaw { Level::Critical } else { Level::Medium };
            out.hit(format!("container {}", container.name), format!("{}:{} leads to port {}", if port.address.is_empty() { "0.0.0.0" } else { &port.address }, port.port, port.inside)).severity(severity)
                .fix(Fix::risky("publish on loopback (`127.0.0.1:PORT:PORT`)", "clients on other machines"));
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
    fn addresses_count() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        let container = |address: &str| crate::facts::Container { ports: vec![crate::facts::Published { address: address.into(), port: 1, inside: 1 }], ..Default::default() };
        facts.host.containers = crate::Fact::Known(vec![container("127.0.0.1"), container("0.0.0.0"), container("")]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
    }

}
