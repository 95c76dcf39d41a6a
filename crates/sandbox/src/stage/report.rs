//! Tells of what the kernel is about to refuse the program.
//!
//! A second system call filter hands init the calls that change names and files or connect, before
//! they are carried out. Init looks where each leads, notes the ones that a read-only mount or the
//! missing network will refuse, and lets every one of them go on: the refusal itself is the
//! kernel's. A program that changes a path between the two looks deceives the note, not the mount.
//! Calls that only read are not handed over, so that reading costs nothing more.

use crate::sys::{self, Notified};
use crate::wire::Refusal;
use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, openat};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Different refusals that one run is told of; the others are counted.
const MOST: usize = 32;

/// Different refusals that are looked for again; beyond that repeats count as others.
const MOST_SEEN: usize = 1024;

/// Longest path that is read from a program; the kernel's own limit.
const MAX_PATH: usize = 4096;

/// Which argument says where a call leads, and what it does there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    /// Opens for writing: folder (none: the current one), path, flags.
    Open { dir: Option<usize>, path: usize, flags: usize },
    /// Makes a name.
    Make { dir: Option<usize>, path: usize },
    /// Removes a name.
    Remove { dir: Option<usize>, path: usize },
    /// Puts one name in the place of another.
    Rename { from: (Option<usize>, usize), to: (Option<usize>, usize) },
    /// Changes what a name stands for.
    Change { dir: Option<usize>, path: usize },
    /// Connects a socket: address and its length.
    Connect,
}

/// The calls that are handed over.
fn calls() -> Vec<(libc::c_long, Call)> {
    let open = Call::Open { dir: Some(0), path: 1, flags: 2 };
    let (make, remove) =
        (Call::Make { dir: Some(0), path: 1 }, Call::Remove { dir: Some(0), path: 1 });
    let rename = Call::Rename { from: (Some(0), 1), to: (Some(2), 3) };
    let change = Call::Change { dir: Some(0), path: 1 };
    let mut all = vec![
        (libc::SYS_openat, open),
        (libc::SYS_mkdirat, make),
        (libc::SYS_mknodat, make),
        (libc::SYS_symlinkat, Call::Make { dir: Some(1), path: 2 }),
        (libc::SYS_linkat, Call::Make { dir: Some(2), path: 3 }),
        (libc::SYS_unlinkat, remove),
        (libc::SYS_renameat2, rename),
        (libc::SYS_fchmodat, change),
        (libc::SYS_truncate, Call::Change { dir: None, path: 0 }),
        (libc::SYS_connect, Call::Connect),
    ];
    #[cfg(target_arch = "x86_64")]
    all.extend([
        (libc::SYS_open, Call::Open { dir: None, path: 0, flags: 1 }),
        (libc::SYS_creat, Call::Change { dir: None, path: 0 }),
        (libc::SYS_mkdir, Call::Make { dir: None, path: 0 }),
        (libc::SYS_mknod, Call::Make { dir: None, path: 0 }),
        (libc::SYS_symlink, Call::Make { dir: None, path: 1 }),
        (libc::SYS_link, Call::Make { dir: None, path: 1 }),
        (libc::SYS_unlink, Call::Remove { dir: None, path: 0 }),
        (libc::SYS_rmdir, Call::Remove { dir: None, path: 0 }),
        (libc::SYS_rename, Call::Rename { from: (None, 0), to: (None, 1) }),
        (libc::SYS_renameat, rename),
        (libc::SYS_chmod, Call::Change { dir: None, path: 0 }),
    ]);
    all
}

/// What makes an open one that writes.
const WRITES: u32 = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC).cast_unsigned();

/// The filter: the calls above are notified, opens only when they write. Everything else is left
/// to the profile's own filter, whose refusals count more.
pub(super) fn filter() -> Vec<seccompiler::sock_filter> {
    let op = |code: u16, jt: u8, jf: u8, k: u32| seccompiler::sock_filter { code, jt, jf, k };
    let (load, equal, any_bit, answer) = (0x20, 0x15, 0x45, 0x06);
    let (allow, notify) = (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_USER_NOTIF);
    let mut program = vec![op(load, 0, 0, 0)];
    for (number, call) in calls() {
        let number = u32::try_from(number).unwrap_or(u32::MAX);
        match call {
            Call::Open { flags, .. } => {
                // The lower half of the argument.
                let at = u32::try_from(16 + 8 * flags).unwrap_or(u32::MAX);
                program.extend([
                    op(equal, 0, 4, number),
                    op(load, 0, 0, at),
                    op(any_bit, 0, 1, WRITES),
                    op(answer, 0, 0, notify),
                    op(answer, 0, 0, allow),
                ]);
            }
            _ => program.extend([op(equal, 0, 1, number), op(answer, 0, 0, notify)]),
        }
    }
    program.push(op(answer, 0, 0, allow));
    program
}

