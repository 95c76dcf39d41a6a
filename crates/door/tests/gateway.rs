//! The door in front of a real gateway. Needs `SEAWALL_OPENCLAW_DIR`, a folder in which npm installed
//! OpenClaw and Node (`node_modules/.bin/{node,openclaw}`). Each attack is first run against the
//! gateway itself, where it succeeds.

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

mod common;

use common::{Client, Lab};
use seawall_door::{DoorConfig, DoorTokens, Role, Table, gateway_config};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

/// What a local process has to send to be anybody at the gateway's own port.
const FORGED: [(&str, &str); 4] = [
    ("x-forwarded-user", "seawall-operator"),
    ("x-forwarded-for", "192.0.2.9"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "127.0.0.1"),
];

struct Gateway {
    _child: Child,
    address: SocketAddr,
    home: tempfile::TempDir,
    bin: PathBuf,
}

impl Gateway {
    async fn start(install: &Path) -> Self {
        let bin = install.join("node_modules/.bin");
        let home = tempfile::tempdir().expect("a folder");
        let state = home.path().join(".openclaw");
        let workspace = home.path().join("ws");
        std::fs::create_dir_all(&state).expect("a folder");
        std::fs::create_dir_all(&workspace).expect("a folder");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a free port")
            .port();
        let mut config = gateway_config();
        config["gateway"]["port"] = port.into();
        config["agents"] = json!({ "defaults": { "workspace": workspace, "skipBootstrap": true } });
        std::fs::write(state.join("openclaw.json"), config.to_string()).expect("written");
        let child = Command::new(bin.join("openclaw"))
            .args(["gateway", "run"])
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("openclaw starts");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ready = async {
            while !http(address, "GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .await
                .starts_with("HTTP/1.1 200")
            {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(120), ready).await.expect("the gateway is ready");
        Self { _child: child, address, home, bin }
    }

    fn soul(&self) -> String {
        std::fs::read_to_string(self.home.path().join("ws/SOUL.md")).unwrap_or_default()
    }
}

async fn http(address: SocketAddr, request: &str) -> String {
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return String::new();
    };
    let mut answer = Vec::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut answer).await
    };
    tokio::time::timeout(Duration::from_secs(20), exchange).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn soul(text: &str) -> Value {
    json!({ "agentId": "main", "name": "SOUL.md", "content": text })
}

fn cron_command() -> Value {
    json!({
        "name": "n", "schedule": { "kind": "every", "everyMs": 3_600_000 }, "sessionTarget": "isolated",
        "wakeMode": "now", "payload": { "kind": "command", "argv": ["id"] },
    })
}

/// One gateway for all of it: it takes ten seconds to start.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_gateway() {
    let Some(install) = std::env::var_os("SEAWALL_OPENCLAW_DIR") else {
        println!("skipped: SEAWALL_OPENCLAW_DIR is not set");
        return;
    };
    let gateway = Gateway::start(Path::new(&install)).await;
    let lab = Lab::new(gateway.address, DoorConfig::default()).await;
    the_table_knows_every_method(&gateway).await;
    methods_that_give_the_machine(&gateway, &lab).await;
    nobody_is_more_than_the_token(&gateway, &lab).await;
    http_routes(&gateway, &lab).await;
    a_grant(&gateway, &lab).await;
    the_real_cli(&gateway, &lab).await;
    a_revoked_token(&lab).await;
}

async fn the_table_knows_every_method(gateway: &Gateway) {
    let table = Table::shipped().expect("shipped tables");
    let direct = Client::connect(gateway.address, None, &FORGED).await.expect("forged headers do");
    let listed = direct.hello["features"]["methods"].as_array().expect("a list").clone();
    let unknown: Vec<&Value> =
        listed.iter().filter(|m| m.as_str().is_none_or(|m| table.method(m).is_none())).collect();
    assert!(listed.len() > 400, "{}", listed.len());
    assert!(unknown.is_empty(), "content/door/methods.toml lacks {unknown:?}");
}

async fn methods_that_give_the_machine(gateway: &Gateway, lab: &Lab) {
    let mut direct = Client::connect(gateway.address, None, &FORGED).await.expect("forged");
    direct.call("agents.files.set", soul("direct")).await.expect("lands without the door");
    assert_eq!(gateway.soul(), "direct");
    let job = direct.call("cron.add", cron_command()).await.expect("lands without the door");
    direct.call("cron.remove", json!({ "id": job["id"] })).await.expect("removed");

    let mut client = lab.client(Role::Operator).await.expect("let in");
    for (method, params) in [
        ("agents.files.set", soul("through the door")),
        ("cron.add", cron_command()),
        ("terminal.open", json!({ "agentId": "main" })),
        ("config.patch", json!({ "raw": "{}" })),
        ("sessions.patch", json!({ "key": "agent:main:main", "sandboxMode": "off" })),
    ] {
        let error = client.call(method, params).await.expect_err(method);
        assert_eq!(error["code"], "FORBIDDEN", "{method}: {error}");
        lab.until("door.refused", "deny", method).await;
    }
    assert_eq!(gateway.soul(), "direct");
    // The connection stays usable, and ordinary methods reach the gateway.
    for (method, params) in [
        ("health", json!({})),
        ("sessions.list", json!({})),
        ("chat.history", json!({ "sessionKey": "agent:main:main" })),
        ("device.pair.list", json!({})),
        ("cron.list", json!({})),
        ("models.list", json!({})),
        ("exec.approval.list", json!({})),
    ] {
        client.call(method, params).await.expect(method);
    }
    let listed = client.hello["features"]["methods"].to_string();
    assert!(listed.contains("\"chat.send\"") && !listed.contains("\"terminal.open\""));
    assert!(client.hello["auth"].get("deviceToken").is_none());
}

