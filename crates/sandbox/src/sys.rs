//! System calls that no library of ours wraps. Everything `unsafe` that is not a test is
//! here and in `sys_trace`.
#![expect(unsafe_code, reason = "system calls without a safe wrapper; see each SAFETY text")]

use rustix::io::Errno;
use std::ffi::{CStr, CString, c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

fn check(ret: c_long) -> io::Result<c_long> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// What [`fork_into`] returns.
pub(crate) enum Forked {
    /// The new process, as its parent sees it.
    Parent(rustix::process::Pid),
    /// In the new process.
    Child,
}

/// Forks, with the child in new namespaces (`CLONE_NEW*`).
///
/// Only for the single-threaded stage processes: a thread that held a lock in the parent would
/// never release it in the child.
pub(crate) fn fork_into(namespaces: c_int) -> io::Result<Forked> {
    // Some architectures take the arguments in another order; all that matter here are zero
    // except the flags, which come first everywhere that this crate is built for.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    compile_error!("check the argument order of clone(2) on this architecture");
    let flags = c_long::from(namespaces) | c_long::from(libc::SIGCHLD);
    // SAFETY: without CLONE_VM and without a stack this is fork(2): the child runs on a copy of
    // the parent's memory. The caller is single-threaded, so no lock is held elsewhere.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    match rustix::process::Pid::from_raw(i32::try_from(pid).unwrap_or(0)) {
        Some(pid) => Ok(Forked::Parent(pid)),
        None => Ok(Forked::Child),
    }
}

/// A stack for a process that shares this one's memory. Unmapped when dropped.
struct Stack {
    base: *mut libc::c_void,
}

impl Stack {
    /// Much more than the last steps before a program need.
    const SIZE: usize = 512 << 10;
    /// Not accessible, at its lower end. A multiple of every page size.
    const GUARD: usize = 64 << 10;

    fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new anonymous mapping where the kernel likes, owned by the value made here.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), Self::SIZE, prot, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: the lower part of the mapping just made, which nothing uses.
        check(c_long::from(unsafe { libc::mprotect(base, Self::GUARD, libc::PROT_NONE) }))?;
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the whole of our own mapping; its user has ended or left this memory.
        unsafe { libc::munmap(self.base, Self::SIZE) };
    }
}

/// Starts a process that runs `work` in this one's memory, on a stack of its own.
///
/// # Safety
/// `work` and `stack` must stay as they are until the process has ended or has become another
/// program. Unless `flags` has `CLONE_VFORK`, which stops the caller until then, `work` may only
/// make system calls that leave `errno` alone: it shares the caller's.
unsafe fn clone_sharing(
    flags: c_int,
    stack: &Stack,
    work: &mut &mut dyn FnMut() -> c_int,
) -> io::Result<rustix::process::Pid> {
    extern "C" fn run(work: *mut libc::c_void) -> c_int {
        // SAFETY: the pointer that is given to clone below.
        let work = unsafe { &mut *work.cast::<&mut dyn FnMut() -> c_int>() };
        work()
    }
    // SAFETY: the stack's upper end, aligned as the mapping is; `run` does not unwind (an
    // `extern "C"` function aborts); the rest is the caller's promise.
    let pid = unsafe {
        libc::clone(
            run,
            stack.base.byte_add(Stack::SIZE),
            flags | libc::CLONE_VM | libc::SIGCHLD,
            std::ptr::from_mut(work).cast(),
        )
    };
    check(c_long::from(pid))?;
    rustix::process::Pid::from_raw(pid).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// Runs `work`, which ends in [`exec`], in a new process, and returns when it has become the
/// other program (None) or has given up (its result). Until then the caller stands still, so that
/// nothing of this process has to be copied.
///
/// Only for the single-threaded stage processes. What `work` does to its descriptors, signals,
/// limits and privileges is its own; what it does to memory stays.
pub(crate) fn spawn_by(
    mut work: impl FnMut() -> c_int,
) -> io::Result<(rustix::process::Pid, Option<c_int>)> {
    let stack = Stack::new()?;
    let mut gave_up = None;
    let mut all = || {
        let code = work();
        gave_up = Some(code);
        code
    };
    let mut all: &mut dyn FnMut() -> c_int = &mut all;
    // SAFETY: with CLONE_VFORK the call returns when the process has gone from this memory, and
    // `all` and `stack` live until then.
    let pid = unsafe { clone_sharing(libc::CLONE_VFORK, &stack, &mut all) }?;
    Ok((pid, gave_up))
}

/// Runs `work` while a process exists in new namespaces (`CLONE_NEW*`), and ends that after it.
pub(crate) fn with_namespaces<T>(
    namespaces: c_int,
    work: impl FnOnce(rustix::process::Pid) -> T,
) -> io::Result<T> {
    use rustix::pipe::{PipeFlags, pipe_with};
    use rustix::process::{Signal, WaitOptions, kill_process, waitpid};
    let (keep, wait) = pipe_with(PipeFlags::CLOEXEC)?;
    let number = wait.as_raw_fd();
    let stack = Stack::new()?;
    let mut idle = || {
        // SAFETY: this process's copy of the number, which nothing else in it uses. (rustix calls
        // the kernel itself and leaves `errno` alone.)
        unsafe { rustix::io::close(number) };
        // Blocks until the other closes its end (or dies).
        let _end = rustix::io::read(&keep, &mut [0u8; 1]);
        0
    };
    let mut idle: &mut dyn FnMut() -> c_int = &mut idle;
    // SAFETY: the process is reaped below, before `idle` and `stack` go; it makes two system
    // calls that leave `errno` alone.
    let pid = unsafe { clone_sharing(namespaces, &stack, &mut idle) }?;
    let done = work(pid);
    drop(wait);
    let _gone = kill_process(pid, Signal::KILL);
    while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
    Ok(done)
}

/// Copies this process, if it has one thread; 0 in the copy.
///
/// # Errors
/// When the kernel says that there are more threads, or makes no copy.
pub(crate) fn fork_one() -> io::Result<i32> {
    // SAFETY: for a process of one thread CLONE_VM changes nothing; for others the call fails.
    let done = unsafe { libc::unshare(libc::CLONE_VM) };
    // Where a filter refuses the question, the caller's word counts.
    if done != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) {
        return Err(io::Error::other("a process of several threads cannot be copied"));
    }
    // SAFETY: one thread, so that no lock is held by one that the copy lacks.
    let pid = unsafe { libc::fork() };
    if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
}

