//! A jail as its launcher sees it.

use crate::factory::SocketFactory;
use crate::holds::Holds;
use crate::spec::{JailSpec, MAX_SPEC, SpecError};
use crate::stage::{self, STAGE};
use crate::sys;
use crate::wire::{self, Exit, Facts, Order, Refusal, Report, StageError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags, memfd_create};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a jail's own first process may take to end it, after it was told to or its time was
/// over. It does nothing else then; one that is held up is ended from outside.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long building a jail may take. It is milliseconds; a host that swaps is slower.
const BUILD: Duration = Duration::from_secs(30);

/// Why a jail did not start. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// The plan cannot be enforced as written.
    #[error("the plan of the jail `{name}` cannot be enforced: {source}")]
    Spec {
        /// Of which jail.
        name: String,
        /// Why.
        source: SpecError,
    },
    /// A step of building it failed.
    #[error("the jail `{name}` could not be built: {source}")]
    Stage {
        /// Of which jail.
        name: String,
        /// Which and why.
        source: StageError,
    },
    /// The launcher itself could not do its part.
    #[error("the jail `{name}` could not be started: {what}: {source}")]
    Launch {
        /// Of which jail.
        name: String,
        /// What was being done.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// The program's standard streams, and what else it is given.
#[derive(Debug, Default)]
pub struct JailIo {
    /// Standard input; `/dev/null` when absent.
    pub stdin: Option<OwnedFd>,
    /// Standard output; `/dev/null` when absent.
    pub stdout: Option<OwnedFd>,
    /// Standard error; `/dev/null` when absent.
    pub stderr: Option<OwnedFd>,
    /// A descriptor for every number in [`JailSpec::inherit`], and no other.
    pub inherit: BTreeMap<i32, OwnedFd>,
}

impl JailIo {
    /// The launcher's own standard streams.
    ///
    /// # Errors
    /// When one of them is closed.
    pub fn own() -> io::Result<Self> {
        Ok(Self {
            stdin: Some(sys::clone_fd(io::stdin())?),
            stdout: Some(sys::clone_fd(io::stdout())?),
            stderr: Some(sys::clone_fd(io::stderr())?),
            inherit: BTreeMap::new(),
        })
    }
}

/// A running jail. Dropping it kills everything inside.
#[derive(Debug)]
pub struct Jail {
    name: String,
    monitor: Monitor,
    control: OwnedFd,
    pid: OnceLock<i32>,
    pidfd: OwnedFd,
    listeners: BTreeMap<String, TcpListener>,
    factory: Option<SocketFactory>,
    facts: Facts,
    refusals: Vec<Refusal>,
    refused_more: u64,
    exceeded: Vec<String>,
    holds: Option<Box<Holds>>,
    renewed: Vec<String>,
    lost: Option<String>,
    /// From when on it is ended from outside.
    give_up: Option<Instant>,
    exit: Option<Exit>,
}

impl Jail {
    /// Builds a jail and starts its program.
    ///
    /// Returns when the program has been started (its `exec` succeeded). Blocks for some
    /// milliseconds.
    ///
    /// # Errors
    /// Names the step and the path. Nothing is left running or mounted.
    pub fn spawn(spec: &JailSpec, io: JailIo) -> Result<Self, JailError> {
        Self::start(spec, io, fresh)
    }

    /// As [`Jail::spawn`], with the jail's own processes forked from this one instead of started
    /// afresh from its program, which saves starting the program a second time. For programs
    /// with one thread that do little else, such as a command line: where there are more threads
    /// it does the same as [`Jail::spawn`]. What is in this process's environment and is open in
    /// it does not get into the jail.
    ///
    /// # Errors
    /// Names the step and the path. Nothing is left running or mounted.
    pub fn spawn_here(spec: &JailSpec, io: JailIo) -> Result<Self, JailError> {
        let how = match (single_threaded(), stage::needs_monitor(spec)) {
            (false, _) => fresh,
            (true, true) => forked,
            (true, false) => here,
        };
        Self::start(spec, io, how)
    }

    fn start(spec: &JailSpec, io: JailIo, how: How) -> Result<Self, JailError> {
        let name = spec.name.clone();
        spec.validate().map_err(|source| JailError::Spec { name: name.clone(), source })?;
        let launch = |what: &'static str| {
            let name = name.clone();
            move |source: io::Error| JailError::Launch { name, what, source }
        };
        if io.inherit.keys().ne(spec.inherit.iter()) {
            let source = SpecError::Value {
                field: "inherit".into(),
                why: "the descriptors given are not those of the plan".into(),
            };
            return Err(JailError::Spec { name, source });
        }
        // Before they are watched: what is made here is not news.
        for dir in &spec.ensure {
            stage::ensure(dir).map_err(|source| JailError::Stage { name: name.clone(), source })?;
        }
        let holds = Holds::of(spec);
        let watched = holds.as_ref().ok().and_then(Option::as_ref).map(Holds::fd);
        let (control, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|e| launch("make a socket pair")(e.into()))?;
        let monitor = how(spec, theirs, io, watched).map_err(|error| match error {
            NotStarted::Launch(what, source) => launch(what)(source),
            NotStarted::Stage(source) => JailError::Stage { name: name.clone(), source },
        })?;

        let mut building = Building { monitor: Some(monitor), control: Some(control) };
        let started = building.wait(&name)?;
        let (Some(monitor), Some(control)) = (building.monitor.take(), building.control.take())
        else {
            return Err(launch("start the stage")(io::Error::other("it is gone")));
        };
        let mut facts = started.facts;
        let holds = holds.unwrap_or_else(|e| {
            facts.missing.push(format!("what is replaced outside is not held again: {e}"));
            None
        });
        Ok(Self {
            name: name.clone(),
            monitor,
            control,
            pid: OnceLock::new(),
            pidfd: started.pidfd,
            listeners: started.listeners,
            factory: started.factory,
            facts,
            refusals: Vec::new(),
            refused_more: 0,
            exceeded: Vec::new(),
            holds: holds.map(Box::new),
            renewed: Vec::new(),
            lost: None,
            give_up: spec.limits.wall_ms.and_then(|ms| {
                Instant::now().checked_add(Duration::from_millis(ms).saturating_add(PATIENCE))
            }),
            exit: None,
        })
    }

    /// Name of the plan.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program's process id as the launcher sees it: what peer credentials show. 0 when it
    /// had ended before this was first asked.
    #[must_use]
    pub fn pid(&self) -> i32 {
        *self.pid.get_or_init(|| sys::pid_of(self.pidfd.as_fd()).unwrap_or(0))
    }

    /// The program's pidfd: readable when it has ended.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// What holds, and what does not, in this jail.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The control socket, which becomes readable when the jail ends: for event loops.
    #[must_use]
    pub fn control(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Takes a listening socket that was made inside.
    pub fn take_listener(&mut self, name: &str) -> Option<TcpListener> {
        self.listeners.remove(name)
    }

    /// The factory for further sockets, when the plan has one.
    #[must_use]
    pub fn factory(&self) -> Option<&SocketFactory> {
        self.factory.as_ref()
    }

    /// Takes the factory.
    pub fn take_factory(&mut self) -> Option<SocketFactory> {
        self.factory.take()
    }

    /// Waits for the program and all that it started to end, for callers that end with it: the
    /// kernel may still be taking the jail's namespaces down, which takes it longer than many a
    /// program runs. Where there are control groups they are gone too.
    pub fn wait_processes(&mut self) -> Exit {
        self.monitor.is_left = self.monitor.is_init;
        self.wait()
    }

    /// Waits for the program to end and the jail to be gone.
    pub fn wait(&mut self) -> Exit {
        self.wait_until(None).unwrap_or(Exit::Gone)
    }

    /// Whether the program has ended. Does not wait.
    pub fn try_wait(&mut self) -> Option<Exit> {
        self.wait_until(Some(Instant::now()))
    }

    /// Waits until a moment.
    pub fn wait_until(&mut self, deadline: Option<Instant>) -> Option<Exit> {
        if let Some(exit) = self.exit {
            return Some(exit);
        }
        loop {
            let also = self.holds.as_ref().map(|holds| holds.fd());
            let until = deadline.into_iter().chain(self.give_up).min();
            match next_report(self.control.as_fd(), also, until) {
                Next::Also => self.look_after(),
                Next::Report(Report::Exited(exit), _) => {
                    self.exit = Some(exit);
                    break;
                }
                Next::Report(Report::Refused(refusal), _) => self.refusals.push(refusal),
                Next::Report(Report::RefusedMore { more }, _) => self.refused_more = more,
                Next::Report(..) => {}
                Next::Closed => {
                    self.exit = Some(Exit::Gone);
                    break;
                }
                Next::Late if self.give_up.is_some_and(|at| Instant::now() >= at) => {
                    self.monitor.kill();
                    self.exit = Some(Exit::Signal(libc::SIGKILL));
                    break;
                }
                Next::Late => return None,
            }
        }
        match self.holds.take() {
            // Init has it too, and ends after this.
            Some(holds) if self.monitor.is_init => drop(holds),
            // A program with one thread stays one, which is what `spawn_here` is for.
            Some(holds) if single_threaded() => drop(holds),
            Some(holds) => holds.leave(),
            None => {}
        }
        // Init ends by itself now, and the monitor after it.
        if self.monitor.is_init {
            let _gone = rustix::net::shutdown(&self.control, rustix::net::Shutdown::Both);
        }
        self.monitor.wait();
        let now = Some(Instant::now());
        while let Next::Report(report, _) = next_report(self.control.as_fd(), None, now) {
            if let Report::Exceeded { limits } = report {
                self.exceeded = limits;
            }
        }
        self.exit
    }

    /// Becomes readable when [`Jail::try_wait`] has something to do though the program goes on: for
    /// event loops.
    #[must_use]
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.holds.as_ref().map(|holds| holds.fd())
    }

    /// Holds again what was replaced outside; ends the jail when that can't be.
    fn look_after(&mut self) {
        let Some(holds) = &mut self.holds else { return };
        match holds.look(self.pidfd.as_fd()) {
            Ok(renewed) => self.renewed.extend(renewed),
            // Of one that has ended nothing can be entered.
            Err(_) if crate::launch::readable(self.pidfd.as_fd(), Duration::ZERO) => {
                self.holds = None;
            }
            Err(why) => {
                self.holds = None;
                self.lost = Some(why);
                self.kill();
            }
        }
    }

    /// Paths inside that were replaced outside and are held again, since this was last asked.
    pub fn take_renewed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.renewed)
    }

    /// Why the jail was ended though nobody asked for it.
    #[must_use]
    pub fn lost(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// What the kernel refused the program since this was last asked, as far as a wait has heard of
    /// it ([`JailSpec::report`]); a run is told of 32 different ones.
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        std::mem::take(&mut self.refusals)
    }

    /// How many more it refused, known when the jail has ended.
    #[must_use]
    pub fn refused_more(&self) -> u64 {
        self.refused_more
    }

    /// Limits that were met (`memory`, `processes`), known when the jail has ended: something in it
    /// was killed, or not started, for that.
    #[must_use]
    pub fn exceeded(&self) -> &[String] {
        &self.exceeded
    }

    /// Asks the program to end, waits for `grace`, then kills everything. Returns when all is
    /// gone.
    pub fn terminate(&mut self, grace: Duration) -> Exit {
        if self.exit.is_none() {
            let _gone = wire::send(self.control.as_fd(), &[Order::Stop as u8], &[]);
            let deadline = Instant::now().checked_add(grace);
            if self.wait_until(deadline.or_else(|| Some(Instant::now()))).is_none() {
                self.kill();
            }
        }
        self.wait()
    }

    /// Asks the program to end, and does not wait.
    pub fn ask_to_stop(&mut self) {
        if self.exit.is_none() {
            let _gone = wire::send(self.control.as_fd(), &[Order::Stop as u8], &[]);
        }
    }

    /// When [`Jail::try_wait`] has to be asked though nothing became readable: for event loops.
    #[must_use]
    pub fn look_at(&self) -> Option<Instant> {
        self.give_up
    }

    /// Kills everything inside at once. [`Jail::wait`] tells when it is gone.
    pub fn kill(&mut self) {
        if self.exit.is_none() {
            let soon = Instant::now().checked_add(PATIENCE);
            self.give_up = self.give_up.into_iter().chain(soon).min();
            let _gone = wire::send(self.control.as_fd(), &[Order::Kill as u8], &[]);
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        if self.exit.is_none() {
            self.kill();
            let soon = Instant::now().checked_add(Duration::from_secs(5));
            if self.wait_until(soon).is_none() {
                // Init's parent-death signal takes the rest along.
                end(&mut self.monitor);
            }
        }
    }
}

