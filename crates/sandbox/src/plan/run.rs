//! The jail of one tool run.

use super::held::{Hold, held, held_repository};
use super::host::{Host, Kind, RealHost};
use super::layout::{Grant, layout};
use super::narrow::{MOST_HELD, below, narrow};
use super::system::{Memory, system};
use super::{HOST_IDS, INSIDE_ID, PlanError, checked, grantable};
use crate::spec::{Access, JailSpec, Limits, Listener, Mount, Profile, Stop, is_normal, within};
use seawall_model::Effect;
use std::collections::{BTreeMap, BTreeSet};

/// Where the session's folder is, inside.
pub const WORKSPACE: &str = "/workspace";

/// Where the agent's own workspace is, inside, when it is another one.
pub const AGENT: &str = "/agent";

/// The empty home, inside.
const HOME: &str = "/home/agent";

/// Concurrent runs that get an id of their own on the host; beyond that ids repeat.
const SLOTS: u32 = 65_536;

/// What a run is granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunPlan {
    /// Program and arguments, as seen inside.
    pub argv: Vec<String>,
    /// Its whole environment. HOME, PATH and TMPDIR are added where they are missing.
    pub env: BTreeMap<String, String>,
    /// Working directory inside; the workspace, or the home when there is none, if empty.
    pub workdir: String,
    /// Folder of the session on the host and what may be done with it; seen at `/workspace`.
    pub workspace: Option<(String, Access)>,
    /// Paths are refused that lead elsewhere through a symbolic link: whoever named them may have
    /// made the link.
    pub exact: bool,
    /// The verdict authorised no write: the workspace is mounted read-only, though it may be
    /// written otherwise.
    pub no_write: bool,
    /// What alone may be written, where the verdict names all of it. None: all that is granted
    /// writable.
    pub only: Option<Only>,
    /// Whether the agent's memory is held as its identity files are.
    pub hold_memory: bool,
    /// Paths below the workspace that are not held in this run, because the verdict on the call
    /// names them as changed. Skills are held whatever is here.
    pub released: BTreeSet<String>,
    /// The agents' workspaces on the host. What is held in them is held as well in a run whose
    /// folder lies inside or above.
    pub roots: Vec<String>,
    /// The agent's own workspace on the host; seen read-only at `/agent`.
    pub agent_workspace: Option<String>,
    /// Further read-only mounts: host path, path inside. For skills.
    pub read_only: Vec<(String, String)>,
    /// Paths of the host beyond the workspace, at the same place inside, as the verdict on the
    /// call granted them.
    pub grants: Vec<(String, Access)>,
    /// Port inside on which the egress proxy is reached, under this run's own identity. The
    /// listener is handed out as `egress`. None: no network at all.
    pub egress: Option<u16>,
    /// User inside; 1000 unless set.
    pub uid: Option<u32>,
    /// Group inside; 1000 unless set.
    pub gid: Option<u32>,
    /// Limits.
    pub limits: Limits,
    /// Whether the launcher is told of what the kernel refuses.
    pub report: bool,
    /// Tells concurrent runs apart: another number, another id on the host (where the launcher is
    /// root).
    pub slot: u32,
    /// The user's home on the host, which is never granted.
    pub home: String,
    /// Paths on the host that no run sees: nothing that is one of them, or holds one, is granted.
    pub never: Vec<String>,
}

/// The paths that a call may write, and no others. A path stands for all below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// Relative to the workspace.
    pub changes: BTreeSet<String>,
    /// Absolute, in [`RunPlan::grants`].
    pub beyond: BTreeSet<String>,
    /// Of both those that may be removed themselves.
    pub removes: BTreeSet<String>,
}

impl RunPlan {
    fn hold(&self) -> Hold<'_> {
        Hold { memory: self.hold_memory, released: &self.released }
    }
}

