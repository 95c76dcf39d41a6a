//! Keeps what a jail may not change held when somebody outside puts another file in its place.
//!
//! A mount covers the file that was there. When an editor outside saves by renaming a new one over
//! it, the kernel takes the mount away, and the new file would be the jail's to write. So whoever
//! launched a jail watches the folders of what it holds, and mounts again what was replaced, from
//! a process that enters the jail's mount namespace for it. Where that fails the jail is ended.

use crate::plan::COVER;
use crate::spec::{Access, JailSpec, Mount, parent_of, within};
use crate::sys;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

/// First argument of the process that mounts again.
pub(crate) const HOLD: &str = "__hold";

/// The launcher's view of what a jail holds.
#[derive(Debug)]
pub(crate) struct Holds {
    watcher: OwnedFd,
    folders: HashMap<i32, String>,
    places: Vec<Place>,
}

/// Something that is held in a folder that the jail writes.
#[derive(Debug, Clone)]
struct Place {
    from: String,
    to: String,
    read_only: bool,
    /// Whether it is hidden.
    covered: bool,
}

/// For the process that mounts again.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    to: String,
    read_only: bool,
    covered: bool,
}

impl Holds {
    /// Watches what a plan holds. To be called before its jail is built. None: it holds nothing
    /// that could be replaced.
    pub(crate) fn of(spec: &JailSpec) -> io::Result<Option<Self>> {
        let mut places: Vec<Place> = Vec::new();
        for (i, mount) in spec.mounts.iter().enumerate() {
            let to = mount.to();
            let before = spec.mounts.get(..i).unwrap_or_default();
            let over = before.iter().filter(|m| within(to, m.to()) && m.to() != to);
            let cover = over.max_by_key(|m| m.to().len());
            let from = match (mount, cover) {
                // What hides a socket is taken away with it, also where nothing can be written.
                (Mount::Bind { from, .. }, Some(_)) if from == COVER => host_path(before, to),
                (Mount::Bind { from, access: Access::Ro, .. }, Some(cover)) => {
                    // What lies in a folder that is held itself goes with that.
                    let writable = matches!(cover, Mount::Bind { access: Access::Rw, .. })
                        || matches!(cover, Mount::Pin { .. });
                    writable.then(|| from.clone())
                }
                (Mount::Pin { .. }, _) => host_path(before, to),
                _ => None,
            };
            if let Some(from) = from {
                let read_only = !matches!(mount, Mount::Pin { .. });
                let covered = matches!(mount, Mount::Bind { from, .. } if from == COVER);
                places.push(Place { from, to: to.to_owned(), read_only, covered });
            }
        }
        if places.is_empty() {
            return Ok(None);
        }
        let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut holds = Self { watcher, folders: HashMap::new(), places };
        holds.watch()?;
        Ok(Some(holds))
    }

    /// Stops watching, without the wait: the kernel takes milliseconds to let go of what watched.
    pub(crate) fn leave(self) {
        // Where there is no thread to be had it is waited for.
        let _waited = std::thread::Builder::new().name("unwatch".into()).spawn(move || drop(self));
    }

