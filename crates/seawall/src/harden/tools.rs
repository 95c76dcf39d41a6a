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
                Ok(Ok(said)) if !takes_passwords(&said) => {
                    Ok(Checked::Good("sshd -T"))
                }
                Ok(Ok(_)) => Ok(Checked::Bad("sshd would still take passwords: something that is read before the drop-in says so (`grep -ri passwordauthentication /etc/ssh`); take it out, or put the `Include` first".into())),
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

/// Files of one folder of sshd's, and bytes of one: it has a handful of pages.
const MAX_PARTS: usize = 200;

/// Lays sshd's configuration out as it would be with the drop-in: every file where it is included, so
/// that what stands before it wins here as it would there.
pub(crate) fn sshd(dir: &Path, text: &str, root: &Path) -> Result<PathBuf, String> {
    let folder = root.join("etc/ssh");
    let main = folder.join("sshd_config");
    let old = crate::deploy::read_text(&main).unwrap_or_default();
    if !old.lines().any(|line| {
        let line = line.trim().to_ascii_lowercase();
        line.starts_with("include") && line.contains("sshd_config.d")
    }) {
        return Err(format!(
            "`{}` does not include `/etc/ssh/sshd_config.d/*.conf`: put that line first",
            main.display()
        ));
    }
    let drops = dir.join("sshd_config.d");
    fs::create_dir_all(&drops).map_err(|e| e.to_string())?;
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).map(|()| path).map_err(|e| e.to_string())
    };
    for (name, text) in parts_of(&folder.join("sshd_config.d"))? {
        write(drops.join(name), &moved(&text, dir, &folder))?;
    }
    write(drops.join("00-seawall.conf"), text)?;
    write(dir.join("sshd_config"), &moved(&old, dir, &folder))
}

/// The files of a folder by name.
fn parts_of(folder: &Path) -> Result<Vec<(std::ffi::OsString, String)>, String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let all: Vec<PathBuf> = entries.map(|entry| entry.path()).take(MAX_PARTS + 1).collect();
    if all.len() > MAX_PARTS {
        return Err(format!("`{}` has more than {MAX_PARTS} files", folder.display()));
    }
    all.into_iter()
        .filter(|path| path.is_file())
        .map(|path| {
            let text = crate::deploy::read_text(&path)
                .map_err(|why| format!("{}: {why}", path.display()))?;
            Ok((path.file_name().unwrap_or_default().to_owned(), text))
        })
        .collect()
}

