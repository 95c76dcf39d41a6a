//! Files that a run may not bring into being.
//!
//! What exists is held read-only by a mount. What does not exist cannot be: a program whose doings
//! nobody could foresee may make `BOOTSTRAP.md`, which the next session would obey. So the agent's
//! memory is made, empty, before a run that may write, and what else was not there is looked for
//! whenever a run begins or ends, until the last that overlaps has ended, and set aside. One list
//! for each workspace: what one run has made is not there from before for the next. The lists are
//! kept on disk as well, for a supervisor that is killed.
//!
//! A folder is held open from the start: whoever can write to the folder above it could put
//! another in its place, and the supervisor may be root.

use crate::daemon::protocol::{RunOrder, RunWhat};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, ResolveFlags, Stat, Uid,
};
use rustix::io::Errno;
use seawall_model::frame::RunPurpose;
use seawall_sandbox::plan::{IDENTITY_FILES, MADE, UNMADE};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Names under which only a file or folder can be held. Anything else there (a link, a pipe) would
/// keep every later run and the gateway from starting.
const PLAIN: &[&str] = &[MADE.0, ".git/config"];

/// Longest file of lists that is read: some hundred bytes for each workspace with runs.
const MAX_KEPT: u64 = 1 << 20;

/// Longest file of which a copy is made to part it from its other names.
const MAX_PARTED: u64 = 16 << 20;

/// All lists.
pub(super) struct Watch {
    lists: Mutex<BTreeMap<PathBuf, List>>,
    /// What could not be held before any run began is the owner's: a run is refused, and nothing
    /// of theirs renamed.
    owners: Arc<Owners>,
    /// The lists as they are kept.
    kept: Option<File>,
}

type Owners = BTreeSet<(PathBuf, &'static str)>;

/// What is looked for in one folder, while runs that may write to it go on.
struct List {
    path: PathBuf,
    owners: Arc<Owners>,
    folder: OwnedFd,
    runs: usize,
    /// Names that were not there.
    missing: BTreeSet<&'static str>,
    /// Names that a verdict lets a run change that goes on, and how many such runs there are.
    released: BTreeMap<&'static str, usize>,
}

/// A run's share in the lists.
#[derive(Debug)]
pub(super) struct Watched {
    folders: Vec<PathBuf>,
    /// Of the first folder.
    released: Vec<&'static str>,
    said: Vec<String>,
}

fn names() -> impl Iterator<Item = &'static str> {
    IDENTITY_FILES.iter().chain(UNMADE).copied()
}

/// Names under which something is held.
fn held() -> impl Iterator<Item = &'static str> {
    names().chain(PLAIN.iter().copied())
}

impl Watch {
    /// With lists kept in this file. What a supervisor that was killed has left there is set aside
    /// first, and told.
    pub(super) fn at(kept: &Path, workspaces: &[PathBuf]) -> (Self, Vec<String>) {
        let mut said = Vec::new();
        let mut owners = Owners::new();
        for path in workspaces {
            if let Ok(folder) = open(path) {
                let odd =
                    held().filter(|name| look(&folder, name).is_some_and(|found| !plain(&found)));
                owners.extend(odd.map(|name| (path.clone(), name)));
            }
        }
        let owners = Arc::new(owners);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(kept)
            .inspect_err(
                |e| tracing::warn!(error = %e, "lists of what runs may not make are not kept"),
            )
            .ok();
        if let Some(file) = &file {
            for (folder, missing) in left(file) {
                let Ok(opened) = open(&folder) else { continue };
                let known = names().filter(|name| missing.contains(*name)).collect();
                let mut list = List::of(folder.clone(), opened, Arc::clone(&owners));
                list.missing = known;
                said.extend(list.set_aside("unfinished").into_iter().map(|what| {
                    format!("`{}`, in a run that was cut off: {what}", folder.display())
                }));
            }
        }
        let watch = Self { lists: Mutex::default(), owners, kept: file };
        watch.keep(&watch.lists());
        (watch, said)
    }

