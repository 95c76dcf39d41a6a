//! Which tools a policy leaves: OpenClaw's profiles, groups, globs and layers
//! (gateway/config-tools.md; gateway/sandbox-vs-tool-policy-vs-elevated.md).

use super::scope::Scope;
use crate::facts::strings;
use serde::Deserialize;
use serde_json::Value;
use std::sync::LazyLock;

#[derive(Deserialize)]
struct Catalog {
    tool: Vec<Tool>,
}

#[derive(Deserialize)]
struct Tool {
    id: String,
    group: String,
    profiles: Vec<String>,
    #[serde(default)]
    openclaw: bool,
}

#[expect(clippy::expect_used, reason = "a file of this repository, and a test reads it")]
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../content/audit/tools.toml")).expect("tools.toml")
});

/// What a sandboxed session has when nothing else is said.
const SANDBOX_ALLOW: &[&str] = &[
    "exec",
    "process",
    "read",
    "ls",
    "write",
    "edit",
    "apply_patch",
    "view_image",
    "sessions_list",
    "sessions_history",
    "sessions_search",
    "sessions_send",
    "sessions_spawn",
    "sessions_yield",
    "subagents",
    "session_status",
];
const SANDBOX_DENY: &[&str] =
    &["browser", "canvas", "computer", "mobile_ui", "nodes", "automations", "gateway"];

/// One layer: what it denies, and what it allows; no `allow` allows everything.
#[derive(Debug, Default)]
struct Layer {
    allow: Option<Vec<String>>,
    deny: Vec<String>,
}

/// The tools that an agent has.
#[derive(Debug)]
pub(crate) struct Policy {
    layers: Vec<Layer>,
}

impl Policy {
    /// The layers that hold for a scope: profile, global, the agent's own, the sandbox's.
    pub(crate) fn of(scope: &Scope<'_>) -> Self {
        let mut layers = Vec::new();
        if let Some(profile) = scope.tool("profile").and_then(Value::as_str)
            && let Some(mut allow) = profile_tools(profile)
        {
            allow.extend(scope.tool("alsoAllow").map(strings).unwrap_or_default());
            layers.push(Layer { allow: Some(expand(allow)), deny: vec![] });
        }
        layers.extend(layer(scope.global("tools")));
        layers.extend(layer(scope.own("tools")));
        if scope.sandbox() == "all" {
            layers.push(sandbox(scope));
        }
        Self { layers }
    }

    /// Adds the restrictions for one model, `tools.byProvider`.
    pub(crate) fn for_model(mut self, scope: &Scope<'_>, model: &str) -> Self {
        let provider = model.split('/').next().unwrap_or(model);
        for tools in [scope.global("tools"), scope.own("tools")].into_iter().flatten() {
            let by = tools.get("byProvider");
            let found = by.and_then(|by| by.get(model).or_else(|| by.get(provider)));
            self.layers.extend(layer(found));
        }
        self
    }

    /// Whether a tool is left.
    pub(crate) fn allows(&self, tool: &str) -> bool {
        self.layers.iter().all(|layer| {
            if layer.deny.iter().any(|pattern| glob(pattern, tool)) {
                return false;
            }
            match &layer.allow {
                None => true,
                Some(allow) if allow.is_empty() => true,
                Some(allow) => allow.iter().any(|pattern| {
                    glob(pattern, tool) || (tool == "apply_patch" && glob(pattern, "write"))
                }),
            }
        })
    }

    /// Those of `tools` that are left.
    pub(crate) fn left<'t>(&self, tools: &[&'t str]) -> Vec<&'t str> {
        tools.iter().copied().filter(|tool| self.allows(tool)).collect()
    }

    /// Whether anything narrows the tools at all.
    pub(crate) fn restricts(&self) -> bool {
        self.layers.iter().any(|layer| {
            !layer.deny.is_empty()
                || layer.allow.as_ref().is_some_and(|allow| !allow.iter().any(|name| name == "*"))
        })
    }
}

/// `allow`, `alsoAllow` and `deny` of a section.
fn layer(tools: Option<&Value>) -> Option<Layer> {
    let tools = tools?;
    let also = tools.get("alsoAllow").map(strings).unwrap_or_default();
    let allow = match tools.get("allow").filter(|value| value.is_array()).map(strings) {
        // Beside an empty `allow`, what is also allowed adds to everything.
        Some(allow) if allow.is_empty() && !also.is_empty() => Some(vec!["*".to_owned()]),
        Some(mut allow) => {
            allow.extend(also);
            Some(allow)
        }
        None if !also.is_empty() => Some(vec!["*".to_owned()]),
        None => None,
    };
    let deny = tools.get("deny").map(strings).unwrap_or_default();
    if allow.is_none() && deny.is_empty() {
        return None;
    }
    Some(Layer { allow: allow.map(expand), deny: expand(deny) })
}

