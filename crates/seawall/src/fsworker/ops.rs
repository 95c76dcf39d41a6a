//! The operations. Each finds its place ([`super::paths`]), opens the folder, and works on one
//! entry of it by name, never through a symbolic link.

use super::paths::{Mounts, Target};
use super::{Answer, Entry, MAX_DATA, OpError, Request};
use rustix::fs::{AtFlags, Dir, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use seawall_sandbox::plan::{IDENTITY_FILES, MADE};
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Most names that one listing returns.
const MAX_ENTRIES: usize = 100_000;

/// Deepest tree that is removed; each level holds a descriptor.
const MAX_DEPTH: usize = 128;

type Done = Result<(Answer, Vec<u8>), OpError>;

pub(crate) fn run(mounts: &Mounts, request: Request, data: Vec<u8>) -> Done {
    let plain = |answer: Answer| Ok((answer, Vec::new()));
    match request {
        Request::Hello { .. } => Err(OpError::refused("a second hello")),
        Request::Identity { path } => {
            let place = mounts.folder(&path)?;
            plain(Answer { path: Some(place.canonical), ..Answer::default() })
        }
        Request::Pin { path, directory } => plain(pin(mounts, &path, directory)?),
        Request::Stat { path } => plain(stat(mounts, &path)?),
        Request::Read { path, max } => read(mounts, &path, max),
        Request::List { path } => plain(list(mounts, &path)?),
        Request::Write { path, mkdir, pinned } => {
            let (target, folder) = writable(mounts, &path, pinned.as_deref(), mkdir, "write")?;
            replace(&folder, &target.name, &data).map_err(|e| failed("write", &path, e))?;
            plain(Answer::default())
        }
        Request::Create { path, mkdir, pinned } => {
            let (target, folder) = writable(mounts, &path, pinned.as_deref(), mkdir, "create")?;
            let created =
                create(&folder, &target.name, &data).map_err(|e| failed("create", &path, e))?;
            plain(Answer { created: Some(created), ..Answer::default() })
        }
        Request::Mkdir { path, pinned } => {
            let place = mounts.new_folder(&path, pinned.as_deref())?;
            mounts.check_writable(&place.logical, false)?;
            place.make().map_err(|e| failed("create", &path, e))?;
            plain(Answer::default())
        }
        Request::Remove { path, recursive, force, pinned } => {
            match remove(mounts, &path, recursive, pinned.as_deref()) {
                Err(error) if error.code == "ENOENT" && force => plain(Answer::default()),
                other => other.and_then(|()| plain(Answer::default())),
            }
        }
        Request::Rename { from, to } => {
            rename(mounts, &from, &to).and_then(|()| plain(Answer::default()))
        }
        Request::Copy { from, to, mkdir, pinned } => {
            let (bytes, mode) = load(mounts, &from, None)?;
            let (target, folder) = writable(mounts, &to, pinned.as_deref(), mkdir, "copy")?;
            swap_in(&folder, &target.name, &bytes, Mode::from_raw_mode(mode))
                .map_err(|e| failed("copy", &to, e))?;
            plain(Answer::default())
        }
    }
}

/// An errno as an error for the tool, with its name as Node writes it.
pub(crate) fn failed(what: &str, path: &Path, errno: Errno) -> OpError {
    let code = match errno {
        Errno::NOENT => "ENOENT",
        Errno::EXIST => "EEXIST",
        Errno::NOTDIR => "ENOTDIR",
        Errno::ISDIR => "EISDIR",
        Errno::NOTEMPTY => "ENOTEMPTY",
        Errno::ACCESS => "EACCES",
        Errno::PERM => "EPERM",
        Errno::ROFS => "EROFS",
        Errno::BUSY => "EBUSY",
        Errno::NOSPC => "ENOSPC",
        Errno::DQUOT => "EDQUOT",
        Errno::FBIG => "EFBIG",
        Errno::LOOP => "ELOOP",
        Errno::NAMETOOLONG => "ENAMETOOLONG",
        Errno::XDEV => "EXDEV",
        _ => "EIO",
    };
    let why = match errno {
        Errno::LOOP | Errno::XDEV => "a symbolic link is in the way".to_owned(),
        // A single file that is mounted read-only cannot be replaced.
        Errno::BUSY | Errno::ROFS => "it is protected in this sandbox".to_owned(),
        Errno::FBIG => "it is larger than the limit".to_owned(),
        other => std::io::Error::from(other).to_string(),
    };
    OpError { code, message: format!("cannot {what} {}: {why}", path.display()) }
}

fn pin(mounts: &Mounts, path: &Path, directory: bool) -> Result<Answer, OpError> {
    let (policy, pinned) = if directory {
        let place = mounts.folder(path)?;
        (place.logical, place.canonical)
    } else {
        let Target { folder, name } = mounts.entry(path, None)?;
        (folder.logical.join(&name), folder.canonical.join(&name))
    };
    Ok(Answer { path: Some(pinned), policy_path: Some(policy), ..Answer::default() })
}

fn stat(mounts: &Mounts, path: &Path) -> Result<Answer, OpError> {
    // What a link leads to is looked at, and must be within the mount as well.
    let place = mounts.folder(path)?;
    match place.look() {
        Ok(found) => Ok(Answer {
            kind: Some(match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => "directory",
                FileType::RegularFile => "file",
                _ => "other",
            }),
            size: Some(u64::try_from(found.st_size).unwrap_or(0)),
            mtime_ms: Some(millis(&found)),
            ..Answer::default()
        }),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            Ok(Answer { kind: Some("missing"), ..Answer::default() })
        }
        Err(error) => Err(failed("look at", path, error)),
    }
}

