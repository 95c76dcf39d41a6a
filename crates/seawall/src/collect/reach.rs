//! Credentials in what the agent can read: its workspaces.
//!
//! What decides is what a file holds, not what it is called. Everything that is left out is said.

use super::files::{INSTRUCTIONS, acl};
use seawall_audit::facts::{Cut, FileEntry, FileKind, Files};
use seawall_egress::scan::Scanner;
use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Files and folders of one workspace, and how deep: one with more holds data that is not the
/// agent's, and the report says where the look stopped. OpenClaw's own example with 5,000 skills and
/// 10,000 files has 20,000 of the one and 5,100 of the other.
const MAX_FILES: usize = 40_000;
const MAX_FOLDERS: usize = 20_000;
const MAX_DEPTH: usize = 24;
/// A larger file is searched at its beginning and its end, where people and programs append.
const MAX_READ: u64 = 4 * 1024 * 1024;
const WINDOW: u64 = 1024 * 1024;
/// What is read in all, so that an audit ends in a second or two on a slow disk.
const MAX_READ_ALL: u64 = 128 * 1024 * 1024;
/// A folder on a file system that answers slowly.
const LIMIT: Duration = Duration::from_secs(20);
/// Places that a report names; they are counted beyond.
const MAX_CUTS: usize = 100;
/// Bytes in which a file that is no text has a zero.
const HEAD: usize = 8 * 1024;
/// Threads that read; a second one helps while the first waits for the disk.
const MAX_THREADS: usize = 4;
/// Files that are worth a thread.
const SHARE: usize = 250;

/// Finds credentials in files.
pub(super) struct Reader {
    scanner: Option<Scanner>,
    read: AtomicU64,
    limit: u64,
}

/// What is known of a file's text.
#[derive(Default)]
pub(super) struct Found {
    pub(super) secrets: Vec<String>,
    /// Why it was not searched, or not to its end.
    pub(super) left: Option<String>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { scanner: Scanner::new(&[]).ok(), read: AtomicU64::new(0), limit: MAX_READ_ALL }
    }

    /// The kinds of credentials in an open file.
    pub(super) fn look(&self, path: &Path, file: &mut File, buffer: &mut Vec<u8>) -> Found {
        self.searched(path, file, buffer).unwrap_or_else(|e| Found {
            left: Some(format!("could not be read: {e}")),
            ..Found::default()
        })
    }

    fn searched(&self, path: &Path, file: &mut File, buffer: &mut Vec<u8>) -> io::Result<Found> {
        let mut found = Found::default();
        let Some(scanner) = &self.scanner else {
            found.left = Some("was not searched: the search cannot be made ready".into());
            return Ok(found);
        };
        let size = file.metadata()?.len();
        if size == 0 {
            return Ok(found);
        }
        fill(file, buffer, size.min(HEAD as u64))?;
        // A credential's own file is searched whatever else is in it.
        if !is_env(path) && buffer.contains(&0) {
            return Ok(found);
        }
        let wanted = if size > MAX_READ { 2 * WINDOW } else { size };
        if self.read.fetch_add(wanted, Ordering::Relaxed) > self.limit {
            found.left = Some(format!(
                "was not searched: more than {} MiB of text were before it",
                self.limit >> 20
            ));
            return Ok(found);
        }
        if size > MAX_READ {
            file.seek(SeekFrom::End(-WINDOW.cast_signed()))?;
            fill(file, buffer, WINDOW)?;
            kinds(scanner, buffer, &mut found.secrets);
            file.seek(SeekFrom::Start(0))?;
            fill(file, buffer, WINDOW)?;
            found.left = Some(format!(
                "has {} MiB: only its first and its last MiB were searched",
                size >> 20
            ));
        } else if size > HEAD as u64 {
            file.seek(SeekFrom::Start(0))?;
            fill(file, buffer, size)?;
        }
        kinds(scanner, buffer, &mut found.secrets);
        if found.secrets.is_empty() && is_env(path) && assigns(buffer) {
            found.secrets.push("credentials by name".into());
        }
        Ok(found)
    }
}

/// Reads so many bytes, or up to the end.
fn fill(file: &mut File, buffer: &mut Vec<u8>, wanted: u64) -> io::Result<()> {
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    buffer.clear();
    buffer.resize(wanted, 0);
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

fn kinds(scanner: &Scanner, bytes: &[u8], found: &mut Vec<String>) {
    // One kind hides the next: ask again without it. Few files hold more than two.
    while let Some(hit) = scanner.scan(bytes, found).filter(|_| found.len() < 4) {
        found.push(hit.kind.to_string());
    }
}

fn is_env(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".env") || name.ends_with(".env")
}

/// Whether a `.env` file gives a credential's name a value.
fn assigns(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).lines().any(|line| {
        line.split_once('=').is_some_and(|(name, value)| {
            let value = value.trim().trim_matches(['"', '\'']);
            seawall_audit::facts::names_a_secret(name.trim_start_matches("export ").trim())
                && value.len() >= 8
                && !value.starts_with("${")
        })
    })
}

