//! In a group that is listed, only listed senders should give orders.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.group-senders",
    title: "every member of a group gives the agent orders",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0051.000"],
    attack: &["T1566"],
    cis: &["CIS Controls v8 6.1"],
    why: "New members of the group are let in with it.",
    openclaw: &["channels.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let state = facts.state.known().and_then(Option::as_ref);
    for account in accounts(config) {
        let groups = account.groups();
        let senders = account.list("groupAllowFrom");
        let name = account.name();
        let paired: Vec<&String> = state.into_iter().flat_map(|state| &state.senders).filter(|(key, _)| *key == &name || key.starts_with(&format!("{}/", account.channel))).flat_map(|(_, list)| list).collect();
        if senders.iter().any(|entry| entry == "*") || paired.iter().any(|entry| *entry == "*") {
            let rest: Vec<String> = senders.iter().filter(|entry| *entry != "*").cloned().collect();
            out.hit(account.key("groupAllowFrom"), "`*` lets every member give orders").fix(Fix::risky("name the senders by id", "everybody else").set_at(account.path("groupAllowFrom"), Some(rest.into())));
            continue;
        }
        if groups.is_empty() && account.group_policy() != "open" || account.group_policy() == "disabled" {
            continue;
        }
        let narrowed = groups.iter().any(|(_, map)| map.values().any(limits_senders));
        if senders.is_empty() && paired.is_empty() && !narrowed {
            out.hit(account.key("groupAllowFrom"), "groups are allowed, and no sender is listed").fix(Fix::risky("name the senders by id", "everybody else"));
        }
    }
}

/// Whether a group's own settings, or those of a room in it, name senders or roles.
fn limits_senders(group: &serde_json::Value) -> bool {
    ["allowFrom", "users", "roles"].iter().any(|key| group.get(key).is_some_and(|list| list.as_array().is_some_and(|list| !list.is_empty())))
        || ["channels", "topics", "rooms"].iter().any(|key| group.get(key).and_then(serde_json::Value::as_object).is_some_and(|map| map.values().any(limits_senders)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn wildcards_and_nothing() {
        for bad in [json!({"channels":{"telegram":{"groupAllowFrom":["*"]}}}), json!({"channels":{"telegram":{"groups":{"-1":{}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"channels":{"telegram":{"groups":{"-1":{}},"groupAllowFrom":["1"]}}}), json!({"channels":{"discord":{"guilds":{"1":{"users":["1"]}}}}}), json!({"channels":{"telegram":{}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
