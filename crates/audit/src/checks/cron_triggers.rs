//! Scripts should not decide when the agent wakes.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "cron.triggers",
    title: "scripts may start runs by themselves",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1053.003"],
    cis: &["CIS Controls v8 4.8"],
    why: "A trigger runs commands again and again, with no model turn that anybody sees.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("cron.enabled") != Some(false) && config.bool("cron.triggers.enabled") != Some(false) {
        out.hit("cron.triggers.enabled", "on, which is the default").fix(Fix::risky("switch script triggers off", "jobs with a trigger").set("cron.triggers.enabled", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn on_by_default() {
        let bad = json!({});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({"cron":{"enabled":false}}), json!({"cron":{"triggers":{"enabled":false}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
