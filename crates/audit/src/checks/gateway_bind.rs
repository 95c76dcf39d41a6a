//! `gateway.bind` should keep the gateway on the host's loopback.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.bind",
    title: "the gateway listens beyond the host's loopback",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049"],
    attack: &["T1190", "T1133"],
    cis: &["CIS Controls v8 4.4"],
    why: "Everyone who reaches the port can try tokens, and a flaw in the gateway is one packet away.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let bind = config.str("gateway.bind").unwrap_or("loopback");
    if bind != "loopback" {
        out.hit("gateway.bind", format!("gateway.bind is `{bind}`")).fix(
            Fix::risky(
                "bind to loopback and come in through the door, a VPN or a reverse proxy",
                "clients that connect to this host's other addresses",
            )
            .set("gateway.bind", "loopback"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn only_loopback_passes() {
        assert!(check(&CHECK, &given::config(json!({ "gateway": { "bind": "loopback" } }))).is_empty());
        for bind in ["lan", "auto", "tailnet", "custom"] {
            let found = check(&CHECK, &given::config(json!({ "gateway": { "bind": bind } })));
            assert!(found[0].evidence.contains(bind));
        }
    }
}
