//! Few people should be able to leave the sandbox.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "elevated.senders",
    title: "too many senders may leave the sandbox",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1548"],
    cis: &["CIS Controls v8 5.4"],
    why: "Elevated commands run on the host, for everybody on the list.",
    openclaw: &["tools.elevated.allowFrom.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("tools.elevated.enabled") == Some(false) {
        return;
    }
    for (channel, list) in config.get("tools.elevated.allowFrom").and_then(Value::as_object).into_iter().flatten() {
        let list = strings(list);
        let key = format!("tools.elevated.allowFrom.{channel}");
        let path = ["tools", "elevated", "allowFrom", channel].map(str::to_owned).to_vec();
        if list.iter().any(|entry| entry == "*") {
            out.hit(key, "`*` allows everybody on this channel").severity(Level::Critical).fix(Fix::risky("name the people", "everybody else").set_at(path, Some(serde_json::json!([]))));
        } else if list.len() > 25 {
            out.hit(key, format!("{} senders", list.len())).severity(Level::Medium).fix(Fix::risky("keep those who need it", "everybody else"));
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
    fn everybody_and_many() {
        for bad in [json!({"tools":{"elevated":{"allowFrom":{"telegram":["*"]}}}}), json!({"tools":{"elevated":{"allowFrom":{"x":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26]}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"tools":{"elevated":{"enabled":false,"allowFrom":{"telegram":["*"]}}}}), json!({"tools":{"elevated":{"allowFrom":{"telegram":["1"]}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
