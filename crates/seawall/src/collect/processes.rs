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
    /// Why what was found is not certain.
    pub(super) doubt: Option<String>,
}

impl Seen {
    /// Nothing was seen, and why.
    pub(super) fn unknown(why: String) -> Self {
        Self { gateway: Vec::new(), env: BTreeMap::new(), names: Vec::new(), doubt: Some(why) }
    }
}

/// What is known of one process that may be the gateway.
struct Candidate<'a> {
    /// Real, effective, saved, file system.
    uids: &'a [u32],
    /// The kernel says that it holds the gateway's listening socket.
    holds: bool,
    /// Its program, name and command line are those of a gateway; it chose them itself.
    named: bool,
    /// Its environment, when it may be read.
    env: Option<&'a BTreeMap<String, String>>,
}

/// How much is known of a candidate.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Gateway,
    Unsure,
    No,
}

/// Anybody can start a process with any name, command line and environment: what counts is what the
/// kernel says, which is its users and its sockets.
fn standing(one: &Candidate<'_>, owner: u32, state_dir: &Path, home: &Path) -> Standing {
    let trusted = !one.uids.is_empty() && one.uids.iter().all(|uid| *uid == owner || *uid == 0);
    // Another deployment of the same user may have the same port.
    let other = one.env.is_some_and(|env| {
        ["OPENCLAW_STATE_DIR", "OPENCLAW_CONFIG_PATH", "HOME"]
            .iter()
            .any(|name| env.contains_key(*name))
            && !belongs(env, state_dir, home)
    });
    match (trusted, one.holds, one.named, one.env) {
        (true, true, _, _) if !other => Standing::Gateway,
        (true, false, true, Some(env)) if belongs(env, state_dir, home) => Standing::Gateway,
        (true, false, true, None) | (false, true, _, _) => Standing::Unsure,
        _ => Standing::No,
    }
}

/// Looks for the gateway of the deployment whose state folder is given.
pub(super) fn seen(state_dir: &Path, home: &Path, listening: &[u64]) -> Seen {
    let mut out =
        Seen { gateway: Vec::new(), env: BTreeMap::new(), names: Vec::new(), doubt: None };
    let owner = fs::metadata(state_dir)
        .map_or_else(|_| rustix::process::geteuid().as_raw(), |about| about.uid());
    let mut unsure = None;
    for pid in pids() {
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let name = comm(&dir);
        if !name.is_empty() && !out.names.contains(&name) {
            out.names.push(name.clone());
        }
        let program = fs::read_link(dir.join("exe"))
            .ok()
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default();
        let runtime = ["node", "bun", "openclaw"].iter().any(|start| program.starts_with(start));
        if !(runtime
            || name.starts_with("node")
            || name.starts_with("openclaw")
            || name == "MainThread")
        {
            continue;
        }
        let line = String::from_utf8_lossy(&read(&dir.join("cmdline")).unwrap_or_default())
            .replace('\0', " ");
        let named =
            line.contains("openclaw") && line.split([' ', '-', '/']).any(|word| word == "gateway");
        let holds = (runtime || named) && holds(&dir, listening);
        if !named && !holds {
            continue;
        }
        let uids = uids(&dir);
        let env = read(&dir.join("environ")).ok().map(|bytes| variables(&bytes));
        let candidate = Candidate { uids: &uids, holds, named, env: env.as_ref() };
        match standing(&candidate, owner, state_dir, home) {
            Standing::No => {}
            Standing::Unsure => {
                unsure = Some(format!(
                    "process {pid} may be the gateway, but runs as another user than the state folder's owner, or does not show its environment"
                ));
            }
            Standing::Gateway => {
                out.gateway.push(process(pid, &dir, name, env.as_ref()));
                merge(&mut out.env, env.unwrap_or_default());
            }
        }
    }
    if out.gateway.is_empty() {
        out.doubt = unsure;
    } else if out.gateway.iter().any(|one| Some(one.uid) != out.gateway.first().map(|one| one.uid))
    {
        let all: Vec<String> =
            out.gateway.iter().map(|one| format!("{} (user {})", one.pid, one.uid)).collect();
        out.doubt = Some(format!(
            "several processes look like the gateway, of different users: {}",
            all.join(", ")
        ));
    }
    out
}