struct Started {
    pidfd: OwnedFd,
    listeners: BTreeMap<String, TcpListener>,
    factory: Option<SocketFactory>,
    facts: Facts,
}

/// A jail that is being built: killed when that fails.
struct Building {
    monitor: Option<Monitor>,
    control: Option<OwnedFd>,
}

impl Building {
    fn wait(&mut self, name: &str) -> Result<Started, JailError> {
        let deadline = Instant::now().checked_add(BUILD);
        let mut listeners = BTreeMap::new();
        let mut factory = None;
        let stage = |source| JailError::Stage { name: name.to_owned(), source };
        let Some(control) = &self.control else {
            return Err(stage(StageError::new("start the stage", "it is gone")));
        };
        loop {
            match next_report(control.as_fd(), None, deadline) {
                Next::Report(Report::Listener { name, .. }, Some(fd)) => {
                    listeners.insert(name, TcpListener::from(fd));
                }
                Next::Report(Report::Factory, Some(fd)) => factory = Some(SocketFactory::from(fd)),
                Next::Report(Report::Started { facts }, Some(pidfd)) => {
                    return Ok(Started { pidfd, listeners, factory, facts });
                }
                Next::Report(Report::Failed(error), _) => return Err(stage(error)),
                Next::Report(..) => {
                    return Err(stage(StageError::new(
                        "build",
                        "an answer without its descriptor",
                    )));
                }
                Next::Closed => {
                    return Err(stage(
                        StageError::new("start the stage", "it ended without a word")
                            .hint("does main() call seawall_sandbox::early_main() first?"),
                    ));
                }
                Next::Late | Next::Also => {
                    return Err(stage(StageError::new("build", "took too long")));
                }
            }
        }
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        // Closing the control socket ends init; the monitor ends after it.
        drop(self.control.take());
        if let Some(mut monitor) = self.monitor.take() {
            end(&mut monitor);
        }
    }
}

