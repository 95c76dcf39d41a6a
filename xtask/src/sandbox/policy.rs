//! A host that holds less than the policy asks for: here one without control groups.

use super::{Shown, until};
use crate::setup::step;
use crate::tour::seawall;
use crate::tour::target::{self, Running, Target};
use serde_json::Value;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

type Case = fn() -> Pin<Box<dyn Future<Output = Shown>>>;

/// In this order: the first takes the control groups away.
pub(super) const CASES: &[(&str, Case)] = &[
    ("policy-refuses", || Box::pin(refuses())),
    ("policy-override", || Box::pin(overridden())),
    ("policy-override-ends", || Box::pin(ends())),
];

const REQUIRE: &str = "\n[sandbox.require]\nlimits = \"full\"\n";

fn settle(more: &str) -> Result<(), String> {
    seawall::settle()?;
    let path = seawall::folder().join("default/seawall.toml");
    let at = |e: std::io::Error| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(&path).map_err(at)?;
    std::fs::write(&path, format!("{text}{more}")).map_err(at)
}

fn override_for(seconds: i64) -> Result<String, String> {
    let until = jiff::Timestamp::now()
        .checked_add(jiff::SignedDuration::from_secs(seconds))
        .map_err(|e| e.to_string())?;
    Ok(format!(
        "{REQUIRE}\n[[sandbox.override]]\nmechanism = \"limits\"\nuntil = \"{until}\"\nreason = \"a test\"\n"
    ))
}

/// Runs `seawall up` until it ends by itself. Its exit code and what it said.
async fn up_ends(within: Duration) -> Result<(i32, String), String> {
    let mut command = target::seawall();
    command.arg("up").stdout(Stdio::piped()).stderr(Stdio::piped());
    let done = tokio::time::timeout(within, command.output())
        .await
        .map_err(|_| format!("`seawall up` goes on after {within:?}"))?
        .map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    Ok((done.status.code().unwrap_or(-1), said))
}

async fn refuses() -> Shown {
    let groups = Path::new("/sys/fs/cgroup");
    if groups.join("cgroup.procs").exists()
        || groups.join("memory").exists()
        || groups.join("pids").exists()
    {
        step(Command::new("mount").args(["-t", "tmpfs", "cgroup-away"]).arg(groups))?;
    }
    settle(REQUIRE)?;
    let (code, said) = up_ends(Duration::from_secs(120)).await?;
    let line = said.lines().find(|line| line.contains("limits")).unwrap_or_default().to_owned();
    if code == 3 && !line.is_empty() { Ok(line) } else { Err(format!("exit {code}: {said}")) }
}

async fn overridden() -> Shown {
    settle(&override_for(3600)?)?;
    let running = Running::start(Target::Seawall).await?;
    let mut command = target::seawall();
    command.args(["status", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    // 1: something is less than full, which is what is wanted here.
    let said = command.output().await.map_err(|e| e.to_string())?;
    let status: Value =
        serde_json::from_slice(&said.stdout).map_err(|e| format!("`seawall status`: {e}"))?;
    let kernel = status
        .get("planes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|plane| plane.get("plane").and_then(Value::as_str) == Some("kernel"))
        .map(Value::to_string)
        .unwrap_or_default();
    let logged = seawall::events(0)
        .await?
        .into_iter()
        .find(|event| event.body.get("kind").and_then(Value::as_str) == Some("sandbox.override"));
    running.stop().await?;
    let Some(logged) = logged else { return Err("no event `sandbox.override`".into()) };
    if !kernel.contains("limits")
        || !kernel.contains("override") && !kernel.contains("allowed until")
    {
        return Err(format!("`status` does not tell: {kernel}"));
    }
    Ok(logged.line())
}

async fn ends() -> Shown {
    // Long enough for the tests before the start, too short for the gateway.
    settle(&override_for(8)?)?;
    let begun = Instant::now();
    let (code, said) = up_ends(Duration::from_secs(180)).await?;
    let line = said.lines().find(|line| line.contains("override")).unwrap_or_default().to_owned();
    until("the port is free again", Duration::from_secs(10), || {
        std::net::TcpListener::bind(("127.0.0.1", crate::tour::home::PORT)).is_ok()
    })
    .await?;
    if code == 3 && line.contains("has ended") {
        Ok(format!("after {:.0} s: {line}", begun.elapsed().as_secs_f32()))
    } else {
        Err(format!("exit {code}: {said}"))
    }
}
