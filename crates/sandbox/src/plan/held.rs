//! What of a workspace nobody inside may change, because somebody else acts on it.

use super::PlanError;
use super::git;
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

/// What a run may not bring into being, besides [`IDENTITY_FILES`]. What is not there cannot be
/// held, so whoever starts a run looks afterwards.
pub const UNMADE: &[&str] = &[
    "BOOTSTRAP.md",
    // With the first Git looks for its configuration elsewhere, the second adds to it.
    ".git/commondir",
    ".git/config.worktree",
    // OpenClaw loads plugins from it.
    ".openclaw/extensions",
];

/// What other programs obey when somebody works in the folder outside: shells, editors, package
/// managers, hook managers, other agents. Held in runs where it exists, unless the verdict names it;
/// the file tools reach it. What does not exist is not set aside: a checkout brings such files.
pub const OBEYED: &[&str] = &[
    ".envrc",
    ".npmrc",
    ".vscode/tasks.json",
    ".husky",
    ".githooks",
    ".claude",
    ".cursorrules",
    "CLAUDE.md",
    "GEMINI.md",
    ".openclaw/extensions",
    "hooks",
];

/// What is made, empty, in a workspace before a run, so that it can be held.
pub const MADE: (&str, &str) = ("MEMORY.md", "memory");

/// How much of a workspace is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold<'a> {
    /// Memory as well as identity.
    pub(super) memory: bool,
    /// Paths below the workspace that the verdict lets this run change.
    pub(super) released: &'a BTreeSet<String>,
}

impl Hold<'_> {
    fn releases(&self, file: &str) -> bool {
        self.released.contains(file)
    }

    /// A folder is released by any path in it.
    fn releases_in(&self, folder: &str) -> bool {
        self.released.iter().any(|path| within(path, folder))
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
            // A folder of such a name is nobody's, but it can be held, and a run that made it
            // must not keep every later one from starting.
            Some(Kind::File) if host.names(&format!("{from}/{name}")) > 1 => {
                return Err(PlanError::path(
                    "file",
                    &format!("{from}/{name}"),
                    "has another name (a hard link), by which it could be changed; give it a file of \
                     its own: `cp -p FILE FILE.new && mv FILE.new FILE`",
                ));
            }
            Some(Kind::File | Kind::Folder) => hold(name),
            Some(_) => {
                return Err(PlanError::path(
                    "file",
                    &format!("{from}/{name}"),
                    "is not a regular file, so it cannot be held read-only; put the file itself there",
                ));
            }
        }
    }
    for name in OBEYED.iter().filter(|name| how.memory && !how.releases_in(name)) {
        let path = format!("{from}/{name}");
        match host.kind(&path) {
            Some(Kind::Folder) => hold(name),
            // Under another name it can be changed all the same, and is no reason to stop.
            Some(Kind::File) if host.names(&path) == 1 => hold(name),
            _ => {}
        }
    }
    let (obeyed, missing) = git::obeyed(host, from);
    for name in obeyed.iter().filter(|name| !how.releases(name)) {
        hold(name);
    }
    for name in missing {
        hold(&name);
        ensure.push(EnsureDir { base: from.into(), path: name });
    }
    let folders = SKILLS.iter().chain(if repository { GIT_FOLDERS } else { &[] });
    for name in MEMORY_FOLDERS.iter().filter(|name| how.memory && !how.releases_in(name)) {
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

/// Of another folder that is granted writable: what Git obeys in it, should it be a repository.
pub(super) fn held_repository(host: &dyn Host, from: &str, to: &str) -> Vec<Grant> {
    if host.kind(&format!("{from}/.git")).is_none() {
        return Vec::new();
    }
    let fixed = GIT_FILES.iter().chain(GIT_FOLDERS).map(|name| (*name).to_owned());
    let there = fixed.filter(|name| {
        matches!(host.kind(&format!("{from}/{name}")), Some(Kind::File | Kind::Folder))
    });
    there
        .chain(git::obeyed(host, from).0)
        .map(|name| Grant::ro(&format!("{from}/{name}")).at(&format!("{to}/{name}")))
        .collect()
}
