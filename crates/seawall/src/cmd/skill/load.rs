//! Reads a skill's folder, bounded. Nothing is interpreted here: archives and text are opened in
//! the child.

use seawall_scan::{MAX_DEPTH, MAX_FILE, MAX_FILES, MAX_TOTAL};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Why an entry was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unread {
    TooLarge,
    TooMany,
    TooDeep,
    LinkOut,
    Special,
    Unreadable,
}

/// One file as it lies on disk.
#[derive(Debug, Clone)]
pub(crate) struct Raw {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

/// A skill as it lies on disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
    pub(crate) files: Vec<Raw>,
    pub(crate) unread: Vec<(String, Unread)>,
}

/// A skill could not be opened at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error("`{0}` does not exist")]
    Missing(PathBuf),
    #[error("`{0}` is a link; give the folder that it leads to")]
    Link(PathBuf),
    #[error("`{path}` could not be read: {source}")]
    Io { path: PathBuf, source: std::io::Error },
}

/// Loads a folder or a single file.
pub(crate) fn load(path: &Path) -> Result<Folder, LoadError> {
    let meta = fs::symlink_metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Io { path: path.to_owned(), source },
    })?;
    if meta.file_type().is_symlink() {
        return Err(LoadError::Link(path.to_owned()));
    }
    let root =
        fs::canonicalize(path).map_err(|source| LoadError::Io { path: path.to_owned(), source })?;
    let name = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut out = Folder { name, root: root.clone(), ..Folder::default() };
    let mut spent = Spent { bytes: 0, entries: 0 };
    if meta.is_file() {
        let base = root.file_name().map(PathBuf::from).unwrap_or_default();
        take(&mut out, &root, &base, meta.len(), &mut spent.bytes);
    } else {
        walk(&mut out, &root, Path::new(""), 0, &mut spent);
    }
    out.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

/// Most entries of a skill, folders and links included: [`MAX_FILES`] counts only what is read.
const MAX_ENTRIES: usize = 4 * MAX_FILES;

/// What reading a folder has cost so far.
struct Spent {
    bytes: u64,
    entries: usize,
}

fn walk(out: &mut Folder, dir: &Path, inside: &Path, depth: usize, spent: &mut Spent) {
    let shown = inside.to_string_lossy().into_owned();
    if depth > MAX_DEPTH {
        return out.unread.push((shown, Unread::TooDeep));
    }
    let Ok(entries) = fs::read_dir(dir) else {
        return out.unread.push((shown, Unread::Unreadable));
    };
    // Read lazily and stop at the limit: a folder of a million entries must not be listed first.
    for entry in entries {
        spent.entries += 1;
        if out.files.len() >= MAX_FILES || spent.entries > MAX_ENTRIES {
            return out.unread.push((shown, Unread::TooMany));
        }
        if out.unread.len() > 100 {
            return;
        }
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let relative = inside.join(entry.file_name());
        let Ok(meta) = fs::symlink_metadata(&path) else {
            out.unread.push((relative.to_string_lossy().into_owned(), Unread::Unreadable));
            continue;
        };
        let kind = meta.file_type();
        if kind.is_symlink() {
            // A link inside the skill leads to what is read anyway.
            let inside = fs::canonicalize(&path).is_ok_and(|target| target.starts_with(&out.root));
            if !inside {
                out.unread.push((relative.to_string_lossy().into_owned(), Unread::LinkOut));
            }
        } else if kind.is_dir() {
            // Git's object store is compressed history that nothing runs; its hooks are read.
            if relative.ends_with(".git/objects") {
                continue;
            }
            walk(out, &path, &relative, depth + 1, spent);
        } else if kind.is_file() {
            take(out, &path, &relative, meta.len(), &mut spent.bytes);
        } else {
            out.unread.push((relative.to_string_lossy().into_owned(), Unread::Special));
        }
    }
}

fn take(out: &mut Folder, path: &Path, relative: &Path, size: u64, total: &mut u64) {
    let shown = relative.to_string_lossy().into_owned();
    if size > MAX_FILE || total.saturating_add(size) > MAX_TOTAL {
        return out.unread.push((shown, Unread::TooLarge));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    let read = fs::File::open(path).and_then(|file| {
        // Grows while it is read: what counts is what comes out.
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)
    });
    if read.is_err() {
        return out.unread.push((shown, Unread::Unreadable));
    }
    if bytes.len() as u64 > MAX_FILE {
        return out.unread.push((shown, Unread::TooLarge));
    }
    *total = total.saturating_add(bytes.len() as u64);
    let executable = fs::symlink_metadata(path).is_ok_and(|m| m.permissions().mode() & 0o111 != 0);
    out.files.push(Raw { path: shown, bytes, executable });
}

impl Folder {
    /// SHA-256 of each file.
    pub(crate) fn digests(&self) -> BTreeMap<String, String> {
        self.files.iter().map(|f| (f.path.clone(), hex::encode(Sha256::digest(&f.bytes)))).collect()
    }

    /// One hash over names, modes and contents. Anything that was not read is part of it, so that
    /// what could not be seen cannot change unseen.
    pub(crate) fn tree_hash(&self) -> String {
        let mut hash = Sha256::new();
        for file in &self.files {
            hash.update(file.path.as_bytes());
            hash.update([0, u8::from(file.executable)]);
            hash.update(Sha256::digest(&file.bytes));
        }
        for (path, why) in &self.unread {
            hash.update(path.as_bytes());
            hash.update([1, *why as u8]);
        }
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// The skills in a folder: itself when it holds a `SKILL.md`, otherwise each folder in it that
/// does, two levels deep.
pub(crate) fn skills_in(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let is_skill = |p: &Path| p.join("SKILL.md").is_file() || p.join("skill.md").is_file();
    if path.is_file() || is_skill(path) {
        return Ok(vec![path.to_owned()]);
    }
    let list = |dir: &Path| -> Result<Vec<PathBuf>, LoadError> {
        let entries = fs::read_dir(dir).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => LoadError::Missing(dir.to_owned()),
            _ => LoadError::Io { path: dir.to_owned(), source },
        })?;
        let mut out: Vec<PathBuf> = entries
            .take(10_000)
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| p.is_dir())
            .collect();
        out.sort();
        Ok(out)
    };
    let mut out = Vec::new();
    for dir in list(path)? {
        if is_skill(&dir) {
            out.push(dir);
        } else if let Ok(inner) = list(&dir) {
            out.extend(inner.into_iter().filter(|p| is_skill(p)));
        }
    }
    // A folder without any skill is looked at as a whole: a plugin, a bundle.
    Ok(if out.is_empty() { vec![path.to_owned()] } else { out })
}
