//! Silenced findings should be known.

use crate::facts::Facts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "config.suppressions",
    title: "OpenClaw's own audit is told to keep silent",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: None,
    atlas: &[],
    attack: &["T1685"],
    cis: &[],
    why: "What is silenced once is forgotten; the risk stays.",
    openclaw: &["security.audit.suppressions.active"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for entry in config.get("security.audit.suppressions").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("(none)");
        out.hit("security.audit.suppressions", format!("`{}`, reason: {}", text("checkId"), text("reason")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn each_is_listed() {
        let bad = json!({"security":{"audit":{"suppressions":[{"checkId":"x"}]}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
