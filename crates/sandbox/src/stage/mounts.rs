//! Puts the jail's file system together, from descriptors only: no path of the host is looked up
//! twice, and none through a symbolic link.

use super::ids::{Ids, owner_of};
use crate::spec::{Access, EnsureDir, Mount, parent_of, within};
use crate::sys::{self, MountAttr};
use crate::wire::{StageError, Step};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod, mkdirat, openat, openat2,
    readlinkat, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

/// A path that could not be opened.
#[derive(Debug)]
pub(crate) struct OpenError(Errno);

impl OpenError {
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.0, Errno::NOENT | Errno::NOTDIR)
    }

    pub(crate) fn into_stage(self, step: &str, path: &str) -> StageError {
        let error = StageError::new(step, self.0).path(path);
        match self.0 {
            Errno::LOOP => error
                .hint("there is a symbolic link in the path, put there after the plan was made"),
            Errno::NOENT => error.hint("it does not exist"),
            _ => error,
        }
    }
}

/// Opens a path of the host that must not go through a symbolic link.
pub(crate) fn open_source(path: &str) -> Result<OwnedFd, OpenError> {
    open_beneath(CWD, path, ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS)
}

fn open_beneath(
    base: BorrowedFd<'_>,
    path: &str,
    resolve: ResolveFlags,
) -> Result<OwnedFd, OpenError> {
    loop {
        match openat2(base, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(fd) => return Ok(fd),
            // A rename raced with the look-up.
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(e) => return Err(OpenError(e)),
        }
    }
}

/// Makes a folder on the host, below one that the program may be able to change: one part at a
/// time, each from the descriptor of the one above, never through a link.
pub(crate) fn ensure(dir: &EnsureDir) -> Result<(), StageError> {
    let step = "make the folder";
    let whole = format!("{}/{}", dir.base, dir.path);
    let mut at = open_source(&dir.base).map_err(|e| e.into_stage(step, &dir.base))?;
    let (uid, gid) = owner_of(&at).step_on(step, &whole)?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for part in dir.path.split('/') {
        if part.is_empty() || part == "." || part == ".." {
            return Err(StageError::new(step, "not a plain relative path").path(&whole));
        }
        let made = match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(e) => return Err(StageError::new(step, e).path(&whole)),
        };
        at = open_beneath(at.as_fd(), part, beneath).map_err(|e| e.into_stage(step, &whole))?;
        if made && rustix::process::geteuid().is_root() && is_new(&at).step_on(step, &whole)? {
            rustix::fs::chownat(
                &at,
                "",
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::EMPTY_PATH,
            )
            .step_on(step, &whole)?;
        }
    }
    Ok(())
}

