//! What the host says about the session in which this runs, and about who gets in.

use super::tools::{SSHD_CASE, program};
use seawall_audit::harden::host::Parameters;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The SSH session in which this runs: `client port server port`.
pub(crate) fn session() -> Option<String> {
    inherited("SSH_CONNECTION")
}

/// The agent that the session forwards, with the keys of whoever logged in.
pub(crate) fn agent() -> Option<PathBuf> {
    inherited("SSH_AUTH_SOCK").map(PathBuf::from).filter(|path| path.exists())
}

/// A variable of the session. `sudo` takes it away, the processes above it have it still.
fn inherited(name: &str) -> Option<String> {
    if let Ok(value) = std::env::var(name) {
        return Some(value).filter(|value| !value.is_empty());
    }
    let mut pid = std::process::id();
    for _ in 0..64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; the parent is the second field behind it.
        pid = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
        if pid <= 1 {
            return None;
        }
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        for variable in environment.split(|byte| *byte == 0) {
            if let Some(value) =
                variable.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"="))
            {
                return String::from_utf8(value.to_vec()).ok();
            }
        }
    }
    None
}

/// The client's address, the server's address and its port of a session.
pub(crate) fn endpoint(session: &str) -> Option<(IpAddr, IpAddr, u16)> {
    let mut parts = session.split_whitespace();
    let client = parts.next()?.parse().ok()?;
    Some((client, parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Who logged in, behind `sudo`.
pub(crate) fn login_user() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok())
}

/// Ports on which sshd listens today, as far as it says: 22 when it does not.
pub(crate) fn ssh_ports(root: &Path) -> Vec<u16> {
    let config = root.join("etc/ssh/sshd_config");
    let ports: Vec<u16> = effective(&config, None)
        .lines()
        .filter_map(|line| line.strip_prefix("port ")?.trim().parse().ok())
        .collect();
    if ports.is_empty() { vec![22] } else { ports }
}

/// What `sshd -T` says of a configuration, for a user when one is named; nothing when it says
/// nothing.
fn effective(config: &Path, user: Option<&str>) -> String {
    let Some(sshd) = program("sshd") else { return String::new() };
    let mut command = Command::new(sshd);
    let case = SSHD_CASE.replace("user=root", &format!("user={}", user.unwrap_or("root")));
    command.arg("-T").arg("-C").arg(case).arg("-f").arg(config).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success());
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// Where sshd looks for a user's keys: `%h`, `%u` and `%%` stand for what they stand for there.
fn key_files(root: &Path, user: &str, home: &str) -> Vec<PathBuf> {
    let said = effective(&root.join("etc/ssh/sshd_config"), Some(user));
    let named = said.lines().find_map(|line| line.strip_prefix("authorizedkeysfile "));
    let named = named.unwrap_or(".ssh/authorized_keys .ssh/authorized_keys2");
    named
        .split_whitespace()
        .filter(|name| *name != "none")
        .map(|name| name.replace("%h", home).replace("%u", user).replace("%%", "%"))
        .map(|name| {
            if Path::new(&name).is_absolute() && !name.starts_with(home) {
                PathBuf::from(name)
            } else {
                let below = name.strip_prefix(home).unwrap_or(&name).trim_start_matches('/');
                root.join(home.trim_start_matches('/')).join(below)
            }
        })
        .collect()
}

/// Passwords may only go when a key is there for somebody who may log in.
pub(crate) fn key_login(root: &Path, parameters: &Parameters) -> Result<(), String> {
    let users = if parameters.allow_users.is_empty() {
        login_user().into_iter().collect()
    } else {
        parameters.allow_users.clone()
    };
    let passwd = fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let has_key = |user: &String| {
        let home = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(user)).then(|| fields.nth(4).map(str::to_owned))?
        });
        home.is_some_and(|home| {
            key_files(root, user, &home).iter().any(|file| {
                fs::read_to_string(file).is_ok_and(|text| {
                    text.lines().any(|line| {
                        let line = line.trim();
                        !line.starts_with('#')
                            && (line.contains("ssh-")
                                || line.contains("ecdsa-")
                                || line.contains("sk-"))
                    })
                })
            })
        })
    };
    let current = login_user();
    if let (Some(user), false) = (&current, parameters.allow_users.is_empty())
        && parameters.session.is_some()
        && !users.contains(user)
    {
        return Err(format!(
            "nothing was changed: `{user}`, who is logged in now, is not among --allow-user"
        ));
    }
    if users.iter().any(has_key) {
        return Ok(());
    }
    Err(format!(
        "nothing was changed: no authorized_keys of {} holds a key; without passwords nobody would get in. Put one there with `ssh-copy-id` first",
        if users.is_empty() { "anybody".to_owned() } else { users.join(", ") }
    ))
}
