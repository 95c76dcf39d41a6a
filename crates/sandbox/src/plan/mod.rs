//! From what is configured and granted to a [`crate::JailSpec`]: pure, apart from the questions
//! that a [`Host`] answers.

mod gateway;
mod git;
mod held;
mod host;
mod layout;
mod narrow;
mod run;
mod system;

pub use gateway::{GatewayPlan, gateway_plan, gateway_plan_with};
pub use held::{IDENTITY_FILES, MADE, OBEYED, UNMADE};
pub use host::{Host, Kind, RealHost};
pub use layout::{Grant, layout};
pub(crate) use run::COVER;
pub use run::{AGENT, Needs, Only, RunPlan, WORKSPACE, needs, run_plan, run_plan_with};

use crate::spec::{SpecError, is_normal};

/// The first of the host's ids that jails use when Seawall runs as root. It lies between the
/// ranges that systemd documents for containers and for foreign ids; nothing owns files there.
pub const HOST_IDS: u32 = 1_935_000_000;

/// The gateway's id on the host.
pub const GATEWAY_ID: u32 = HOST_IDS;

/// User and group id inside.
pub const INSIDE_ID: u32 = 1000;

/// Why no plan could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A path that cannot be granted.
    #[error("{what} `{path}`: {why}")]
    Path {
        /// What it was to be.
        what: String,
        /// As given.
        path: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The parts do not fit together.
    #[error(transparent)]
    Spec(#[from] SpecError),
}

impl PlanError {
    fn path(what: &str, path: &str, why: impl Into<String>) -> Self {
        Self::Path { what: what.into(), path: path.into(), why: why.into() }
    }
}

/// Places that are never granted whole or writable: whoever can write there owns the host, and
/// whoever can read all of it knows its secrets.
const NEVER: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/lib",
    "/lib32",
    "/lib64",
    "/media",
    "/mnt",
    "/opt",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/run",
    "/var/tmp",
    "/usr/bin",
    "/usr/lib",
    "/usr/local",
    "/usr/local/bin",
    "/usr/share",
    "/Users",
];

/// Below these nothing is granted at all: they are the kernel's, or the system's own.
const NEVER_BELOW: &[&str] = &["/proc", "/sys", "/dev", "/boot"];

/// Checks a path that is to be granted as it was written: absolute and lexically normal.
fn checked<'a>(what: &str, path: &'a str) -> Result<&'a str, PlanError> {
    let trimmed = if path.len() > 1 { path.strip_suffix('/').unwrap_or(path) } else { path };
    if !is_normal(trimmed) {
        return Err(PlanError::path(
            what,
            path,
            "is not an absolute path without empty, `.` or `..` parts; write it out",
        ));
    }
    Ok(trimmed)
}

/// Checks where a grant really leads.
fn grantable(what: &str, path: &str, home: &str) -> Result<(), PlanError> {
    let refuse = |why: &str| Err(PlanError::path(what, path, why));
    if NEVER.contains(&path) {
        return refuse("is a folder of the system; name a folder of its own");
    }
    if NEVER_BELOW.iter().any(|base| crate::spec::within(path, base)) {
        return refuse("belongs to the kernel or the boot loader");
    }
    if crate::spec::within(home, path) {
        return refuse(
            "is or holds the home folder, with its keys and credentials; name a folder of its own",
        );
    }
    for private in [".ssh", ".gnupg", ".aws", ".kube", ".docker", ".config/gcloud", ".azure"] {
        let private = format!("{home}/{private}");
        // Or holds them: `~/.config`.
        if crate::spec::within(path, &private) || crate::spec::within(&private, path) {
            return refuse("holds credentials of the user");
        }
    }
    Ok(())
}
