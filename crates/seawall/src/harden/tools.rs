//! The host's own tools, and their opinion of a piece.

use seawall_audit::harden::host::{Part, Piece};
use std::fs;
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

/// What a check needs to know beside the piece.
pub(crate) struct About<'a> {
    /// Folder that stands for `/`.
    pub(crate) root: &'a Path,
    /// The gateway's systemd unit.
    pub(crate) unit: &'a str,
    /// The compose file that an override is for.
    pub(crate) compose: Option<&'a Path>,
    /// Its service.
    pub(crate) service: &'a str,
}

/// The connection for which sshd is asked what holds: without one, a configuration with `Match
/// LocalPort` and the like is refused.
pub(crate) const SSHD_CASE: &str =
    "user=root,host=localhost,addr=127.0.0.1,laddr=127.0.0.1,lport=22";

/// Asks the real tool.
pub(crate) fn check(piece: Piece, parts: &[Part], about: &About<'_>) -> Result<Checked, String> {
    let dir = tempfile::Builder::new()
        .prefix("seawall-check-")
        .tempdir()
        .map_err(|e| format!("cannot make a folder for the check: {e}"))?;
    let file = |name: &str, text: &str| -> Result<String, String> {
        let path = dir.path().join(name);
        path.parent().map(fs::create_dir_all);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    };
    let text = parts.first().map(|part| part.text.as_str()).unwrap_or_default();
    let second = parts.get(1).map(|part| part.text.as_str()).unwrap_or_default();
    match piece {
        Piece::Sshd => {
            let staged = match sshd(dir.path(), text, about.root) {
                Ok(staged) => staged.to_string_lossy().into_owned(),
                Err(why) => return Ok(Checked::Bad(why)),
            };
            // It says nothing without this folder, which its unit makes at each start.
            if rustix::process::geteuid().is_root() {
                let _ = fs::create_dir_all("/run/sshd");
            }
            match tool("sshd", &["-T", "-C", SSHD_CASE, "-f", &staged]) {
                Ok(Ok(said)) if said.contains("passwordauthentication no") => {
                    Ok(Checked::Good("sshd -T"))
                }
                Ok(Ok(_)) => Ok(Checked::Bad("sshd would still take passwords".into())),
                Ok(Err(why)) => Ok(Checked::Bad(why)),
                Err(()) => Ok(Checked::NoTool("sshd")),
            }
        }
        Piece::Nftables => {
            let staged = file("seawall.nft", text)?;
            Ok(verdict("nft -c", "nft", tool("nft", &["-c", "-f", &staged])))
        }
        Piece::Systemd => {
            let unit = about.unit;
            let staged = file(unit, "[Service]\nExecStart=/bin/true\n")?;
            file(&format!("{unit}.d/50-seawall.conf"), text)?;
            let said = tool("systemd-analyze", &["verify", "--man=no", &staged]);
            Ok(verdict("systemd-analyze verify", "systemd-analyze", said))
        }
        Piece::Reminder => {
            let service = file("seawall-rotation.service", text)?;
            let timer = file("seawall-rotation.timer", second)?;
            let said = tool("systemd-analyze", &["verify", "--man=no", &service, &timer]);
            Ok(verdict("systemd-analyze verify", "systemd-analyze", said))
        }
        Piece::Nginx => {
            let site = file("site.conf", text)?;
            let pid = dir.path().join("pid").to_string_lossy().into_owned();
            let main = format!(
                "pid {pid};\nerror_log stderr;\nevents {{}}\nhttp {{\n\taccess_log off;\n\tinclude {site};\n}}\n"
            );
            let staged = file("nginx.conf", &main)?;
            Ok(verdict("nginx -t", "nginx", tool("nginx", &["-t", "-q", "-c", &staged])))
        }
        Piece::Caddy => {
            let staged = file("Caddyfile", text)?;
            let said = tool("caddy", &["validate", "--adapter", "caddyfile", "--config", &staged]);
            Ok(verdict("caddy validate", "caddy", said))
        }
        Piece::Ufw => match super::ufw::stage(about.root, text) {
            Ok(Some(_)) => Ok(Checked::Good("ufw, on copies of its files")),
            Ok(None) => Ok(Checked::NoTool("ufw")),
            Err(why) => Ok(Checked::Bad(why)),
        },
        Piece::Compose => {
            let base = match about.compose {
                Some(path) => path.to_string_lossy().into_owned(),
                // An override alone is no service: it has no image.
                None => file(
                    "base.yml",
                    &format!(
                        "services:\n  {}:\n    image: openclaw\n    ports: [\"18789:18789\"]\n",
                        about.service
                    ),
                )?,
            };
            let staged = file("compose.yml", text)?;
            let arguments = ["-f", &base, "-f", &staged, "config", "-q"];
            let with: Vec<&str> = ["compose"].into_iter().chain(arguments).collect();
            match tool("docker", &with) {
                // The client without its compose part.
                Ok(Err(why))
                    if why.contains("unknown command") || why.contains("unknown shorthand") => {}
                Err(()) => {}
                said => return Ok(verdict("docker compose config", "docker compose", said)),
            }
            // The one before it does not know the tag, and would keep both lists.
            let plain = file("compose.yml", &text.replace(" !override", ""))?;
            let said = tool("docker-compose", &["-f", &base, "-f", &plain, "config", "-q"]);
            Ok(verdict(
                "docker-compose config, without the `!override` tags that it does not know",
                "docker compose",
                said,
            ))
        }
        Piece::Wireguard => {
            let name = parts
                .first()
                .and_then(|part| part.path.as_deref()?.rsplit('/').next())
                .unwrap_or("seawall0.conf");
            let staged = file(name, text)?;
            private(Path::new(&staged))?;
            let stripped = tool("wg-quick", &["strip", &staged]);
            if !matches!(stripped, Ok(Ok(_))) {
                return Ok(verdict("wg-quick strip", "wg-quick", stripped));
            }
            let staged = file("tunnel.nft", second)?;
            let said = tool("nft", &["-c", "-f", &staged]);
            Ok(verdict("wg-quick strip and nft -c", "nft", said))
        }
        Piece::Tailscale => Ok(match seawall_audit::harden::doc::parse(text) {
            Ok(_) => Checked::NoTool("tailscale"),
            Err(why) => Checked::Bad(why.to_string()),
        }),
        Piece::User => {
            let users = file("users.conf", text)?;
            let root = format!("--root={}", about.root.display());
            let said = tool("systemd-sysusers", &["--dry-run", &root, &users]);
            Ok(verdict("systemd-sysusers --dry-run", "systemd-sysusers", said))
        }
        Piece::Logrotate => {
            let staged = file("logrotate.conf", text)?;
            private(Path::new(&staged))?;
            let state = dir.path().join("state").to_string_lossy().into_owned();
            let said = tool("logrotate", &["-d", "-s", &state, &staged]);
            Ok(match verdict("logrotate -d", "logrotate", said) {
                Checked::Bad(why) if why.contains("unknown user") => Checked::Bad(
                    "the user does not exist yet: `seawall harden host user --apply` makes it"
                        .into(),
                ),
                other => other,
            })
        }
    }
}

