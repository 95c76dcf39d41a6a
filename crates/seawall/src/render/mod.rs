//! The configuration that the gateway sees: a full snapshot made from the user's.
//!
//! Rendering is a function of values. It takes away what would lead around a plane, sets what the
//! planes need, and says of each change why it was made. The user's file is never edited. A live
//! `$include` of it would not do: included arrays can only grow, and the gateway reloads an
//! included file as soon as it changes.

mod edit;
mod facts;

pub(crate) use edit::Change;
pub(crate) use facts::{Facts, Forward, McpServer};

use edit::Editor;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Where things are inside the gateway's namespaces.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Port on which the gateway listens inside.
    pub(crate) gateway_port: u16,
    /// Port of the egress proxy inside.
    pub(crate) proxy_port: u16,
    /// Folder of the plugin.
    pub(crate) plugin_dir: PathBuf,
    /// The `seawall` program.
    pub(crate) seawall: PathBuf,
    /// The lockfile of skills, in a folder that the gateway sees read-only.
    pub(crate) skills_lock: PathBuf,
    /// Log file of the gateway, below its state folder.
    pub(crate) log_file: PathBuf,
    /// OpenClaw's state folder.
    pub(crate) state_dir: PathBuf,
    /// What the door needs under `gateway` (authentication by its headers, allowed origins).
    pub(crate) door: Value,
}

/// A rendered snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    /// The configuration for the gateway.
    pub(crate) config: Value,
    /// What differs from the user's, and why.
    pub(crate) changes: Vec<Change>,
}

/// Renders the snapshot for `user`'s configuration.
pub(crate) fn render(user: &Value, frame: &Frame) -> Rendered {
    let mut config = Editor::new(user.clone());
    gateway(&mut config, frame);
    agents(&mut config);
    tools(&mut config);
    plugin(&mut config, frame);
    planes(&mut config, frame);
    mcp(&mut config, frame);
    let (config, changes) = config.finish();
    Rendered { config, changes }
}

fn gateway(config: &mut Editor, frame: &Frame) {
    let door = "only the door reaches the gateway, and it authenticates";
    config.set("gateway.mode", json!("local"), "the gateway runs here");
    config.set(
        "gateway.bind",
        json!("loopback"),
        "the gateway's port exists only in its own network namespace",
    );
    config.set("gateway.port", json!(frame.gateway_port), "the public port belongs to the door");
    for key in [
        "customBindHost",
        "publicOrigin",
        "tls",
        "tailscale",
        "remote",
        "trustedProxies",
        "allowRealIpFallback",
    ] {
        config.remove(&format!("gateway.{key}"), door);
    }
    config.remove("gateway.auth", door);
    for key in ["dangerouslyDisableDeviceAuth", "dangerouslyAllowHostHeaderOriginFallback"] {
        config.remove(
            &format!("gateway.controlUi.{key}"),
            "weakens the authentication of the Control UI",
        );
    }
    config.merge("gateway", &frame.door, door);
    config.set(
        "gateway.terminal.enabled",
        json!(false),
        "a terminal runs on the host and passes no hook",
    );
    config.set(
        "gateway.nodes.pairing.autoApproveLocal",
        json!(false),
        "every client of the door looks local: none is paired without a person",
    );
}

