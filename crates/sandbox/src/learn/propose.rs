//! From what was seen to the narrowest arguments of `seawall sandbox run` that allow it.

use super::Observed;
use crate::plan::{Host, RunPlan, WORKSPACE, run_plan_with};
use crate::spec::{Access, JailSpec, Mount, parent_of, within};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Most grants that are proposed. Beyond it, files that lie together become their folder, and the
/// proposal says so: nobody reads a longer command line.
const MAX_GRANTS: usize = 64;

/// Where a run finds programs by name.
const PROGRAMS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Folders that a run has of its own, empty and in memory.
const IN_MEMORY: &[&str] = &["/tmp", "/var/tmp", "/dev/shm"];

/// Of the unseen, what is never seen.
const NEVER_SEEN: &[&str] = &[
    "what the command does with other input, at another time or when it knows that it is watched: this was one run",
    "which environment variables it reads: a run has none but those given by --env, and TERM, LANG, LC_ALL",
    "host names: destinations are the addresses after the look-up",
    "what a service did for it over a socket, and files that it was handed open",
];

/// What is done with the current folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workspace {
    /// It is changed.
    Workspace,
    /// It is read.
    ReadOnly,
    /// It is not needed.
    Empty,
}

impl Workspace {
    /// The value of `--profile`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::ReadOnly => "read-only",
            Self::Empty => "empty",
        }
    }
}

/// Something that the command used and no run can have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which path.
    pub path: String,
    /// Why not.
    pub why: String,
}

/// The narrowest profile that allows what was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposal {
    /// Version of this form.
    pub version: u32,
    /// Arguments of `seawall sandbox run`, up to and with the command.
    pub arguments: Vec<String>,
    /// The current folder.
    pub profile: Workspace,
    /// Paths that may be read.
    pub read: Vec<String>,
    /// Paths that may be changed.
    pub write: Vec<String>,
    /// Programs that were run; those of the system are in every run.
    pub programs: Vec<String>,
    /// Addresses that it tried to reach. `run` has no network; in a deployment these are what the
    /// egress policy would have to allow.
    pub destinations: Vec<String>,
    /// Addresses on which it wanted to be reached.
    pub listens: Vec<String>,
    /// Unix sockets that it used.
    pub unix_sockets: Vec<String>,
    /// What was only asked about, and is not in the grants.
    pub looked_at: Vec<String>,
    /// What it used and no run can have.
    pub refused: Vec<Refused>,
    /// What will be otherwise than in this run.
    pub notes: Vec<String>,
    /// What could not be seen.
    pub unseen: Vec<String>,
    /// Exit code of the run that was watched.
    pub exit: i32,
}

