//! Files that a run may not bring into being.
//!
//! What exists is held read-only by a mount. What does not exist cannot be: a program whose doings
//! nobody could foresee may make `BOOTSTRAP.md`, which the next session would obey. So the agent's
//! memory is made, empty, before a run that may write, and whoever started the run looks when it
//! has ended and sets aside what else has appeared.
//!
//! The folder is held open from the start: whoever can write to the folder above it could put
//! another in its place, and the supervisor may be root.

use crate::daemon::protocol::{RunOrder, RunWhat};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use seawall_model::frame::RunPurpose;
use seawall_sandbox::plan::{IDENTITY_FILES, MADE, UNMADE};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a run may not make in its folder.
pub(super) struct Watched {
    folder: OwnedFd,
    names: Vec<&'static str>,
}

/// Opens the session's folder of a run that may write, makes what has to be there, and notes what
/// is not. None for a run that cannot write or whose file operations are decided one by one.
pub(super) fn watch(order: &RunOrder) -> Result<Option<Watched>, String> {
    let RunWhat::Tool(request) = &order.what else { return Ok(None) };
    let Some(granted) = &order.granted else { return Ok(None) };
    if request.purpose != RunPurpose::Exec || request.workspace_access == "ro" || !granted.write {
        return Ok(None);
    }
    let say = |e: Errno| format!("`{}` cannot be used: {e}", request.workspace_dir);
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let plain = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = rustix::fs::openat2(CWD, &request.workspace_dir, flags, Mode::empty(), plain)
        .map_err(say)?;
    make_memory(folder.as_fd()).map_err(say)?;
    let missing =
        |name: &&&'static str| !granted.changes.contains(**name) && !is_there(&folder, name);
    let names: Vec<&'static str> =
        IDENTITY_FILES.iter().chain(UNMADE).filter(missing).copied().collect();
    Ok((!names.is_empty()).then_some(Watched { folder, names }))
}

/// The agent's memory, which could not be held if it were not there. Owned by the folder's owner.
fn make_memory(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    let (file, dir) = MADE;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, file, flags, Mode::from_raw_mode(0o644)) {
        Ok(_) => own(folder, file)?,
        Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    match rustix::fs::mkdirat(folder, dir, Mode::from_raw_mode(0o755)) {
        Ok(()) => own(folder, dir),
        Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Gives what was just made to the owner of the folder.
fn own(folder: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = rustix::fs::fstat(folder)?;
    let (uid, gid) = (Uid::from_raw(owner.st_uid), Gid::from_raw(owner.st_gid));
    rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

/// The folder of a name below `folder`, without following any link, and its last part.
fn parent<'n>(folder: &OwnedFd, name: &'n str) -> Option<(OwnedFd, &'n str)> {
    let (dir, last) = name.rsplit_once('/').unwrap_or((".", name));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let dir = rustix::fs::openat2(folder, dir, flags, Mode::empty(), below).ok()?;
    Some((dir, last))
}

fn is_there(folder: &OwnedFd, name: &str) -> bool {
    parent(folder, name).is_some_and(|(dir, last)| {
        rustix::fs::statat(&dir, last, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    })
}

impl Watched {
    /// Renames what has appeared, so that no session reads it, and says so.
    pub(super) fn set_aside(&self, run: &str) -> Option<String> {
        let mut said = Vec::new();
        for name in &self.names {
            let Some((dir, last)) = parent(&self.folder, name) else { continue };
            let aside = format!("{last}.set-aside-{}", run.get(..8).unwrap_or(run));
            match rustix::fs::renameat_with(&dir, last, &dir, &aside, RenameFlags::NOREPLACE) {
                Ok(()) => said.push(format!("`{name}` had appeared and is now `{aside}`")),
                Err(Errno::NOENT) => {}
                Err(e) => said.push(format!("`{name}` has appeared and cannot be set aside: {e}")),
            }
        }
        (!said.is_empty()).then(|| said.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::protocol::Granted;
    use seawall_model::frame::RunRequest;
    use std::path::Path;

    const RUN: &str = "0123456789abcdef";

    fn order(folder: &Path, purpose: RunPurpose, granted: Option<Granted>) -> RunOrder {
        let folder = folder.to_string_lossy().into_owned();
        RunOrder {
            run: RUN.into(),
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

    fn writes() -> Granted {
        Granted { write: true, ..Granted::default() }
    }

    #[test]
    fn what_appears_is_set_aside_unless_the_verdict_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        std::fs::write(at("AGENTS.md"), "mine").unwrap();
        std::fs::create_dir(at(".git")).unwrap();
        let named = Granted { changes: ["BOOT.md".to_owned()].into(), ..writes() };
        let watched = watch(&order(&at(""), RunPurpose::Exec, Some(named))).unwrap().unwrap();
        assert!(at("MEMORY.md").is_file() && at("memory").is_dir());
        for name in ["AGENTS.md", "BOOT.md", "BOOTSTRAP.md", ".git/commondir"] {
            std::fs::write(at(name), "obey").unwrap();
        }
        let said = watched.set_aside(RUN).unwrap();
        assert!(said.contains("BOOTSTRAP.md.set-aside-01234567"), "{said}");
        assert!(!at("BOOTSTRAP.md").exists() && !at(".git/commondir").exists());
        assert!(at("AGENTS.md").exists() && at("BOOT.md").exists());
    }

    #[test]
    fn another_folder_in_its_place_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (mine, other) = (top.join("mine"), top.join("other"));
        std::fs::create_dir(&mine).unwrap();
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join("SOUL.md"), "theirs").unwrap();
        let watched = watch(&order(&mine, RunPurpose::Exec, Some(writes()))).unwrap().unwrap();
        std::fs::rename(&mine, top.join("gone")).unwrap();
        std::os::unix::fs::symlink(&other, &mine).unwrap();
        assert_eq!(watched.set_aside(RUN), None);
        assert!(other.join("SOUL.md").exists());
        // And a link is no folder to begin with.
        assert!(watch(&order(&mine, RunPurpose::Exec, Some(writes()))).is_err());
    }

    #[test]
    fn a_run_that_cannot_write_is_not_watched() {
        let dir = tempfile::tempdir().unwrap();
        let quiet = Some(Granted::default());
        assert!(watch(&order(dir.path(), RunPurpose::Exec, quiet)).unwrap().is_none());
        assert!(watch(&order(dir.path(), RunPurpose::FileWorker, None)).unwrap().is_none());
        assert!(!dir.path().join("MEMORY.md").exists());
    }
}