fn agents(config: &mut Editor) {
    let sandbox = "tool runs go through Seawall's sandbox";
    let mut scopes = vec!["agents.defaults".to_owned()];
    scopes
        .extend(config.keys("agents.entries").into_iter().map(|id| format!("agents.entries.{id}")));
    for scope in scopes {
        let defaults = scope == "agents.defaults";
        for (key, value) in [("mode", json!("all")), ("backend", json!("seawall"))] {
            let path = format!("{scope}.sandbox.{key}");
            if defaults || config.has(&path) {
                config.set(&path, value, sandbox);
            }
        }
        if defaults && !config.has("agents.defaults.sandbox.workspaceAccess") {
            config.set(
                "agents.defaults.sandbox.workspaceAccess",
                json!("rw"),
                "runs keep the access to the workspace that they have without a sandbox",
            );
        }
        if defaults && !config.has("agents.defaults.sandbox.scope") {
            config.set(
                "agents.defaults.sandbox.scope",
                json!("session"),
                "no session shares a sandbox with another",
            );
        }
        for key in [
            "binds",
            "dangerouslyAllowReservedContainerTargets",
            "dangerouslyAllowExternalBindSources",
            "dangerouslyAllowContainerNamespaceJoin",
        ] {
            config.remove(
                &format!("{scope}.sandbox.docker.{key}"),
                "mounts of a run come from what was decided for it",
            );
        }
        let browser = format!("{scope}.sandbox.browser.enabled");
        if config.has(&browser) {
            config.set(&browser, json!(false), "the sandboxed browser needs a container engine");
        }
        if !defaults {
            for key in ["exec.host", "exec.node", "elevated"] {
                config.remove(&format!("{scope}.tools.{key}"), sandbox);
            }
        }
    }
}

fn tools(config: &mut Editor) {
    config.set("tools.exec.host", json!("sandbox"), "without a sandbox there is no exec");
    config.remove("tools.exec.node", "without a sandbox there is no exec");
    config.set("tools.elevated.enabled", json!(false), "elevated exec runs outside the sandbox");
    config.remove("tools.elevated.allowFrom", "elevated exec runs outside the sandbox");
    let own =
        ["tools.sandbox.tools.allow", "tools.sandbox.tools.alsoAllow", "tools.sandbox.tools.deny"];
    if !own.iter().any(|key| config.has(key)) {
        let why = "tools outside the sandbox are judged call by call instead of hidden";
        config.set("tools.sandbox.tools.allow", json!(["*"]), why);
        config.set("tools.sandbox.tools.deny", json!(["canvas", "computer"]), why);
    }
    config.set(
        "cron.triggers.enabled",
        json!(false),
        "schedules of kind `stream` start a host process that passes no hook",
    );
    config.set(
        "env.shellEnv.enabled",
        json!(false),
        "a login shell would refill the scrubbed environment",
    );
}

fn plugin(config: &mut Editor, frame: &Frame) {
    let why = "the hook plane: without it no tool call is decided";
    config.set("plugins.enabled", json!(true), why);
    if config.has("plugins.allow") {
        config.push("plugins.allow", json!("seawall"), why);
    }
    config.drop_item("plugins.deny", &json!("seawall"), why);
    config.push("plugins.load.paths", json!(frame.plugin_dir), why);
    config.set(
        "plugins.entries.seawall",
        json!({ "enabled": true, "hooks": { "allowConversationAccess": true } }),
        why,
    );
}

fn planes(config: &mut Editor, frame: &Frame) {
    let egress = "the egress proxy is the only way out";
    config.set(
        "proxy",
        json!({
            "enabled": true,
            "proxyUrl": format!("http://127.0.0.1:{}", frame.proxy_port),
            "loopbackMode": "gateway-only"
        }),
        egress,
    );
    config.set("secrets.egressProxy.enabled", json!(false), egress);
    config.set(
        "security.installPolicy",
        json!({
            "enabled": true,
            "targets": ["skill", "plugin"],
            "exec": {
                "source": "exec",
                "command": frame.seawall,
                "args": ["skill", "install-policy", "--lock", frame.skills_lock],
                "timeoutMs": 30000
            }
        }),
        "skills and plugins are looked at before they are installed",
    );
    config.set("update.checkOnStart", json!(false), "updates come through the operator");
    config.set("update.auto.enabled", json!(false), "updates come through the operator");
    config.set(
        "discovery.mdns.mode",
        json!("off"),
        "the gateway has no network to announce itself on",
    );
    let inside = config
        .get("logging.file")
        .and_then(Value::as_str)
        .is_some_and(|file| PathBuf::from(file).starts_with(&frame.state_dir));
    if !inside {
        config.set(
            "logging.file",
            json!(frame.log_file),
            "the log outlives the gateway's private /tmp",
        );
    }
}

