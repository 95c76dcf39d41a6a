//! Reads a skill's folder, bounded. Nothing is interpreted here: archives and text are opened in
//! the child.

use super::show;
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

impl Unread {
    fn as_str(self) -> &'static str {
        match self {
            Unread::TooLarge => "too large",
            Unread::TooMany => "too many files",
            Unread::TooDeep => "too deep",
            Unread::LinkOut => "a link that leads out",
            Unread::Special => "no file, folder or link",
            Unread::Unreadable => "the system refused",
        }
    }
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
    /// Links inside of it, and where they say they lead.
    pub(crate) links: Vec<(String, String)>,
    /// The one file is an archive that holds the skill, in this folder of it.
    pub(crate) archive: Option<String>,
    /// Parts of Git's object store, with their SHA-256: not read by the scanner.
    pub(crate) stored: Vec<(String, String)>,
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
    let name = root.file_name().map(|n| shown_as(Path::new(n))).unwrap_or_default();
    let mut out = Folder { name, root: root.clone(), ..Folder::default() };
    let mut spent = Spent::default();
    if meta.is_file() {
        let base = root.file_name().map(PathBuf::from).unwrap_or_default();
        take(&mut out, &root, &base, meta.len(), &mut spent.bytes);
    } else {
        walk(&mut out, &root, Path::new(""), 0, &mut spent);
    }
    objects(&mut out, &mut spent);
    out.files.sort_by(|a, b| a.path.cmp(&b.path));
    out.links.sort();
    out.stored.sort();
    Ok(out)
}

/// Most entries of a skill, folders and links included: [`MAX_FILES`] counts only what is read.
const MAX_ENTRIES: usize = 4 * MAX_FILES;

/// What reading a folder has cost so far.
#[derive(Default)]
struct Spent {
    bytes: u64,
    entries: usize,
    /// A linked folder is being read: links to folders are not followed in it, or two of them could
    /// lead into each other.
    linked: bool,
    /// What lies in Git's object store.
    objects: Vec<(PathBuf, PathBuf, u64)>,
}

/// Largest file that is hashed though it is not read: some seconds of work.
const MAX_HASHED: u64 = 1 << 30;

/// Most bytes of Git's object store that are hashed.
const MAX_STORED: u64 = 256 << 20;

/// Longest text in what Git has compressed: in a store of 24 MB one run of this length comes up by
/// chance in five hundred.
const MAX_PLAIN: usize = 24;

/// Git's object store is compressed history: it is hashed, not scanned, as long as it is nothing
/// else. What has not its form is a file like any other, and all of it is when the skill speaks of
/// it or leads there: then something is meant to read it.
fn objects(out: &mut Folder, spent: &mut Spent) {
    let objects = std::mem::take(&mut spent.objects);
    let spoken_of = |file: &Raw| memchr::memmem::find(&file.bytes, b"git/objects").is_some();
    let led_to = |(_, to): &(String, String)| to.contains("objects");
    let used = out.links.iter().any(led_to) || out.files.iter().any(spoken_of);
    let mut hashed = 0u64;
    for (path, relative, size) in objects {
        hashed = hashed.saturating_add(size);
        match (!used && hashed <= MAX_STORED).then(|| stored(&path, &relative)).flatten() {
            Some(digest) => out.stored.push((shown_as(&relative), digest)),
            None => take(out, &path, &relative, size, &mut spent.bytes),
        }
    }
}