/// Proposes a profile.
///
/// `here` is the folder in which the command ran, `home` its user's home, `search` the `PATH`.
#[must_use]
pub fn propose(
    seen: &Observed,
    argv: &[String],
    here: &str,
    home: &str,
    search: &str,
    host: &dyn Host,
) -> Proposal {
    let planner = Planner { home, here, host };
    let base = planner.plan(None, &[]).ok();
    let mut notes = Vec::new();

    // Changes: a new or removed name needs its folder, a change in place the file alone.
    let mut write: BTreeSet<String> = BTreeSet::new();
    for path in seen.created.iter().chain(&seen.removed) {
        let folder = std::iter::successors(Some(parent_of(path)), |p| Some(parent_of(p)))
            .find(|p| *p == "/" || !seen.created.contains(*p))
            .unwrap_or("/");
        if !IN_MEMORY.contains(&folder) {
            write.insert(folder.to_owned());
        }
    }
    write.extend(seen.altered.iter().cloned());
    let workspace_written: Vec<String> =
        write.iter().filter(|p| within(p, here)).cloned().collect();
    let uses = |paths: &BTreeSet<String>| paths.iter().any(|p| within(p, here));
    let profile = if !workspace_written.is_empty() {
        Workspace::Workspace
    } else if uses(&seen.read) || uses(&seen.listed) || uses(&seen.ran) {
        Workspace::ReadOnly
    } else {
        Workspace::Empty
    };
    // Inside, the current folder is elsewhere: what an argument names by its path on the host is
    // granted there as well.
    let named = |path: &str| {
        within(path, here)
            && seen.arguments.iter().any(|a| {
                a.split('=').any(|a| a.starts_with('/') && within(path, a.trim_end_matches('/')))
            })
    };
    let mut read: BTreeSet<String> = seen
        .read
        .iter()
        .chain(&seen.listed)
        .chain(&seen.ran)
        .filter(|p| !base.as_ref().is_some_and(|base| visible(base, p)))
        .cloned()
        .collect();
    read.retain(|p| !within(p, here) || named(p));
    write.retain(|p| !within(p, here) || named(p));
    if let Some(base) = &base {
        for mount in &base.mounts {
            if let Mount::File { to, .. } = mount
                && seen.read.contains(to)
            {
                notes.push(format!("a run has a {to} of its own, which names nobody of this host"));
            }
        }
    }
    inmost(&mut write);
    read.retain(|p| !write.iter().any(|w| within(p, w)));
    inmost(&mut read);

    let mut refused = Vec::new();
    if profile != Workspace::Empty
        && let Err(why) = planner.plan(Some(profile), &[])
    {
        refused.push(Refused { path: here.to_owned(), why });
    }
    for set in [&mut read, &mut write] {
        let before = set.len();
        widen(set, MAX_GRANTS, &planner);
        if set.len() < before {
            notes.push(format!(
                "{before} paths were put together to {} folders: more may be reached than was",
                set.len()
            ));
        }
    }
    let mut check = |set: &mut BTreeSet<String>, access| {
        set.retain(|path| match planner.plan(None, &[(path.clone(), access)]) {
            Ok(_) => true,
            Err(why) => {
                refused.push(Refused { path: path.clone(), why });
                false
            }
        });
    };
    check(&mut read, Access::Ro);
    check(&mut write, Access::Rw);
    if let Ok(spec) = planner.plan(Some(profile), &[]) {
        held(&spec, &workspace_written, seen, here, &mut refused);
    }

    let mut arguments = vec!["--profile".to_owned(), profile.name().to_owned()];
    for (flag, set) in [("--read", &read), ("--write", &write)] {
        for path in set {
            arguments.extend([flag.to_owned(), path.clone()]);
        }
    }
    let searched = seen.ran.iter().any(|p| {
        let folder = parent_of(p);
        !PROGRAMS.contains(&folder) && search.split(':').any(|s| s == folder)
    });
    if searched {
        arguments.extend(["--env".to_owned(), "PATH".to_owned()]);
    }
    arguments.push("--".to_owned());
    arguments.extend(argv.iter().cloned());

    if seen.listed.iter().any(|p| read.contains(p)) {
        notes.push("a folder that is listed is granted with all that is in it".into());
    }
    if !seen.destinations.is_empty() || !seen.listened.is_empty() {
        notes.push("`sandbox run` gives no network: what was tried there will fail".into());
    }
    if !seen.unix.is_empty() {
        notes.push(
            "the sockets of services are not in a run, unless their folder is granted".into(),
        );
    }
    if seen.left_running > 0 {
        notes.push(format!(
            "{} processes were left running and ended with the command, as in a run",
            seen.left_running
        ));
    }
    if seen.timed_out {
        notes.push(
            "it was killed because it took too long: what it would have done later is missing"
                .into(),
        );
    }
    let mut unseen: Vec<String> = seen.blind.iter().cloned().collect();
    if seen.lost > 0 {
        unseen.push(format!("{} more paths or addresses than are kept", seen.lost));
    }
    unseen.extend(NEVER_SEEN.iter().map(|s| (*s).to_owned()));
    let list = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    let covered = |p: &str| {
        within(p, here)
            || base.as_ref().is_some_and(|base| visible(base, p))
            || read.iter().chain(&write).any(|g| within(p, g) || within(g, p))
    };
    Proposal {
        version: 1,
        arguments,
        profile,
        looked_at: seen.looked.iter().filter(|p| *p != "/" && !covered(p)).cloned().collect(),
        read: list(&read),
        write: list(&write),
        programs: list(&seen.ran),
        destinations: list(&seen.destinations),
        listens: list(&seen.listened),
        unix_sockets: list(&seen.unix),
        refused,
        notes,
        unseen,
        exit: seen.exit,
    }
}

