//! What to do in an incident should be written down before it happens.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "incident.playbook",
    title: "no incident playbook was found",
    severity: Level::Medium,
    confidence: Confidence::Low,
    audience: Audience::Production,
    item: Some(14),
    atlas: &[],
    attack: &[],
    cis: &["CIS Controls v8 17.4"],
    why: "In the first hour, people delete what they should keep and keep running what they should stop.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(playbook) = out.need(&facts.host.playbook) else { return };
    if playbook.is_none() {
        out.hit("incident playbook", "no INCIDENT.md or playbook in the state folder, the workspace or /etc/seawall")
            .fix(Fix::safe("write one: whom to call, how to stop the gateway, what to keep, which keys to rotate"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn a_file_passes() {
        let mut facts = given::config(json!({}));
        facts.host.playbook = crate::Fact::Known(None);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.host.playbook = crate::Fact::Known(Some("/s/INCIDENT.md".into()));
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
