//! After `seawall harden apply` the real gateway starts and works, does what the profile says, and
//! `seawall devices` manages who reaches it.
//!
//! Needs `SEAWALL_OPENCLAW_DIR` (a folder with `node_modules`) and a network namespace, skipped
//! without. Only the model's provider is a stand-in (`testdata/harden/gateway.mjs`). The gateway
//! needs fifteen seconds or more to start, so none of this is in the ordinary run:
//!
//! ```text
//! cargo xtask test --step harden-gateway
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

/// The settings of the guide, as it writes them.
const GUIDE: &str = include_str!("../../../testdata/harden/guide.json");
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/harden/gateway.mjs");
/// Inside of a namespace of its own: nobody else has these.
const MODEL: u16 = 27_310;
const PORT: u16 = 18_789;

struct Deployment {
    _dir: tempfile::TempDir,
    home: PathBuf,
    path: String,
}

impl Deployment {
    /// A deployment with this configuration, and where its model answers.
    fn new(install: &Path, mut config: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        let model = json!({ "id": "claude-opus-4-5", "name": "Stand-in", "reasoning": false,
            "input": ["text"], "cost": { "input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0 },
            "contextWindow": 128_000, "maxTokens": 4096 });
        config["models"] = json!({ "providers": { "anthropic": {
            "baseUrl": format!("http://127.0.0.1:{MODEL}/v1"), "apiKey": "${MODEL_KEY}",
            "api": "openai-completions", "models": [model] } } });
        let state = home.join(".openclaw");
        fs::create_dir_all(state.join("workspace")).unwrap();
        let write = |name: &str, text: &str| {
            fs::write(state.join(name), text).unwrap();
            fs::set_permissions(state.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("openclaw.json", &serde_json::to_string_pretty(&config).unwrap());
        write(".env", "MODEL_KEY=not-a-real-key-0123456789\n");
        write("workspace/note.txt", "the note says 42\n");
        for folder in [state.clone(), state.join("workspace")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let bin = install.join("node_modules/.bin");
        Self { _dir: dir, home, path: format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()) }
    }

    /// A program that sees this deployment only.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", &self.home)
            .env("TMPDIR", &self.home)
            .env("NO_COLOR", "1")
            .env("SEAWALL_HOME", self.home.join("seawall"))
            .env("PATH", &self.path);
        command
    }

    fn seawall(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_seawall")).args(arguments).output().unwrap()
    }

    fn apply(&self, profile: &str) {
        let output = self.seawall(&["harden", "apply", "--profile", profile, "--yes"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{profile}: {said}");
    }

    fn config(&self) -> Value {
        let text = fs::read_to_string(self.home.join(".openclaw/openclaw.json")).unwrap();
        seawall_audit::harden::doc::parse(&text).unwrap().to_value()
    }

    fn token(&self) -> String {
        self.config()["gateway"]["auth"]["token"].as_str().unwrap().to_owned()
    }

    fn start(&self) -> Gateway {
        let script =
            format!("ip link set lo up; exec node {DRIVER} openclaw {MODEL} {PORT} gw.log");
        let user = rustix::process::getuid().is_root();
        let mut child = self
            .command("unshare")
            .args([if user { "-n" } else { "-rn" }, "sh", "-ec", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut gateway = Gateway { child, input, output: BufReader::new(output) };
        let answer = gateway.ask(json!({ "ready": {} }));
        let log = || fs::read_to_string(self.home.join("gw.log")).unwrap_or_default();
        assert_eq!(answer["ready"], true, "{answer}\n{}", log());
        gateway
    }
}

/// A running gateway, and a way to have things done beside it.
struct Gateway {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Gateway {
    fn ask(&mut self, what: Value) -> Value {
        writeln!(self.input, "{what}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer to {what}: {line:?}"))
    }

    fn seawall(&mut self, arguments: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_seawall");
        let answer = self.ask(json!({ "run": { "program": program, "arguments": arguments } }));
        assert_eq!(answer["code"], 0, "{arguments:?}: {answer}");
        answer["stdout"].as_str().unwrap().to_owned()
    }

    fn connect(&mut self, token: &str, device: Option<Value>) -> Value {
        self.ask(json!({ "connect": { "token": token, "device": device } }))
    }

    /// One turn of the main session in which the model wants to read a note, to read a file of the
    /// host and to run a command. The tools that it was offered, and what came back.
    fn turn(&mut self, token: &str) -> (Vec<String>, Vec<String>) {
        let steps = json!([
            { "tool": "read", "args": { "path": "note.txt" } },
            { "tool": "read", "args": { "path": "/etc/passwd" } },
            { "tool": "exec", "args": { "command": "echo it ran as $((40 + 2))" } },
        ]);
        let answer = self.ask(json!({ "turn": { "token": token, "steps": steps } }));
        let list = |key: &str| {
            let items = answer[key].as_array().unwrap_or_else(|| panic!("{answer}"));
            items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
        };
        (list("offered"), list("results"))
    }

    fn end(mut self) {
        self.ask(json!({ "end": {} }));
        drop(self.input);
        self.child.wait().unwrap();
    }
}

fn install() -> Option<PathBuf> {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR").map(PathBuf::from) else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return None;
    };
    let kind = if rustix::process::getuid().is_root() { "-n" } else { "-rn" };
    let got = Command::new("unshare")
        .args([kind, "ip", "link", "set", "lo", "up"])
        .status()
        .is_ok_and(|status| status.success());
    if !got {
        println!("skipped: no network namespace for this user, or no `ip`");
    }
    got.then_some(install)
}

/// A deployment as somebody leaves it who wants it to work at once.
fn careless() -> Value {
    json!({
        "gateway": { "mode": "local", "bind": "lan", "auth": { "mode": "none" },
            "http": { "endpoints": { "chatCompletions": { "enabled": true } } } },
        "agents": { "defaults": { "model": "anthropic/claude-opus-4-5" } },
        "tools": { "elevated": { "enabled": true }, "exec": { "security": "full", "ask": "off" } },
        "discovery": { "mdns": { "mode": "full" } },
    })
}

/// What every profile promises, tried on the gateway.
fn works(gateway: &mut Gateway, token: &str) -> Vec<String> {
    let refused = gateway.connect("wrong", None);
    assert_eq!(refused["ok"], false, "{refused}");
    let (offered, results) = gateway.turn(token);
    assert_eq!(results.len(), 3, "{results:?}");
    assert!(results[0].contains("the note says 42"), "{results:?}");
    assert!(!results[1].contains("root:"), "a file of the host was read: {results:?}");
    assert!(!results[2].contains("it ran as 42"), "a command ran without a question: {results:?}");
    offered
}

#[test]
#[ignore = "starts a gateway; `cargo xtask test --step harden-gateway`"]
fn the_guides_configuration_starts_and_devices_wait_for_a_person() {
    let Some(install) = install() else { return };
    let deployment = Deployment::new(&install, serde_json::from_str(GUIDE).unwrap());
    deployment.apply("production");
    let token = deployment.token();
    let mut gateway = deployment.start();
    let offered = works(&mut gateway, &token);
    for tool in ["exec", "process", "browser", "web_fetch", "web_search"] {
        assert!(!offered.iter().any(|name| name == tool), "{offered:?}");
    }

    // No device gets in by itself, not even from here and with the token.
    let phone = json!({ "client": "node-host", "mode": "node", "role": "node", "name": "phone" });
    let laptop = json!({ "client": "cli", "mode": "cli", "role": "operator", "name": "laptop" });
    let waiting = gateway.connect(&token, Some(phone));
    assert!(waiting["error"].as_str().unwrap().contains("pairing required"), "{waiting}");
    let waiting = gateway.connect(&token, Some(laptop));
    assert!(waiting["error"].as_str().unwrap().contains("pairing required"), "{waiting}");
    let laptop = waiting["id"].as_str().unwrap().to_owned();

    let list = |gateway: &mut Gateway| -> Value {
        serde_json::from_str(&gateway.seawall(&["devices", "list", "--json"])).unwrap()
    };
    let listed = list(&mut gateway);
    let pending = listed["pending"].as_array().unwrap();
    assert_eq!(pending.len(), 2, "{listed}");
    let request = pending.iter().find(|request| request["name"] == "laptop").unwrap();
    assert_eq!(request["device"], laptop);
    assert_eq!(request["scopes"], json!(["operator.read", "operator.write"]));

    // A person lets one of them in; the other one's time runs out.
    gateway.seawall(&["devices", "approve", request["id"].as_str().unwrap(), "--yes"]);
    let watched = gateway.seawall(&["devices", "watch", "--pending-minutes", "0", "--looks", "1"]);
    assert!(watched.contains("PENDING") && watched.contains("phone"), "{watched}");
    assert!(watched.contains("rejected, nobody answered"), "{watched}");
    let listed = list(&mut gateway);
    assert_eq!(listed["pending"], json!([]), "{listed}");
    assert_eq!(listed["paired"][0]["id"], laptop, "{listed}");

    gateway.seawall(&["devices", "revoke", &laptop[..12], "--role", "operator", "--yes"]);
    assert_eq!(list(&mut gateway)["paired"][0]["roles"], json!(["operator"]));
    gateway.seawall(&["devices", "prune", "--unused-days", "0", "--yes"]);
    assert_eq!(list(&mut gateway)["paired"], json!([]));
    gateway.end();
}

/// Who waits to write to the agent is seen, let in, reviewed and taken out again, on the gateway; a
/// waiting sender stands in for a message of Telegram's, which cannot be reached here.
#[test]
#[ignore = "starts a gateway; `cargo xtask test --step harden-gateway`"]
fn senders_are_let_in_and_taken_out() {
    if std::env::var_os("SEAWALL_CHANNELS").is_none() {
        println!("skipped: SEAWALL_CHANNELS is not set");
        return;
    }
    let Some(install) = install() else { return };
    let mut config = careless();
    config["channels"] = json!({ "telegram": { "botToken": "1:not-a-real-token-of-telegram-0123456789", "dmPolicy": "pairing", "allowFrom": [42] } });
    let deployment = Deployment::new(&install, config);
    deployment.apply("personal");
    let mut gateway = deployment.start();
    let waits = |id: &str| {
        let path = deployment.home.join(".openclaw/state/openclaw.sqlite");
        let db = rusqlite::Connection::open(path).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        let now = jiff::Timestamp::now().to_string();
        let meta = json!({ "accountId": "default", "username": "mallory" }).to_string();
        db.execute(
            "INSERT INTO channel_pairing_requests VALUES ('telegram', 'default', ?1, 'ABCD' || ?1, ?2, ?2, ?3)",
            [id, &now, &meta],
        )
        .unwrap();
    };
    waits("777");
    let pending = gateway.seawall(&["channels", "pending"]);
    assert!(
        pending.contains("telegram/default sender 777") && pending.contains("mallory"),
        "{pending}"
    );
    gateway.seawall(&["channels", "approve", "777", "--yes"]);
    let review = gateway.seawall(&["channels", "review"]);
    assert!(
        review.contains("telegram  777  paired") && review.contains("telegram  42  listed"),
        "{review}"
    );
    assert!(gateway.seawall(&["channels", "list"]).contains("paired   777"));
    waits("888");
    let watched = gateway.seawall(&["channels", "watch", "--pending-minutes", "0", "--looks", "1"]);
    assert!(watched.contains("sender 888") && watched.contains("turned away"), "{watched}");
    assert!(gateway.seawall(&["channels", "pending"]).contains("nobody waits"));
    gateway.seawall(&["channels", "revoke", "telegram", "777", "--yes"]);
    gateway.seawall(&["channels", "revoke", "telegram", "42", "--yes"]);
    gateway.seawall(&["channels", "allow", "telegram", "43", "--yes"]);
    let review = gateway.seawall(&["channels", "review"]);
    assert!(
        !review.contains("777")
            && !review.contains("42 ")
            && review.contains("telegram  43  listed"),
        "{review}"
    );
    gateway.end();
}

#[test]
#[ignore = "starts two gateways; `cargo xtask test --step harden-gateway`"]
fn each_profile_starts_and_works_on_a_careless_deployment() {
    let Some(install) = install() else { return };
    for profile in ["personal", "team"] {
        println!("{profile}");
        let deployment = Deployment::new(&install, careless());
        deployment.apply(profile);
        let token = deployment.token();
        let mut gateway = deployment.start();
        works(&mut gateway, &token);
        let http =
            gateway.ask(json!({ "fetch": { "path": "/v1/chat/completions", "method": "POST" } }));
        assert!([401, 403, 404].contains(&http["status"].as_i64().unwrap()), "{http}");
        gateway.end();
    }
}

/// Without hardening, the same turn reads the host's file and runs the command: the assertions above
/// can fail.
#[test]
#[ignore = "starts a gateway; `cargo xtask test --step harden-gateway`"]
fn the_careless_deployment_lets_all_of_it_happen() {
    let Some(install) = install() else { return };
    let mut config = careless();
    config["gateway"]["auth"] = json!({ "mode": "token", "token": "t-0123456789abcdef" });
    let deployment = Deployment::new(&install, config);
    let mut gateway = deployment.start();
    let (_, results) = gateway.turn("t-0123456789abcdef");
    assert!(results[1].contains("root:"), "{results:?}");
    assert!(results[2].contains("it ran as 42"), "{results:?}");
    gateway.end();
}
