//! What listens should be what the configuration says.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::{bind, port};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.bind-mismatch",
    title: "the gateway listens elsewhere than its configuration says",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &[],
    attack: &["T1685"],
    cis: &["CIS Controls v8 4.1"],
    why: "Somebody changed one of the two, or another program has the port.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(listeners) = out.need(&facts.host.listeners) else { return };
    let Some(config) = out.need(&facts.config) else { return };
    let held: Vec<_> = listeners.iter().filter(|listener| listener.port == port(config)).collect();
    let wide = held.iter().any(|listener| listener.exposed());
    match bind(config) {
        "loopback" if wide => {
            out.hit("gateway.bind", "`loopback`, and the port is open on other addresses").severity(Level::High).fix(Fix::risky("restart the gateway, and see what else has the port", "connections that are open").run("ss -tlnp"));
        }
        "lan" if !held.is_empty() && !wide => {
            out.hit("gateway.bind", "`lan`, and only loopback listens: a restart will open the port").fix(Fix::safe("say what is meant").set("gateway.bind", "loopback"));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn both_directions() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "0.0.0.0".parse().unwrap(), port: 18789, uid: 0, process: Some("x[1]".into()) }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.host.listeners = crate::Fact::Known(vec![crate::facts::Listener { address: "127.0.0.1".parse().unwrap(), port: 18789, uid: 0, process: Some("x[1]".into()) }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.config = given::config(json!({ "gateway": { "bind": "lan" } })).config;
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
