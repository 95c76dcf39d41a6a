//! What each of the guard's planes holds now, for `seawall status`: from what was seen, not from
//! what was configured.

use super::guard::{Guard, lock};
use super::planes::Planes;
use seawall_model::{Plane, PlaneStatus, Protection};

/// One line for each plane but the kernel, which the supervisor knows.
pub(super) fn planes(guard: &Guard, planes: &Planes) -> Vec<PlaneStatus> {
    let mut all = vec![hook(guard), engine(guard)];
    all.extend(planes.status());
    all.push(install());
    all.push(secrets());
    all.push(PlaneStatus {
        plane: Plane::Log,
        protection: Protection::Full,
        evidence: vec!["every decision is on disk before it is given; `seawall events verify` checks the chain".into()],
    });
    all
}

fn hook(guard: &Guard) -> PlaneStatus {
    let plugin = lock(&guard.plugin).clone();
    let alive = lock(&guard.live).alive();
    let mut evidence = Vec::new();
    if alive {
        evidence.push(format!(
            "the plugin in process {} reports (report {})",
            plugin.pid.unwrap_or(0),
            plugin.seq
        ));
    } else {
        evidence.push("the plugin does not report: egress and door are closed".to_owned());
    }
    if plugin.lost > 0 {
        evidence.push(format!("{} observation(s) were lost on the way", plugin.lost));
    }
    PlaneStatus {
        plane: Plane::Hook,
        protection: match (alive, plugin.lost) {
            (true, 0) => Protection::Full,
            (true, _) => Protection::Partial,
            (false, _) => Protection::None,
        },
        evidence,
    }
}

fn engine(guard: &Guard) -> PlaneStatus {
    PlaneStatus {
        plane: Plane::Engine,
        protection: Protection::Full,
        evidence: vec![format!(
            "bundle {}, {} session(s)",
            short(&guard.engine.version()),
            guard.engine.sessions()
        )],
    }
}

/// Installs go through the gate, skill folders are seen through approvals; of plugins that are there
/// already nothing is known.
fn install() -> PlaneStatus {
    PlaneStatus {
        plane: Plane::Install,
        protection: Protection::Partial,
        evidence: vec![
            "installs are judged by `seawall skill install-policy`; plugins that are there already are not looked at".into(),
            "skills in workspaces are seen as they were approved, and by nobody inside written".into(),
        ],
    }
}

/// Provider keys live in the gateway; tool runs have none of them.
fn secrets() -> PlaneStatus {
    PlaneStatus {
        plane: Plane::Secrets,
        protection: Protection::Partial,
        evidence: vec![
            "the gateway holds those of its providers' keys that are no placeholder of `[[secrets]]`".into(),
            "no tool run sees the gateway's environment, configuration or state".into(),
        ],
    }
}

fn short(version: &str) -> &str {
    version.get(..12).unwrap_or(version)
}
