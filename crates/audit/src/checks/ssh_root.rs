//! Root should not log in over SSH.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "ssh.root",
    title: "root logs in over SSH",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(3),
    atlas: &[],
    attack: &["T1021.004", "T1110"],
    cis: &["CIS Controls v8 5.4"],
    why: "A stolen key is root at once, and nobody sees who it was.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(sshd)) = out.need(&facts.host.sshd) else { return };
    if !sshd.running {
        return;
    }
    match sshd.get("permitrootlogin") {
        Some("yes") => {
            out.hit("sshd: permitrootlogin", "yes").severity(Level::High).fix(Fix::risky("log in as yourself and use sudo", "logins as root").run("seawall harden host sshd --apply"));
        }
        Some("prohibit-password" | "without-password") => {
            out.hit("sshd: permitrootlogin", "with a key").severity(Level::Low).fix(Fix::risky("log in as yourself and use sudo", "logins as root").run("seawall harden host sshd --apply"));
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
    fn effective_settings() {
        let sshd = |pairs: &[(&str, &str)]| crate::Fact::Known(Some(crate::facts::Sshd {
            settings: pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
            running: true, exceptions: crate::Fact::Known(vec![])
        }));
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.sshd = sshd(&[("permitrootlogin", "yes")]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.host.sshd = sshd(&[("permitrootlogin", "no")]);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