/// Lays sshd's configuration out as it would be with the drop-in.
pub(crate) fn sshd(dir: &Path, text: &str, root: &Path) -> Result<PathBuf, String> {
    let main = root.join("etc/ssh/sshd_config");
    let old = fs::read_to_string(&main).unwrap_or_default();
    if !old.lines().any(|line| {
        let line = line.trim().to_ascii_lowercase();
        line.starts_with("include") && line.contains("sshd_config.d")
    }) {
        return Err(format!(
            "`{}` does not include `/etc/ssh/sshd_config.d/*.conf`: put that line first",
            main.display()
        ));
    }
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).map(|()| path).map_err(|e| e.to_string())
    };
    let drop_in = write("00-seawall.conf", text)?;
    write("sshd_config", &format!("Include {}\n{old}", drop_in.display()))
}

/// Asks sshd about the configuration that is in force now: what stands before the drop-in wins over
/// it. `Ok` names who may still use a password because of a `Match` block.
pub(crate) fn sshd_in_force(root: &Path) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let folder = root.join("etc/ssh");
    let mut main = folder.join("sshd_config");
    let mut texts = vec![fs::read_to_string(&main).map_err(|e| e.to_string())?];
    for entry in fs::read_dir(folder.join("sshd_config.d")).into_iter().flatten().flatten() {
        texts.extend(fs::read_to_string(entry.path()));
    }
    if root != Path::new("/") {
        // Its own folder is meant, not the one of this host.
        let own = format!("{}/", folder.display());
        let text: Vec<String> =
            texts
                .first()
                .into_iter()
                .flat_map(|text| text.lines())
                .map(|line| {
                    if line.contains(&own) { line.into() } else { line.replace("/etc/ssh/", &own) }
                })
                .collect();
        main = dir.path().join("sshd_config");
        fs::write(&main, text.join("\n") + "\n").map_err(|e| e.to_string())?;
    }
    let main = main.to_string_lossy().into_owned();
    let ask = |user: &str| {
        let case = SSHD_CASE.replace("user=root", &format!("user={user}"));
        tool("sshd", &["-T", "-C", &case, "-f", &main])
            .unwrap_or_else(|()| Err("sshd is not there".into()))
            .map(|said| said.lines().any(|line| line.trim() == "passwordauthentication yes"))
    };
    if ask("root")? {
        return Err("sshd still takes passwords: something that stands before the drop-in says so (`sshd -T`, `grep -ri passwordauthentication /etc/ssh`)".into());
    }
    let mut open: Vec<String> = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        let words: Vec<&str> =
            line.split([' ', '\t', '=']).filter(|word| !word.is_empty()).collect();
        if words.first().is_none_or(|word| !word.eq_ignore_ascii_case("match")) {
            continue;
        }
        let users = words
            .iter()
            .position(|word| word.eq_ignore_ascii_case("user"))
            .and_then(|at| words.get(at + 1));
        for user in users.into_iter().flat_map(|names| names.split(',')) {
            let name = user.trim_matches('"').replace(['*', '?'], "x");
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if !name.starts_with('-') && name.chars().all(plain) && ask(&name)? {
                open.push(format!("{user} (`{}`)", line.trim()));
            }
        }
        // Whom another criterion means cannot be asked for one by one.
        if users.is_none() && !words.iter().any(|word| word.eq_ignore_ascii_case("all")) {
            open.push(format!("perhaps others (`{}` was not tried)", line.trim()));
        }
    }
    open.sort();
    open.dedup();
    Ok(open)
}

