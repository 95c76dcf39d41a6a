//! One gateway is one trust boundary.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "channels.multi-user",
    title: "people who may not trust each other share one gateway",
    severity: Level::Low,
    confidence: Confidence::Low,
    audience: Audience::Team,
    item: Some(8),
    atlas: &["AML.T0085"],
    attack: &["T1078"],
    cis: &["CIS Controls v8 3.3"],
    why: "OpenClaw is built for one operator: everybody who reaches the agent has what it has.",
    openclaw: &["security.trust_model.multi_user_heuristic"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let mut signs = Vec::new();
    for account in accounts(config) {
        if account.dm_policy() == "open" { signs.push(account.key(account.dm_key())); }
        if account.group_policy() == "open" { signs.push(account.key("groupPolicy")); }
        if account.group_policy() == "allowlist" && !account.groups().is_empty() { signs.push(format!("{} has groups", account.name())); }
        if account.allow_from().iter().chain(&account.list("groupAllowFrom")).any(|entry| entry == "*") { signs.push(format!("{} allows `*`", account.name())); }
    }
    if !signs.is_empty() {
        let loose = scope::running(config).iter().any(|scope| scope.sandbox() != "all" && !Policy::of(scope).left(&["exec", "process", "read", "write"]).is_empty());
        out.hit("channels", signs.join("; ")).severity(if loose { Level::Medium } else { Level::Low })
            .fix(Fix::risky("run one gateway for each group of people who trust each other", "people who move to another gateway"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn signs_of_several_people() {
        let bad = json!({"channels":{"telegram":{"groups":{"-1":{}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"channels":{"telegram":{"allowFrom":["1"]}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
