//! Skills should stay where they were looked at.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "skills.escape",
    title: "a skill is a link to somewhere else",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010"],
    attack: &["T1036"],
    cis: &["CIS Controls v8 2.7"],
    why: "Its text can change without anything in the workspace changing.",
    openclaw: &["skills.workspace.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(content) = out.need(&facts.content) else { return };
    for skill in &content.skills {
        if let Some(target) = &skill.escapes {
            out.hit(skill.path.display().to_string(), format!("leads to {}", target.display())).fix(Fix::risky("put the real files there", "a skill that is shared by links"));
        }
    }
    if let Some(dir) = &content.truncated {
        out.hit(dir.display().to_string(), "too many folders: the rest was not looked at").severity(Level::Low).title("not all skills were looked at")
            .fix(Fix::safe("keep skills in few folders"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn links_and_limits() {
        let mut facts = given::config(json!({}));
        let skill = crate::facts::Skill { escapes: Some("/etc".into()), ..Default::default() };
        facts.content = crate::Fact::Known(crate::facts::Content { skills: vec![skill, Default::default()], truncated: Some("/w".into()), ..Default::default() });
        assert_eq!(check(&CHECK, &facts).len(), 2);
    }

}