fn mcp(config: &mut Editor, frame: &Frame) {
    for name in config.keys("mcp.servers") {
        let path = format!("mcp.servers.{name}");
        let stdio = config.get(&format!("{path}.command")).is_some();
        if !stdio {
            continue;
        }
        let why = "an MCP server runs in a sandbox of its own; its program and arguments stay with the guard";
        config.set(&format!("{path}.command"), json!(frame.seawall), why);
        config.set(
            &format!("{path}.args"),
            json!([
                "start",
                format!("mcp:{name}"),
                "--lock",
                frame.skills_lock,
                "--seen",
                frame.state_dir.join("seawall-mcp"),
            ]),
            why,
        );
        config.remove(&format!("{path}.env"), why);
        config.remove(&format!("{path}.cwd"), why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            gateway_port: 18789,
            proxy_port: 3128,
            plugin_dir: "/run/seawall/plugin".into(),
            seawall: "/run/seawall/bin/seawall".into(),
            skills_lock: "/guard/skills/lock.json".into(),
            log_file: "/state/logs/gateway.log".into(),
            state_dir: "/state".into(),
            door: json!({ "auth": { "mode": "trusted-proxy" } }),
        }
    }

    #[test]
    fn a_plain_configuration_gets_every_plane() {
        let user = json!({
            "gateway": { "mode": "local", "bind": "lan", "auth": { "mode": "token", "token": "t" } },
            "agents": { "defaults": { "workspace": "/ws" } },
            "mcp": { "servers": { "lab": { "command": "/usr/bin/python3", "args": ["s.py"], "env": {"K": "v"} } } }
        });
        let rendered = render(&user, &frame());
        insta::assert_json_snapshot!(rendered.config);
        let lines: Vec<_> = rendered.changes.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_leads_around_a_plane_is_taken_away() {
        let user = json!({
            "gateway": { "auth": { "token": "hunter2" }, "remote": { "token": "hunter2" }, "terminal": { "enabled": true } },
            "agents": {
                "defaults": { "sandbox": { "mode": "off", "docker": { "binds": ["/:/host"] } } },
                "entries": { "a": { "sandbox": { "mode": "off", "backend": "docker" }, "tools": { "exec": { "host": "gateway" }, "elevated": { "enabled": true } } } }
            },
            "tools": { "exec": { "host": "gateway", "node": "n" }, "elevated": { "enabled": true, "allowFrom": {} } },
            "plugins": { "enabled": false, "allow": ["x"], "deny": ["seawall"], "entries": { "seawall": { "enabled": false } } },
            "cron": { "triggers": { "enabled": true } },
            "proxy": { "enabled": false },
            "security": { "installPolicy": { "enabled": false } }
        });
        let rendered = render(&user, &frame()).config;
        let text = rendered.to_string();
        assert!(!text.contains("hunter2") && !text.contains("/host"), "{text}");
        for (pointer, want) in [
            ("/agents/defaults/sandbox/mode", json!("all")),
            ("/agents/entries/a/sandbox/mode", json!("all")),
            ("/agents/entries/a/sandbox/backend", json!("seawall")),
            ("/tools/exec/host", json!("sandbox")),
            ("/tools/elevated/enabled", json!(false)),
            ("/plugins/enabled", json!(true)),
            ("/plugins/allow", json!(["x", "seawall"])),
            ("/plugins/deny", json!([])),
            ("/plugins/entries/seawall/enabled", json!(true)),
            ("/cron/triggers/enabled", json!(false)),
            ("/proxy/enabled", json!(true)),
            ("/gateway/terminal/enabled", json!(false)),
            ("/security/installPolicy/enabled", json!(true)),
        ] {
            assert_eq!(rendered.pointer(pointer), Some(&want), "{pointer}");
        }
        assert_eq!(rendered.pointer("/agents/entries/a/tools/exec/host"), None);
        assert_eq!(rendered.pointer("/agents/entries/a/tools/elevated"), None);
    }

    #[test]
    fn rendering_a_snapshot_again_changes_nothing() {
        let once = render(&json!({ "plugins": { "allow": [] } }), &frame()).config;
        let twice = render(&once, &frame());
        assert_eq!(once, twice.config);
    }
}