struct Planner<'a> {
    home: &'a str,
    here: &'a str,
    host: &'a dyn Host,
}

impl Planner<'_> {
    fn plan(
        &self,
        workspace: Option<Workspace>,
        grants: &[(String, Access)],
    ) -> Result<JailSpec, String> {
        let access = match workspace {
            Some(Workspace::Workspace) => Some(Access::Rw),
            Some(Workspace::ReadOnly) => Some(Access::Ro),
            Some(Workspace::Empty) | None => None,
        };
        let plan = RunPlan {
            argv: vec!["/bin/true".into()],
            workspace: access.map(|a| (self.here.to_owned(), a)),
            grants: grants.to_vec(),
            home: self.home.to_owned(),
            ..RunPlan::default()
        };
        run_plan_with(&plan, self.host).map_err(|e| e.to_string())
    }
}

/// Whether every run sees a path as the host does.
fn visible(base: &JailSpec, path: &str) -> bool {
    path == "/"
        || base.mounts.iter().any(|m| match m {
            Mount::System { path: system } => within(path, system),
            Mount::File { to, .. } => path == to,
            // The folder itself is there, though empty.
            Mount::Tmpfs { to, .. } => path == to,
            _ => false,
        })
}

/// Leaves out what lies in another.
fn inmost(set: &mut BTreeSet<String>) {
    let all = set.clone();
    set.retain(|path| {
        !std::iter::successors(Some(parent_of(path)), |p| Some(parent_of(p)))
            .take_while(|p| *p != "/")
            .any(|p| all.contains(p))
    });
}

/// Puts paths together to the folders that hold most of them, as long as there are too many and
/// the folder may be granted.
fn widen(set: &mut BTreeSet<String>, most: usize, planner: &Planner<'_>) {
    let mut never: BTreeSet<String> = BTreeSet::new();
    while set.len() > most {
        let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
        for path in set.iter() {
            let count = folders.entry(parent_of(path)).or_default();
            *count = count.saturating_add(1);
        }
        let best = folders
            .into_iter()
            .filter(|(folder, _)| *folder != "/" && !never.contains(*folder))
            .max_by_key(|(folder, count)| (*count, folder.len()))
            .map(|(folder, _)| folder.to_owned());
        let Some(folder) = best else { return };
        if planner.plan(None, &[(folder.clone(), Access::Ro)]).is_ok() {
            set.retain(|path| !within(path, &folder));
            set.insert(folder);
        } else {
            never.insert(folder);
        }
    }
}

/// What was changed in the current folder though every run holds it.
fn held(
    spec: &JailSpec,
    written: &[String],
    seen: &Observed,
    here: &str,
    refused: &mut Vec<Refused>,
) {
    if written.is_empty() {
        return;
    }
    for path in seen.altered.iter().chain(&seen.removed).chain(&seen.created) {
        let Some(rest) = path.strip_prefix(here) else { continue };
        let inside = format!("{WORKSPACE}{rest}");
        let holds = spec.mounts.iter().any(
            |m| matches!(m, Mount::Bind { access: Access::Ro, to, .. } if within(&inside, to)),
        );
        if holds {
            refused.push(Refused {
                path: path.clone(),
                why: "is held: no run may change it".to_owned(),
            });
        }
    }
}
