//! In groups, the agent should only listen when it is called.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "channels.mention",
    title: "the agent reads everything in a group",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(8),
    atlas: &["AML.T0051.001"],
    attack: &["T1566"],
    cis: &[],
    why: "Each sentence of each member goes to the model, and may hold an instruction.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for account in accounts(config) {
        for (kind, map) in account.groups() {
            for (group, settings) in map {
                if settings.get("requireMention") == Some(&Value::Bool(false)) {
                    let mut path = account.path(kind);
                    path.extend([group.clone(), "requireMention".to_owned()]);
                    out.hit(path.join("."), "off").fix(Fix::risky("listen only when mentioned", "members who do not mention it").set_at(path, Some(true.into())));
                }
            }
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
    fn groups_that_switch_it_off() {
        let bad = json!({"channels":{"telegram":{"groups":{"*":{"requireMention":false}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"channels":{"telegram":{"groups":{"*":{"requireMention":true}}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
