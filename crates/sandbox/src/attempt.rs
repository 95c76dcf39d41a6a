//! Ways out of a jail, as programs that try them. The self-test runs them in a throw-away jail,
//! and the tests show that each works without one.
#![expect(unsafe_code, reason = "attempts are raw system calls, in processes made for them")]

use serde::{Deserialize, Serialize};
use std::ffi::{CString, c_int, c_long};
use std::io;
use std::os::unix::ffi::OsStrExt as _;

/// First argument of a process that tries ways out.
pub(crate) const ATTEMPT: &str = "__attempt";

/// What an attempt aims at: things that the tester made outside of the jail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// Port of a TCP listener on the host's 127.0.0.1.
    pub tcp: u16,
    /// Port of a UDP socket there.
    pub udp: u16,
    /// Name of an abstract unix socket.
    pub abstract_socket: String,
    /// Path of a unix socket.
    pub socket: String,
    /// A file that the jail does not see.
    pub secret: String,
    /// A file that it sees read-only.
    pub read_only: String,
    /// A folder that it may write to.
    pub writable: String,
    /// A folder above a read-only mount below a writable one.
    pub pinned: String,
    /// A process outside, and the name that it has there.
    pub pid: i32,
    /// See `pid`.
    pub comm: String,
}

/// One way out.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Its name.
    pub name: &'static str,
    /// What holds it.
    pub mechanism: &'static str,
    /// Whether it works without a jail only for root.
    pub needs_root: bool,
    run: fn(&Targets) -> io::Result<()>,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Name of the attempt.
    pub name: String,
    /// Whether it got out.
    pub landed: bool,
    /// What the system said.
    pub said: String,
}

