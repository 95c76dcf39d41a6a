//! What of a workspace nobody inside may change, because somebody else acts on it.

use super::PlanError;
use super::host::{Host, Kind};
use super::layout::Grant;
use crate::spec::{EnsureDir, within};
use std::collections::BTreeSet;

/// Files that say who the agent is and what it must do. They are changed by the operator, through
/// the guard.
pub const IDENTITY_FILES: &[&str] =
    &["AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "BOOT.md", "HEARTBEAT.md"];

/// What later sessions read as their own memory, and what a new workspace is told first. Held in
/// runs unless the verdict on the call names them; the file tools reach them.
const MEMORY_FILES: &[&str] = &["MEMORY.md", "BOOTSTRAP.md"];

/// See [`MEMORY_FILES`].
const MEMORY_FOLDERS: &[&str] = &["memory"];

/// Files that a run could bring into being, since what is not there cannot be held. Whoever
/// started it looks afterwards.
#[must_use]
pub fn absent(folder: &std::path::Path) -> Vec<&'static str> {
    let files = IDENTITY_FILES.iter().chain(MEMORY_FILES);
    files.copied().filter(|name| folder.join(name).symlink_metadata().is_err()).collect()
}

/// How much of a workspace is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold<'a> {
    /// Memory as well as identity.
    pub(super) memory: bool,
    /// Paths below the workspace that the verdict lets this run change.
    pub(super) released: &'a BTreeSet<String>,
}

impl Hold<'_> {
    fn releases(&self, name: &str) -> bool {
        self.released.iter().any(|path| within(path, name))
    }
}

/// Folders from which skills are loaded. They are made when they are missing: what is not there
/// cannot be held.
const SKILLS: &[&str] = &["skills", ".agents/skills"];

/// Git runs what these name, later, as whoever works in the folder outside.
const GIT_FOLDERS: &[&str] = &[".git/hooks"];

/// See [`GIT_FOLDERS`].
const GIT_FILES: &[&str] = &[".git/config", ".git/config.worktree"];

/// Read-only grants over the workspace at `from`, seen at `to`, and the folders to make for them.
pub(super) fn held(
    host: &dyn Host,
    from: &str,
    to: &str,
    how: Hold<'_>,
) -> Result<(Vec<Grant>, Vec<EnsureDir>), PlanError> {
    let mut grants = Vec::new();
    let mut ensure = Vec::new();
    let mut hold = |name: &str| {
        grants.push(Grant::ro(&format!("{from}/{name}")).at(&format!("{to}/{name}")));
    };
    let repository = host.kind(&format!("{from}/.git")) == Some(Kind::Folder);
    let files = IDENTITY_FILES
        .iter()
        .chain(if how.memory { MEMORY_FILES } else { &[] })
        .chain(if repository { GIT_FILES } else { &[] })
        .filter(|name| !how.releases(name));
    for name in files {
        match host.kind(&format!("{from}/{name}")) {
            None => {}
            Some(Kind::File) => hold(name),
            Some(_) => {
                return Err(PlanError::path(
                    "file",
                    &format!("{from}/{name}"),
                    "is not a regular file, so it cannot be held read-only; put the file itself there",
                ));
            }
        }
    }
    let folders = SKILLS.iter().chain(if repository { GIT_FOLDERS } else { &[] });
    for name in MEMORY_FOLDERS.iter().filter(|name| how.memory && !how.releases(name)) {
        if host.kind(&format!("{from}/{name}")) == Some(Kind::Folder) {
            hold(name);
        }
    }
    // Never released: a skill is installed by its gate.
    for name in folders {
        ensure.push(EnsureDir { base: from.into(), path: (*name).into() });
        hold(name);
    }
    Ok((grants, ensure))
}