/// The process that stays outside with a jail. Reaped once.
#[derive(Debug)]
struct Monitor {
    pid: Option<Pid>,
    /// Whether it is the jail's first process, and the launcher itself the monitor.
    is_init: bool,
    /// Whether it ends by itself behind its launcher, which does not wait.
    is_left: bool,
}

impl Monitor {
    /// The first process of a jail takes all of it along, and so does its monitor, whose end is a
    /// signal to that.
    fn kill(&self) {
        if let Some(pid) = self.pid {
            let _gone = kill_process(pid, Signal::KILL);
        }
    }

    fn wait(&mut self) {
        if self.is_left {
            return;
        }
        if let Some(pid) = self.pid.take() {
            while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
        }
    }
}

/// Gives a monitor time to clean up behind its jail before it is killed.
fn end(monitor: &mut Monitor) {
    let Some(pid) = monitor.pid else { return };
    if let Ok(pidfd) = sys::pidfd(pid) {
        crate::launch::readable(pidfd.as_fd(), Duration::from_secs(5));
    }
    let _gone = kill_process(pid, Signal::KILL);
    monitor.wait();
}

/// Starts a monitor: with the plan, its end of the control socket, and what the program is given.
/// A process that is init as well also keeps the descriptor that comes last until the launcher has
/// closed its own.
type How = fn(&JailSpec, OwnedFd, JailIo, Option<BorrowedFd<'_>>) -> Result<Monitor, NotStarted>;

/// Why it was not started.
enum NotStarted {
    Launch(&'static str, io::Error),
    Stage(StageError),
}

/// From the program on disk, which leaves nothing of this process in it.
fn fresh(
    spec: &JailSpec,
    theirs: OwnedFd,
    io: JailIo,
    _: Option<BorrowedFd<'_>>,
) -> Result<Monitor, NotStarted> {
    let plan = plan_file(spec).map_err(|e| NotStarted::Launch("write the plan", e))?;
    let mut fds = vec![theirs, plan];
    fds.extend(io.inherit.into_values());
    let stream = |fd: Option<OwnedFd>| fd.map_or_else(Stdio::null, Stdio::from);
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(STAGE)
        .env_clear()
        .stdin(stream(io.stdin))
        .stdout(stream(io.stdout))
        .stderr(stream(io.stderr));
    sys::with_descriptors(&mut command, fds);
    let monitor = command.spawn().map_err(|e| NotStarted::Launch("start the stage", e))?;
    // The command, which goes now, holds our copies of what the stage was given.
    let pid = i32::try_from(monitor.id()).ok().and_then(Pid::from_raw);
    Ok(Monitor { pid, is_init: false, is_left: false })
}

/// As a copy of this process, which has one thread.
fn forked(
    spec: &JailSpec,
    theirs: OwnedFd,
    io: JailIo,
    _: Option<BorrowedFd<'_>>,
) -> Result<Monitor, NotStarted> {
    let failed = |e| NotStarted::Launch("start the stage", e);
    let (streams, inherit) = split(io).map_err(failed)?;
    match sys::fork_into(0).map_err(failed)? {
        sys::Forked::Parent(pid) => Ok(Monitor { pid: Some(pid), is_init: false, is_left: false }),
        sys::Forked::Child => sys::exit_now(stage::run_forked(spec, theirs, streams, inherit)),
    }
}

/// This process, which has one thread, is it.
fn here(
    spec: &JailSpec,
    theirs: OwnedFd,
    io: JailIo,
    keep: Option<BorrowedFd<'_>>,
) -> Result<Monitor, NotStarted> {
    let (streams, inherit) = split(io).map_err(|e| NotStarted::Launch("start the stage", e))?;
    let pid = stage::start_here(spec, theirs, streams, inherit, keep).map_err(NotStarted::Stage)?;
    Ok(Monitor { pid: Some(pid), is_init: true, is_left: false })
}

/// The three streams, and the rest.
fn split(io: JailIo) -> io::Result<(Vec<OwnedFd>, BTreeMap<i32, OwnedFd>)> {
    let mut streams = Vec::with_capacity(3);
    for stream in [io.stdin, io.stdout, io.stderr] {
        streams.push(match stream {
            Some(fd) => fd,
            None => std::fs::File::options().read(true).write(true).open("/dev/null")?.into(),
        });
    }
    Ok((streams, io.inherit))
}

/// Whether nobody else runs in this process. Two links are the folder's own; where it cannot be
/// read, there may be others.
fn single_threaded() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self/task").is_ok_and(|task| task.nlink() == 3)
}

enum Next {
    Also,
    Report(Report, Option<OwnedFd>),
    Closed,
    Late,
}

fn next_report(
    control: BorrowedFd<'_>,
    also: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> Next {
    loop {
        let timeout = deadline.map(|d| {
            let left = d.saturating_duration_since(Instant::now());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut fds = vec![PollFd::from_borrowed_fd(control, PollFlags::IN)];
        fds.extend(also.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Next::Late,
            // First of all: until it is held again it can be changed.
            Ok(_) if fds.get(1).is_some_and(|fd| !fd.revents().is_empty()) => return Next::Also,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return Next::Closed,
        }
        match wire::receive(control, RecvFlags::DONTWAIT) {
            Ok((bytes, _)) if bytes.is_empty() => return Next::Closed,
            Ok((bytes, fds)) => {
                // Between our own processes; what does not parse was cut short by their death.
                let Ok(report) = serde_json::from_slice(&bytes) else { return Next::Closed };
                return Next::Report(report, fds.into_iter().next());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => return Next::Closed,
        }
    }
}

/// The plan as a sealed memory file: neither arguments nor environment, which others can read.
fn plan_file(spec: &JailSpec) -> io::Result<OwnedFd> {
    let text = serde_json::to_vec(spec)?;
    if text.len() > MAX_SPEC {
        return Err(io::Error::other(format!("longer than {MAX_SPEC} bytes")));
    }
    let fd = memfd_create("seawall-plan", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&text)?;
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file.into())
}
