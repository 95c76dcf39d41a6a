//! What an order of the guard may name beyond a workspace.
//!
//! The guard parses what comes from outside, and may be turned by it; the supervisor may be root.
//! So no folder, no program and no limit is taken from an order that the operator's own
//! configuration does not have.

use super::Prepared;
use crate::daemon::protocol::{Granted, RunOrder, RunWhat};
use crate::render::McpServer;
use seawall_sandbox::spec::Limits;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the configuration gives to runs.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// `policy.read_folders` and `policy.write_folders`.
    pub(super) read: BTreeSet<String>,
    pub(super) write: BTreeSet<String>,
    /// MCP servers by name.
    pub(super) mcp: BTreeMap<String, McpServer>,
    /// Limits that OpenClaw's configuration sets for sandboxes; the highest of all agents.
    pub(super) limits: Limits,
    /// What no run sees: OpenClaw's state folder, its configuration, Seawall's own folder.
    pub(super) private: Vec<PathBuf>,
}

impl Allowed {
    pub(super) fn of(prepared: &Prepared) -> Result<Self, String> {
        let bundle = crate::daemon::bundle_of(&prepared.settings, &prepared.facts)?;
        let policy = bundle.settings();
        Ok(Self {
            read: policy.read_folders.iter().cloned().collect(),
            write: policy.write_folders.iter().cloned().collect(),
            mcp: prepared.facts.mcp.clone(),
            limits: highest(&prepared.loaded.value),
            private: super::apart::private(prepared, &prepared.loaded.files),
        })
    }

    /// Refuses what the configuration does not have, and takes the rest from it.
    pub(super) fn settle(&self, order: &mut RunOrder) -> Result<(), String> {
        if let RunWhat::Mcp { name, server } = &mut order.what {
            let own = self
                .mcp
                .get(name)
                .ok_or_else(|| format!("there is no MCP server `{name}` in the configuration"))?;
            server.clone_from(own);
        }
        match &mut order.granted {
            Some(granted) => self.folders(granted),
            None => Ok(()),
        }
    }

    fn folders(&self, granted: &mut Granted) -> Result<(), String> {
        for (folder, write) in &granted.folders {
            let writable = self.write.contains(folder);
            if *write && !writable {
                return Err(format!("`{folder}` is not one of `policy.write_folders`"));
            }
            if !writable && !self.read.contains(folder) {
                return Err(format!(
                    "`{folder}` is not one of `policy.read_folders` or `policy.write_folders`"
                ));
            }
        }
        // A folder to read inside of one to write stays what it is, whoever forgets it.
        let written: Vec<&String> =
            granted.folders.iter().filter(|(_, write)| **write).map(|(folder, _)| folder).collect();
        let inner = |folder: &&String| {
            let inside = |outer: &&String| outer != folder && Path::new(folder).starts_with(outer);
            !self.write.contains(*folder) && written.iter().any(inside)
        };
        let inner: Vec<String> = self.read.iter().filter(inner).cloned().collect();
        granted.folders.extend(inner.into_iter().map(|folder| (folder, false)));
        Ok(())
    }

    /// What is asked for, at most what the configuration or the default gives.
    pub(super) fn bounded(&self, asked: Limits, default: &Limits) -> Limits {
        let most = |asked: Option<u64>, own: Option<u64>, default: Option<u64>| {
            asked.map(|asked| asked.min(own.max(default).unwrap_or(u64::MAX)))
        };
        Limits {
            memory: most(asked.memory, self.limits.memory, default.memory),
            pids: most(asked.pids, self.limits.pids, default.pids),
            ..asked
        }
    }
}