#[expect(clippy::useless_conversion, reason = "the widths differ between platforms")]
fn millis(found: &Stat) -> i64 {
    let nanos = i64::try_from(found.st_mtime_nsec).unwrap_or(0);
    i64::from(found.st_mtime).saturating_mul(1_000).saturating_add(nanos / 1_000_000)
}

fn read(mounts: &Mounts, path: &Path, max: Option<u64>) -> Done {
    let target = mounts.entry(path, None)?;
    let canonical = target.folder.canonical.join(&target.name);
    let policy = target.folder.logical.join(&target.name);
    let (bytes, _) = load(mounts, path, max)?;
    Ok((Answer { path: Some(canonical), policy_path: Some(policy), ..Answer::default() }, bytes))
}

/// Reads a regular file that has one name only: a second one may lie anywhere.
fn load(mounts: &Mounts, path: &Path, max: Option<u64>) -> Result<(Vec<u8>, u32), OpError> {
    let target = mounts.entry(path, None)?;
    let fail = |errno| failed("read", path, errno);
    let folder = target.folder.open(OFlags::PATH).map_err(fail)?;
    // A FIFO must not hold the worker up.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::openat(&folder, &target.name, flags, Mode::empty()).map_err(fail)?;
    let found = rustix::fs::fstat(&fd).map_err(fail)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(fail(Errno::ISDIR)),
        _ => return Err(OpError::refused(format!("{} is not a regular file", path.display()))),
    }
    if found.st_nlink > 1 {
        return Err(OpError::refused(format!("{} has more than one hard link", path.display())));
    }
    let limit = max.unwrap_or(MAX_DATA as u64).min(MAX_DATA as u64);
    let mut bytes = Vec::new();
    // One byte more tells a file that grows from one that fits.
    let read = File::from(fd).take(limit.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|e| fail(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
    if bytes.len() as u64 > limit {
        return Err(fail(Errno::FBIG));
    }
    Ok((bytes, found.st_mode & 0o777))
}

fn list(mounts: &Mounts, path: &Path) -> Result<Answer, OpError> {
    let place = mounts.folder(path)?;
    let fail = |errno| failed("list", path, errno);
    let folder = place.open(OFlags::RDONLY).map_err(fail)?;
    let mut entries = Vec::new();
    for found in Dir::read_from(&folder).map_err(fail)? {
        let found = found.map_err(fail)?;
        let name = found.file_name();
        if is_dot(name) {
            continue;
        }
        if entries.len() >= MAX_ENTRIES {
            return Err(fail(Errno::FBIG));
        }
        let kind = match found.file_type() {
            // Some filesystems do not tell.
            FileType::Unknown => rustix::fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_or(FileType::Unknown, |s| FileType::from_raw_mode(s.st_mode)),
            kind => kind,
        };
        entries.push(Entry {
            name: name.to_string_lossy().into_owned(),
            is_directory: kind == FileType::Directory,
            is_file: kind == FileType::RegularFile,
        });
    }
    Ok(Answer { entries: Some(entries), ..Answer::default() })
}

fn is_dot(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

/// Finds an entry that may be written, and opens its folder.
fn writable<'a>(
    mounts: &'a Mounts,
    path: &Path,
    pinned: Option<&Path>,
    mkdir: bool,
    what: &str,
) -> Result<(Target<'a>, OwnedFd), OpError> {
    let target = mounts.entry(path, pinned)?;
    mounts.check_writable(&target.folder.logical.join(&target.name), false)?;
    let folder = if mkdir { target.folder.make() } else { target.folder.open(OFlags::PATH) };
    let folder = folder.map_err(|e| failed(what, path, e))?;
    Ok((target, folder))
}

fn lstat(folder: &OwnedFd, name: &OsStr) -> Result<Stat, Errno> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
}