/// All of them.
#[expect(
    clippy::undocumented_unsafe_blocks,
    reason = "one-line calls that take numbers and constant strings; each is safe on its own"
)]
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "tcp", mechanism: "network namespace", needs_root: false, run: tcp },
    Attempt {
        name: "tcp-fastopen-sendto",
        mechanism: "network namespace",
        needs_root: false,
        run: fastopen_sendto,
    },
    Attempt {
        name: "tcp-fastopen-sendmsg",
        mechanism: "network namespace",
        needs_root: false,
        run: fastopen_sendmsg,
    },
    Attempt { name: "mptcp", mechanism: "network namespace", needs_root: false, run: mptcp },
    Attempt { name: "udp", mechanism: "seccomp", needs_root: false, run: udp },
    Attempt {
        name: "icmp",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP).map(drop),
    },
    Attempt {
        name: "raw-socket",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| socket(libc::AF_INET, libc::SOCK_RAW, 255).map(drop),
    },
    Attempt {
        name: "packet-socket",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map(drop),
    },
    Attempt {
        name: "vsock",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).map(drop),
    },
    Attempt {
        name: "kernel-crypto-socket",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0).map(drop),
    },
    Attempt {
        name: "netlink",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT).map(drop),
    },
    Attempt {
        name: "abstract-unix-socket",
        mechanism: "network namespace",
        needs_root: false,
        run: abstract_unix,
    },
    Attempt {
        name: "pathname-unix-socket",
        mechanism: "mount namespace",
        needs_root: false,
        run: |t| std::os::unix::net::UnixStream::connect(&t.socket).map(drop),
    },
    Attempt {
        name: "read-outside",
        mechanism: "mount namespace",
        needs_root: false,
        run: |t| std::fs::read(&t.secret).map(drop),
    },
    Attempt {
        name: "read-through-proc-root",
        mechanism: "pid namespace",
        needs_root: true,
        run: |t| std::fs::read(format!("/proc/1/root{}", t.secret)).map(drop),
    },
    Attempt {
        name: "write-read-only",
        mechanism: "mounts",
        needs_root: false,
        run: |t| std::fs::OpenOptions::new().append(true).open(&t.read_only).map(drop),
    },
    Attempt {
        name: "chmod-read-only",
        mechanism: "mounts",
        needs_root: false,
        run: |t| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&t.read_only, std::fs::Permissions::from_mode(0o666))
        },
    },
    Attempt { name: "replace-read-only", mechanism: "mounts", needs_root: false, run: replace },
    Attempt {
        name: "hardlink-read-only",
        mechanism: "mounts",
        needs_root: false,
        run: |t| std::fs::hard_link(&t.read_only, format!("{}/hard", t.writable)),
    },
    Attempt {
        name: "rename-pinned",
        mechanism: "mounts",
        needs_root: false,
        run: |t| {
            std::fs::rename(&t.pinned, format!("{}-moved", t.pinned))
                .and_then(|()| std::fs::rename(format!("{}-moved", t.pinned), &t.pinned))
        },
    },
    Attempt {
        name: "signal-outside",
        mechanism: "pid namespace",
        needs_root: false,
        run: |t| call(i64::from(unsafe { libc::kill(t.pid, 0) })),
    },
    Attempt {
        name: "see-outside",
        mechanism: "pid namespace",
        needs_root: false,
        run: |t| {
            std::fs::read(format!("/proc/{}/stat", t.pid)).and_then(|s| {
                if String::from_utf8_lossy(&s).contains(&format!("({})", t.comm)) {
                    Ok(())
                } else {
                    Err(io::Error::from_raw_os_error(libc::ESRCH))
                }
            })
        },
    },
    Attempt { name: "ptrace-child", mechanism: "seccomp", needs_root: false, run: ptrace_child },
    Attempt {
        name: "read-memory-of-another",
        mechanism: "seccomp",
        needs_root: false,
        run: vm_read,
    },
    Attempt {
        name: "memory-of-pid-1",
        mechanism: "pid namespace",
        needs_root: true,
        run: |_| std::fs::File::open("/proc/1/mem").map(drop),
    },
    Attempt {
        name: "descriptors-of-pid-1",
        mechanism: "pid namespace",
        needs_root: true,
        run: |_| std::fs::read_dir("/proc/1/fd").map(drop),
    },
    Attempt {
        name: "inherited-descriptor",
        mechanism: "descriptors",
        needs_root: false,
        run: inherited,
    },
    Attempt {
        name: "nested-user-namespace",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| forked(|| call(i64::from(unsafe { libc::unshare(libc::CLONE_NEWUSER) }))),
    },
    Attempt {
        name: "user-namespace-by-clone",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| clone_user(),
    },
    Attempt {
        name: "user-namespace-by-clone3",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| clone3_user(),
    },
    Attempt { name: "setns", mechanism: "seccomp", needs_root: true, run: setns },
    Attempt { name: "mount", mechanism: "seccomp", needs_root: true, run: |_| forked(mount) },
    Attempt {
        name: "new-mount-api",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| {
            rustix::mount::fsopen("tmpfs", rustix::mount::FsOpenFlags::empty())
                .map(drop)
                .map_err(Into::into)
        },
    },
    Attempt {
        name: "chroot",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| forked(|| call(i64::from(unsafe { libc::chroot(c"/".as_ptr()) }))),
    },
    Attempt {
        name: "make-device",
        mechanism: "capabilities",
        needs_root: true,
        run: |t| {
            let path = path(&format!("{}/device", t.writable));
            let made = call(i64::from(unsafe {
                libc::mknod(path.as_ptr(), libc::S_IFBLK | 0o600, libc::makedev(254, 0))
            }));
            let _left = std::fs::remove_file(format!("{}/device", t.writable));
            made
        },
    },
    Attempt { name: "set-user-id-file", mechanism: "seccomp", needs_root: false, run: setuid_file },
    Attempt {
        name: "set-user-id-by-open",
        mechanism: "seccomp",
        needs_root: false,
        run: setuid_open,
    },
    Attempt {
        name: "keyring",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| {
            call(unsafe {
                libc::syscall(
                    libc::SYS_add_key,
                    c"user".as_ptr(),
                    c"seawall-attempt".as_ptr(),
                    c"x".as_ptr(),
                    1,
                    -1,
                )
            })
        },
    },
    Attempt {
        name: "lease-on-read-only",
        mechanism: "seccomp",
        needs_root: false,
        run: |t| {
            use std::os::fd::AsRawFd as _;
            let file = std::fs::File::open(&t.read_only)?;
            call(i64::from(unsafe {
                libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
            }))
        },
    },
    Attempt {
        name: "limits-of-pid-1",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| {
            let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            call(i64::from(unsafe {
                libc::prlimit(1, libc::RLIMIT_CORE, std::ptr::null(), &raw mut now)
            }))
        },
    },
    Attempt {
        name: "slow-down-pid-1",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| {
            // To what it is already.
            let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 1) };
            call(i64::from(unsafe { libc::setpriority(libc::PRIO_PROCESS, 1, now) }))
        },
    },
    Attempt { name: "x32-entry", mechanism: "seccomp", needs_root: false, run: |_| x32() },
    Attempt {
        name: "link-to-read-only",
        mechanism: "mounts",
        needs_root: false,
        run: |t| {
            // The name leads to the file; what is written through it is the file.
            let link = format!("{}/soft", t.writable);
            std::os::unix::fs::symlink(&t.read_only, &link)?;
            let done = std::fs::OpenOptions::new().append(true).open(&link).map(drop);
            let _left = std::fs::remove_file(&link);
            done
        },
    },
    Attempt {
        name: "overlong-path",
        mechanism: "mounts",
        needs_root: false,
        run: |t| {
            let there = format!("{}{}", "/../".repeat(600), t.read_only);
            std::fs::OpenOptions::new().append(true).open(there).map(drop)
        },
    },
    Attempt {
        name: "overlong-path-in-steps",
        mechanism: "mounts",
        needs_root: false,
        run: |t| {
            let folder = std::path::Path::new(&t.read_only).parent().map(std::path::Path::to_owned);
            let name = std::path::Path::new(&t.read_only).file_name();
            let (Some(folder), Some(name)) = (folder, name) else {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            };
            // Deeper than a path can be told, and back to what is held.
            let deep = std::path::Path::new("seawall-deep").join("d".repeat(250));
            std::fs::create_dir_all(folder.join(&deep))?;
            let way = folder.join(&deep).join("../..").join(name);
            let done = std::fs::OpenOptions::new().append(true).open(way).map(drop);
            let _left = std::fs::remove_dir_all(folder.join("seawall-deep"));
            done
        },
    },
    Attempt {
        name: "write-memory-of-pid-1",
        mechanism: "pid namespace",
        needs_root: true,
        run: |_| std::fs::OpenOptions::new().write(true).open("/proc/1/mem").map(drop),
    },
    Attempt {
        name: "set-user-id-program",
        mechanism: "user namespace",
        needs_root: false,
        run: |_| setuid_program(),
    },
    Attempt { name: "io-uring", mechanism: "seccomp", needs_root: false, run: io_uring },
    Attempt { name: "bpf", mechanism: "seccomp", needs_root: true, run: bpf },
    Attempt { name: "perf-events", mechanism: "seccomp", needs_root: true, run: perf },
    Attempt {
        name: "userfaultfd",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| call(unsafe { libc::syscall(libc::SYS_userfaultfd, 0) }),
    },
    Attempt { name: "open-by-handle", mechanism: "seccomp", needs_root: true, run: by_handle },
    Attempt {
        name: "personality",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| {
            forked(|| call(i64::from(unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as _) })))
        },
    },
    Attempt {
        name: "executable-memory-file",
        mechanism: "seccomp",
        needs_root: false,
        run: memfd_exec,
    },
    Attempt { name: "foreign-architecture", mechanism: "seccomp", needs_root: false, run: int80 },
    Attempt {
        name: "type-into-terminal",
        mechanism: "seccomp",
        needs_root: false,
        run: |_| forked(tiocsti),
    },
    Attempt {
        name: "kernel-settings",
        mechanism: "user namespace",
        needs_root: true,
        run: |_| std::fs::OpenOptions::new().write(true).open("/proc/sys/kernel/printk").map(drop),
    },
    Attempt {
        name: "kernel-log",
        mechanism: "seccomp",
        needs_root: true,
        run: |_| call(i64::from(unsafe { libc::klogctl(10, std::ptr::null_mut(), 0) })),
    },
    Attempt {
        name: "host-id-root",
        mechanism: "user namespace",
        needs_root: true,
        run: |_| call(i64::from(unsafe { libc::setuid(0) })),
    },
];

