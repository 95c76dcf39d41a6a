//! The lockfile: which skills were approved, exactly as they were, by whom.

use super::load::Folder;
use super::tools::Pin;
use seawall_scan::{Capabilities, Verdict};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What was decided about a skill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// May be used as it was.
    Approved,
    /// May not be used, whatever it becomes.
    Denied,
}

/// One skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) status: Status,
    /// Hash over names, modes and contents.
    pub(crate) tree: String,
    /// SHA-256 by path.
    pub(crate) files: BTreeMap<String, String>,
    /// Modes, links and what was not read, by path, in words. None: an entry of an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) marks: Option<BTreeMap<String, String>>,
    /// Where it came from, as far as is known: `clawhub:owner/slug`, a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) publisher: Option<String>,
    /// The scanner's verdict at the time.
    pub(crate) verdict: Verdict,
    pub(crate) capabilities: Capabilities,
    /// Who decided.
    pub(crate) by: String,
    /// Unix time in seconds.
    pub(crate) at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Lock {
    pub(crate) version: u32,
    pub(crate) skills: BTreeMap<String, Entry>,
    /// MCP servers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) mcp: BTreeMap<String, Pin>,
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: 1, skills: BTreeMap::new(), mcp: BTreeMap::new() }
    }
}

/// The lockfile could not be used. Whatever depends on it is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    #[error("`{path}` could not be read: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("`{path}` is not a lockfile of this version: {message}")]
    Parse { path: PathBuf, message: String },
    #[error("`{path}` could not be written: {source}")]
    Write { path: PathBuf, source: std::io::Error },
}

/// Largest lockfile that is read.
const MAX: u64 = 64 << 20;

/// Where the lockfile is when nothing else is said: in a folder of its own, because a guarded
/// gateway sees that folder. A file that is replaced is seen through its folder only.
pub(crate) fn default_path() -> PathBuf {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("SEAWALL_HOME").or_else(|| {
        if rustix::process::geteuid().is_root() {
            return None;
        }
        absolute("XDG_STATE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
            .map(|state| state.join("seawall"))
    });
    base.unwrap_or_else(|| PathBuf::from("/var/lib/seawall")).join("skills/lock.json")
}

/// Makes the folder of [`default_path`], which a guarded gateway reads.
pub(crate) fn make_folder(lock: &Path) -> Result<PathBuf, String> {
    let dir = lock.parent().unwrap_or(Path::new("/"));
    let say = |e: std::io::Error| format!("cannot make `{}`: {e}", dir.display());
    fs::create_dir_all(dir).map_err(say)?;
    // Approvals are no secret, and the gateway is another user.
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(say)?;
    Ok(dir.to_owned())
}

impl Lock {
    /// Reads it; a missing file is an empty lock.
    pub(crate) fn read(path: &Path) -> Result<Self, LockError> {
        let text = match fs::metadata(path) {
            Ok(meta) if meta.len() > MAX => {
                return Err(LockError::Parse {
                    path: path.to_owned(),
                    message: "it is too large".into(),
                });
            }
            Ok(_) => fs::read_to_string(path)
                .map_err(|source| LockError::Read { path: path.to_owned(), source })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(LockError::Read { path: path.to_owned(), source }),
        };
        let lock: Self = serde_json::from_str(&text)
            .map_err(|e| LockError::Parse { path: path.to_owned(), message: e.to_string() })?;
        if lock.version != 1 {
            return Err(LockError::Parse {
                path: path.to_owned(),
                message: format!("version {} is unknown", lock.version),
            });
        }
        Ok(lock)
    }

    /// Writes it whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> Result<(), LockError> {
        let failed = |source| LockError::Write { path: path.to_owned(), source };
        let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(failed)?;
        let text = serde_json::to_string_pretty(self).map_err(|e| failed(e.into()))?;
        let temporary = dir.join(format!(".skills.lock.{}", std::process::id()));
        let result = (|| {
            let mut file =
                fs::OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            // The gate inside a guarded gateway reads it as another user.
            file.set_permissions(fs::Permissions::from_mode(0o644))?;
            file.sync_all()?;
            fs::rename(&temporary, path)?;
            fs::File::open(dir)?.sync_all()
        })();
        if result.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        result.map_err(failed)
    }

    /// The approved skills.
    pub(crate) fn approved(&self) -> impl Iterator<Item = (&str, &Entry)> {
        let approved = |(_, entry): &(&String, &Entry)| entry.status == Status::Approved;
        self.skills.iter().filter(approved).map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry by which a skill is denied, under whatever name it comes.
    pub(crate) fn denial(&self, name: &str, tree: &str) -> Option<(&String, &Entry)> {
        self.skills.iter().find(|(known, entry)| {
            entry.status == Status::Denied && (entry.tree == tree || plain(known) == plain(name))
        })
    }

    /// How `folder` stands to the lock.
    pub(crate) fn standing(&self, name: &str, folder: &Folder) -> Standing {
        let tree = folder.tree_hash();
        let denied = self.denial(name, &tree).is_some();
        match self.skills.get(name) {
            _ if denied => Standing::Denied,
            None => Standing::Unknown,
            Some(entry) if entry.tree == tree && folder.unbound().is_none() => Standing::Approved,
            Some(_) => Standing::Changed,
        }
    }
}

/// A name without the scope of a package and without case.
fn plain(name: &str) -> String {
    name.rsplit('/').next().unwrap_or(name).to_lowercase()
}

/// How a skill on disk stands to the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Exactly what was approved.
    Approved,
    /// Approved, but not as it is now.
    Changed,
    Denied,
    /// Nobody decided about it.
    Unknown,
}

impl Standing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Standing::Approved => "approved",
            Standing::Changed => "changed",
            Standing::Denied => "denied",
            Standing::Unknown => "not approved",
        }
    }
}

/// Copies of approved text files, by hash, beside the lock: what a later diff compares with.
pub(crate) fn store_dir(lock: &Path) -> PathBuf {
    lock.with_extension("store")
}

/// Largest file that is kept for diffs.
const MAX_KEPT: usize = 1 << 20;

/// Keeps the text files of an approved skill.
pub(crate) fn keep(lock: &Path, folder: &Folder) -> Result<(), LockError> {
    let dir = store_dir(lock);
    let failed = |source| LockError::Write { path: dir.clone(), source };
    fs::create_dir_all(&dir).map_err(failed)?;
    let digests = folder.digests();
    for file in &folder.files {
        let Some(digest) = digests.get(&file.path) else { continue };
        let target = dir.join(digest);
        if file.bytes.len() <= MAX_KEPT && !file.bytes.contains(&0) && !target.exists() {
            fs::write(&target, &file.bytes).map_err(failed)?;
        }
    }
    Ok(())
}

/// The kept text of a hash.
pub(crate) fn kept(lock: &Path, digest: &str) -> Option<String> {
    // A digest from the lock is a file name here: only hex may be one.
    digest.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
    let text = fs::read_to_string(store_dir(lock).join(digest)).ok()?;
    // A copy that was changed since would show another difference than there is.
    (hex::encode(Sha256::digest(text.as_bytes())) == digest).then_some(text)
}
