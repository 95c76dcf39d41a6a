//! Seawall's own folder for one deployment.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Paths of everything that Seawall keeps for a deployment. All of it is 0700 and its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// `$SEAWALL_HOME`, else `/var/lib/seawall` for root, else the XDG state folder; below it one
    /// folder per deployment.
    pub(crate) fn locate(name: &str) -> Result<Self, String> {
        let var = |name: &str| {
            std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        };
        let base = if let Some(dir) = var("SEAWALL_HOME") {
            dir
        } else if rustix::process::geteuid().is_root() {
            PathBuf::from("/var/lib/seawall")
        } else if let Some(dir) = var("XDG_STATE_HOME") {
            dir.join("seawall")
        } else {
            var("HOME")
                .ok_or("HOME is not set; set it or SEAWALL_HOME")?
                .join(".local/state/seawall")
        };
        if !base.is_absolute() {
            return Err(format!("SEAWALL_HOME `{}` is not an absolute path", base.display()));
        }
        Ok(Self(base.join(name)))
    }

    /// A home at a known place.
    pub(crate) fn at(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// Makes the folders and checks that nobody else can reach into them.
    pub(crate) fn create(&self) -> Result<(), String> {
        for dir in [
            self.dir().to_owned(),
            self.guard(),
            self.run(),
            self.trust(),
            self.snapshots(),
            self.resolver(),
        ] {
            let say = |e: io::Error| format!("cannot use `{}`: {e}", dir.display());
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(say)?;
            let meta = fs::symlink_metadata(&dir).map_err(say)?;
            if !meta.is_dir() {
                return Err(format!("`{}` is not a folder", dir.display()));
            }
            if meta.uid() != rustix::process::geteuid().as_raw() {
                return Err(format!("`{}` belongs to another user", dir.display()));
            }
            if meta.permissions().mode() & 0o077 != 0 {
                fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(say)?;
            }
        }
        Ok(())
    }

    /// The folder itself.
    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }

    /// Settings that a person edits.
    pub(crate) fn settings(&self) -> PathBuf {
        self.0.join("seawall.toml")
    }

    /// What the guard writes. It only reads everything else here, so that a guard that was turned
    /// has no say in what the next start does.
    pub(crate) fn guard(&self) -> PathBuf {
        self.0.join("guard")
    }

    /// The event log.
    pub(crate) fn events(&self) -> PathBuf {
        self.guard().join("events.db")
    }

    /// The key that signs its checkpoints.
    pub(crate) fn log_key(&self) -> PathBuf {
        self.guard().join("log.key")
    }

    /// Tokens of the door, hashed.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.0.join("door-tokens.toml")
    }

    /// The operator's own token in clear, 0600: what the user's clients are given.
    pub(crate) fn operator_token(&self) -> PathBuf {
        self.0.join("operator.token")
    }

    /// What the engine remembers of sessions.
    pub(crate) fn sessions(&self) -> PathBuf {
        self.guard().join("sessions.db")
    }

    /// Questions that wait for the operator, and answers that hold.
    pub(crate) fn approvals(&self) -> PathBuf {
        self.guard().join("approvals.json")
    }

    /// Rendered configurations.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.0.join("snapshot")
    }

    /// The folder that the gateway sees as `/run/seawall`.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// Of that, what the guard writes.
    pub(crate) fn trust(&self) -> PathBuf {
        self.run().join("trust")
    }

    /// Copies of the files that the C library's resolver reads.
    pub(crate) fn resolver(&self) -> PathBuf {
        self.0.join("resolver")
    }

    /// Certificate of the authority by which the egress proxy opens TLS, while it does.
    pub(crate) fn authority(&self) -> PathBuf {
        self.trust().join("ca.pem")
    }

    /// The same and the system's roots.
    pub(crate) fn trusted(&self) -> PathBuf {
        self.trust().join("ca-bundle.pem")
    }

    /// Where the command line reaches the running supervisor.
    pub(crate) fn control(&self) -> PathBuf {
        self.0.join("control.sock")
    }

    /// Held by the running supervisor.
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a/default"));
        home.create().unwrap();
        fs::set_permissions(home.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        home.create().unwrap();
        assert_eq!(fs::metadata(home.dir()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