/// Runs attempts in this process, one after the other.
#[must_use]
pub fn run(names: &[String], targets: &Targets) -> Vec<Outcome> {
    ATTEMPTS
        .iter()
        .filter(|a| names.is_empty() || names.iter().any(|n| n == a.name))
        .map(|attempt| {
            let result = (attempt.run)(targets);
            Outcome {
                name: attempt.name.into(),
                landed: result.is_ok(),
                said: result.err().map(|e| e.to_string()).unwrap_or_default(),
            }
        })
        .collect()
}

/// The process behind [`ATTEMPT`]: `NAMES TARGETS`, both JSON; prints the outcomes.
pub(crate) fn attempt_main(mut args: impl Iterator<Item = String>) -> i32 {
    use std::io::Write as _;
    let names = args.next().and_then(|t| serde_json::from_str::<Vec<String>>(&t).ok());
    let targets = args.next().and_then(|t| serde_json::from_str::<Targets>(&t).ok());
    let (Some(names), Some(targets)) = (names, targets) else { return 2 };
    let Ok(text) = serde_json::to_string(&run(&names, &targets)) else { return 2 };
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 3,
    }
}

fn call(ret: c_long) -> io::Result<()> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn path(text: &str) -> CString {
    CString::new(std::path::Path::new(text).as_os_str().as_bytes()).unwrap_or_default()
}

