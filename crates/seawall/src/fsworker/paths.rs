//! From a path that a tool names to a folder that is held open.
//!
//! A path is made canonical, checked against its mount, and then walked from the mount's own
//! descriptor, a folder at a time and without following any symbolic link: a link that is swapped
//! in after the check makes the operation fail instead of leading it elsewhere. (`openat2` would
//! do the walk in one call, but tool runs are not allowed it.)

use super::OpError;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use seawall_sandbox::plan::{IDENTITY_FILES, MADE};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Deepest path in components; the kernel's own limit on bytes comes first for long names.
const MAX_COMPONENTS: usize = 512;

/// How each folder on the way is opened.
const STEP: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder of the sandbox that file tools may see.
pub(crate) struct Mount {
    root: PathBuf,
    real: PathBuf,
    fd: OwnedFd,
    writable: bool,
}

impl Mount {
    pub(crate) fn open(root: PathBuf, writable: bool) -> std::io::Result<Self> {
        if !clean(&root) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        let real = std::fs::canonicalize(&root)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = rustix::fs::open(&real, flags, Mode::empty())?;
        Ok(Self { root, real, fd, writable })
    }
}

/// All mounts of a session.
pub(crate) struct Mounts {
    list: Vec<Mount>,
    protected: Vec<PathBuf>,
}

/// A folder within a mount, found but not yet opened.
pub(crate) struct Place<'a> {
    mount: &'a Mount,
    /// From the mount's root; canonical.
    relative: PathBuf,
    /// As OpenClaw names it.
    pub(crate) logical: PathBuf,
    /// As the kernel names it.
    pub(crate) canonical: PathBuf,
}

/// An entry of a folder.
pub(crate) struct Target<'a> {
    pub(crate) folder: Place<'a>,
    pub(crate) name: OsString,
}

impl Mounts {
    pub(crate) fn new(mut list: Vec<Mount>, protected: Vec<PathBuf>) -> Self {
        // Longest first: the innermost mount decides.
        list.sort_by_key(|m| std::cmp::Reverse(m.root.as_os_str().len()));
        Self { list, protected }
    }

    fn innermost(&self, logical: &Path) -> Option<&Mount> {
        self.list.iter().find(|m| logical.starts_with(&m.root))
    }

    /// Finds a folder, existing or not.
    pub(crate) fn folder(&self, path: &Path) -> Result<Place<'_>, OpError> {
        if !clean(path) {
            return Err(OpError::refused(format!(
                "not an absolute plain path: {}",
                path.display()
            )));
        }
        let mount = self.innermost(path).ok_or_else(|| escapes(path))?;
        let canonical = canonical(path)?;
        self.within(mount, canonical, path)
    }

    /// Takes a canonical folder that was found before; nothing is resolved again.
    fn pinned_folder(&self, mount: &Path, pinned: &Path) -> Result<Place<'_>, OpError> {
        if !clean(pinned) {
            return Err(OpError::refused("a pinned path that is not plain"));
        }
        let mount = self.innermost(mount).ok_or_else(|| escapes(pinned))?;
        self.within(mount, pinned.to_path_buf(), pinned)
    }

    fn within<'a>(
        &'a self,
        mount: &'a Mount,
        canonical: PathBuf,
        path: &Path,
    ) -> Result<Place<'a>, OpError> {
        let relative =
            canonical.strip_prefix(&mount.real).map_err(|_| escapes(path))?.to_path_buf();
        let logical = mount.root.join(&relative);
        Ok(Place { mount, relative, logical, canonical })
    }

    /// Finds the entry that `path` names: its folder is resolved, the entry itself is not.
    pub(crate) fn entry(&self, path: &Path, pinned: Option<&Path>) -> Result<Target<'_>, OpError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(OpError::refused(format!("not an entry: {}", path.display())));
        };
        let is_root = self.list.iter().any(|m| m.root == path);
        if is_root || !clean(path) {
            return Err(OpError::refused(format!("not an entry: {}", path.display())));
        }
        let folder = match pinned {
            None => self.folder(parent)?,
            Some(pinned) => {
                // A pin may name another folder, never another entry.
                let (Some(folder), Some(pinned_name)) = (pinned.parent(), pinned.file_name())
                else {
                    return Err(OpError::refused("a pinned path without an entry"));
                };
                if pinned_name != name {
                    return Err(OpError::refused("a pinned path of another entry"));
                }
                self.pinned_folder(path, folder)?
            }
        };
        let target = Target { folder, name: name.to_owned() };
        self.check_name(path, &target)?;
        Ok(target)
    }

    /// What was decided is the path as it was named. A link on the way to a file that later
    /// sessions act on makes it another.
    fn check_name(&self, path: &Path, target: &Target<'_>) -> Result<(), OpError> {
        let led = target.folder.logical.join(&target.name);
        if led == path {
            return Ok(());
        }
        let below = led.strip_prefix(&target.folder.mount.root).unwrap_or(&led);
        let first = below.components().next().map(|part| part.as_os_str().to_string_lossy());
        let acted_on = first.is_some_and(|first| {
            IDENTITY_FILES
                .iter()
                .chain([&MADE.0, &MADE.1, &"BOOTSTRAP.md"])
                .any(|name| first.eq_ignore_ascii_case(name))
        });
        if acted_on {
            return Err(OpError::refused(format!(
                "{} leads to {} by a symbolic link; name that",
                path.display(),
                led.display()
            )));
        }
        Ok(())
    }

    /// A folder that is to be made; `pinned` names it as a whole.
    pub(crate) fn new_folder(
        &self,
        path: &Path,
        pinned: Option<&Path>,
    ) -> Result<Place<'_>, OpError> {
        match pinned {
            None => self.folder(path),
            Some(pinned) => self.pinned_folder(path, pinned),
        }
    }

    /// Refuses what OpenClaw calls read-only: such mounts, and the skill folders whether they
    /// exist or not. With `subtree` also what lies above them.
    pub(crate) fn check_writable(&self, logical: &Path, subtree: bool) -> Result<(), OpError> {
        let inner = self.innermost(logical).ok_or_else(|| escapes(logical))?;
        let read_only = self.list.iter().filter(|m| !m.writable).map(|m| &m.root);
        let hit = !inner.writable
            || self.protected.iter().any(|root| logical.starts_with(root))
            || subtree
                && read_only.chain(&self.protected).any(|root| {
                    root.starts_with(logical) && std::fs::symlink_metadata(root).is_ok()
                });
        if hit {
            return Err(OpError {
                code: "EROFS",
                message: format!("{} is read-only for tools", logical.display()),
            });
        }
        Ok(())
    }
}