/// Whether a folder that was just made is (as good as) the one that was made: a program that goes
/// on in the folder above may have put another in its place, which stays its owner's.
fn is_new(folder: &OwnedFd) -> Result<bool, Errno> {
    if !rustix::fs::Uid::from_raw(rustix::fs::fstat(folder)?.st_uid).is_root() {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let listed = openat(folder, ".", flags, Mode::empty())?;
    for entry in rustix::fs::Dir::read_from(&listed)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The root file system under construction.
struct Root<'a> {
    host: OwnedFd,
    root: OwnedFd,
    ids: &'a Ids,
    missing: &'a mut Vec<String>,
    folders: HashMap<String, Folder>,
}

/// A folder inside in which something is put.
#[derive(Clone)]
struct Folder {
    fd: Rc<OwnedFd>,
    /// Whether it was made here, in the memory that becomes the root: nobody else is in it, and
    /// what is missing from it can be made without a look.
    ours: bool,
}

/// Builds the file system and makes it this process's root.
pub(crate) fn build(
    mounts: &[Mount],
    ids: &Ids,
    missing: &mut Vec<String>,
) -> Result<(), StageError> {
    let host = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step_on("open", "/")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("make mounts private")?;
    // The jail's own, as the folders in it: programs ask who owns the folders above a program, and
    // an owner outside of the id map is nobody. It is read-only before anything runs in it.
    let tmpfs = new_tmpfs(0o755, 4 << 20, 4096, Some(ids.fs_owner())).step("make the root")?;
    // Any existing folder will do to hang the new root on; nothing is looked up through it.
    let hook = openat(CWD, "/proc", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .step_on("open", "/proc")?;
    attach(tmpfs.as_fd(), hook.as_fd()).step("attach the root")?;
    let mut root = Root { host, root: tmpfs, ids, missing, folders: HashMap::new() };
    for mount in mounts {
        root.apply(mount)?;
    }
    sys::mount_setattr(
        root.root.as_fd(),
        false,
        MountAttr {
            set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
            ..MountAttr::default()
        },
    )
    .step("make the root read-only")?;
    rustix::process::fchdir(&root.root).step("enter the root")?;
    rustix::process::pivot_root(".", ".").step("change the root")?;
    unmount(".", UnmountFlags::DETACH).step("leave the host's root")?;
    rustix::process::chdir("/").step("enter the root")
}

fn attach(tree: BorrowedFd<'_>, at: BorrowedFd<'_>) -> Result<(), Errno> {
    move_mount(
        tree,
        "",
        at,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )
}

fn new_tmpfs(
    mode: u32,
    size: u64,
    inodes: u64,
    owner: Option<(u32, u32)>,
) -> Result<OwnedFd, Errno> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "mode", format!("{mode:o}"))?;
    fsconfig_set_string(&fs, "size", size.to_string())?;
    fsconfig_set_string(&fs, "nr_inodes", inodes.to_string())?;
    if let Some((uid, gid)) = owner {
        fsconfig_set_string(&fs, "uid", uid.to_string())?;
        fsconfig_set_string(&fs, "gid", gid.to_string())?;
    }
    fsconfig_create(&fs)?;
    fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )
}