/// Leaves without running destructors or exit handlers of the image that was forked.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit(2) ends the process; it takes no pointer.
    unsafe { libc::_exit(code) }
}

/// Takes ownership of a descriptor number that this process was started with.
///
/// # Errors
/// When the number is not open.
pub(crate) fn adopt(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only looks the number up.
    check(c_long::from(unsafe { libc::fcntl(fd, libc::F_GETFD) }))?;
    // SAFETY: the number is open (just checked), and by the protocol between `Jail::spawn` and
    // the stage nothing else in this freshly started process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes `target` refer to what `fd` refers to, kept across exec.
pub(crate) fn dup_onto(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    if fd.as_raw_fd() == target {
        // SAFETY: F_SETFD changes a flag of an open descriptor.
        check(c_long::from(unsafe { libc::fcntl(target, libc::F_SETFD, 0) }))?;
        return Ok(());
    }
    // SAFETY: dup2(2) on numbers; whoever owned `target` is replaced, which callers intend: it
    // happens in a process that is about to exec.
    check(c_long::from(unsafe { libc::dup2(fd.as_raw_fd(), target) }))?;
    Ok(())
}

/// Duplicates to a number of at least `min`, closed on exec.
fn dup_above(fd: BorrowedFd<'_>, min: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC makes a new descriptor that nothing else owns.
    let new =
        check(c_long::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, min) }))?;
    // SAFETY: as above: new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(RawFd::try_from(new).unwrap_or(-1)) })
}

/// Moves a descriptor to a number of at least `min`.
pub(crate) fn raise(fd: OwnedFd, min: RawFd) -> io::Result<OwnedFd> {
    dup_above(fd.as_fd(), min)
}

/// Marks every descriptor from `first` up as closed on exec.
pub(crate) fn cloexec_from(first: u32) -> io::Result<()> {
    // SAFETY: close_range(2) with CLOSE_RANGE_CLOEXEC changes flags only.
    let done = check(unsafe {
        libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
    });
    match done {
        Ok(_) => Ok(()),
        // Linux before 5.11.
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOSYS | libc::EINVAL)) => {
            for fd in RawFd::try_from(first).unwrap_or(3)..4096 {
                // SAFETY: F_SETFD on a number that may not be open; the error is ignored.
                unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

/// Attributes for [`mount_setattr`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MountAttr<'a> {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) userns: Option<BorrowedFd<'a>>,
}

/// Changes the attributes of a mount, and of those below it when `recursive`.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attr: MountAttr<'_>,
) -> io::Result<()> {
    let raw = libc::mount_attr {
        attr_set: attr.set | if attr.userns.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 },
        attr_clr: attr.clear,
        propagation: 0,
        userns_fd: attr.userns.map_or(0, |fd| u64::try_from(fd.as_raw_fd()).unwrap_or(u64::MAX)),
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, the attributes live across the call and their size
    // is passed; the kernel writes nothing.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const raw,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

/// Brings the loopback interface of this network namespace up.
pub(crate) fn loopback_up(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: ifreq is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo\0") {
        *to = from.cast_signed() as std::ffi::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives across the call.
    check(c_long::from(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    }))?;
    Ok(())
}