impl Place<'_> {
    /// Opens the folder.
    pub(crate) fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let folder = self.walk(&self.relative, false)?;
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&folder, ".", flags, Mode::empty())
    }

    /// Opens it and creates what is missing on the way.
    pub(crate) fn make(&self) -> Result<OwnedFd, Errno> {
        self.walk(&self.relative, true)
    }

    /// Kind, size and times of what is there, folder or not.
    pub(crate) fn look(&self) -> Result<Stat, Errno> {
        match (self.relative.parent(), self.relative.file_name()) {
            (Some(parent), Some(name)) => {
                let folder = self.walk(parent, false)?;
                rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
            }
            _ => rustix::fs::fstat(&self.mount.fd),
        }
    }

    fn walk(&self, relative: &Path, make: bool) -> Result<OwnedFd, Errno> {
        let mut at = rustix::fs::openat(&self.mount.fd, ".", STEP, Mode::empty())?;
        for part in relative.components() {
            let Component::Normal(name) = part else { return Err(Errno::INVAL) };
            at = match step(&at, name) {
                Err(Errno::NOENT) if make => {
                    match rustix::fs::mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                        // Somebody else's folder must still pass the step below.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error),
                    }
                    step(&at, name)?
                }
                other => other?,
            };
        }
        Ok(at)
    }
}

/// A symbolic link answers with `ENOTDIR` here, which would read as an absent file.
fn step(at: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(at.as_fd(), name, STEP, Mode::empty()).map_err(|error| {
        let link = || {
            rustix::fs::statat(at, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Symlink)
        };
        if error == Errno::NOTDIR && link() { Errno::LOOP } else { error }
    })
}

/// Absolute, without `.`, `..` or NUL, and not endless.
fn clean(path: &Path) -> bool {
    let mut parts = path.components();
    parts.next() == Some(Component::RootDir)
        && parts.clone().count() <= MAX_COMPONENTS
        && parts.all(|part| matches!(part, Component::Normal(_)))
        && !path.as_os_str().as_encoded_bytes().contains(&0)
}

fn escapes(path: &Path) -> OpError {
    OpError::refused(format!("{} is outside of the folders of this session", path.display()))
}

/// The canonical form of what exists, with the rest of the path behind it.
fn canonical(path: &Path) -> Result<PathBuf, OpError> {
    let mut existing = path;
    let mut missing = Vec::new();
    loop {
        match std::fs::canonicalize(existing) {
            Ok(mut found) => {
                found.extend(missing.iter().rev());
                return Ok(found);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A link to nothing would be created through.
                if std::fs::symlink_metadata(existing).is_ok() {
                    return Err(OpError::refused(format!(
                        "{} is a symbolic link to nothing",
                        existing.display()
                    )));
                }
                let (Some(parent), Some(name)) = (existing.parent(), existing.file_name()) else {
                    return Err(escapes(path));
                };
                missing.push(name);
                existing = parent;
            }
            Err(error) => {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                return Err(super::ops::failed("resolve", path, errno));
            }
        }
    }
}
