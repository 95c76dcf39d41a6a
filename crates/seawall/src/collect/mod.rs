//! Collects the facts that the audit judges. Reads only, changes nothing, and is bounded in time:
//! what takes long or is very large becomes "could not check".
//!
//! The looks run beside each other; most of the time is spent in the host's programs and the kernel.

mod command;
mod compose;
mod containers;
mod content;
mod files;
mod firewall;
mod later;
pub(crate) mod openclaw;
mod processes;
mod reach;
mod services;
mod sockets;
pub(crate) mod state;
mod yaml;

use crate::deploy::{ConfigError, Deployment, load};
use crate::home::Home;
use crate::up;
use later::later;
use seawall_audit::facts::{
    Compose, Config, Cpu, Disk, Fact, Facts, Files, Host, Install, Place, Unit,
};
use serde_json::{Value, json};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// For the host's programs, each of which has less, and for what the kernel says.
const HOST: Duration = Duration::from_secs(10);
/// For files, of which a deployment may have tens of thousands on a slow disk.
const FILES: Duration = Duration::from_secs(40);

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
    let state_dir = deployment.state_dir.clone();
    let home = deployment.home.clone();
    let sshd = later("the look at sshd", HOST, services::sshd_settings);
    let firewall = later("the look at the packet filter", HOST, firewall::firewall);
    let clock = later("the look at the clock", HOST, services::clock);
    let containers = later("the look at containers", HOST, {
        let state_dir = state_dir.clone();
        move || containers::containers(&state_dir)
    });
    let sockets = sockets::all();
    let network = later("the look at sockets", HOST, {
        let sockets = sockets.clone();
        move || sockets::listeners(&sockets, &processes::Holders::collect())
    });
    let state = later("the look at the state database", FILES, {
        let state_dir = state_dir.clone();
        move || state::state(&state_dir)
    });
    let loaded = later("reading the configuration", FILES, {
        let (path, roots) = (deployment.config_path.clone(), deployment.include_roots.clone());
        move || load(&path, &roots)
    })
    .get(|why| Err(ConfigError::Unreadable { path: deployment.config_path.clone(), why }));
    let seen = later("the look at processes", HOST, {
        let (state_dir, home) = (state_dir.clone(), home.clone());
        let port = openclaw::port(&loaded);
        let all = sockets.as_deref().unwrap_or_default().iter();
        let inodes: Vec<u64> =
            all.filter(|socket| socket.port == port).map(|socket| socket.inode).collect();
        move || processes::seen(&state_dir, &home, &inodes)
    })
    .get(processes::Seen::unknown);
    let (config, broken) = openclaw::config(loaded, deployment, &seen.env);
    let workspaces = files::workspaces(config.known(), &state_dir, &home);
    let content = later("the look at skills", FILES, {
        let (home, state_dir, workspaces) = (home.clone(), state_dir.clone(), workspaces.clone());
        let config = config.known().map(
            |config| json!({ "agents": config.get("agents"), "skills": config.get("skills") }),
        );
        move || content::content(config.as_ref(), &home, &state_dir, &workspaces)
    });
    let files = later("the look at files", FILES, {
        let config = config.known().map(|config| Config {
            value: json!({ "logging": config.get("logging") }),
            files: config.files.clone(),
            ..Config::default()
        });
        let (state_dir, home) = (state_dir.clone(), home.clone());
        let (state_link, config_link) = (wanted.state_link.clone(), wanted.config_link.clone());
        let workspaces = workspaces.clone();
        move || {
            let places = files::Places {
                state_dir: &state_dir,
                state_link: &state_link,
                config_link: &config_link,
                home: &home,
                workspaces: &workspaces,
            };
            Fact::Known(files::files(config.as_ref(), &places))
        }
    });
    let rest = later("the look at the host's files", HOST, {
        let (state_dir, home) = (state_dir.clone(), home.clone());
        let openclaw = wanted.openclaw.map(Path::to_owned);
        move || Rest {
            install: openclaw::install(openclaw.as_deref()),
            compose: compose::compose(&state_dir, &home),
            units: services::units(&home),
            disk: services::disk(&state_dir),
            cpu: services::kernel(),
            playbook: Fact::Known(playbook(&state_dir, &workspaces)),
        }
    });
    let seawall = seawall(deployment);
    let rotation = crate::rotation::known(deployment);
    let rest = rest.get(|why| Rest::unknown(&why));
    let files: Fact<Files> = files.get(not);
    let listeners = network.get(not);
    let sshd = services::sshd(sshd.get(|why| Some(Err(why))), &listeners);
    Facts {
        now: jiff::Timestamp::now().as_second(),
        place: Place {
            owner: std::fs::metadata(&state_dir).map(|about| about.uid()).unwrap_or_default(),
            state_dir,
            config_path: wanted.config_link.clone(),
            home,
            uid: rustix::process::geteuid().as_raw(),
        },
        install: rest.install,
        state: state.get(not),
        files,
        content: content.get(not),
        seawall,
        rotation,
        host: Host {
            listeners,
            sshd,
            firewall: firewall.get(not),
            processes: processes::fact(&seen),
            containers: containers.get(not),
            compose: rest.compose,
            units: rest.units,
            clock: clock.get(not),
            disk: rest.disk,
            cpu: rest.cpu,
            playbook: rest.playbook,
            shippers: Fact::Known(services::shippers(&seen.names)),
        },
        config,
        broken,
    }
}

/// What is read from files of the host that lie anywhere.
struct Rest {
    install: Fact<Install>,
    compose: Fact<Vec<Compose>>,
    units: Fact<Vec<Unit>>,
    disk: Fact<Disk>,
    cpu: Fact<Cpu>,
    playbook: Fact<Option<PathBuf>>,
}

impl Rest {
    fn unknown(why: &str) -> Self {
        Self {
            install: not(why.into()),
            compose: not(why.into()),
            units: not(why.into()),
            disk: not(why.into()),
            cpu: not(why.into()),
            playbook: not(why.into()),
        }
    }
}

/// A look that came to nothing is "could not check".
fn not<T>(why: String) -> Fact<T> {
    Fact::unknown(why, "seawall audit")
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
