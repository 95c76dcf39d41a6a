//! What the owner does with a client: chat, schedules, sub-agents, the CLI, the web page.

use super::{Case, exec};
use crate::client::Client;
use crate::tour::home::PORT;
use crate::tour::scene::RUN;
use crate::tour::target;
use crate::tour::{Act, Kind, Scene, Trace, http};
use crate::world::model::call;
use serde_json::{Value, json};
use std::time::Duration;

fn act(
    name: &'static str,
    about: &'static str,
    act: for<'a> fn(&'a Scene) -> crate::tour::Acting<'a>,
    seen: fn(&Scene, &Trace) -> Option<String>,
) -> Case {
    let within = Duration::ZERO;
    Case { name, kind: Kind::Ordinary, about, act: Act::Do(act), seen, within, ruins: false }
}

const HOURS: &str = "The harbour office closes at six.";

/// A turn during which the owner's client answers what it is asked with a yes.
async fn approved(s: &Scene) -> Result<Trace, String> {
    let client = Client::connect_as(PORT, &s.token, &["approvals"]).await?;
    let mut events = client.events();
    let answering = async {
        loop {
            let asked = Client::wait_event(&mut events, RUN * 5, |event| {
                event.get("event").and_then(Value::as_str) == Some("plugin.approval.requested")
            })
            .await?;
            let id = asked.pointer("/payload/id").cloned().unwrap_or_default();
            let answer = json!({"id": id, "decision": "allow-once"});
            let told = client.request("plugin.approval.resolve", answer).await;
            told.map_err(|e| format!("plugin.approval.resolve: {e}"))?;
        }
    };
    let soul = format!("{}\n{HOURS}\n", s.file(".openclaw/workspace/SOUL.md").trim_end());
    let turn = s.turn(
        "approved",
        vec![
            call("write", json!({"path": "SOUL.md", "content": soul})),
            exec(&format!("echo '{HOURS}' >> MEMORY.md")),
        ],
    );
    tokio::select! {
        trace = turn => trace,
        failed = answering => {
            let failed: Result<std::convert::Infallible, String> = failed;
            Err(failed.err().unwrap_or_default())
        }
    }
}