    fn lists(&self) -> MutexGuard<'_, BTreeMap<PathBuf, List>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the session's folder of a run that may write, makes what has to be there, and notes
    /// what is not, there and in each other workspace that the run may write to. None for a run
    /// that cannot write or whose file operations are decided one by one.
    pub(super) fn begin(
        &self,
        order: &RunOrder,
        workspaces: &[PathBuf],
    ) -> Result<Option<Watched>, String> {
        let RunWhat::Tool(request) = &order.what else { return Ok(None) };
        let Some(granted) = &order.granted else { return Ok(None) };
        let exec = request.purpose == RunPurpose::Exec;
        let writes = exec && request.workspace_access != "ro" && granted.write;
        let released: Vec<_> = names().filter(|name| granted.changes.contains(*name)).collect();
        let folder = PathBuf::from(&request.workspace_dir);
        let mut folders = Vec::new();
        // A worker's changes count only where a run goes on.
        if writes || (!exec && !released.is_empty()) {
            folders.push(folder.clone());
        }
        let opened = granted.folders.iter().filter(|(_, write)| exec && **write);
        let within = |dir: &PathBuf| {
            let below = |above: &Path| dir.starts_with(above) && *dir != folder;
            (writes && below(&folder)) || opened.clone().any(|(above, _)| below(Path::new(above)))
        };
        folders.extend(workspaces.iter().filter(|dir| within(dir)).cloned());
        folders.dedup();
        if folders.is_empty() {
            return Ok(None);
        }
        let mut lists = self.lists();
        let mut watched = Watched { folders: Vec::new(), released: Vec::new(), said: Vec::new() };
        for dir in folders {
            let own = dir == folder;
            let say = |e: Errno| format!("`{}` cannot be used: {e}", dir.display());
            let opened = match open(&dir).map_err(say) {
                Ok(opened) => opened,
                Err(why) if own => return Err(self.undo(lists, watched, &order.run, why)),
                // Another's that is not there yet, or not any more.
                Err(_) => continue,
            };
            if own
                && writes
                && let Err(e) = make_memory(opened.as_fd())
            {
                let why = say(e);
                return Err(self.undo(lists, watched, &order.run, why));
            }
            let list = lists.entry(dir.clone()).or_insert_with(|| {
                let missing = names().filter(|name| look(&opened, name).is_none()).collect();
                let list = List::of(dir.clone(), opened, Arc::clone(&self.owners));
                List { missing, ..list }
            });
            // Made by a run that goes on: to be held in this one it would have to be the owner's.
            watched.said.extend(list.set_aside(&order.run));
            list.runs += 1;
            if own {
                for name in &released {
                    *list.released.entry(name).or_default() += 1;
                }
                watched.released.clone_from(&released);
                watched.folders.insert(0, dir);
            } else {
                watched.folders.push(dir);
            }
        }
        self.keep(&lists);
        Ok(Some(watched))
    }

    fn undo(
        &self,
        lists: MutexGuard<'_, BTreeMap<PathBuf, List>>,
        watched: Watched,
        run: &str,
        why: String,
    ) -> String {
        drop(lists);
        self.end(watched, run);
        why
    }

    /// Renames what has appeared, so that no session reads it, and says so.
    pub(super) fn end(&self, watched: Watched, run: &str) -> Option<String> {
        let Watched { folders, released, mut said } = watched;
        let mut lists = self.lists();
        for (n, dir) in folders.iter().enumerate() {
            let Some(list) = lists.get_mut(dir) else { continue };
            if n == 0 {
                list.settle(&released);
            }
            said.extend(list.set_aside(run));
            list.runs = list.runs.saturating_sub(1);
            if list.runs == 0 {
                lists.remove(dir);
            }
        }
        self.keep(&lists);
        (!said.is_empty()).then(|| said.join("; "))
    }