/// Runs something in a child, because it changes or ends the process.
fn forked(f: fn() -> io::Result<()>) -> io::Result<()> {
    // SAFETY: the process is single-threaded (it was started for attempts), or a test's child.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let code = f().err().map_or(0, |e| e.raw_os_error().unwrap_or(255).clamp(1, 255));
        crate::sys::exit_now(code);
    }
    call(i64::from(pid))?;
    let mut status = 0;
    // SAFETY: waits for our own child; `status` lives across the call.
    call(i64::from(unsafe { libc::waitpid(pid, &raw mut status, 0) }))?;
    if libc::WIFSIGNALED(status) {
        return Err(io::Error::other(format!("killed by signal {}", libc::WTERMSIG(status))));
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

fn socket(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::FromRawFd as _;
    // SAFETY: socket(2) takes numbers and makes a new descriptor.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    call(i64::from(fd))?;
    // SAFETY: new and ours.
    Ok(unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) })
}

fn address(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_be_bytes([127, 0, 0, 1]).to_be() },
        sin_zero: [0; 8],
    }
}

fn connect(fd: &std::os::fd::OwnedFd, port: u16) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let address = address(port);
    // SAFETY: the address lives across the call and its size is passed.
    call(i64::from(unsafe {
        libc::connect(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    }))
}

fn tcp(t: &Targets) -> io::Result<()> {
    connect(&socket(libc::AF_INET, libc::SOCK_STREAM, 0)?, t.tcp)
}

fn mptcp(t: &Targets) -> io::Result<()> {
    connect(&socket(libc::AF_INET, libc::SOCK_STREAM, 262)?, t.tcp)
}

fn send_to(kind: c_int, port: u16, flags: c_int) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let fd = socket(libc::AF_INET, kind, 0)?;
    let address = address(port);
    // SAFETY: buffer and address live across the call, with their sizes.
    call(unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            c"x".as_ptr().cast(),
            1,
            flags,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    } as i64)
}

fn udp(t: &Targets) -> io::Result<()> {
    send_to(libc::SOCK_DGRAM, t.udp, 0)
}

fn fastopen_sendto(t: &Targets) -> io::Result<()> {
    send_to(libc::SOCK_STREAM, t.tcp, libc::MSG_FASTOPEN)
}

fn fastopen_sendmsg(t: &Targets) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let fd = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let mut address = address(t.tcp);
    let mut part = libc::iovec { iov_base: c"x".as_ptr().cast_mut().cast(), iov_len: 1 };
    // SAFETY: msghdr is plain data for which zeroes is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    // SAFETY: all that the message points to lives across the call.
    call(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_FASTOPEN) } as i64)
}

fn abstract_unix(t: &Targets) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&t.abstract_socket)?;
    std::os::unix::net::UnixStream::connect_addr(&address).map(drop)
}

