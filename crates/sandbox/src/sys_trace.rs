//! System calls for watching a process tree (ptrace). `unsafe` as in `sys`.
#![expect(unsafe_code, reason = "system calls without a safe wrapper; see each SAFETY text")]

use rustix::process::Pid;
use std::ffi::{CString, c_int, c_long};
use std::io;
use std::os::fd::OwnedFd;

/// What to do with a stopped process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resume {
    /// On to the next call that is watched, delivering a signal (0: none).
    On(c_int),
    /// On to the end of the call that it is in.
    ToExit,
    /// Stay stopped until it is continued by a signal.
    Listen,
}

/// A system call as it begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) arch: u32,
    pub(crate) nr: u64,
    pub(crate) args: [u64; 6],
}

/// What a wait saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Exited(i32),
    Killed(i32),
    /// With the signal and the ptrace event (0: none).
    Stopped(c_int, c_int),
}

/// Starts a program whose watched system calls stop it, traced by the calling thread. If that
/// ends, everything traced is killed. The second value tells, once the process has ended,
/// whether it failed before the program began.
pub(crate) fn spawn_traced(
    program: &CString,
    argv: &[CString],
    env: &[CString],
    filter: &[seccompiler::sock_filter],
) -> io::Result<(Pid, OwnedFd)> {
    use rustix::pipe::{PipeFlags, pipe_with};
    // All that allocates comes before the fork: other threads may hold the allocator's locks.
    let pointers = |list: &[CString]| {
        list.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    let (wait, go) = pipe_with(PipeFlags::CLOEXEC)?;
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC)?;
    match crate::sys::fork_into(0)? {
        crate::sys::Forked::Child => {
            drop(go);
            let began = rustix::io::read(&wait, &mut [0u8; 1]) == Ok(1)
                && rustix::thread::set_no_new_privs(true).is_ok()
                && crate::sys::install_filter(filter).is_ok();
            if began {
                // SAFETY: sets the default action, which this program's own start had changed.
                unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
                // SAFETY: the arrays hold pointers to C strings that outlive the call, and end
                // with null; they were made before the fork.
                unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
            }
            let error = io::Error::last_os_error().raw_os_error().unwrap_or(0);
            let _gone = rustix::io::write(&tell, &error.to_ne_bytes());
            crate::sys::exit_now(127);
        }
        crate::sys::Forked::Parent(pid) => {
            drop(wait);
            drop(tell);
            let options = libc::PTRACE_O_TRACEFORK
                | libc::PTRACE_O_TRACEVFORK
                | libc::PTRACE_O_TRACECLONE
                | libc::PTRACE_O_TRACEEXEC
                | libc::PTRACE_O_TRACESECCOMP
                | libc::PTRACE_O_TRACESYSGOOD
                | libc::PTRACE_O_EXITKILL;
            // SAFETY: PTRACE_SEIZE takes numbers only.
            let seized =
                unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid.as_raw_nonzero().get(), 0, options) };
            if seized < 0 {
                let error = io::Error::last_os_error();
                // Without the word to go on it ends by itself.
                drop(go);
                let _reaped =
                    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
                return Err(error);
            }
            rustix::io::write(&go, b"g")?;
            Ok((pid, told))
        }
    }
}

/// Waits for a change of any process that this thread started or traces. None: there is none.
pub(crate) fn wait_any() -> Option<(i32, Change)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one int, which lives across the call.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        if pid < 0 {
            if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return None;
        }
        let change = if libc::WIFEXITED(status) {
            Change::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Change::Killed(libc::WTERMSIG(status))
        } else if libc::WIFSTOPPED(status) {
            Change::Stopped(libc::WSTOPSIG(status), status >> 16)
        } else {
            continue;
        };
        return Some((pid, change));
    }
}

/// Lets a stopped process go on. One that was killed meanwhile is no error.
pub(crate) fn resume(pid: i32, how: Resume) {
    let (request, signal) = match how {
        Resume::On(signal) => (libc::PTRACE_CONT, signal),
        Resume::ToExit => (libc::PTRACE_SYSCALL, 0),
        Resume::Listen => (libc::PTRACE_LISTEN, 0),
    };
    // SAFETY: the request takes numbers only; of a process that is gone it says ESRCH.
    unsafe { libc::ptrace(request, pid, 0, c_long::from(signal)) };
}

/// The number that came with the last event.
pub(crate) fn event_message(pid: i32) -> Option<u64> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: writes one long, which lives across the call.
    let done = unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, pid, 0, &raw mut message) };
    (done >= 0).then_some(message)
}

fn call_info(pid: i32) -> Option<libc::ptrace_syscall_info> {
    // SAFETY: plain data for which all zeroes is a value.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: writes at most `size` bytes to `info`, which lives across the call.
    let got = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) };
    (got > 0).then_some(info)
}

/// The call in which a process stands after a stop of the filter.
pub(crate) fn entry(pid: i32) -> Option<Entry> {
    let info = call_info(pid)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
        return None;
    }
    // SAFETY: `op` says which part of the union was written.
    let call = unsafe { info.u.seccomp };
    Some(Entry { arch: info.arch, nr: call.nr, args: call.args })
}

/// What the call returned that a process is at the end of; negative for an error.
pub(crate) fn result(pid: i32) -> Option<i64> {
    let info = call_info(pid)?;
    if info.op != libc::PTRACE_SYSCALL_INFO_EXIT {
        return None;
    }
    // SAFETY: `op` says which part of the union was written.
    Some(unsafe { info.u.exit.sval })
}
