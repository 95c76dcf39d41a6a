//! The two deployments that are compared: the plain gateway, and the same under Seawall.

use super::home::{self, GATEWAY_TOKEN, PORT};
use crate::paths;
use crate::world::{self, HOME};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a start may take. A cold gateway on a busy machine of two cores needs half of it.
const START: Duration = Duration::from_secs(300);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(30);

/// Which deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// `openclaw gateway run`, as its documentation has it.
    Bare,
    /// `seawall up` over the same home.
    Seawall,
}

/// A deployment that is up.
pub(crate) struct Running {
    /// What a client shows to get in.
    pub(crate) token: String,
    child: Child,
    log: PathBuf,
    /// From the start of the program to the first good answer.
    pub(crate) ready_after: Duration,
}

/// The environment in which a user starts things.
pub(crate) fn environment(command: &mut Command) {
    let node = paths::openclaw().join("node_modules/.bin");
    command.env_clear().envs([
        ("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", node.display())),
        ("HOME", HOME.to_owned()),
        ("USER", "ada".to_owned()),
        ("LANG", "C.UTF-8".to_owned()),
        ("NO_COLOR", "1".to_owned()),
        ("SSH_AUTH_SOCK", agent_socket().display().to_string()),
        ("OPENCLAW_GATEWAY_TOKEN", GATEWAY_TOKEN.to_owned()),
        ("SEAWALL_HOME", super::seawall::folder().display().to_string()),
    ]);
    command.current_dir(HOME).kill_on_drop(true).stdin(Stdio::null());
}

/// Where the user's SSH agent listens.
pub(crate) fn agent_socket() -> PathBuf {
    Path::new(HOME).join(".ssh/agent.sock")
}

/// Whether this tour runs as an ordinary user: its own wish, carried into the world.
pub(crate) const AS_USER: &str = "SEAWALL_TASK_AS_USER";

fn program(path: &Path) -> Command {
    if std::env::var_os(AS_USER).is_none() {
        return Command::new(path);
    }
    let mut words = world::as_user().into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg(path);
    command
}

/// The `openclaw` program.
pub(crate) fn openclaw() -> Command {
    let modules = paths::openclaw().join("node_modules");
    let mut command = program(&modules.join("node/bin/node"));
    command.arg(modules.join("openclaw/openclaw.mjs"));
    environment(&mut command);
    command
}

/// The `seawall` program of this checkout, in the profile that was built for this task.
pub(crate) fn seawall_program() -> PathBuf {
    let profile = std::env::var(PROFILE).unwrap_or_else(|_| "debug".into());
    paths::seawall(&profile)
}

/// Variable that carries the build profile into the world.
pub(crate) const PROFILE: &str = "SEAWALL_TASK_PROFILE";

/// That program, as its user starts it.
pub(crate) fn seawall() -> Command {
    let mut command = program(&seawall_program());
    environment(&mut command);
    command
}

/// Runs a program to its end.
pub(crate) async fn output(mut command: Command) -> Result<String, String> {
    let run = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    let done = tokio::time::timeout(Duration::from_secs(60), run)
        .await
        .map_err(|_| "no end within a minute".to_owned())?
        .map_err(|e| e.to_string())?;
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    if done.status.success() {
        Ok(out)
    } else {
        Err(format!("{}: {}{}", done.status, out, String::from_utf8_lossy(&done.stderr)))
    }
}

impl Running {
    /// Starts a deployment in the home as it stands.
    pub(crate) async fn start(target: Target) -> Result<Self, String> {
        let log = Path::new("/tmp").join(format!("tour-{}.log", std::process::id()));
        let file = File::create(&log).map_err(|e| format!("{}: {e}", log.display()))?;
        let copy = file.try_clone().map_err(|e| e.to_string())?;
        let mut command = match target {
            Target::Bare => {
                let mut command = openclaw();
                command.args(["gateway", "run"]);
                command
            }
            Target::Seawall => {
                let mut command = seawall();
                command.arg("up");
                command
            }
        };
        let begun = Instant::now();
        let child = command
            .stdout(Stdio::from(file))
            .stderr(Stdio::from(copy))
            .spawn()
            .map_err(|e| format!("starting {target:?}: {e}"))?;
        let mut running =
            Self { token: GATEWAY_TOKEN.to_owned(), child, log, ready_after: Duration::ZERO };
        running.ready().await?;
        running.ready_after = begun.elapsed();
        if target == Target::Seawall {
            running.token = super::seawall::token()?;
        }
        Ok(running)
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("ended with {status} at its start:\n{}", self.tail()));
            }
            if is_ready().await {
                return Ok(());
            }
            if begun.elapsed() > START {
                return Err(format!("not ready within {START:?}:\n{}", self.tail()));
            }
            // Neither program tells when it is ready other than by this answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The last lines that it printed.
    pub(crate) fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(30)..).unwrap_or(&[]).join("\n")
    }

    /// Stops it as a user would, with SIGTERM.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        match tokio::time::timeout(STOP, self.child.wait()).await {
            Ok(_) => {
                let _ = fs::remove_file(&self.log);
                Ok(())
            }
            Err(_) => {
                let _ = self.child.kill().await;
                Err(format!("did not stop within {STOP:?} of SIGTERM"))
            }
        }
    }
}

/// One `GET /readyz`.
async fn is_ready() -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", PORT)).await.ok()?;
        let request =
            format!("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.take(65536).read_to_string(&mut answer).await.ok()?;
        Some(answer.starts_with("HTTP/1.1 200"))
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask).await;
    matches!(answer, Ok(Some(true)))
}

/// A fresh home for the next deployment.
pub(crate) fn fresh() -> Result<(), String> {
    home::make()?;
    super::seawall::settle()?;
    if std::env::var_os(AS_USER).is_some() { world::give_home() } else { Ok(()) }
}
