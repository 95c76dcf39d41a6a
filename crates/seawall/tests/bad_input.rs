//! What `seawall up` says when it cannot start: the thing that is wrong, by name, and what to do
//! next. Nothing is started and nothing is changed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A home with a deployment, and a folder with programs that look like OpenClaw and Node.
struct Machine {
    dir: tempfile::TempDir,
}

const CONFIG: &str = r#"{
  "gateway": { "mode": "local", "port": 18999, "auth": { "mode": "token", "token": "t" } },
  "agents": { "defaults": { "model": { "primary": "p/m" } } },
}
"#;

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        machine.write("home/.openclaw/openclaw.json", CONFIG);
        machine.write("home/.openclaw/workspace/SOUL.md", "# Soul\n");
        let package = r#"{ "name": "openclaw", "version": "2026.9.6" }"#;
        machine.write("bin/node_modules/openclaw/package.json", package);
        machine.program("bin/node_modules/openclaw/openclaw.mjs", "#!/bin/sh\nexit 1\n");
        let bin = machine.path("bin/node_modules/.bin");
        fs::create_dir_all(&bin).unwrap();
        std::os::unix::fs::symlink("../openclaw/openclaw.mjs", bin.join("openclaw")).unwrap();
        machine.program("bin/node_modules/.bin/node", "#!/bin/sh\necho v24.21.0\n");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// `seawall up`, as a user of this machine.
    fn up(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seawall"))
            .arg("up")
            .env_clear()
            .env("HOME", self.path("home"))
            .env("SEAWALL_HOME", self.path("seawall"))
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin/node_modules/.bin").display()))
            .output()
            .unwrap()
    }

    /// Runs `up`, which has to refuse, and returns what it says.
    fn refuses(&self) -> String {
        let before = tree(self.dir.path());
        let output = self.up();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "it started: {said}");
        assert!(!said.contains("panicked"), "{said}");
        assert_eq!(before, tree(self.dir.path()), "something was changed: {said}");
        said
    }
}

/// Every file and folder with its content.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(tree(&path));
            all.insert(path, None);
        } else {
            let content = fs::read(&path).ok();
            all.insert(path, content);
        }
    }
    all
}

#[test]
fn a_configuration_that_does_not_parse_is_named_with_its_line() {
    let machine = Machine::new();
    machine
        .write("home/.openclaw/openclaw.json", "{\n  \"gateway\": {\n    mode \"local\"\n  }\n}\n");
    let said = machine.refuses();
    assert!(said.contains("openclaw.json"), "{said}");
    assert!(said.contains('3'), "the line is missing: {said}");
}

#[test]
fn a_missing_configuration_is_named() {
    let machine = Machine::new();
    fs::remove_file(machine.path("home/.openclaw/openclaw.json")).unwrap();
    let said = machine.refuses();
    assert!(said.contains("openclaw.json") && said.contains("openclaw onboard"), "{said}");
}

#[test]
fn a_missing_openclaw_is_named() {
    let machine = Machine::new();
    fs::remove_file(machine.path("bin/node_modules/.bin/openclaw")).unwrap();
    let said = machine.refuses();
    assert!(said.contains("npm install -g openclaw@2026.9.6"), "{said}");
}

#[test]
fn another_openclaw_is_named() {
    let machine = Machine::new();
    let package = r#"{ "name": "openclaw", "version": "2025.1.1" }"#;
    machine.write("bin/node_modules/openclaw/package.json", package);
    let said = machine.refuses();
    assert!(said.contains("2025.1.1") && said.contains("2026.9.6"), "{said}");
}

#[test]
fn a_wrong_node_is_named() {
    let machine = Machine::new();
    machine.program("bin/node_modules/.bin/node", "#!/bin/sh\necho v18.20.4\n");
    let said = machine.refuses();
    assert!(said.contains("18.20.4") && said.contains("24.16"), "{said}");
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    let machine = Machine::new();
    machine.write("seawall/default/seawall.toml", "[guard]\ndeadline = 5\n");
    let said = machine.refuses();
    assert!(said.contains("seawall.toml") && said.contains("deadline"), "{said}");
}

#[test]
fn an_egress_rule_that_is_not_one_is_named() {
    let machine = Machine::new();
    let rule = "[[egress.rules]]\nname = \"x\"\nhosts = [\"not a host\"]\n";
    machine.write("seawall/default/seawall.toml", rule);
    let said = machine.refuses();
    assert!(said.contains("seawall.toml") && said.contains("not a host"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let machine = Machine::new();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    machine.write("home/.openclaw/openclaw.json", &CONFIG.replace("18999", &port.to_string()));
    let said = machine.refuses();
    assert!(said.contains(&port.to_string()) && said.contains("gateway.port"), "{said}");
}