/// What the effects that were authorised for a call ask of its jail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is done with the workspace; None: it is not touched.
    pub workspace: Option<Access>,
    /// Paths in it that are changed, relative to it.
    pub changes: BTreeSet<String>,
    /// Whether the workspace itself is named as changed, with all in it.
    pub whole: bool,
    /// Paths that are removed: in the workspace relative to it, beyond it absolute.
    pub removes: BTreeSet<String>,
    /// Paths beyond it.
    pub grants: Vec<(String, Access)>,
    /// Whether anything is requested from the network.
    pub network: bool,
    /// Whether something is in the call whose effects are not known. It gets what the rest was
    /// granted.
    pub opaque: bool,
}

/// Turns authorised effects into what a jail must allow for them. Everything else fails in the
/// kernel.
#[must_use]
pub fn needs(effects: &[Effect], workspace: &str) -> Needs {
    let mut needs = Needs::default();
    let mut grants: BTreeMap<&str, Access> = BTreeMap::new();
    for effect in effects {
        let (path, access) = match effect {
            Effect::Read { path } | Effect::List { path } => (path, Access::Ro),
            Effect::Write { path } | Effect::Delete { path } => (path, Access::Rw),
            Effect::MemoryWrite { target } if is_normal(target) => (target, Access::Rw),
            Effect::Request { .. } => {
                needs.network = true;
                continue;
            }
            Effect::Opaque { .. } => {
                needs.opaque = true;
                continue;
            }
            _ => continue,
        };
        if !is_normal(path) {
            continue;
        }
        if within(path, workspace) {
            needs.workspace = needs.workspace.max(Some(access));
            if access == Access::Rw {
                let rest = path.strip_prefix(workspace).and_then(|p| p.strip_prefix('/'));
                match rest {
                    Some(rest) => {
                        needs.changes.insert(rest.to_owned());
                        if matches!(effect, Effect::Delete { .. }) {
                            needs.removes.insert(rest.to_owned());
                        }
                    }
                    None => needs.whole = true,
                }
            }
        } else {
            if matches!(effect, Effect::Delete { .. }) {
                needs.removes.insert(path.to_owned());
            }
            let have = grants.entry(path).or_insert(access);
            *have = (*have).max(access);
        }
    }
    needs.grants = grants.into_iter().map(|(p, a)| (p.to_owned(), a)).collect();
    needs
}

/// Plans a run on this machine.
///
/// # Errors
/// Names the path that cannot be granted and why.
pub fn run_plan(plan: &RunPlan) -> Result<JailSpec, PlanError> {
    run_plan_with(plan, &RealHost)
}

