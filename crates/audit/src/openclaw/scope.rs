//! Agents and what each inherits.

use crate::facts::Config;
use serde_json::Value;

/// The defaults, or one agent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    config: &'a Config,
    /// The agent's id; `None` for the defaults.
    pub(crate) id: Option<&'a str>,
    /// The agent's own settings.
    pub(crate) own: Option<&'a Value>,
    /// In the list form that older releases wrote.
    index: Option<usize>,
}

/// Every agent, in both forms that OpenClaw reads.
pub(crate) fn agents(config: &Config) -> Vec<Scope<'_>> {
    let mut out = Vec::new();
    if let Some(entries) = config.get("agents.entries").and_then(Value::as_object) {
        out.extend(entries.iter().filter(|(_, own)| own.is_object()).map(|(id, own)| Scope {
            config,
            id: Some(id),
            own: Some(own),
            index: None,
        }));
    }
    for (index, own) in
        config.get("agents.list").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        if let Some(id) = own.get("id").and_then(Value::as_str) {
            out.push(Scope { config, id: Some(id), own: Some(own), index: Some(index) });
        }
    }
    out
}

/// The defaults and every agent.
pub(crate) fn scopes(config: &Config) -> Vec<Scope<'_>> {
    let mut out = vec![Scope { config, id: None, own: None, index: None }];
    out.extend(agents(config));
    out
}

/// What runs: every agent, or the defaults when none is listed.
pub(crate) fn running(config: &Config) -> Vec<Scope<'_>> {
    let agents = agents(config);
    if agents.is_empty() { scopes(config) } else { agents }
}

impl<'a> Scope<'a> {
    /// The path of one of its settings.
    pub(crate) fn path(&self, key: &str) -> Vec<String> {
        let mut path = match (self.id, self.index) {
            (None, _) => vec!["agents".to_owned(), "defaults".to_owned()],
            (Some(_), Some(index)) => vec!["agents".into(), "list".into(), index.to_string()],
            (Some(id), None) => vec!["agents".into(), "entries".into(), id.to_owned()],
        };
        path.extend(key.split('.').filter(|part| !part.is_empty()).map(str::to_owned));
        path
    }

    /// One of the agent's own settings.
    pub(crate) fn own(&self, key: &str) -> Option<&'a Value> {
        key.split('.').try_fold(self.own?, |at, part| at.get(part))
    }

    /// A setting of the top level.
    pub(crate) fn global(&self, key: &str) -> Option<&'a Value> {
        self.config.get(key)
    }

    /// A setting that an agent inherits from `agents.defaults`.
    pub(crate) fn inherited(&self, key: &str) -> Option<&'a Value> {
        self.own(key).or_else(|| self.config.get(&format!("agents.defaults.{key}")))
    }

    /// A setting below `tools` that an agent inherits from the top level.
    pub(crate) fn tool(&self, key: &str) -> Option<&'a Value> {
        self.own(&format!("tools.{key}")).or_else(|| self.config.get(&format!("tools.{key}")))
    }

    /// `off`, `non-main` or `all`.
    pub(crate) fn sandbox(&self) -> &'a str {
        self.inherited("sandbox.mode").and_then(Value::as_str).unwrap_or("off")
    }

    /// `none`, `ro` or `rw`.
    pub(crate) fn workspace_access(&self) -> &'a str {
        self.inherited("sandbox.workspaceAccess").and_then(Value::as_str).unwrap_or("none")
    }

    /// Where exec runs: `auto`, `sandbox`, `gateway`, `node`.
    pub(crate) fn exec_host(&self) -> &'a str {
        self.tool("exec.host").and_then(Value::as_str).unwrap_or("auto")
    }

    /// The settings of its sandbox containers, with the key they stand at.
    pub(crate) fn docker(&self) -> Option<&'a Value> {
        match self.id {
            None => self.config.get("agents.defaults.sandbox.docker"),
            Some(_) => self.own("sandbox.docker"),
        }
        .filter(|value| value.is_object())
    }

    /// The exec policy that the configuration sets, by `mode` or by `security`; `None` when it sets
    /// none, and OpenClaw's own default holds.
    pub(crate) fn exec_security(&self) -> Option<&'a str> {
        if let Some(mode) = self.tool("exec.mode").and_then(Value::as_str) {
            return Some(match mode {
                "full" => "full",
                "deny" => "deny",
                _ => "allowlist",
            });
        }
        self.tool("exec.security").and_then(Value::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_forms_are_read_and_inherit() {
        let config = Config {
            value: json!({
                "agents": {
                    "defaults": { "sandbox": { "mode": "all" } },
                    "entries": { "a": { "sandbox": { "mode": "off" } } },
                    "list": [{ "id": "b", "tools": { "exec": { "mode": "ask" } } }]
                },
                "tools": { "exec": { "security": "full" } }
            }),
            ..Config::default()
        };
        let all = scopes(&config);
        let modes: Vec<_> = all.iter().map(Scope::sandbox).collect();
        assert_eq!(modes, ["all", "off", "all"]);
        assert_eq!(all[1].exec_security(), Some("full"));
        assert_eq!(all[2].exec_security(), Some("allowlist"));
        assert_eq!(all[2].path("sandbox.mode").join("."), "agents.list.0.sandbox.mode");
    }
}
