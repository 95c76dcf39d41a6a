//! The SSH server, systemd units, the clock, the disk, the kernel.

use super::command::{find, output};
use seawall_audit::facts::{Clock, Cpu, Disk, Fact, Listener, Sshd, Unit};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What sshd says of its settings, and of whom its `Match` blocks let in with a password.
#[derive(Debug)]
pub(super) struct SshdSays {
    text: String,
    exceptions: Result<Vec<String>, String>,
}

/// Asks sshd. `None`: none is installed.
pub(super) fn sshd_settings() -> Option<Result<SshdSays, String>> {
    use crate::harden::tools::{SSHD_CASE, exceptions, sshd_texts};
    let program = find("sshd")?;
    let limit = Duration::from_secs(3);
    let text = match output(&program, &["-T"], limit) {
        Ok(text) => Ok(text),
        // `Match` on what only a connection has: then it has to be told one.
        Err(why) if why.contains("test specification") => {
            output(&program, &["-T", "-C", SSHD_CASE], limit)
        }
        Err(why) => Err(why),
    };
    Some(text.map(|text| {
        let root = Path::new("/");
        let mut ask = |case: &str| output(&program, &["-T", "-C", case], limit);
        let exceptions =
            sshd_texts(root).and_then(|texts| exceptions(&texts, root, &text, &mut ask));
        SshdSays { text, exceptions }
    }))
}

pub(super) fn sshd(
    said: Option<Result<SshdSays, String>>,
    listeners: &Fact<Vec<Listener>>,
) -> Fact<Option<Sshd>> {
    let said = match said {
        None => return Fact::Known(None),
        Some(Ok(said)) => said,
        Some(Err(why)) => return Fact::unknown(why, "sudo sshd -T"),
    };
    let exceptions = match said.exceptions {
        Ok(found) => Fact::Known(found),
        Err(why) => Fact::unknown(why, "sudo seawall audit"),
    };
    let mut sshd = Sshd { exceptions, ..Sshd::default() };
    for line in said.text.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        let values = sshd.settings.entry(keyword.to_ascii_lowercase()).or_default();
        values.push(value.trim().to_owned());
    }
    let ports: Vec<u16> = sshd
        .settings
        .get("port")
        .into_iter()
        .flatten()
        .filter_map(|port| port.parse().ok())
        .collect();
    sshd.running = listeners.known().is_none_or(|all| {
        all.iter().any(|listener| {
            listener.process.as_deref().is_some_and(|name| name.starts_with("sshd"))
                || ports.contains(&listener.port)
        })
    });
    Fact::Known(Some(sshd))
}

/// Units whose name or command has to do with OpenClaw.
pub(super) fn units(home: &Path) -> Fact<Vec<Unit>> {
    let mut out: Vec<Unit> = Vec::new();
    let user = home.join(".config/systemd/user");
    let folders = [
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ];
    let folders =
        folders.iter().map(PathBuf::from).chain([user.clone(), "/etc/systemd/user".into()]);
    for folder in folders {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().take(5000) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().to_lowercase();
            let named =
                name.contains("openclaw") || name.contains("clawdbot") || name.contains("moltbot");
            if !name.ends_with(".service") || !named {
                continue;
            }
            // A unit that a folder before this one has, has been replaced.
            if out.iter().any(|unit| unit.path.file_name() == path.file_name()) {
                continue;
            }
            let Ok(text) = crate::deploy::read_text(&path) else { continue };
            let mut unit = Unit {
                path: path.clone(),
                user_manager: folder == user || folder.ends_with("user"),
                service: BTreeMap::new(),
            };
            service(&text, &mut unit.service);
            let file = entry.file_name().to_string_lossy().into_owned();
            for drop in drop_ins(&file, &manager(unit.user_manager, home)) {
                service(&crate::deploy::read_text(&drop).unwrap_or_default(), &mut unit.service);
            }
            out.push(unit);
        }
    }
    Fact::Known(out)
}

/// Where a manager looks for units and their drop-ins, the strongest first.
fn manager(user: bool, home: &Path) -> Vec<PathBuf> {
    if user {
        return vec![
            home.join(".config/systemd/user.control"),
            home.join(".config/systemd/user"),
            "/etc/systemd/user".into(),
            "/run/systemd/user".into(),
            home.join(".local/share/systemd/user"),
            "/usr/local/lib/systemd/user".into(),
            "/usr/lib/systemd/user".into(),
        ];
    }
    [
        "/etc/systemd/system.control",
        "/run/systemd/system.control",
        "/run/systemd/transient",
        "/etc/systemd/system",
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
    ]
    .iter()
    .map(PathBuf::from)
    .collect()
}

/// The drop-ins of a unit in the order in which they hold: by name, wherever they lie, and of one
/// name only that of the strongest folder.
fn drop_ins(unit: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: BTreeMap<std::ffi::OsString, PathBuf> = BTreeMap::new();
    // Those for every service come after the unit's own of the same name.
    for kind in [format!("{unit}.d"), "service.d".to_owned()] {
        for folder in folders {
            let entries = fs::read_dir(folder.join(&kind)).into_iter().flatten().flatten();
            for entry in entries.take(1000) {
                let path = entry.path();
                if path.extension().is_some_and(|ending| ending == "conf") {
                    found.entry(entry.file_name()).or_insert(path);
                }
            }
        }
    }
    found.into_values().collect()
}