/// Looks through the workspaces. `known` are paths that were looked at already.
pub(super) fn workspaces(
    workspaces: &[PathBuf],
    known: &HashSet<OsString>,
    reader: &Reader,
    out: &mut Files,
) {
    for workspace in workspaces {
        // One inside of another is a part of it.
        let inside = |other: &PathBuf| other != workspace && workspace.starts_with(other);
        if workspaces.iter().any(inside) {
            continue;
        }
        let mut walk = Walk { files: Vec::new(), cuts: Vec::new(), workspaces };
        walk.all(workspace);
        let Walk { files, cuts, .. } = walk;
        for (path, why) in cuts.into_iter().take(MAX_CUTS) {
            out.cuts.push(Cut { path, kind: FileKind::WorkspaceFile, why });
        }
        let files: Vec<PathBuf> =
            files.into_iter().filter(|path| !known.contains(path.as_os_str())).collect();
        search(&files, reader, out);
    }
}

/// Reads all files, by several threads when there are many.
fn search(files: &[PathBuf], reader: &Reader, out: &mut Files) {
    let most = thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let threads = (files.len() / SHARE).clamp(1, most);
    let part = files.len().div_ceil(threads).max(1);
    let look = |files: &[PathBuf]| {
        let mut out = Files::default();
        let mut buffer = Vec::new();
        for path in files {
            one(path, reader, &mut buffer, &mut out);
        }
        out
    };
    let mut parts = Vec::new();
    thread::scope(|scope| {
        let mut rest = files.chunks(part);
        let first = rest.next().unwrap_or_default();
        let others: Vec<_> = rest.map(|files| (files, scope.spawn(move || look(files)))).collect();
        parts.push(look(first));
        for (files, other) in others {
            // One that panicked has seen nothing.
            parts.push(other.join().unwrap_or_else(|_| Files {
                cuts: vec![Cut {
                    path: files.first().cloned().unwrap_or_default(),
                    kind: FileKind::WorkspaceFile,
                    why: format!(
                        "and {} more were not searched: the look ended early",
                        files.len()
                    ),
                }],
                ..Files::default()
            }));
        }
    });
    for part in parts {
        out.entries.extend(part.entries);
        out.cuts.extend(part.cuts);
        let room = MAX_CUTS.saturating_sub(out.unread.len());
        out.unread.extend(part.unread.into_iter().take(room));
    }
}

fn one(path: &Path, reader: &Reader, buffer: &mut Vec<u8>, out: &mut Files) {
    let name = path.file_name().unwrap_or_default();
    let kind = if INSTRUCTIONS.iter().any(|known| name == OsStr::new(known)) {
        FileKind::Instructions
    } else {
        FileKind::WorkspaceFile
    };
    let left = |why: String, out: &mut Files| {
        out.unread.push(Cut { path: path.to_owned(), kind, why });
    };
    let mut file = match crate::deploy::open_file(path) {
        Ok(file) => file,
        // It went meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return,
        Err(e) => return left(format!("could not be read: {e}"), out),
    };
    let found = reader.look(path, &mut file, buffer);
    if let Some(why) = found.left {
        left(why, out);
    }
    if kind == FileKind::WorkspaceFile && found.secrets.is_empty() {
        return;
    }
    let Ok(meta) = file.metadata() else { return };
    out.entries.push(FileEntry {
        path: path.to_owned(),
        kind,
        dir: false,
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        link: fs::read_link(path).ok().and_then(|_| fs::canonicalize(path).ok()),
        acl: kind == FileKind::Instructions && acl(path, meta.mode()),
        secrets: found.secrets,
    });
}

struct Walk<'a> {
    files: Vec<PathBuf>,
    cuts: Vec<(PathBuf, String)>,
    workspaces: &'a [PathBuf],
}