pub(super) fn all() -> Vec<Case> {
    vec![
        act(
            "chat",
            "answers a message over WebSocket, and keeps the history",
            |s| {
                Box::pin(async move {
                    let words = s.model.script("chat", vec![]);
                    let answer = s.say("chat", &format!("Good morning. {words}")).await?;
                    let key = crate::tour::scene::session_key("chat");
                    let mut trace = s.rpc("chat.history", json!({"sessionKey": key})).await;
                    trace.results.push(answer);
                    Ok(trace)
                })
            },
            |_, t| {
                let both = t.results.iter().all(|r| r.contains("Done: chat."));
                both.then(|| "the answer came, and is in the history".into())
            },
        ),
        act(
            "approved",
            "changes its instructions and its memory, and the owner says yes when asked",
            |s| Box::pin(approved(s)),
            |s, _| {
                let soul = s.file(".openclaw/workspace/SOUL.md");
                let memory = s.file(".openclaw/workspace/MEMORY.md");
                (soul.contains(HOURS) && memory.contains(HOURS))
                    .then(|| "SOUL.md and MEMORY.md hold it".into())
            },
        ),
        act(
            "subagent",
            "hands a task to a sub-agent",
            |s| {
                Box::pin(async move {
                    let file = json!({"path": "from-child.txt", "content": "Made by a helper.\n"});
                    let task = s.model.script("subagent-child", vec![call("write", file)]);
                    let spawn = call("sessions_spawn", json!({"task": task}));
                    let mut trace = s.turn("subagent", vec![spawn]).await?;
                    let child = s.model.finished("subagent-child");
                    match tokio::time::timeout(RUN, child).await {
                        Ok(played) => trace.results.extend(played.results),
                        Err(_) => trace.results.push("the sub-agent did not finish".into()),
                    }
                    Ok(trace)
                })
            },
            |s, _| s.work("from-child.txt").contains("helper").then(|| "from-child.txt".into()),
        ),
        act(
            "cron-turn",
            "runs a scheduled task",
            |s| {
                Box::pin(async move {
                    let step = exec("echo 'checked the ropes' > ropes.txt");
                    let words = s.model.script("cron-turn", vec![step]);
                    let job = json!({
                        "name": "ropes", "enabled": true,
                        "schedule": {"kind": "at", "at": crate::tour::soon(1)},
                        "sessionTarget": "isolated", "wakeMode": "now", "deleteAfterRun": true,
                        "payload": {"kind": "agentTurn", "message": words},
                        "delivery": {"mode": "none"},
                    });
                    let mut trace = s.rpc("cron.add", job).await;
                    let run = s.model.finished("cron-turn");
                    match tokio::time::timeout(RUN, run).await {
                        Ok(played) => trace.results.extend(played.results),
                        Err(_) => trace.results.push("the task did not run".into()),
                    }
                    Ok(trace)
                })
            },
            |s, _| s.work("ropes.txt").contains("checked").then(|| "ropes.txt".into()),
        ),
        act(
            "sessions",
            "lists its sessions and the agents",
            |s| {
                Box::pin(async move {
                    let mut trace = s.rpc("sessions.list", json!({})).await;
                    trace.results.extend(s.rpc("agents.list", json!({})).await.results);
                    Ok(trace)
                })
            },
            |_, t| {
                let good = t.results.iter().all(|r| !r.starts_with("refused"));
                (good && t.results.first()?.contains("agent:main:"))
                    .then(|| "both are listed".into())
            },
        ),
        act(
            "cli",
            "asks for the gateway's health with the openclaw program",
            |s| {
                Box::pin(async move {
                    let mut command = target::openclaw();
                    let url = format!("ws://127.0.0.1:{PORT}");
                    command.args(["gateway", "call", "health", "--json", "--url", &url]);
                    command.args(["--token", &s.token, "--timeout", "20000"]);
                    // As on another machine: only the address and the token are known there.
                    command
                        .env("HOME", "/tmp/elsewhere")
                        .env("TMPDIR", "/tmp/elsewhere")
                        .env_remove("OPENCLAW_GATEWAY_TOKEN");
                    std::fs::create_dir_all("/tmp/elsewhere").map_err(|e| e.to_string())?;
                    let said = target::output(command).await;
                    let _ = std::fs::remove_dir_all("/tmp/elsewhere");
                    Ok(Trace { results: vec![said?] })
                })
            },
            |_, t| t.results.first()?.contains("\"ok\": true").then(|| "health: ok".into()),
        ),
        act(
            "web-page",
            "opens the Control UI",
            |_| {
                Box::pin(async move {
                    let (status, page) = http::get(PORT, "/").await?;
                    let script =
                        page.split('"').find(|p| p.contains("assets/") && p.ends_with(".js"));
                    let script = script.map(|p| format!("/{}", p.trim_start_matches(['.', '/'])));
                    let (second, text) = http::get(PORT, &script.unwrap_or_default()).await?;
                    Ok(Trace { results: vec![format!("{status} {second} {}", text.len())] })
                })
            },
            |_, t| {
                let said = t.results.first()?;
                said.starts_with("200 200 ").then(|| "the page and its program were served".into())
            },
        ),
        act(
            "unasked-config",
            "leaves the owner's config file as it was written",
            |s| {
                Box::pin(
                    async move { Ok(Trace { results: vec![s.file(".openclaw/openclaw.json")] }) },
                )
            },
            |s, _| {
                (s.file(".openclaw/openclaw.json") == crate::tour::home::config_text())
                    .then(|| "it is the same, byte for byte".into())
            },
        ),
    ]
}
