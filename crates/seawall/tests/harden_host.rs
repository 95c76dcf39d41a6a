//! Pieces for the host with the real tools, in namespaces and folders of their own. What is not
//! installed here is skipped and said.

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
use std::time::{Duration, Instant};

struct Lab {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let lab = Self { _dir: dir, root };
        lab.write("home/.openclaw/openclaw.json", "{ gateway: { port: 18789 } }");
        lab
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn seawall(&self) -> String {
        format!(
            "HOME={0}/home SEAWALL_HOME={0}/seawall {1} harden",
            self.root.display(),
            env!("CARGO_BIN_EXE_seawall")
        )
    }

    fn host(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(["harden", "host"])
            .args(arguments)
            .env_remove("SSH_CONNECTION")
            .env("HOME", self.root.join("home"))
            .env("SEAWALL_HOME", self.root.join("seawall"))
            .output()
            .unwrap()
    }
}

fn there(program: &str) -> bool {
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .any(|dir| Path::new(dir).join(program).exists());
    if !found {
        println!("skipped: `{program}` is not installed");
    }
    found
}

/// Whether a network namespace can be had here.
fn namespaces() -> bool {
    let got = Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|s| s.success());
    if !got {
        println!("skipped: no namespaces for this user");
    }
    got && there("nft")
}

fn inside(lab: &Lab, script: &str) -> String {
    let script =
        script.replace("SEAWALL", &lab.seawall()).replace("ROOT", &lab.root.display().to_string());
    let output = Command::new("unshare").args(["-rn", "sh", "-ec", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

const APPLY: &str = "host nftables --apply --yes --root ROOT";

#[test]
fn a_firewall_that_nobody_confirms_goes_away_by_itself() {
    if !namespaces() {
        return;
    }
    let lab = Lab::new();
    let started = Instant::now();
    let text = inside(
        &lab,
        &format!(
            "export SSH_CONNECTION='192.0.2.9 5 192.0.2.1 2022'\nSEAWALL {APPLY} --confirm-within 2\n\
             nft list table inet seawall\n\
             while nft list table inet seawall >/dev/null 2>&1; do sleep 0.1; done\n\
             SEAWALL history; test ! -e ROOT/etc/seawall"
        ),
    );
    assert!(text.contains("ip saddr 192.0.2.9 tcp dport 2022 accept"), "{text}");
    assert!(text.contains("undone: nobody confirmed it in time"), "{text}");
    assert!(started.elapsed() > Duration::from_secs(2));
}

#[test]
fn a_confirmed_firewall_stays_and_can_be_rolled_back() {
    if !namespaces() {
        return;
    }
    let lab = Lab::new();
    let text = inside(
        &lab,
        &format!(
            "export SSH_CONNECTION='192.0.2.9 5 192.0.2.1 2022'\n\
             ID=$(SEAWALL {APPLY} --confirm-within 60 --json | sed 's/.*\"run\":\"\\([0-9-]*\\)\".*/\\1/')\n\
             SEAWALL confirm $ID 2>&1 && exit 1 || true\n\
             export SSH_CONNECTION='192.0.2.9 6 192.0.2.1 2022'\nSEAWALL confirm $ID\n\
             nft list table inet seawall >/dev/null\nSEAWALL history\nSEAWALL rollback $ID\n\
             ! nft list table inet seawall 2>/dev/null\ntest ! -e ROOT/etc/seawall"
        ),
    );
    assert!(text.contains("this is the connection that was there before"), "{text}");
    assert!(text.contains("in force\n") && text.contains("is undone"), "{text}");
}

#[test]
fn a_firewall_that_does_not_load_leaves_nothing_behind() {
    if !namespaces() {
        return;
    }
    let lab = Lab::new();
    // `nft` that checks well and fails to load: only the way back is left.
    lab.write("bin/nft", "#!/bin/sh\n[ \"$1\" = -f ] && exit 1\nexec /usr/sbin/nft \"$@\"\n");
    let text = inside(
        &lab,
        &format!(
            "chmod +x ROOT/bin/nft; export PATH=ROOT/bin:$PATH\nSEAWALL {APPLY} --confirm-within 60 2>&1 && exit 1\n\
             test ! -e ROOT/etc/seawall\nSEAWALL history"
        ),
    );
    assert!(text.contains("everything is as it was") && text.contains("undone: `nft -f"), "{text}");
}

#[test]
fn pieces_are_taken_by_the_real_tools() {
    let lab = Lab::new();
    if there("systemd-analyze") {
        let output = lab.host(&["systemd", "--user", "root"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("checked with systemd-analyze"), "{said}");
    }
    if there("nginx") && there("openssl") {
        let key = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                "/CN=x",
                "-keyout",
            ])
            .arg(lab.root.join("k.pem"))
            .arg("-out")
            .arg(lab.root.join("c.pem"))
            .output()
            .unwrap();
        assert!(key.status.success());
        let path = |name: &str| lab.root.join(name).to_string_lossy().into_owned();
        let (c, k) = (path("c.pem"), path("k.pem"));
        let files =
            ["nginx", "--name", "claw.test", "--certificate", &c, "--key", &k, "--clients", &c];
        let output = lab.host(&files);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("checked with nginx"), "{said}");
        let output = lab.host(&["nginx", "--certificate", "/nowhere.pem"]);
        assert_eq!(output.status.code(), Some(1), "a certificate that is not there is found");
    }
    let output = lab.host(&["tailscale", "--apply", "--yes"]);
    assert!(!output.status.success(), "a network's policy is not on this host");
}

#[test]
fn sshd_is_not_touched_when_nobody_could_get_in() {
    let lab = Lab::new();
    let root = lab.root.to_string_lossy().into_owned();
    lab.write("etc/passwd", "ada:x:1:1::/home/ada:/bin/sh\n");
    lab.write("etc/ssh/sshd_config", "PasswordAuthentication yes\n");
    let apply =
        ["sshd", "--apply", "--yes", "--root", &root, "--allow-user", "ada", "--activate", "true"];
    let said = |output: Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(lab.host(&apply)).contains("does not include"));
    lab.write("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n");
    let text = said(lab.host(&apply));
    if text.contains("cannot be checked without `sshd`") {
        println!("skipped: `sshd` is not installed");
        return;
    }
    assert!(text.contains("no authorized_keys of ada"), "{text}");
    assert!(!lab.root.join("etc/ssh/sshd_config.d").exists());
}

