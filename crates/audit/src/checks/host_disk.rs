//! The state should be on an encrypted disk.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "host.disk",
    title: "the state lies on a disk that is not encrypted",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: Some(5),
    atlas: &[],
    attack: &["T1005"],
    cis: &["CIS Controls v8 3.11"],
    why: "A stolen disk, or a copy of a virtual one, has every token and transcript.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(disk) = out.need(&facts.host.disk) else { return };
    if !disk.encrypted {
        out.hit(disk.device.clone(), format!("{} without an encrypted layer that can be seen", disk.filesystem)).fix(Fix::risky("move the state to an encrypted volume", "the move; a provider's encryption below the machine is not visible here"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn layers_below() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.disk = crate::Fact::Known(crate::facts::Disk { encrypted: true, ..Default::default() });
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.disk = crate::Fact::Known(crate::facts::Disk::default());
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
