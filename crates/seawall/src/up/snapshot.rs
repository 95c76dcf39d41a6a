//! Rendered configurations on disk.
//!
//! `current/` is the folder that the gateway sees read-only. A new snapshot is written beside it
//! and takes its place by two renames; the old one stays as `previous/`, to go back to.

use crate::render::{Facts, Rendered};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The snapshots of one deployment.
pub(crate) struct Snapshots(PathBuf);

impl Snapshots {
    /// In this folder, which exists.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The folder that the gateway sees.
    pub(crate) fn current(&self) -> PathBuf {
        self.0.join("current")
    }

    /// The configuration that the gateway runs with now.
    pub(crate) fn config(&self) -> Option<Value> {
        let text = fs::read_to_string(self.current().join("openclaw.json")).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes a snapshot and makes it current.
    pub(crate) fn install(&self, rendered: &Rendered, facts: &Facts) -> Result<(), String> {
        let next = self.0.join("next");
        let say =
            |what: &Path, e: std::io::Error| format!("cannot write `{}`: {e}", what.display());
        remove(&next)?;
        fs::DirBuilder::new().mode(0o700).create(&next).map_err(|e| say(&next, e))?;
        write(&next.join("openclaw.json"), &rendered.config)?;
        write(&next.join("facts.json"), facts)?;
        let current = self.current();
        let previous = self.0.join("previous");
        if current.exists() {
            remove(&previous)?;
            fs::rename(&current, &previous).map_err(|e| say(&previous, e))?;
        }
        fs::rename(&next, &current).map_err(|e| say(&current, e))?;
        self.publish_facts()
    }

    /// Goes back to the snapshot before the current one.
    pub(crate) fn revert(&self) -> Result<(), String> {
        let (current, previous, bad) =
            (self.current(), self.0.join("previous"), self.0.join("refused"));
        if !previous.exists() {
            return Err("there is no earlier snapshot to go back to".into());
        }
        remove(&bad)?;
        fs::rename(&current, &bad)
            .and_then(|()| fs::rename(&previous, &current))
            .map_err(|e| format!("cannot go back to the earlier snapshot: {e}"))?;
        self.publish_facts()
    }

    /// The facts hold what the gateway must not see (MCP servers' environments), so they are moved
    /// out of the folder that it sees.
    fn publish_facts(&self) -> Result<(), String> {
        let (from, kept) = (self.current().join("facts.json"), self.0.join("facts.json"));
        let before = self.0.join("facts.previous.json");
        if from.exists() {
            if kept.exists() {
                fs::rename(&kept, &before).map_err(|e| e.to_string())?;
            }
            fs::rename(&from, &kept).map_err(|e| format!("cannot write `{}`: {e}", kept.display()))
        } else if before.exists() {
            fs::rename(&before, &kept).map_err(|e| e.to_string())
        } else {
            Ok(())
        }
    }
}

fn remove(dir: &Path) -> Result<(), String> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("cannot remove `{}`: {e}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), String> {
    let text = serde_json::to_string_pretty(value).map_err(|e| e.to_string())?;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .map_err(|e| format!("cannot write `{}`: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_snapshot_can_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let snapshots = Snapshots::at(dir.path().to_owned());
        let rendered = |n: u32| Rendered { config: json!({ "n": n }), changes: vec![] };
        let facts = |port: u16| Facts { public_port: port, ..Facts::default() };
        assert!(snapshots.revert().is_err());
        snapshots.install(&rendered(1), &facts(1)).unwrap();
        snapshots.install(&rendered(2), &facts(2)).unwrap();
        assert_eq!(snapshots.config(), Some(json!({ "n": 2 })));
        assert!(!snapshots.current().join("facts.json").exists());
        snapshots.revert().unwrap();
        assert_eq!(snapshots.config(), Some(json!({ "n": 1 })));
        let facts: Facts =
            serde_json::from_str(&fs::read_to_string(dir.path().join("facts.json")).unwrap())
                .unwrap();
        assert_eq!(facts.public_port, 1);
    }
}