    /// Writes the lists down: over what is there, and then to their length, so that what is read
    /// begins with a whole list whenever this process ends.
    fn keep(&self, lists: &BTreeMap<PathBuf, List>) {
        let Some(file) = &self.kept else { return };
        let lists: BTreeMap<&PathBuf, &BTreeSet<&str>> =
            lists.iter().map(|(folder, list)| (folder, &list.missing)).collect();
        let written = serde_json::to_vec(&lists).map_err(std::io::Error::from).and_then(|text| {
            file.write_all_at(&text, 0)?;
            file.set_len(text.len().try_into().unwrap_or(u64::MAX))
        });
        if let Err(e) = written {
            tracing::warn!(error = %e, "lists of what runs may not make are not kept");
        }
    }
}

/// The lists that were kept.
fn left(file: &File) -> BTreeMap<PathBuf, BTreeSet<String>> {
    let mut text = Vec::new();
    if file.take(MAX_KEPT).read_to_end(&mut text).is_err() {
        return BTreeMap::new();
    }
    let mut values = serde_json::Deserializer::from_slice(&text).into_iter();
    values.next().and_then(Result::ok).unwrap_or_default()
}

/// A folder, reached without any link.
fn open(folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let plain = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(CWD, folder, flags, Mode::empty(), plain)
}

/// Renames what lies under a held name and cannot be held, in folders in which no run goes on.
pub(super) fn clear(folders: impl Iterator<Item = PathBuf>) -> Vec<String> {
    let mut said = Vec::new();
    for path in folders {
        let Ok(folder) = open(&path) else { continue };
        let list = List::of(path, folder, Arc::default());
        let in_it = |what: String| format!("in `{}` {what}", list.path.display());
        said.extend(list.set_aside("gateway").into_iter().map(in_it));
    }
    said
}

/// The agent's memory, which could not be held if it were not there. Owned by the folder's owner.
fn make_memory(folder: BorrowedFd<'_>) -> Result<(), Errno> {
    let (file, dir) = MADE;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, file, flags, Mode::from_raw_mode(0o644)) {
        Ok(made) => own(folder, &made)?,
        Err(Errno::EXIST) => {}
        Err(e) => return Err(e),
    }
    match rustix::fs::mkdirat(folder, dir, Mode::from_raw_mode(0o755)) {
        Ok(()) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(folder, dir, flags, Mode::empty())?;
            // A run that goes on may have put another folder there. An empty one of our own is as
            // good as the one that was made; any other stays its owner's.
            let ours = rustix::fs::fstat(&made)?.st_uid == rustix::process::geteuid().as_raw();
            if ours && is_empty(&made)? { own(folder, &made) } else { Ok(()) }
        }
        Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(e),
    }
}

fn is_empty(folder: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(folder)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Gives what was just made to the owner of the folder.
fn own(folder: BorrowedFd<'_>, made: &OwnedFd) -> Result<(), Errno> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let owner = rustix::fs::fstat(folder)?;
    rustix::fs::fchown(made, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid)))
}

/// The folder of a name below `folder`, without following any link, and its last part.
fn parent<'n>(folder: &OwnedFd, name: &'n str) -> Option<(OwnedFd, &'n str)> {
    let (dir, last) = name.rsplit_once('/').unwrap_or((".", name));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let below = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let dir = rustix::fs::openat2(folder, dir, flags, Mode::empty(), below).ok()?;
    Some((dir, last))
}

fn look(folder: &OwnedFd, name: &str) -> Option<Stat> {
    let (dir, last) = parent(folder, name)?;
    rustix::fs::statat(&dir, last, AtFlags::SYMLINK_NOFOLLOW).ok()
}

/// A file with other names, by which it could be changed though it is held.
fn is_shared(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile && found.st_nlink > 1
}

/// Whether it can be held.
fn plain(found: &Stat) -> bool {
    let kind = FileType::from_raw_mode(found.st_mode);
    matches!(kind, FileType::RegularFile | FileType::Directory) && !is_shared(found)
}

