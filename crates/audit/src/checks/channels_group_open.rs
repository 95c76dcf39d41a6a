//! In groups, only known people should give orders.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.group-open",
    title: "everybody in any group gives the agent orders",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0051.000"],
    attack: &["T1566"],
    cis: &["CIS Controls v8 6.1"],
    why: "A group can be made by anybody who adds the bot.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for account in accounts(config) {
        if account.group_policy() == "open" {
            out.hit(account.key("groupPolicy"), "`open`").title(format!("everybody in any group gives orders on {}", account.name()))
                .fix(Fix::risky("list groups and senders", "people who are not listed").set_at(account.path("groupPolicy"), Some("allowlist".into())));
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
    fn by_account_and_default() {
        for bad in [json!({"channels":{"telegram":{"groupPolicy":"open"}}}), json!({"channels":{"defaults":{"groupPolicy":"open"},"slack":{}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"channels":{"telegram":{}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
