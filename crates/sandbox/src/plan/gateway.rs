//! The gateway's jail.

use super::held::{Hold, held};
use super::host::{Host, Kind, RealHost};
use super::layout::{Grant, layout};
use super::system::{Memory, system};
use super::{GATEWAY_ID, INSIDE_ID, PlanError, checked, grantable};
use crate::spec::{Access, JailSpec, Limits, Listener, Mount, Profile, Stop, parent_of, within};
use std::collections::{BTreeMap, BTreeSet};

/// Where the guard's sockets and the starter are, inside.
pub(crate) const RUN_DIR: &str = "/run/seawall";

/// What the gateway is confined to. All paths are the host's, absolute, and the same inside,
/// because OpenClaw stores absolute paths in its state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayPlan {
    /// Node's program file.
    pub node: String,
    /// OpenClaw's entry script.
    pub entry: String,
    /// Arguments behind the script: `gateway run`.
    pub args: Vec<String>,
    /// Folders of programs, read-only: the `node_modules` that holds OpenClaw, the folder of
    /// Node where that is outside /usr.
    pub programs: Vec<String>,
    /// OpenClaw's state folder.
    pub state_dir: String,
    /// Folder with the rendered configuration, read-only.
    pub config_dir: String,
    /// The configuration file in it, for `OPENCLAW_CONFIG_PATH`.
    pub config_file: String,
    /// Agents' workspaces.
    pub workspaces: Vec<String>,
    /// Further files and folders that may be read.
    pub read_only: Vec<String>,
    /// Files and folders, often inside writable ones, that must not change: the user's own
    /// `openclaw.json`, for one. Passed over when missing.
    pub protect: Vec<String>,
    /// The user's home folder: it is empty inside.
    pub home: String,
    /// Folder of the host with `guard.sock` and `run.sock`. Seen at `/run/seawall`.
    pub run_dir: String,
    /// Seawall's own program, seen at `/run/seawall/bin/seawall`.
    pub binary: String,
    /// Further environment.
    pub env: BTreeMap<String, String>,
    /// Port of the egress proxy inside; its listener is handed out as `egress`.
    pub egress_port: u16,
    /// Limits.
    pub limits: Limits,
}

/// Plans the gateway's jail on this machine.
///
/// # Errors
/// Names the path that cannot be granted and why.
pub fn gateway_plan(plan: &GatewayPlan) -> Result<JailSpec, PlanError> {
    gateway_plan_with(plan, &RealHost)
}

