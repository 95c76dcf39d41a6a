//! `cargo xtask setup`: what a fresh Debian 12 machine with Rust lacks.
//!
//! Everything that is not a Debian package goes into the cache, never into the checkout. A step
//! that is already done is skipped, and a step that is cut short leaves nothing that looks done.

use crate::paths;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// Install what the other tasks need.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only say what is missing; fail when something is.
    #[arg(long)]
    check: bool,
    /// Also the host's own tools (sshd, ufw, nginx, ...) that tests of `seawall harden host` ask and
    /// are skipped without. Their services are not started. Implied where CI is set.
    #[arg(long)]
    tools: bool,
}

/// A program that tasks call, and the Debian package that brings it.
const PROGRAMS: &[(&str, &str)] = &[
    ("cc", "build-essential"), // links the workspace; the tour builds a program with it
    ("make", "build-essential"), // likewise
    ("git", "git"),            // the tour's workspace is a repository
    ("curl", "curl"),          // tool of attackers and of ordinary work alike
    ("python3", "python3"),    // likewise
    ("npm", "npm"),            // installs OpenClaw and Node
    ("cvc5", "cvc5"),          // proves what a policy keeps
    ("ip", "iproute2"),        // addresses inside the tour's own network namespace
    ("unshare", "util-linux"), // makes that namespace
    ("mount", "mount"),        // and its file systems
    ("dnsmasq", "dnsmasq-base"), // the name server that turns, in the tests of the proxy
    ("openssl", "openssl"),    // certificates and a client there
    ("nft", "nftables"),       // host-wide enforcement there
    ("setpriv", "util-linux"), // runs a tour as an ordinary user when root starts it
];

/// What `seawall harden host` writes for, so that its tests can ask the real ones. Servers among them
/// would run on the machine of whoever sets up for something else: only for CI, and on request.
const TOOLS: &[(&str, &str)] = &[
    ("sshd", "openssh-server"),
    ("ssh", "openssh-client"),
    ("nft", "nftables"),
    ("ufw", "ufw"),
    ("nginx", "nginx-light"),
    ("caddy", "caddy"),
    ("openssl", "openssl"),
    ("wg-quick", "wireguard-tools"),
    ("logrotate", "logrotate"),
    ("docker-compose", "docker-compose"),
    ("systemd-analyze", "systemd"),
    ("setfacl", "acl"),
];

/// Files that must be there beside programs.
const FILES: &[(&str, &str)] = &[("/etc/ssl/certs/ca-certificates.crt", "ca-certificates")];

pub(crate) fn run(args: &Args) -> ExitCode {
    let done = if args.check {
        check()
    } else {
        ensure().and_then(|_| if args.tools { debian(&missing_tools()) } else { Ok(()) })
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("setup: {error}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> Result<(), String> {
    let packages = missing_packages();
    let mut lacks = Vec::new();
    if !packages.is_empty() {
        lacks.push(format!("Debian packages: {}", packages.join(" ")));
    }
    if !installed(&paths::openclaw()) {
        lacks.push(format!("OpenClaw {} in {}", paths::OPENCLAW, paths::openclaw().display()));
    }
    if lacks.is_empty() {
        println!("setup: nothing is missing");
        Ok(())
    } else {
        Err(format!("missing: {}; `cargo xtask setup` installs them", lacks.join("; ")))
    }
}

/// Installs what is missing and returns the folder of OpenClaw.
pub(crate) fn ensure() -> Result<PathBuf, String> {
    debian(&missing_packages())?;
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        debian(&missing_tools())?;
    }
    openclaw()
}

fn missing_tools() -> Vec<&'static str> {
    let mut missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    missing.dedup();
    missing
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| find_program(program).is_none())
        .map(|(_, package)| *package)
        .chain(FILES.iter().filter(|(file, _)| !Path::new(file).exists()).map(|(_, p)| *p))
        .collect();
    missing.dedup();
    missing
}

/// Looks a program up as a shell would, and where Debian keeps those for administrators.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

fn debian(missing: &[&str]) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find_program("apt-get").is_none() {
        return Err(format!(
            "this is not Debian; install what these packages hold and try again: {list}"
        ));
    }
    if !rustix::process::geteuid().is_root() {
        return Err(format!(
            "Debian packages are missing; as root run: apt-get install --no-install-recommends {list}"
        ));
    }
    println!("setup: installing Debian packages: {list}");
    let _quiet = NoServices::new()?;
    let apt = |arguments: &[&str]| {
        step(
            Command::new("apt-get")
                .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
                .args(arguments)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments)?;
    let still: Vec<&str> = missing_packages()
        .into_iter()
        .chain(missing_tools())
        .filter(|package| missing.contains(package))
        .collect();
    if still.is_empty() {
        Ok(())
    } else {
        Err(format!("apt-get succeeded, but these are still missing: {}", still.join(" ")))
    }
}

