//! The self-test: what a jail on this host holds, from trying to get out of one.

use crate::attempt::{ATTEMPT, ATTEMPTS, Outcome, Targets};
use crate::jail::{Jail, JailIo};
use crate::launch::readable;
use crate::plan::{Grant, RunPlan, layout, run_plan};
use crate::spec::{Access, JailSpec};
use seawall_model::Protection;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

/// How long the self-test's jail may take for all attempts.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest report that is read from it.
const MAX_REPORT: u64 = 256 * 1024;

/// What one mechanism holds on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mechanism {
    /// Its name: `network namespace`, `seccomp`, …
    pub name: String,
    /// How much of it holds.
    pub protection: Protection,
    /// What was tried and seen; what got out or is missing comes first.
    pub evidence: Vec<String>,
}

/// The mechanism that may be missing: the mounts hold the same.
pub const LANDLOCK: &str = "landlock";

/// The mechanism without which a run can use up the machine, but not get out.
pub const LIMITS: &str = "limits";

/// Where the tester's own program is seen inside its jail.
const PROGRAM: &str = "/run/seawall/bin/seawall";

/// A jail like that of a tool run, whose program tries to get out of it.
///
/// # Errors
/// When the plan cannot be made.
pub fn attempt_spec(
    names: &[String],
    targets: &Targets,
    workspace: &str,
) -> Result<JailSpec, String> {
    let encode = |what: Result<String, serde_json::Error>| what.map_err(|e| e.to_string());
    let program = std::fs::canonicalize("/proc/self/exe").map_err(|e| e.to_string())?;
    let program = program.to_str().ok_or("this program's path is not UTF-8")?;
    let plan = RunPlan {
        argv: vec![
            PROGRAM.into(),
            ATTEMPT.into(),
            encode(serde_json::to_string(names))?,
            encode(serde_json::to_string(targets))?,
        ],
        workspace: Some((workspace.into(), Access::Rw)),
        ..RunPlan::default()
    };
    let mut spec = run_plan(&plan).map_err(|e| e.to_string())?;
    let own = Grant { own: false, ..Grant::ro(program).at(PROGRAM) };
    spec.mounts.extend(layout(&[own]));
    spec.name = "self-test".into();
    spec.limits.wall_ms = u64::try_from(PATIENCE.as_millis()).ok();
    Ok(spec)
}

/// Tries every known way out of a throw-away jail and reports per mechanism.
///
/// Needs [`crate::early_main`] in this program. `scratch` is a folder in which a temporary one
/// can be made. Takes some tens of milliseconds.
#[must_use]
pub fn probe(scratch: &Path) -> Vec<Mechanism> {
    match try_all(scratch) {
        Ok((outcomes, jail)) => sort_out(&outcomes, &jail),
        Err(reason) => vec![Mechanism {
            name: "jail".into(),
            protection: Protection::None,
            evidence: vec![reason],
        }],
    }
}

/// The names of all mechanisms that [`probe`] tells of when it could make a jail.
#[must_use]
pub fn mechanisms() -> std::collections::BTreeSet<&'static str> {
    ATTEMPTS.iter().map(|attempt| attempt.mechanism).chain([LANDLOCK, LIMITS]).collect()
}

struct Seen {
    facts: crate::wire::Facts,
}

