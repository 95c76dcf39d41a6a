//! Everything should be looked at.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "files.truncated",
    title: "not every file was looked at",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "What was not looked at is not known to be fine.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(files) = out.need(&facts.files) else { return };
    if let Some(at) = &files.truncated {
        out.hit(at.display().to_string(), "more files than one look allows; the rest was left out").fix(Fix::safe("move data that is not the agent's out of the workspace"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn limits_show() {
        let mut facts = given::config(json!({}));
        given::files(&mut facts, vec![]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.files = crate::Fact::Known(crate::facts::Files { entries: vec![], truncated: Some("/w".into()) });
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