/// Plans a run for a given host.
///
/// # Errors
/// Names the path that cannot be granted and why.
pub fn run_plan_with(plan: &RunPlan, host: &dyn Host) -> Result<JailSpec, PlanError> {
    let home = if plan.home.is_empty() { "/root" } else { checked("home folder", &plan.home)? };
    let real_home = host.canonical(home).unwrap_or_else(|_| home.to_owned());
    let settled = |path: &String| host.canonical(path).unwrap_or_else(|_| path.clone());
    let never: Vec<String> = plan.never.iter().map(settled).collect();
    let resolve = |what: &str, path: &str| -> Result<String, PlanError> {
        let path = checked(what, path)?;
        let real = host
            .canonical(path)
            .map_err(|e| PlanError::path(what, path, format!("cannot be used: {e}")))?;
        if plan.exact && real != path {
            return Err(PlanError::path(what, path, "leads elsewhere through a symbolic link"));
        }
        grantable(what, &real, &real_home)?;
        if let Some(inside) = never.iter().find(|inside| within(inside, &real)) {
            return Err(PlanError::path(
                what,
                path,
                format!("holds `{inside}`, which no run may see; use a folder of its own"),
            ));
        }
        Ok(real)
    };
    let mut grants: Vec<Grant> = Vec::new();
    let mut ensure = Vec::new();
    let mut budget = MOST_HELD;
    if let Some((path, access)) = &plan.workspace {
        let from = resolve("workspace", path)?;
        if *access == Access::Rw && ["/usr", "/etc"].iter().any(|base| within(&from, base)) {
            return Err(PlanError::path("workspace", path, "belongs to the system"));
        }
        if *access == Access::Rw {
            let (held, make) = held(host, &from, WORKSPACE, plan.hold())?;
            grants.extend(held);
            ensure.extend(make);
            grants.extend(held_of_roots(plan, host, &from, WORKSPACE)?);
        }
        let access = if plan.no_write { Access::Ro } else { *access };
        match &plan.only {
            Some(Only { changes, removes, .. }) if access == Access::Rw => {
                grants.extend(narrow(host, &from, WORKSPACE, changes, removes, &mut budget));
            }
            _ => grants.push(Grant { access, ..Grant::ro(&from).at(WORKSPACE) }),
        }
    }
    if let Some(path) = &plan.agent_workspace {
        grants.push(Grant::ro(&resolve("agent workspace", path)?).at(AGENT));
    }
    for (from, to) in &plan.read_only {
        let from = resolve("read-only mount", from)?;
        let to = checked("read-only mount", to)?;
        if !within(to, WORKSPACE) && !within(to, AGENT) {
            return Err(PlanError::path("read-only mount", to, "is outside of the workspace"));
        }
        grants.push(Grant::ro(&from).at(to));
    }
    for (path, access) in &plan.grants {
        let from = resolve("granted path", path)?;
        let to = checked("granted path", path)?;
        if within(&from, "/usr") && *access == Access::Ro {
            continue;
        }
        if ["/usr", "/etc", "/run", "/var/run"].iter().any(|base| within(&from, base)) {
            return Err(PlanError::path("granted path", path, "belongs to the system"));
        }
        if *access == Access::Rw {
            grants.extend(held_of_roots(plan, host, &from, to)?);
            grants.extend(held_repository(host, &from, to));
        }
        match &plan.only {
            Some(Only { beyond, removes, .. }) if *access == Access::Rw && !beyond.contains(to) => {
                let (paths, removes) = (below(beyond, to), below(removes, to));
                grants.extend(narrow(host, &from, to, &paths, &removes, &mut budget));
            }
            _ => grants.push(Grant { access: *access, from, ..Grant::ro(to) }),
        }
    }

    grants.extend(sockets(host, &grants)?);

    let (uid, gid) = (plan.uid.unwrap_or(INSIDE_ID), plan.gid.unwrap_or(INSIDE_ID));
    let memory = Memory { tmp: 512 << 20, shm: 64 << 20 };
    let mut mounts = system("run", uid, gid, HOME, &memory);
    mounts.push(Mount::Tmpfs {
        to: HOME.into(),
        mode: 0o700,
        size: 256 << 20,
        inodes: (256 << 20) / 4096,
        exec: true,
    });
    mounts.extend(layout(&grants));

    let mut env = plan.env.clone();
    for (name, text) in
        [("HOME", HOME), ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("TMPDIR", "/tmp")]
    {
        env.entry(name.into()).or_insert_with(|| text.into());
    }
    let mut listeners = Vec::new();
    if let Some(port) = plan.egress {
        listeners.push(Listener { name: "egress".into(), port });
        let proxy = format!("http://127.0.0.1:{port}");
        for name in
            ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]
        {
            env.insert(name.into(), proxy.clone());
        }
        for name in ["NO_PROXY", "no_proxy"] {
            env.insert(name.into(), "127.0.0.1,localhost,::1".into());
        }
    }
    let cwd = match (plan.workdir.as_str(), &plan.workspace) {
        ("", Some(_)) => WORKSPACE.to_owned(),
        ("", None) => HOME.to_owned(),
        (path, _) => checked("working directory", path)?.to_owned(),
    };
    let spec = JailSpec {
        name: "run".into(),
        argv: plan.argv.clone(),
        env,
        cwd,
        uid,
        gid,
        host_id: HOST_IDS + 1 + plan.slot % SLOTS,
        ensure,
        mounts,
        listeners,
        factory: false,
        limits: plan.limits.clone(),
        seccomp: Profile::Run,
        report: plan.report,
        inherit: BTreeSet::new(),
        stop: Stop::All,
        oom_score_adj: 500,
    };
    spec.validate()?;
    Ok(spec)
}

