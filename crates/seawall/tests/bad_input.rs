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

/// A node that runs `todo` instead of OpenClaw.
fn instead(todo: &str) -> String {
    format!("#!/bin/bash\n[ \"$1\" = --version ] && {{ echo v24.21.0; exit; }}\n{todo}\n")
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

#[test]
fn a_configuration_behind_a_link_that_the_gateway_could_replace_is_named() {
    let machine = Machine::new();
    let (inside, outside) =
        (machine.path("home/.openclaw/openclaw.json"), machine.path("dots.json"));
    fs::rename(&inside, &outside).unwrap();
    std::os::unix::fs::symlink(&outside, &inside).unwrap();
    let said = machine.refuses();
    assert!(said.contains("openclaw.json") && said.contains("symbolic link"), "{said}");
    // An include is no other way in.
    fs::remove_file(&inside).unwrap();
    fs::copy(&outside, &inside).unwrap();
    let text = CONFIG.trim_start().replacen('{', r#"{ "$include": "./more.json","#, 1);
    machine.write("home/.openclaw/openclaw.json", &text);
    machine.write("home/.openclaw/real.json", "{}");
    std::os::unix::fs::symlink("real.json", machine.path("home/.openclaw/more.json")).unwrap();
    let said = machine.refuses();
    assert!(said.contains("more.json") && said.contains("symbolic link"), "{said}");
}

#[test]
fn an_openclaw_that_the_agent_could_replace_is_named() {
    let machine = Machine::new();
    let workspace = machine.path("home/.openclaw/workspace/node_modules");
    fs::rename(machine.path("bin/node_modules"), &workspace).unwrap();
    std::os::unix::fs::symlink(&workspace, machine.path("bin/node_modules")).unwrap();
    let said = machine.refuses();
    assert!(said.contains("by which OpenClaw or Node is found"), "{said}");
}

/// The check loads what lies in folders that the gateway can write: plugins, and an `.env` that
/// leads to others.
#[test]
fn openclaw_is_asked_where_it_can_do_no_more_than_the_gateway() {
    let machine = Machine::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    machine.write("secret", "secret");
    let secret = machine.path("secret");
    let node = instead(&format!(
        r#"seen=
cat {secret} && seen="$seen secret"
(echo x > {secret})
(exec 3<>/dev/tcp/127.0.0.1/{port}) && seen="$seen network"
(echo x > "$OPENCLAW_CONFIG_PATH") && seen="$seen config"
[ -n "$OPENCLAW_BUNDLED_PLUGINS_DIR" ] && seen="$seen steered"
[ "$GIVEN" = yes ] || seen="$seen not-given"
printf '{{"valid":false,"issues":[{{"path":"seen","message":"%s"}}]}}' "${{seen:- nothing}}""#,
        secret = secret.display(),
    ));
    machine.program("bin/node_modules/.bin/node", &node);
    let names = r#""token": "${GIVEN}${OPENCLAW_BUNDLED_PLUGINS_DIR}""#;
    let text = CONFIG.replace(r#""token": "t""#, names);
    machine.write("home/.openclaw/openclaw.json", &text);
    machine.write("home/.openclaw/.env", "GIVEN=yes\nOPENCLAW_BUNDLED_PLUGINS_DIR=/evil\n");
    let said = machine.refuses();
    if said.contains("cannot confine") {
        println!("skipped: {said}");
        return;
    }
    assert!(said.contains("seen:  nothing"), "{said}");
    // The same program outside sees and does it all.
    let bare = Command::new(machine.path("bin/node_modules/.bin/node"))
        .env("OPENCLAW_CONFIG_PATH", machine.path("home/.openclaw/openclaw.json"))
        .env("OPENCLAW_BUNDLED_PLUGINS_DIR", "/evil")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&bare.stdout);
    assert!(said.contains(" secret network config steered not-given"), "{said}");
    // What it wrote in the jail, if anything, was the jail's: the first run has left all as it was.
    assert_eq!(fs::read_to_string(&secret).unwrap(), "x\n");
}

#[test]
fn the_real_openclaw_fills_a_new_workspace_before_the_gateway_starts() {
    use std::io::BufRead as _;
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR") else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return;
    };
    let machine = Machine::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let workspace = machine.path("home/new");
    let config = serde_json::json!({
        "gateway": { "mode": "local", "port": port, "auth": { "mode": "token", "token": "t" } },
        "agents": { "defaults": {
            "workspace": workspace, "skipOptionalBootstrapFiles": ["USER.md"],
        } },
    });
    machine.write("home/.openclaw/openclaw.json", &config.to_string());
    let programs = Path::new(&install).join("node_modules/.bin");
    let mut up = Command::new(env!("CARGO_BIN_EXE_seawall"))
        .arg("up")
        .env_clear()
        .env("HOME", machine.path("home"))
        .env("SEAWALL_HOME", machine.path("seawall"))
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in std::io::BufReader::new(up.stderr.take().unwrap()).lines() {
        said.push(line.unwrap());
        if said.last().is_some_and(|line| line.contains("gateway started")) {
            break;
        }
    }
    let there = |name: &str| workspace.join(name).is_file();
    let filled = (there("AGENTS.md"), there("SOUL.md"), there("IDENTITY.md"), there("USER.md"));
    up.kill().unwrap();
    up.wait().unwrap();
    if said.iter().any(|line| line.contains("cannot confine the gateway")) {
        println!("skipped: {said:?}");
        return;
    }
    assert!(said.iter().any(|line| line.contains("is new")), "{said:?}");
    assert!(said.iter().all(|line| !line.contains("warning")), "{said:?}");
    assert_eq!(filled, (true, true, true, false), "{said:?}");
}
