//! What the host says about itself, and its own tools' opinion of a piece.

use seawall_audit::harden::host::{Parameters, Piece};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the real tool said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// It takes the piece; which tool.
    Good(&'static str),
    /// It does not, and why.
    Bad(String),
    /// It is not installed.
    NoTool(&'static str),
}

/// The SSH session in which this runs: `client port server port`. `sudo` takes the variable away,
/// the processes above it have it still.
pub(crate) fn session() -> Option<String> {
    let name = "SSH_CONNECTION";
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
            if let Some(value) = variable.strip_prefix(b"SSH_CONNECTION=") {
                return String::from_utf8(value.to_vec()).ok();
            }
        }
    }
    None
}

/// The client's address and the server's port of a session.
pub(crate) fn endpoint(session: &str) -> Option<(IpAddr, u16)> {
    let mut parts = session.split_whitespace();
    let address = parts.next()?.parse().ok()?;
    Some((address, parts.nth(2)?.parse().ok()?))
}

/// Who logged in, behind `sudo`.
pub(crate) fn login_user() -> Option<String> {
    ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok())
}

/// Ports on which sshd listens today, as far as it says: 22 when it does not.
pub(crate) fn ssh_ports(root: &Path) -> Vec<u16> {
    let config = root.join("etc/ssh/sshd_config");
    let output = Command::new("sshd")
        .arg("-T")
        .arg("-f")
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success());
    let ports: Vec<u16> = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("port ")?.trim().parse().ok())
        .collect();
    if ports.is_empty() { vec![22] } else { ports }
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
            let file = root.join(home.trim_start_matches('/')).join(".ssh/authorized_keys");
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

/// Asks the real tool.
pub(crate) fn check(piece: Piece, text: &str, root: &Path, unit: &str) -> Result<Checked, String> {
    let dir = tempfile::Builder::new()
        .prefix("seawall-check-")
        .tempdir()
        .map_err(|e| format!("cannot make a folder for the check: {e}"))?;
    let file = |name: &str, text: &str| -> Result<PathBuf, String> {
        let path = dir.path().join(name);
        path.parent().map(fs::create_dir_all);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path)
    };
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    match piece {
        Piece::Sshd => {
            let main = root.join("etc/ssh/sshd_config");
            let old = fs::read_to_string(&main).unwrap_or_default();
            if !old.lines().any(|line| {
                let line = line.trim().to_ascii_lowercase();
                line.starts_with("include") && line.contains("sshd_config.d")
            }) {
                return Ok(Checked::Bad(format!(
                    "`{}` does not include `/etc/ssh/sshd_config.d/*.conf`: put that line first",
                    main.display()
                )));
            }
            let drop_in = path(file("00-seawall.conf", text)?);
            let staged = path(file("sshd_config", &format!("Include {drop_in}\n{old}"))?);
            match tool("sshd", &["-T", "-f", &staged]) {
                Ok(Ok(said)) if said.contains("passwordauthentication no") => {
                    Ok(Checked::Good("sshd -T"))
                }
                Ok(Ok(_)) => Ok(Checked::Bad("sshd would still take passwords".into())),
                Ok(Err(why)) => Ok(Checked::Bad(why)),
                Err(()) => Ok(Checked::NoTool("sshd")),
            }
        }
        Piece::Nftables => {
            let staged = path(file("seawall.nft", text)?);
            Ok(verdict("nft -c", "nft", tool("nft", &["-c", "-f", &staged])))
        }
        Piece::Systemd => {
            file(unit, "[Service]\nExecStart=/bin/true\n")?;
            file(&format!("{unit}.d/50-seawall.conf"), text)?;
            let staged = path(dir.path().join(unit));
            let said = tool("systemd-analyze", &["verify", "--man=no", &staged]);
            Ok(verdict("systemd-analyze verify", "systemd-analyze", said))
        }
        Piece::Nginx => {
            let site = path(file("site.conf", text)?);
            let pid = path(dir.path().join("pid"));
            let main = format!(
                "pid {pid};\nerror_log stderr;\nevents {{}}\nhttp {{\n\taccess_log off;\n\tinclude {site};\n}}\n"
            );
            let staged = path(file("nginx.conf", &main)?);
            Ok(verdict("nginx -t", "nginx", tool("nginx", &["-t", "-q", "-c", &staged])))
        }
        Piece::Caddy => {
            let staged = path(file("Caddyfile", text)?);
            let said = tool("caddy", &["validate", "--adapter", "caddyfile", "--config", &staged]);
            Ok(verdict("caddy validate", "caddy", said))
        }
        Piece::Ufw => Ok(verdict("sh -n", "sh", tool("sh", &["-n", &path(file("ufw.sh", text)?)]))),
        Piece::Compose => {
            let staged = path(file("compose.yml", text)?);
            let arguments = ["compose", "-f", &staged, "config", "-q", "--no-interpolate"];
            Ok(match tool("docker", &arguments) {
                // The client without its compose part.
                Ok(Err(why))
                    if why.contains("unknown command") || why.contains("unknown shorthand") =>
                {
                    Checked::NoTool("docker compose")
                }
                said => verdict("docker compose config", "docker compose", said),
            })
        }
    }
}

fn verdict(
    name: &'static str,
    program: &'static str,
    said: Result<Result<String, String>, ()>,
) -> Checked {
    match said {
        Ok(Ok(_)) => Checked::Good(name),
        Ok(Err(why)) => Checked::Bad(why),
        Err(()) => Checked::NoTool(program),
    }
}

/// Runs a tool of the host: what it printed, or why it refused; `Err` when it is not there. System
/// tools are looked for where they are, whatever PATH a user has.
fn tool(name: &str, arguments: &[&str]) -> Result<Result<String, String>, ()> {
    let output = match Command::new(name).args(arguments).stdin(Stdio::null()).output() {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let there = ["/usr/sbin", "/sbin", "/usr/local/sbin"]
                .iter()
                .map(|dir| Path::new(dir).join(name))
                .find(|path| path.exists())
                .ok_or(())?;
            Command::new(there).args(arguments).stdin(Stdio::null()).output()
        }
        other => other,
    };
    let output = output.map_err(|_| ())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(Ok(text(&output.stdout)))
    } else {
        let said: String = text(&output.stderr).chars().take(800).collect();
        Ok(Err(format!("`{name}` refuses it: {said}")))
    }
}