impl Root<'_> {
    fn apply(&mut self, mount: &Mount) -> Result<(), StageError> {
        match mount {
            Mount::Bind { from, to, access, exec, own, optional } => {
                let source = match self.source(from) {
                    Ok(source) => source,
                    Err(e) if *optional && e.is_missing() => return Ok(()),
                    Err(e) => return Err(e.into_stage("bind", from)),
                };
                let mut set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
                if *access == Access::Ro {
                    set |= libc::MOUNT_ATTR_RDONLY;
                }
                if !exec {
                    set |= libc::MOUNT_ATTR_NOEXEC;
                }
                self.bind(&source, from, to, set, *own)
            }
            Mount::System { path } => self.system(path),
            Mount::Device { path } => {
                let source = match self.source(path) {
                    Ok(source) => source,
                    Err(e) if e.is_missing() => return Ok(()),
                    Err(e) => return Err(e.into_stage("bind", path)),
                };
                self.bind(
                    &source,
                    path,
                    path,
                    libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
                    false,
                )
            }
            Mount::Pin { to } => {
                let at = self.existing(to)?;
                let tree = open_tree(
                    &at,
                    "",
                    OpenTreeFlags::OPEN_TREE_CLONE
                        | OpenTreeFlags::OPEN_TREE_CLOEXEC
                        | OpenTreeFlags::AT_EMPTY_PATH,
                )
                .step_on("pin", to)?;
                self.attach(&tree, &at, to)
            }
            Mount::Tmpfs { to, mode, size, inodes, exec } => {
                let at = self.folder(to)?.fd;
                let tree = new_tmpfs(*mode, *size, *inodes, Some(self.ids.fs_owner()))
                    .step_on("make a tmpfs", to)?;
                if !exec {
                    let noexec = MountAttr { set: libc::MOUNT_ATTR_NOEXEC, ..MountAttr::default() };
                    sys::mount_setattr(tree.as_fd(), false, noexec).step_on("make a tmpfs", to)?;
                }
                self.attach(&tree, &at, to)
            }
            Mount::Proc { to, pids_only } => self.proc(to, *pids_only),
            Mount::File { to, content } => {
                let (dir, name) = self.parent(to)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let fd = openat(&dir.fd, name, flags, Mode::from_raw_mode(0o444))
                    .step_on("write", to)?;
                fchmod(&fd, Mode::from_raw_mode(0o444)).step_on("write", to)?;
                std::fs::File::from(fd).write_all(content.as_bytes()).step_on("write", to)
            }
            Mount::Dir { to } => self.folder(to).map(drop),
            Mount::Symlink { to, target } => {
                let (dir, name) = self.parent(to)?;
                symlinkat(target, &dir.fd, name).step_on("link", to)
            }
        }
    }

    fn source(&self, path: &str) -> Result<OwnedFd, OpenError> {
        open_beneath(
            self.host.as_fd(),
            path.trim_start_matches('/'),
            ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// Something of the operating system. Links are copied and not followed, so that what they
    /// point at is only there if it was mounted too.
    fn system(&mut self, path: &str) -> Result<(), StageError> {
        let source = match self.source(path) {
            Ok(source) => source,
            Err(e) if e.is_missing() => return Ok(()),
            Err(e) if e.0 == Errno::LOOP => {
                // In the last part only: the parts above are the system's own.
                let relative = path.trim_start_matches('/');
                let target =
                    readlinkat(&self.host, relative, Vec::new()).step_on("read the link", path)?;
                let (dir, name) = self.parent(path)?;
                return symlinkat(&target, &dir.fd, name).step_on("link", path);
            }
            Err(e) => return Err(e.into_stage("bind", path)),
        };
        let set = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
        self.bind(&source, path, path, set, false)
    }

    fn bind(
        &mut self,
        source: &OwnedFd,
        from: &str,
        to: &str,
        set: u64,
        own: bool,
    ) -> Result<(), StageError> {
        let stat = rustix::fs::fstat(source).step_on("look at", from)?;
        let at = if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.folder(to)?.fd
        } else {
            Rc::new(self.file(to)?)
        };
        let clone = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let tree =
            open_tree(source, "", clone | OpenTreeFlags::AT_RECURSIVE).step_on("bind", from)?;
        sys::mount_setattr(tree.as_fd(), true, MountAttr { set, ..MountAttr::default() })
            .step_on("set mount attributes", from)?;
        if own && self.ids.privileged() {
            let owner = (stat.st_uid, stat.st_gid);
            let userns = self.ids.userns_for(owner).ok_or_else(|| {
                StageError::new("map the owner", "the owner has changed meanwhile").path(from)
            })?;
            let attr = MountAttr { userns: Some(userns.as_fd()), ..MountAttr::default() };
            sys::mount_setattr(tree.as_fd(), true, attr).map_err(|e| {
                StageError::new("map the owner", e).path(from).hint(
                    "this file system has no ID-mapped mounts (Linux 5.12, most local file \
                     systems): start Seawall as the user who owns the folder",
                )
            })?;
        }
        self.attach(&tree, &at, to)
    }

    fn proc(&mut self, to: &str, pids_only: bool) -> Result<(), StageError> {
        let at = self.folder(to)?.fd;
        let make = |hide: bool, pids_only: bool| -> Result<OwnedFd, Errno> {
            let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            if hide {
                fsconfig_set_string(&fs, "hidepid", "invisible")?;
            }
            if pids_only {
                fsconfig_set_string(&fs, "subset", "pid")?;
            }
            fsconfig_create(&fs)?;
            fsmount(
                &fs,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::MOUNT_ATTR_NOSUID
                    | MountAttrFlags::MOUNT_ATTR_NODEV
                    | MountAttrFlags::MOUNT_ATTR_NOEXEC,
            )
        };
        let tree = match make(true, pids_only) {
            Ok(tree) => tree,
            // Linux before 5.8 has neither per mount.
            Err(Errno::INVAL) => {
                self.missing.push("/proc shows all of the jail's processes to each other".into());
                make(false, false).step_on("make a proc file system", to)?
            }
            Err(e) => {
                return Err(StageError::new("make a proc file system", e).path(to).hint(
                    "a container that hides parts of /proc does not let its users mount one: run \
                     it with an unmasked /proc",
                ));
            }
        };
        self.attach(&tree, &at, to)
    }

    /// Puts a mount on `at`, which was found at a path inside.
    fn attach(&mut self, tree: &OwnedFd, at: &OwnedFd, to: &str) -> Result<(), StageError> {
        // What was found below shows what lies under the new mount.
        self.folders.retain(|path, _| !within(path, to));
        attach(tree.as_fd(), at.as_fd()).step_on("mount", to)
    }

    /// Opens a path inside, without following links.
    fn lookup(&self, path: &str) -> Result<OwnedFd, OpenError> {
        let relative = path.trim_start_matches('/');
        let relative = if relative.is_empty() { "." } else { relative };
        open_beneath(
            self.root.as_fd(),
            relative,
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }

    fn existing(&self, path: &str) -> Result<OwnedFd, StageError> {
        self.lookup(path).map_err(|e| e.into_stage("open inside", path))
    }

    /// A folder inside, made when it is missing.
    fn folder(&mut self, path: &str) -> Result<Folder, StageError> {
        let known = |fd: OwnedFd, ours: bool| Folder { fd: Rc::new(fd), ours };
        if path == "/" {
            return Ok(known(self.existing(path)?, true));
        }
        let (parent, name) = self.parent(path)?;
        if !parent.ours {
            match self.lookup(path) {
                Ok(fd) => return Ok(known(fd, false)),
                Err(e) if e.is_missing() => {}
                Err(e) => return Err(e.into_stage("open inside", path)),
            }
        }
        match mkdirat(&parent.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                // On the root, which will be read-only. On a file system that the program writes,
                // a folder that was made to mount on stays out of its hands.
                if parent.ours {
                    let (uid, gid) = self.ids.fs_owner();
                    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                    let itself = AtFlags::SYMLINK_NOFOLLOW;
                    rustix::fs::chownat(&parent.fd, name, Some(uid), Some(gid), itself)
                        .step_on("make a folder", path)?;
                }
                Ok(known(self.existing(path)?, parent.ours))
            }
            // There before: it may be a mount.
            Err(Errno::EXIST) => Ok(known(self.existing(path)?, false)),
            Err(e) => Err(unmakable(e, path)),
        }
    }

    /// A file inside to mount on, made when it is missing.
    fn file(&mut self, path: &str) -> Result<OwnedFd, StageError> {
        let (parent, name) = self.parent(path)?;
        if !parent.ours {
            match self.lookup(path) {
                Ok(fd) => return Ok(fd),
                Err(e) if e.is_missing() => {}
                Err(e) => return Err(e.into_stage("open inside", path)),
            }
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match openat(&parent.fd, name, flags, Mode::from_raw_mode(0o444)) {
            Ok(made) => Ok(made),
            Err(Errno::EXIST) => self.existing(path),
            Err(e) => Err(unmakable(e, path)),
        }
    }

    /// The folder above a path, and the path's name in it.
    fn parent<'p>(&mut self, path: &'p str) -> Result<(Folder, &'p str), StageError> {
        let above = parent_of(path);
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some(known) = self.folders.get(above) {
            return Ok((known.clone(), name));
        }
        let folder = self.folder(above)?;
        self.folders.insert(above.to_owned(), folder.clone());
        Ok((folder, name))
    }
}

fn unmakable(error: Errno, path: &str) -> StageError {
    StageError::new("make a place to mount on", error)
        .path(path)
        .hint("inside a folder of the host it has to exist before")
}