/// A file of sshd's, with its includes leading to `dir` in place of `folder`, which stands for
/// `/etc/ssh`, and everything else of `folder` to `folder`.
fn moved(text: &str, dir: &Path, folder: &Path) -> String {
    let own = format!("{}/", folder.display());
    let mut out = String::new();
    for line in text.lines() {
        let head = line.trim_start();
        let include = head.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("include"))
            && head.get(7..).is_some_and(|rest| rest.starts_with([' ', '\t', '=', '"']));
        if include {
            let words = head.get(7..).unwrap_or_default();
            out.push_str("Include");
            for word in words.split([' ', '\t', '=']).filter(|word| !word.is_empty()) {
                let word = word.trim_matches('"');
                let rest = word
                    .strip_prefix(&own)
                    .or_else(|| word.strip_prefix("/etc/ssh/"))
                    .or_else(|| (!word.starts_with('/')).then_some(word));
                match rest {
                    Some(rest) => out.push_str(&format!(" {}/{rest}", dir.display())),
                    None => out.push_str(&format!(" {word}")),
                }
            }
        } else if own != "/etc/ssh/" && !line.contains(&own) {
            out.push_str(&line.replace("/etc/ssh/", &own));
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// Asks sshd about the configuration that is in force now: what stands before the drop-in wins over
/// it. `Ok` names who may still use a password because of a `Match` block.
pub(crate) fn sshd_in_force(root: &Path) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let folder = root.join("etc/ssh");
    let mut main = folder.join("sshd_config");
    let mut texts = vec![fs::read_to_string(&main).map_err(|e| e.to_string())?];
    texts.extend(parts_of(&folder.join("sshd_config.d"))?.into_iter().map(|(_, text)| text));
    if root != Path::new("/") {
        // Its own folder is meant, not the one of this host.
        main = dir.path().join("sshd_config");
        let text = texts.first().map(String::as_str).unwrap_or_default();
        fs::write(&main, moved(text, &folder, &folder)).map_err(|e| e.to_string())?;
    }
    let main = main.to_string_lossy().into_owned();
    let mut ask = |case: &str| {
        tool("sshd", &["-T", "-C", case, "-f", &main])
            .unwrap_or_else(|()| Err("sshd is not there".into()))
    };
    let base = ask(SSHD_CASE)?;
    if takes_passwords(&base) {
        return Err("sshd still takes passwords: something that stands before the drop-in says so (`sshd -T`, `grep -ri passwordauthentication /etc/ssh`)".into());
    }
    exceptions(&texts, root, &base, &mut ask)
}

/// Whether what `sshd -T` says lets somebody in with a password.
pub(crate) fn takes_passwords(said: &str) -> bool {
    takes_more(said, "")
}

/// Whether it does so in a way that `base` does not.
fn takes_more(said: &str, base: &str) -> bool {
    ["passwordauthentication yes", "kbdinteractiveauthentication yes"].iter().any(|setting| {
        let says = |text: &str| text.lines().any(|line| line.trim() == *setting);
        says(said) && !says(base)
    })
}

/// What sshd's own files say, for whoever reads them.
pub(crate) fn sshd_texts(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("etc/ssh");
    let mut texts = vec![crate::deploy::read_text(&folder.join("sshd_config"))?];
    texts.extend(parts_of(&folder.join("sshd_config.d"))?.into_iter().map(|(_, text)| text));
    Ok(texts)
}

/// `Match` blocks that are asked for one by one: each costs a start of sshd.
const MAX_BLOCKS: usize = 24;

/// Who may use a password because of a `Match` block: sshd is asked for a connection that each block
/// means. `base` is what it says for others.
pub(crate) fn exceptions(
    texts: &[String],
    root: &Path,
    base: &str,
    ask: &mut dyn FnMut(&str) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    let mut open: Vec<String> = Vec::new();
    let blocks: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| {
            line.split([' ', '\t', '='])
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("match"))
        })
        .collect();
    for (count, line) in blocks.iter().enumerate() {
        if count >= MAX_BLOCKS {
            open.push(format!("perhaps others ({} more Match blocks)", blocks.len() - count));
            break;
        }
        match connections(line, root) {
            None => open.push(format!("perhaps others (`{line}` was not tried)")),
            Some(all) => {
                for (who, case) in all {
                    if takes_more(&ask(&case)?, base) {
                        open.push(format!("{who} (`{line}`)"));
                    }
                }
            }
        }
    }
    open.sort();
    open.dedup();
    Ok(open)
}

/// Connections that a `Match` line means, each with a name for it. `None`: that cannot be said.
fn connections(line: &str, root: &Path) -> Option<Vec<(String, String)>> {
    let mut words = line.split([' ', '\t', '=']).filter(|word| !word.is_empty()).skip(1);
    let mut users: Vec<(String, String)> = vec![];
    let (mut host, mut address, mut local, mut port) =
        ("localhost".to_owned(), "127.0.0.1".to_owned(), "127.0.0.1".to_owned(), "22".to_owned());
    let mut places: Vec<String> = vec![];
    while let Some(criterion) = words.next() {
        let criterion = criterion.to_ascii_lowercase();
        if criterion == "all" {
            continue;
        }
        let value = words.next()?.trim_matches('"');
        // One that begins with `!` says who is not meant.
        let meant: Vec<&str> = value.split(',').filter(|one| !one.starts_with('!')).collect();
        let first = *meant.first()?;
        match criterion.as_str() {
            "user" => users.extend(meant.iter().map(|name| ((*name).to_owned(), some(name)))),
            "group" => {
                for group in &meant {
                    users.push((format!("group {group}"), member(group, root)?));
                }
            }
            "address" => address = some_address(first)?,
            "localaddress" => local = some_address(first)?,
            "host" => host = some(first),
            "localport" => port = first.to_owned(),
            _ => return None,
        }
        if !matches!(criterion.as_str(), "user" | "group") {
            places.push(format!("{criterion} {first}"));
        }
    }
    if users.is_empty() {
        users.push((String::new(), "root".into()));
        users.push((String::new(), "nobody".into()));
    }
    let plain = |text: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
    };
    users
        .into_iter()
        .map(|(who, user)| {
            let all = [&user, &host, &address, &local, &port];
            let name = [vec![who], places.clone()].concat();
            let name: Vec<String> = name.into_iter().filter(|part| !part.is_empty()).collect();
            let name = if name.is_empty() { user.clone() } else { name.join(", ") };
            all.iter().all(|text| plain(text)).then(|| {
                (name, format!("user={user},host={host},addr={address},laddr={local},lport={port}"))
            })
        })
        .collect()
}

