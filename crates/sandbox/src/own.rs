//! What a Seawall process takes from itself before it reads anything that others wrote.

use crate::spec::{Access as MountAccess, Mount, Profile};
use crate::stage::view;
use crate::wire::{StageError, Step};
use crate::{seccomp, sys};
use landlock::{
    Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use rustix::fs::{Mode, OFlags};
use rustix::net::{AddressFamily, SocketType};
use std::path::Path;

/// What a process keeps.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Folders that it changes.
    pub write: &'a [&'a Path],
    /// All that it sees, the folders that it changes among it.
    pub view: &'a [Mount],
    /// What it reads on a host that lets it have no view of its own.
    pub read: &'a [&'a Path],
}

/// Gives up every capability, all files but the given ones, the starting of programs, unix sockets
/// but those it has, and signals to others, for good. For a process with one thread: threads that
/// it makes later inherit it.
///
/// Paths that are not there are passed over when they are only read. Returns what this host has
/// not.
///
/// # Errors
/// Names the step, or what is still possible afterwards. The process must not go on.
pub fn restrict(own: &Own<'_>) -> Result<Vec<String>, StageError> {
    let mut missing = Vec::new();
    let view = view::enter(own.view, &mut missing)?;
    rustix::thread::set_no_new_privs(true).step("give up new privileges")?;
    sys::drop_capabilities().step("drop capabilities")?;
    let read: Vec<&Path> = match view {
        Some(()) => own.view.iter().filter_map(looked_at).collect(),
        None => own.read.to_vec(),
    };
    landlock(own.write, &read, &mut missing)?;
    sys::install_filter(&seccomp::filter(Profile::Own)).step("install the system call filter")?;
    held(view.is_some())?;
    Ok(missing)
}

/// Where a mount is read.
fn looked_at(mount: &Mount) -> Option<&Path> {
    match mount {
        Mount::Bind { to, access: MountAccess::Ro, .. } => Some(Path::new(to)),
        Mount::System { path } => Some(Path::new(path)),
        _ => None,
    }
}

fn landlock(write: &[&Path], read: &[&Path], missing: &mut Vec<String>) -> Result<(), StageError> {
    let step = "prepare Landlock";
    let (number, abi) = crate::stage::landlock_abi();
    if number == 0 {
        missing.push("Landlock: this kernel has none".to_owned());
        return Ok(());
    }
    let all = AccessFs::from_all(abi);
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(all)
        .step(step)?;
    if number >= 6 {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal).step(step)?;
    } else {
        missing.push(format!("signals to others: Landlock {number} cannot hold them"));
    }
    let mut ruleset = ruleset.create().step(step)?;
    // Nothing may be executed, whatever may be read.
    let look: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let change = all & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock);
    let rules = write
        .iter()
        .map(|path| (*path, change))
        .chain(read.iter().filter(|path| path.exists()).map(|path| (*path, look)));
    for (path, access) in rules {
        let name = path.to_string_lossy();
        let fd = PathFd::new(path).step_on(step, &name)?;
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(abi) };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access)).step_on(step, &name)?;
    }
    ruleset.restrict_self().step("enter Landlock")?;
    Ok(())
}

/// Tries what must not be possible any more.
fn held(view: bool) -> Result<(), StageError> {
    let still = |what: &str| Err(StageError::new("restrict itself", what));
    if rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).is_ok() {
        return still("a unix socket could still be made");
    }
    // In the hands of the kernel on every host, and none of this process's business.
    let open = |path| rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    if view && (open("/proc/self/mem").is_ok() || open("/etc/shadow").is_ok()) {
        return still("files outside of its view could still be read");
    }
    if !rustix::thread::capabilities(None).is_ok_and(|sets| sets.permitted.is_empty()) {
        return still("it still has capabilities");
    }
    Ok(())
}
