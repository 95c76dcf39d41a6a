//! Profiles on the real OpenClaw: what comes out is what it takes.
//!
//! Needs `SEAWALL_OPENCLAW_DIR` (a folder with `node_modules`), skipped without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The settings of the guide, as it writes them.
const GUIDE: &str = include_str!("../../../testdata/harden/guide.json");

fn seawall(install: &Path, home: &Path, arguments: &[&str]) -> Output {
    let bin = install.join("node_modules/.bin");
    Command::new(env!("CARGO_BIN_EXE_seawall"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("SEAWALL_HOME", home.join("seawall"))
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .output()
        .unwrap()
}

#[test]
fn the_guides_own_configuration_becomes_one_that_openclaw_takes() {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR").map(PathBuf::from) else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return;
    };
    for profile in ["personal", "team", "production"] {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        fs::create_dir(home.join(".openclaw")).unwrap();
        let config = home.join(".openclaw/openclaw.json");
        fs::write(&config, GUIDE).unwrap();
        // As it is, OpenClaw refuses it: `apply` would have been refused as well.
        let output = seawall(&install, &home, &["harden", "apply", "--profile", profile, "--yes"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{profile}: {said}");
        let verify = seawall(&install, &home, &["harden", "verify"]);
        assert!(verify.status.success(), "{profile}: {}", String::from_utf8_lossy(&verify.stdout));
        let back = seawall(&install, &home, &["harden", "rollback"]);
        assert!(back.status.success());
        assert_eq!(fs::read_to_string(&config).unwrap(), GUIDE);
        // Rolled back it is refused again: the check is not one that says yes to everything.
        let only = [
            "harden",
            "apply",
            "--profile",
            profile,
            "--only",
            "gateway.bind",
            "--only",
            "gateway.mode",
            "--yes",
        ];
        let output = seawall(&install, &home, &only);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("nothing was changed") && said.contains("Unrecognized key"),
            "{said}"
        );
    }
}

/// Who closes what a hardened configuration leaves open: the beginning of a finding's id, and whose
/// it is. Nothing here is left to `seawall harden apply`.
const LEFT: [(&str, &str); 21] = [
    ("host.", "the machine: `seawall harden host`, or whoever runs it"),
    ("ssh.", "`seawall harden host sshd`"),
    ("unit.", "`seawall harden host systemd`"),
    ("container.", "`seawall harden host compose`"),
    (
        "process.",
        "who starts the gateway: `seawall up`, or `seawall harden host user` and `systemd`",
    ),
    ("egress.", "`seawall up`, or `seawall harden host nftables --gateway-uid`"),
    ("monitoring.guard", "`seawall up`"),
    ("logging.siem", "whoever collects logs"),
    ("incident.playbook", "a person writes it"),
    ("install.", "an update of OpenClaw, of Seawall's data, or of its folder's mode"),
    ("channels.multi-user", "a person decides who shares a gateway"),
    ("channels.names", "a person looks the ids up"),
    ("channels.group-senders", "a person names them"),
    ("channels.dm-closed", "a person names somebody"),
    ("gateway.proxies", "whoever runs the proxy"),
    ("sandbox.off", "the guide leaves the main session outside of the sandbox: `low`"),
    ("secrets.config", "a vault or the environment: a person puts them there"),
    ("secrets.rotation", "`seawall harden rotation`"),
    ("files.synced", "a person moves the folder"),
    ("skills.unapproved", "`seawall skill approve`"),
    ("models.", "a person chooses the model"),
];

/// After `harden apply --profile production`, nothing is left that it could have closed.
#[test]
fn a_hardened_deployment_scores_clean() {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR").map(PathBuf::from) else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().canonicalize().unwrap();
    fs::create_dir_all(home.join(".openclaw/credentials")).unwrap();
    // The guide's own settings, with all that it warns of switched on, and files that others read.
    let mut config = seawall_audit::harden::doc::parse(GUIDE).unwrap().to_value();
    for (key, value) in [
        ("/gateway/bind", serde_json::json!("lan")),
        ("/channels/telegram/allowFrom", serde_json::json!(["*", 123_456_789])),
        (
            "/tools",
            serde_json::json!({ "elevated": { "enabled": true }, "exec": { "security": "full" } }),
        ),
    ] {
        *config.pointer_mut(key).unwrap() = value;
    }
    config["discovery"] = serde_json::json!({ "mdns": { "mode": "full" } });
    config["gateway"]["auth"] = serde_json::json!({ "mode": "none" });
    config["channels"]["telegram"]["dmPolicy"] = "open".into();
    config["channels"]["telegram"]["groupAllowFrom"] = serde_json::json!([123_456_789]);
    fs::write(home.join(".openclaw/openclaw.json"), config.to_string()).unwrap();
    fs::write(home.join(".openclaw/credentials/telegram.json"), "{}").unwrap();
    for (name, mode) in [
        ("credentials", 0o777),
        ("credentials/telegram.json", 0o666),
        ("openclaw.json", 0o644),
        ("", 0o755),
    ] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(home.join(".openclaw").join(name), fs::Permissions::from_mode(mode))
            .unwrap();
    }
    let findings = || -> Vec<serde_json::Value> {
        let output = seawall(&install, &home, &["audit", "--json", "--fail-on", "none"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let all = report["findings"].as_array().unwrap().clone();
        all.into_iter().filter(|f| f["status"] == "fail" && f["severity"] != "info").collect()
    };
    let owner = |finding: &serde_json::Value| {
        let id = finding["id"].as_str().unwrap();
        LEFT.iter().find(|(start, _)| id.starts_with(start)).map(|(_, who)| *who)
    };
    let before = findings().iter().filter(|finding| owner(finding).is_none()).count();
    assert!(before >= 10, "only {before} were to be closed");
    let output = seawall(&install, &home, &["harden", "apply", "--profile", "production", "--yes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = findings();
    for finding in &left {
        println!(
            "left: {} {}: {}",
            finding["id"],
            finding["location"],
            owner(finding).unwrap_or("?")
        );
    }
    let nobodys: Vec<_> = left.iter().filter(|finding| owner(finding).is_none()).collect();
    assert!(nobodys.is_empty(), "{nobodys:#?}");
    println!("{before} findings were closed");
}