fn try_all(scratch: &Path) -> Result<(Vec<Outcome>, Seen), String> {
    let folder = Scratch::make(scratch)?;
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
    let workspace = folder.path("workspace");
    std::fs::create_dir_all(format!("{workspace}/.agents/skills")).map_err(|e| e.to_string())?;
    std::fs::write(format!("{workspace}/SOUL.md"), "soul").map_err(|e| e.to_string())?;
    std::fs::write(folder.path("secret"), "secret").map_err(|e| e.to_string())?;
    let targets = Targets {
        tcp: tcp.local_addr().map_err(|e| e.to_string())?.port(),
        udp: udp.local_addr().map_err(|e| e.to_string())?.port(),
        abstract_socket: String::new(),
        socket: folder.path("socket"),
        secret: folder.path("secret"),
        read_only: "/workspace/SOUL.md".into(),
        writable: "/workspace".into(),
        pinned: "/workspace/.agents".into(),
        pid: i32::try_from(std::process::id()).unwrap_or(0),
        comm: std::fs::read_to_string("/proc/self/comm").unwrap_or_default().trim().into(),
    };
    let spec = attempt_spec(&[], &targets, &workspace)?;
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| e.to_string())?;
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let mut jail = Jail::spawn(&spec, io).map_err(|e| e.to_string())?;
    let mut text = String::new();
    if readable(read.as_fd(), PATIENCE) {
        // Bounded by the jail's own wall clock: its end closes the pipe.
        std::fs::File::from(read)
            .take(MAX_REPORT)
            .read_to_string(&mut text)
            .map_err(|e| e.to_string())?;
    }
    let exit = jail.wait();
    let outcomes = serde_json::from_str(&text)
        .map_err(|e| format!("the self-test did not report ({exit:?}): {e}"))?;
    Ok((outcomes, Seen { facts: jail.facts().clone() }))
}

fn sort_out(outcomes: &[Outcome], seen: &Seen) -> Vec<Mechanism> {
    let mut by_name: BTreeMap<&str, (Vec<String>, usize)> = BTreeMap::new();
    for attempt in ATTEMPTS {
        let entry = by_name.entry(attempt.mechanism).or_default();
        match outcomes.iter().find(|o| o.name == attempt.name) {
            Some(outcome) if !outcome.landed => entry.1 = entry.1.saturating_add(1),
            Some(_) => entry.0.push(format!("{}: got out", attempt.name)),
            None => entry.0.push(format!("{}: not tried", attempt.name)),
        }
    }
    let mut all: Vec<Mechanism> = by_name
        .into_iter()
        .map(|(name, (mut evidence, held))| {
            let protection = match (evidence.is_empty(), held) {
                (true, _) => Protection::Full,
                (false, 0) => Protection::None,
                (false, _) => Protection::Partial,
            };
            evidence.push(format!("{held} ways out were tried and held"));
            Mechanism { name: name.into(), protection, evidence }
        })
        .collect();
    all.push(landlock(seen.facts.landlock));
    all.push(limits());
    all
}

fn landlock(abi: u32) -> Mechanism {
    let (protection, text) = match abi {
        0 => (Protection::None, "this kernel has none; the mounts hold alone".to_owned()),
        1..=5 => (
            Protection::Partial,
            format!("ABI {abi}: signals and abstract sockets are held by the namespaces alone"),
        ),
        _ => (Protection::Full, format!("ABI {abi}, every right of it handled")),
    };
    Mechanism { name: LANDLOCK.into(), protection, evidence: vec![text] }
}

fn limits() -> Mechanism {
    let wanted = crate::spec::Limits {
        memory: Some(1 << 30),
        pids: Some(1024),
        cpu_millis: Some(1000),
        ..crate::spec::Limits::default()
    };
    let missing = crate::stage::try_limits(&wanted);
    let protection = match missing.len() {
        0 => Protection::Full,
        1 | 2 => Protection::Partial,
        _ => Protection::None,
    };
    let evidence = if missing.is_empty() {
        vec!["control groups for memory, processes and processor time could be made".into()]
    } else {
        missing
    };
    Mechanism { name: LIMITS.into(), protection, evidence }
}

/// A temporary folder, removed when done.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn make(below: &Path) -> Result<Self, String> {
        let mut bytes = [0u8; 8];
        getrandom::fill(&mut bytes).map_err(|e| e.to_string())?;
        let path = below.join(format!(".seawall-self-test-{}", hex::encode(bytes)));
        std::fs::create_dir(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let path = std::fs::canonicalize(&path).map_err(|e| e.to_string())?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}