    /// Becomes readable when something happens to a name in a folder of what is held.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.watcher.as_fd()
    }

    fn watch(&mut self) -> io::Result<()> {
        let flags = WatchFlags::MOVED_TO
            | WatchFlags::CREATE
            | WatchFlags::ONLYDIR
            | WatchFlags::DONT_FOLLOW;
        for place in &self.places {
            let folder = parent_of(&place.from);
            match inotify::add_watch(&self.watcher, folder, flags) {
                Ok(number) => {
                    self.folders.insert(number, folder.to_owned());
                }
                // Gone for the moment: it comes back as a name of the folder above.
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Names in watched folders that something happened to. None: too many to be told.
    fn names(&self) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut space = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.watcher, &mut space);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                return None;
            }
            let folder = self.folders.get(&event.wd());
            let name = event.file_name().map(|n| std::ffi::OsStr::from_bytes(n.to_bytes()));
            if let (Some(folder), Some(name)) = (folder, name.and_then(|n| n.to_str())) {
                names.push(format!("{}/{name}", folder.trim_end_matches('/')));
            }
        }
        Some(names)
    }

    /// Mounts again what was replaced. Returns the paths inside.
    ///
    /// # Errors
    /// Names what can't be held any more: the jail must end.
    pub(crate) fn look(&mut self, program: BorrowedFd<'_>) -> Result<Vec<String>, String> {
        let names = self.names();
        // Whoever could be inside can't make such a name, as long as it is held. That it was made
        // says enough: the number of a file that is gone is given to the next one.
        let met = |place: &Place| names.as_ref().is_none_or(|names| names.contains(&place.from));
        let mut replaced: Vec<String> = Vec::new();
        for place in &self.places {
            // With a folder all that was held in it is gone.
            if met(place) || replaced.iter().any(|path| within(&place.to, path)) {
                replaced.push(place.to.clone());
            }
        }
        if replaced.is_empty() {
            return Ok(replaced);
        }
        let wanted = |place: &&Place| replaced.contains(&place.to);
        let wanted: Vec<Wanted> = self
            .places
            .iter()
            .filter(wanted)
            .map(|place| Wanted {
                to: place.to.clone(),
                read_only: place.read_only,
                covered: place.covered,
            })
            .collect();
        let told = || format!("`{}` was replaced outside", replaced.join("`, `"));
        again(program, &wanted).map_err(|e| format!("{} and can't be held: {e}", told()))?;
        self.watch().map_err(|e| format!("{} and can't be watched: {e}", told()))?;
        Ok(replaced)
    }
}

/// Where on the host something lies that is seen at a path inside.
fn host_path(mounts: &[Mount], to: &str) -> Option<String> {
    mounts.iter().rev().find_map(|mount| match mount {
        Mount::Bind { from, to: at, .. } if within(to, at) => {
            Some(format!("{from}{}", to.strip_prefix(at.as_str())?))
        }
        _ => None,
    })
}

/// Starts the process that mounts again, and waits for it.
fn again(program: BorrowedFd<'_>, wanted: &[Wanted]) -> io::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(HOLD)
        .arg(serde_json::to_string(wanted)?)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    sys::with_descriptors(&mut command, vec![program.try_clone_to_owned()?]);
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(if said.is_empty() { output.status.to_string() } else { said }))
}

/// The process behind [`HOLD`].
pub(crate) fn hold_main(wanted: Option<String>) -> i32 {
    let done = || -> Result<(), String> {
        let wanted: Vec<Wanted> = serde_json::from_str(&wanted.unwrap_or_default())
            .map_err(|e| format!("what is wanted: {e}"))?;
        let program = sys::adopt(3).map_err(|e| e.to_string())?;
        sys::enter_mounts(program.as_fd()).map_err(|e| format!("enter the jail: {e}"))?;
        for place in wanted {
            mount(&place).map_err(|e| format!("{}: {e}", place.to))?;
        }
        Ok(())
    };
    match done() {
        Ok(()) => 0,
        Err(why) => {
            use std::io::Write as _;
            let _closed = writeln!(io::stderr(), "{why}");
            1
        }
    }
}

fn mount(place: &Wanted) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let plain = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let at = match openat2(rustix::fs::CWD, &place.to, flags, Mode::empty(), plain) {
        // Gone again: it is held when it comes back.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let clone = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let cover = if place.covered {
        Some(openat2(rustix::fs::CWD, COVER, flags, Mode::empty(), plain)?)
    } else {
        None
    };
    let tree = open_tree(cover.as_ref().unwrap_or(&at), "", clone)?;
    if place.read_only {
        let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        sys::mount_setattr(tree.as_fd(), false, sys::MountAttr { set, ..Default::default() })?;
    }
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&tree, "", &at, "", empty)?)
}
