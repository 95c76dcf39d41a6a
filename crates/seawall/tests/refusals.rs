//! `seawall up` on what it cannot run: one clear error, a code that says so, nothing started and
//! nothing changed.
//!
//! OpenClaw and Node are stand-ins here (a package.json and a program that prints a version): these
//! refusals come before either would run.

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

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new(config: &str) -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        fs::create_dir_all(world.path("home/.openclaw")).unwrap();
        fs::write(world.path("home/.openclaw/openclaw.json"), config).unwrap();
        let package = world.path("node_modules/openclaw");
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("package.json"), r#"{"name":"openclaw","version":"2026.9.6"}"#)
            .unwrap();
        fs::write(package.join("openclaw.mjs"), "").unwrap();
        fs::create_dir_all(world.path("node_modules/.bin")).unwrap();
        symlink("../openclaw/openclaw.mjs", world.path("node_modules/.bin/openclaw")).unwrap();
        world.node("v24.21.0");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn node(&self, version: &str) {
        let node = self.path("node_modules/.bin/node");
        fs::write(&node, format!("#!/bin/sh\necho {version}\n")).unwrap();
        fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn settings(&self, text: &str) {
        fs::create_dir_all(self.path("seawall/default")).unwrap();
        fs::write(self.path("seawall/default/seawall.toml"), text).unwrap();
    }

    fn up(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_seawall"))
            .arg("up")
            .env_clear()
            .env("PATH", self.path("node_modules/.bin"))
            .env("HOME", self.path("home"))
            .env("SEAWALL_HOME", self.path("seawall"))
            .output()
            .unwrap()
    }

    /// Runs `up` and checks that it refuses with these words and leaves everything as it was.
    fn refuses(&self, words: &[&str]) {
        let before = listing(self.dir.path());
        let output = self.up();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{text}");
        for word in words {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
        assert_eq!(listing(self.dir.path()), before, "something was changed");
    }
}

fn listing(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let content = fs::read(&path).map(|bytes| bytes.len()).unwrap_or_default();
            all.push(format!("{} {content}", path.display()));
            if path.is_dir() && !path.is_symlink() {
                open.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
fn a_config_that_does_not_parse() {
    World::new("{\n  gateway: { port: 1 \n  agents: {} }\n")
        .refuses(&["openclaw.json:3:3: not valid JSON5: expected"]);
}

#[test]
fn no_config_at_all() {
    let world = World::new("{}");
    fs::remove_file(world.path("home/.openclaw/openclaw.json")).unwrap();
    world.refuses(&["no OpenClaw configuration at", "openclaw onboard"]);
}

#[test]
fn a_missing_openclaw() {
    let world = World::new("{}");
    fs::remove_file(world.path("node_modules/.bin/openclaw")).unwrap();
    world.refuses(&["`openclaw` is not on PATH", "npm install"]);
}

#[test]
fn an_openclaw_that_the_tables_do_not_know() {
    let world = World::new("{}");
    let package = world.path("node_modules/openclaw/package.json");
    fs::write(package, r#"{"name":"openclaw","version":"2027.1.0"}"#).unwrap();
    world.refuses(&["OpenClaw 2027.1.0", "2026.9.6"]);
}

#[test]
fn a_wrong_node() {
    let world = World::new("{}");
    world.node("v20.20.2");
    world.refuses(&["Node 20.20.2", "24.16"]);
}

#[test]
fn a_taken_port() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    World::new(&format!("{{ gateway: {{ port: {port} }} }}"))
        .refuses(&[&format!("port {port} is taken"), "ss -tlnp"]);
}

#[test]
fn settings_and_policies_that_do_not_validate() {
    for (text, words) in [
        ("[guard]\ndeadline = 5\n", ["seawall.toml", "deadline"]),
        ("[policy]\nlisted_hots = []\n", ["seawall.toml", "listed_hots"]),
        ("[door]\nmax_connections = 0\n", ["seawall.toml", "max_connections"]),
        ("[[egress.rules]]\nname = \"x\"\nhosts = []\n", ["seawall.toml", "hosts"]),
    ] {
        let world = World::new("{}");
        world.settings(text);
        world.refuses(&words);
    }
}

/// In a user namespace whose own limit of further ones is 0.
#[test]
fn a_kernel_without_user_namespaces() {
    let world = World::new("{ gateway: { port: 1 } }");
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\" up";
    let output = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            script,
            env!("CARGO_BIN_EXE_seawall"),
        ])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", world.path("node_modules/.bin").display()))
        .env("HOME", world.path("home"))
        .env("SEAWALL_HOME", world.path("seawall"))
        .output();
    let Ok(output) = output else {
        println!("skipped: `unshare` is not installed");
        return;
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if text.contains("unshare:")
        || text.contains("max_user_namespaces") && !text.contains("cannot confine")
    {
        println!("skipped: no user namespace to try this in: {text}");
        return;
    }
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(
        text.contains("cannot confine the gateway") && text.contains("seawall sandbox probe"),
        "{text}"
    );
    assert!(!world.path("seawall").exists());
}

#[test]
fn status_and_events_without_a_running_seawall() {
    let world = World::new("{}");
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_seawall"))
            .args(args)
            .env_clear()
            .env("HOME", world.path("home"))
            .env("SEAWALL_HOME", world.path("seawall"))
            .output()
            .unwrap()
    };
    for args in [&["status"][..], &["events", "verify"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(3));
        assert!(String::from_utf8_lossy(&output.stderr).contains("seawall up"));
    }
    assert_eq!(run(&["nonsense"]).status.code(), Some(2));
}