/// The hash of a file that has the name, the beginning and the look of a part of Git's store.
fn stored(path: &Path, relative: &Path) -> Option<String> {
    let part = |back: usize| -> Option<&str> { relative.iter().rev().nth(back)?.to_str() };
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let (name, folder) = (part(0)?, part(1)?);
    let begins: &[u8] = if folder == "pack" {
        match name.strip_prefix("pack-")?.split_once('.')? {
            (id, "pack") if hex(id) => b"PACK",
            (id, "idx") if hex(id) => b"\xfftOc",
            (id, "rev") if hex(id) => b"RIDX",
            (id, "bitmap") if hex(id) => b"BITM",
            _ => return None,
        }
    } else if folder.len() == 2 && hex(folder) && matches!(name.len(), 38 | 62) && hex(name) {
        b"\x78"
    } else {
        return None;
    };
    let mut file = fs::File::open(path).ok()?.take(MAX_STORED);
    let (mut hash, mut plain, mut first) = (Sha256::new(), 0usize, true);
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).ok()?;
        let bytes = buffer.get(..read)?;
        if read == 0 {
            return (!first).then(|| hex::encode(hash.finalize()));
        }
        if std::mem::take(&mut first) && !bytes.starts_with(begins) {
            return None;
        }
        for byte in bytes {
            let text = matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r');
            plain = if text { plain + 1 } else { 0 };
            if plain >= MAX_PLAIN {
                return None;
            }
        }
        hash.update(bytes);
    }
}

fn walk(out: &mut Folder, dir: &Path, inside: &Path, depth: usize, spent: &mut Spent) {
    let shown = shown_as(inside);
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
            out.unread.push((shown_as(&relative), Unread::Unreadable));
            continue;
        };
        let kind = meta.file_type();
        if kind.is_symlink() {
            linked(out, &path, &relative, depth, spent);
        } else if kind.is_dir() {
            walk(out, &path, &relative, depth + 1, spent);
        } else if kind.is_file() && in_store(&relative) {
            spent.objects.push((path, relative, meta.len()));
        } else if kind.is_file() {
            take(out, &path, &relative, meta.len(), &mut spent.bytes);
        } else {
            out.unread.push((shown_as(&relative), Unread::Special));
        }
    }
}

fn in_store(relative: &Path) -> bool {
    let parts: Vec<_> = relative.iter().collect();
    parts.windows(2).any(|two| matches!(two, [a, b] if *a == ".git" && *b == "objects"))
}

/// A link inside the skill: what it leads to is read once more, under the name that people and
/// programs use. One that leads out is refused.
fn linked(out: &mut Folder, path: &Path, relative: &Path, depth: usize, spent: &mut Spent) {
    let shown = shown_as(relative);
    let target = fs::canonicalize(path).ok().filter(|target| target.starts_with(&out.root));
    if let Ok(says) = fs::read_link(path) {
        out.links.push((shown.clone(), says.to_string_lossy().into_owned()));
    }
    let Some(target) = target else { return out.unread.push((shown, Unread::LinkOut)) };
    match fs::metadata(&target) {
        Ok(meta) if meta.is_file() => take(out, &target, relative, meta.len(), &mut spent.bytes),
        Ok(meta) if meta.is_dir() && !spent.linked => {
            spent.linked = true;
            walk(out, &target, relative, depth + 1, spent);
            spent.linked = false;
        }
        Ok(meta) if meta.is_dir() => out.unread.push((shown, Unread::TooDeep)),
        Ok(_) => out.unread.push((shown, Unread::Special)),
        Err(_) => out.unread.push((shown, Unread::Unreadable)),
    }
}

/// A name as people see it, and as it counts.
fn shown_as(path: &Path) -> String {
    show::path(path)
}

/// The hash of a file that is too large to be read, if it is not beyond all measure.
fn hashed(path: &Path) -> Option<String> {
    let mut file = fs::File::open(path).ok()?.take(MAX_HASHED + 1);
    let (mut hash, mut size) = (Sha256::new(), 0u64);
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let read = file.read(&mut buffer).ok()?;
        size = size.saturating_add(read as u64);
        if read == 0 {
            return Some(hex::encode(hash.finalize()));
        }
        if size > MAX_HASHED {
            return None;
        }
        hash.update(buffer.get(..read)?);
    }
}

