//! The last steps before the confined program: from here on only restrictions are added.

use super::{Context, FAILED};
use crate::spec::{JailSpec, Right};
use crate::sys;
use crate::wire::{self, Report, StageError, Step};
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// Becomes the program. Returns only when that did not work.
pub(crate) fn run(context: &Context<'_>, listener: Option<&OwnedFd>) -> i32 {
    let Err(error) = become_program(context, listener);
    let _gone = wire::report(context.control.as_fd(), &Report::Failed(error), None);
    FAILED
}

fn become_program(
    context: &Context<'_>,
    listener: Option<&OwnedFd>,
) -> Result<std::convert::Infallible, StageError> {
    let spec = context.spec;
    // A session of its own: no controlling terminal, and no signals from one.
    rustix::process::setsid().step("start a session")?;
    limits(spec)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::chdir(&spec.cwd).step_on("enter the working directory", &spec.cwd)?;
    // Prepared while allocation and every call is still possible.
    let c = |s: &str| CString::new(s).step("prepare the arguments");
    let argv = spec.argv.iter().map(|a| c(a)).collect::<Result<Vec<_>, _>>()?;
    let env =
        spec.env.iter().map(|(k, v)| c(&format!("{k}={v}"))).collect::<Result<Vec<_>, _>>()?;
    let program = argv.first().cloned().unwrap_or_default();
    let filter = crate::seccomp::filter(spec.seccomp);

    landlock(spec)?;
    sys::cloexec_from(3).step("close descriptors")?;
    for (target, fd) in &context.inherited {
        sys::dup_onto(fd.as_fd(), *target).step("pass descriptors on")?;
    }
    sys::default_signals();
    if let Some(to) = listener {
        // Where the kernel can't tell of calls, init hears nothing and says so.
        if let Ok(fd) = sys::install_notifier(&super::report::filter()) {
            wire::send(to.as_fd(), b"l", &[fd.as_fd()]).step("hand over the listener")?;
        }
    }
    sys::install_filter(&filter).step("install the system call filter")?;
    let error = sys::exec(&program, &argv, &env);
    let path = spec.argv.first().cloned().unwrap_or_default();
    Err(StageError::new("start", error)
        .path(&path)
        .hint("the path is that inside the jail; it and its interpreter must be in the plan"))
}

fn limits(spec: &JailSpec) -> Result<(), StageError> {
    let lower = |resource, wanted: u64| {
        let now = getrlimit(resource);
        let max = now.maximum.map_or(wanted, |max| max.min(wanted));
        setrlimit(resource, Rlimit { current: Some(max), maximum: Some(max) })
    };
    // 1 and not 0: a host that pipes core dumps to a program of its own ignores 0, and a limit of
    // 1 is the kernel's sign for neither.
    lower(Resource::Core, 1).step("switch core dumps off")?;
    lower(Resource::Memlock, 64 << 20).step("limit locked memory")?;
    if let Some(files) = spec.limits.open_files {
        lower(Resource::Nofile, files).step("limit open files")?;
    }
    if let Some(size) = spec.limits.file_size {
        lower(Resource::Fsize, size).step("limit file size")?;
    }
    if let Some(pids) = spec.limits.pids {
        // Counts per user and user namespace; an ordinary user's own processes outside are not
        // counted against it on the kernels that have user namespaces worth using (5.14). A few
        // more than the control group's limit, which is met first and tells that it was.
        lower(Resource::Nproc, pids.saturating_add(8)).step("limit processes")?;
    }
    Ok(())
}

/// The Landlock ABI that is used: what both this kernel and this program know.
pub(crate) fn abi() -> (u32, ABI) {
    match sys::landlock_abi() {
        0 => (0, ABI::Unsupported),
        1 => (1, ABI::V1),
        2 => (2, ABI::V2),
        3 => (3, ABI::V3),
        4 => (4, ABI::V4),
        5 => (5, ABI::V5),
        6 => (6, ABI::V6),
        _ => (7, ABI::V7),
    }
}

fn rights(right: Right, abi: ABI, folder: bool) -> BitFlags<AccessFs> {
    let all = match right {
        Right::List => BitFlags::from(AccessFs::ReadDir),
        Right::Read => AccessFs::from_read(abi),
        Right::Proc => {
            // A shell's `>` opens with O_TRUNC.
            AccessFs::ReadDir
                | AccessFs::ReadFile
                | AccessFs::WriteFile
                | (AccessFs::from_all(abi) & AccessFs::Truncate)
        }
        Right::Device => AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock),
        Right::Write => {
            let device = if matches!(abi, ABI::V5 | ABI::V6 | ABI::V7 | ABI::V8) {
                BitFlags::from(AccessFs::IoctlDev)
            } else {
                BitFlags::empty()
            };
            AccessFs::from_all(abi) & !(AccessFs::MakeChar | AccessFs::MakeBlock | device)
        }
    };
    if folder { all } else { all & AccessFs::from_file(abi) }
}

fn landlock(spec: &JailSpec) -> Result<(), StageError> {
    let (number, abi) = abi();
    if number == 0 {
        return Ok(());
    }
    // Exactly what this ABI has: a right that is not understood is an error, not a shrug.
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .step("prepare Landlock")?;
    if number >= 6 {
        ruleset =
            ruleset.scope(Scope::AbstractUnixSocket | Scope::Signal).step("prepare Landlock")?;
    }
    let mut ruleset = ruleset.create().step("prepare Landlock")?;
    for (path, right) in spec.landlock_rules() {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match open(&path, flags, Mode::empty()) {
            Ok(fd) => fd,
            // An optional mount that was passed over.
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(e) => return Err(StageError::new("prepare Landlock", e).path(&path)),
        };
        let stat = fstat(&fd).step_on("prepare Landlock", &path)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        // What a link of the system points at has a rule of its own, or is not for the program.
        if kind == FileType::Symlink {
            continue;
        }
        let access = rights(right, abi, kind == FileType::Directory);
        ruleset =
            ruleset.add_rule(PathBeneath::new(fd, access)).step_on("prepare Landlock", &path)?;
    }
    ruleset.restrict_self().step("enter Landlock")?;
    Ok(())
}
