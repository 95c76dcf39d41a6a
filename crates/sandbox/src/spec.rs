//! What a jail is: a value that can be printed, compared and checked before anything is done.
//!
//! A [`JailSpec`] is made by a planner ([`crate::plan`]), checked by [`JailSpec::validate`] and
//! applied by [`crate::Jail::spawn`]. Nothing in it is interpreted by a shell, and nothing that
//! is not in it reaches the confined program.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Longest encoded spec in bytes. A gateway's plan has a few hundred mounts at most; a spec of
/// this size is a mistake.
pub const MAX_SPEC: usize = 4 * 1024 * 1024;

/// Most mounts in one plan. Each is a few system calls at start and an entry that every path
/// look-up may meet.
pub const MAX_MOUNTS: usize = 512;

/// Longest path inside a plan; the kernel's own limit.
pub const MAX_PATH: usize = 4095;

/// A jail: the file system that it sees, the program that runs in it, and what that may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JailSpec {
    /// Short name (`[a-z0-9-]`), used as host name inside, in cgroup names and in errors.
    pub name: String,
    /// Program (absolute path inside) and its arguments.
    pub argv: Vec<String>,
    /// The whole environment of the program.
    pub env: BTreeMap<String, String>,
    /// Working directory, as seen inside.
    pub cwd: String,
    /// User and group id as seen inside.
    pub uid: u32,
    /// See `uid`.
    pub gid: u32,
    /// User and group id on the host when the launcher is root. It must be one that owns nothing
    /// there. An ordinary user's jail always keeps that user's id on the host.
    pub host_id: u32,
    /// Folders that are made on the host before the jail is built.
    pub ensure: Vec<EnsureDir>,
    /// The file system, in the order in which it is put together.
    pub mounts: Vec<Mount>,
    /// Listening sockets that are made inside and handed out.
    pub listeners: Vec<Listener>,
    /// Whether sockets can be asked for later ([`crate::SocketFactory`]).
    pub factory: bool,
    /// Resource limits.
    pub limits: Limits,
    /// System calls.
    pub seccomp: Profile,
    /// Whether the launcher is told of what the kernel refuses the program.
    pub report: bool,
    /// Descriptors besides 0, 1 and 2 that the program keeps, by their number inside.
    pub inherit: BTreeSet<i32>,
    /// Whom a request to stop reaches first.
    pub stop: Stop,
    /// Adjustment of the out-of-memory score; a jail goes before the guard does.
    pub oom_score_adj: i32,
}

/// A folder that is made on the host, with the owner of the folder above it, when it is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsureDir {
    /// An existing folder.
    pub base: String,
    /// Relative path below it. Symbolic links in it are refused.
    pub path: String,
}

/// Read-only, or readable and writable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Cannot be changed from inside by any way.
    Ro,
    /// Can be read, changed and run.
    Rw,
}

/// One step in putting the file system together. Paths are absolute and lexically normal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mount {
    /// A file or folder of the host. Its path must not go through a symbolic link: the planner
    /// resolves links, so a link that is met later was put there since.
    Bind {
        /// On the host.
        from: String,
        /// Inside.
        to: String,
        /// Read-only or not.
        access: Access,
        /// Whether programs in it can be run.
        exec: bool,
        /// Whether the files keep their owner on the host while the jail sees them as its own
        /// (an ID-mapped mount; only where the launcher is root).
        own: bool,
        /// Whether a missing source is passed over.
        optional: bool,
    },
    /// A path of the operating system, read-only at the same place: bound when it is a file or
    /// folder, copied when it is a symbolic link, passed over when it is missing.
    System {
        /// On the host and inside.
        path: String,
    },
    /// A device node of the host, at the same place.
    Device {
        /// For example `/dev/null`.
        path: String,
    },
    /// A folder of a writable bind, mounted on itself, so that it can be neither renamed nor
    /// removed (which would move the read-only mounts below it out of the way).
    Pin {
        /// Inside.
        to: String,
    },
    /// An empty writable folder in memory.
    Tmpfs {
        /// Inside.
        to: String,
        /// Permission bits.
        mode: u32,
        /// Size limit in bytes.
        size: u64,
        /// Limit on files.
        inodes: u64,
        /// Whether programs in it can be run.
        exec: bool,
    },
    /// A proc file system of the jail's own processes.
    Proc {
        /// Inside.
        to: String,
        /// Whether everything but the processes' own folders is left out.
        pids_only: bool,
    },
    /// A read-only file with given content.
    File {
        /// Inside.
        to: String,
        /// Text.
        content: String,
    },
    /// An empty read-only folder (part of the root file system).
    Dir {
        /// Inside.
        to: String,
    },
    /// A symbolic link.
    Symlink {
        /// Inside.
        to: String,
        /// Where it points, as written.
        target: String,
    },
}