/// Puts new content in the place of an entry, keeping a file's mode. A link is replaced and not
/// followed. There is no fsync: as with an editor, the last seconds before a power loss may be
/// lost, never half of a file.
fn replace(folder: &OwnedFd, name: &OsStr, data: &[u8]) -> Result<(), Errno> {
    let mode = match lstat(folder, name) {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::RegularFile => {
            // Replacing one name of a file would leave the other with what was there.
            if found.st_nlink > 1 {
                return Err(Errno::PERM);
            }
            Mode::from_raw_mode(found.st_mode & 0o777)
        }
        Ok(_) | Err(Errno::NOENT) => Mode::from_raw_mode(0o644),
        Err(error) => return Err(error),
    };
    swap_in(folder, name, data, mode)
}

/// Whether other runs hold a file of this name read-only. Their hold is a mount on the file that
/// is there: one that is put in its place would be theirs to write until it is held again.
fn is_held_elsewhere(name: &OsStr) -> bool {
    let held = IDENTITY_FILES.iter().chain([&MADE.0, &"BOOTSTRAP.md", &"config"]);
    held.into_iter().any(|held| name == *held)
}

/// Writes new content into the file that is there. Who reads meanwhile may see part of it, and
/// what fails in the middle leaves part of it.
fn rewrite(folder: &OwnedFd, name: &OsStr, data: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::empty())?);
    let found = rustix::fs::fstat(&file)?;
    // Looked at again: the name may lead to another file by now.
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_nlink > 1 {
        return Err(Errno::PERM);
    }
    let length = u64::try_from(data.len()).map_err(|_| Errno::FBIG)?;
    if length > u64::try_from(found.st_size).unwrap_or(0) {
        // A full disk is met before anything is overwritten, where the file system can tell.
        let all = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length);
        if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = all {
            return Err(error);
        }
    }
    file.write_all(data).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    rustix::fs::ftruncate(&file, length)
}

fn swap_in(folder: &OwnedFd, name: &OsStr, data: &[u8], mode: Mode) -> Result<(), Errno> {
    let file = |found: Stat| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
    if is_held_elsewhere(name) && lstat(folder, name).is_ok_and(file) {
        return rewrite(folder, name, data);
    }
    let (temporary, file) = temporary(folder, data, mode)?;
    drop(file);
    rustix::fs::renameat(folder, &temporary, folder, name)
        .inspect_err(|_| discard(folder, &temporary))
}

