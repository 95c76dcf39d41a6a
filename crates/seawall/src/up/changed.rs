//! Which files a run changed, whose doings nobody could foresee.
//!
//! What a session writes by its tools carries its label because the call names it. A program names
//! nothing: whoever started it looks for files whose inode changed since, and for folders that have
//! another name now. The kernel sets the time of that change, and no program can.

use crate::daemon::protocol::{Changed, RunOrder, RunWhat};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use seawall_model::frame::RunPurpose;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Entries that are looked at; a large checkout has fewer. Beyond it everything counts as changed.
const MAX_ENTRIES: usize = 50_000;

/// Folders into each other.
const MAX_DEPTH: usize = 48;

/// Bytes of paths that are told; the guard's channel takes more.
const MAX_TOLD: usize = 48 * 1024;

/// Folders that one run may have renamed.
const MAX_MOVED: usize = 256;

/// Folders that are told as a whole and not looked into: they hold many files, which are read by
/// the programs that made them.
const WHOLE: [&str; 2] = [".git", "node_modules"];

/// The kernel's own time of a change is as old as its last tick.
const TICK: Duration = Duration::from_millis(20);

/// How a workspace was before a run.
pub(super) struct Before {
    folder: OwnedFd,
    since: Duration,
    /// Where each folder was, by device and inode. None when there were more than are looked at.
    folders: Option<HashMap<(u64, u64), String>>,
}

/// Looks at the workspace of a run that is to be followed.
pub(super) fn before(order: &RunOrder) -> Result<Option<Before>, String> {
    let RunWhat::Tool(request) = &order.what else { return Ok(None) };
    let follow = order.granted.as_ref().is_some_and(|granted| granted.follow);
    if !follow || request.purpose != RunPurpose::Exec {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let plain = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let folder = rustix::fs::openat2(CWD, &request.workspace_dir, flags, Mode::empty(), plain)
        .map_err(|e| format!("`{}` cannot be looked at: {e}", request.workspace_dir))?;
    Ok(Some(look(folder)))
}

fn look(folder: OwnedFd) -> Before {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut folders = HashMap::new();
    let whole = walk(&folder, &mut |path, stat, is_folder| {
        if is_folder {
            folders.insert((stat.st_dev, stat.st_ino), path.to_owned());
        }
        true
    });
    Before { folder, since: since.saturating_sub(TICK), folders: whole.then_some(folders) }
}

impl Before {
    /// What is not as it was, below the workspace.
    pub(super) fn after(self) -> Changed {
        let Some(folders) = &self.folders else {
            return Changed { paths: Vec::new(), more: true };
        };
        let mut paths: Vec<String> = Vec::new();
        let mut told = 0;
        let mut moved: Vec<String> = Vec::new();
        let whole = walk(&self.folder, &mut |path, stat, is_folder| {
            let inside = moved.iter().any(|top| below(path, top));
            let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
            let nanos = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
            let new = Duration::new(seconds, nanos.min(999_999_999)) >= self.since;
            let name = path.rsplit('/').next().unwrap_or(path);
            let changed = if is_folder && !WHOLE.contains(&name) {
                let was = folders.get(&(stat.st_dev, stat.st_ino));
                // A new one is told by what is in it, and so is one that has another name.
                if !inside && was.is_some_and(|was| was != path) {
                    moved.push(path.to_owned());
                }
                false
            } else {
                new || inside
            };
            if changed {
                told += path.len() + 4;
                paths.push(path.to_owned());
            }
            told <= MAX_TOLD && moved.len() <= MAX_MOVED
        });
        Changed { more: !whole, paths }
    }
}

fn below(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

/// Visits everything below a folder, each folder before what is in it, and follows no link.
/// Whether that was all; a visitor that answers false stops it.
fn walk(folder: &OwnedFd, visit: &mut impl FnMut(&str, &Stat, bool) -> bool) -> bool {
    let mut left = MAX_ENTRIES;
    let Ok(top) = folder.try_clone() else { return false };
    let mut open = vec![(String::new(), top)];
    while let Some((path, fd)) = open.pop() {
        let Ok(entries) = Dir::read_from(&fd) else { return false };
        for entry in entries {
            let Ok(entry) = entry else { return false };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Some(rest) = left.checked_sub(1) else { return false };
            left = rest;
            let stat = match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(_) => return false,
            };
            // A name that is no text cannot be read by a tool.
            let text = name.to_string_lossy();
            let inner = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
            let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !visit(&inner, &stat, is_folder) {
                return false;
            }
            if !is_folder || WHOLE.iter().any(|whole| name.to_bytes() == whole.as_bytes()) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&fd, name, flags, Mode::empty()) {
                // Each folder that waits holds a descriptor.
                Ok(_) if open.len() >= 512 || inner.matches('/').count() >= MAX_DEPTH => {
                    return false;
                }
                Ok(inside) => open.push((inner, inside)),
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(_) => return false,
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn open(path: &Path) -> OwnedFd {
        fs::File::open(path).unwrap().into()
    }

    #[test]
    fn what_is_new_written_linked_or_moved_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["old", "gone", "written", "moved", "d1/x", "d1/in/y", "kept/z", ".git/config"]
        {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), name).unwrap();
        }
        // Past the kernel's tick, so that what was just made is not new.
        std::thread::sleep(TICK * 3);
        let before = look(open(dir.path()));
        fs::write(at("written"), "again").unwrap();
        fs::write(at("new"), "n").unwrap();
        fs::remove_file(at("gone")).unwrap();
        fs::rename(at("moved"), at("kept/moved")).unwrap();
        fs::rename(at("d1"), at("d2")).unwrap();
        fs::create_dir(at("made")).unwrap();
        fs::write(at("made/file"), "f").unwrap();
        fs::write(at(".git/index"), "i").unwrap();
        let mut changed = before.after();
        changed.paths.sort();
        let all = [".git", "d2/in/y", "d2/x", "kept/moved", "made/file", "new", "written"];
        assert_eq!((changed.more, changed.paths), (false, all.map(str::to_owned).to_vec()));
    }

    #[test]
    fn what_is_too_much_counts_as_everything() {
        let dir = tempfile::tempdir().unwrap();
        let before = look(open(dir.path()));
        for n in 0..400 {
            fs::write(dir.path().join(format!("{n:0200}")), "").unwrap();
        }
        assert!(before.after().more);
    }
}
