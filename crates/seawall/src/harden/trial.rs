//! A login under the new configuration of sshd, tried before the old one goes: a real sshd with the
//! configuration as it would be, in a network namespace of its own that has the addresses of the
//! present session, and a real client that comes from where the operator comes from.
//!
//! Two logins. One with a key that is made for it tries everything but the list of keys: the port,
//! the address, `Match` blocks, `AllowUsers`, PAM, the shell. The other one, with the agent that the
//! session forwards, tries the operator's own key. Without an agent that is left to the second
//! connection from which the change has to be confirmed.

use super::tools::program;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Who comes in, from where and to where.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) user: &'a str,
    pub(crate) client: IpAddr,
    pub(crate) server: IpAddr,
    pub(crate) port: u16,
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tried {
    /// One gets in; what was tried.
    In(&'static str),
    /// One does not, and why.
    Out(String),
    /// It could not be tried, and why.
    Untried(String),
}

/// Values come as variables: nothing of them is read as shell.
const SCRIPT: &str = r#"
ip link set lo up || exit 101
for address in "$CLIENT" "$SERVER"; do
	case "$address" in
	127.*|::1) ;;
	*:*) ip -6 addr add "$address/128" dev lo nodad 2>/dev/null ;;
	*) ip addr add "$address/32" dev lo 2>/dev/null ;;
	esac
done
mkdir -p /run/sshd
"$SSHD" -D -e -f "$CONFIG" -o LogLevel=VERBOSE -o PidFile=none "$@" 2>"$LOG" </dev/null >/dev/null &
sshd=$!
trap 'kill $sshd 2>/dev/null' EXIT
turns=0
until grep -q "Server listening on" "$LOG"; do
	kill -0 $sshd 2>/dev/null || exit 102
	turns=$((turns + 1)); [ $turns -lt 100 ] || exit 102
	sleep 0.05
done
"$SSH" -F none -q -p "$PORT" -b "$CLIENT" -o BatchMode=yes -o PreferredAuthentications=publickey \
	-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o GlobalKnownHostsFile=/dev/null \
	-o ConnectTimeout=5 -o ControlPath=none $IDENTITY -l "$LOGIN" "$SERVER" true </dev/null && exit 0
exit 103
"#;

/// Tries to log in under `config`.
pub(crate) fn login(config: &Path, visit: &Visit<'_>, agent: Option<&Path>) -> Tried {
    if !rustix::process::geteuid().is_root() {
        return Tried::Untried("only root may start an sshd for others".into());
    }
    let dir = match tempfile::Builder::new().prefix("seawall-trial-").tempdir() {
        Ok(dir) => dir,
        Err(e) => return Tried::Untried(format!("cannot make a folder for it: {e}")),
    };
    let key = dir.path().join("key");
    if let Err(why) = make_key(dir.path(), &key) {
        return Tried::Untried(why);
    }
    let listed = format!("AuthorizedKeysFile={}", dir.path().join("key.pub").display());
    let identity = format!("-o IdentitiesOnly=yes -o IdentityAgent=none -i {}", key.display());
    let own = ["-o", &listed, "-o", "AuthorizedKeysCommand=none", "-o", "StrictModes=no"];
    match attempt(config, visit, dir.path(), &own, &identity, None) {
        Tried::In(_) => {}
        other => return other,
    }
    let Some(agent) = agent else {
        return Tried::In("the port, the address and the user of this session");
    };
    match attempt(config, visit, dir.path(), &[], "-o IdentitiesOnly=no", Some(agent)) {
        Tried::In(_) => Tried::In("the port, the address, the user and the key of this session"),
        Tried::Out(why) => Tried::Out(format!("with the keys of this session's agent: {why}")),
        untried => untried,
    }
}

/// Readable for whom sshd becomes to read it.
fn make_key(dir: &Path, key: &Path) -> Result<(), String> {
    let Some(keygen) = program("ssh-keygen") else {
        return Err("`ssh-keygen` is not installed".into());
    };
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).map_err(|e| e.to_string())?;
    let made = Command::new(keygen)
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(key)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| e.to_string())?;
    if made.status.success() { Ok(()) } else { Err("`ssh-keygen` made no key".into()) }
}

fn attempt(
    config: &Path,
    visit: &Visit<'_>,
    dir: &Path,
    options: &[&str],
    identity: &str,
    agent: Option<&Path>,
) -> Tried {
    let (Some(unshare), Some(sshd), Some(ssh), Some(_)) =
        (program("unshare"), program("sshd"), program("ssh"), program("ip"))
    else {
        return Tried::Untried("it needs `unshare`, `ip`, `sshd` and `ssh`".into());
    };
    let log = dir.join("log");
    if let Err(e) = fs::write(&log, "") {
        return Tried::Untried(e.to_string());
    }
    let mut command = Command::new(unshare);
    command
        .args(["-n", "sh", "-c", SCRIPT, "trial"])
        .args(options)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .env("CLIENT", visit.client.to_string())
        .env("SERVER", visit.server.to_string())
        .env("PORT", visit.port.to_string())
        .env("LOGIN", visit.user)
        .env("SSHD", sshd)
        .env("SSH", ssh)
        .env("CONFIG", config)
        .env("LOG", &log)
        .env("IDENTITY", identity)
        .stdin(Stdio::null());
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    let code = match command.output() {
        Ok(output) => output.status.code(),
        Err(e) => return Tried::Untried(e.to_string()),
    };
    let said = fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rev().find(|line| {
        ["not allowed", "Failed", "error", "fatal", "Connection closed by auth", "denied"]
            .iter()
            .any(|word| line.contains(word))
    });
    let last: String = last.unwrap_or("sshd says no more").chars().take(300).collect();
    match code {
        Some(0) => Tried::In(""),
        Some(101) | None => Tried::Untried("no network namespace can be had here".into()),
        Some(102) => Tried::Out(format!("sshd does not start with it: {last}")),
        Some(103) => Tried::Out(format!(
            "`{}` from {} would not get in on port {}: {last}",
            visit.user, visit.client, visit.port
        )),
        Some(1) if said.is_empty() => Tried::Untried("no network namespace can be had here".into()),
        Some(code) => Tried::Untried(format!("the trial ended with {code}")),
    }
}