/// While it is there, Debian's packages start no service. Somebody's own policy stays.
struct NoServices(bool);

impl NoServices {
    const PATH: &str = "/usr/sbin/policy-rc.d";

    fn new() -> Result<Self, String> {
        if Path::new(Self::PATH).exists() {
            return Ok(Self(false));
        }
        let say = |error: io::Error| format!("{}: {error}", Self::PATH);
        fs::write(Self::PATH, "#!/bin/sh\nexit 101\n").map_err(say)?;
        fs::set_permissions(Self::PATH, fs::Permissions::from_mode(0o755)).map_err(say)?;
        Ok(Self(true))
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.0 {
            let _ = fs::remove_file(Self::PATH);
        }
    }
}

/// Whether a folder holds the versions that are asked for. The folder gets its name only when
/// it is complete, so what has to be ruled out is another version in a folder of the user's.
pub(crate) fn installed(dir: &Path) -> bool {
    dir.join("node_modules/.bin/node").exists()
        && version(&dir.join("node_modules/openclaw/package.json")).as_deref()
            == Some(paths::OPENCLAW)
        && version(&dir.join("node_modules/node/package.json")).as_deref() == Some(paths::NODE)
}

fn version(package: &Path) -> Option<String> {
    let text = fs::read_to_string(package).ok()?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(json.get("version")?.as_str()?.to_owned())
}

fn openclaw() -> Result<PathBuf, String> {
    let dir = paths::openclaw();
    if installed(&dir) {
        return Ok(dir);
    }
    if dir.join("node_modules").exists() {
        return Err(format!(
            "{} holds something else than OpenClaw {} and Node {}; name another folder in \
             SEAWALL_CACHE or remove this one",
            dir.display(),
            paths::OPENCLAW,
            paths::NODE
        ));
    }
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error: io::Error| format!("{}: {error}", path.display())
    };
    let parent = dir.parent().ok_or_else(|| format!("{}: no parent folder", dir.display()))?;
    fs::create_dir_all(parent).map_err(at(parent))?;
    println!(
        "setup: installing OpenClaw {} and Node {} into {} (about 770 MB, a minute or two)",
        paths::OPENCLAW,
        paths::NODE,
        dir.display()
    );
    // Beside its final place, so that the rename at the end is atomic.
    let staging =
        tempfile::Builder::new().prefix(".openclaw-").tempdir_in(parent).map_err(at(parent))?;
    let source = paths::checkout().join("testdata/openclaw");
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), staging.path().join(file)).map_err(at(&source.join(file)))?;
    }
    fs::copy(paths::checkout().join(".npmrc"), staging.path().join(".npmrc"))
        .map_err(at(&paths::checkout().join(".npmrc")))?;
    let npm = |arguments: &[&str], path: Option<PathBuf>| {
        let mut command = Command::new("npm");
        command.args(arguments).args(["--no-audit", "--no-fund", "--loglevel=error"]);
        command.current_dir(staging.path());
        if let Some(first) = path {
            let old = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(first).chain(std::env::split_paths(&old));
            command.env("PATH", std::env::join_paths(all).unwrap_or(old));
        }
        step(&mut command)
    };
    // First the files, then Node (its package fetches the binary of this architecture), then the
    // install scripts of the rest under that Node: the host's may be too old for them.
    npm(&["ci", "--ignore-scripts"], None)?;
    npm(&["rebuild", "node"], None)?;
    npm(&["rebuild"], Some(staging.path().join("node_modules/.bin")))?;
    if !installed(staging.path()) {
        return Err("npm succeeded, but what it installed is not what the lockfile names".into());
    }
    let staged = staging.keep();
    // A temporary folder is private; the gateway may run as another user than the one who ran
    // this.
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o755)).map_err(at(&staged))?;
    match fs::rename(&staged, &dir) {
        Ok(()) => {}
        // Somebody else was faster; theirs is as good.
        Err(_) if installed(&dir) => {
            let _ = fs::remove_dir_all(&staged);
        }
        // An empty folder that the user made is fine to replace; `rename` says so itself.
        Err(error) => {
            let _ = fs::remove_dir_all(&staged);
            return Err(format!("{}: {error}", dir.display()));
        }
    }
    println!("setup: OpenClaw is installed");
    Ok(dir)
}

/// Runs one step, with its output shown, and turns a failure into a sentence.
pub(crate) fn step(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<String> =
        command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let status = command.status().map_err(|e| format!("`{program}`: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{program} {}` failed ({status})", arguments.join(" ")))
    }
}
