//! Somebody should have looked at each pairing.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "devices.silent",
    title: "a device was paired without anybody looking",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Team,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1098"],
    cis: &["CIS Controls v8 6.1"],
    why: "A local program, or a command of the agent, can pair itself that way.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    for device in state.devices.iter().filter(|device| matches!(device.via.as_str(), "silent" | "local" | "auto" | "trusted-proxy")) {
        out.hit(format!("device {}", device.id), format!("`{}` was approved by `{}`, from {}", device.name, device.via, if device.remote.is_empty() { "this host" } else { &device.remote }))
            .fix(Fix::risky("remove it if you do not know it", "that device").run_on("seawall devices revoke", &device.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn by_the_way_they_came() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.devices = vec![crate::facts::Device { via: "silent".into(), ..crate::facts::Device::default() }, crate::facts::Device { via: "operator".into(), ..crate::facts::Device::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
