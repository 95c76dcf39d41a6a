//! What a guarded gateway sees of a folder of skills: copies of those that were approved, exactly
//! as they were approved.
//!
//! A skill that somebody drops into the folder, or changes there, is not seen until it is approved;
//! what was approved before stays as it was until then. The copies are made of the bytes that were
//! hashed, so nothing can change between the look and the use.

use super::decide::entry;
use super::load::{self, Folder};
use super::lock::{self, Entry, Lock, Standing, Status};
use seawall_scan::{Report, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// Most skills of a folder that are looked at; what is beyond is not seen.
const MAX_SKILLS: usize = 2_000;

/// A folder of skills and its copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// The folder that people and tools write to.
    pub(crate) root: PathBuf,
    /// The copy that the gateway and its runs see in its place.
    pub(crate) seen: PathBuf,
}

/// A skill that is not seen, or not as it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
    /// Its hash as it was seen, when it could be read.
    pub(crate) tree: Option<String>,
}

/// What is in the copy: the path of each skill in the folder, and its hash.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    skills: BTreeMap<PathBuf, String>,
}

impl View {
    fn state(&self) -> PathBuf {
        self.seen.with_extension("json")
    }

    /// The skills of the folder, by their path in it.
    fn skills(&self) -> Result<Vec<PathBuf>, String> {
        if !self.root.is_dir() {
            return Ok(Vec::new());
        }
        let mut skills = load::skills_in(&self.root).map_err(|e| e.to_string())?;
        // A folder without skills is given back itself.
        skills.retain(|path| *path != self.root);
        skills.truncate(MAX_SKILLS);
        Ok(skills)
    }

    /// Makes the copy what the lockfile says, and tells what is held.
    pub(crate) fn refresh(&self, lock: &Lock) -> Result<Vec<Held>, String> {
        let say = |e: std::io::Error| format!("cannot write `{}`: {e}", self.seen.display());
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.seen).map_err(say)?;
        let mut state: State = fs::read(self.state())
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let (mut held, mut wanted) = (Vec::new(), State::default());
        for path in self.skills()? {
            let Ok(inside) = path.strip_prefix(&self.root).map(Path::to_owned) else { continue };
            let folder = match load::load(&path) {
                Ok(folder) => folder,
                Err(error) => {
                    held.push(Held { path, why: error.to_string(), tree: None });
                    continue;
                }
            };
            let tree = folder.tree_hash();
            let hold = |why: &str| Held {
                path: path.clone(),
                why: why.to_owned(),
                tree: Some(tree.clone()),
            };
            let known = lock.skills.get(&folder.name);
            match lock.standing(&folder.name, &folder) {
                Standing::Approved if !folder.unread.is_empty() => {
                    held.push(hold("parts of it could not be read, so that nobody approved them"));
                }
                Standing::Approved => {
                    let there = self.seen.join(&inside);
                    if state.skills.get(&inside) != Some(&tree) || !there.is_dir() {
                        // Forgotten first: a copy that is cut short is made again.
                        state.skills.remove(&inside);
                        self.write(&state)?;
                        copy(&folder, &path, &there).map_err(say)?;
                    }
                    wanted.skills.insert(inside, tree.clone());
                }
                Standing::Changed => {
                    let before = state.skills.get(&inside).filter(|tree| {
                        known.is_some_and(|entry| entry.tree == **tree)
                            && self.seen.join(&inside).is_dir()
                    });
                    match before {
                        Some(tree) => {
                            held.push(hold("it was changed; the approved version stays in use"));
                            wanted.skills.insert(inside.clone(), tree.clone());
                        }
                        None => held.push(hold("it is not what was approved")),
                    }
                }
                Standing::Denied => held.push(hold("it was denied")),
                Standing::Unknown => held.push(hold("nobody approved it")),
            }
        }
        self.clear(&self.seen, Path::new(""), &wanted).map_err(say)?;
        self.write(&wanted)?;
        held.sort();
        Ok(held)
    }

    fn write(&self, state: &State) -> Result<(), String> {
        let file = self.state();
        let new = file.with_extension("new");
        let text = serde_json::to_string(state).map_err(|e| e.to_string())?;
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &file))
            .map_err(|e| format!("cannot write `{}`: {e}", file.display()))
    }

    /// Removes from the copy what is not wanted in it.
    fn clear(&self, dir: &Path, inside: &Path, wanted: &State) -> std::io::Result<()> {
        for child in fs::read_dir(dir)? {
            let child = child?;
            let at = inside.join(child.file_name());
            if wanted.skills.contains_key(&at) {
                continue;
            }
            if wanted.skills.keys().any(|path| path.starts_with(&at)) {
                self.clear(&child.path(), &at, wanted)?;
            } else if child.file_type()?.is_dir() {
                fs::remove_dir_all(child.path())?;
            } else {
                fs::remove_file(child.path())?;
            }
        }
        Ok(())
    }
}

