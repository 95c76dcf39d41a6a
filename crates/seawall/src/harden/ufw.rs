//! ufw's rules as it would write them: its own commands, run on copies of its files. So the files
//! are known before anything changes, and an undo restores them to the byte.

use super::tools::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files below `/` that ufw's commands write.
const FILES: [&str; 4] =
    ["etc/ufw/ufw.conf", "etc/ufw/user.rules", "etc/ufw/user6.rules", "etc/default/ufw"];

/// What ufw would make of its files.
pub(crate) struct Staged {
    /// Files below the root that change, with their new bytes.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
}

/// Runs the commands of a piece on copies. `None`: ufw is not installed.
pub(crate) fn stage(root: &Path, text: &str) -> Result<Option<Staged>, String> {
    let Some(ufw) = program("ufw") else { return Ok(None) };
    let dir = tempfile::Builder::new()
        .prefix("seawall-ufw-")
        .tempdir()
        .map_err(|e| format!("cannot make a folder for copies: {e}"))?;
    let copy = dir.path();
    let say = |path: &Path, e: std::io::Error| format!("`{}`: {e}", path.display());
    // The last two hold its lock, by release.
    for folder in ["etc/ufw", "etc/default", "run", "lib/ufw"] {
        let to = copy.join(folder);
        fs::create_dir_all(&to).map_err(|e| say(&to, e))?;
    }
    let from = root.join("etc/ufw");
    for entry in fs::read_dir(&from).map_err(|e| say(&from, e))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let to = copy.join("etc/ufw").join(entry.file_name());
            fs::copy(entry.path(), &to).map_err(|e| say(&entry.path(), e))?;
        }
    }
    let applications = copy.join("etc/ufw/applications.d");
    fs::create_dir_all(&applications).map_err(|e| say(&applications, e))?;
    let default = root.join("etc/default/ufw");
    fs::copy(&default, copy.join("etc/default/ufw")).map_err(|e| say(&default, e))?;
    // Only files are written: the rules of the host stay what they are.
    enabled(copy, false)?;
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some((&"ufw", arguments)) = words.split_first() else { continue };
        if arguments == ["--force", "enable"] {
            continue;
        }
        run(&ufw, copy, arguments)?;
    }
    enabled(copy, true)?;
    let mut files = Vec::new();
    for name in FILES {
        let new = fs::read(copy.join(name)).map_err(|e| say(&copy.join(name), e))?;
        if fs::read(root.join(name)).ok().as_deref() != Some(new.as_slice()) {
            files.push((PathBuf::from(name), new));
        }
    }
    Ok(Some(Staged { files }))
}

/// Whether ufw filters now.
pub(crate) fn active() -> bool {
    program("ufw")
        .and_then(|ufw| Command::new(ufw).arg("status").env("LC_ALL", "C").output().ok())
        .is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains("Status: active"))
}

/// Whether Docker made the chain that published ports pass.
pub(crate) fn docker_chain() -> bool {
    program("iptables").is_some_and(|iptables| {
        Command::new(iptables)
            .args(["-w", "-n", "-L", "DOCKER-USER"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn enabled(copy: &Path, on: bool) -> Result<(), String> {
    let path = copy.join("etc/ufw/ufw.conf");
    let say = |e: std::io::Error| format!("`{}`: {e}", path.display());
    let old = fs::read_to_string(&path).map_err(say)?;
    let wanted = if on { "ENABLED=yes" } else { "ENABLED=no" };
    let mut new = String::new();
    for line in old.lines() {
        new.push_str(if line.trim_start().starts_with("ENABLED=") { wanted } else { line });
        new.push('\n');
    }
    fs::write(&path, new).map_err(say)
}

fn run(ufw: &Path, copy: &Path, arguments: &[&str]) -> Result<(), String> {
    // It looks at the packet filter although it changes nothing there; with a network of its own
    // it leaves not even an empty table behind.
    let alone = program("unshare").filter(|_| rustix::process::geteuid().is_root());
    let mut command = match alone {
        Some(unshare) => {
            let mut command = Command::new(unshare);
            command.arg("-n").arg(ufw);
            command
        }
        None => Command::new(ufw),
    };
    let output = command
        .arg(format!("--datadir={}", copy.display()))
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("`ufw`: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(400).collect();
    Err(format!("`ufw {}` failed: {said}", arguments.join(" ")))
}
