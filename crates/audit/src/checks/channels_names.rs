//! People should be listed by an id that they cannot change.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::openclaw::channels::is_mutable_name;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "channels.names",
    title: "people are listed by names that somebody else can take",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0012"],
    attack: &["T1036", "T1684.001"],
    cis: &["CIS Controls v8 6.1"],
    why: "Who takes over or imitates the name is let in; in most channels such an entry lets nobody in.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for account in accounts(config) {
        for key in ["allowFrom", "dm.allowFrom", "groupAllowFrom"] {
            let names: Vec<String> = account.list(key).into_iter().filter(|entry| is_mutable_name(&account.channel, entry) == Some(true)).collect();
            if !names.is_empty() {
                out.hit(account.key(key), format!("no ids: {}", names.iter().take(5).cloned().collect::<Vec<_>>().join(", "))).fix(Fix::risky("replace names by ids; ask the sender to pair, which stores the id", "senders whose id is not listed"));
            }
        }
        if account.settings.get("dangerouslyAllowNameMatching") == Some(&Value::Bool(true)) {
            out.hit(account.key("dangerouslyAllowNameMatching"), "names let people in").severity(Level::High)
                .fix(Fix::risky("list ids and switch it off", "senders who are listed by name").set_at(account.path("dangerouslyAllowNameMatching"), None));
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
    fn names_and_the_switch() {
        for bad in [json!({"channels":{"telegram":{"allowFrom":["@me"]}}}), json!({"channels":{"discord":{"dangerouslyAllowNameMatching":true}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"channels":{"telegram":{"allowFrom":["123","*"]},"irc":{"allowFrom":["bob"]}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