impl Mount {
    /// Where the step takes effect, as seen inside.
    #[must_use]
    pub fn to(&self) -> &str {
        match self {
            Mount::Bind { to, .. }
            | Mount::Pin { to }
            | Mount::Tmpfs { to, .. }
            | Mount::Proc { to, .. }
            | Mount::File { to, .. }
            | Mount::Dir { to }
            | Mount::Symlink { to, .. } => to,
            Mount::System { path } | Mount::Device { path } => path,
        }
    }

    /// Whether the program can change what lies there.
    #[must_use]
    pub fn writable(&self) -> bool {
        matches!(
            self,
            Mount::Bind { access: Access::Rw, .. } | Mount::Tmpfs { .. } | Mount::Pin { .. }
        )
    }
}

/// A TCP socket on 127.0.0.1 of the jail's network, listening before the program starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// By which the launcher hands it out.
    pub name: String,
    /// Port inside; 0 lets the kernel choose.
    pub port: u16,
}

/// Resource limits. `None` leaves the launcher's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory of all processes together in bytes (cgroup).
    pub memory: Option<u64>,
    /// Processes and threads together (cgroup; RLIMIT_NPROC where there is none).
    pub pids: Option<u64>,
    /// Processor time per second of wall clock in thousandths of one processor (cgroup).
    pub cpu_millis: Option<u64>,
    /// Open files of one process (RLIMIT_NOFILE).
    pub open_files: Option<u64>,
    /// Longest file that can be written (RLIMIT_FSIZE).
    pub file_size: Option<u64>,
    /// Wall clock in milliseconds until the whole jail is killed.
    pub wall_ms: Option<u64>,
}

/// A system call profile: `content/seccomp/NAME.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The OpenClaw gateway.
    Gateway,
    /// A tool run.
    Run,
    /// A process of Seawall itself ([`crate::restrict`]).
    Own,
}

/// Whom a request to stop reaches first. What is left after the grace period is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The program, which stops its own children.
    Program,
    /// Every process of the jail.
    All,
}

/// A plan that cannot be carried out as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A value is not usable.
    #[error("{field}: {why}")]
    Value {
        /// Which.
        field: String,
        /// Why.
        why: String,
    },
    /// A mount is not usable.
    #[error("mount of `{to}`: {why}")]
    Mount {
        /// Where.
        to: String,
        /// Why.
        why: String,
    },
}

fn value(field: &str, why: impl Into<String>) -> SpecError {
    SpecError::Value { field: field.into(), why: why.into() }
}

/// Whether a path is absolute and lexically normal: no empty, `.` or `..` parts, no NUL.
#[must_use]
pub fn is_normal(path: &str) -> bool {
    path == "/"
        || (path.len() <= MAX_PATH
            && path.starts_with('/')
            && !path.contains('\0')
            && path
                .split('/')
                .skip(1)
                .all(|part| !part.is_empty() && part != "." && part != ".." && part.len() <= 255))
}

/// Whether `path` is `base` or lies below it. Both are normal.
#[must_use]
pub fn within(path: &str, base: &str) -> bool {
    base == "/" || path == base || path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/'))
}

