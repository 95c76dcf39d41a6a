//! What the gate did not let in, kept so that a person can look at it and approve it.
//!
//! The gateway hands over a folder of its own and removes it after the answer; an update from a
//! registry or an upload lies nowhere else. Copies carry the hash that the gate names in its
//! commands, so it does not matter who may write to them.

use super::load::{self, Folder};
use super::view;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most copies; the oldest go first.
const MAX: usize = 32;

/// A copy of a skill, if one can be made that has the same hash: beside the lockfile, or where that
/// is read-only (a guarded gateway) in OpenClaw's state folder.
pub(super) fn keep(lock: &Path, folder: &Folder, tree: &str) -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let state = std::env::var_os("OPENCLAW_STATE_DIR")
        .map(PathBuf::from)
        .or_else(|| home.map(|home| home.join(".openclaw")))
        .filter(|state| state.is_dir());
    let name: String = tree.trim_start_matches("sha256:").chars().take(32).collect();
    let places = [Some(lock.with_extension("held")), state.map(|state| state.join("seawall-held"))];
    places.into_iter().flatten().find_map(|base| {
        std::fs::create_dir_all(&base).ok()?;
        let there = base.join(&name);
        view::copy(folder, &folder.root, &there).ok()?;
        forget_old(&base);
        // A skill with parts that are not read has no whole copy.
        let same = load::load(&there).is_ok_and(|copy| copy.tree_hash() == tree);
        if !same {
            let _ = std::fs::remove_dir_all(&there);
        }
        same.then_some(there)
    })
}

fn forget_old(base: &Path) {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let mut all: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    all.sort();
    let more = all.len().saturating_sub(MAX);
    for (_, path) in all.into_iter().take(more) {
        let _ = std::fs::remove_dir_all(path);
    }
}
