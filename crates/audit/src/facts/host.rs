//! What the host shows.

use super::Fact;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// The host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Host {
    /// Listening TCP sockets of every address family.
    pub listeners: Fact<Vec<Listener>>,
    /// The packet filter's rules.
    pub firewall: Fact<Firewall>,
    /// Processes that are OpenClaw's gateway or belong to it.
    pub processes: Fact<Vec<Process>>,
    /// Running containers.
    pub containers: Fact<Vec<Container>>,
    /// Compose files beside the deployment.
    pub compose: Fact<Vec<Compose>>,
    /// The SSH server's effective settings. `None`: none is installed.
    pub sshd: Fact<Option<Sshd>>,
    /// systemd units that start OpenClaw.
    pub units: Fact<Vec<Unit>>,
    /// The clock.
    pub clock: Fact<Clock>,
    /// The disk under the state folder.
    pub disk: Fact<Disk>,
    /// What the kernel says of the processor's side channels and of itself.
    pub cpu: Fact<Cpu>,
    /// A document that says what to do in an incident, where one was found.
    pub playbook: Fact<Option<PathBuf>>,
    /// Programs that ship logs away and run here (`vector`, `fluent-bit`, `filebeat` ...).
    pub shippers: Fact<Vec<String>>,
}

/// A listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// The address; unspecified means all.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The user who opened it.
    pub uid: u32,
    /// The process that holds it, as `name[pid]`, when that may be read.
    pub process: Option<String>,
}

impl Listener {
    /// Whether other hosts could reach it, were there no packet filter.
    #[must_use]
    pub fn exposed(&self) -> bool {
        !match self.address {
            IpAddr::V4(address) => address.is_loopback(),
            IpAddr::V6(address) => {
                address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
            }
        }
    }
}

/// The packet filter's rules, whoever manages them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Firewall {
    /// Chains that packets meet, by the name of their rule set.
    pub chains: Vec<crate::packet::Chain>,
    /// Who manages them, as far as that is visible: `ufw`, `firewalld`, `docker`.
    pub managers: Vec<String>,
}

/// A process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Effective user.
    pub uid: u32,
    /// Effective capabilities.
    pub caps: u64,
    /// `NoNewPrivs`.
    pub no_new_privs: bool,
    /// Seccomp mode: 0 none, 1 strict, 2 filter.
    pub seccomp: u8,
    /// Namespaces that differ from those of the first process that could be compared with.
    pub own_namespaces: Vec<String>,
    /// Whether that comparison was possible.
    pub namespaces_known: bool,
    /// Names of environment variables that hold credentials. `None`: may not be read.
    pub secret_env: Option<Vec<String>>,
}

/// A running container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its user; empty means the image's, which is root unless it says otherwise.
    pub user: String,
    /// Read-only root filesystem.
    pub read_only: bool,
    /// Privileged.
    pub privileged: bool,
    /// Its network mode.
    pub network: String,
    /// Namespaces of the host that it shares, besides the network: `pid`, `ipc`, `userns`, `uts`.
    pub shares: Vec<String>,
    /// Devices of the host.
    pub devices: Vec<String>,
    /// Added capabilities.
    pub cap_add: Vec<String>,
    /// Security options.
    pub security: Vec<String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Published ports.
    pub ports: Vec<Published>,
    /// Whether it has to do with OpenClaw: its image or name says so, or it mounts the state.
    pub openclaw: bool,
    /// Labels that OpenClaw's own sandboxes carry.
    pub labels: BTreeMap<String, String>,
}

/// A mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// On the host.
    pub source: String,
    /// In the container.
    pub target: String,
    /// Writable.
    pub writable: bool,
}

/// A published port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Published {
    /// The address on the host; empty means all.
    pub address: String,
    /// The port on the host.
    pub port: u16,
    /// The port inside.
    pub inside: u16,
}

impl Published {
    /// Whether other hosts reach it.
    #[must_use]
    pub fn exposed(&self) -> bool {
        match self.address.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => !address.is_loopback(),
            Err(_) => self.address != "localhost",
        }
    }
}

/// A compose file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Compose {
    /// The file.
    pub path: PathBuf,
    /// Its services that have to do with OpenClaw, in the form of containers that would run.
    pub services: Vec<Container>,
    /// What of it was not read or not understood, so that nothing can be said of it.
    pub unread: Vec<String>,
}

/// The SSH server's settings, as `sshd -T` prints them, by lower-case keyword.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sshd {
    /// Keyword to values.
    pub settings: BTreeMap<String, Vec<String>>,
    /// Whether it listens.
    pub running: bool,
    /// Whom a `Match` block lets in with a password, with the line that does.
    pub exceptions: Fact<Vec<String>>,
}

impl Sshd {
    /// The first value of a keyword.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.settings.get(keyword).and_then(|values| values.first()).map(String::as_str)
    }
}

/// A systemd unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Unit {
    /// The unit file.
    pub path: PathBuf,
    /// Started by a user's manager, which cannot change users and lacks some protections.
    pub user_manager: bool,
    /// Settings of `[Service]`, drop-ins merged; a later value wins, lists are joined.
    pub service: BTreeMap<String, String>,
}

/// The clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Clock {
    /// The kernel says that it is synchronised.
    pub synchronised: bool,
}

/// The disk under the state folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Disk {
    /// The device.
    pub device: String,
    /// The filesystem.
    pub filesystem: String,
    /// A layer of dm-crypt, or an encrypted filesystem, is below.
    pub encrypted: bool,
}

/// What the kernel says about the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Side channels that are reported as vulnerable.
    pub vulnerable: Vec<String>,
    /// `kernel.yama.ptrace_scope`.
    pub ptrace_scope: Option<u8>,
    /// `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Option<u8>,
}
