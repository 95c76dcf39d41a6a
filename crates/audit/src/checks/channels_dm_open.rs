//! Strangers should not give the agent orders.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.dm-open",
    title: "anybody may write to the agent",
    severity: Level::Critical,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0051.000"],
    attack: &["T1566"],
    cis: &["CIS Controls v8 6.1"],
    why: "Every stranger talks to a model that has your tools.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for account in accounts(config) {
        if account.dm_policy() != "open" {
            continue;
        }
        let key = account.dm_key();
        let star = account.allow_from().iter().any(|entry| entry == "*");
        let evidence = if star { "`open`".to_owned() } else { "`open`, and allowFrom has no `*`: what is meant is unclear".into() };
        out.hit(account.key(key), evidence).title(format!("anybody may write to the agent on {}", account.name()))
            .fix(Fix::risky("let new senders ask for a pairing", "senders who are not paired").set_at(account.path(key), Some("pairing".into())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn per_account() {
        for bad in [json!({"channels":{"telegram":{"dmPolicy":"open","allowFrom":["*"]}}}), json!({"channels":{"x":{"accounts":{"a":{"dmPolicy":"open"}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"channels":{"telegram":{"dmPolicy":"allowlist"}}}), json!({})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
