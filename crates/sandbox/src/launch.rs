//! Starts tool runs for a gateway that may not start any itself.
//!
//! A client inside the gateway's jail shows a ticket and its three standard streams over a unix
//! socket; the launcher, outside, starts what the ticket stands for in a jail of its own. Nothing
//! of the client but the ticket and the checked streams reaches the launcher: no environment, no
//! path, no argument. When the client goes away, the run is killed.

use crate::jail::{Jail, JailIo};
use crate::spec::JailSpec;
use crate::wire::{self, Exit, Refusal};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where a client inside finds the launcher.
pub const RUN_SOCKET: &str = "/run/seawall/run.sock";

/// Runs at the same time. Each is a handful of processes and a thread here; a gateway that asks
/// for more is not doing ordinary work.
const MAX_RUNS: usize = 128;

/// Longest ticket.
const MAX_TICKET: usize = 512;

/// How long a client may take to show its ticket.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a run's processes may take to end after they were asked to.
const GRACE: Duration = Duration::from_secs(2);

/// What the launcher asks the guard. All methods are called from threads of the launcher.
pub trait Tickets: Send + Sync {
    /// Takes a ticket, which is good once, and says what to start for it.
    ///
    /// # Errors
    /// The reason that the client prints.
    fn redeem(&self, ticket: &str) -> Result<JailSpec, String>;

    /// A run has been started. The guard takes its listeners here; an error kills the run.
    ///
    /// # Errors
    /// The reason that the client prints.
    fn started(&self, ticket: &str, jail: &mut Jail) -> Result<(), String> {
        let _ = (ticket, jail);
        Ok(())
    }

    /// The kernel refused a run something, or that many more things than are told one by one.
    fn refused(&self, ticket: &str, refusals: Vec<Refusal>, more: u64) {
        let _ = (ticket, refusals, more);
    }

    /// Something that a run may not change was replaced outside, and is held again.
    fn renewed(&self, ticket: &str, paths: Vec<String>) {
        let _ = (ticket, paths);
    }

    /// A run has ended (or could not be started, with the reason), after it met these limits.
    fn ended(&self, ticket: &str, outcome: Result<Exit, String>, limits: &[String]) {
        let _ = (ticket, outcome, limits);
    }

    /// Whether a process may show tickets.
    fn admits(&self, pid: i32, uid: u32) -> bool {
        let _ = (pid, uid);
        true
    }
}

/// From the launcher to the client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    /// How it ended, and the limits that it met.
    Exit(Exit, Vec<String>),
    /// Nothing was started, or it was killed.
    Refused(String),
}

/// A socket on which clients are served.
#[derive(Debug)]
pub struct Launcher(OwnedFd);

impl Launcher {
    /// Makes the socket. One that is left over from an earlier launcher is replaced.
    ///
    /// # Errors
    /// When the folder cannot be written or the path is too long for a socket.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
        // The folder says who gets here; what is shown is checked per connection.
        rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o600))?;
        rustix::net::listen(&socket, 128)?;
        Ok(Self(socket))
    }

    /// Serves clients until the socket is closed or an error that does not pass.
    ///
    /// # Errors
    /// That error.
    pub fn serve(&self, tickets: &Arc<dyn Tickets>) -> io::Result<()> {
        let running = Arc::new(AtomicUsize::new(0));
        loop {
            let client = match rustix::net::accept_with(&self.0, SocketFlags::CLOEXEC) {
                Ok(client) => client,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                    // Full for the moment: clients wait in the backlog until a run has ended.
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                Err(e) => return Err(e.into()),
            };
            if running.fetch_add(1, Ordering::SeqCst) >= MAX_RUNS {
                running.fetch_sub(1, Ordering::SeqCst);
                answer(&client, &Answer::Refused(format!("{MAX_RUNS} runs are going on already")));
                continue;
            }
            let (tickets, count) = (Arc::clone(tickets), Arc::clone(&running));
            let spawned = std::thread::Builder::new().name("run".into()).spawn(move || {
                serve_client(&client, tickets.as_ref());
                count.fetch_sub(1, Ordering::SeqCst);
            });
            if spawned.is_err() {
                running.fetch_sub(1, Ordering::SeqCst);
            }
        }
    }
}

fn answer(client: &OwnedFd, what: &Answer) {
    if let Ok(text) = serde_json::to_vec(what) {
        let _gone = wire::send(client.as_fd(), &text, &[]);
    }
}

