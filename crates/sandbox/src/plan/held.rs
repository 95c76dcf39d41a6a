//! What of a workspace nobody inside may change, because somebody else acts on it.

use super::PlanError;
use super::host::{Host, Kind};
use super::layout::Grant;
use crate::spec::EnsureDir;

/// Files that say who the agent is and what it must do. They are changed by the operator, through
/// the guard.
pub const IDENTITY_FILES: &[&str] =
    &["AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "BOOT.md", "HEARTBEAT.md"];

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
) -> Result<(Vec<Grant>, Vec<EnsureDir>), PlanError> {
    let mut grants = Vec::new();
    let mut ensure = Vec::new();
    let mut hold = |name: &str| {
        grants.push(Grant::ro(&format!("{from}/{name}")).at(&format!("{to}/{name}")));
    };
    let repository = host.kind(&format!("{from}/.git")) == Some(Kind::Folder);
    let files = IDENTITY_FILES.iter().chain(if repository { GIT_FILES } else { &[] });
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
    for name in folders {
        ensure.push(EnsureDir { base: from.into(), path: (*name).into() });
        hold(name);
    }
    Ok((grants, ensure))
}
