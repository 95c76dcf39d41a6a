//! Where the scanning child runs.
//!
//! Its own jail: no network, no process but itself, an empty root that holds this program and the
//! libraries it is linked with, Landlock and the system-call list of tool runs over that. Where the
//! host allows no jail (no user namespaces, or Seawall is inside one already), it is an ordinary
//! process without environment, under resource limits; that is partial, and said.

use seawall_sandbox::plan::HOST_IDS;
use seawall_sandbox::spec::{Access, Limits, Mount, Profile, Stop};
use seawall_sandbox::{Jail, JailIo, JailSpec};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

/// Where this program is seen inside.
const PROGRAM: &str = "/run/seawall/seawall";

/// Libraries, for the loader of a program that is linked to them. No program besides our own.
const LIBRARIES: &[&str] = &["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache"];

/// On the host, where root starts it: an id that owns nothing, beyond those of tool runs.
const HOST_ID: u32 = HOST_IDS + 100_000;

/// Memory in bytes. A skill of the largest size with its unpacked archives, trees and copies.
const MEMORY: u64 = 1 << 30;

/// What holds the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// A jail with everything that was asked for.
    Full,
    /// Something is missing: what, in words.
    Partial(String),
}

enum Process {
    Jail(Box<Jail>),
    Plain(Child),
}

/// The running child.
pub(crate) struct Cell {
    process: Process,
    confinement: Confinement,
}

impl Cell {
    /// Starts it with these standard streams.
    ///
    /// # Errors
    /// When not even an ordinary process can be started.
    pub(crate) fn start(input: PipeReader, output: PipeWriter) -> std::io::Result<Self> {
        let (spare_input, spare_output) = (input.try_clone()?, output.try_clone()?);
        let io = JailIo {
            stdin: Some(OwnedFd::from(input)),
            stdout: Some(OwnedFd::from(output)),
            ..JailIo::default()
        };
        let jailed = spec().and_then(|spec| Jail::spawn(&spec, io).map_err(|e| e.to_string()));
        match jailed {
            Ok(jail) => {
                let confinement = judge(&jail);
                Ok(Self { process: Process::Jail(Box::new(jail)), confinement })
            }
            Err(why) => {
                let child = Command::new(std::env::current_exe()?)
                    .args(["skill", "scan-child"])
                    .env_clear()
                    .current_dir("/")
                    .stdin(Stdio::from(spare_input))
                    .stdout(Stdio::from(spare_output))
                    .stderr(Stdio::null())
                    .spawn()?;
                Ok(Self { process: Process::Plain(child), confinement: Confinement::Partial(why) })
            }
        }
    }

    pub(crate) fn confinement(&self) -> &Confinement {
        &self.confinement
    }

    /// Ends it; its pipes break.
    pub(crate) fn kill(&mut self) {
        match &mut self.process {
            Process::Jail(jail) => jail.kill(),
            Process::Plain(child) => {
                let _gone = child.kill();
            }
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.kill();
        match &mut self.process {
            Process::Jail(jail) => {
                let _exit = jail.wait();
            }
            Process::Plain(child) => {
                let _reaped = child.wait();
            }
        }
    }
}

/// Control groups are not asked for by everyone's host; the process limits its own memory too
/// ([`limit_self`]), so a missing one does not make the jail partial.
fn judge(jail: &Jail) -> Confinement {
    let facts = jail.facts();
    if facts.seccomp == 0 {
        return Confinement::Partial("no system call is filtered".into());
    }
    if facts.landlock == 0 {
        return Confinement::Partial("this kernel has no Landlock; the mounts hold alone".into());
    }
    Confinement::Full
}

fn spec() -> Result<JailSpec, String> {
    let program = std::fs::canonicalize("/proc/self/exe").map_err(|e| e.to_string())?;
    let program = program.to_str().ok_or("this program's path is not UTF-8")?;
    let mut mounts: Vec<Mount> =
        LIBRARIES.iter().map(|p| Mount::System { path: (*p).into() }).collect();
    mounts.push(Mount::Bind {
        from: program.into(),
        to: PROGRAM.into(),
        access: Access::Ro,
        exec: true,
        own: false,
        optional: false,
    });
    // The standard library opens it when a standard stream is missing.
    mounts.push(Mount::Device { path: "/dev/null".into() });
    Ok(JailSpec {
        name: "scan".into(),
        argv: vec![PROGRAM.into(), "skill".into(), "scan-child".into()],
        env: BTreeMap::new(),
        cwd: "/".into(),
        uid: 1000,
        gid: 1000,
        host_id: HOST_ID,
        ensure: Vec::new(),
        mounts,
        listeners: Vec::new(),
        factory: false,
        limits: Limits {
            memory: Some(MEMORY),
            pids: Some(8),
            open_files: Some(32),
            file_size: Some(0),
            ..Limits::default()
        },
        seccomp: Profile::Run,
        report: false,
        inherit: BTreeSet::new(),
        stop: Stop::All,
        oom_score_adj: 500,
    })
}

/// Takes away what the child could misuse, before it reads a byte; in a jail as well, where the
/// host may have no control groups.
///
/// # Errors
/// When a limit cannot be set: nothing is scanned then.
pub(crate) fn limit_self() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    for (resource, value) in [
        // Bytes written to a file: none. Standard output is a pipe.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 16),
        // Address space: thread stacks and mappings are far larger than what is used.
        (Resource::As, 2 * MEMORY),
        (Resource::Cpu, 60),
    ] {
        setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?;
    }
    Ok(())
}
