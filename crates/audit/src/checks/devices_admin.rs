//! Few devices should be administrators.

use crate::facts::Device;
use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "devices.admin",
    title: "several devices are administrators",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Team,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1078"],
    cis: &["CIS Controls v8 5.4"],
    why: "Each of them opens everything, also when it is lost.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    let admins: Vec<&Device> = state.devices.iter().filter(|device| device.scopes.iter().any(|scope| scope == "operator.admin")).collect();
    if admins.len() > 2 {
        out.hit("paired devices", format!("{} of {} have operator.admin: {}", admins.len(), state.devices.len(), admins.iter().take(8).map(|device| device.name.as_str()).collect::<Vec<_>>().join(", ")))
            .fix(Fix::risky("keep two, and take the scope from the others", "administration from those devices").run("seawall devices list"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn more_than_two() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.devices = vec![Device { scopes: vec!["operator.admin".into()], ..Device::default() }; 3]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