/// Gives every signal its default action and blocks none.
pub(crate) fn default_signals() {
    for signal in 1..=64 {
        if signal == libc::SIGKILL || signal == libc::SIGSTOP {
            continue;
        }
        // SAFETY: sets the default action; numbers that cannot be changed are refused, which is
        // of no consequence.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    set_mask(&[], libc::SIG_SETMASK);
}

/// Blocks a signal.
pub(crate) fn block_signal(signal: c_int) {
    set_mask(&[signal], libc::SIG_BLOCK);
}

fn set_mask(signals: &[c_int], how: c_int) {
    // SAFETY: sigset_t is plain data; it is initialised by sigemptyset before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(how, &raw const set, std::ptr::null_mut());
    }
}

/// A descriptor that becomes readable when `signal` (blocked before) is pending.
pub(crate) fn signal_fd(signal: c_int) -> io::Result<OwnedFd> {
    // SAFETY: as in `set_mask`; signalfd(2) makes a new descriptor, which is ours.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(c_long::from(fd))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Sends a signal to every process that this one may signal, itself excepted.
///
/// Only for the first process of a pid namespace, for which that is all the others in it.
pub(crate) fn signal_all(signal: c_int) {
    // SAFETY: kill(2) takes numbers only. The caller is pid 1 of its namespace.
    unsafe { libc::kill(-1, signal) };
}

/// Whether this process is the first of its pid namespace.
pub(crate) fn is_pid_one() -> bool {
    rustix::process::getpid().as_raw_nonzero().get() == 1
}

/// Replaces the program. Returns only on failure.
pub(crate) fn exec(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays hold pointers to C strings that outlive the call and end with null.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// The Landlock ABI of this kernel; 0 when there is none.
pub(crate) fn landlock_abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with the version flag the pointer must be null and the size zero.
    let abi = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0usize, VERSION)
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Drops every capability from every set for good.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    for capability in 0..64u64 {
        // SAFETY: PR_CAPBSET_DROP takes a number.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } != 0 {
            break;
        }
    }
    // SAFETY: PR_CAP_AMBIENT_CLEAR_ALL takes no pointer. Old kernels have no ambient set.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let none = rustix::thread::CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}

/// Leaves the user namespace for a new one.
pub(crate) fn unshare_user() -> io::Result<()> {
    // SAFETY: unshare(CLONE_NEWUSER) changes credentials only; the caller is single-threaded.
    check(c_long::from(unsafe { libc::unshare(libc::CLONE_NEWUSER) }))?;
    Ok(())
}

/// Leaves the mount namespace for a new one, and with `user` the user namespace too.
pub(crate) fn unshare_mounts(user: bool) -> io::Result<()> {
    let flags = libc::CLONE_NEWNS | if user { libc::CLONE_NEWUSER } else { 0 };
    // SAFETY: unshare takes flags; a new user namespace needs one thread, or it fails.
    check(c_long::from(unsafe { libc::unshare(flags) }))?;
    Ok(())
}

/// Enters the mount namespace of a process, and its root. Needs to be root, or the user who made
/// the process's user namespace, which is then entered as well. The caller is single-threaded.
pub(crate) fn enter_mounts(process: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: setns(2) takes numbers.
    let enter = |what| check(c_long::from(unsafe { libc::setns(process.as_raw_fd(), what) }));
    // A jail of root's has its mounts from outside of its user namespace.
    enter(libc::CLONE_NEWNS).or_else(|_| enter(libc::CLONE_NEWUSER | libc::CLONE_NEWNS)).map(drop)
}

/// Installs a compiled filter. Needs no_new_privs.
pub(crate) fn install_filter(filter: &[seccompiler::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // SAFETY: the program points to `len` instructions that live across the call; seccomp(2)
    // copies them. The two `sock_filter` types have the kernel's layout.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0u32, &raw const program)
    })?;
    Ok(())
}

