//! Credentials get old: API keys are due monthly, SSH keys yearly, the gateway's token after changes.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use crate::rotation::due;
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "secrets.rotation",
    title: "a credential is due for rotation",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: Some(5),
    atlas: &["AML.T0012"],
    attack: &["T1078"],
    cis: &[],
    why: "What leaked once, unseen, works for as long as it is not replaced.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(ledger) = out.need(&facts.rotation) else { return };
    let Some(credentials) = ledger else {
        out.hit("rotation.json", "nobody keeps track of the age of credentials")
            .title("nothing reminds of credentials to rotate")
            .fix(
                Fix::safe("keep track of their age, and be reminded weekly")
                    .run("seawall harden rotation")
                    .run("sudo seawall harden host reminder --apply"),
            );
        return;
    };
    for credential in credentials {
        if let Some(why) = due(credential, facts.now) {
            out.hit(credential.name.clone(), why).fix(Fix::risky(
                format!("make a new {}, put it in place, revoke the old one", credential.kind.name()),
                "whatever still uses the old one",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::facts::{Credential, CredentialKind, Fact};
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn old_ones_are_due_and_young_ones_are_not() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.rotation = Fact::Known(None);
        assert_eq!(check(&CHECK, &facts)[0].title, "nothing reminds of credentials to rotate");
        let aged = |days: i64| Credential {
            name: "models.providers.x.apiKey".into(),
            kind: CredentialKind::Api,
            since: 1_000_000_000 - days * 86_400,
            changed: false,
        };
        facts.rotation = Fact::Known(Some(vec![aged(29)]));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.rotation = Fact::Known(Some(vec![aged(31), aged(2)]));
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }
}