/// A name that a pattern means.
fn some(pattern: &str) -> String {
    pattern.replace(['*', '?'], "x")
}

/// An address of a network.
fn some_address(network: &str) -> Option<String> {
    let address = network.split('/').next().unwrap_or_default();
    if let Ok(address) = address.parse::<std::net::IpAddr>() {
        return Some(address.to_string());
    }
    let four = address.replace('*', "1");
    four.parse::<std::net::Ipv4Addr>().ok().map(|address| address.to_string())
}

/// A member of a group.
fn member(group: &str, root: &Path) -> Option<String> {
    let groups = fs::read_to_string(root.join("etc/group")).ok()?;
    let mut fields =
        groups.lines().find(|line| line.split(':').next() == Some(group))?.split(':').skip(2);
    let id = fields.next()?;
    let listed = fields.next().and_then(|all| all.split(',').find(|name| !name.is_empty()));
    if let Some(name) = listed {
        return Some(name.to_owned());
    }
    let users = fs::read_to_string(root.join("etc/passwd")).ok()?;
    users
        .lines()
        .find(|line| line.split(':').nth(3) == Some(id))
        .and_then(|line| line.split(':').next())
        .map(str::to_owned)
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
        let text = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        fs::write(&drop_in, text).unwrap();
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
        let net =
            ask(&format!("{include}Match Address 10.9.0.0/16\n  PasswordAuthentication yes\n"));
        assert!(net.unwrap().iter().all(|who| who.contains("address 10.9.0.0/16")));
        assert_eq!(ask(&format!("{include}Match RDomain x\n")).unwrap().len(), 1);
    }

    /// What would be is judged in the order in which it would be read.
    #[test]
    #[allow(clippy::print_stdout, reason = "a test says what it skips")]
    fn a_drop_in_is_staged_where_it_would_lie() {
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
        let mut made = Command::new(keygen);
        made.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
        assert!(made.status().unwrap().success());
        let include = "Include /etc/ssh/sshd_config.d/*.conf\n";
        let drop_in = "PasswordAuthentication no\nKbdInteractiveAuthentication no\n";
        let staged = |main: &str| {
            let text = format!("HostKey {}\n{main}", key.display());
            fs::write(dir.path().join("etc/ssh/sshd_config"), text).unwrap();
            let stage = tempfile::tempdir().unwrap();
            let path = sshd(stage.path(), drop_in, dir.path()).unwrap();
            let path = path.to_string_lossy().into_owned();
            takes_passwords(&tool("sshd", &["-T", "-C", SSHD_CASE, "-f", &path]).unwrap().unwrap())
        };
        assert!(!staged(include));
        assert!(!staged(&format!("{include}PasswordAuthentication yes\n")));
        assert!(!staged("Include sshd_config.d/*.conf\n"));
        assert!(staged(&format!("PasswordAuthentication yes\n{include}")));
        assert!(staged(&format!("Match User ada\n{include}")));
        let earlier = folder.join("00-cloud.conf");
        fs::write(&earlier, "PasswordAuthentication yes\n").unwrap();
        assert!(staged(include));
        fs::rename(&earlier, folder.join("50-cloud.conf")).unwrap();
        assert!(!staged(include));
    }
}