/// Plans the gateway's jail for a given host.
///
/// # Errors
/// Names the path that cannot be granted and why.
pub fn gateway_plan_with(plan: &GatewayPlan, host: &dyn Host) -> Result<JailSpec, PlanError> {
    let home = checked("home folder", &plan.home)?;
    let resolve = |what: &str, path: &str| -> Result<(String, String), PlanError> {
        let to = checked(what, path)?;
        let from = host
            .canonical(to)
            .map_err(|e| PlanError::path(what, path, format!("cannot be used: {e}")))?;
        Ok((from, to.to_owned()))
    };
    let real_home = host.canonical(home).unwrap_or_else(|_| home.to_owned());
    let mut grants = Vec::new();
    let mut ensure = Vec::new();

    for path in plan.programs.iter().chain(&plan.read_only) {
        let (from, to) = resolve("program folder", path)?;
        // What lies in /usr is there already.
        if within(&to, "/usr") && from == to {
            continue;
        }
        grantable("program folder", &from, &real_home)?;
        grants.push(Grant { from, ..Grant::ro(&to) });
    }

    let mut writable = Vec::new();
    let mut add_writable = |what: &str, path: &str| -> Result<(String, String), PlanError> {
        let (from, to) = resolve(what, path)?;
        grantable(what, &from, &real_home)?;
        if within(&from, "/usr") || within(&from, "/etc") {
            return Err(PlanError::path(what, path, "belongs to the system and is read-only"));
        }
        if host.kind(&from) != Some(Kind::Folder) {
            return Err(PlanError::path(what, path, "is not a folder"));
        }
        writable.push(from.clone());
        Ok((from, to))
    };
    let (from, to) = add_writable("state folder", &plan.state_dir)?;
    grants.push(Grant { from, ..Grant::rw(&to) });
    for workspace in &plan.workspaces {
        let (from, to) = add_writable("workspace", workspace)?;
        let (held, make) =
            held(host, &from, &to, Hold { memory: false, released: &BTreeSet::new() })?;
        grants.extend(held);
        ensure.extend(make);
        grants.push(Grant { from, ..Grant::rw(&to) });
    }

    for path in &plan.protect {
        let to = checked("protected path", path)?;
        let Some(kind) = host.kind(to) else { continue };
        if kind == Kind::Link {
            return Err(PlanError::path(
                "protected path",
                path,
                "is a symbolic link, which cannot be held; name the file itself",
            ));
        }
        let (from, to) = resolve("protected path", path)?;
        grants.push(Grant { from, ..Grant::ro(&to) });
    }

    // The guard's own folders must not be where the agent writes: the snapshot of the
    // configuration could be swapped, and the sockets replaced by the agent's.
    for (what, path) in [
        ("configuration folder", &plan.config_dir),
        ("run folder", &plan.run_dir),
        ("Seawall's program", &plan.binary),
    ] {
        let (from, _) = resolve(what, path)?;
        if let Some(rw) = writable.iter().find(|rw| within(&from, rw) || within(rw, &from)) {
            return Err(PlanError::path(
                what,
                path,
                format!("overlaps with `{rw}`, which the gateway can change"),
            ));
        }
    }
    let (config_from, config_to) = resolve("configuration folder", &plan.config_dir)?;
    grants.push(Grant { from: config_from, ..Grant::ro(&config_to) });
    let (run_from, _) = resolve("run folder", &plan.run_dir)?;
    let (binary_from, _) = resolve("Seawall's program", &plan.binary)?;
    let sockets = format!("{RUN_DIR}/sockets");
    grants.push(Grant { from: run_from, ..Grant::ro(&sockets) });
    // As the jail's own: OpenClaw runs no policy command of somebody it does not know. The mount
    // is read-only.
    grants.push(Grant { from: binary_from, ..Grant::ro(&format!("{RUN_DIR}/bin/seawall")) });

    let memory = Memory { tmp: 1 << 30, shm: 256 << 20 };
    let mut mounts = system("gateway", INSIDE_ID, INSIDE_ID, home, &memory);
    // The folder is bound as a whole, so that sockets that are made again are seen; the paths
    // that clients know stay.
    for name in ["guard.sock", "run.sock"] {
        mounts.push(Mount::Symlink {
            to: format!("{RUN_DIR}/{name}"),
            target: format!("sockets/{name}"),
        });
    }
    if home != "/" && !mounts.iter().any(|m| m.to() == home) && !within(home, "/usr") {
        let size = 256 << 20;
        mounts.push(Mount::Tmpfs {
            to: home.into(),
            mode: 0o700,
            size,
            inodes: size / 4096,
            exec: true,
        });
    }
    let (node_from, node) = resolve("Node", &plan.node)?;
    let (_, entry) = resolve("OpenClaw", &plan.entry)?;
    let (_, config_file) = resolve("configuration file", &plan.config_file)?;
    // A Node outside of the folders that nobody inside can change comes along by itself: it lies
    // in the state folder where OpenClaw's own installer has put it, and people run it.
    let seen = |path: &str| {
        let held = |grant: &Grant| grant.access == Access::Ro && within(path, &grant.to);
        within(path, "/usr") || grants.iter().any(held)
    };
    if !seen(&node) {
        grants.push(Grant { from: node_from, own: false, ..Grant::ro(&node) });
    }
    mounts.extend(layout(&grants));

    let mut env = plan.env.clone();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", parent_of(&node));
    for (name, text) in [
        ("PATH", path.as_str()),
        ("HOME", home),
        ("TMPDIR", "/tmp"),
        ("OPENCLAW_STATE_DIR", plan.state_dir.as_str()),
        ("OPENCLAW_CONFIG_PATH", config_file.as_str()),
        ("OPENCLAW_CONFIG_READONLY", "1"),
    ] {
        env.insert(name.into(), text.into());
    }
    let mut argv = vec![node, entry];
    argv.extend(plan.args.iter().cloned());
    let spec = JailSpec {
        name: "gateway".into(),
        argv,
        env,
        cwd: home.into(),
        uid: INSIDE_ID,
        gid: INSIDE_ID,
        host_id: GATEWAY_ID,
        ensure,
        mounts,
        listeners: vec![Listener { name: "egress".into(), port: plan.egress_port }],
        factory: true,
        limits: plan.limits.clone(),
        seccomp: Profile::Gateway,
        report: false,
        inherit: BTreeSet::new(),
        stop: Stop::Program,
        oom_score_adj: 200,
    };
    spec.validate()?;
    Ok(spec)
}
