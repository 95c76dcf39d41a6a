//! Changes of a deployment, with a way back: plan, journal, apply, undo.

pub(crate) mod fault;
pub(crate) mod files;
pub(crate) mod host;
pub(crate) mod journal;
pub(crate) mod modes;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod secret;
pub(crate) mod target;
pub(crate) mod tools;
pub(crate) mod trial;
pub(crate) mod ufw;

use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The folder of the journals, held by this process: one run at a time.
pub(crate) struct Base {
    dir: PathBuf,
    _lock: File,
}

impl Base {
    /// Opens it, and ends what an earlier run left unfinished; returns what to tell about that.
    pub(crate) fn open(home: &crate::home::Home) -> Result<(Self, Vec<String>), String> {
        home.create()?;
        let dir = home.dir().join("harden");
        let say = |e: std::io::Error| format!("cannot use `{}`: {e}", dir.display());
        journal::private_dir(&dir).map_err(say)?;
        // Paths are opened without following a link, so none may be on the way to it.
        Self::at(&dir.canonicalize().map_err(say)?)
    }

    /// Opens it at a known place.
    pub(crate) fn at(dir: &Path) -> Result<(Self, Vec<String>), String> {
        let dir = dir.to_owned();
        let say = |e: std::io::Error| format!("cannot use `{}`: {e}", dir.display());
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(say)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| "another `seawall harden` is at work on this deployment".to_owned())?;
        let told = run::recover(&dir)?;
        Ok((Self { dir, _lock: lock }, told))
    }

    /// Where the journals are.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}
