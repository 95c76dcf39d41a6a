//! `seawall egress serve` as a program: a real DNS server that turns, load, a killed process, a
//! full disk, no descriptors left, and what real clients do with an opened connection.
//!
//! All of it happens in a network namespace of its own; where that cannot be made, each test says
//! that it was skipped. `SEAWALL_LONG=1` runs with the numbers of the documentation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/egress_serve");

fn found(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|dir| dir.join(program).is_file())
}

/// Whether a namespace of our own can be had.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

/// Runs one of the scripts in a namespace, with the program's path and a folder of its own.
fn run(script: &str, needs: &[&str]) -> Option<Output> {
    run_after(script, needs, |_| ())
}

/// The same, with something done in the folder first, where there still is a network.
fn run_after(script: &str, needs: &[&str], first: impl FnOnce(&Path)) -> Option<Output> {
    let missing: Vec<_> = needs.iter().filter(|program| !found(program)).collect();
    let works = namespace().arg("true").stderr(Stdio::null()).status();
    if !missing.is_empty() || !works.is_ok_and(|status| status.success()) {
        println!("skipped: needs root for a network namespace, and {needs:?}; missing {missing:?}");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    first(folder.path());
    let output = namespace()
        .args(["/usr/bin/python3", "-B"])
        .arg(Path::new(SCRIPTS).join(script))
        .env("SEAWALL", env!("CARGO_BIN_EXE_seawall"))
        .env("PATH", format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default()))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::io::stdout().write_all(&output.stdout).unwrap();
    std::io::stderr().write_all(&output.stderr).unwrap();
    Some(output)
}

fn passes(script: &str, needs: &[&str]) {
    if let Some(output) = run(script, needs) {
        assert!(output.status.success(), "{script} failed, see above");
    }
}

#[test]
fn a_name_of_a_real_server_that_turns_private_is_refused() {
    passes("rebinding.py", &["ip", "python3", "dnsmasq"]);
}

#[test]
fn questions_go_over_tls_and_https_only_to_the_server_that_is_named() {
    passes("encrypted_dns.py", &["ip", "python3", "openssl"]);
}

#[test]
fn nothing_goes_out_undecided_and_recovery_is_automatic() {
    passes("storms.py", &["ip", "python3", "mount"]);
}

#[test]
fn many_idle_tunnels_are_held() {
    passes("idle_tunnels.py", &["ip", "python3"]);
}

#[test]
fn real_clients_work_through_opened_tls() {
    passes("clients.py", &["ip", "python3", "curl", "openssl", "git"]);
}

#[test]
fn a_user_is_held_to_the_proxy_until_the_rules_are_taken_away() {
    passes("enforce.py", &["ip", "python3", "nft", "setpriv"]);
}

/// Five minutes, which is how long the patterns take: `SEAWALL_LONG=1`.
#[test]
fn patterns_over_time_are_told_and_not_refused() {
    if std::env::var_os("SEAWALL_LONG").is_none() {
        println!("skipped: takes five minutes; set SEAWALL_LONG=1");
        return;
    }
    passes("rhythm.py", &["ip", "python3"]);
}

/// A channel's plugin, as `openclaw plugins install` brings it. OpenClaw gives its queue to installed
/// plugins only, so it is no copy.
const CHANNEL: &str = "@openclaw/mattermost@2026.9.5";

#[test]
#[ignore = "a gateway's start takes a minute"]
fn a_channel_on_websockets_works_under_seawall_up() {
    let Some(openclaw) = std::env::var_os("SEAWALL_OPENCLAW_DIR") else {
        println!("skipped: SEAWALL_OPENCLAW_DIR does not name an installed OpenClaw");
        return;
    };
    let programs = Path::new(&openclaw).join("node_modules/.bin");
    let install = |folder: &Path| {
        let home = folder.join("home");
        std::fs::create_dir(&home).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let done = Command::new(programs.join("openclaw"))
            .args(["plugins", "install", CHANNEL])
            .env("HOME", &home)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    if let Some(output) = run_after("channel.py", &["ip", "python3", "openssl"], install) {
        assert!(output.status.success(), "channel.py failed, see above");
    }
}

/// A minute, so no part of the ordinary run: `cargo xtask test --step egress-gateway`.
#[test]
#[ignore = "a gateway's start takes a minute"]
fn the_real_gateway_works_through_it() {
    if std::env::var_os("SEAWALL_OPENCLAW_DIR").is_none() {
        println!("skipped: SEAWALL_OPENCLAW_DIR does not name an installed OpenClaw");
        return;
    }
    passes("openclaw.py", &["ip", "python3", "openssl"]);
}
