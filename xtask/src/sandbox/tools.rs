//! OpenClaw's tools and its `sandbox` commands over the backend `seawall`.

use super::{Shown, runs, until};
use crate::tour::scene::{self, Scene};
use crate::tour::target;
use crate::world::model::{Step, call};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// How soon a process has to be gone after it was asked to end: two seconds are its own.
const GONE: Duration = Duration::from_secs(10);

type Case = for<'a> fn(&'a Scene) -> Pin<Box<dyn Future<Output = Shown> + Send + 'a>>;

/// In this order.
pub(super) const CASES: &[(&str, Case)] = &[
    ("edit", |s| Box::pin(edit(s))),
    ("git", |s| Box::pin(git(s))),
    ("build", |s| Box::pin(build(s))),
    ("background", |s| Box::pin(background(s))),
    ("abort", |s| Box::pin(abort(s))),
    ("timeout", |s| Box::pin(timeout(s))),
    ("overrun", |s| Box::pin(overrun(s))),
    ("explain", |s| Box::pin(explain(s))),
    ("list", |s| Box::pin(list(s))),
    ("recreate", |s| Box::pin(recreate(s))),
];

fn exec(command: &str) -> Step {
    call("exec", json!({ "command": command }))
}

/// The result of a step holds a text.
fn holds(results: &[String], step: usize, text: &str) -> Result<(), String> {
    match results.get(step) {
        Some(result) if result.contains(text) => Ok(()),
        Some(result) => Err(format!("result {step} has no `{text}`: {result}")),
        None => Err(format!("there is no result {step}")),
    }
}

async fn edit(scene: &Scene) -> Shown {
    let patch = "*** Begin Patch\n*** Update File: tool/a.txt\n@@\n one\n-three\n+four\n*** Add File: tool/b.txt\n+new\n*** End Patch";
    let steps = vec![
        call("write", json!({"path": "tool/a.txt", "content": "one\ntwo\n"})),
        call("read", json!({"path": "tool/a.txt"})),
        call(
            "edit",
            json!({"path": "tool/a.txt", "edits": [{"oldText": "two", "newText": "three"}]}),
        ),
        call("apply_patch", json!({"input": patch})),
        call("ls", json!({"path": "tool"})),
        exec("cat tool/a.txt tool/b.txt"),
    ];
    let trace = scene.turn("tool-edit", steps).await?;
    holds(&trace.results, 1, "two")?;
    holds(&trace.results, 4, "b.txt")?;
    holds(&trace.results, 5, "four")?;
    let text = scene.work("tool/a.txt");
    if text == "one\nfour\n" { Ok(text) } else { Err(format!("tool/a.txt holds {text:?}")) }
}

async fn git(scene: &Scene) -> Shown {
    let steps = vec![
        exec(
            "git checkout -q -b topic && echo one > topic.txt && git add topic.txt && git commit -q -m 'Add the topic'",
        ),
        exec(
            "echo two >> topic.txt && git diff --stat && git stash -q && git stash pop -q && git commit -qam 'Two'",
        ),
        exec(
            "git checkout -q main && git merge -q --no-edit topic && git log --oneline | head -3 && git tag v1 && git describe --tags",
        ),
        exec("git checkout -q -"),
    ];
    let trace = scene.turn("tool-git", steps).await?;
    holds(&trace.results, 1, "topic.txt")?;
    holds(&trace.results, 2, "Add the topic")?;
    holds(&trace.results, 2, "v1")?;
    Ok("branch, commit, stash, merge, tag".into())
}

async fn build(scene: &Scene) -> Shown {
    let steps = vec![
        exec("make && ./hello"),
        exec("node src/build.mjs && cat built.txt"),
        exec(
            "printf 'def f():\\n    return 42\\n' > mod.py && python3 -c 'import mod; print(mod.f())'",
        ),
    ];
    let trace = scene.turn("tool-build", steps).await?;
    holds(&trace.results, 0, "hello from the harbour")?;
    holds(&trace.results, 1, "built with v24")?;
    holds(&trace.results, 2, "42")?;
    Ok("make and cc, node, python".into())
}

