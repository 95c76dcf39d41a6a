//! Each sender should have a session of his own.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.shared-session",
    title: "several senders share one session",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0085"],
    attack: &["T1005"],
    cis: &["CIS Controls v8 3.3"],
    why: "What one person told the agent, another can ask it for.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let scope = config.str("session.dmScope").unwrap_or("main");
    if scope != "main" && config.str("session.scope") != Some("global") {
        return;
    }
    let state = facts.state.known().and_then(Option::as_ref);
    let mut senders = 0;
    let mut anybody = false;
    for account in accounts(config) {
        if account.dm_policy() == "disabled" {
            continue;
        }
        let list = account.allow_from();
        anybody |= account.dm_policy() == "open" || list.iter().any(|entry| entry == "*");
        senders += list.iter().filter(|entry| *entry != "*").count();
    }
    senders += state.map_or(0, |state| state.senders.values().map(Vec::len).sum());
    if anybody || senders > 1 {
        out.hit("session.dmScope", format!("`{scope}`: {} write into the main session", if anybody { "all senders".to_owned() } else { format!("{senders} senders") }))
            .severity(if anybody { Level::High } else { Level::Medium })
            .fix(Fix::risky("give each sender a session", "a conversation that went on across channels").set("session.dmScope", "per-account-channel-peer"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn more_than_one_sender() {
        for bad in [json!({"channels":{"telegram":{"allowFrom":["1","2"]}}}), json!({"channels":{"telegram":{"dmPolicy":"open","allowFrom":["*"]}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"channels":{"telegram":{"allowFrom":["1"]}}}), json!({"session":{"dmScope":"per-channel-peer"},"channels":{"telegram":{"allowFrom":["1","2"]}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
