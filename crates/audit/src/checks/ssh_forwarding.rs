//! SSH should not be a way around the network's limits.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "ssh.forwarding",
    title: "SSH forwards connections and agents",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(3),
    atlas: &[],
    attack: &["T1021.004", "T1110"],
    cis: &["CIS Controls v8 4.8"],
    why: "A login becomes a tunnel to the gateway's loopback port, and a forwarded agent signs for whoever is root here.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(sshd)) = out.need(&facts.host.sshd) else { return };
    if !sshd.running {
        return;
    }
    for (keyword, bad) in [("allowagentforwarding", "yes"), ("x11forwarding", "yes"), ("gatewayports", "yes"), ("permittunnel", "yes")] {
        if sshd.get(keyword) == Some(bad) {
            out.hit(format!("sshd: {keyword}"), bad).fix(Fix::risky("switch it off", "who uses it").run("seawall harden host sshd --apply"));
        }
    }
    if sshd.get("maxauthtries").and_then(|tries| tries.parse::<u32>().ok()).is_some_and(|tries| tries > 6) {
        out.hit("sshd: maxauthtries", "more than 6").fix(Fix::safe("allow four").run("seawall harden host sshd --apply"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn effective_settings() {
        let sshd = |pairs: &[(&str, &str)]| crate::Fact::Known(Some(crate::facts::Sshd {
            settings: pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
            running: true, exceptions: crate::Fact::Known(vec![])
        }));
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.sshd = sshd(&[("x11forwarding", "yes"), ("maxauthtries", "20")]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
        facts.host.sshd = sshd(&[("x11forwarding", "no")]);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