impl JailSpec {
    /// Checks that the plan can be enforced as it is written.
    ///
    /// # Errors
    /// Names the first thing that cannot.
    pub fn validate(&self) -> Result<(), SpecError> {
        let name_ok = !self.name.is_empty()
            && self.name.len() <= 48
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !name_ok {
            return Err(value("name", format!("`{}` is not 1 to 48 of [a-z0-9-]", self.name)));
        }
        let Some(program) = self.argv.first() else {
            return Err(value("argv", "is empty"));
        };
        if !is_normal(program) {
            return Err(value("argv", format!("program `{program}` is not an absolute path")));
        }
        if !is_normal(&self.cwd) {
            return Err(value("cwd", format!("`{}` is not an absolute path", self.cwd)));
        }
        let nul = self.argv.iter().any(|a| a.contains('\0'))
            || self
                .env
                .iter()
                .any(|(k, v)| k.is_empty() || k.contains(['\0', '=']) || v.contains('\0'));
        if nul {
            return Err(value("argv or env", "holds a NUL byte or an impossible name"));
        }
        if self.uid == 0 || self.gid == 0 {
            return Err(value("uid", "0 is not available inside a jail"));
        }
        if self.host_id < 1000 || self.host_id == u32::MAX {
            return Err(value("host_id", "must be an unprivileged id that owns nothing"));
        }
        if self.inherit.iter().any(|fd| !(3..=63).contains(fd)) {
            return Err(value("inherit", "descriptors are 3 to 63"));
        }
        if self.mounts.len() > MAX_MOUNTS {
            return Err(value("mounts", format!("more than {MAX_MOUNTS}")));
        }
        if self.listeners.len() > 8 {
            return Err(value("listeners", "more than 8"));
        }
        self.validate_mounts()
    }

    fn validate_mounts(&self) -> Result<(), SpecError> {
        let mut done: Vec<&Mount> = Vec::with_capacity(self.mounts.len());
        for mount in &self.mounts {
            let to = mount.to();
            let bad = |why: &str| SpecError::Mount { to: to.into(), why: why.into() };
            if !is_normal(to) || to == "/" {
                return Err(bad("the path inside is not absolute and normal, or is the root"));
            }
            if let Mount::Bind { from, .. } = mount
                && (!is_normal(from) || from == "/")
            {
                return Err(bad("the source is not absolute and normal, or is the root"));
            }
            if done.iter().any(|d| d.to() == to && !matches!(mount, Mount::Pin { .. })) {
                return Err(bad("there is something mounted already"));
            }
            // A mount hides what was mounted below it before: a wide grant that comes late would
            // take away a narrow one, so parents come first.
            if let Some(hidden) = done.iter().find(|d| within(d.to(), to) && d.to() != to) {
                return Err(SpecError::Mount {
                    to: to.into(),
                    why: format!("would hide `{}`, which is mounted before it", hidden.to()),
                });
            }
            let under = done.iter().filter(|d| within(to, d.to())).max_by_key(|d| d.to().len());
            match (mount, under) {
                (
                    Mount::Pin { .. },
                    Some(Mount::Bind { access: Access::Rw, .. } | Mount::Pin { .. }),
                ) => {}
                (Mount::Pin { .. }, _) => return Err(bad("is not below a writable bind")),
                (
                    Mount::File { .. } | Mount::Dir { .. } | Mount::Symlink { .. },
                    Some(Mount::Bind { .. } | Mount::System { .. }),
                ) => {
                    return Err(bad("would be written into a folder of the host"));
                }
                (
                    _,
                    Some(
                        Mount::File { .. }
                        | Mount::Symlink { .. }
                        | Mount::Device { .. }
                        | Mount::Proc { .. },
                    ),
                ) => {
                    return Err(bad("lies below something that is no folder"));
                }
                _ => {}
            }
            done.push(mount);
        }
        self.check_pins()
    }

