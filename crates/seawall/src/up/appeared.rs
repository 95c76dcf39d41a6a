//! Files that a run may not bring into being.
//!
//! What exists is held read-only by a mount. What does not exist cannot be: a program whose doings
//! nobody could foresee may make `BOOTSTRAP.md`, which the next session would obey. So whoever
//! started the run looks when it has ended, and sets aside what has appeared.

use crate::daemon::protocol::{RunOrder, RunWhat};
use seawall_model::frame::RunPurpose;
use seawall_sandbox::plan::absent;
use std::path::{Path, PathBuf};

/// The session's folder, and the names that are not there now and must not be after the run.
/// None for a run that cannot write or whose file operations are decided one by one.
pub(super) fn watched(order: &RunOrder) -> Option<(PathBuf, Vec<&'static str>)> {
    let RunWhat::Tool(request) = &order.what else { return None };
    if request.purpose != RunPurpose::Exec || request.workspace_access == "ro" {
        return None;
    }
    let granted = order.granted.as_ref()?;
    if !granted.write {
        return None;
    }
    let folder = PathBuf::from(&request.workspace_dir);
    let mut names = absent(&folder);
    // `MEMORY.md` is made by the file tools as well, whose calls are decided one by one: that it
    // appeared while a program ran does not say that the program made it.
    names.retain(|name| *name != "MEMORY.md" && !granted.changes.contains(*name));
    (!names.is_empty()).then_some((folder, names))
}

/// Renames what has appeared, so that no session reads it, and says so.
pub(super) fn set_aside(folder: &Path, names: &[&'static str], run: &str) -> Option<String> {
    let mut said = Vec::new();
    for name in names {
        let path = folder.join(name);
        if path.symlink_metadata().is_err() {
            continue;
        }
        let aside = format!("{name}.set-aside-{}", run.get(..8).unwrap_or(run));
        match std::fs::rename(&path, folder.join(&aside)) {
            Ok(()) => said.push(format!("`{name}` had appeared and is now `{aside}`")),
            Err(e) => said.push(format!("`{name}` has appeared and cannot be set aside: {e}")),
        }
    }
    (!said.is_empty()).then(|| said.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::protocol::Granted;
    use seawall_model::frame::RunRequest;

    fn order(folder: &Path, purpose: RunPurpose, granted: Option<Granted>) -> RunOrder {
        let folder = folder.to_string_lossy().into_owned();
        RunOrder {
            run: "0123456789abcdef".into(),
            session_key: "agent:main:main".into(),
            network: false,
            granted,
            what: RunWhat::Tool(RunRequest {
                purpose,
                command: String::new(),
                args: vec![],
                workdir: String::new(),
                env: std::collections::BTreeMap::new(),
                workspace_dir: folder.clone(),
                agent_workspace_dir: folder,
                workspace_access: "rw".into(),
                read_only_mounts: vec![],
                settings: serde_json::Value::Null,
            }),
        }
    }

    #[test]
    fn what_appears_is_set_aside_unless_the_verdict_names_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("AGENTS.md"), "mine").unwrap();
        let writes = Granted { write: true, ..Granted::default() };
        let (folder, names) =
            watched(&order(dir.path(), RunPurpose::Exec, Some(writes.clone()))).unwrap();
        assert!(names.contains(&"BOOTSTRAP.md") && !names.contains(&"AGENTS.md"), "{names:?}");
        std::fs::write(dir.path().join("BOOTSTRAP.md"), "obey").unwrap();
        let said = set_aside(&folder, &names, "0123456789abcdef").unwrap();
        assert!(said.contains("BOOTSTRAP.md.set-aside-01234567"), "{said}");
        assert!(!dir.path().join("BOOTSTRAP.md").exists());

        let named = Granted { changes: ["BOOT.md".to_owned()].into(), ..writes };
        let (_, names) = watched(&order(dir.path(), RunPurpose::Exec, Some(named))).unwrap();
        assert!(!names.contains(&"BOOT.md"));
    }

    #[test]
    fn a_run_that_cannot_write_is_not_watched() {
        let dir = tempfile::tempdir().unwrap();
        let quiet = Some(Granted::default());
        assert!(watched(&order(dir.path(), RunPurpose::Exec, quiet)).is_none());
        assert!(watched(&order(dir.path(), RunPurpose::FileWorker, None)).is_none());
    }
}