async fn nobody_is_more_than_the_token(gateway: &Gateway, lab: &Lab) {
    // Without the door the headers are enough.
    let direct = Client::connect(gateway.address, None, &FORGED).await.expect("forged");
    assert!(direct.hello["auth"]["scopes"].to_string().contains("operator.admin"));
    // Through the door they are nothing, with or without a token.
    let error = Client::connect(lab.address, None, &FORGED).await.err().expect("not let in");
    assert_eq!(error["details"]["code"], "AUTH_TOKEN_MISSING", "{error}");
    let mut forged = FORGED.to_vec();
    forged.push(("x-openclaw-scopes", "operator.admin"));
    let viewer = Client::connect(lab.address, Some(lab.token(Role::Viewer)), &forged).await;
    let mut viewer = viewer.expect("let in");
    assert_eq!(viewer.hello["auth"]["scopes"], json!(["operator.read"]));
    let error = viewer
        .call(
            "chat.send",
            json!({ "sessionKey": "agent:main:main", "message": "x", "idempotencyKey": "i" }),
        )
        .await;
    assert!(error.expect_err("refused").to_string().contains("needs a token of role chat"));
    let chat = lab.client(Role::Chat).await.expect("let in");
    assert!(!chat.hello["auth"]["scopes"].to_string().contains("operator.admin"));
    let wrong = Client::connect(lab.address, Some("seawall_wrong"), &[]).await.err();
    assert_eq!(wrong.expect("not let in")["details"]["code"], "AUTH_TOKEN_MISMATCH");
    lab.until("door.login", "deny", "not known").await;
    lab.until("door.login", "allow", "`viewer` (viewer) came in").await;
}

async fn http_routes(gateway: &Gateway, lab: &Lab) {
    let get = |host: &SocketAddr, path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{more}\r\n")
    };
    let forged: String = FORGED.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    let direct =
        http(gateway.address, &get(&gateway.address, "/control-ui-config.json", &forged)).await;
    assert!(direct.starts_with("HTTP/1.1 200"), "{direct}");
    let bearer = format!("authorization: Bearer {}\r\n", lab.token(Role::Viewer));
    for (path, more, status) in [
        ("/control-ui-config.json", forged.as_str(), "401"),
        ("/control-ui-config.json", "", "401"),
        ("/control-ui-config.json", bearer.as_str(), "200"),
        ("/", "", "200"),
        ("/chat/main", "accept: text/html\r\n", "200"),
        ("/chat/main", "", "404"),
        ("/readyz", "", "200"),
        ("/tools/invoke", bearer.as_str(), "403"),
        ("/v1/models", bearer.as_str(), "403"),
    ] {
        let answer = http(lab.address, &get(&lab.address, path, more)).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path} {more}: {answer}");
    }
}

async fn a_grant(gateway: &Gateway, lab: &Lab) {
    let grant =
        lab.door.allow("agents.files.set", "operator", Duration::from_secs(60), "a test").await;
    let grant = grant.expect("given");
    let mut client = lab.client(Role::Operator).await.expect("let in");
    client.call("agents.files.set", soul("granted")).await.expect("granted");
    assert_eq!(gateway.soul(), "granted");
    assert!(lab.log.has("door.call", "allow", "agents.files.set"));
    assert!(lab.log.has("door.grant", "allow", "agents.files.set"));
    assert_eq!(lab.door.disallow(&grant.method), 1);
    client.call("agents.files.set", soul("again")).await.expect_err("over");
    assert_eq!(gateway.soul(), "granted");
}

async fn the_real_cli(gateway: &Gateway, lab: &Lab) {
    let call = |method: &'static str, params: &'static str| {
        let mut command = Command::new(gateway.bin.join("openclaw"));
        command
            .args(["gateway", "call", method, "--params", params, "--json"])
            .args(["--url", &format!("ws://{}", lab.address), "--token", lab.token(Role::Operator)])
            .env_clear()
            .env("HOME", gateway.home.path().join("client"))
            .env("PATH", format!("{}:/usr/bin:/bin", gateway.bin.display()))
            .kill_on_drop(true);
        async move { command.output().await.expect("openclaw runs") }
    };
    let out = call("health", "{}").await;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let out = call("terminal.open", "{}").await;
    let said =
        format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(!out.status.success() && said.contains("seawall door allow terminal.open"), "{said}");
}

async fn a_revoked_token(lab: &Lab) {
    let mut client = lab.client(Role::Operator).await.expect("let in");
    let mut without: DoorTokens = lab.tokens.clone();
    without.revoke("operator").expect("it is there");
    lab.door.set_tokens(without);
    assert!(client.closes().await);
    assert!(lab.client(Role::Operator).await.is_err());
}
