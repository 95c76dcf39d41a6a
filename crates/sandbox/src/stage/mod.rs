//! The jail's own processes, from a fresh start of this binary to the confined program.
//!
//! ```text
//! launcher ──spawn──▶ monitor ──fork, new namespaces──▶ init (pid 1 inside) ──fork──▶ program
//! ```
//!
//! The monitor stays outside: it writes the id maps, keeps the cgroup and removes it. A launcher
//! with one thread does that itself where there is no cgroup. Init puts
//! the file system together, gives up every privilege, starts the program, makes sockets when it
//! is asked and reaps. When init ends, the kernel kills all that is left in its pid namespace;
//! init ends with the program, on an order, or when the launcher's end of the control socket
//! closes. All three are single-threaded.

mod cgroup;
mod ids;
mod init;
mod mounts;
mod net;
mod payload;
mod report;
pub(crate) mod view;

use crate::spec::{JailSpec, MAX_SPEC};
use crate::sys::{self, Forked};
use crate::wire::{self, Report, StageError, Step};
use ids::Ids;
pub(crate) use mounts::ensure;
pub(crate) use payload::abi as landlock_abi;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// First argument of a stage process. Not a command: it is useless without the descriptors that
/// come with it.
pub(crate) const STAGE: &str = "__jail";

/// Descriptors of the stage: control socket, spec, then what the program inherits.
const CONTROL: i32 = 3;
const SPEC: i32 = 4;
const FIRST_INHERITED: i32 = 5;

/// Own descriptors live above those that a program may inherit.
pub(crate) const ABOVE: i32 = 128;

/// What to look at where namespaces are refused.
pub(crate) const NO_NAMESPACES: &str = "this host may forbid user namespaces to ordinary users: see \
    user.max_user_namespaces, kernel.unprivileged_userns_clone and \
    kernel.apparmor_restrict_unprivileged_userns, or a container's seccomp profile";

/// Exit code of a stage that could not do its work; the reason went over the control socket.
pub(crate) const FAILED: i32 = 125;

/// To be called first thing in `main`, before threads, argument parsing or a runtime: runs the
/// stage and does not return if this process was started as one.
pub fn early_main() {
    let mut args = std::env::args_os();
    let _program = args.next();
    let first = args.next();
    if first.as_ref().is_some_and(|first| first == STAGE) {
        sys::exit_now(run_stage());
    }
    if first.as_ref().is_some_and(|first| first == crate::holds::HOLD) {
        sys::exit_now(crate::holds::hold_main(args.next().and_then(|a| a.into_string().ok())));
    }
    if first.is_some_and(|first| first == crate::attempt::ATTEMPT) {
        let rest = args.filter_map(|a| a.into_string().ok());
        sys::exit_now(crate::attempt::attempt_main(rest));
    }
}

/// Makes and removes control groups for limits and says which could not be had.
pub(crate) fn try_limits(limits: &crate::spec::Limits) -> Vec<String> {
    let mut missing = Vec::new();
    cgroup::Cgroup::create("self-test", limits, &mut missing).remove();
    missing
}

fn run_stage() -> i32 {
    let Ok(control) = sys::adopt(CONTROL).and_then(|fd| sys::raise(fd, ABOVE)) else {
        return FAILED;
    };
    let outcome = read_spec().and_then(|spec| {
        let mut inherited = BTreeMap::new();
        for (fd, target) in (FIRST_INHERITED..).zip(&spec.inherit) {
            let own = sys::adopt(fd)
                .and_then(|fd| sys::raise(fd, ABOVE))
                .step("take an inherited descriptor")?;
            inherited.insert(*target, own);
        }
        monitor(&spec, &control, inherited)
    });
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            let _gone = wire::report(control.as_fd(), &Report::Failed(error), None);
            FAILED
        }
    }
}

/// The stage in a process that was forked for it from the launcher, which has one thread. Returns
/// its exit code.
pub(crate) fn run_forked(
    spec: &JailSpec,
    control: OwnedFd,
    streams: Vec<OwnedFd>,
    inherit: BTreeMap<i32, OwnedFd>,
) -> i32 {
    // As after an exec: no environment, and no descriptor but those that were given.
    sys::forget_environment();
    let (targets, given): (Vec<i32>, Vec<OwnedFd>) = inherit.into_iter().unzip();
    let Ok(mut own) = sys::keep_only(streams, std::iter::once(control).chain(given).collect())
    else {
        return FAILED;
    };
    let control = own.remove(0);
    let inherited = targets.into_iter().zip(own).collect();
    match monitor(spec, &control, inherited) {
        Ok(()) => 0,
        Err(error) => {
            let _gone = wire::report(control.as_fd(), &Report::Failed(error), None);
            FAILED
        }
    }
}

/// Whether a jail needs a process that outlives its launcher, to clean up behind it.
pub(crate) fn needs_monitor(spec: &JailSpec) -> bool {
    let limits = &spec.limits;
    limits.memory.is_some() || limits.pids.is_some() || limits.cpu_millis.is_some()
}