/// Installs a filter whose notified calls are told to the descriptor that is returned. Needs
/// no_new_privs.
pub(crate) fn install_notifier(filter: &[seccompiler::sock_filter]) -> io::Result<OwnedFd> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?,
        filter: filter.as_ptr().cast_mut().cast(),
    };
    // With the second flag a signal does not start a call anew that was told of (Linux 5.19): one
    // whose caller is signalled all the time would never end.
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    let flags = listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: as in `install_filter`; the descriptor returned is new and ours.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const program,
        );
        Ok(OwnedFd::from_raw_fd(RawFd::try_from(check(fd)?).unwrap_or(-1)))
    }
}

/// A call that was told of.
#[derive(Debug)]
pub(crate) struct Notified {
    id: u64,
    pub(crate) pid: u32,
    pub(crate) nr: i32,
    pub(crate) args: [u64; 6],
}

/// `_IOWR` and `_IOW` of `'!'`, as both architectures that this crate is built for number them.
const fn seccomp_request(direction: u64, number: u64, size: usize) -> u64 {
    (direction << 30) | ((size as u64) << 16) | (0x21 << 8) | number
}

/// Asks the kernel to wake the two sides of a notification on one processor (Linux 6.6), which is
/// faster. Older ones do without.
pub(crate) fn notify_in_turn(listener: BorrowedFd<'_>) {
    let request = seccomp_request(1, 4, size_of::<u64>());
    // SAFETY: the request takes a number.
    unsafe { libc::ioctl(listener.as_raw_fd(), request as _, 1u64) };
}

/// Takes the next call that was told of. None: its caller is gone.
pub(crate) fn notified(listener: BorrowedFd<'_>) -> Option<Notified> {
    // SAFETY: plain data for which all zeroes is a value, which the kernel asks for here.
    let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let request = seccomp_request(3, 0, size_of::<libc::seccomp_notif>());
    // SAFETY: writes one such value, which lives across the call; the request states its size.
    let done = unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw mut call) };
    (done == 0).then_some(Notified {
        id: call.id,
        pid: call.pid,
        nr: call.data.nr,
        args: call.data.args,
    })
}

/// Whether the caller of a call still waits.
pub(crate) fn still_notified(listener: BorrowedFd<'_>, call: &Notified) -> bool {
    let request = seccomp_request(1, 2, size_of::<u64>());
    // SAFETY: reads one number, which lives across the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw const call.id) == 0 }
}

/// Lets a call go on as if nobody had been told.
pub(crate) fn go_on(listener: BorrowedFd<'_>, call: &Notified) {
    let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).unwrap_or(1);
    let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: 0, flags };
    let request = seccomp_request(3, 1, size_of::<libc::seccomp_notif_resp>());
    // SAFETY: reads one such value, which lives across the call.
    unsafe { libc::ioctl(listener.as_raw_fd(), request as _, &raw const answer) };
}

/// At most `length` bytes of another process's memory, fewer where it ends before.
pub(crate) fn read_memory(pid: u32, at: u64, length: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0u8; length];
    let pid = libc::pid_t::try_from(pid).ok()?;
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    // A page at a time: one that is not there ends what is read, and takes nothing before it away.
    let mut parts = Vec::new();
    let (mut from, mut left) = (usize::try_from(at).ok()?, length);
    while left > 0 {
        let step = (4096 - from % 4096).min(left);
        parts.push(libc::iovec { iov_base: from as *mut libc::c_void, iov_len: step });
        from = from.checked_add(step)?;
        left -= step;
    }
    // SAFETY: the local vector is the whole of our buffer; the remote ones are addresses in the
    // other process, which the kernel checks.
    let got = unsafe {
        libc::process_vm_readv(pid, &raw const local, 1, parts.as_ptr(), parts.len() as _, 0)
    };
    bytes.truncate(usize::try_from(got).ok().filter(|got| *got > 0)?);
    Some(bytes)
}

/// Lets a command start with descriptors at given numbers, all others closed.
pub(crate) fn with_descriptors(command: &mut std::process::Command, fds: Vec<OwnedFd>) {
    use std::os::unix::process::CommandExt;
    let place = move || -> io::Result<()> {
        // Moved out of the way first: a target number may be the source of another.
        let mut raw = [-1 as RawFd; 72];
        for (slot, fd) in raw.iter_mut().zip(&fds) {
            // SAFETY: makes a new descriptor in the child.
            let new = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 128) };
            check(c_long::from(new))?;
            *slot = new;
        }
        cloexec_from(3)?;
        for (target, fd) in (3..).zip(raw.iter().take(fds.len())) {
            // SAFETY: dup2 onto the agreed number, in the child, just before exec.
            check(c_long::from(unsafe { libc::dup2(*fd, target) }))?;
        }
        Ok(())
    };
    // SAFETY: runs between fork and exec; it makes system calls on numbers and neither
    // allocates nor locks.
    unsafe { command.pre_exec(place) };
}

