//! What a planner asks about the host.

use std::io;

/// What is at a path, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// Anything else.
    Other,
}

/// The host's file system, as far as planning needs it.
pub trait Host {
    /// The path with every symbolic link resolved.
    ///
    /// # Errors
    /// When it does not exist or cannot be reached.
    fn canonical(&self, path: &str) -> io::Result<String>;

    /// What is at a path, without following a link in its last part.
    fn kind(&self, path: &str) -> Option<Kind>;

    /// The names in a folder. None when there are more than `most`, or they can't be told.
    fn list(&self, path: &str, most: usize) -> Option<Vec<String>> {
        let _ = (path, most);
        None
    }

    /// By how many names the file at a path is known.
    fn names(&self, path: &str) -> u64 {
        let _ = path;
        1
    }

    /// Paths of the unix sockets that programs of the host have, as these named them.
    fn sockets(&self) -> Vec<String> {
        Vec::new()
    }

    /// The text of a regular file. None when there is none, or it is longer than settings are.
    fn text(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }
}

/// Longest text that [`Host::text`] reads of a file: a repository's settings are a few lines.
const MAX_TEXT: u64 = 256 * 1024;

/// Most of the kernel's list of sockets that is read: some ten thousand.
const MAX_SOCKETS: u64 = 2 << 20;

/// This machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealHost;

impl Host for RealHost {
    fn canonical(&self, path: &str) -> io::Result<String> {
        std::fs::canonicalize(path)?
            .into_os_string()
            .into_string()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "is not UTF-8"))
    }

    fn kind(&self, path: &str) -> Option<Kind> {
        let kind = std::fs::symlink_metadata(path).ok()?.file_type();
        Some(if kind.is_symlink() {
            Kind::Link
        } else if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Other
        })
    }

    fn list(&self, path: &str, most: usize) -> Option<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).ok()? {
            if names.len() >= most {
                return None;
            }
            names.push(entry.ok()?.file_name().into_string().ok()?);
        }
        names.sort_unstable();
        Some(names)
    }

    fn names(&self, path: &str) -> u64 {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::symlink_metadata(path).map_or(1, |meta| meta.nlink())
    }

    fn sockets(&self) -> Vec<String> {
        use std::io::Read as _;
        let mut text = String::new();
        let list = std::fs::File::open("/proc/self/net/unix");
        let Ok(_) = list.and_then(|list| list.take(MAX_SOCKETS).read_to_string(&mut text)) else {
            return Vec::new();
        };
        // Seven columns, then the path, which may hold anything.
        let path = |line: &str| {
            let at = line.find(" /")?;
            line.get(at + 1..).map(str::to_owned)
        };
        let mut paths: Vec<String> = text.lines().filter_map(path).collect();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn text(&self, path: &str) -> Option<String> {
        use std::io::Read as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let flags = flags | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?;
        let file = std::fs::File::from(fd);
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        let read = file.take(MAX_TEXT + 1).read_to_string(&mut text).ok()?;
        (u64::try_from(read).ok()? <= MAX_TEXT).then_some(text)
    }
}
