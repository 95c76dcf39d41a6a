//! What a path is, and making it that: by descriptors, without following a link, durable when the
//! call returns.

use super::fault;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RawMode, ResolveFlags, Uid, fchmod, fchown, fstat,
    fsync, mkdirat, openat, openat2, renameat, unlinkat,
};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Files whose bytes are kept for a rollback may be this large; configurations end at 2 MiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What a path is. Two equal states cannot be told apart by anything that a rollback restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// Nothing is there.
    Absent,
    /// A regular file. Without a hash, its bytes are not part of the change.
    File {
        /// BLAKE3 of the bytes.
        hash: Option<String>,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A folder.
    Dir {
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// Why a path could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub(crate) struct FileError {
    path: String,
    why: String,
}

fn failed(path: &Path, why: impl ToString) -> FileError {
    FileError { path: path.display().to_string(), why: why.to_string() }
}

/// Reads what a path is; with `content`, its bytes too.
pub(crate) fn observe(path: &Path, content: bool) -> Result<(State, Option<Vec<u8>>), FileError> {
    let say = |e: Errno| failed(path, e);
    let (dir, name) = match parent(path) {
        Ok(found) => found,
        Err(Errno::NOENT) => return Ok((State::Absent, None)),
        Err(e) => return Err(say(e)),
    };
    // By path only: a file that its owner cannot read has a mode all the same.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match openat(&dir, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok((State::Absent, None)),
        Err(e) => return Err(say(e)),
    };
    let stat = fstat(&fd).map_err(say)?;
    let mode = stat.st_mode & 0o7777;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Ok((State::Dir { mode, uid: stat.st_uid, gid: stat.st_gid }, None)),
        FileType::RegularFile if stat.st_nlink > 1 => {
            Err(failed(path, "has more than one name (a hard link): a change would part them"))
        }
        FileType::RegularFile => {
            let bytes = if content { Some(read(path, &dir, name)?) } else { None };
            let hash = bytes.as_deref().map(hash);
            Ok((State::File { hash, mode, uid: stat.st_uid, gid: stat.st_gid }, bytes))
        }
        FileType::Symlink => Err(failed(path, "is a symbolic link; name what it leads to")),
        _ => Err(failed(path, "is neither a file nor a folder")),
    }
}

/// Hash of a file's bytes as the journal has it.
pub(crate) fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn read(path: &Path, dir: &OwnedFd, name: &OsStr) -> Result<Vec<u8>, FileError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(|e| failed(path, e))?;
    let mut bytes = Vec::new();
    let mut file = File::from(fd).take(MAX_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(|e| failed(path, e))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed(path, format!("is larger than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Makes a path what `state` says. A file's bytes change by a rename, so that nobody ever sees half
/// of them; `temp` is the name under which they are prepared in the same folder.
pub(crate) fn make(
    path: &Path,
    state: &State,
    bytes: Option<&[u8]>,
    temp: &str,
) -> Result<(), FileError> {
    let say = |e: Errno| failed(path, e);
    let (dir, name) = parent(path).map_err(say)?;
    match state {
        State::Absent => remove(path, &dir, name)?,
        State::Dir { mode, uid, gid } => {
            match mkdirat(&dir, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => fault::point("made a folder"),
                Err(e) => return Err(say(e)),
            }
            set_attributes(path, &dir, name, *mode, *uid, *gid, true)?;
        }
        State::File { hash: None, mode, uid, gid } => {
            set_attributes(path, &dir, name, *mode, *uid, *gid, false)?;
        }
        State::File { hash: Some(wanted), mode, uid, gid } => {
            let bytes = bytes.filter(|bytes| hash(bytes) == *wanted).ok_or_else(|| {
                failed(path, "the bytes to write are not the ones in the journal")
            })?;
            discard(path, temp)?;
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = openat(&dir, temp, flags, Mode::RUSR | Mode::WUSR).map_err(say)?;
            let mut file = File::from(fd);
            fault::point("opened the new file");
            let (first, rest) = bytes.split_at(bytes.len() / 2);
            file.write_all(first).map_err(|e| failed(path, e))?;
            fault::point("wrote half of the new file");
            file.write_all(rest).map_err(|e| failed(path, e))?;
            keep_extended(&dir, name, &file);
            // The owner first: changing it takes special permission bits away.
            fchown(&file, Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid))).map_err(say)?;
            fchmod(&file, Mode::from_raw_mode(*mode as RawMode)).map_err(say)?;
            fsync(&file).map_err(say)?;
            fault::point("wrote the new file");
            renameat(&dir, temp, &dir, name).map_err(say)?;
            fault::point("renamed the new file");
        }
    }
    fsync(&dir).map_err(say)
}

/// Takes a prepared file away that a crash left behind.
pub(crate) fn discard(path: &Path, temp: &str) -> Result<(), FileError> {
    match parent(path).and_then(|(dir, _)| unlinkat(&dir, temp, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(failed(path, e)),
    }
}

fn remove(path: &Path, dir: &OwnedFd, name: &OsStr) -> Result<(), FileError> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            // Somebody put something into a folder that we made: it stays.
            Ok(()) | Err(Errno::NOTEMPTY) => Ok(()),
            Err(e) => Err(failed(path, e)),
        },
        Err(e) => Err(failed(path, e)),
    }
}