fn serve_client(client: &OwnedFd, tickets: &dyn Tickets) {
    let peer = sockopt::socket_peercred(client);
    let admitted = peer.is_ok_and(|p| tickets.admits(p.pid.as_raw_nonzero().get(), p.uid.as_raw()));
    if !admitted {
        return answer(client, &Answer::Refused("this process may not start runs".into()));
    }
    let Some((ticket, streams)) = hear(client) else {
        return answer(client, &Answer::Refused("not a request to start a run".into()));
    };
    let spec = match tickets.redeem(&ticket) {
        Ok(spec) => spec,
        // Nothing began, so nothing ends: a run that goes on may have been started by this ticket.
        Err(reason) => return answer(client, &Answer::Refused(reason)),
    };
    let mut limits = Vec::new();
    let outcome = run(client, &ticket, &spec, streams, tickets, &mut limits);
    match &outcome {
        Ok(exit) => answer(client, &Answer::Exit(*exit, limits.clone())),
        Err(reason) => answer(client, &Answer::Refused(reason.clone())),
    }
    tickets.ended(&ticket, outcome, &limits);
}

/// The ticket and the three streams, each checked.
fn hear(client: &OwnedFd) -> Option<(String, [OwnedFd; 3])> {
    sockopt::set_socket_timeout(client, sockopt::Timeout::Recv, Some(PATIENCE)).ok()?;
    let (text, fds) = wire::receive(client.as_fd(), RecvFlags::empty()).ok()?;
    let ticket = String::from_utf8(text).ok()?;
    let good = !ticket.is_empty()
        && ticket.len() <= MAX_TICKET
        && ticket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    let streams: [OwnedFd; 3] = fds.try_into().ok()?;
    (good && streams.iter().all(|fd| is_stream(fd.as_fd()))).then_some((ticket, streams))
}

/// Whether a descriptor is one that a run may be given: a pipe, a connected unix stream socket,
/// or `/dev/null`. Files and folders are not: with them a run would hold what its mounts do not
/// grant.
fn is_stream(fd: BorrowedFd<'_>) -> bool {
    use rustix::fs::{FileType, OFlags};
    let Ok(flags) = rustix::fs::fcntl_getfl(fd) else { return false };
    if flags.contains(OFlags::PATH) {
        return false;
    }
    let Ok(stat) = rustix::fs::fstat(fd) else { return false };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => true,
        FileType::Socket => {
            sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
                && sockopt::socket_type(fd) == Ok(SocketType::STREAM)
                && sockopt::socket_acceptconn(fd) == Ok(false)
        }
        FileType::CharacterDevice => stat.st_rdev == rustix::fs::makedev(1, 3),
        _ => false,
    }
}

fn run(
    client: &OwnedFd,
    ticket: &str,
    spec: &JailSpec,
    streams: [OwnedFd; 3],
    tickets: &dyn Tickets,
    limits: &mut Vec<String>,
) -> Result<Exit, String> {
    let [stdin, stdout, stderr] = streams;
    let io = JailIo {
        stdin: Some(stdin),
        stdout: Some(stdout),
        stderr: Some(stderr),
        inherit: std::collections::BTreeMap::new(),
    };
    let mut jail = Jail::spawn(spec, io).map_err(|e| e.to_string())?;
    tickets.started(ticket, &mut jail)?;
    loop {
        let mut fds = vec![
            PollFd::new(client, PollFlags::IN),
            PollFd::from_borrowed_fd(jail.control(), PollFlags::IN),
        ];
        fds.extend(jail.watched().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let left = jail.look_at().map(|at| at.saturating_duration_since(Instant::now()));
        let left = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut fds, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(format!("lost sight of the run: {e}")),
        }
        let ready = |i: usize| fds.get(i).is_some_and(|p| !p.revents().is_empty());
        let late = jail.look_at().is_some_and(|at| Instant::now() >= at);
        let (left, ended) = (ready(0), ready(1) || ready(2) || late);
        let exit = if left {
            // Whatever the client has to say now, or that it is gone, means: stop.
            Some(jail.terminate(GRACE))
        } else if ended {
            jail.try_wait()
        } else {
            None
        };
        let refusals = jail.take_refusals();
        if !refusals.is_empty() || (exit.is_some() && jail.refused_more() > 0) {
            tickets.refused(ticket, refusals, jail.refused_more());
        }
        let renewed = jail.take_renewed();
        if !renewed.is_empty() {
            tickets.renewed(ticket, renewed);
        }
        if let Some(why) = jail.lost().filter(|_| exit.is_some()) {
            return Err(format!("the run was ended: {why}"));
        }
        if let Some(exit) = exit {
            *limits = jail.exceeded().to_vec();
            if exit == Exit::Timeout {
                limits.push("time".into());
            }
            return Ok(exit);
        }
    }
}

