//! A configuration that nothing can be read from.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "config.broken",
    title: "the configuration cannot be used",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &["CIS Controls v8 4.1"],
    why: "The gateway does not start with it, or goes on with what it read before: what the file says does not hold.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    if let Some(why) = &facts.broken {
        out.hit(facts.place.config_path.display().to_string(), why.clone())
            .fix(Fix::risky("repair it at the place that is named", "nothing that works now").run("openclaw config validate".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn said_once_and_only_then() {
        let mut facts = given::config(json!({}));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.broken = Some("a.json:1:2: no".into());
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }
}