/// The highest limits in a configuration's `sandbox.docker` tables.
fn highest(config: &Value) -> Limits {
    let defaults = config.pointer("/agents/defaults");
    let entries = config.pointer("/agents/entries").and_then(Value::as_object);
    let list = config.pointer("/agents/list").and_then(Value::as_array);
    let agents = defaults
        .into_iter()
        .chain(entries.into_iter().flat_map(|entries| entries.values()))
        .chain(list.into_iter().flatten());
    let mut most = Limits::default();
    for agent in agents {
        if let Some(settings) = agent.pointer("/sandbox/docker") {
            let (memory, pids) = super::runplan::sizes(settings);
            most.memory = most.memory.max(memory);
            most.pids = most.pids.max(pids);
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn allowed() -> Allowed {
        Allowed {
            read: ["/srv/data", "/srv/out/keep"].map(str::to_owned).into(),
            write: ["/srv/out".to_owned()].into(),
            ..Allowed::default()
        }
    }

    fn order(what: RunWhat, folders: &[(&str, bool)]) -> RunOrder {
        let folders = folders.iter().map(|(folder, write)| ((*folder).to_owned(), *write));
        let granted = Granted { folders: folders.collect(), ..Granted::default() };
        RunOrder {
            run: "r".into(),
            session_key: "agent:main:main".into(),
            network: false,
            granted: Some(granted),
            what,
        }
    }

    fn server(script: &str) -> McpServer {
        McpServer {
            command: "/usr/bin/env".into(),
            args: vec![script.into()],
            env: BTreeMap::new(),
            cwd: None,
        }
    }

    fn mcp(name: &str, script: &str) -> RunWhat {
        RunWhat::Mcp { name: name.into(), server: server(script) }
    }

    #[test]
    fn a_folder_that_the_policy_does_not_open_is_refused() {
        let mut allowed = allowed();
        allowed.mcp.insert("x".into(), server("/srv/x.py"));
        let settle = |folders: &[(&str, bool)]| {
            let mut order = order(mcp("x", ""), folders);
            allowed.settle(&mut order).map(|()| order.granted.unwrap().folders)
        };
        assert!(settle(&[("/srv/data", false), ("/srv/out", false)]).is_ok());
        for bad in [
            ("/root/hostdir", true),
            ("/root/hostdir", false),
            ("/srv/data", true),
            ("/srv/data/below", false),
            ("/srv", false),
            ("/srv/out/../../root", true),
        ] {
            assert!(settle(&[bad]).is_err(), "{bad:?}");
        }
        // One that is forgotten.
        let folders = settle(&[("/srv/out", true)]).unwrap();
        assert_eq!(folders.get("/srv/out/keep"), Some(&false));
    }

    #[test]
    fn an_mcp_server_is_the_one_that_is_configured() {
        let mut allowed = allowed();
        allowed.mcp.insert("tides".into(), server("/srv/tides/server.py"));
        let mut order = order(mcp("tides", "/root/.ssh/config"), &[]);
        allowed.settle(&mut order).unwrap();
        assert_eq!(order.what, mcp("tides", "/srv/tides/server.py"));
        order.what = mcp("other", "/root/.ssh/config");
        assert!(allowed.settle(&mut order).is_err());
    }

    #[test]
    fn limits_are_at_most_those_of_the_configuration() {
        let config = json!({ "agents": {
            "defaults": { "sandbox": { "docker": { "memory": "6g" } } },
            "entries": { "work": { "sandbox": { "docker": { "pidsLimit": 3000 } } } },
        } });
        let allowed = Allowed { limits: highest(&config), ..Allowed::default() };
        let default = Limits { memory: Some(4 << 30), pids: Some(1024), ..Limits::default() };
        let asked = |memory, pids| {
            let asked = Limits { memory: Some(memory), pids: Some(pids), ..Limits::default() };
            let got = allowed.bounded(asked, &default);
            (got.memory.unwrap() >> 30, got.pids.unwrap())
        };
        assert_eq!(asked(1 << 50, 1_000_000_000), (6, 3000));
        assert_eq!(asked(1 << 30, 10), (1, 10));
        let none = Allowed::default().bounded(default.clone(), &default);
        assert_eq!(none, default);
    }
}
