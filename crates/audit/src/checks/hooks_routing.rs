//! A sender of hooks should reach one agent and one session.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::openclaw::exposed;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "hooks.routing",
    title: "senders of hooks choose the agent or the session",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0051.001", "AML.T0080"],
    attack: &["T1078"],
    cis: &["CIS Controls v8 6.8"],
    why: "A leaked hook token writes into the main session, which has your tools.",
    openclaw: &["hooks.default_session_key_unset", "hooks.allowed_agent_ids_unrestricted", "hooks.request_session_key_enabled", "hooks.request_session_key_prefixes_missing"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("hooks.enabled") != Some(true) {
        return;
    }
    let far = exposed(config);
    let severity = if far { Level::Critical } else { Level::Medium };
    if config.str("hooks.defaultSessionKey").is_none_or(|key| key.trim().is_empty()) {
        out.hit("hooks.defaultSessionKey", "not set: each request gets a session of its own").severity(Level::Low)
            .fix(Fix::risky("send hooks to one session", "hooks that rely on fresh sessions").set("hooks.defaultSessionKey", "hook:ingress"));
    }
    let agents = config.get("hooks.allowedAgentIds").filter(|value| value.is_array()).map(strings);
    if agents.is_none_or(|agents| agents.iter().any(|id| id == "*")) {
        out.hit("hooks.allowedAgentIds", "a request may name any agent").severity(severity)
            .fix(Fix::risky("list the agents", "hooks for other agents").set("hooks.allowedAgentIds", serde_json::json!(["main"])));
    }
    if config.bool("hooks.allowRequestSessionKey") == Some(true) {
        out.hit("hooks.allowRequestSessionKey", "a request may name its session").severity(severity)
            .fix(Fix::risky("switch it off", "hooks that name a session").set("hooks.allowRequestSessionKey", false));
        if config.strings("hooks.allowedSessionKeyPrefixes").is_empty() {
            out.hit("hooks.allowedSessionKeyPrefixes", "and any session, the main one included").severity(severity)
                .fix(Fix::risky("allow sessions of hooks only", "hooks for other sessions").set("hooks.allowedSessionKeyPrefixes", serde_json::json!(["hook:"])));
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
    fn each_choice_is_found() {
        for bad in [json!({"hooks":{"enabled":true}}), json!({"hooks":{"enabled":true,"allowRequestSessionKey":true,"defaultSessionKey":"h","allowedAgentIds":[]}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"hooks":{"enabled":true,"defaultSessionKey":"h","allowedAgentIds":["main"]}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