/// What is said of a run that met limits.
#[must_use]
pub fn met(limits: &[String]) -> String {
    format!(
        "the run reached its limit of {}; what needed more was ended or refused",
        limits.join(" and of ")
    )
}

/// The client: shows a ticket and this process's streams, and waits. Returns the exit code.
///
/// # Errors
/// When the launcher cannot be reached or refuses, with its reason.
pub fn start(socket: &Path, ticket: &str) -> Result<i32, String> {
    start_with_output(socket, ticket, io::stdout().as_fd())
}

/// The same, with another place for what the run prints.
///
/// # Errors
/// As [`start`].
pub fn start_with_output(
    socket: &Path,
    ticket: &str,
    stdout: BorrowedFd<'_>,
) -> Result<i32, String> {
    let unreachable = |e: Errno| format!("the guard's launcher cannot be reached: {e}");
    let server = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(unreachable)?;
    let address = SocketAddrUnix::new(socket).map_err(unreachable)?;
    rustix::net::connect(&server, &address).map_err(unreachable)?;
    let (stdin, stderr) = (io::stdin(), io::stderr());
    wire::send(server.as_fd(), ticket.as_bytes(), &[stdin.as_fd(), stdout, stderr.as_fd()])
        .map_err(unreachable)?;
    let (text, _) = wire::receive(server.as_fd(), RecvFlags::empty()).map_err(unreachable)?;
    match serde_json::from_slice(&text) {
        Ok(Answer::Exit(exit, limits)) => {
            if !limits.is_empty() {
                use io::Write as _;
                let _closed = writeln!(io::stderr(), "seawall: {}", met(&limits));
            }
            Ok(exit.code())
        }
        Ok(Answer::Refused(reason)) => Err(reason),
        Err(_) => Err("the guard's launcher went away".into()),
    }
}

/// Tickets that were issued and not yet shown.
#[derive(Debug)]
pub struct TicketBook {
    open: Mutex<HashMap<String, (JailSpec, Instant)>>,
    lifetime: Duration,
}

/// Tickets open at the same time: issuing one more forgets the expired ones first.
const MAX_TICKETS: usize = 1024;

impl TicketBook {
    /// A book whose tickets are good for a time.
    #[must_use]
    pub fn new(lifetime: Duration) -> Self {
        Self { open: Mutex::new(HashMap::new()), lifetime }
    }

    /// Issues a ticket for a plan: 256 random bits.
    ///
    /// # Errors
    /// When too many are open, or the system has no random numbers.
    pub fn issue(&self, spec: JailSpec) -> io::Result<String> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|e| io::Error::other(e.to_string()))?;
        let ticket = hex::encode(bytes);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_TICKETS {
            let now = Instant::now();
            open.retain(|_, (_, until)| *until > now);
            if open.len() >= MAX_TICKETS {
                return Err(io::Error::other(format!("{MAX_TICKETS} runs are being prepared")));
            }
        }
        let until = Instant::now().checked_add(self.lifetime).unwrap_or_else(Instant::now);
        open.insert(ticket.clone(), (spec, until));
        Ok(ticket)
    }

    /// Takes a ticket.
    ///
    /// # Errors
    /// When it is not open: unknown, used or expired.
    pub fn take(&self, ticket: &str) -> Result<JailSpec, String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.remove(ticket) {
            Some((spec, until)) if until > Instant::now() => Ok(spec),
            Some(_) => Err("the permit to start has expired; call the tool again".into()),
            None => Err("no permit to start: it was used already, or never given".into()),
        }
    }
}

impl Tickets for TicketBook {
    fn redeem(&self, ticket: &str) -> Result<JailSpec, String> {
        self.take(ticket)
    }
}

/// Waits until a descriptor is readable; for callers without an event loop.
pub(crate) fn readable(fd: BorrowedFd<'_>, timeout: Duration) -> bool {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).is_ok_and(|n| n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_no_streams() {
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(!is_stream(file.as_fd()));
        let folder = std::fs::File::open("/").unwrap();
        assert!(!is_stream(folder.as_fd()));
        let zero = std::fs::File::open("/dev/zero").unwrap();
        assert!(!is_stream(zero.as_fd()));
        let net = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(!is_stream(net.as_fd()));
    }

    #[test]
    fn pipes_pairs_and_null_are() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        assert!(is_stream(read.as_fd()) && is_stream(write.as_fd()));
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert!(is_stream(a.as_fd()));
        assert!(is_stream(std::fs::File::open("/dev/null").unwrap().as_fd()));
    }
}
