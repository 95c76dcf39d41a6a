//! Limits on a jail as a whole, by the control groups that this host has and lets us use.

use crate::spec::Limits;
use crate::wire::{StageError, Step};
use rustix::process::Pid;
use std::path::{Path, PathBuf};

/// The control groups of one jail: one with version 2, one per controller with version 1.
#[derive(Default)]
pub(crate) struct Cgroup {
    dirs: Vec<PathBuf>,
}

struct Wanted {
    controller: &'static str,
    what: &'static str,
    v1: Vec<(&'static str, String)>,
    v2: Vec<(&'static str, String)>,
}

fn wanted(limits: &Limits) -> Vec<Wanted> {
    let mut all = Vec::new();
    if let Some(bytes) = limits.memory {
        let bytes = bytes.to_string();
        all.push(Wanted {
            controller: "memory",
            what: "memory",
            v1: vec![
                ("memory.limit_in_bytes", bytes.clone()),
                ("memory.memsw.limit_in_bytes", bytes.clone()),
            ],
            v2: vec![("memory.max", bytes), ("memory.swap.max", "0".into())],
        });
    }
    if let Some(pids) = limits.pids {
        let pids = pids.to_string();
        all.push(Wanted {
            controller: "pids",
            what: "number of processes",
            v1: vec![("pids.max", pids.clone())],
            v2: vec![("pids.max", pids)],
        });
    }
    if let Some(millis) = limits.cpu_millis {
        let quota = millis.saturating_mul(100).max(1000);
        all.push(Wanted {
            controller: "cpu",
            what: "processor time",
            v1: vec![
                ("cpu.cfs_period_us", "100000".into()),
                ("cpu.cfs_quota_us", quota.to_string()),
            ],
            v2: vec![("cpu.max", format!("{quota} 100000"))],
        });
    }
    all
}

impl Cgroup {
    /// Makes what can be made and says what cannot.
    pub(crate) fn create(name: &str, limits: &Limits, missing: &mut Vec<String>) -> Self {
        let wanted = wanted(limits);
        if wanted.is_empty() {
            return Self::default();
        }
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let leaf = format!("seawall-{name}-{}.{}", std::process::id(), pid_namespace());
        let mut group = Self::default();
        for want in wanted {
            let made = v1_dir(&own, want.controller, &leaf)
                .map(|dir| (dir, &want.v1))
                .or_else(|| v2_dir(&own, want.controller, &leaf).map(|dir| (dir, &want.v2)));
            let Some((dir, settings)) = made else {
                missing.push(format!(
                    "no limit on {}: this user has no {} control group to use",
                    want.what, want.controller
                ));
                continue;
            };
            // The first setting is the limit; others refine it and may not exist.
            let first = settings.first().map(|(file, text)| std::fs::write(dir.join(file), text));
            if let Some(Err(e)) = first {
                missing.push(format!("no limit on {}: {}: {e}", want.what, dir.display()));
            }
            for (file, text) in settings.iter().skip(1) {
                let _optional = std::fs::write(dir.join(file), text);
            }
            if !group.dirs.contains(&dir) {
                group.dirs.push(dir);
            }
        }
        group
    }

    /// Puts a process in, before it has done anything.
    pub(crate) fn enter(&self, pid: Pid) -> Result<(), StageError> {
        for dir in &self.dirs {
            let file = dir.join("cgroup.procs");
            std::fs::write(&file, pid.as_raw_nonzero().to_string())
                .step_on("enter control group", &file.display().to_string())?;
        }
        Ok(())
    }

    /// Which limits were met: something was killed for memory, or not started. To be asked before
    /// the groups are removed.
    pub(crate) fn exceeded(&self) -> Vec<String> {
        // Version 1 and version 2 have the same words in files of other names.
        const COUNTERS: [(&str, &str, &str); 3] = [
            ("memory.oom_control", "oom_kill ", "memory"),
            ("memory.events", "oom_kill ", "memory"),
            ("pids.events", "max ", "processes"),
        ];
        let mut met: Vec<String> = Vec::new();
        for (dir, (file, word, what)) in
            self.dirs.iter().flat_map(|dir| COUNTERS.iter().map(move |counter| (dir, counter)))
        {
            let text = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
            let count = text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
            if count.is_some_and(|count: u64| count > 0) && !met.iter().any(|m| m == what) {
                met.push((*what).to_owned());
            }
        }
        met
    }

    /// Removes the groups. All their processes are gone: init was reaped.
    pub(crate) fn remove(&self) {
        for dir in &self.dirs {
            // A group can be busy for a moment after its last process was reaped.
            for _ in 0..500 {
                match std::fs::remove_dir(dir) {
                    Err(e) if e.raw_os_error() == Some(libc::EBUSY) => {
                        std::thread::sleep(std::time::Duration::from_millis(2));
                    }
                    _ => break,
                }
            }
        }
    }
}

fn v1_dir(own: &str, controller: &str, leaf: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        names.split(',').any(|n| n == controller).then_some(path)
    })?;
    let mount = ["/sys/fs/cgroup", "/cgroup"]
        .iter()
        .map(|base| Path::new(base).join(controller))
        .find(|p| p.join("cgroup.procs").exists())?;
    make(&mount.join(path.trim_start_matches('/')), leaf)
}

fn v2_dir(own: &str, controller: &str, leaf: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .iter()
        .map(Path::new)
        .find(|p| p.join("cgroup.controllers").exists())?;
    // A group that holds processes may not have controllers below it, so the sibling is made
    // where our own group's controllers come from.
    let own_dir = mount.join(path.trim_start_matches('/'));
    for base in [own_dir.as_path(), own_dir.parent()?] {
        let enabled =
            std::fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default();
        if base.starts_with(mount)
            && enabled.split_whitespace().any(|c| c == controller)
            && let Some(dir) = make(base, leaf)
        {
            return Some(dir);
        }
    }
    None
}

/// The number of this process's pid namespace: the same process id means another process in
/// another one, and both may share the tree of control groups.
fn pid_namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let digits = link.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>();
    if digits.is_empty() { "0".into() } else { digits }
}

/// The monitor after which a group is named, when it is one of the pid namespace `space`.
fn monitor_of<'n>(group: &'n str, space: &str) -> Option<&'n str> {
    let (monitor, of) = group.strip_prefix("seawall-")?.rsplit('-').next()?.split_once('.')?;
    (of == space && !monitor.is_empty() && monitor.bytes().all(|b| b.is_ascii_digit()))
        .then_some(monitor)
}

/// Removes groups whose monitor is gone: one that was killed could not clean up behind itself.
/// Those of other pid namespaces are left alone: whether their monitors live can't be seen.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    let space = pid_namespace();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let monitor = name.to_str().and_then(|name| monitor_of(name, &space));
        if monitor.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // One that still has processes stays.
            let _busy = std::fs::remove_dir(entry.path());
        }
    }
}

fn make(base: &Path, leaf: &str) -> Option<PathBuf> {
    sweep(base);
    let dir = base.join(leaf);
    match std::fs::create_dir(&dir) {
        Ok(()) => Some(dir),
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Some(dir),
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_of_another_pid_namespace_is_nobodys_to_remove() {
        assert_eq!(monitor_of("seawall-run-12.4026531836", "4026531836"), Some("12"));
        assert_eq!(monitor_of("seawall-run-12.4026532180", "4026531836"), None);
        assert_eq!(monitor_of("seawall-run-12", "4026531836"), None);
        assert_eq!(monitor_of("seawall-run-.7", "7"), None);
        assert_eq!(monitor_of("other-12.7", "7"), None);
    }
}
