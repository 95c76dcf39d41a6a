//! Folders from which a gateway takes skills and plugins, by its configuration.

use crate::deploy::{self, Deployment, Wanted};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Most agents and named folders that are gone through; a configuration has a handful.
const MAX: usize = 10_000;

/// Where a gateway takes what it loads from.
pub(crate) struct Places {
    /// Folders of skills.
    pub(crate) skills: BTreeSet<PathBuf>,
    /// Folders of plugins, which may hold skills of their own.
    pub(crate) plugins: BTreeSet<PathBuf>,
}

/// All of them, whether they are there or not.
///
/// `workspaces`: those that are known besides what the configuration names.
pub(crate) fn of(config: &Value, home: &Path, state_dir: &Path, workspaces: &[PathBuf]) -> Places {
    let path = |value: &Value| {
        let text = value.as_str().map(str::trim).filter(|text| !text.is_empty())?;
        Some(deploy::expand(Path::new(text), home))
    };
    let array = |pointer: &str| {
        config.pointer(pointer).and_then(Value::as_array).into_iter().flatten().take(MAX)
    };
    let mut spaces: BTreeSet<PathBuf> = workspaces.iter().cloned().collect();
    spaces.insert(state_dir.join("workspace"));
    spaces.extend(config.pointer("/agents/defaults/workspace").and_then(path));
    // Agents by name, and as a list in older configurations.
    let named = config.pointer("/agents/entries").and_then(Value::as_object).into_iter().flatten();
    for (id, agent) in named.take(MAX) {
        let own = agent.get("workspace").and_then(path);
        spaces.insert(own.unwrap_or_else(|| state_dir.join(format!("workspace-{id}"))));
    }
    spaces.extend(array("/agents/list").filter_map(|agent| agent.get("workspace").and_then(path)));
    let mut skills: BTreeSet<PathBuf> = spaces
        .iter()
        .flat_map(|space| [space.join("skills"), space.join(".agents/skills")])
        .collect();
    // Deliberately absent: `plugin-skills`, which OpenClaw fills with links to plugins' folders.
    skills.extend([state_dir.join("skills"), home.join(".agents/skills")]);
    // What agents wrote in OpenClaw's skill workshop.
    let agents = std::fs::read_dir(state_dir.join("agents")).into_iter().flatten().flatten();
    skills.extend(agents.take(MAX).map(|agent| agent.path().join("agent/workshop-skills")));
    skills.extend(array("/skills/load/extraDirs").filter_map(path));
    let named = array("/plugins/load/paths").filter_map(path);
    Places { skills, plugins: named.chain([state_dir.join("extensions")]).collect() }
}

/// Those of the deployment that the environment means, and that are there.
///
/// # Errors
/// When its configuration cannot be read: which folders it names is not known then.
pub(super) fn of_deployment() -> Result<Vec<PathBuf>, String> {
    let deployment = Deployment::find(&Wanted::from_env(None)).map_err(|e| e.to_string())?;
    let config = deploy::load(&deployment.config_path, &deployment.include_roots)
        .map_err(|e| format!("which folders it takes skills from is not known: {e}"))?;
    let spaces = std::fs::read_dir(&deployment.state_dir).into_iter().flatten().flatten();
    let spaces: Vec<PathBuf> = spaces
        .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"workspace-"))
        .map(|entry| entry.path())
        .collect();
    let places = of(&config.value, &deployment.home, &deployment.state_dir, &spaces);
    Ok(places.skills.into_iter().chain(places.plugins).filter(|path| path.is_dir()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_that_the_configuration_names_is_there() {
        let config = serde_json::json!({
            "agents": { "defaults": { "workspace": "~/work" }, "entries": { "main": {}, "b": { "workspace": "/b" } },
                "list": [ { "id": "c", "workspace": "~/c" } ] },
            "skills": { "load": { "extraDirs": ["~/extra", ""] } },
            "plugins": { "load": { "paths": ["/plug"] } },
        });
        let home = tempfile::tempdir().unwrap();
        let (home, state) = (home.path(), home.path().join("state"));
        std::fs::create_dir_all(state.join("agents/main")).unwrap();
        let found = of(&config, home, &state, &[]);
        for wanted in [
            "work/skills",
            "c/.agents/skills",
            "extra",
            ".agents/skills",
            "state/skills",
            "state/agents/main/agent/workshop-skills",
        ] {
            assert!(found.skills.contains(&home.join(wanted)), "{wanted}: {:?}", found.skills);
        }
        assert!(found.skills.contains(Path::new("/b/skills")));
        let plugins = [PathBuf::from("/plug"), state.join("extensions")];
        assert!(plugins.iter().all(|plugin| found.plugins.contains(plugin)));
    }
}
