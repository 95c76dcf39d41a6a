//! Follows a command and everything that it starts, and notes what they did.

use super::calls::{self, At, Flags, What};
use super::{LearnError, MAX_PATHS, Observed};
use crate::spec::{MAX_PATH, is_normal, parent_of, within};
use crate::sys_trace::{self, Change, Entry, Resume};
use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// Arguments of programs that are kept to see which paths were named in them.
const MAX_ARGUMENTS: usize = 256;

/// Something that a call is about to do, until its result is known.
enum Pending {
    Open { path: String, write: bool, existed: bool },
    Name { path: String, existed: bool },
    Alter { path: String },
    Look { path: String },
    Exec { path: String, arguments: Vec<String> },
}

/// Runs `argv` with this process's environment, folder and streams, and watches.
///
/// # Errors
/// When it cannot be started or traced.
pub(super) fn watch(
    program: &str,
    argv: &[String],
    wall: Option<Duration>,
) -> Result<Observed, LearnError> {
    let c = |bytes: &[u8]| {
        CString::new(bytes).map_err(|_| LearnError::Start("an argument holds a NUL byte".into()))
    };
    let program_c = c(program.as_bytes())?;
    let arguments = argv.iter().map(|a| c(a.as_bytes())).collect::<Result<Vec<_>, _>>()?;
    let env = std::env::vars_os()
        .map(|(k, v)| c(&[k.as_bytes(), b"=", v.as_bytes()].concat()))
        .collect::<Result<Vec<_>, _>>()?;
    let (main, told) = sys_trace::spawn_traced(&program_c, &arguments, &env, &calls::filter())
        .map_err(|e| LearnError::Trace(e.to_string()))?;
    let pidfd = crate::sys::pidfd(main).map_err(|e| LearnError::Trace(e.to_string()))?;
    let (finished, deadline) = std::sync::mpsc::channel::<()>();
    let timer = wall.map(|wall| {
        let pidfd = crate::sys::clone_fd(pidfd.as_fd());
        std::thread::spawn(move || {
            let late = deadline
                .recv_timeout(wall)
                .is_err_and(|e| e == std::sync::mpsc::RecvTimeoutError::Timeout);
            if late && let Ok(pidfd) = pidfd {
                let _gone =
                    rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL);
            }
            late
        })
    });
    let started = Instant::now();
    let mut watcher = Watcher::default();
    watcher.follow(main.as_raw_nonzero().get());
    drop(finished);
    let mut seen = watcher.seen;
    seen.seconds = started.elapsed().as_secs_f64();
    seen.timed_out = timer.is_some_and(|t| t.join().unwrap_or(false));
    // Four bytes when the program never began.
    let mut error = [0u8; 4];
    if rustix::io::read(told.as_fd(), &mut error) == Ok(4) {
        let error = std::io::Error::from_raw_os_error(i32::from_ne_bytes(error));
        return Err(LearnError::Start(format!("{program}: {error}")));
    }
    Ok(seen)
}

#[derive(Default)]
struct Watcher {
    pending: HashMap<i32, Vec<Pending>>,
    alive: BTreeSet<i32>,
    seen: Observed,
}

impl Watcher {
    fn follow(&mut self, main: i32) {
        self.alive.insert(main);
        let mut ended = false;
        while let Some((pid, change)) = sys_trace::wait_any() {
            match change {
                Change::Exited(code) => ended |= self.gone(pid, main, code, ended),
                Change::Killed(signal) => {
                    ended |= self.gone(pid, main, signal.saturating_add(128), ended);
                }
                Change::Stopped(signal, event) => {
                    if self.alive.insert(pid) && ended {
                        kill(pid);
                    }
                    let next = self.stopped(pid, signal, event);
                    sys_trace::resume(pid, next);
                }
            }
        }
    }

    /// As in a run, what is left ends with the command. Returns whether that has ended now.
    fn gone(&mut self, pid: i32, main: i32, code: i32, ended: bool) -> bool {
        self.pending.remove(&pid);
        self.alive.remove(&pid);
        if pid != main || ended {
            return false;
        }
        self.seen.exit = code;
        self.seen.left_running = self.alive.iter().filter(|pid| is_process(**pid)).count();
        for pid in &self.alive {
            kill(*pid);
        }
        true
    }