impl Walk<'_> {
    /// Every file, those near the top first: whoever fills a deep folder hides nothing above it.
    fn all(&mut self, workspace: &Path) {
        let end = Instant::now() + LIMIT;
        let mut queue = VecDeque::from([(workspace.to_owned(), 0_usize)]);
        let mut folders = 0;
        while let Some((dir, depth)) = queue.pop_front() {
            folders += 1;
            if Instant::now() > end {
                return self.cut(dir, "and what is deeper were not searched: it took too long");
            }
            if folders > MAX_FOLDERS {
                return self.cut(dir, "and what is deeper were not searched: too many folders");
            }
            let entries = match fs::read_dir(&dir) {
                Ok(entries) => entries,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => {
                    self.cut(dir, &format!("could not be read: {e}"));
                    continue;
                }
            };
            let packages = dir.file_name() == Some(OsStr::new("node_modules"));
            for entry in entries.flatten() {
                if self.files.len() >= MAX_FILES {
                    return self.cut(dir, "and what is deeper were not searched: too many files");
                }
                let Ok(what) = entry.file_type() else { continue };
                let path = entry.path();
                if what.is_file() {
                    self.files.push(path);
                } else if what.is_symlink() {
                    self.link(path);
                } else if what.is_dir() {
                    if entry.file_name() == ".git" {
                        self.repository(&path);
                    } else if packages {
                        // Others' code; what people put beside it was looked at.
                    } else if depth + 1 >= MAX_DEPTH {
                        self.cut(path, "was not searched: it lies too deep");
                    } else {
                        queue.push_back((path, depth + 1));
                    }
                }
            }
        }
    }

    /// The agent follows a link. A folder behind one is looked at when it is part of a workspace.
    fn link(&mut self, path: PathBuf) {
        let Ok(meta) = fs::metadata(&path) else { return };
        if meta.is_file() {
            self.files.push(path);
        } else if meta.is_dir() {
            let real = fs::canonicalize(&path).unwrap_or_default();
            if !self.workspaces.iter().any(|workspace| real.starts_with(workspace)) {
                let why = format!("leads to {}, which was not searched", real.display());
                self.cut(path, &why);
            }
        }
    }

    /// Where Git keeps passwords; its objects are compressed.
    fn repository(&mut self, dir: &Path) {
        for name in ["config", "config.worktree", "credentials"] {
            let path = dir.join(name);
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file()) {
                self.files.push(path);
            }
        }
    }

    fn cut(&mut self, path: PathBuf, why: &str) {
        self.cuts.push((path, why.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Not a credential of anybody: the form alone counts.
    fn key() -> String {
        format!("k = AKIA{}\n", "IOSFODNN7Q2W3E4R")
    }

    fn looked(root: &Path, limit: u64) -> Files {
        let mut reader = Reader::new();
        reader.limit = limit;
        let mut out = Files::default();
        workspaces(&[root.to_owned()], &HashSet::new(), &reader, &mut out);
        out
    }

    fn root() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        (dir, root)
    }

    fn write(root: &Path, name: &str, text: &[u8]) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_a_file_holds_decides_not_its_name_place_or_size() {
        let (_dir, root) = root();
        let outside = tempfile::tempdir().unwrap();
        let key = key();
        let long = "# a line of a comment\n".repeat(20_000);
        let deep: String = (0..12).map(|n| format!("d{n}/")).collect();
        write(&root, "w/long.env", format!("{key}{long}").as_bytes());
        write(&root, "w/r/.git/config", format!("[remote \"o\"]\n{key}").as_bytes());
        write(&root, "w/node_modules/.env", key.as_bytes());
        write(&root, "w/k.php", key.as_bytes());
        write(&root, &format!("w/{deep}k"), key.as_bytes());
        write(outside.path(), "elsewhere", key.as_bytes());
        symlink(outside.path().join("elsewhere"), root.join("w/link.env")).unwrap();
        write(&root, "w/plain.md", b"nothing");
        write(&root, "w/picture", b"\x89PNG\0\0AKIAIOSFODNN7Q2W3E4R ");
        let found = looked(&root.join("w"), MAX_READ_ALL);
        let mut names: Vec<_> = found
            .entries
            .iter()
            .map(|file| file.path.strip_prefix(root.join("w")).unwrap().display().to_string())
            .collect();
        names.sort();
        let deepest = format!("{deep}k");
        assert_eq!(
            names,
            [
                deepest.as_str(),
                "k.php",
                "link.env",
                "long.env",
                "node_modules/.env",
                "r/.git/config"
            ]
        );
        assert_eq!((found.cuts, found.unread), (vec![], vec![]));
    }

    #[test]
    fn what_is_left_out_is_said() {
        let (_dir, root) = root();
        let outside = tempfile::tempdir().unwrap();
        let deep: String = (0..=MAX_DEPTH).map(|n| format!("d{n}/")).collect();
        write(&root, &format!("{deep}k"), b"x");
        symlink(outside.path(), root.join("out")).unwrap();
        symlink(&root, root.join("loop")).unwrap();
        let large = File::create(root.join("large.txt")).unwrap();
        large.set_len(MAX_READ + 1).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&large, &[b'x'; HEAD], 0).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&large, key().as_bytes(), MAX_READ - 100).unwrap();
        let found = looked(&root, MAX_READ_ALL);
        let cuts: Vec<_> = found.cuts.iter().map(|cut| cut.why.as_str()).collect();
        assert_eq!(cuts.len(), 2, "{cuts:?}");
        assert!(cuts.iter().any(|why| why.contains("leads to")), "{cuts:?}");
        assert!(cuts.iter().any(|why| why.contains("too deep")), "{cuts:?}");
        assert!(found.unread.iter().any(|cut| cut.why.contains("last MiB")), "{:?}", found.unread);
        // Its end is searched all the same.
        assert_eq!(found.entries.len(), 1);
        // Nothing is searched any more, and nothing is fine.
        write(&root, "a.txt", b"text");
        let found = looked(&root, 0);
        assert!(found.unread.iter().any(|cut| cut.why.contains("not searched")));
    }

    #[test]
    fn many_files_are_all_read() {
        let (_dir, root) = root();
        for n in 0..3 * SHARE {
            write(
                &root,
                &format!("{}/{n}", n % 7),
                if n % 100 == 0 { key() } else { "x".into() }.as_bytes(),
            );
        }
        assert_eq!(looked(&root, MAX_READ_ALL).entries.len(), 8);
    }
}
