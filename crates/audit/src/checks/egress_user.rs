//! The user under whom the gateway's connections leave: for the checks of what leaves.

use crate::facts::{Facts, FileKind};

/// The gateway's user: of its process, or else the owner of its state.
pub(super) fn user(facts: &Facts) -> Option<u32> {
    let running = facts.host.processes.known().and_then(|all| all.first()).map(|one| one.uid);
    running.or_else(|| {
        let files = facts.files.known()?;
        files.entries.iter().find(|file| file.kind == FileKind::StateDir).map(|file| file.uid)
    })
}

/// Whether Seawall is the only way out.
pub(super) fn guarded(facts: &Facts) -> bool {
    let planes =
        facts.seawall.known().and_then(|status| status.as_ref()?.get("planes")?.as_array());
    planes.is_some_and(|planes| {
        planes.iter().any(|plane| {
            plane.get("plane").and_then(|name| name.as_str()) == Some("egress")
                && plane.get("protection").and_then(|level| level.as_str()) == Some("full")
        })
    })
}
