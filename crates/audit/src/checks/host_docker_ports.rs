//! Docker publishes ports past the host's own filter rules.

use crate::facts::{Container, Facts};
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
    for container in out.need(&facts.host.containers).into_iter().flatten() {
        judge(&format!("container {}", container.name), container, true, out);
    }
    for file in facts.host.compose.known().into_iter().flatten() {
        for service in &file.services {
            judge(&format!("{}: {}", file.path.display(), service.name), service, false, out);
        }
    }
}

fn judge(place: &str, container: &Container, certain: bool, out: &mut Out<'_>) {
    for port in container.ports.iter().filter(|port| port.exposed()) {
        let severity = if container.openclaw { Level::Critical } else { Level::Medium };
        let address = if port.address.is_empty() { "0.0.0.0" } else { &port.address };
        let outside = if port.port == 0 { "a port".to_owned() } else { port.port.to_string() };
        let hit = out.hit(place, format!("{address}:{outside} leads to port {}", port.inside)).severity(severity);
        let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
        hit.fix(Fix::risky("publish on loopback (`127.0.0.1:PORT:PORT`)", "clients on other machines"));
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
        let compose = crate::facts::Compose { path: "/c.yml".into(), services: vec![container("")], ..Default::default() };
        facts.host.compose = crate::Fact::Known(vec![compose]);
        assert_eq!(check(&CHECK, &facts).len(), 3);
    }

}