    fn stopped(&mut self, pid: i32, signal: i32, event: i32) -> Resume {
        match event {
            libc::PTRACE_EVENT_SECCOMP => {
                let wait = sys_trace::entry(pid).is_some_and(|entry| self.enter(pid, &entry));
                if wait { Resume::ToExit } else { Resume::On(0) }
            }
            libc::PTRACE_EVENT_EXEC => {
                // Any thread may have called it; the others are gone.
                let caller = sys_trace::event_message(pid)
                    .and_then(|id| i32::try_from(id).ok())
                    .unwrap_or(pid);
                let doing = self.pending.remove(&caller).unwrap_or_default();
                if caller != pid {
                    self.alive.remove(&caller);
                    self.pending.remove(&pid);
                }
                self.executed(pid, doing);
                Resume::On(0)
            }
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                // Known from here on: its own first stop may come after the command's end.
                let child = sys_trace::event_message(pid).and_then(|id| i32::try_from(id).ok());
                self.alive.extend(child);
                Resume::On(0)
            }
            libc::PTRACE_EVENT_STOP => match signal {
                libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => Resume::Listen,
                _ => Resume::On(0),
            },
            0 if signal == libc::SIGTRAP | 0x80 => {
                let doing = self.pending.remove(&pid).unwrap_or_default();
                if let Some(result) = sys_trace::result(pid) {
                    for one in doing {
                        self.exit(pid, one, result);
                    }
                }
                Resume::On(0)
            }
            0 => Resume::On(signal),
            _ => Resume::On(0),
        }
    }

    /// A call begins. Returns whether its result is wanted.
    fn enter(&mut self, pid: i32, entry: &Entry) -> bool {
        let Some(meaning) = calls::meaning(entry.arch, entry.nr) else {
            self.blind("system calls of another architecture than this program's");
            return false;
        };
        let mut doing = Vec::new();
        let arg = |i: usize| entry.args.get(i).copied().unwrap_or(0);
        for what in meaning {
            match *what {
                What::Blind(text) => self.blind(text),
                What::Connect(at, len) => self.address(pid, arg(at), arg(len), Net::To),
                What::Send(at, len) if arg(at) != 0 => {
                    self.address(pid, arg(at), arg(len), Net::To);
                }
                What::Send(..) => {}
                What::SendMessage(at) => self.message(pid, arg(at)),
                What::Bind(at, len) => self.address(pid, arg(at), arg(len), Net::At),
                What::Open(at, i, flags) => {
                    let flags = match flags {
                        Flags::Arg(i) => arg(i),
                        Flags::How(i) => read_u64(pid, arg(i)).unwrap_or(0),
                        Flags::Creat => (libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC) as u64,
                    } as i32;
                    if let Some(path) = self.path(pid, at, arg(i), &entry.args) {
                        let write = flags & libc::O_ACCMODE != libc::O_RDONLY
                            || flags & (libc::O_CREAT | libc::O_TRUNC) != 0
                            || flags & libc::O_TMPFILE == libc::O_TMPFILE;
                        let existed = !write || exists(&path);
                        doing.push(Pending::Open { path, write, existed });
                    }
                }
                What::Name(at, i) => {
                    if let Some(path) = self.path(pid, at, arg(i), &entry.args) {
                        let existed = exists(&path);
                        doing.push(Pending::Name { path, existed });
                    }
                }
                What::Alter(at, i) => {
                    if let Some(path) = self.path(pid, at, arg(i), &entry.args) {
                        doing.push(Pending::Alter { path });
                    }
                }
                What::Look(at, i) => {
                    if let Some(path) = self.path(pid, at, arg(i), &entry.args) {
                        doing.push(Pending::Look { path });
                    }
                }
                What::Exec(at, i) => {
                    if let Some(path) = self.path(pid, at, arg(i), &entry.args) {
                        let list = if matches!(at, At::Cwd) { arg(1) } else { arg(2) };
                        let arguments = read_strings(pid, list);
                        doing.push(Pending::Exec { path, arguments });
                    }
                }
            }
        }
        let wait = !doing.is_empty();
        if wait {
            self.pending.insert(pid, doing);
        }
        wait
    }

    fn exit(&mut self, pid: i32, one: Pending, result: i64) {
        if result < 0 {
            return;
        }
        match one {
            Pending::Open { path, write, existed } => {
                let link = std::fs::read_link(format!("/proc/{pid}/fd/{result}"));
                // What has no path is no file: a pipe, a memory file.
                let real = match link {
                    Ok(real) if real.is_absolute() => real,
                    _ => return,
                };
                let folder = std::fs::metadata(&real).is_ok_and(|m| m.is_dir());
                if write && !folder {
                    if existed {
                        self.note(Set::Altered, path);
                    } else {
                        self.note(Set::Created, path);
                    }
                } else if folder {
                    self.note(Set::Listed, path);
                } else {
                    self.note(Set::Read, path);
                }
            }
            Pending::Name { path, existed: false } => self.note(Set::Created, path),
            Pending::Name { path, existed: true } => self.note(Set::Removed, path),
            Pending::Alter { path } => self.note(Set::Altered, path),
            Pending::Look { path } => self.note(Set::Looked, path),
            // Told by its event.
            Pending::Exec { .. } => {}
        }
    }

    fn executed(&mut self, pid: i32, doing: Vec<Pending>) {
        for one in doing {
            let Pending::Exec { path, arguments } = one else { continue };
            if std::fs::metadata(&path).is_ok_and(|m| m.mode() & 0o6000 != 0) {
                self.blind("what a set-user-id program does with its powers: it ran without them, as in a run");
            }
            for argument in arguments {
                if self.seen.arguments.len() < MAX_ARGUMENTS {
                    self.seen.arguments.insert(argument);
                }
            }
            self.note(Set::Ran, path);
        }
        // The interpreter of a script, and what the path led to.
        if let Ok(real) = std::fs::read_link(format!("/proc/{pid}/exe"))
            && let Some(real) = real.to_str()
            && is_normal(real)
        {
            self.note(Set::Ran, real.to_owned());
        }
    }

    fn blind(&mut self, text: &'static str) {
        self.seen.blind.insert(text.to_owned());
    }

    fn note(&mut self, set: Set, path: String) {
        let seen = &mut self.seen;
        // What the command made itself is there when it looks for it again.
        let own = std::iter::successors(Some(path.as_str()), |p| Some(parent_of(p)))
            .take_while(|p| *p != "/")
            .any(|p| seen.created.contains(p));
        let sets = match set {
            Set::Created => &mut seen.created,
            _ if own => return,
            Set::Read => &mut seen.read,
            Set::Listed => &mut seen.listed,
            Set::Altered => &mut seen.altered,
            Set::Removed => &mut seen.removed,
            Set::Looked => &mut seen.looked,
            Set::Ran => &mut seen.ran,
        };
        if sets.len() < MAX_PATHS {
            sets.insert(path);
        } else if !sets.contains(&path) {
            seen.lost = seen.lost.saturating_add(1);
        }
    }

    /// The path of an argument, absolute and normal; None when there is none.
    fn path(&mut self, pid: i32, at: At, pointer: u64, args: &[u64; 6]) -> Option<String> {
        if pointer == 0 {
            return None;
        }
        let Some(bytes) = read_string(pid, pointer) else {
            self.blind("arguments in a process that does not let itself be read");
            return None;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            self.blind("paths that are not UTF-8");
            return None;
        };
        if text.is_empty() {
            return None;
        }
        let whole = if text.starts_with('/') {
            text
        } else {
            let base = match at {
                At::Fd(i) => match args.get(i).map(|fd| *fd as i32) {
                    None | Some(libc::AT_FDCWD) => format!("/proc/{pid}/cwd"),
                    Some(fd) => format!("/proc/{pid}/fd/{fd}"),
                },
                At::Cwd => format!("/proc/{pid}/cwd"),
            };
            let base = std::fs::read_link(base).ok()?;
            format!("{}/{text}", base.to_str()?)
        };
        let path = normal(&whole)?;
        // Its own entries, under names that mean another process here.
        if within(&path, "/proc") || within(&path, "/sys") || within(&path, "/dev") {
            return if within(&path, "/sys") { Some("/sys".into()) } else { None };
        }
        Some(path)
    }

    fn message(&mut self, pid: i32, at: u64) {
        // struct msghdr begins with the address and its length.
        let name = read_u64(pid, at).unwrap_or(0);
        if name != 0 {
            let len = read_u64(pid, at.saturating_add(8)).unwrap_or(0) & 0xffff_ffff;
            self.address(pid, name, len, Net::To);
        }
    }

    fn address(&mut self, pid: i32, at: u64, len: u64, net: Net) {
        let mut bytes = vec![0u8; usize::try_from(len.min(128)).unwrap_or(0)];
        if !read_memory(pid, at, &mut bytes) {
            self.blind("arguments in a process that does not let itself be read");
            return;
        }
        let Some(text) = address(&bytes) else { return };
        let set = match (net, text.starts_with("unix:")) {
            (_, true) => &mut self.seen.unix,
            (Net::To, false) => &mut self.seen.destinations,
            (Net::At, false) => &mut self.seen.listened,
        };
        if set.len() < MAX_PATHS {
            set.insert(text);
        } else {
            self.seen.lost = self.seen.lost.saturating_add(1);
        }
    }
}