/// Adds the settings of `[Service]`.
fn service(text: &str, into: &mut BTreeMap<String, String>) {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Service]";
        } else if inside
            && !line.starts_with(['#', ';'])
            && let Some((key, value)) = line.split_once('=')
        {
            into.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
}

pub(super) fn clock() -> Fact<Clock> {
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        return Fact::Known(Clock { synchronised: true });
    }
    // It asks systemd, and says so after some time where there is none.
    if !Path::new("/run/systemd/system").exists() {
        return Fact::unknown("systemd does not run here", "chronyc tracking");
    }
    let Some(program) = find("timedatectl") else {
        return Fact::unknown("`timedatectl` is not installed", "chronyc tracking");
    };
    match output(
        &program,
        &["show", "--property=NTPSynchronized", "--value"],
        Duration::from_millis(500),
    ) {
        Ok(text) => Fact::Known(Clock { synchronised: text.trim() == "yes" }),
        Err(why) => Fact::unknown(why, "timedatectl"),
    }
}

pub(super) fn disk(state_dir: &Path) -> Fact<Disk> {
    let command = "lsblk -o NAME,TYPE,MOUNTPOINTS";
    let device = match fs::metadata(state_dir) {
        Ok(meta) => meta.dev(),
        Err(e) => return Fact::unknown(e.to_string(), command),
    };
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let wanted = format!("{major}:{minor}");
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(&wanted));
    let after: Vec<&str> = line
        .and_then(|line| line.split_once(" - "))
        .map(|(_, rest)| rest.split(' ').collect())
        .unwrap_or_default();
    let filesystem = after.first().copied().unwrap_or_default().to_owned();
    let device = after.get(1).copied().unwrap_or_default().to_owned();
    if matches!(filesystem.as_str(), "ecryptfs" | "fuse.gocryptfs" | "fuse.encfs") {
        return Fact::Known(Disk { device, filesystem, encrypted: true });
    }
    let block = PathBuf::from(format!("/sys/dev/block/{wanted}"));
    if major == 0 || !block.exists() {
        // overlay, tmpfs, zfs, btrfs, 9p: the disk below is not visible from here.
        return Fact::unknown(
            format!("{} lies on {filesystem}, whose disk is not visible here", state_dir.display()),
            command,
        );
    }
    Fact::Known(Disk { encrypted: encrypted(&block, 0), device, filesystem })
}

/// Whether a block device, or one below it, is dm-crypt.
fn encrypted(block: &Path, depth: u8) -> bool {
    let uuid = fs::read_to_string(block.join("dm/uuid")).unwrap_or_default();
    if uuid.starts_with("CRYPT-") {
        return true;
    }
    // Device mappers are stacked a few deep at most.
    depth < 8
        && fs::read_dir(block.join("slaves"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| encrypted(&entry.path(), depth + 1))
}

pub(super) fn kernel() -> Fact<Cpu> {
    let number =
        |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    let mut vulnerable: Vec<String> = fs::read_dir("/sys/devices/system/cpu/vulnerabilities")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| {
            fs::read_to_string(entry.path()).is_ok_and(|text| text.starts_with("Vulnerable"))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    vulnerable.sort();
    Fact::Known(Cpu {
        vulnerable,
        ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
        unprivileged_bpf_disabled: number("/proc/sys/kernel/unprivileged_bpf_disabled"),
    })
}

/// Programs that ship logs away.
pub(super) fn shippers(names: &[String]) -> Vec<String> {
    const KNOWN: &[&str] = &[
        "vector",
        "fluent-bit",
        "fluentd",
        "td-agent",
        "filebeat",
        "elastic-agent",
        "promtail",
        "alloy",
        "otelcol",
        "splunkd",
        "nxlog",
        "syslog-ng",
        "wazuh-agentd",
        "datadog-agent",
        "auditbeat",
    ];
    names.iter().filter(|name| KNOWN.iter().any(|known| name.starts_with(known))).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_win() {
        let mut settings = BTreeMap::new();
        service("[Unit]\nUser=no\n[Service]\n# x\nUser=a\nPrivateTmp = yes\n", &mut settings);
        service("[Service]\nUser=b\n[Install]\nUser=c\n", &mut settings);
        assert_eq!(settings.get("User").unwrap(), "b");
        assert_eq!(settings.get("PrivateTmp").unwrap(), "yes");
    }

    #[test]
    fn a_drop_in_of_another_folder_holds_too() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, text) in [
            ("run/x.service.d/50-a.conf", "User=root"),
            ("etc/x.service.d/50-a.conf", "User=oc"),
            ("run/x.service.d/60-b.conf", "PrivateTmp=no"),
            ("run/service.d/10-all.conf", "NoNewPrivileges=yes"),
            ("run/x.service.d/readme", "User=no"),
        ] {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        }
        let found = drop_ins("x.service", &[at("etc"), at("run")]);
        let names =
            ["run/service.d/10-all.conf", "etc/x.service.d/50-a.conf", "run/x.service.d/60-b.conf"];
        assert_eq!(found, names.map(at));
    }

    #[test]
    fn this_host_can_be_asked() {
        assert!(kernel().known().is_some());
        // Known, or unknown with a reason; never a panic.
        let _ = disk(Path::new("/"));
        assert!(units(Path::new("/nonexistent")).known().is_some());
    }
}