/// Most sockets of the host that are covered in one run: each is a mount.
const MOST_SOCKETS: usize = 64;

/// What covers a socket: nobody listens there.
pub(crate) const COVER: &str = "/dev/null";

/// Covers the sockets of the host's own programs that lie in folders of the run: a read-only mount
/// stops no `connect`, and who listens takes the run for one of its user's programs. One that was
/// granted by its own name stays.
fn sockets(host: &dyn Host, grants: &[Grant]) -> Result<Vec<Grant>, PlanError> {
    let mut covers: Vec<Grant> = Vec::new();
    // Most lie where no run looks: those are told by the first part of their names.
    let mut tops: BTreeMap<String, bool> = BTreeMap::new();
    for named in host.sockets() {
        let top = named.split('/').nth(1).unwrap_or_default();
        let far = tops.entry(format!("/{top}")).or_insert_with_key(|top| {
            host.kind(top) != Some(Kind::Link) && !grants.iter().any(|g| within(&g.from, top))
        });
        if *far {
            continue;
        }
        let Ok(real) = host.canonical(&named) else { continue };
        if host.kind(&real) != Some(Kind::Other) {
            continue;
        }
        for grant in grants {
            let Some(rest) = real.strip_prefix(&grant.from).filter(|rest| rest.starts_with('/'))
            else {
                continue;
            };
            covers
                .push(Grant { own: false, ..Grant::ro(COVER).at(&format!("{}{rest}", grant.to)) });
            if covers.len() > MOST_SOCKETS {
                let why = format!(
                    "holds more than {MOST_SOCKETS} sockets of this host's programs, which no run may reach"
                );
                return Err(PlanError::path("granted folder", &grant.from, why));
            }
        }
    }
    Ok(covers)
}

/// What workspaces hold of a folder that is granted writable at `to`, by another way than its own
/// names. Nothing of theirs is released: a verdict speaks of its own session's workspace.
fn held_of_roots(
    plan: &RunPlan,
    host: &dyn Host,
    folder: &str,
    to: &str,
) -> Result<Vec<Grant>, PlanError> {
    let mut grants = Vec::new();
    let hold = Hold { memory: plan.hold_memory, released: &BTreeSet::new() };
    for root in &plan.roots {
        let root = checked("workspace", root)?;
        // A root that does not exist holds nothing.
        let Ok(root) = host.canonical(root) else { continue };
        // The session's own folder is held under its own names.
        if root == folder && to == WORKSPACE {
            continue;
        }
        for hold in held(host, &root, &root, hold)?.0 {
            if within(folder, &hold.from) {
                return Err(PlanError::path(
                    "workspace",
                    folder,
                    format!("lies in `{}`, which runs may not change", hold.from),
                ));
            }
            if let Some(rest) = hold.from.strip_prefix(folder).filter(|r| r.starts_with('/'))
                && host.kind(&hold.from).is_some()
            {
                grants.push(Grant::ro(&hold.from).at(&format!("{to}{rest}")));
            }
        }
    }
    Ok(grants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_become_needs_and_nothing_more() {
        let effects = [
            Effect::Read { path: "/w/a".into() },
            Effect::Write { path: "/data/out".into() },
            Effect::Read { path: "/data/out".into() },
            Effect::Run { program: "ls".into() },
            Effect::Opaque { why: "inline code".into() },
        ];
        let needs = needs(&effects, "/w");
        assert_eq!(needs.workspace, Some(Access::Ro));
        assert_eq!(needs.grants, [("/data/out".to_owned(), Access::Rw)]);
        assert!(needs.opaque && !needs.network);
    }

    #[test]
    fn a_path_that_is_not_normal_grants_nothing() {
        let effects =
            [Effect::Write { path: "/w/../etc".into() }, Effect::Read { path: "x".into() }];
        assert_eq!(needs(&effects, "/w"), Needs::default());
    }
}