/// What was handed over to init.
pub(super) struct Listener {
    /// None: nobody is left who could be told of.
    fd: Option<OwnedFd>,
    calls: Vec<(libc::c_long, Call)>,
    seen: BTreeSet<(String, String)>,
    told: usize,
    lost: u64,
}

impl Listener {
    pub(super) fn new(fd: OwnedFd) -> Self {
        sys::notify_in_turn(fd.as_fd());
        Self { fd: Some(fd), calls: calls(), seen: BTreeSet::new(), told: 0, lost: 0 }
    }

    pub(super) fn fd(&self) -> Option<&OwnedFd> {
        self.fd.as_ref()
    }

    /// Every process that was told of is gone.
    pub(super) fn close(&mut self) {
        self.fd = None;
    }

    /// Refusals that nobody was told of.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Looks at one call and lets it go on. Returns what is to be told of it.
    pub(super) fn serve(&mut self) -> Option<Refusal> {
        let fd = self.fd.as_ref()?.as_fd();
        let call = sys::notified(fd)?;
        let found = self.look(&call);
        // The number of a process that is gone may be another's by now.
        let still = found.is_some() && sys::still_notified(fd, &call);
        let program = if still { comm(call.pid) } else { String::new() };
        sys::go_on(fd, &call);
        let (action, target) = found.filter(|_| still)?;
        if self.seen.contains(&(action.to_owned(), target.clone())) {
            return None;
        }
        if self.told >= MOST {
            self.lost = self.lost.saturating_add(1);
            if self.seen.len() < MOST_SEEN {
                self.seen.insert((action.to_owned(), target));
            }
            return None;
        }
        self.told = self.told.saturating_add(1);
        self.seen.insert((action.to_owned(), target.clone()));
        Some(Refusal { action: action.to_owned(), target, program })
    }

    fn look(&self, call: &Notified) -> Option<(&'static str, String)> {
        let (_, what) = self.calls.iter().find(|(nr, _)| *nr == i64::from(call.nr))?;
        let place = |dir: Option<usize>, path: usize| Place::of(call, dir, path);
        match *what {
            Call::Open { dir, path, flags } => {
                let place = place(dir, path)?;
                let flags = i32::try_from(call.args.get(flags)? & 0xffff_ffff).ok()?;
                let writes = flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC) != 0;
                match place.open(flags & libc::O_NOFOLLOW != 0) {
                    Some(file) => (writes && held(&file)).then(|| ("write", place.shown())),
                    None if flags & libc::O_CREAT != 0 => {
                        place.above_held().then(|| ("make", place.shown()))
                    }
                    None => None,
                }
            }
            Call::Make { dir, path } => {
                let place = place(dir, path)?;
                let there = place.open(true).is_some();
                (!there && place.above_held()).then(|| ("make", place.shown()))
            }
            Call::Remove { dir, path } => place(dir, path)?.goes("remove"),
            Call::Rename { from, to } => {
                let to = place(to.0, to.1)?;
                let gone = place(from.0, from.1)?.goes("rename");
                let over = || to.open(true).is_some_and(|file| held(&file)) || to.above_held();
                gone.or_else(|| over().then(|| ("replace", to.shown())))
            }
            Call::Change { dir, path } => {
                let place = place(dir, path)?;
                place.open(false).is_some_and(|f| held(&f)).then(|| ("change", place.shown()))
            }
            Call::Connect => {
                let length = usize::try_from(*call.args.get(2)?).ok()?.min(128);
                let address = sys::read_memory(call.pid, *call.args.get(1)?, length)?;
                unreachable(&address).map(|address| ("connect", address))
            }
        }
    }
}

/// A path in the terms of the program that named it.
struct Place {
    /// By which init reaches it.
    reach: String,
    /// As it is told.
    shown: String,
}

