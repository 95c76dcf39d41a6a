//! The files of a new workspace, made before the gateway is.
//!
//! OpenClaw writes `SOUL.md` and its like into an empty workspace at the first turn. What is there
//! when the gateway starts is held read-only; what the gateway makes is the gateway's until its
//! next start. So OpenClaw is asked for them beforehand, with a configuration and a state folder of
//! their own: nothing of the deployment is read, and nothing but the workspace is written.
//!
//! A folder that holds anything is left to OpenClaw: what is in it may come from a run.

use crate::asked::{About, Question};
use crate::deploy::Runtime;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Most workspaces that are made in one start: each takes as long as OpenClaw needs to start. More
/// new agents than this are seldom added at once, and the others are made by OpenClaw itself.
const MOST: usize = 16;

/// Settings of the deployment that say which files a new workspace gets.
const CHOICES: &[&str] = &["skipBootstrap", "skipOptionalBootstrapFiles"];

/// Has OpenClaw fill the workspaces that are missing or empty. What could not be filled is told
/// and left to the gateway.
pub(super) fn workspaces<'p>(
    runtime: &Runtime,
    config: &Value,
    dirs: impl Iterator<Item = &'p Path>,
    say: &dyn Fn(&str),
) {
    let mut defaults = serde_json::Map::new();
    for name in CHOICES {
        if let Some(chosen) = config.pointer(&format!("/agents/defaults/{name}")) {
            defaults.insert((*name).into(), chosen.clone());
        }
    }
    if defaults.get("skipBootstrap") == Some(&Value::Bool(true)) {
        return;
    }
    let mut new: Vec<&Path> = dirs.filter(|dir| is_new(dir)).collect();
    new.sort_unstable();
    new.dedup();
    for dir in new.into_iter().take(MOST) {
        say(&format!("the workspace `{}` is new: OpenClaw fills it first", dir.display()));
        if let Err(error) = fill(runtime, defaults.clone(), dir) {
            say(&format!(
                "warning: {error}; what OpenClaw makes in it is held from the next start on"
            ));
        }
    }
}

/// A folder that is not there, or is there and empty. A link on the way to it may be one that an
/// earlier gateway made, and whoever starts this one may be root: none is followed. Nothing runs
/// yet that could put one there between this look and the filling.
fn is_new(dir: &Path) -> bool {
    let up = dir.components().any(|part| part == std::path::Component::ParentDir);
    let straight = !up
        && dir
            .ancestors()
            .find(|path| path.symlink_metadata().is_ok())
            .is_some_and(|there| there.canonicalize().is_ok_and(|real| real == there));
    straight
        && match dir.symlink_metadata() {
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
            Ok(about) => {
                about.is_dir() && dir.read_dir().is_ok_and(|mut entries| entries.next().is_none())
            }
        }
}

fn fill(
    runtime: &Runtime,
    mut defaults: serde_json::Map<String, Value>,
    dir: &Path,
) -> Result<(), String> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| format!("cannot make `{}`: {e}", dir.display()))?;
    defaults.insert("workspace".into(), json!(dir));
    let config = json!({ "gateway": { "mode": "local" }, "agents": { "defaults": defaults } });
    let args = &["setup", "--baseline"];
    let env = BTreeMap::new();
    let answer = Question { runtime, args, env, config: &config, about: About::Fill(dir) }.ask()?;
    if answer.success && dir.join("AGENTS.md").is_file() {
        return Ok(());
    }
    let said: String = answer.stderr.trim().chars().take(400).collect();
    Err(format!("OpenClaw did not fill `{}`: {said}", dir.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_or_empty_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        std::fs::create_dir(at("empty")).unwrap();
        std::fs::create_dir(at("used")).unwrap();
        std::fs::write(at("used/x"), "").unwrap();
        std::fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink(at("empty"), at("link")).unwrap();
        assert!(is_new(&at("missing")) && is_new(&at("empty")) && is_new(&at("a/b/c")));
        for name in ["used", "file", "link", "link/below", "file/below", "a/../b"] {
            assert!(!is_new(&at(name)), "{name}");
        }
    }
}
