//! The first process inside: builds, gives up its powers, starts the program, and serves.

use super::report::Listener;
use super::{Context, FAILED, mounts, net, payload};
use crate::spec::Stop;
use crate::sys;
use crate::wire::{self, Exit, Facts, Order, Report, StageError, Step};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::{DumpableBehavior, Pid, Signal, WaitOptions, kill_process, wait};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

pub(crate) fn run(mut context: Context<'_>) -> i32 {
    match prepare(&mut context).and_then(|serving| start(&context, serving)) {
        Ok(code) => code,
        Err(error) => {
            let _gone = wire::report(context.control.as_fd(), &Report::Failed(error), None);
            FAILED
        }
    }
}

struct Serving {
    factory: Option<OwnedFd>,
    children: OwnedFd,
}

fn prepare(context: &mut Context<'_>) -> Result<Serving, StageError> {
    // The monitor has put this process into its control groups and, where a user namespace came
    // first, written the maps.
    if wire::hear(context.sync.as_fd()).step("hear from the monitor")? != Some(b'g') {
        return Err(StageError::new("hear from the monitor", "it is gone"));
    }
    if !sys::is_pid_one() {
        return Err(StageError::new("start init", "not the first process of a pid namespace"));
    }
    let spec = context.spec;
    if spec.oom_score_adj != 0 {
        let _optional = std::fs::write("/proc/self/oom_score_adj", spec.oom_score_adj.to_string());
    }
    net::up()?;
    net::listen(context.control, &spec.listeners)?;
    rustix::system::sethostname(spec.name.as_bytes()).step("set the host name")?;
    no_executable_memory_files();
    mounts::build(&spec.mounts, context.ids, &mut context.missing)?;
    give_up_privileges(context)?;

    let factory = if spec.factory {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .step("make the socket factory")?;
        wire::report(context.control.as_fd(), &Report::Factory, Some(&theirs))
            .step("hand out the socket factory")?;
        Some(ours)
    } else {
        None
    };
    sys::block_signal(libc::SIGCHLD);
    let children = sys::signal_fd(libc::SIGCHLD).step("watch for children")?;
    Ok(Serving { factory, children })
}

/// Memory files that can be run are programs that no path rule sees. The system call filter
/// refuses them; root can switch them off in the whole pid namespace as well (before the host's
/// /proc is left behind).
fn no_executable_memory_files() {
    let _second_layer = std::fs::write("/proc/sys/vm/memfd_noexec", "2");
}

fn give_up_privileges(context: &Context<'_>) -> Result<(), StageError> {
    let (uid, gid) = context.ids.inside();
    if context.ids.privileged() {
        rustix::thread::set_thread_groups(&[]).step("drop groups")?;
        sys::unshare_user().step("make a user namespace")?;
        wire::send(context.sync.as_fd(), b"m", &[]).step("ask for id maps")?;
        if wire::hear(context.sync.as_fd()).step("hear from the monitor")? != Some(b'k') {
            return Err(StageError::new("write id maps", "the monitor did not"));
        }
        let (u, g) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::thread::set_thread_res_gid(g, g, g).step("change group")?;
        rustix::thread::set_thread_res_uid(u, u, u).step("change user")?;
    }
    sys::drop_capabilities().step("drop capabilities")?;
    rustix::thread::set_no_new_privs(true).step("set no_new_privs")?;
    // No process of the jail may look into this one, though it has the same ids.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .step("make init opaque")?;
    // Changing ids cleared it. The control socket closes as well when the launcher dies; this is
    // for a monitor that is killed.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .step("follow the monitor")?;
    if rustix::process::getuid().as_raw() != uid || rustix::process::getgid().as_raw() != gid {
        return Err(StageError::new("change user", "the ids inside are not those of the plan"));
    }
    Ok(())
}

fn start(context: &Context<'_>, serving: Serving) -> Result<i32, StageError> {
    let pair = if context.spec.report { Some(listener_pair()?) } else { None };
    let to = pair.as_ref().map(|(_, to)| to);
    let (program, gave_up) =
        sys::spawn_by(|| payload::run(context, to)).step("start the program")?;
    if gave_up.is_some() {
        return Ok(FAILED);
    }
    let listener = pair.and_then(|(from, to)| {
        drop(to);
        let (_, fds) = wire::receive(from.as_fd(), RecvFlags::DONTWAIT).ok()?;
        fds.into_iter().next().map(Listener::new)
    });
    let pidfd = sys::pidfd(program).step("start the program")?;
    let landlock = payload::abi().0;
    let mut missing = context.missing.clone();
    if landlock == 0 {
        missing.push("no Landlock in this kernel: the mounts hold alone".into());
    }
    if context.spec.report && listener.is_none() {
        missing.push("what the kernel refuses is not told: this kernel can't (Linux 5.5)".into());
    }
    let facts = Facts { landlock, seccomp: 1, own_id: context.ids.privileged(), missing };
    wire::report(context.control.as_fd(), &Report::Started { facts }, Some(&pidfd))
        .step("report the start")?;
    // The program has its own; those of the launcher would keep pipes open.
    if let Ok(null) = std::fs::File::open("/dev/null") {
        for fd in 0..3 {
            let _kept = sys::dup_onto(null.as_fd(), fd);
        }
    }
    let mut listener = listener;
    let exit = serve(context, serving, &mut listener, program);
    if let Some(lost) = listener.map(|listener| listener.lost()).filter(|lost| *lost > 0) {
        let _gone =
            wire::report(context.control.as_fd(), &Report::RefusedMore { more: lost }, None);
    }
    // Whoever hears the end may rely on it that nothing of the jail runs any more, though the
    // kernel takes its namespaces down only after this process.
    sys::signal_all(libc::SIGKILL);
    while !matches!(wait(WaitOptions::empty()), Err(Errno::CHILD)) {}
    let _gone = wire::report(context.control.as_fd(), &Report::Exited(exit), None);
    Ok(0)
}

