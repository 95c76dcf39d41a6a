//! The system calls that are watched, and what each one's arguments mean.

use seccompiler::sock_filter;

/// Where a path is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum At {
    /// The working directory.
    Cwd,
    /// The folder whose descriptor is this argument.
    Fd(usize),
}

/// Where the flags of an `open` are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flags {
    /// In this argument.
    Arg(usize),
    /// At the start of the structure to which this argument points.
    How(usize),
    /// Given by the call: `creat`.
    Creat,
}

/// What a call does with one of its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Opens a path.
    Open(At, usize, Flags),
    /// Makes or removes a name.
    Name(At, usize),
    /// Changes what is at a path in place.
    Alter(At, usize),
    /// Asks about a path.
    Look(At, usize),
    /// Runs a program.
    Exec(At, usize),
    /// Connects to an address (pointer, length).
    Connect(usize, usize),
    /// Sends to an address (pointer, length); none when the pointer is null.
    Send(usize, usize),
    /// Sends what a `msghdr` says.
    SendMessage(usize),
    /// Takes an address (pointer, length).
    Bind(usize, usize),
    /// Does something that cannot be followed; the text says what is missed.
    Blind(&'static str),
}

use At::{Cwd, Fd};
use What::{Alter, Bind, Blind, Connect, Exec, Look, Name, Open, Send, SendMessage};

/// One watched call.
pub(crate) type Call = (libc::c_long, &'static [What]);

/// Those of every architecture.
const COMMON: &[Call] = &[
    (libc::SYS_openat, &[Open(Fd(0), 1, Flags::Arg(2))]),
    (libc::SYS_openat2, &[Open(Fd(0), 1, Flags::How(2))]),
    (libc::SYS_execve, &[Exec(Cwd, 0)]),
    (libc::SYS_execveat, &[Exec(Fd(0), 1)]),
    (libc::SYS_mkdirat, &[Name(Fd(0), 1)]),
    (libc::SYS_mknodat, &[Name(Fd(0), 1)]),
    (libc::SYS_unlinkat, &[Name(Fd(0), 1)]),
    (libc::SYS_symlinkat, &[Name(Fd(1), 2)]),
    (libc::SYS_linkat, &[Look(Fd(0), 1), Name(Fd(2), 3)]),
    (libc::SYS_renameat2, &[Name(Fd(0), 1), Name(Fd(2), 3)]),
    (libc::SYS_truncate, &[Alter(Cwd, 0)]),
    (libc::SYS_fchmodat, &[Alter(Fd(0), 1)]),
    (libc::SYS_fchownat, &[Alter(Fd(0), 1)]),
    (libc::SYS_utimensat, &[Alter(Fd(0), 1)]),
    (libc::SYS_setxattr, &[Alter(Cwd, 0)]),
    (libc::SYS_lsetxattr, &[Alter(Cwd, 0)]),
    (libc::SYS_removexattr, &[Alter(Cwd, 0)]),
    (libc::SYS_lremovexattr, &[Alter(Cwd, 0)]),
    (libc::SYS_statx, &[Look(Fd(0), 1)]),
    (libc::SYS_newfstatat, &[Look(Fd(0), 1)]),
    (libc::SYS_faccessat, &[Look(Fd(0), 1)]),
    (libc::SYS_faccessat2, &[Look(Fd(0), 1)]),
    (libc::SYS_readlinkat, &[Look(Fd(0), 1)]),
    (libc::SYS_chdir, &[Look(Cwd, 0)]),
    (libc::SYS_connect, &[Connect(1, 2)]),
    (libc::SYS_bind, &[Bind(1, 2)]),
    (libc::SYS_sendto, &[Send(4, 5)]),
    (libc::SYS_sendmsg, &[SendMessage(1)]),
    (libc::SYS_sendmmsg, &[SendMessage(1), Blind("all but the first message of a sendmmsg call")]),
    (libc::SYS_open_by_handle_at, &[Blind("files opened by handle")]),
    (libc::SYS_chroot, &[Blind("paths after a chroot")]),
    (libc::SYS_mount, &[Blind("paths after a mount")]),
    (libc::SYS_move_mount, &[Blind("paths after a mount")]),
];

/// Older calls that only this architecture has.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[Call] = &[
    (libc::SYS_open, &[Open(Cwd, 0, Flags::Arg(1))]),
    (libc::SYS_creat, &[Open(Cwd, 0, Flags::Creat)]),
    (libc::SYS_mkdir, &[Name(Cwd, 0)]),
    (libc::SYS_mknod, &[Name(Cwd, 0)]),
    (libc::SYS_rmdir, &[Name(Cwd, 0)]),
    (libc::SYS_unlink, &[Name(Cwd, 0)]),
    (libc::SYS_symlink, &[Name(Cwd, 1)]),
    (libc::SYS_link, &[Look(Cwd, 0), Name(Cwd, 1)]),
    (libc::SYS_rename, &[Name(Cwd, 0), Name(Cwd, 1)]),
    (libc::SYS_renameat, &[Name(Fd(0), 1), Name(Fd(2), 3)]),
    (libc::SYS_chmod, &[Alter(Cwd, 0)]),
    (libc::SYS_chown, &[Alter(Cwd, 0)]),
    (libc::SYS_lchown, &[Alter(Cwd, 0)]),
    (libc::SYS_utime, &[Alter(Cwd, 0)]),
    (libc::SYS_utimes, &[Alter(Cwd, 0)]),
    (libc::SYS_futimesat, &[Alter(Fd(0), 1)]),
    (libc::SYS_stat, &[Look(Cwd, 0)]),
    (libc::SYS_lstat, &[Look(Cwd, 0)]),
    (libc::SYS_access, &[Look(Cwd, 0)]),
    (libc::SYS_readlink, &[Look(Cwd, 0)]),
];
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[Call] = &[];

