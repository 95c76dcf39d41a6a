//! The list of known flaws should be recent.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::advisories::ADVISORIES;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "install.advisories",
    title: "the list of published flaws is old",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &["CIS Controls v8 7.1"],
    why: "A flaw that was published since is not looked for.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    if let Some(days) = ADVISORIES.age(facts.now).filter(|days| *days > ADVISORIES.stale_days) {
        out.hit("content/audit/advisories.toml", format!("last looked after {days} days ago, on {}", ADVISORIES.updated)).fix(Fix::safe("update Seawall"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn after_a_while() {
        let mut facts = given::config(json!({}));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.now = 4_000_000_000;
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