/// Closes a descriptor after the launcher has closed its own, so that what the kernel does for the
/// last one keeps nobody waiting.
pub(crate) fn outlive(control: BorrowedFd<'_>, keep: OwnedFd) {
    let patience = Timespec { tv_sec: 1, tv_nsec: 0 };
    // No event is asked for: the launcher's end closed is told of in any case.
    let _gone = poll(&mut [PollFd::from_borrowed_fd(control, PollFlags::empty())], Some(&patience));
    drop(keep);
}

/// By what the program's process hands its listener over before it is the program.
fn listener_pair() -> Result<(OwnedFd, OwnedFd), StageError> {
    let flags = SocketFlags::CLOEXEC;
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
        .step("make a socket pair")
}

/// Serves until the program has ended; what else runs then ends with this process.
fn serve(
    context: &Context<'_>,
    serving: Serving,
    listener: &mut Option<Listener>,
    program: Pid,
) -> Exit {
    let Serving { mut factory, children } = serving;
    let deadline = context
        .spec
        .limits
        .wall_ms
        .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)));
    loop {
        let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
        if left.is_some_and(|l| l.is_zero()) {
            return Exit::Timeout;
        }
        let timeout = left.map(|l| Timespec {
            tv_sec: i64::try_from(l.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(l.subsec_nanos()),
        });
        let mut fds = vec![
            PollFd::new(context.control, PollFlags::IN),
            PollFd::new(&children, PollFlags::IN),
        ];
        // Calls that were told of wait for this loop.
        let told = listener.as_ref().and_then(Listener::fd).map(|listener| {
            fds.push(PollFd::new(listener, PollFlags::IN));
            fds.len() - 1
        });
        let at_factory = factory.as_ref().map(|factory| {
            fds.push(PollFd::new(factory, PollFlags::IN));
            fds.len() - 1
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return Exit::Gone,
        }
        let ready = |i: usize| fds.get(i).is_some_and(|p| !p.revents().is_empty());
        let (ordered, reaped, asked) = (ready(0), ready(1), at_factory.is_some_and(ready));
        let told = told.and_then(|i| fds.get(i)).map(PollFd::revents);
        if ordered && let Some(exit) = obey(context, program) {
            return exit;
        }
        if reaped {
            let _signals = rustix::io::read(&children, &mut [0u8; 1024]);
            if let Some(exit) = reap(program) {
                return exit;
            }
        }
        if let Some(told) = told {
            if told.contains(PollFlags::IN) {
                if let Some(refusal) = listener.as_mut().and_then(Listener::serve) {
                    // One that the launcher does not take now must not hold the program up.
                    let report = Report::Refused(refusal);
                    let _gone = wire::report(context.control.as_fd(), &report, None);
                }
            } else if !told.is_empty()
                && let Some(listener) = listener
            {
                listener.close();
            }
        }
        if asked && !factory.as_ref().is_some_and(|f| net::serve(f.as_fd())) {
            factory = None;
        }
    }
}

/// Follows an order of the launcher. Its end of the socket closed is one too.
fn obey(context: &Context<'_>, program: Pid) -> Option<Exit> {
    match wire::receive(context.control.as_fd(), RecvFlags::DONTWAIT) {
        Ok((order, _)) => match order.as_slice() {
            [o] if *o == Order::Stop as u8 => {
                match context.spec.stop {
                    Stop::Program => {
                        let _gone = kill_process(program, Signal::TERM);
                    }
                    Stop::All => sys::signal_all(libc::SIGTERM),
                }
                None
            }
            _ => Some(Exit::Signal(libc::SIGKILL)),
        },
        Err(Errno::AGAIN | Errno::INTR) => None,
        Err(_) => Some(Exit::Signal(libc::SIGKILL)),
    }
}

fn reap(program: Pid) -> Option<Exit> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => {
                return Some(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Exit::Code(code),
                    (None, Some(signal)) => Exit::Signal(signal),
                    (None, None) => Exit::Gone,
                });
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}