fn sandbox(scope: &Scope<'_>) -> Layer {
    let pick = |field: &str| {
        scope.tool(&format!("sandbox.tools.{field}")).filter(|value| value.is_array()).map(strings)
    };
    let also = pick("alsoAllow").unwrap_or_default();
    let explicit: Vec<String> =
        pick("allow").into_iter().flatten().chain(also.iter().cloned()).collect();
    let allow = match pick("allow") {
        Some(allow) if allow.is_empty() => vec![],
        Some(mut allow) => {
            allow.extend(also);
            allow
        }
        None => SANDBOX_ALLOW.iter().map(|name| (*name).to_owned()).chain(also).collect(),
    };
    let explicit = expand(explicit);
    let deny = pick("deny").unwrap_or_else(|| {
        SANDBOX_DENY
            .iter()
            .filter(|name| !explicit.iter().any(|pattern| glob(pattern, name)))
            .map(|name| (*name).to_owned())
            .collect()
    });
    Layer { allow: Some(expand(allow)), deny: expand(deny) }
}

/// The tools of a profile; `None` for a name that is none.
fn profile_tools(profile: &str) -> Option<Vec<String>> {
    match profile {
        "full" => Some(vec!["*".into()]),
        "minimal" | "coding" | "messaging" => {
            let holds = |tool: &&Tool| tool.profiles.iter().any(|name| name == profile);
            let mut out: Vec<String> =
                CATALOG.tool.iter().filter(holds).map(|tool| tool.id.clone()).collect();
            if profile != "minimal" {
                out.push("bundle-mcp".into());
            }
            Some(out)
        }
        _ => None,
    }
}

/// Names in OpenClaw's spelling, groups replaced by their tools.
fn expand(names: Vec<String>) -> Vec<String> {
    let mut out = Vec::with_capacity(names.len());
    for name in names {
        let name = match name.trim().to_ascii_lowercase().as_str() {
            "bash" => "exec".to_owned(),
            "apply-patch" => "apply_patch".to_owned(),
            "cron" => "automations".to_owned(),
            other => other.to_owned(),
        };
        let members: Vec<String> = match name.strip_prefix("group:") {
            Some("openclaw") => CATALOG
                .tool
                .iter()
                .filter(|tool| tool.openclaw)
                .map(|tool| tool.id.clone())
                .collect(),
            Some(group) => CATALOG
                .tool
                .iter()
                .filter(|tool| tool.group == group)
                .map(|tool| tool.id.clone())
                .collect(),
            None => vec![],
        };
        if members.is_empty() {
            out.push(name);
        } else {
            out.extend(members);
        }
    }
    out
}

/// `*` stands for any text.
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| name.strip_prefix(head)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Config;
    use crate::openclaw::scope::scopes;
    use serde_json::json;

    fn allows(value: Value, agent: usize, tool: &str) -> bool {
        let config = Config { value, ..Config::default() };
        Policy::of(&scopes(&config)[agent]).allows(tool)
    }

    #[test]
    fn nothing_set_allows_everything() {
        assert!(allows(json!({}), 0, "exec"));
        assert!(!Policy::of(&scopes(&Config::default())[0]).restricts());
    }

    #[test]
    fn layers_only_take_away() {
        let set = json!({ "tools": { "profile": "coding", "deny": ["group:runtime"] }, "agents": { "entries": { "a": { "tools": { "allow": ["exec", "read"] } } } } });
        for (tool, left) in [("exec", false), ("read", true), ("write", false)] {
            assert_eq!(allows(set.clone(), 1, tool), left, "{tool}");
        }
    }

    #[test]
    fn aliases_globs_and_write_for_apply_patch() {
        let set = json!({ "tools": { "allow": ["write", "sessions_*"], "deny": ["cron"] } });
        assert!(allows(set.clone(), 0, "apply_patch"));
        assert!(allows(set.clone(), 0, "sessions_send"));
        assert!(!allows(set, 0, "automations"));
        assert!(glob("a*c*e", "abcde") && !glob("a*c*e", "abcd") && glob("*", ""));
    }

    #[test]
    fn also_allowing_alone_allows_the_rest_too() {
        assert!(allows(json!({ "tools": { "alsoAllow": ["x"] } }), 0, "exec"));
        let minimal = json!({ "tools": { "profile": "minimal", "alsoAllow": ["read"] } });
        assert!(allows(minimal.clone(), 0, "read") && !allows(minimal, 0, "exec"));
    }

    #[test]
    fn a_sandbox_denies_by_default() {
        let set = json!({ "agents": { "defaults": { "sandbox": { "mode": "all" } } } });
        assert!(allows(set.clone(), 0, "exec") && !allows(set.clone(), 0, "web_fetch"));
        assert!(!allows(set, 0, "browser"));
    }
}
