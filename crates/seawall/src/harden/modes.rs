//! Files of a deployment that others can read or change, and what their modes should be.

use super::files::{self, State};
use super::journal::Step;
use std::fs;
use std::path::{Path, PathBuf};

/// More files than a state folder has where modes matter; the rest is said to be left out.
const MAX_FILES: usize = 20_000;
/// Deeper than OpenClaw nests anything that matters here.
const MAX_DEPTH: usize = 6;

/// Folders below the state folder with secrets or conversations in them. Not the workspace: its
/// files are the user's own, and their modes are the project's.
const PRIVATE: [&str; 10] = [
    "credentials",
    "state",
    "agents",
    "identity",
    "devices",
    "logs",
    "secrets",
    "oauth",
    "cron",
    "tmp",
];

/// What is too open, as steps, and what could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Modes {
    pub(crate) steps: Vec<Step>,
    pub(crate) unread: Vec<String>,
}

/// Looks at the state folder, the configuration with its includes, and the backups beside it.
pub(crate) fn of(state_dir: &Path, config: &[PathBuf]) -> Modes {
    let mut modes = Modes::default();
    modes.close(state_dir);
    for file in config {
        modes.close(file);
    }
    for entry in list(state_dir, &mut modes.unread) {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        let kind = fs::symlink_metadata(&entry).map(|meta| meta.file_type());
        match kind {
            Ok(kind) if kind.is_file() => modes.close(&entry),
            Ok(kind) if kind.is_dir() && PRIVATE.contains(&name.as_str()) => modes.walk(&entry, 0),
            _ => {}
        }
    }
    modes
}

impl Modes {
    fn walk(&mut self, dir: &Path, depth: usize) {
        self.close(dir);
        if depth >= MAX_DEPTH || self.steps.len() >= MAX_FILES {
            self.unread.push(format!("{}: more than is looked at", dir.display()));
            return;
        }
        for entry in list(dir, &mut self.unread) {
            match fs::symlink_metadata(&entry).map(|meta| meta.file_type()) {
                Ok(kind) if kind.is_dir() => self.walk(&entry, depth + 1),
                Ok(kind) if kind.is_file() => self.close(&entry),
                _ => {}
            }
        }
    }

    /// Takes everybody's rights but the owner's away.
    fn close(&mut self, path: &Path) {
        let known = |step: &Step| matches!(step, Step::Path { path: other, .. } if other == path);
        if self.steps.iter().any(known) {
            return;
        }
        match files::observe(path, false) {
            Ok((before, _)) => {
                let after = match before.clone() {
                    State::File { mode, uid, gid, .. } if mode & 0o7077 != 0 => {
                        State::File { hash: None, mode: mode & 0o700, uid, gid }
                    }
                    State::Dir { mode, uid, gid }
                        if mode & 0o7077 != 0 || mode & 0o700 != 0o700 =>
                    {
                        State::Dir { mode: 0o700, uid, gid }
                    }
                    _ => return,
                };
                self.steps.push(Step::Path { path: path.to_owned(), before, after });
            }
            Err(e) => self.unread.push(e.to_string()),
        }
    }
}

fn list(dir: &Path, unread: &mut Vec<String>) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = match fs::read_dir(dir) {
        Ok(entries) => {
            entries.take(MAX_FILES).filter_map(|entry| Some(entry.ok()?.path())).collect()
        }
        Err(e) => {
            unread.push(format!("{}: {e}", dir.display()));
            Vec::new()
        }
    };
    entries.sort();
    entries
}
