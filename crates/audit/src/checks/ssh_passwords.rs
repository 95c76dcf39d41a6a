//! SSH should take keys only.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "ssh.passwords",
    title: "SSH takes passwords",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(3),
    atlas: &[],
    attack: &["T1021.004", "T1110"],
    cis: &["CIS Controls v8 4.6"],
    why: "Machines on the internet try millions of passwords.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(sshd)) = out.need(&facts.host.sshd) else { return };
    if !sshd.running {
        return;
    }
    for who in out.need(&sshd.exceptions).into_iter().flatten() {
        let hit = out.hit("sshd: Match", format!("passwords are taken from {who}"));
        let hit = if who.starts_with("perhaps") { hit.severity(Level::Low).confidence(Confidence::Low) } else { hit };
        hit.fix(Fix::risky("take the exception out", "logins with a password"));
    }
    for keyword in ["passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords"] {
        if sshd.get(keyword) == Some("yes") {
            out.hit(format!("sshd: {keyword}"), "yes").severity(if keyword == "permitemptypasswords" { Level::Critical } else { Level::High })
                .fix(Fix::risky("take keys only, after you have logged in with one", "logins with a password").run("seawall harden host sshd --apply"));
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
    fn effective_settings() {
        let sshd = |pairs: &[(&str, &str)]| crate::Fact::Known(Some(crate::facts::Sshd {
            settings: pairs.iter().map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()])).collect(),
            running: true, exceptions: crate::Fact::Known(vec![])
        }));
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.sshd = sshd(&[("passwordauthentication", "yes")]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        let mut bob = sshd(&[("passwordauthentication", "no")]);
        if let crate::Fact::Known(Some(sshd)) = &mut bob {
            sshd.exceptions = crate::Fact::Known(vec!["bob (`Match User bob`)".into()]);
        }
        facts.host.sshd = bob;
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.host.sshd = sshd(&[("passwordauthentication", "no")]);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