fn set_attributes(
    path: &Path,
    dir: &OwnedFd,
    name: &OsStr,
    mode: u32,
    uid: u32,
    gid: u32,
    folder: bool,
) -> Result<(), FileError> {
    let say = |e: Errno| failed(path, e);
    let kind = if folder { OFlags::DIRECTORY } else { OFlags::NONBLOCK };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
    let fd = openat(dir, name, flags, Mode::empty()).map_err(say)?;
    let stat = fstat(&fd).map_err(say)?;
    // It was looked at by its name, and is opened by its name again: what somebody put there since
    // does not get a new owner or mode.
    if !folder && FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(failed(path, "is no longer a file"));
    }
    if !folder && stat.st_nlink > 1 {
        return Err(failed(path, "has more than one name (a hard link)"));
    }
    if (stat.st_uid, stat.st_gid) != (uid, gid) {
        fchown(&fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(say)?;
        fault::point("changed the owner");
    }
    fchmod(&fd, Mode::from_raw_mode(mode as RawMode)).map_err(say)?;
    fault::point("changed the mode");
    fsync(&fd).map_err(say)
}

/// Copies access lists and security labels of the file that is replaced. What cannot be copied is
/// left to the file system's defaults, as every editor leaves it.
fn keep_extended(dir: &OwnedFd, name: &OsStr, to: &File) {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(old) = openat(dir, name, flags, Mode::empty()) else { return };
    let mut names = vec![0u8; 4096];
    let Ok(length) = flistxattr(&old, names.as_mut_slice()) else { return };
    names.truncate(length);
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0u8; 65_536];
        if let Ok(length) = fgetxattr(&old, name, value.as_mut_slice()) {
            value.truncate(length);
            let _ = fsetxattr(to, name, &value, XattrFlags::empty());
        }
    }
}

/// The folder of a path, reached without a symbolic link, and the path's last name.
fn parent(path: &Path) -> Result<(OwnedFd, &OsStr), Errno> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::INVAL);
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok((openat2(CWD, parent, flags, Mode::empty(), resolve)?, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_was_put_in_the_place_of_a_file_keeps_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let (victim, path) = (root.join("victim"), root.join("openclaw.json"));
        std::fs::write(&victim, "x").unwrap();
        std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o644)).unwrap();
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        let wanted = State::File { hash: None, mode: 0o600, uid: uid.as_raw(), gid: gid.as_raw() };
        std::fs::hard_link(&victim, &path).unwrap();
        assert!(make(&path, &wanted, None, "t").is_err());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        assert!(make(&path, &wanted, None, "t").is_err());
        std::fs::remove_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&victim).unwrap().permissions().mode() & 0o777, 0o644);
        std::fs::rename(&victim, &path).unwrap();
        make(&path, &wanted, None, "t").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
