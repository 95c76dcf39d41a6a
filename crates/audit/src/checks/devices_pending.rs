//! Pairing requests should be answered.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "devices.pending",
    title: "a pairing request waits",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1098"],
    cis: &["CIS Controls v8 6.1"],
    why: "A request that nobody made on purpose is an attempt to get in; one that stays is approved by mistake later.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    for request in &state.pending {
        out.hit(format!("device request {}", request.id), format!("`{}` from {} asks for {}, since {} minutes", request.name, request.from, if request.scopes.is_empty() { "no scopes".into() } else { request.scopes.join(", ") }, (facts.now - request.since) / 60))
            .fix(Fix::risky("reject what you did not start yourself", "that device").run_on("openclaw devices reject", &request.id));
    }
    for request in &state.senders_pending {
        out.hit(format!("sender request on {}", request.from), format!("`{}` asks to write to the agent", request.name)).severity(Level::Low)
            .fix(Fix::risky("approve or ignore it", "that sender").run("openclaw pairing list"));
    }
    if state.join_codes > 0 {
        out.hit("setup codes", format!("{} codes can still be used to pair a device", state.join_codes)).severity(Level::Low)
            .fix(Fix::risky("let them expire", "devices that wait for a code").run("openclaw devices list"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn devices_senders_and_codes() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| { state.pending = vec![crate::facts::Pending::default()]; state.senders_pending = vec![crate::facts::Pending::default()]; state.join_codes = 1; });
        assert_eq!(check(&CHECK, &facts).len(), 3);
    }

}
