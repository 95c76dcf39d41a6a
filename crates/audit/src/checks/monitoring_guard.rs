//! Somebody should watch what the agent does.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "monitoring.guard",
    title: "nothing watches what the agent does",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(11),
    atlas: &["AML.T0053"],
    attack: &["T1685"],
    cis: &["CIS Controls v8 13.1"],
    why: "A hijacked agent works for weeks before anybody notices.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(seawall) = out.need(&facts.seawall) else { return };
    match seawall {
        None => {
            out.hit("seawall", "Seawall does not run for this deployment").fix(Fix::safe("start it").run("seawall up"));
        }
        Some(status) => {
            for plane in status.get("planes").and_then(Value::as_array).into_iter().flatten() {
                let word = |key: &str| plane.get(key).and_then(Value::as_str).unwrap_or("?");
                if word("protection") != "full" {
                    out.hit(format!("seawall: {}", word("plane")), format!("protection is {}", word("protection"))).severity(Level::Medium).title("a part of Seawall does not protect fully")
                        .fix(Fix::safe("see what it lacks").run("seawall status"));
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
    fn full_planes_pass() {
        let mut facts = given::config(json!({}));
        facts.seawall = crate::Fact::Known(None);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.seawall = crate::Fact::Known(Some(json!({ "planes": [{ "plane": "hook", "protection": "full" }] })));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.seawall = crate::Fact::Known(Some(json!({ "planes": [{ "plane": "hook", "protection": "partial" }] })));
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