impl Place {
    fn of(call: &Notified, dir: Option<usize>, path: usize) -> Option<Self> {
        let bytes = sys::read_memory(call.pid, *call.args.get(path)?, MAX_PATH)?;
        let end = bytes.iter().position(|b| *b == 0)?;
        let path = std::str::from_utf8(bytes.get(..end)?).ok().filter(|path| !path.is_empty())?;
        // In /proc every process sees itself under some names; what is there is not on a mount
        // that says read-only.
        if path.starts_with("/proc/") || path.starts_with("/dev/fd/") {
            return None;
        }
        if path.starts_with('/') {
            return Some(Self { reach: path.into(), shown: path.into() });
        }
        let number = dir.and_then(|dir| call.args.get(dir)).map(|fd| *fd & 0xffff_ffff);
        let base = match number.map(|fd| u32::try_from(fd).unwrap_or(0).cast_signed()) {
            Some(fd) if fd >= 0 => format!("/proc/{}/fd/{fd}", call.pid),
            _ => format!("/proc/{}/cwd", call.pid),
        };
        let folder = std::fs::read_link(&base).ok()?;
        Some(Self {
            reach: format!("{base}/{path}"),
            shown: format!("{}/{path}", folder.to_string_lossy().trim_end_matches('/')),
        })
    }

    fn shown(&self) -> String {
        self.shown.clone()
    }

    /// What is there now.
    fn open(&self, itself: bool) -> Option<OwnedFd> {
        let follow = if itself { OFlags::NOFOLLOW } else { OFlags::empty() };
        let flags = OFlags::PATH | OFlags::CLOEXEC | follow;
        openat(CWD, self.reach.trim_end_matches('/'), flags, Mode::empty()).ok()
    }

    /// Whether the folder above exists and names in it can't be changed.
    fn above_held(&self) -> bool {
        let path = self.reach.trim_end_matches('/');
        let above = match path.rfind('/') {
            Some(0) | None => "/",
            Some(at) => path.get(..at).unwrap_or("/"),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, above, flags, Mode::empty()).is_ok_and(|folder| held(&folder))
    }

    /// What is told when it can't be taken away.
    fn goes(&self, action: &'static str) -> Option<(&'static str, String)> {
        let file = self.open(true)?;
        (held(&file) || self.above_held()).then(|| (action, self.shown()))
    }
}

/// Whether it lies on a read-only mount, and is something for which that counts.
fn held(file: &OwnedFd) -> bool {
    let counts = fstat(file).is_ok_and(|stat| {
        matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::RegularFile | FileType::Directory | FileType::Symlink
        )
    });
    counts && fstatvfs(file).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// An address that the run's network does not have: anything but its own loopback.
fn unreachable(address: &[u8]) -> Option<String> {
    let family = u16::from_ne_bytes(*address.first_chunk()?);
    let port = u16::from_be_bytes(*address.get(2..)?.first_chunk()?);
    let to = match i32::from(family) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*address.get(4..)?.first_chunk::<4>()?);
            (!ip.is_loopback() && !ip.is_unspecified()).then(|| SocketAddr::from((ip, port)))
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*address.get(8..)?.first_chunk::<16>()?);
            let near = ip.to_canonical().is_loopback() || ip.is_unspecified();
            (!near).then(|| SocketAddr::from((ip, port)))
        }
        _ => None,
    };
    to.map(|to| to.to_string())
}

fn comm(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_are_not_here_are_told() {
        let v4 = |ip: [u8; 4]| {
            let mut bytes = 2u16.to_ne_bytes().to_vec();
            bytes.extend([0x01, 0xbb]);
            bytes.extend(ip);
            unreachable(&bytes)
        };
        assert_eq!(v4([192, 0, 2, 7]), Some("192.0.2.7:443".into()));
        assert_eq!(v4([127, 0, 0, 1]), None);
        assert_eq!(v4([0, 0, 0, 0]), None);
        for short in 0..4 {
            assert_eq!(unreachable(&[2, 0, 1, 2][..short]), None);
        }
        let mut v6 = 10u16.to_ne_bytes().to_vec();
        v6.extend([0, 80, 0, 0, 0, 0]);
        v6.extend(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets());
        assert_eq!(unreachable(&v6), Some("[2001:db8::1]:80".into()));
        assert_eq!(unreachable(&v6[..20]), None);
    }

    #[test]
    fn reading_is_not_handed_over() {
        let program = filter();
        // The number of an open is compared, then its flags.
        let at = program
            .iter()
            .position(|op| op.code == 0x15 && op.k == u32::try_from(libc::SYS_openat).unwrap())
            .unwrap();
        assert_eq!((program[at + 2].code, program[at + 2].k), (0x45, WRITES));
        assert!(program.len() < 100);
    }
}
