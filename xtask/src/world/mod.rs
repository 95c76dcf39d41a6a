//! A small world for the tour: namespaces of its own, with an internet that consists of a few
//! servers on `lo`, a home folder of a made-up user, and nothing else.
//!
//! Everything that attacks and that is attacked lives in here. Addresses look public, because
//! both OpenClaw and Seawall treat private ones specially and the tour must not profit from
//! that; no packet can leave, because the namespace has no other interface than `lo`. When the
//! first process of the world ends, the kernel ends the others and drops every mount.

pub(crate) mod dns;
pub(crate) mod model;
pub(crate) mod outside;

use crate::setup::step;
use crate::tour::target;
use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Home of the user whose deployment it is.
pub(crate) const HOME: &str = "/home/ada";

/// Names of the world's internet. `metadata.google.internal` is what a cloud's resolver says.
pub(crate) const HOSTS: &[(&str, Ipv4Addr)] = &[
    ("model.test", MODEL),
    ("site.test", SITE),
    ("attacker.test", ATTACKER),
    ("metadata.google.internal", METADATA),
];
/// The deployment's host.
const OWN: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 1);
/// The model provider.
pub(crate) const MODEL: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 10);
/// A site on the deployment's allowlist.
pub(crate) const SITE: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 20);
/// Where stolen things go.
pub(crate) const ATTACKER: Ipv4Addr = Ipv4Addr::new(11, 0, 0, 66);
/// The metadata service of most clouds.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Runs this program again as the first process of a new world and waits for it.
///
/// `inner` are the arguments of the task inside, `profile` the build of Seawall that it uses;
/// `as_user` has the deployment run as a user without privileges. As an ordinary user the world is made in a user
/// namespace in which that user is root; `unshare` says so when the host forbids it.
pub(crate) fn run(inner: &[String], profile: &str, as_user: bool) -> Result<ExitCode, String> {
    let exe = std::env::current_exe().map_err(|e| format!("own path: {e}"))?;
    let disk = tempfile::Builder::new()
        .prefix("seawall-world-")
        .tempdir()
        .map_err(|e| format!("temporary folder: {e}"))?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--mount-proc"]);
    command.arg("--kill-child");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--").arg(exe).args(inner).arg("--disk").arg(disk.path());
    command.env_clear();
    for (name, value) in std::env::vars_os() {
        // What the tasks themselves read; nothing of the caller's session reaches a gateway.
        let keep = name.to_str().is_some_and(|name| {
            matches!(name, "PATH" | "HOME" | "TERM" | "NO_COLOR" | "TMPDIR" | "RUST_BACKTRACE")
                || name.starts_with("SEAWALL_")
                || name.starts_with("XDG_CACHE")
                || name.starts_with("CARGO_TARGET")
        });
        if keep {
            command.env(name, value);
        }
    }
    command.env(target::PROFILE, profile);
    if as_user {
        command.env(target::AS_USER, "1");
    }
    let status = command.status().map_err(|e| format!("`unshare`: {e}"))?;
    let left = disk.path().to_path_buf();
    disk.close().map_err(|e| format!("{}: {e}", left.display()))?;
    Ok(match status.code() {
        Some(0) => ExitCode::SUCCESS,
        Some(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        None => return Err(format!("the world ended by a signal: {status}")),
    })
}

/// Furnishes the namespaces that [`run`] made. Called once, first thing inside.
pub(crate) fn furnish(disk: &Path, keep: &[PathBuf]) -> Result<(), String> {
    let ip = |arguments: &[&str]| step(Command::new("ip").args(arguments));
    ip(&["link", "set", "lo", "up"])?;
    // The world's addresses are those of other hosts: what goes there comes from another one.
    let own = OWN.to_string();
    ip(&["address", "add", &format!("{own}/32"), "dev", "lo"])?;
    for (_, address) in HOSTS {
        let there = format!("{address}/32");
        ip(&["route", "replace", "local", &there, "dev", "lo", "table", "local", "src", &own])?;
    }
    // Empty homes and an empty /tmp, in which only what the world needs is put back: the attacks
    // are to find the made-up user's things and nobody else's. Kept folders wait on /mnt
    // meanwhile.
    mount(&["-t", "tmpfs", "-o", "mode=0755", "mnt"], Path::new("/mnt"))?;
    let mut parked = Vec::new();
    for (n, path) in keep.iter().map(PathBuf::as_path).chain([disk]).enumerate() {
        if ["/home", "/root", "/tmp"].iter().any(|hidden| path.starts_with(hidden)) {
            let place = Path::new("/mnt").join(n.to_string());
            make(&place)?;
            mount(&["--bind", &path.to_string_lossy()], &place)?;
            parked.push((place, path));
        }
    }
    mount(&["-t", "tmpfs", "-o", "mode=0755", "home"], Path::new("/home"))?;
    mount(&["-t", "tmpfs", "-o", "mode=0755", "root"], Path::new("/root"))?;
    mount(&["-t", "tmpfs", "-o", "mode=1777", "tmp"], Path::new("/tmp"))?;
    for (place, path) in parked {
        make(path)?;
        mount(&["--move", &place.to_string_lossy()], path)?;
    }
    step(Command::new("umount").arg("/mnt"))?;
    // The user's home lies on a disk and not in memory: what it costs to sync is part of what is
    // shown.
    let home = disk.join("home");
    make(&home)?;
    make(Path::new(HOME))?;
    mount(&["--bind", &home.to_string_lossy()], Path::new(HOME))?;
    // Node among the system's programs, as on a machine whose owner runs a Node application.
    let programs = Path::new("/usr/local/bin");
    if !programs.join("node").exists() {
        let node = crate::paths::openclaw().join("node_modules/node/bin");
        let lower = format!("lowerdir={}:{}", node.display(), programs.display());
        mount(&["-t", "overlay", "-o", &lower, "programs"], programs)?;
    }
    let etc = disk.join("etc");
    make(&etc)?;
    let mut hosts = String::from("127.0.0.1 localhost\n");
    // One name is left to the resolver, as nearly all are.
    for (name, address) in HOSTS.iter().filter(|(_, address)| *address != SITE) {
        hosts.push_str(&format!("{address} {name}\n"));
    }
    for (file, text) in [("hosts", hosts), ("resolv.conf", "nameserver 127.0.0.1\n".to_owned())] {
        let source = etc.join(file);
        fs::write(&source, text).map_err(|e| format!("{}: {e}", source.display()))?;
        let target = Path::new("/etc").join(file);
        mount(&["--bind", &source.to_string_lossy()], &target)?;
    }
    Ok(())
}

/// Gives the home to the ordinary user [`USER`], once it is furnished.
pub(crate) fn give_home() -> Result<(), String> {
    let owner = if all_users() { format!("{USER}:{USER}") } else { "0:0".to_owned() };
    step(Command::new("chown").args(["-R", "-h", &owner, HOME]))
}

/// Number of the ordinary user in whose name a tour may run.
pub(crate) const USER: u32 = 1000;

/// Words in front of a command that is to run as an ordinary user without any privilege.
pub(crate) fn as_user() -> Vec<String> {
    let user = USER;
    if all_users() {
        ["setpriv", "--clear-groups", "--inh-caps=-all"]
            .map(str::to_owned)
            .into_iter()
            .chain([format!("--reuid={user}"), format!("--regid={user}"), "--".to_owned()])
            .collect()
    } else {
        // The world itself is an ordinary user's, who is root only in here. One more user
        // namespace makes an ordinary user of that root.
        ["unshare".to_owned(), "--user".to_owned()]
            .into_iter()
            .chain([format!("--map-user={user}"), format!("--map-group={user}"), "--".to_owned()])
            .collect()
    }
}

/// Whether this world knows all users of the host, because root made it.
fn all_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).is_some_and(|count| count == "4294967295")
}