/// Puts a copy in the place of a file with other names.
fn part(folder: &OwnedFd, dir: &OwnedFd, name: &str) -> Result<(), Errno> {
    let failed = |e: std::io::Error| Errno::from_io_error(&e).unwrap_or(Errno::IO);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let old = File::from(rustix::fs::openat(dir, name, flags, Mode::empty())?);
    let found = rustix::fs::fstat(&old)?;
    // What is another's is not copied to where the folder's owner reads it.
    if !is_shared(&found) || found.st_uid != rustix::fs::fstat(folder)?.st_uid {
        return Err(Errno::PERM);
    }
    let mut bytes = Vec::new();
    old.take(MAX_PARTED + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_PARTED) {
        return Err(Errno::FBIG);
    }
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    let copy = format!(".seawall-copy-{}", hex::encode(random));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = rustix::fs::openat(dir, &copy, flags, Mode::from_raw_mode(0o600))?;
    let mut new = File::from(new);
    let done = new.write_all(&bytes).map_err(failed).and_then(|()| {
        if rustix::process::geteuid().is_root() {
            let (uid, gid) = (Uid::from_raw(found.st_uid), Gid::from_raw(found.st_gid));
            rustix::fs::fchown(&new, Some(uid), Some(gid))?;
        }
        rustix::fs::fchmod(&new, Mode::from_raw_mode(found.st_mode & 0o777))?;
        rustix::fs::renameat(dir, &copy, dir, name)
    });
    if done.is_err() {
        let _gone = rustix::fs::unlinkat(dir, &copy, AtFlags::empty());
    }
    done
}

impl List {
    fn of(path: PathBuf, folder: OwnedFd, owners: Arc<Owners>) -> Self {
        let (missing, released) = (BTreeSet::new(), BTreeMap::new());
        Self { path, owners, folder, runs: 0, missing, released }
    }

    /// The end of a run that was allowed to change names: what is there of them now is as it was
    /// decided, what is not can be made by another run.
    fn settle(&mut self, released: &[&'static str]) {
        for name in released {
            if let Some(runs) = self.released.get_mut(name) {
                *runs -= 1;
                if *runs == 0 {
                    self.released.remove(name);
                }
            }
            if look(&self.folder, name).is_some() {
                self.missing.remove(name);
            } else {
                self.missing.insert(name);
            }
        }
    }

    /// Renames what has appeared, and what can't be held.
    fn set_aside(&self, run: &str) -> Vec<String> {
        let mut said = Vec::new();
        for name in held() {
            let Some(found) = look(&self.folder, name) else { continue };
            let Some((dir, last)) = parent(&self.folder, name) else { continue };
            let appeared = self.missing.contains(name) && !self.released.contains_key(name);
            let known = || self.owners.contains(&(self.path.clone(), name));
            if !appeared && (plain(&found) || known()) {
                continue;
            }
            if !appeared && is_shared(&found) && part(&self.folder, &dir, last).is_ok() {
                said.push(format!("`{name}` had another name and is a file of its own again"));
                continue;
            }
            let why = if appeared { "had appeared" } else { "could not be held" };
            match away(&dir, last, run) {
                Ok(aside) => said.push(format!("`{name}` {why} and is now `{aside}`")),
                Err(Errno::NOENT) => {}
                Err(e) => said.push(format!("`{name}` {why} and cannot be set aside: {e}")),
            }
        }
        said
    }
}

/// Renames to a name that is free.
fn away(dir: &OwnedFd, name: &str, run: &str) -> Result<String, Errno> {
    let mut aside = format!("{name}.set-aside-{}", run.get(..8).unwrap_or(run));
    // A run may know its number and take the name before.
    for _ in 0..8 {
        match rustix::fs::renameat_with(dir, name, dir, &aside, RenameFlags::NOREPLACE) {
            Ok(()) => return Ok(aside),
            Err(Errno::EXIST) => {
                let mut random = [0u8; 8];
                getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
                aside = format!("{name}.set-aside-{}", hex::encode(random));
            }
            Err(e) => return Err(e),
        }
    }
    Err(Errno::EXIST)
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
        let (watch, _) = Watch::at(&at("kept"), &[]);
        let order = order(&at(""), RunPurpose::Exec, Some(named));
        let watched = watch.begin(&order, &[]).unwrap().unwrap();
        assert!(at("MEMORY.md").is_file() && at("memory").is_dir());
        for name in ["AGENTS.md", "BOOT.md", "BOOTSTRAP.md", ".git/commondir"] {
            std::fs::write(at(name), "obey").unwrap();
        }
        let said = watch.end(watched, RUN).unwrap();
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
        let (watch, _) = Watch::at(&top.join("kept"), &[]);
        let begin = |dir: &Path| watch.begin(&order(dir, RunPurpose::Exec, Some(writes())), &[]);
        let watched = begin(&mine).unwrap().unwrap();
        std::fs::rename(&mine, top.join("gone")).unwrap();
        std::os::unix::fs::symlink(&other, &mine).unwrap();
        assert_eq!(watch.end(watched, RUN), None);
        assert!(other.join("SOUL.md").exists());
        // And a link is no folder to begin with.
        assert!(begin(&mine).is_err());
    }