#[derive(Clone, Copy)]
enum Set {
    Read,
    Listed,
    Altered,
    Created,
    Removed,
    Looked,
    Ran,
}

#[derive(Clone, Copy)]
enum Net {
    To,
    At,
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// Whether it is a process that runs, and not one thread of another.
fn is_process(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|l| l.strip_prefix("Tgid:").is_some_and(|id| id.trim() == pid.to_string()))
}

fn exists(path: &str) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The path without `.` and empty parts; where it goes up, what it leads to.
fn normal(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty() && *p != ".").collect();
    let plain = format!("/{}", parts.join("/"));
    if !parts.contains(&"..") {
        return is_normal(&plain).then_some(plain);
    }
    // Its last part may not exist, or be a link that is meant itself.
    let real = |p: &str| std::fs::canonicalize(p).ok()?.to_str().map(str::to_owned);
    match parts.last() {
        Some(&"..") | None => real(&plain),
        Some(last) => {
            let folder = real(parent_of(&plain))?;
            let whole = if folder == "/" { format!("/{last}") } else { format!("{folder}/{last}") };
            is_normal(&whole).then_some(whole)
        }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let family = i32::from(u16::from_ne_bytes([*bytes.first()?, *bytes.get(1)?]));
    let port = || Some(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    match family {
        libc::AF_INET => {
            let ip: [u8; 4] = bytes.get(4..8)?.try_into().ok()?;
            Some(format!("{}:{}", std::net::Ipv4Addr::from(ip), port()?))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes.get(8..24)?.try_into().ok()?;
            Some(format!("[{}]:{}", std::net::Ipv6Addr::from(ip), port()?))
        }
        libc::AF_UNIX => match bytes.get(2..)? {
            [] => None,
            [0, name @ ..] => Some(format!("unix:@{}", String::from_utf8_lossy(name))),
            path => {
                let end = path.iter().position(|b| *b == 0).unwrap_or(path.len());
                Some(format!("unix:{}", String::from_utf8_lossy(path.get(..end)?)))
            }
        },
        // Undoes a connection.
        libc::AF_UNSPEC => None,
        other => Some(format!("address family {other}")),
    }
}

fn read_some(pid: i32, at: u64, bytes: &mut [u8]) -> Option<usize> {
    let memory = File::open(Path::new("/proc").join(pid.to_string()).join("mem")).ok()?;
    memory.read_at(bytes, at).ok()
}

fn read_memory(pid: i32, at: u64, bytes: &mut [u8]) -> bool {
    read_some(pid, at, bytes) == Some(bytes.len())
}

fn read_u64(pid: i32, at: u64) -> Option<u64> {
    let mut bytes = [0u8; 8];
    read_memory(pid, at, &mut bytes).then(|| u64::from_ne_bytes(bytes))
}

fn read_string(pid: i32, at: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; MAX_PATH + 1];
    let got = read_some(pid, at, &mut bytes)?;
    let end = bytes.get(..got)?.iter().position(|b| *b == 0)?;
    bytes.truncate(end);
    Some(bytes)
}

