//! Containers of OpenClaw, running or described: for the checks of containers.

use crate::facts::{Container, Facts, Unknown};
use crate::registry::Out;

/// Every container that has to do with OpenClaw, with where it is, and whether it runs. What could
/// not be read becomes a finding.
pub(super) fn each<'f>(facts: &'f Facts, out: &mut Out<'_>) -> Vec<(String, &'f Container, bool)> {
    let mut all = Vec::new();
    if let Some(containers) = out.need(&facts.host.containers) {
        let ours = containers.iter().filter(|container| container.openclaw);
        all.extend(
            ours.map(|container| (format!("container {}", container.name), container, true)),
        );
    }
    if let Some(files) = out.need(&facts.host.compose) {
        for file in files {
            if !file.unread.is_empty() {
                out.blind(&Unknown {
                    reason: format!("{}: {}", file.path.display(), file.unread.join("; ")),
                    command: "docker compose config".into(),
                });
            }
            let services = file.services.iter();
            all.extend(services.map(|service| {
                (format!("{}: {}", file.path.display(), service.name), service, false)
            }));
        }
    }
    all
}