async fn background(scene: &Scene) -> Shown {
    let steps = vec![
        call(
            "exec",
            json!({
                "command": "echo begun; sleep 7301 & i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done",
                "background": true,
            }),
        ),
        call("process", json!({"action": "list"})),
        call("process", json!({"action": "poll", "sessionId": "{{0:session}}", "timeout": 3000})),
        call("process", json!({"action": "log", "sessionId": "{{0:session}}"})),
        call("process", json!({"action": "kill", "sessionId": "{{0:session}}"})),
    ];
    let trace = scene.turn("tool-background", steps).await?;
    holds(&trace.results, 1, "running")?;
    holds(&trace.results, 2, "tick")?;
    holds(&trace.results, 3, "begun")?;
    until("the killed process and its child end", GONE, || !runs("sleep 7301")).await?;
    Ok("listed, polled, logged, killed with its child".into())
}

async fn abort(scene: &Scene) -> Shown {
    let name = "tool-abort";
    let words = scene
        .model
        .script(name, vec![exec("echo up > up.txt; (sleep 7302; echo x > late.txt) & sleep 7302")]);
    let key = scene::session_key(name);
    let sent = json!({"sessionKey": key, "message": format!("Please go on. {words}"), "idempotencyKey": name});
    scene.client.request("chat.send", sent).await.map_err(|e| format!("chat.send: {e}"))?;
    until("the command runs", Duration::from_secs(60), || scene.work("up.txt").contains("up"))
        .await?;
    if !runs("sleep 7302") {
        return Err("the command is not to be seen".into());
    }
    let begun = Instant::now();
    let aborted = scene
        .client
        .request("chat.abort", json!({ "sessionKey": key }))
        .await
        .map_err(|e| format!("chat.abort: {e}"))?;
    if aborted.get("aborted").and_then(Value::as_bool) == Some(false) {
        return Err(format!("chat.abort: {aborted}"));
    }
    until("the command of the aborted turn ends", GONE, || !runs("sleep 7302")).await?;
    Ok(format!("gone {:.1} s after chat.abort, with its child", begun.elapsed().as_secs_f32()))
}

async fn timeout(scene: &Scene) -> Shown {
    let command = "(sleep 7303; echo x > late.txt) & echo begun; sleep 7303";
    let steps = vec![call("exec", json!({ "command": command, "timeoutSeconds": 1 }))];
    let trace = scene.turn("tool-timeout", steps).await?;
    let said = trace.results.first().cloned().unwrap_or_default();
    if !said.to_lowercase().contains("time") {
        return Err(format!("the model is not told: {said}"));
    }
    until("the command that took too long ends", GONE, || !runs("sleep 7303")).await?;
    let line = said.lines().find(|line| line.to_lowercase().contains("time")).unwrap_or_default();
    Ok(format!("the model is told: {line}"))
}

/// More memory and processes than a run has: ended or refused, and the model sees why.
async fn overrun(scene: &Scene) -> Shown {
    let steps = vec![
        exec("python3 -c 'x = b\"x\" * (1 << 30); print(len(x))'; echo code $?"),
        exec(
            "n=0; while [ $n -lt 400 ]; do sleep 7304 >/dev/null 2>&1 & n=$((n+1)); done; echo all",
        ),
    ];
    let trace = scene.turn("tool-overrun", steps).await?;
    let memory = trace.results.first().cloned().unwrap_or_default();
    // An ordinary user has no control groups: `seawall status` says that memory is not limited.
    let as_user = std::env::var_os(target::AS_USER).is_some();
    if !as_user && memory.contains("1073741824") {
        return Err("1 GiB was to be had".into());
    }
    until("the many processes end", GONE, || !runs("sleep 7304")).await?;
    let many = trace.results.get(1).cloned().unwrap_or_default();
    for (said, limit) in [(&memory, "memory"), (&many, "processes")] {
        let told = said.contains(&format!("reached its limit of {limit}"));
        if !as_user && rustix::process::geteuid().is_root() && !told {
            return Err(format!("the model is not told of its limit of {limit}: {said}"));
        }
    }
    if many.contains("all") {
        return Err("400 processes were to be had".into());
    }
    let line = |text: &str| {
        text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or_default().to_owned()
    };
    Ok(format!("memory: {}; processes: {}", line(&memory), line(&many)))
}