/// True when it was made, false when something was there.
fn create(folder: &OwnedFd, name: &OsStr, data: &[u8]) -> Result<bool, Errno> {
    let (temporary, file) = temporary(folder, data, Mode::from_raw_mode(0o644))?;
    drop(file);
    match rustix::fs::renameat_with(folder, &temporary, folder, name, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(error) => {
            discard(folder, &temporary);
            if error == Errno::EXIST { Ok(false) } else { Err(error) }
        }
    }
}

fn temporary(folder: &OwnedFd, data: &[u8], mode: Mode) -> Result<(OsString, File), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut random = [0u8; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    let name = OsString::from(format!(".seawall-write-{}", hex::encode(random)));
    let fd = rustix::fs::openat(folder, &name, flags, Mode::from_raw_mode(0o600))?;
    let mut file = File::from(fd);
    let written = file
        .write_all(data)
        .map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
        .and_then(|()| rustix::fs::fchmod(&file, mode));
    match written {
        Ok(()) => Ok((name, file)),
        Err(error) => {
            discard(folder, &name);
            Err(error)
        }
    }
}

fn discard(folder: &OwnedFd, name: &OsStr) {
    // Best effort: the failure that led here is the one that is reported.
    let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
}

fn remove(
    mounts: &Mounts,
    path: &Path,
    recursive: bool,
    pinned: Option<&Path>,
) -> Result<(), OpError> {
    let target = mounts.entry(path, pinned)?;
    mounts.check_writable(&target.folder.logical.join(&target.name), recursive)?;
    let fail = |errno| failed("remove", path, errno);
    let folder = target.folder.open(OFlags::PATH).map_err(fail)?;
    if recursive {
        return remove_tree(&folder, &target.name, 0).map_err(fail);
    }
    let found = lstat(&folder, &target.name).map_err(fail)?;
    let flags = if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
        AtFlags::REMOVEDIR
    } else {
        AtFlags::empty()
    };
    rustix::fs::unlinkat(&folder, &target.name, flags).map_err(fail)
}

fn remove_tree(folder: &OwnedFd, name: &OsStr, depth: usize) -> Result<(), Errno> {
    let found = lstat(folder, name)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
    if depth >= MAX_DEPTH {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    for child in Dir::read_from(inner.as_fd())? {
        let child = child?;
        if !is_dot(child.file_name()) {
            remove_tree(&inner, OsStr::from_bytes(child.file_name().to_bytes()), depth + 1)?;
        }
    }
    rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
}

fn rename(mounts: &Mounts, from: &Path, to: &Path) -> Result<(), OpError> {
    let source = mounts.entry(from, None)?;
    let target = mounts.entry(to, None)?;
    for end in [&source, &target] {
        mounts.check_writable(&end.folder.logical.join(&end.name), true)?;
    }
    let fail = |errno| failed("rename", from, errno);
    let out = source.folder.open(OFlags::PATH).map_err(fail)?;
    let into = target.folder.make().map_err(|e| failed("rename to", to, e))?;
    match rustix::fs::renameat(&out, &source.name, &into, &target.name) {
        // Between mounts a file is copied; a folder is left to a command, which shows progress.
        Err(Errno::XDEV) => {
            let found = lstat(&out, &source.name).map_err(fail)?;
            if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
                return Err(OpError {
                    code: "EXDEV",
                    message: format!("cannot rename {}: it is on another mount", from.display()),
                });
            }
            let (bytes, mode) = load(mounts, from, None)?;
            swap_in(&into, &target.name, &bytes, Mode::from_raw_mode(mode)).map_err(fail)?;
            rustix::fs::unlinkat(&out, &source.name, AtFlags::empty()).map_err(fail)
        }
        other => other.map_err(fail),
    }
}