/// Where two processes of the gateway say different things, the worse one is judged.
fn merge(into: &mut BTreeMap<String, String>, from: BTreeMap<String, String>) {
    for (name, value) in from {
        let worse = into
            .get(&name)
            .is_none_or(|old| old.is_empty() || (!value.is_empty() && value.len() < old.len()));
        if worse {
            into.insert(name, value);
        }
    }
}

/// Whether a process holds one of these sockets.
fn holds(dir: &Path, sockets: &[u64]) -> bool {
    if sockets.is_empty() {
        return false;
    }
    fs::read_dir(dir.join("fd")).into_iter().flatten().flatten().take(MAX_FDS).any(|fd| {
        fs::read_link(fd.path()).is_ok_and(|target| {
            target.to_str().is_some_and(|text| {
                text.strip_prefix("socket:[")
                    .and_then(|text| text.strip_suffix(']')?.parse().ok())
                    .is_some_and(|inode| sockets.contains(&inode))
            })
        })
    })
}

/// The users of a process: real, effective, saved, file system.
fn uids(dir: &Path) -> Vec<u32> {
    let status = fs::read_to_string(dir.join("status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    line.split_whitespace().filter_map(|uid| uid.parse().ok()).collect()
}

pub(super) fn fact(seen: &Seen) -> Fact<Vec<Process>> {
    if let Some(doubt) = &seen.doubt {
        Fact::unknown(doubt.clone(), "ps -ef")
    } else if seen.gateway.is_empty() {
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

/// Whether a gateway's environment names this deployment. One that names none belongs to none.
fn belongs(env: &BTreeMap<String, String>, state_dir: &Path, home: &Path) -> bool {
    let same = |path: &str| Path::new(path).canonicalize().is_ok_and(|path| path == state_dir);
    if let Some(dir) = env.get("OPENCLAW_STATE_DIR") {
        return same(dir);
    }
    if let Some(config) = env.get("OPENCLAW_CONFIG_PATH") {
        return Path::new(config).parent().and_then(Path::to_str).is_some_and(same);
    }
    env.get("HOME").is_some_and(|at| Path::new(at) == home)
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
    fn only_the_kernel_says_who_the_gateway_is() {
        let state = Path::new("/home/u/.openclaw");
        let home = Path::new("/home/u");
        let own = BTreeMap::from([("HOME".to_owned(), "/home/u".to_owned())]);
        let empty = BTreeMap::new();
        let ask = |uids: &[u32], holds, named, env| {
            standing(&Candidate { uids, holds, named, env }, 1000, state, home)
        };
        let (user, root, stranger) = ([1000; 4], [0; 4], [65534; 4]);
        assert_eq!(ask(&user, false, true, Some(&own)), Standing::Gateway);
        assert_eq!(ask(&root, false, true, Some(&own)), Standing::Gateway);
        assert_eq!(ask(&user, true, false, None), Standing::Gateway);
        let other = BTreeMap::from([("HOME".to_owned(), "/home/v".to_owned())]);
        assert_eq!(ask(&user, true, true, Some(&other)), Standing::No);
        // Somebody else's process, whatever it says of itself.
        assert_eq!(ask(&stranger, false, true, Some(&own)), Standing::No);
        assert_eq!(ask(&stranger, false, true, Some(&empty)), Standing::No);
        assert_eq!(ask(&stranger, true, true, Some(&own)), Standing::Unsure);
        // A setuid program that somebody else started, with the environment that they like.
        assert_eq!(ask(&[65534, 0, 0, 0], false, true, Some(&own)), Standing::No);
        // A name alone.
        assert_eq!(ask(&user, false, true, Some(&empty)), Standing::No);
        assert_eq!(ask(&user, false, true, None), Standing::Unsure);
        assert_eq!(ask(&[], true, true, Some(&own)), Standing::Unsure);
    }

    #[test]
    fn of_two_values_the_worse_is_judged() {
        let one = |value: &str| BTreeMap::from([("T".to_owned(), value.to_owned())]);
        let mut env = one("abc");
        merge(&mut env, one("a value that is much longer"));
        merge(&mut env, one(""));
        assert_eq!(env, one("abc"));
    }

    #[test]
    fn the_holder_of_a_socket_is_known() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let all = super::super::sockets::all().unwrap();
        let inodes: Vec<u64> =
            all.iter().filter(|one| one.port == port).map(|one| one.inode).collect();
        assert!(holds(Path::new("/proc/self"), &inodes));
        assert!(!holds(Path::new("/proc/self"), &[]));
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