#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCH: u32 = 0xc000_00f3;

/// Numbers from here up are those of the x32 interface.
const X32: u32 = 0x4000_0000;

/// What a call does; None when it is of another architecture than this program's.
pub(crate) fn meaning(arch: u32, nr: u64) -> Option<&'static [What]> {
    let nr = libc::c_long::try_from(nr).ok()?;
    if arch != ARCH {
        return None;
    }
    COMMON.iter().chain(LEGACY).find(|(n, _)| *n == nr).map(|(_, what)| *what)
}

/// A filter that stops at the watched calls and at those of other architectures.
///
/// io_uring, whose operations no tracer sees, is not there: programs then do the same by calls,
/// and no run has it either.
pub(crate) fn filter() -> Vec<sock_filter> {
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let op = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let absent = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let mut ops = vec![
        op(LOAD, 4, 0, 0),
        op(EQUAL, ARCH, 1, 0),
        op(RETURN, libc::SECCOMP_RET_TRACE, 0, 0),
        op(LOAD, 0, 0, 0),
        op(AT_LEAST, X32, 0, 1),
        op(RETURN, libc::SECCOMP_RET_TRACE, 0, 0),
    ];
    let mut answer = |nr: libc::c_long, action| {
        ops.push(op(EQUAL, u32::try_from(nr).unwrap_or(u32::MAX), 0, 1));
        ops.push(op(RETURN, action, 0, 0));
    };
    for nr in [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register] {
        answer(nr, absent);
    }
    for (nr, _) in COMMON.iter().chain(LEGACY) {
        answer(*nr, libc::SECCOMP_RET_TRACE);
    }
    ops.push(op(RETURN, libc::SECCOMP_RET_ALLOW, 0, 0));
    ops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_there_twice() {
        let mut numbers: Vec<_> = COMMON.iter().chain(LEGACY).map(|(nr, _)| *nr).collect();
        numbers.sort_unstable();
        let all = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), all);
    }

    #[test]
    fn calls_of_another_architecture_mean_nothing() {
        assert!(meaning(0x4000_0003, 5).is_none());
        let open = u64::try_from(libc::SYS_openat).unwrap();
        assert!(meaning(ARCH, open).is_some());
    }
}
