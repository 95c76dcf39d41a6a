//! A skill's programs should be approved like any other.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "exec.approvals-skills",
    title: "programs of skills are approved unseen",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010"],
    attack: &["T1204"],
    cis: &["CIS Controls v8 2.7"],
    why: "A skill brings a program, and it runs on this host without a question.",
    openclaw: &["tools.exec.auto_allow_skills_enabled"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(state) = out.need(&facts.state) else { return };
    let Some(file) = state.as_ref().and_then(|state| state.approvals.as_ref()) else { return };
    let on = |value: Option<&Value>| value.and_then(|value| value.get("autoAllowSkills")) == Some(&Value::Bool(true));
    let mut places = Vec::new();
    if on(file.get("defaults")) {
        places.push("defaults".to_owned());
    }
    for (id, agent) in file.get("agents").and_then(Value::as_object).into_iter().flatten() {
        if on(Some(agent)) {
            places.push(format!("agents.{id}"));
        }
    }
    for place in places {
        out.hit(format!("exec approvals: {place}.autoAllowSkills"), "on").fix(Fix::risky("switch it off and approve programs one by one", "programs of skills that were never asked about").run("openclaw approvals get"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn everywhere_it_can_be_on() {
        let mut facts = given::config(json!({}));
        given::state(&mut facts, |state| state.approvals = Some(json!({ "defaults": { "autoAllowSkills": true }, "agents": { "a": { "autoAllowSkills": true }, "b": {} } })));
        assert_eq!(check(&CHECK, &facts).len(), 2);
        given::state(&mut facts, |state| state.approvals = None);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