fn take(out: &mut Folder, path: &Path, relative: &Path, size: u64, total: &mut u64) {
    let shown = shown_as(relative);
    if size > MAX_FILE || total.saturating_add(size) > MAX_TOTAL {
        // A model, say: not looked at, but an approval is for these bytes.
        if let Some(digest) = hashed(path) {
            out.stored.push((shown.clone(), digest));
        }
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

    /// What the hash of the whole holds besides the bytes of the files that were read, by path: modes,
    /// links, what was hashed and not read, and what was neither.
    pub(crate) fn marks(&self) -> BTreeMap<String, String> {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut say = |path: &str, what: String| out.entry(path.to_owned()).or_default().push(what);
        for file in self.files.iter().filter(|file| file.executable) {
            say(&file.path, "executable".into());
        }
        for (path, to) in &self.links {
            say(path, format!("a link to {}", show::line(to)));
        }
        for (path, digest) in &self.stored {
            say(path, format!("not read, sha256 {digest}"));
        }
        for (path, why) in &self.unread {
            say(path, format!("not read: {}", why.as_str()));
        }
        out.into_iter().map(|(path, all)| (path, all.join(", "))).collect()
    }

    /// The first of what no approval can be for: it was not read and its bytes are in no hash, as of
    /// what lies behind a link that leads out.
    pub(crate) fn unbound(&self) -> Option<&str> {
        let hashed = |path: &str| self.stored.iter().any(|(stored, _)| stored == path);
        self.unread
            .iter()
            .find(|(path, why)| *why != Unread::TooLarge || !hashed(path))
            .map(|(path, _)| path.as_str())
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
        for (mark, list) in [(2u8, &self.links), (3, &self.stored)] {
            for (path, what) in list {
                hash.update(path.as_bytes());
                hash.update([0, mark]);
                hash.update(what.as_bytes());
                hash.update([0]);
            }
        }
        format!("sha256:{}", hex::encode(hash.finalize()))
    }
}

/// How deep skills lie in folders of folders: OpenClaw looks six levels down.
const MAX_LEVELS: usize = 7;

/// Most folders that skills are looked for in.
const MAX_LOOKED: usize = 20_000;

/// The skills in a folder: itself when it holds a `SKILL.md`, otherwise each folder in it that
/// does, as deep as OpenClaw looks. A plugin is one, with the skills in it. A folder that could not be looked into, or is beyond the limit,
/// is given back itself, so that nothing is left out in silence.
pub(crate) fn skills_in(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if path.is_file() || is_skill(path) {
        return Ok(vec![path.to_owned()]);
    }
    let mut out = Vec::new();
    let mut looked = 0;
    let mut open = vec![(path.to_owned(), 0)];
    while let Some((dir, level)) = open.pop() {
        if looked >= MAX_LOOKED {
            out.push(dir);
            continue;
        }
        let inner = match folders(&dir) {
            Ok(inner) => inner,
            Err(error) if level == 0 => return Err(error),
            Err(_) => {
                out.push(dir);
                continue;
            }
        };
        for folder in inner {
            looked += 1;
            let name = folder.file_name().map(|n| n.to_string_lossy().into_owned());
            if is_skill(&folder) || is_plugin(&folder) {
                out.push(folder);
            } else if level + 1 < MAX_LEVELS
                && !name.is_some_and(|n| n.starts_with('.') || n == "node_modules")
            {
                open.push((folder, level + 1));
            }
        }
    }
    out.sort();
    // A folder without any skill is looked at as a whole: a plugin, a bundle.
    Ok(if out.is_empty() { vec![path.to_owned()] } else { out })
}

fn is_skill(path: &Path) -> bool {
    path.join("SKILL.md").is_file() || path.join("skill.md").is_file()
}

fn is_plugin(path: &Path) -> bool {
    ["openclaw.plugin.json", "package.json"].iter().any(|name| path.join(name).is_file())
}

/// The folders in a folder, links that lead to folders among them.
fn folders(dir: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let say = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => LoadError::Missing(dir.to_owned()),
        _ => LoadError::Io { path: dir.to_owned(), source },
    };
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).map_err(say)? {
        let path = entry.map_err(say)?.path();
        if path.is_dir() {
            out.push(path);
        }
    }
    Ok(out)
}