/// Some tools refuse, or warn about, files that others can read.
fn private(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|e| e.to_string())
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

/// Where a tool of the host is. System tools are looked for where they are, whatever PATH a user
/// has.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// Runs a tool of the host: what it printed, or why it refused; `Err` when it is not there.
pub(super) fn tool(name: &str, arguments: &[&str]) -> Result<Result<String, String>, ()> {
    let path = program(name).ok_or(())?;
    let output = Command::new(path)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| ())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        return Ok(Ok(text(&output.stdout)));
    }
    let mut said = text(&output.stderr);
    if said.is_empty() {
        said = text(&output.stdout);
    }
    let said: String = said.chars().take(800).collect();
    Ok(Err(format!("`{name}` refuses it: {said}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::print_stdout, reason = "a test says what it skips")]
    fn sshd_is_asked_about_what_is_in_force() {
        let (Some(_), Some(keygen)) = (program("sshd"), program("ssh-keygen")) else {
            println!("skipped: `sshd` or `ssh-keygen` is not installed");
            return;
        };
        if rustix::process::geteuid().is_root() {
            let _ = fs::create_dir_all("/run/sshd");
        }
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("etc/ssh/sshd_config.d");
        fs::create_dir_all(&folder).unwrap();
        let key = dir.path().join("key");
        let made = Command::new(keygen)
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let ask = |text: &str| {
            let text = format!("HostKey {}\n{text}", key.display());
            fs::write(dir.path().join("etc/ssh/sshd_config"), text).unwrap();
            sshd_in_force(dir.path())
        };
        let drop_in = folder.join("00-seawall.conf");
        fs::write(&drop_in, "PasswordAuthentication no\n").unwrap();
        let include = "Include /etc/ssh/sshd_config.d/*.conf\n";
        assert_eq!(ask(include), Ok(vec![]));
        assert_eq!(ask(&format!("{include}PasswordAuthentication yes\n")), Ok(vec![]));
        // Each of these wins over the drop-in.
        let late = ask(&format!("PasswordAuthentication yes\n{include}"));
        assert!(late.unwrap_err().contains("still takes passwords"));
        assert!(ask(&format!("Match User ada\n{include}")).is_err());
        let earlier = folder.join("00-cloud.conf");
        fs::write(&earlier, "PasswordAuthentication yes\n").unwrap();
        assert!(ask(include).is_err());
        fs::remove_file(&earlier).unwrap();
        // Somebody's exception is told.
        let bob = ask(&format!("{include}Match User bob\n  PasswordAuthentication yes\n"));
        assert_eq!(bob, Ok(vec!["bob (`Match User bob`)".to_owned()]));
    }
}
