//! Devices that nobody uses should not stay paired.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "devices.stale",
    title: "a paired device has not been used for long",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1078"],
    cis: &["CIS Controls v8 5.3"],
    why: "A lost or sold device still opens the gateway.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    for device in &state.devices {
        let days = (facts.now - device.seen.max(device.approved)) / 86_400;
        if days > 90 {
            out.hit(format!("device {}", device.id), format!("`{}` was last seen {days} days ago", device.name)).fix(Fix::risky("remove it", "that device").run_on("seawall devices revoke", &device.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use crate::facts::Device;
    use serde_json::json;

    #[test]
    fn ninety_days() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.devices = vec![Device { id: "a".into(), approved: 900_000_000, ..Device::default() }, Device { id: "b".into(), seen: 999_990_000, ..Device::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
