//! Collects the facts that the audit judges. Reads only, changes nothing, and is bounded in time:
//! what takes long or is very large becomes "could not check".

mod command;
mod containers;
mod content;
mod files;
mod firewall;
pub(crate) mod openclaw;
mod processes;
mod services;
mod sockets;
pub(crate) mod state;
mod yaml;

use crate::deploy::Deployment;
use crate::home::Home;
use crate::up;
use seawall_audit::facts::{Fact, Facts, Host, Place};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::thread;

/// What the command line says about where to look.
pub(crate) struct Wanted<'a> {
    /// The state folder and the configuration before symlinks are resolved.
    pub(crate) state_link: PathBuf,
    pub(crate) config_link: PathBuf,
    /// OpenClaw's program.
    pub(crate) openclaw: Option<&'a Path>,
}

/// Everything about a deployment and its host, as far as it can be read.
pub(crate) fn collect(deployment: &Deployment) -> Facts {
    let (state_link, config_link) = (deployment.state_dir.clone(), deployment.config_path.clone());
    collect_named(deployment, &Wanted { state_link, config_link, openclaw: None })
}

/// The same, for a deployment whose paths are known as somebody named them.
pub(crate) fn collect_named(deployment: &Deployment, wanted: &Wanted<'_>) -> Facts {
    let (state_dir, home) = (deployment.state_dir.as_path(), deployment.home.as_path());
    // The host's programs and `/proc` take most of the time; they run beside each other.
    thread::scope(|scope| {
        let firewall = scope.spawn(firewall::firewall);
        let clock = scope.spawn(services::clock);
        let containers = scope.spawn(|| containers::containers(state_dir));
        let sshd = scope.spawn(services::sshd_settings);
        let network = scope.spawn(|| sockets::listeners(&processes::Holders::collect()));
        let seen = processes::seen(state_dir, home, openclaw::port(deployment));
        let (config, broken) = openclaw::config(deployment, &seen.env);
        let workspaces = files::workspaces(config.known(), state_dir, home);
        let content = scope.spawn({
            let workspaces = workspaces.clone();
            move || content::content(state_dir, &workspaces)
        });
        let places = files::Places {
            state_dir,
            state_link: &wanted.state_link,
            config_link: &wanted.config_link,
            home,
            workspaces: &workspaces,
        };
        let files = files::files(config.known(), &places);
        let state = state::state(state_dir);
        let listeners = joined(network, Fact::default);
        let said = joined(sshd, || Some(Err("the look at sshd ended early".into())));
        let sshd = services::sshd(said, &listeners);
        let playbook = playbook(state_dir, &workspaces);
        Facts {
            now: jiff::Timestamp::now().as_second(),
            place: Place {
                state_dir: state_dir.to_owned(),
                config_path: wanted.config_link.clone(),
                home: home.to_owned(),
                uid: rustix::process::geteuid().as_raw(),
            },
            install: openclaw::install(wanted.openclaw),
            state,
            files: Fact::Known(files),
            content: joined(content, Fact::default),
            seawall: seawall(deployment),
            rotation: crate::rotation::known(deployment),
            host: Host {
                listeners,
                sshd,
                firewall: joined(firewall, Fact::default),
                processes: processes::fact(&seen),
                containers: joined(containers, Fact::default),
                compose: containers::compose(state_dir, home),
                units: services::units(home),
                clock: joined(clock, Fact::default),
                disk: services::disk(state_dir),
                cpu: services::kernel(),
                playbook: Fact::Known(playbook),
                shippers: Fact::Known(services::shippers(&seen.names)),
            },
            config,
            broken,
        }
    })
}

/// What a thread found; one that panicked found nothing, which is "could not check".
fn joined<T>(handle: thread::ScopedJoinHandle<'_, T>, unknown: impl FnOnce() -> T) -> T {
    handle.join().unwrap_or_else(|_| unknown())
}

/// What a running Seawall says about itself.
fn seawall(deployment: &Deployment) -> Fact<Option<Value>> {
    let asked =
        Home::locate(&deployment.name).and_then(|home| up::ask(&home, &json!({ "cmd": "status" })));
    match asked {
        Ok(answer) => Fact::Known(answer.map(|answer| crate::cmd::status::compose(&answer))),
        Err(why) => Fact::unknown(why, "seawall status"),
    }
}

/// A document for incidents, where people keep one.
fn playbook(state_dir: &Path, workspaces: &[PathBuf]) -> Option<PathBuf> {
    let names = [
        "INCIDENT.md",
        "INCIDENT-RESPONSE.md",
        "incident-response.md",
        "playbook.md",
        "PLAYBOOK.md",
        "docs/incident-response.md",
    ];
    let folders = [state_dir.to_owned(), PathBuf::from("/etc/seawall")];
    folders
        .iter()
        .chain(workspaces)
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|path| path.is_file())
}