    #[test]
    fn a_run_that_cannot_write_is_not_watched() {
        let dir = tempfile::tempdir().unwrap();
        let (watch, _) = Watch::at(&dir.path().join("kept"), &[]);
        let begin = |purpose, granted| watch.begin(&order(dir.path(), purpose, granted), &[]);
        assert!(begin(RunPurpose::Exec, Some(Granted::default())).unwrap().is_none());
        assert!(begin(RunPurpose::FileWorker, None).unwrap().is_none());
        assert!(!dir.path().join("MEMORY.md").exists());
    }

    #[test]
    fn runs_that_overlap_keep_nothing_of_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let at = top.join("ws");
        std::fs::create_dir_all(at.join(".git")).unwrap();
        let (watch, _) = Watch::at(&top.join("kept"), &[]);
        let begin = |granted| {
            watch.begin(&order(&at, RunPurpose::Exec, Some(granted)), &[]).unwrap().unwrap()
        };
        let make = || {
            std::fs::write(at.join("BOOT.md"), "obey").unwrap();
            std::fs::write(at.join(".git/commondir"), "../.x").unwrap();
        };
        let there = || at.join("BOOT.md").exists() || at.join(".git/commondir").exists();
        let one = begin(writes());
        make();
        // Not held in the second run as if it were the owner's.
        let two = begin(writes());
        assert!(!there());
        make();
        assert!(watch.end(one, RUN).unwrap().contains("BOOT.md"));
        assert!(!there());
        make();
        assert!(watch.end(two, RUN).unwrap().contains(".git/commondir"));
        assert!(!there());
        // What a verdict let another run make stays, whoever ends last.
        let one = begin(writes());
        let two = begin(Granted { changes: ["BOOT.md".to_owned()].into(), ..writes() });
        std::fs::write(at.join("BOOT.md"), "allowed").unwrap();
        assert_eq!(watch.end(two, RUN), None);
        assert_eq!(watch.end(one, RUN), None);
        assert!(at.join("BOOT.md").exists());
        // With no run going on what is there is the owner's.
        std::fs::write(at.join("USER.md"), "mine").unwrap();
        let one = begin(writes());
        assert_eq!(watch.end(one, RUN), None);
    }

    #[test]
    fn what_a_killed_supervisor_left_is_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (at, kept) = (top.join("ws"), top.join("kept"));
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("AGENTS.md"), "mine").unwrap();
        let (watch, said) = Watch::at(&kept, &[]);
        assert!(said.is_empty());
        let order = order(&at, RunPurpose::Exec, Some(writes()));
        let watched = watch.begin(&order, &[]).unwrap().unwrap();
        std::fs::write(at.join("BOOT.md"), "obey").unwrap();
        drop(watch);
        let (next, said) = Watch::at(&kept, &[]);
        assert!(said.iter().any(|what| what.contains("`BOOT.md` had appeared")), "{said:?}");
        assert!(at.join("AGENTS.md").exists() && !at.join("BOOT.md").exists());
        drop((next, watched));
        assert!(Watch::at(&kept, &[]).1.is_empty());
    }

    #[test]
    fn another_agents_workspace_in_reach_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (mine, inner, opened) = (top.join("ws"), top.join("ws/agents/b"), top.join("out/c"));
        for folder in [&inner, &opened] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let (watch, _) = Watch::at(&top.join("kept"), &[]);
        let folders = [(top.join("out").to_string_lossy().into_owned(), true)].into();
        let order = order(&mine, RunPurpose::Exec, Some(Granted { folders, ..writes() }));
        let all = [mine.clone(), inner.clone(), opened.clone()];
        let watched = watch.begin(&order, &all).unwrap().unwrap();
        for folder in [&inner, &opened] {
            std::fs::write(folder.join("BOOT.md"), "obey").unwrap();
        }
        watch.end(watched, RUN).unwrap();
        assert!(!inner.join("BOOT.md").exists() && !opened.join("BOOT.md").exists());
    }

    #[test]
    fn what_cannot_be_held_does_not_stay_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let at = top.join("ws");
        std::fs::create_dir(&at).unwrap();
        let (watch, _) = Watch::at(&top.join("kept"), &[]);
        let changes = ["MEMORY.md".to_owned()].into();
        let order = order(&at, RunPurpose::Exec, Some(Granted { changes, ..writes() }));
        let watched = watch.begin(&order, &[]).unwrap().unwrap();
        // The verdict lets it change its memory, not put a link or a pipe there.
        std::fs::remove_file(at.join("MEMORY.md")).unwrap();
        std::os::unix::fs::symlink("x", at.join("MEMORY.md")).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, at.join("USER.md"), pipe, mode, 0).unwrap();
        let said = watch.end(watched, RUN).unwrap();
        assert!(said.contains("`MEMORY.md` could not be held"), "{said}");
        assert!(said.contains("`USER.md` had appeared"), "{said}");
        // The owner's own, from before, is not touched.
        std::os::unix::fs::symlink("x", at.join("MEMORY.md")).unwrap();
        let (next, _) = Watch::at(&top.join("kept"), std::slice::from_ref(&at));
        let watched = next.begin(&order, &[]).unwrap().unwrap();
        assert_eq!(next.end(watched, RUN), None);
        std::fs::remove_file(at.join("MEMORY.md")).unwrap();
        // And by the gateway, between its starts.
        rustix::fs::mknodat(CWD, at.join("SOUL.md"), pipe, mode, 0).unwrap();
        assert_eq!(clear([at.clone()].into_iter()).len(), 1);
        let plan = seawall_sandbox::plan::RunPlan {
            argv: vec!["/bin/true".into()],
            workspace: Some((at.to_string_lossy().into(), seawall_sandbox::spec::Access::Rw)),
            ..Default::default()
        };
        seawall_sandbox::plan::run_plan(&plan).unwrap();
    }

    #[test]
    fn a_second_name_for_what_is_held_does_not_last() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let at = top.join("ws");
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("SOUL.md"), "mine").unwrap();
        std::fs::hard_link(at.join("SOUL.md"), at.join("backup")).unwrap();
        let (watch, _) = Watch::at(&top.join("kept"), std::slice::from_ref(&at));
        let changes = ["MEMORY.md".to_owned()].into();
        let order = order(&at, RunPurpose::Exec, Some(Granted { changes, ..writes() }));
        let watched = watch.begin(&order, &[]).unwrap().unwrap();
        std::fs::write(at.join("MEMORY.md"), "note").unwrap();
        std::fs::hard_link(at.join("MEMORY.md"), at.join("m")).unwrap();
        let said = watch.end(watched, RUN).unwrap();
        assert!(said.contains("`MEMORY.md` had another name"), "{said}");
        std::fs::write(at.join("m"), "evil").unwrap();
        assert_eq!(std::fs::read_to_string(at.join("MEMORY.md")).unwrap(), "note");
        // The owner's own stays as it was, and is refused with what to do.
        assert!(!said.contains("SOUL.md"), "{said}");
        std::fs::write(at.join("backup"), "both").unwrap();
        assert_eq!(std::fs::read_to_string(at.join("SOUL.md")).unwrap(), "both");
    }
}