fn replace(t: &Targets) -> io::Result<()> {
    let new = format!("{}.new", t.read_only);
    std::fs::write(&new, "replaced")?;
    let done = std::fs::rename(&new, &t.read_only);
    let _left = std::fs::remove_file(&new);
    done
}

fn child() -> io::Result<i32> {
    // SAFETY: single-threaded; the child only waits to be killed.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        loop {
            // SAFETY: waits for a signal.
            unsafe { libc::pause() };
        }
    }
    call(i64::from(pid)).map(|()| pid)
}

fn end(pid: i32) {
    // SAFETY: our own child, not reaped yet.
    unsafe {
        libc::kill(pid, libc::SIGKILL);
        libc::waitpid(pid, std::ptr::null_mut(), 0);
    }
}

fn ptrace_child(_: &Targets) -> io::Result<()> {
    let pid = child()?;
    // SAFETY: PTRACE_SEIZE takes no memory of ours.
    let done = call(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) });
    end(pid);
    done
}

fn vm_read(_: &Targets) -> io::Result<()> {
    static WORD: u64 = 7;
    let pid = child()?;
    let mut copy = 0u64;
    let local = libc::iovec { iov_base: (&raw mut copy).cast(), iov_len: 8 };
    let remote = libc::iovec { iov_base: (&raw const WORD).cast_mut().cast(), iov_len: 8 };
    // SAFETY: the local vector is ours; the remote one is read by the kernel in the child.
    let done = call(unsafe { libc::process_vm_readv(pid, &local, 1, &remote, 1, 0) } as i64);
    end(pid);
    done
}

fn inherited(_: &Targets) -> io::Result<()> {
    for fd in 3..64 {
        // SAFETY: F_GETFD on a number; those that this process opened itself are closed by now
        // or marked, so what is left without the mark came from the parent.
        let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            return Ok(());
        }
    }
    Err(io::Error::from_raw_os_error(libc::EBADF))
}

fn clone_user() -> io::Result<()> {
    // SAFETY: like fork(2): no stack, no shared memory.
    let pid = unsafe {
        libc::syscall(
            libc::SYS_clone,
            libc::c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD),
            0,
            0,
            0,
            0,
        )
    };
    if pid == 0 {
        crate::sys::exit_now(0);
    }
    call(pid)?;
    end(i32::try_from(pid).unwrap_or(0));
    Ok(())
}

fn clone3_user() -> io::Result<()> {
    let args: [u64; 11] =
        [libc::CLONE_NEWUSER as u64, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0, 0, 0, 0];
    // SAFETY: the array has clone_args' layout and size; no stack: like fork(2).
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) };
    if pid == 0 {
        crate::sys::exit_now(0);
    }
    call(pid)?;
    end(i32::try_from(pid).unwrap_or(0));
    Ok(())
}

fn setns(_: &Targets) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let file = std::fs::File::open("/proc/self/ns/net")?;
    // SAFETY: numbers only.
    call(i64::from(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) }))
}

fn mount() -> io::Result<()> {
    // SAFETY: unshare and mount with constant strings; in a child.
    unsafe {
        call(i64::from(libc::unshare(libc::CLONE_NEWNS)))?;
        call(i64::from(libc::mount(
            c"none".as_ptr(),
            c"/tmp".as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            std::ptr::null(),
        )))
    }
}

fn setuid_file(t: &Targets) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = format!("{}/suid", t.writable);
    std::fs::write(&path, "x")?;
    let done = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o4755));
    let _left = std::fs::remove_file(&path);
    done
}

fn setuid_open(t: &Targets) -> io::Result<()> {
    let name = format!("{}/suid2", t.writable);
    let c = path(&name);
    // SAFETY: a C string and numbers.
    let fd =
        unsafe { libc::open(c.as_ptr(), libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC, 0o4755) };
    call(i64::from(fd))?;
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(fd) };
    std::fs::remove_file(&name)
}

fn io_uring(_: &Targets) -> io::Result<()> {
    let mut params = [0u8; 120];
    // SAFETY: the parameters have the size of io_uring_params.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    call(fd)?;
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(i32::try_from(fd).unwrap_or(-1)) };
    Ok(())
}

