//! SSH should be open to few, and away from the usual port.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "ssh.reach",
    title: "everybody may try to log in over SSH",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(3),
    atlas: &[],
    attack: &["T1021.004", "T1110"],
    cis: &["CIS Controls v8 4.4"],
    why: "A new flaw of sshd is tried on port 22 of every address within hours.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(sshd)) = out.need(&facts.host.sshd) else { return };
    if !sshd.running {
        return;
    }
    let restricted = ["allowusers", "allowgroups"].iter().any(|keyword| sshd.get(keyword).is_some_and(|value| !value.is_empty()));
    if !restricted {
        out.hit("sshd: allowusers", "any account may try").fix(Fix::risky("name who may log in", "accounts that are not named").run("seawall harden host sshd --apply --allow-user $USER"));
    }
    if sshd.settings.get("port").is_some_and(|ports| ports.iter().any(|port| port == "22")) {
        out.hit("sshd: port", "22").severity(Level::Info).fix(Fix::risky("another port has fewer visitors; it stops nobody who looks", "clients that use port 22"));
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
        facts.host.sshd = sshd(&[("port", "22")]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
        facts.host.sshd = sshd(&[("port", "2222"), ("allowusers", "ann")]);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