/// Overwrites the environment of this process and forgets it.
///
/// Only for the single-threaded stage processes.
pub(crate) fn forget_environment() {
    unsafe extern "C" {
        static mut environ: *mut *mut std::ffi::c_char;
    }
    // SAFETY: one thread, so nobody reads the environment meanwhile. `environ` is null or points
    // to an array of pointers to writable C strings that ends with null (POSIX); each string is
    // overwritten within its length.
    unsafe {
        let mut entry = environ;
        while !entry.is_null() && !(*entry).is_null() {
            std::ptr::write_bytes(*entry, 0, libc::strlen(*entry));
            entry = entry.add(1);
        }
        environ = std::ptr::null_mut();
    }
}

/// Closes every descriptor from `first` up.
///
/// Only for a process that was forked from one with a single thread and never returns to what
/// that was doing: everything that its memory still holds loses its descriptor.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: close_range(2) on numbers that nothing uses again in this process.
    let done = check(unsafe { libc::syscall(libc::SYS_close_range, first, RawFd::MAX, 0) });
    match done {
        Ok(_) => Ok(()),
        // Linux before 5.9.
        Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {
            for fd in first..4096 {
                // SAFETY: close(2) on a number that nothing uses again; it may not be open.
                unsafe { libc::close(fd) };
            }
            Ok(())
        }
        Err(e) => Err(e),
    }
}

/// Makes `streams` descriptors 0, 1 and 2, and closes every other but `own`, which is returned
/// above all numbers that a program may inherit.
///
/// Only for a process that was forked from one with a single thread and never returns to what
/// that was doing: everything that its memory still holds loses its descriptor.
pub(crate) fn keep_only(streams: Vec<OwnedFd>, own: Vec<OwnedFd>) -> io::Result<Vec<OwnedFd>> {
    use std::os::fd::IntoRawFd as _;
    let first = crate::stage::ABOVE;
    // Out of the way first: a target number may be the source of another.
    let park = |fds: Vec<OwnedFd>| -> io::Result<Vec<RawFd>> {
        fds.into_iter().map(|fd| Ok(dup_above(fd.as_fd(), first + 72)?.into_raw_fd())).collect()
    };
    let (streams, own) = (park(streams)?, park(own)?);
    for (target, fd) in (0..).zip(streams) {
        // SAFETY: dup2(2) on numbers: `fd` is open (just made); what `target` was is replaced.
        check(c_long::from(unsafe { libc::dup2(fd, target) }))?;
    }
    let mut kept = Vec::with_capacity(own.len());
    for (target, fd) in (first..).zip(own) {
        // SAFETY: as above, closed on exec.
        check(c_long::from(unsafe { libc::dup3(fd, target, libc::O_CLOEXEC) }))?;
        kept.push(target);
    }
    let end = first + RawFd::try_from(kept.len()).unwrap_or(72);
    for (from, to) in [(3, first - 1), (end, RawFd::MAX)] {
        // SAFETY: close_range(2) on numbers that nothing uses again in this process.
        let done = check(unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) });
        if done.is_err() {
            // Linux before 5.9.
            for fd in from..to.min(4096) {
                // SAFETY: close(2) on a number that nothing uses again; it may not be open.
                unsafe { libc::close(fd) };
            }
        }
    }
    // SAFETY: each number is open (dup3 made it), was not in the ranges closed, and is owned by
    // nothing else in this process.
    Ok(kept.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).collect())
}

/// A `pidfd` for a child.
pub(crate) fn pidfd(pid: rustix::process::Pid) -> Result<OwnedFd, Errno> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
}

/// The process that a pidfd refers to, as this process sees it.
pub(crate) fn pid_of(pidfd: BorrowedFd<'_>) -> io::Result<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    info.lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .and_then(|pid| pid.trim().parse().ok())
        .filter(|pid| *pid > 0)
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
}

/// A borrowed descriptor as something that can be passed on.
pub(crate) fn clone_fd(fd: impl AsFd) -> io::Result<OwnedFd> {
    fd.as_fd().try_clone_to_owned()
}
