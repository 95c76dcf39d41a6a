//! What a person was shown last, beside the lockfile.
//!
//! Skill folders and lists of tools can be written by others between a look and the approval. What
//! `diff` and `tools` showed is remembered, and an approval of something else is refused. Whoever
//! names the hash in the approval needs no memory.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Most entries; the oldest go first. Each is one name of a person's own choice.
const MAX: usize = 1_000;
/// Largest file: [`MAX`] entries with long paths.
const MAX_FILE: u64 = 8 << 20;

/// Hash and time by what was shown.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reviewed {
    shown: BTreeMap<String, (String, i64)>,
}

fn file(lock: &Path) -> PathBuf {
    lock.with_extension("shown.json")
}

fn read(lock: &Path) -> Reviewed {
    let path = file(lock);
    let small = fs::metadata(&path).is_ok_and(|meta| meta.len() <= MAX_FILE);
    let text = small.then(|| fs::read(&path).ok()).flatten();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn write(lock: &Path, mut reviewed: Reviewed) -> std::io::Result<()> {
    while reviewed.shown.len() > MAX {
        let oldest = reviewed.shown.iter().min_by_key(|(_, (_, at))| *at).map(|(k, _)| k.clone());
        reviewed.shown.remove(&oldest.unwrap_or_default());
    }
    let path = file(lock);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let new = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&new, serde_json::to_vec(&reviewed)?)?;
    fs::rename(&new, &path)
}

/// Remembers what was shown. Where nothing can be written, nothing is remembered: looking goes on.
pub(super) fn remember(lock: &Path, what: &str, hash: &str) {
    let mut reviewed = read(lock);
    let now = jiff::Timestamp::now().as_second();
    reviewed.shown.insert(what.to_owned(), (hash.to_owned(), now));
    if let Err(error) = write(lock, reviewed) {
        tracing::debug!(%error, "what was shown is not remembered");
    }
}

/// Forgets it, after a decision.
pub(super) fn forget(lock: &Path, what: &str) {
    let mut reviewed = read(lock);
    if reviewed.shown.remove(what).is_some() {
        let _ = write(lock, reviewed);
    }
}

/// Fails when something else was looked at than what is there now.
///
/// `named`: the hash that the person gave.
pub(super) fn check(
    lock: &Path,
    what: &str,
    now: &str,
    named: Option<&str>,
    again: &str,
) -> Result<(), String> {
    if let Some(named) = named {
        let bare = |hash: &str| hash.trim_start_matches("sha256:").to_ascii_lowercase();
        // A short hash could be met on purpose.
        if bare(named).len() < 32 {
            return Err(format!("`{named}` is too short: give 32 digits of the hash or more"));
        }
        return if bare(now).starts_with(&bare(named)) {
            Ok(())
        } else {
            Err(format!(
                "it is not what that hash stands for: there is {now} now. To see it: {again}"
            ))
        };
    }
    match read(lock).shown.get(what) {
        Some((shown, _)) if shown != now => Err(format!(
            "it has changed since it was shown: that was {shown}, and there is {now} now. To see it: {again}"
        )),
        _ => Ok(()),
    }
}
