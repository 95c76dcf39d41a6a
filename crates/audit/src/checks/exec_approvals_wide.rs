//! An approval should name one program.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::interpreters::{interpreter, name};
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "exec.approvals-wide",
    title: "a standing approval covers more than one program",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 2.7"],
    why: "What was meant for one command lets every other one through.",
    openclaw: &["tools.exec.allowlist_interpreter_without_strict_inline_eval"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let Some(state) = out.need(&facts.state) else { return };
    let Some(file) = state.as_ref().and_then(|state| state.approvals.as_ref()) else { return };
    for (id, agent) in file.get("agents").and_then(Value::as_object).into_iter().flatten() {
        let strict = scope::agents(config).iter().find(|scope| scope.id == Some(id)).and_then(|scope| scope.own("tools.exec.strictInlineEval")).or_else(|| config.get("tools.exec.strictInlineEval")) == Some(&Value::Bool(true));
        for entry in agent.get("allowlist").and_then(Value::as_array).into_iter().flatten() {
            let pattern = entry.get("pattern").and_then(Value::as_str).unwrap_or_default();
            let place = format!("exec approvals: agents.{id}.allowlist");
            if matches!(pattern.trim(), "*" | "**" | "/**" | "/*" | "/usr/bin/*" | "/bin/*" | "**/*") {
                out.hit(place, format!("`{pattern}` matches every program")).severity(Level::Critical)
                    .fix(Fix::risky("name single programs", "commands that ran unasked").run("openclaw approvals allowlist remove"));
            } else if !strict && interpreter(&name(pattern)) {
                out.hit(place, format!("`{pattern}` runs any code given in its arguments"))
                    .fix(Fix::risky("ask again for code in arguments", "one-line scripts that ran unasked").set("tools.exec.strictInlineEval", true));
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
    fn everything_and_interpreters() {
        let mut facts = given::config(json!({}));
        given::state(&mut facts, |state| state.approvals = Some(json!({ "agents": { "main": { "allowlist": [{ "pattern": "/usr/bin/python3" }, { "pattern": "*" }, { "pattern": "/usr/bin/ls" }] } } })));
        assert_eq!(check(&CHECK, &facts).len(), 2);
        let strict = given::config(json!({ "tools": { "exec": { "strictInlineEval": true } } }));
        facts.config = strict.config;
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