#[test]
fn an_sshd_drop_in_without_force_is_refused() {
    let lab = Lab::new();
    let root = lab.root.to_string_lossy().into_owned();
    if !there("sshd") || !there("ssh-keygen") {
        println!("skipped: needs `sshd` and `ssh-keygen`");
        return;
    }
    lab.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    lab.write("keys/root", "ssh-ed25519 AAAA x\n");
    lab.write("etc/ssh/sshd_config.d/README", "");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &format!("{root}/host")])
        .status();
    assert!(made.unwrap().success());
    lab.write(
        "etc/ssh/sshd_config",
        &format!(
            "PasswordAuthentication yes\nPort 2022\nHostKey {root}/host\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nAuthorizedKeysFile {root}/keys/%u\nInclude {root}/etc/ssh/sshd_config.d/*.conf\n"
        ),
    );
    let output = lab.host(&[
        "sshd",
        "--apply",
        "--yes",
        "--untried",
        "--root",
        &root,
        "--allow-user",
        "root",
        "--activate",
        "true",
        "--confirm-within",
        "60",
    ]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains("would not get in") {
        println!("skipped: no login can be tried here: {text}");
        return;
    }
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("nothing was changed: sshd would still take passwords"), "{text}");
    assert!(!lab.root.join("etc/ssh/sshd_config.d/00-seawall.conf").exists());
}