fn bpf(_: &Targets) -> io::Result<()> {
    // BPF_MAP_CREATE of a one-element array.
    let mut attr = [0u32; 32];
    attr[..4].copy_from_slice(&[2, 4, 4, 1]);
    // SAFETY: the attributes live across the call and their size is passed.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, 0, attr.as_ptr(), size_of_val(&attr)) };
    call(fd)?;
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(i32::try_from(fd).unwrap_or(-1)) };
    Ok(())
}

fn perf(_: &Targets) -> io::Result<()> {
    // PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK.
    let mut attr = [0u32; 32];
    attr[0] = 1;
    attr[1] = 128;
    // SAFETY: the attributes have the size that they state.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, attr.as_ptr(), 0, -1, -1, 0) };
    call(fd)?;
    // SAFETY: the descriptor is ours.
    unsafe { libc::close(i32::try_from(fd).unwrap_or(-1)) };
    Ok(())
}

fn by_handle(_: &Targets) -> io::Result<()> {
    let mut handle = [0u32; 34];
    handle[0] = 128;
    let mut mount = 0;
    // SAFETY: the handle has room for the size that it states.
    unsafe {
        call(libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            c"/usr".as_ptr(),
            handle.as_mut_ptr(),
            &raw mut mount,
            0,
        ))?;
        let root = libc::open(c"/usr".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        call(i64::from(root))?;
        call(libc::syscall(
            libc::SYS_open_by_handle_at,
            root,
            handle.as_ptr(),
            libc::O_PATH | libc::O_CLOEXEC,
        ))
    }
}

fn memfd_exec(_: &Targets) -> io::Result<()> {
    use std::io::Write as _;
    let program = std::fs::read("/bin/true")?;
    let fd = rustix::fs::memfd_create("attempt", rustix::fs::MemfdFlags::empty())?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&program)?;
    use std::os::fd::AsRawFd as _;
    let status =
        std::process::Command::new(format!("/proc/self/fd/{}", file.as_raw_fd())).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(status.to_string())) }
}

/// Whether a program of the system that belongs to root and says so gives root's powers.
fn setuid_program() -> io::Result<()> {
    for program in ["/usr/bin/su", "/bin/su", "/usr/bin/passwd", "/usr/bin/mount"] {
        use std::os::unix::fs::MetadataExt as _;
        let Ok(meta) = std::fs::metadata(program) else { continue };
        if meta.mode() & libc::S_ISUID == 0 {
            continue;
        }
        // Its help ends at once; whether the mark counts is what no_new_privs and the mount say.
        let status = std::fs::read_to_string("/proc/self/status")?;
        let held = status.lines().any(|line| line.starts_with("NoNewPrivs:\t1"));
        return if held { Err(io::Error::from_raw_os_error(libc::EPERM)) } else { Ok(()) };
    }
    Err(io::Error::from_raw_os_error(libc::ENOENT))
}

/// getpid by the numbers of the x32 interface.
#[cfg(target_arch = "x86_64")]
fn x32() -> io::Result<()> {
    // SAFETY: takes no argument.
    call(unsafe { libc::syscall(0x4000_0000 | libc::SYS_getpid) })
}

#[cfg(not(target_arch = "x86_64"))]
fn x32() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

#[cfg(target_arch = "x86_64")]
fn int80(_: &Targets) -> io::Result<()> {
    forked(|| {
        let mut number: u64 = 20; // getpid of i386
        // SAFETY: getpid takes no argument and changes only the register of its result.
        unsafe {
            std::arch::asm!("int 0x80", inout("rax") number, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        if (1..i32::MAX as u64).contains(&number) {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOSYS))
        }
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn int80(_: &Targets) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn tiocsti() -> io::Result<()> {
    // SAFETY: a pseudo-terminal of our own, in a child with a session of its own.
    unsafe {
        libc::setsid();
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        call(i64::from(master))?;
        call(i64::from(libc::grantpt(master)))?;
        call(i64::from(libc::unlockpt(master)))?;
        let mut name = [0; 64];
        if libc::ptsname_r(master, name.as_mut_ptr(), name.len()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let slave = libc::open(name.as_ptr(), libc::O_RDWR);
        call(i64::from(slave))?;
        call(i64::from(libc::ioctl(slave, libc::TIOCSTI, c"x".as_ptr())))
    }
}