fn make(dir: &Path) -> Result<(), String> {
    fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))
}

fn mount(arguments: &[&str], target: &Path) -> Result<(), String> {
    step(Command::new("mount").args(arguments).arg(target))
}

/// What must be as before when a tour is over: processes, mounts, and names in the places where
/// programs leave things.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inventory {
    /// Command lines by process id.
    processes: BTreeMap<i32, String>,
    /// Mount points.
    mounts: Vec<String>,
    /// Files and folders.
    names: Vec<PathBuf>,
}

impl Inventory {
    /// Looks around.
    pub(crate) fn take() -> Self {
        let mut processes = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // The dead that wait for their parent have no command line.
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if !line.is_empty() && pid != 1 {
                let words = String::from_utf8_lossy(&line).replace('\0', " ");
                processes.insert(pid, words.chars().take(160).collect());
            }
        }
        let mounts = fs::read_to_string("/proc/self/mounts")
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
            .collect();
        let mut names: Vec<PathBuf> = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/mnt", "/home"]
            .iter()
            .flat_map(|dir| fs::read_dir(dir).into_iter().flatten().flatten())
            .map(|entry| entry.path())
            .collect();
        names.sort();
        Self { processes, mounts, names }
    }

    /// What is there now and was not before, in words; empty when nothing is.
    pub(crate) fn left_since(&self, before: &Self) -> Vec<String> {
        let processes = self
            .processes
            .iter()
            .filter(|(pid, _)| !before.processes.contains_key(pid))
            .map(|(pid, line)| format!("process {pid}: {line}"));
        let mounts = self
            .mounts
            .iter()
            .filter(|mount| !before.mounts.contains(mount))
            .map(|mount| format!("mount on {mount}"));
        let names = self
            .names
            .iter()
            .filter(|name| !before.names.contains(name))
            .map(|name| format!("file {}", name.display()));
        processes.chain(mounts).chain(names).collect()
    }
}
