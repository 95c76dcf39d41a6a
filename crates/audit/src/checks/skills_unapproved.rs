//! Somebody should have looked at each skill.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "skills.unapproved",
    title: "skills that nobody approved",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010", "AML.T0051.001"],
    attack: &["T1204"],
    cis: &["CIS Controls v8 2.7"],
    why: "A skill is text that the model obeys and programs that it runs.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(content) = out.need(&facts.content) else { return };
    let open: Vec<&str> = content.skills.iter().filter(|skill| !skill.approved).map(|skill| skill.name.as_str()).collect();
    if !open.is_empty() {
        let some = open.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        out.hit("skills", format!("{} of {} skills: {some}{}", open.len(), content.skills.len(), if open.len() > 10 { " ..." } else { "" })).fix(Fix::safe("scan and decide").run("seawall skill scan all"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn approved_ones_pass() {
        let mut facts = given::config(json!({}));
        let approved = crate::facts::Skill { approved: true, ..Default::default() };
        facts.content = crate::Fact::Known(crate::facts::Content { skills: vec![approved.clone()], ..Default::default() });
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.content = crate::Fact::Known(crate::facts::Content { skills: vec![approved, Default::default()], ..Default::default() });
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
