//! Processes, from `/proc`: who holds which socket, and what the gateway's may do.

use seawall_audit::facts::{Fact, Process, names_a_secret};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// File descriptors that are looked at in one process: more than that is a server with many
/// connections, whose listening sockets come first.
const MAX_FDS: usize = 4096;
/// Bytes of a command line or an environment that are looked at.
const MAX_TEXT: u64 = 256 * 1024;

/// Which process holds a socket.
#[derive(Debug, Default)]
pub(super) struct Holders {
    by_inode: HashMap<u64, String>,
}

impl Holders {
    /// Looks through the descriptors of every process that may be looked at.
    pub(super) fn collect() -> Self {
        let mut by_inode = HashMap::new();
        for pid in pids() {
            let dir = PathBuf::from(format!("/proc/{pid}"));
            let Ok(fds) = fs::read_dir(dir.join("fd")) else { continue };
            let mut name = None;
            for fd in fds.flatten().take(MAX_FDS) {
                let Ok(target) = fs::read_link(fd.path()) else { continue };
                let inode = target.to_str().and_then(|text| {
                    text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
                });
                if let Some(inode) = inode {
                    let name = name.get_or_insert_with(|| format!("{}[{pid}]", comm(&dir)));
                    by_inode.entry(inode).or_insert_with(|| name.clone());
                }
            }
        }
        Self { by_inode }
    }

    pub(super) fn of(&self, inode: u64) -> Option<String> {
        self.by_inode.get(&inode).cloned()
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn comm(dir: &Path) -> String {
    fs::read_to_string(dir.join("comm")).unwrap_or_default().trim().to_owned()
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_TEXT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Every running program's name, and the gateway's processes with their environment, which is not
/// kept beyond the names that hold credentials and the variables that the audit resolves.
pub(super) struct Seen {
    pub(super) gateway: Vec<Process>,
    /// Variables of the gateway, when they may be read.
    pub(super) env: BTreeMap<String, String>,
    pub(super) names: Vec<String>,
}

/// Looks for the gateway of the deployment whose state folder is given.
pub(super) fn seen(state_dir: &Path, home: &Path) -> Seen {
    let mut out = Seen { gateway: Vec::new(), env: BTreeMap::new(), names: Vec::new() };
    for pid in pids() {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let name = comm(&dir);
        if !name.is_empty() && !out.names.contains(&name) {
            out.names.push(name.clone());
        }
        if !(name.starts_with("node") || name.starts_with("openclaw") || name == "MainThread") {
            continue;
        }
        let line = String::from_utf8_lossy(&read(&dir.join("cmdline")).unwrap_or_default())
            .replace('\0', " ");
        let gateway =
            line.contains("openclaw") && line.split([' ', '-', '/']).any(|word| word == "gateway");
        if !gateway {
            continue;
        }
        let env = read(&dir.join("environ")).ok().map(|bytes| variables(&bytes));
        if let Some(env) = &env
            && !belongs(env, state_dir, home)
        {
            continue;
        }
        out.gateway.push(process(pid, &dir, name, env.as_ref()));
        out.env.extend(env.into_iter().flatten());
    }
    out
}

pub(super) fn fact(seen: &Seen) -> Fact<Vec<Process>> {
    if seen.gateway.is_empty() {
        Fact::unknown("no process of this deployment's gateway was found", "openclaw gateway run")
    } else {
        Fact::Known(seen.gateway.clone())
    }
}

fn variables(bytes: &[u8]) -> BTreeMap<String, String> {
    String::from_utf8_lossy(bytes)
        .split('\0')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a gateway's environment names this deployment.
fn belongs(env: &BTreeMap<String, String>, state_dir: &Path, home: &Path) -> bool {
    let same = |path: &str| Path::new(path).canonicalize().is_ok_and(|path| path == state_dir);
    if let Some(dir) = env.get("OPENCLAW_STATE_DIR") {
        return same(dir);
    }
    if let Some(config) = env.get("OPENCLAW_CONFIG_PATH") {
        return Path::new(config).parent().and_then(Path::to_str).is_some_and(same);
    }
    env.get("HOME").is_none_or(|at| Path::new(at) == home)
}

fn process(pid: u32, dir: &Path, name: String, env: Option<&BTreeMap<String, String>>) -> Process {
    let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
    let field = |key: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let (own_namespaces, namespaces_known) = namespaces(dir);
    Process {
        pid,
        name,
        // Real, effective, saved, file system.
        uid: field("Uid")
            .split_whitespace()
            .nth(1)
            .and_then(|uid| uid.parse().ok())
            .unwrap_or_default(),
        caps: u64::from_str_radix(&field("CapEff"), 16).unwrap_or_default(),
        no_new_privs: field("NoNewPrivs") == "1",
        seccomp: field("Seccomp").parse().unwrap_or_default(),
        own_namespaces,
        namespaces_known,
        secret_env: env.map(|env| {
            env.iter()
                .filter(|(name, value)| names_a_secret(name) && !value.is_empty())
                .map(|(name, _)| name.clone())
                .collect()
        }),
    }
}

/// Namespaces that differ from those of process 1, or of this one where that may not be read.
fn namespaces(dir: &Path) -> (Vec<String>, bool) {
    let inode = |dir: &Path, kind: &str| {
        fs::metadata(dir.join("ns").join(kind)).ok().map(|meta| meta.ino())
    };
    let first = Path::new("/proc/1");
    let base = if inode(first, "net").is_some() { first } else { Path::new("/proc/self") };
    let mut known = false;
    let mut own = Vec::new();
    for kind in ["user", "net", "mnt", "pid"] {
        if let (Some(a), Some(b)) = (inode(base, kind), inode(dir, kind)) {
            known = true;
            if a != b {
                own.push(kind.to_owned());
            }
        }
    }
    (own, known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_belongs_to_one_deployment() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        let env = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let home = Path::new("/home/u");
        assert!(belongs(&env(&[("OPENCLAW_STATE_DIR", state.to_str().unwrap())]), &state, home));
        assert!(!belongs(&env(&[("OPENCLAW_STATE_DIR", "/")]), &state, home));
        assert!(belongs(&env(&[("HOME", "/home/u")]), &state, home));
        assert!(!belongs(&env(&[("HOME", "/home/v")]), &state, home));
    }

    #[test]
    fn a_process_is_described() {
        let own = process(
            std::process::id(),
            Path::new("/proc/self"),
            "x".into(),
            Some(&variables(b"A_TOKEN=x\0B=y\0C_TOKEN=")),
        );
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert_eq!(own.secret_env, Some(vec!["A_TOKEN".to_owned()]));
        assert!(own.namespaces_known);
    }
}