/// OpenClaw's command line on the deployment, by the program under test.
async fn openclaw(args: &[&str]) -> Result<String, String> {
    let mut command = target::seawall();
    command.args(["openclaw", "--"]).args(args);
    let named = args.join(" ");
    target::output(command).await.map_err(|e| format!("`seawall openclaw -- {named}`: {e}"))
}

/// The JSON in what it printed.
fn json_of(text: &str) -> Result<Value, String> {
    let start = text.find(['{', '[']).ok_or_else(|| format!("no JSON: {text}"))?;
    serde_json::from_str(text.get(start..).unwrap_or_default()).map_err(|e| format!("{e}: {text}"))
}

async fn explain(_: &Scene) -> Shown {
    let text = openclaw(&["sandbox", "explain", "--agent", "main", "--json"]).await?;
    let value = json_of(&text)?;
    let sandbox = value.get("sandbox").cloned().unwrap_or_default();
    let field = |name: &str| sandbox.get(name).map(Value::to_string).unwrap_or_default();
    let shown = format!(
        "backend {}, mode {}, scope {}, workspaceAccess {}",
        field("backend"),
        field("mode"),
        field("scope"),
        field("workspaceAccess")
    );
    if shown.contains("\"seawall\"") && shown.contains("\"all\"") {
        Ok(shown)
    } else {
        Err(format!("{shown}: {text}"))
    }
}

/// Names of the runtimes that are listed as running.
async fn runtimes() -> Result<Vec<String>, String> {
    let value = json_of(&openclaw(&["sandbox", "list", "--json"]).await?)?;
    let list = value.get("containers").or(Some(&value)).and_then(Value::as_array).cloned();
    let list = list.ok_or_else(|| format!("no list: {value}"))?;
    list.iter()
        .map(|entry| {
            let good = entry.get("running") == Some(&json!(true))
                && entry.get("backendId") == Some(&json!("seawall"))
                && entry.get("imageMatch") == Some(&json!(true));
            let name = entry.get("containerName").and_then(Value::as_str).unwrap_or_default();
            if good { Ok(name.to_owned()) } else { Err(format!("listed as {entry}")) }
        })
        .collect()
}

async fn list(scene: &Scene) -> Shown {
    scene.turn("tool-list", vec![exec("true")]).await?;
    let names = runtimes().await?;
    match names.first() {
        Some(name) if name.starts_with("seawall-") => {
            Ok(format!("{} runtimes, as `{name}`", names.len()))
        }
        _ => Err(format!("listed: {names:?}")),
    }
}

async fn recreate(scene: &Scene) -> Shown {
    scene.turn("tool-recreate", vec![exec("true")]).await?;
    let said = openclaw(&["sandbox", "recreate", "--all", "--force"]).await?;
    if !said.contains("0 failed") {
        return Err(said);
    }
    let left = runtimes().await?;
    if !left.is_empty() {
        return Err(format!("still there: {left:?}"));
    }
    let trace = scene.turn("tool-recreate-again", vec![exec("echo after")]).await?;
    holds(&trace.results, 0, "after")?;
    let line = said.lines().find(|line| line.contains("0 failed")).unwrap_or_default();
    Ok(format!("{}; the next command runs, in {:?}", line.trim(), runtimes().await?))
}