/// Starts a jail's init from the launcher itself, which has one thread and is the monitor as
/// well: for jails that have no control group, which would stay when the launcher is killed.
pub(crate) fn start_here(
    spec: &JailSpec,
    control: OwnedFd,
    streams: Vec<OwnedFd>,
    inherit: BTreeMap<i32, OwnedFd>,
    keep: Option<BorrowedFd<'_>>,
) -> Result<Pid, StageError> {
    let mut missing = Vec::new();
    let ids = Ids::choose(spec, &mut missing)?;
    let mine = &ids;
    let (ours, pid) = fork_init(ids.privileged(), move |sync| {
        // As in a process of its own: nothing of the launcher's but what was given.
        sys::forget_environment();
        let (targets, given): (Vec<i32>, Vec<OwnedFd>) = inherit.into_iter().unzip();
        let Ok(owners) = mine.give() else { return FAILED };
        let count = owners.len();
        let Ok(keep) = keep.map(|fd| fd.try_clone_to_owned()).transpose() else { return FAILED };
        let kept = keep.is_some();
        let own = [control, sync].into_iter().chain(keep).chain(owners).chain(given).collect();
        let Ok(own) = sys::keep_only(streams, own) else { return FAILED };
        let mut own = own.into_iter();
        let (Some(control), Some(sync)) = (own.next(), own.next()) else { return FAILED };
        let keep = if kept { own.next() } else { None };
        let ids = mine.take(own.by_ref().take(count).collect());
        let inherited = targets.into_iter().zip(own).collect();
        let code =
            init::run(Context { spec, control: &control, ids: &ids, sync, inherited, missing });
        if let Some(keep) = keep {
            init::outlive(control.as_fd(), keep);
        }
        code
    })?;
    serve_init(&ours, &ids, &cgroup::Cgroup::default(), pid).inspect_err(|_| {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    })?;
    Ok(pid)
}

fn read_spec() -> Result<JailSpec, StageError> {
    let file = std::fs::File::from(sys::adopt(SPEC).step("open the plan")?);
    let mut text = Vec::new();
    let limit = u64::try_from(MAX_SPEC).unwrap_or(u64::MAX);
    // The descriptor's offset is where the launcher left it: at the end.
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).step("read the plan")?;
    file.take(limit.saturating_add(1)).read_to_end(&mut text).step("read the plan")?;
    if text.len() > MAX_SPEC {
        return Err(StageError::new("read the plan", format!("longer than {MAX_SPEC} bytes")));
    }
    let spec: JailSpec = serde_json::from_slice(&text).step("read the plan")?;
    spec.validate().step("check the plan")?;
    Ok(spec)
}

/// What init needs besides the spec.
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a JailSpec,
    pub(crate) control: &'a OwnedFd,
    pub(crate) ids: &'a Ids,
    pub(crate) sync: OwnedFd,
    pub(crate) inherited: BTreeMap<i32, OwnedFd>,
    pub(crate) missing: Vec<String>,
}

/// Runs a jail to its end from this (single-threaded) process.
fn monitor(
    spec: &JailSpec,
    control: &OwnedFd,
    inherited: BTreeMap<i32, OwnedFd>,
) -> Result<(), StageError> {
    // A terminal's Ctrl-C and a service manager's stop reach every process at once. The jail ends
    // when its launcher says so or is gone, and this process last of all: it removes the group.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT] {
        sys::block_signal(signal);
    }
    let mut missing = Vec::new();
    let ids = Ids::choose(spec, &mut missing)?;
    let group = cgroup::Cgroup::create(&spec.name, &spec.limits, &mut missing);
    let mine = &ids;
    let (ours, pid) = fork_init(ids.privileged(), move |sync| {
        init::run(Context { spec, control, ids: mine, sync, inherited, missing })
    })
    .inspect_err(|_| group.remove())?;
    let served = serve_init(&ours, &ids, &group, pid);
    if served.is_err() {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    drop(ours);
    while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    let limits = group.exceeded();
    if !limits.is_empty() {
        let _gone = wire::report(control.as_fd(), &Report::Exceeded { limits }, None);
    }
    group.remove();
    served
}

/// Forks init into namespaces of its own. Returns the other end of what it is given, and its id.
fn fork_init(
    privileged: bool,
    init: impl FnOnce(OwnedFd) -> i32,
) -> Result<(OwnedFd, Pid), StageError> {
    let (ours, theirs) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .step("make a socket pair")?;
    let theirs = sys::raise(theirs, ABOVE).step("make a socket pair")?;
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP
        | if privileged { 0 } else { libc::CLONE_NEWUSER };
    match sys::fork_into(namespaces) {
        Ok(Forked::Child) => {
            drop(ours);
            sys::exit_now(init(theirs));
        }
        Ok(Forked::Parent(pid)) => Ok((ours, pid)),
        Err(error) => Err(StageError::new("make namespaces", error).hint(NO_NAMESPACES)),
    }
}

/// Does for init what only a process outside can: puts it into its control groups and writes its
/// id maps, at once or, where init makes its user namespace itself, when it asks (`m`).
fn serve_init(
    sync: &OwnedFd,
    ids: &Ids,
    group: &cgroup::Cgroup,
    pid: Pid,
) -> Result<(), StageError> {
    group.enter(pid)?;
    if !ids.privileged() {
        ids.write_maps(pid)?;
    }
    wire::send(sync.as_fd(), b"g", &[]).step("start init")?;
    if ids.privileged() && wire::hear(sync.as_fd()).step("hear from init")? == Some(b'm') {
        ids.write_maps(pid)?;
        wire::send(sync.as_fd(), b"k", &[]).step("answer init")?;
    }
    // Otherwise init could not go on, and has told the launcher why.
    Ok(())
}
