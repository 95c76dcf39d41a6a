//! Agents should not read each other's sessions.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::open_policies;
use crate::openclaw::scope;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "sessions.cross-agent",
    title: "agents read and write each other's sessions",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: Some(4),
    atlas: &["AML.T0085"],
    attack: &["T1005"],
    cis: &["CIS Controls v8 3.3"],
    why: "The agent for strangers reads what the agent for you was told.",
    openclaw: &["security.trust_model.cross_agent_session_access_default"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let agents = scope::agents(config);
    let visible = matches!(config.str("tools.sessions.visibility"), None | Some("all"));
    let open = config.bool("tools.agentToAgent.enabled") != Some(false) && config.strings("tools.agentToAgent.allow").is_empty();
    if agents.len() < 2 || !visible || !open {
        return;
    }
    let unclamped = config.str("agents.defaults.sandbox.sessionToolsVisibility") == Some("all");
    let reach: Vec<&str> = agents.iter().filter(|agent| (agent.sandbox() != "all" || unclamped) && !Policy::of(agent).left(&["sessions_list", "sessions_history", "sessions_search", "sessions_send", "session_status"]).is_empty()).filter_map(|agent| agent.id).collect();
    if !reach.is_empty() {
        out.hit("tools.sessions.visibility", format!("`all`, which is the default: {} reach the sessions of every agent", reach.join(", ")))
            .severity(if open_policies(config).is_empty() { Level::Low } else { Level::High })
            .fix(Fix::risky("let each agent see its own sessions", "agents that talk to each other").set("tools.sessions.visibility", "agent"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn two_agents_and_the_default() {
        let bad = json!({"agents":{"entries":{"a":{},"b":{}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({"agents":{"entries":{"a":{}}}}), json!({"agents":{"entries":{"a":{},"b":{}}},"tools":{"sessions":{"visibility":"agent"}}}), json!({"agents":{"entries":{"a":{},"b":{}}},"tools":{"agentToAgent":{"enabled":false}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