/// Writes a skill as it was read, in the place of what is there.
pub(super) fn copy(folder: &Folder, from: &Path, to: &Path) -> std::io::Result<()> {
    let owner = fs::metadata(from).map(|meta| (meta.uid(), meta.gid()))?;
    let own = |path: &Path| -> std::io::Result<()> {
        // Only root gives files away; otherwise they are the same user's already.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1))?;
        }
        Ok(())
    };
    let parent = to.parent().unwrap_or(to);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    own(parent)?;
    let name = to.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    // A name that is no skill's: the gateway takes nothing from it before it is whole.
    let new = parent.join(format!(".{name}.new"));
    match fs::remove_dir_all(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let make = |dir: &Path| -> std::io::Result<()> {
        if !dir.is_dir() {
            fs::DirBuilder::new().mode(0o755).create(dir)?;
            own(dir)?;
        }
        Ok(())
    };
    make(&new)?;
    let plain = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
    let folders = |path: &Path| -> std::io::Result<()> {
        let mut dir = new.clone();
        for part in path.parent().into_iter().flat_map(Path::components) {
            dir.push(part);
            make(&dir)?;
        }
        Ok(())
    };
    for file in &folder.files {
        let path = Path::new(&file.path);
        let linked = folder
            .links
            .iter()
            .any(|(link, says)| !Path::new(says).is_absolute() && path.starts_with(link.as_str()));
        // What a link leads to is written where it lies.
        if linked || !plain(path) {
            continue;
        }
        folders(path)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        let target = new.join(path);
        let mut out =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&target)?;
        std::io::Write::write_all(&mut out, &file.bytes)?;
        own(&target)?;
    }
    for (link, says) in &folder.links {
        let path = Path::new(link);
        if plain(path) && !Path::new(says).is_absolute() {
            folders(path)?;
            symlink(says, new.join(path))?;
            own(&new.join(path))?;
        }
    }
    let old = parent.join(format!(".{name}.old"));
    match fs::remove_dir_all(&old) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    if to.exists() {
        fs::rename(to, &old)?;
    }
    fs::rename(&new, to)?;
    if old.exists() { fs::remove_dir_all(&old) } else { Ok(()) }
}

/// What the scanner says of a skill; nothing when it could not say.
pub(crate) type Scan<'a> = &'a mut dyn FnMut(&Folder) -> Option<Report>;

/// Approves the skills among these that nobody decided about and that the scanner allows. Gives
/// back whether the lock was changed.
pub(crate) fn adopt(
    lock: &mut Lock,
    lock_path: &Path,
    skills: &[PathBuf],
    reason: &str,
    scan: Scan<'_>,
) -> Result<bool, String> {
    let mut changed = false;
    for path in skills.iter().take(MAX_SKILLS) {
        let Ok(folder) = load::load(path) else { continue };
        if lock.standing(&folder.name, &folder) != Standing::Unknown {
            continue;
        }
        let Some(report) = scan(&folder) else { continue };
        if report.verdict != Verdict::Allow {
            continue;
        }
        lock::keep(lock_path, &folder).map_err(|e| e.to_string())?;
        let mut entry: Entry = entry(&folder, &report, Status::Approved, None);
        entry.by = "seawall up".into();
        entry.reason = Some(reason.to_owned());
        lock.skills.insert(folder.name.clone(), entry);
        changed = true;
    }
    Ok(changed)
}

/// The skills of a folder, itself left out when it holds none.
pub(crate) fn skills_of(root: &Path) -> Vec<PathBuf> {
    if !root.is_dir() {
        return Vec::new();
    }
    let mut out = load::skills_in(root).unwrap_or_default();
    out.retain(|path| path != root);
    out.truncate(MAX_SKILLS);
    out
}

/// Whether a skill is exactly what was approved; otherwise why not.
pub(crate) fn held(lock: &Lock, path: &Path) -> Option<Held> {
    let hold = |why: &str, tree| Some(Held { path: path.to_owned(), why: why.to_owned(), tree });
    let folder = match load::load(path) {
        Ok(folder) => folder,
        Err(error) => return hold(&error.to_string(), None),
    };
    let tree = Some(folder.tree_hash());
    match lock.standing(&folder.name, &folder) {
        Standing::Approved => None,
        Standing::Changed => hold("it is not what was approved", tree),
        Standing::Denied => hold("it was denied", tree),
        Standing::Unknown => hold("nobody approved it", tree),
    }
}