    /// Every folder between a writable bind and a read-only mount below it must be pinned:
    /// otherwise the program renames the folder and puts its own in the place.
    fn check_pins(&self) -> Result<(), SpecError> {
        for (i, mount) in self.mounts.iter().enumerate() {
            let to = mount.to();
            if mount.writable() {
                continue;
            }
            let before = self.mounts.get(..i).unwrap_or_default();
            let cover = before
                .iter()
                .filter(|m| matches!(m, Mount::Bind { .. }) && within(to, m.to()))
                .max_by_key(|m| m.to().len());
            // Nothing is renamed in one that is read-only.
            let Some(cover) = cover.filter(|m| m.writable()) else { continue };
            let mut parent = parent_of(to);
            while parent != cover.to() && within(parent, cover.to()) {
                if !before.iter().any(|m| m.to() == parent) {
                    return Err(SpecError::Mount {
                        to: to.into(),
                        why: format!("`{parent}` above it is writable and not pinned"),
                    });
                }
                parent = parent_of(parent);
            }
        }
        Ok(())
    }

    /// What Landlock is told: the same as the mounts, as a second hold should a mount give way.
    #[must_use]
    pub fn landlock_rules(&self) -> BTreeMap<String, Right> {
        let mut rules = BTreeMap::new();
        // Landlock adds rules up along a path, so the root may only be listed.
        rules.insert("/".to_owned(), Right::List);
        for mount in &self.mounts {
            let right = match mount {
                Mount::Bind { access: Access::Rw, .. } | Mount::Tmpfs { .. } => Right::Write,
                Mount::Device { .. } => Right::Device,
                // The program writes to its own entries (oom_score_adj, comm, …).
                Mount::Proc { .. } => Right::Proc,
                Mount::Pin { .. } => continue,
                Mount::Symlink { .. } | Mount::Dir { .. } => continue,
                Mount::Bind { access: Access::Ro, .. }
                | Mount::System { .. }
                | Mount::File { .. } => Right::Read,
            };
            rules.insert(mount.to().to_owned(), right);
        }
        self.gather(&mut rules);
        // Rights add up along a path: what may be read above may be read here. Less than above
        // can't be said this way; the mounts say it.
        let more: Vec<String> =
            rules.keys().filter(|path| Self::repeats(&rules, path)).cloned().collect();
        rules.retain(|path, _| !more.contains(path));
        rules
    }

    /// Whether a rule gives nothing that one above it does not give.
    fn repeats(rules: &BTreeMap<String, Right>, path: &str) -> bool {
        let right = rules.get(path).copied();
        let mut above = parent_of(path);
        while above != "/" {
            match (right, rules.get(above)) {
                (Some(Right::Read), Some(Right::Read | Right::Write)) => return true,
                (Some(Right::Write), Some(Right::Write)) => return true,
                _ => above = parent_of(above),
            }
        }
        false
    }

    /// Replaces the rules below a folder of the jail's own root by one, where all are for reading:
    /// what lies in such a folder was put there by the plan, and each rule costs five calls at
    /// every start.
    fn gather(&self, rules: &mut BTreeMap<String, Right>) {
        let top = |path: &str| -> Option<String> {
            let first = path.split('/').nth(1).filter(|first| !first.is_empty())?;
            Some(format!("/{first}"))
        };
        let tops: BTreeSet<String> = rules.keys().filter_map(|path| top(path)).collect();
        for folder in tops {
            let below = |path: &str| within(path, &folder) && path != folder;
            let own = !self.mounts.iter().any(|m| m.to() == folder);
            let read = rules.iter().all(|(path, right)| !below(path) || *right == Right::Read);
            if own && read {
                rules.retain(|path, _| !below(path));
                rules.insert(folder, Right::Read);
            }
        }
    }
}

/// What Landlock allows beneath a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Names only.
    List,
    /// Reading and running.
    Read,
    /// Reading and writing processes' own entries.
    Proc,
    /// Reading, writing and device control.
    Device,
    /// Everything but making device nodes.
    Write,
}

/// The folder above a normal path.
#[must_use]
pub fn parent_of(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => path.get(..at).unwrap_or("/"),
    }
}
