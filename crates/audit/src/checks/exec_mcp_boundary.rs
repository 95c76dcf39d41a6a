//! A list of skills does not keep commands from MCP servers.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "exec.mcp-boundary",
    title: "commands reach MCP servers that the skill list leaves out",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1078"],
    cis: &["CIS Controls v8 6.8"],
    why: "exec on the host can start any client and use every server's rights.",
    openclaw: &["tools.exec.agent_skill_mcp_boundary_drift", "tools.exec.mcporter_registry_inspection_incomplete"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let limited: Vec<String> = scope::scopes(config).iter().filter(|scope| {
        let listed = scope.inherited("skills").is_some();
        let host = scope.exec_host() != "sandbox" && scope.sandbox() == "off" || matches!(scope.exec_host(), "gateway" | "node");
        listed && host && scope.exec_security() != Some("deny")
    }).map(|scope| scope.id.unwrap_or("defaults").to_owned()).collect();
    if limited.is_empty() {
        return;
    }
    let mut servers: Vec<String> = config.get("mcp.servers").and_then(Value::as_object).into_iter().flatten().filter(|(_, server)| server.get("enabled") != Some(&Value::Bool(false))).map(|(name, _)| name.clone()).collect();
    if let Some(content) = out.need(&facts.content) {
        match &content.mcporter {
            Some(Ok(names)) => servers.extend(names.iter().cloned()),
            Some(Err(why)) => {
                out.hit("skills/config/mcporter.json", format!("cannot be looked at: {why}")).title("the registry of MCP servers cannot be read")
                    .fix(Fix::safe("repair or remove it"));
            }
            None => {}
        }
    }
    if !servers.is_empty() {
        out.hit("agents.*.skills", format!("agents with a skill list and exec on the host: {}; servers they reach: {}", limited.join(", "), servers.join(", ")))
            .fix(Fix::risky("run their commands in a sandbox", "commands that need the host").set("agents.defaults.sandbox.mode", "all"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn a_list_a_host_and_a_server() {
        let drift = json!({ "agents": { "defaults": { "skills": ["a"] } }, "mcp": { "servers": { "x": {} } } });
        let mut facts = given::config(drift);
        facts.content = crate::Fact::Known(crate::facts::Content::default());
        assert_eq!(check(&CHECK, &facts).len(), 1);
        let mut broken = given::config(json!({ "agents": { "defaults": { "skills": [] } } }));
        broken.content = crate::Fact::Known(crate::facts::Content { mcporter: Some(Err("not JSON".into())), ..Default::default() });
        assert_eq!(check(&CHECK, &broken).len(), 1);
        assert_eq!(check(&CHECK, &given::config(json!({}))), vec![]);
    }

}