/// The first strings of a list that ends with null.
fn read_strings(pid: i32, at: u64) -> Vec<String> {
    let mut strings = Vec::new();
    for i in 0..64u64 {
        let pointer = read_u64(pid, at.saturating_add(i.saturating_mul(8))).unwrap_or(0);
        if pointer == 0 {
            break;
        }
        strings.extend(read_string(pid, pointer).and_then(|s| String::from_utf8(s).ok()));
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_as_people_write_them() {
        let mut v4 = vec![2, 0, 0x01, 0xbb, 192, 0, 2, 1];
        v4.extend([0; 8]);
        assert_eq!(address(&v4).unwrap(), "192.0.2.1:443");
        assert_eq!(address(b"\x01\0/run/x.sock\0junk").unwrap(), "unix:/run/x.sock");
        assert_eq!(address(b"\x01\0\0name").unwrap(), "unix:@name");
        for short in [&b""[..], &[2], &[2, 0], &[2, 0, 1, 187, 1], &[1, 0]] {
            assert_eq!(address(short), None);
        }
    }

    #[test]
    fn a_path_is_made_normal_or_passed_over() {
        assert_eq!(normal("/a/./b//c").unwrap(), "/a/b/c");
        assert_eq!(normal("/usr/../usr").unwrap(), "/usr");
        assert_eq!(normal("/no-such-folder/../x"), None);
    }
}
