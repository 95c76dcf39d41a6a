//! A proposal for an allowlist, from what was refused.
//!
//! What an agent asked for is not what it should get: the proposal names every host exactly, per
//! agent, and leaves out what no rule could allow. A person reads it before it goes into a policy.

use crate::host::Host;
use seawall_model::Event;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Most destinations that are kept. A client that asks for more is not one to learn from.
const MAX_DESTINATIONS: usize = 2000;

/// What was refused, gathered.
#[derive(Debug, Default)]
pub struct Learner {
    wanted: BTreeMap<(String, u16), Wanted>,
    /// Refused for the sake of an address or by a deny rule: not proposed.
    never: BTreeMap<String, u64>,
    overflow: u64,
}

#[derive(Debug, Default)]
struct Wanted {
    count: u64,
    agents: BTreeSet<String>,
    /// Requests without an agent.
    anonymous: bool,
    zones: BTreeSet<String>,
    tunnel: bool,
    methods: BTreeSet<String>,
}

impl Learner {
    /// Takes an event of the log; others than refusals are passed over.
    pub fn take(&mut self, event: &Event) {
        if event.kind != "egress.refused" {
            return;
        }
        let detail = &event.detail;
        let text = |key: &str| detail.get(key).and_then(Value::as_str);
        let Some(host) = text("host") else { return };
        let Some(port) = detail.get("port").and_then(Value::as_u64).and_then(|p| p.try_into().ok())
        else {
            return;
        };
        match text("cause") {
            Some("no_rule" | "protocol") => {}
            Some(cause @ ("metadata" | "address" | "deny_rule")) => {
                *self.never.entry(format!("{host}:{port} ({cause})")).or_default() += 1;
                return;
            }
            _ => return,
        }
        // The log is data of another time; a host in it is read as strictly as in a request.
        if Host::parse(host).is_err() {
            return;
        }
        let key = (host.to_owned(), port);
        if !self.wanted.contains_key(&key) && self.wanted.len() >= MAX_DESTINATIONS {
            self.overflow += 1;
            return;
        }
        let wanted = self.wanted.entry(key).or_default();
        wanted.count += 1;
        match &event.agent_id {
            Some(agent) => {
                wanted.agents.insert(agent.clone());
            }
            None => wanted.anonymous = true,
        }
        // What the gateway asked for is not for its tool runs. A proxy alone has one zone only.
        let zone = text("zone").filter(|zone| ["gateway", "run"].contains(zone));
        wanted.zones.insert(zone.unwrap_or("local").to_owned());
        match text("method") {
            Some("CONNECT") | None => wanted.tunnel = true,
            Some(method) => {
                wanted.methods.insert(method.to_owned());
            }
        }
    }

    /// The proposal as TOML.
    #[must_use]
    pub fn proposal(&self) -> String {
        let mut out = String::from(
            "# Proposed from refusals. Each rule lets an agent send data to the host: keep those\n\
             # that its work needs, and delete the rest.\n",
        );
        let list = |items: &mut dyn Iterator<Item = &String>| {
            items.map(|s| toml::Value::from(s.as_str()).to_string()).collect::<Vec<_>>().join(", ")
        };
        for ((host, port), wanted) in &self.wanted {
            let _ = write!(
                out,
                "\n# asked for {} times\n[[rules]]\nname = {}\nhosts = [{}]\nports = [{port}]\n",
                wanted.count,
                toml::Value::from(shortened(&format!("{host}-{port}"))),
                toml::Value::from(host.as_str()),
            );
            if wanted.methods.is_empty() {
                out.push_str("protocols = [\"tls\"]\n");
            } else {
                out.push_str("protocols = [\"http\"]\n");
                if !wanted.tunnel {
                    let _ = writeln!(out, "methods = [{}]", list(&mut wanted.methods.iter()));
                }
            }
            if !wanted.zones.contains("local") {
                let _ = writeln!(out, "zones = [{}]", list(&mut wanted.zones.iter()));
            }
            if !wanted.anonymous {
                let _ = writeln!(out, "agents = [{}]", list(&mut wanted.agents.iter()));
            }
        }
        if !self.never.is_empty() {
            out.push_str("\n# Not proposed, because the address or a deny rule forbids it:\n");
            for (what, count) in &self.never {
                let _ = writeln!(out, "#   {what}, {count} times");
            }
        }
        if self.overflow > 0 {
            let _ = writeln!(
                out,
                "\n# {} more refusals for other hosts are left out: more than {MAX_DESTINATIONS} \
                 hosts were asked for.",
                self.overflow
            );
        }
        out
    }
}

/// Rule names end at 64 characters.
fn shortened(name: &str) -> String {
    let skip = name.chars().count().saturating_sub(64);
    name.chars().skip(skip).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EgressPolicy;
    use seawall_model::Plane;
    use serde_json::json;

    fn refused(agent: Option<&str>, host: &str, port: u16, method: &str, cause: &str) -> Event {
        let zone = if agent == Some("main") { "gateway" } else { "local" };
        let mut event = Event::new(1, Plane::Egress, "egress.refused", "").detail(json!({
            "host": host, "port": port, "method": method, "cause": cause, "zone": zone,
        }));
        event.agent_id = agent.map(Into::into);
        event
    }

    #[test]
    fn a_proposal_is_a_policy_that_allows_what_was_asked_and_no_more() {
        let mut learner = Learner::default();
        for event in [
            refused(Some("main"), "registry.test", 443, "CONNECT", "no_rule"),
            refused(Some("main"), "registry.test", 443, "CONNECT", "no_rule"),
            refused(Some("work"), "docs.test", 80, "GET", "no_rule"),
            refused(None, "169.254.169.254", 80, "GET", "metadata"),
            refused(None, "x\"]\n[[rules]]", 80, "GET", "no_rule"),
            refused(None, "a.test", 80, "GET", "unidentified"),
        ] {
            learner.take(&event);
        }
        let proposal = learner.proposal();
        insta::assert_snapshot!(proposal, @r#"
        # Proposed from refusals. Each rule lets an agent send data to the host: keep those
        # that its work needs, and delete the rest.

        # asked for 1 times
        [[rules]]
        name = "docs.test-80"
        hosts = ["docs.test"]
        ports = [80]
        protocols = ["http"]
        methods = ["GET"]
        agents = ["work"]

        # asked for 2 times
        [[rules]]
        name = "registry.test-443"
        hosts = ["registry.test"]
        ports = [443]
        protocols = ["tls"]
        zones = ["gateway"]
        agents = ["main"]

        # Not proposed, because the address or a deny rule forbids it:
        #   169.254.169.254:80 (metadata), 1 times
        "#);
        let policy = EgressPolicy::from_toml(&proposal).unwrap();
        assert_eq!(policy.rules.len(), 2);
    }
}
