//! OpenClaw, asked something in a throw-away jail.
//!
//! Its command line loads code and settings from folders that the gateway can write: whoever owns
//! the gateway would own whoever asks. So it is asked where it can do no more than the gateway: in
//! the gateway's jail, with no network and with folders that nobody needs afterwards.

use crate::deploy::Runtime;
use seawall_sandbox::plan::{GatewayPlan, gateway_plan};
use seawall_sandbox::spec::Listener;
use seawall_sandbox::{Exit, Jail, JailIo, JailSpec};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// OpenClaw answers in a few seconds; a host that swaps takes longer.
const PATIENCE: Duration = Duration::from_secs(180);

/// Most bytes of an answer that are read.
const MOST: u64 = 8 << 20;

/// Node and its workers, many times over.
const PIDS: u64 = 512;

/// Name of the listener that leads to the gateway.
const FORWARD: &str = "gateway";

/// Connections that one question may make. OpenClaw makes one or two.
const MOST_CONNECTIONS: usize = 64;

/// Largest `.env` that is read; real ones have some hundred bytes.
const MAX_ENV: u64 = 1 << 20;

/// One question.
pub(crate) struct Question<'a> {
    /// Which OpenClaw.
    pub(crate) runtime: &'a Runtime,
    /// Its arguments.
    pub(crate) args: &'a [&'a str],
    /// Its environment, besides what every question has.
    pub(crate) env: BTreeMap<String, String>,
    /// The configuration it reads.
    pub(crate) config: &'a Value,
    /// What it is asked about.
    pub(crate) about: About<'a>,
}

/// What a question is about.
#[derive(Clone, Copy)]
pub(crate) enum About<'a> {
    /// The configuration alone; its state folder is empty and goes with the answer.
    Config,
    /// A folder that it fills, and with it a configuration that it may rewrite.
    Fill(&'a Path),
    /// A running gateway: the deployment's own state folder, and this port of the host's loopback.
    Gateway {
        /// The state folder.
        state_dir: &'a Path,
        /// The port.
        port: u16,
    },
}

/// What it said.
pub(crate) struct Answer {
    /// Whether it ended with 0.
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Question<'_> {
    /// Asks. Blocks for as long as OpenClaw needs to start.
    pub(crate) fn ask(self) -> Result<Answer, String> {
        let fail = |e: io::Error| format!("cannot ask OpenClaw: {e}");
        let scratch = tempfile::Builder::new().prefix("seawall-ask-").tempdir().map_err(fail)?;
        let top = scratch.path().canonicalize().map_err(fail)?;
        let folder = |name: &str| -> io::Result<PathBuf> {
            let path = top.join(name);
            std::fs::DirBuilder::new().mode(0o700).create(&path).map(|()| path)
        };
        let (fills, gateway) = match self.about {
            About::Config => (None, None),
            About::Fill(dir) => (Some(dir), None),
            About::Gateway { state_dir, port } => (None, Some((state_dir, port))),
        };
        let config = folder("config").map_err(fail)?;
        let state = match gateway {
            Some((dir, _)) => dir.to_owned(),
            None => folder("state").map_err(fail)?,
        };
        let (home, run) = (folder("home").map_err(fail)?, folder("run").map_err(fail)?);
        let held = config.join("openclaw.json");
        let rewritten = state.join("openclaw.json");
        for path in std::iter::once(&held).chain(fills.is_some().then_some(&rewritten)) {
            std::fs::write(path, self.config.to_string()).map_err(fail)?;
        }
        let text = |path: &Path| -> Result<String, String> {
            path.to_str()
                .map(str::to_owned)
                .ok_or_else(|| format!("`{}` is not UTF-8", path.display()))
        };
        let program = std::env::current_exe().map_err(fail)?;
        let plan = GatewayPlan {
            node: text(&self.runtime.node)?,
            entry: text(&self.runtime.script())?,
            args: self.args.iter().map(|&arg| arg.to_owned()).collect(),
            programs: vec![text(&self.runtime.tree)?],
            state_dir: text(&state)?,
            config_dir: text(&config)?,
            config_file: text(&held)?,
            workspaces: fills.map(&text).transpose()?.into_iter().collect(),
            home: text(&home)?,
            run_dir: text(&run)?,
            binary: text(&program)?,
            env: self.env,
            // Nobody listens behind it.
            egress_port: 9,
            limits: seawall_sandbox::spec::Limits { pids: Some(PIDS), ..Default::default() },
            ..GatewayPlan::default()
        };
        let mut spec = gateway_plan(&plan).map_err(|e| format!("cannot ask OpenClaw: {e}"))?;
        spec.name = "question".into();
        spec.env.insert("NO_COLOR".into(), "1".into());
        if fills.is_some() {
            spec.env.insert("OPENCLAW_CONFIG_PATH".into(), text(&rewritten)?);
            spec.env.remove("OPENCLAW_CONFIG_READONLY");
        }
        if let Some((_, port)) = gateway {
            spec.listeners.push(Listener { name: FORWARD.into(), port });
        }
        hear(&spec, gateway.map(|(_, port)| port))
    }
}

/// Starts OpenClaw in a jail and hears it out, with a way to one port of the host's loopback.
pub(crate) fn hear(spec: &JailSpec, forward: Option<u16>) -> Result<Answer, String> {
    let fail = |e: io::Error| format!("cannot ask OpenClaw: {e}");
    let ((out, stdout), (err, stderr)) = (io::pipe().map_err(fail)?, io::pipe().map_err(fail)?);
    let jail_io = JailIo {
        stdin: None,
        stdout: Some(stdout.into()),
        stderr: Some(stderr.into()),
        inherit: BTreeMap::new(),
    };
    let mut jail = Jail::spawn(spec, jail_io).map_err(|e| format!("cannot ask OpenClaw: {e}"))?;
    let _forward = forward.and_then(|port| Forward::start(&mut jail, port));
    let out = std::thread::spawn(move || capture(out));
    let err = std::thread::spawn(move || capture(err));
    let Some(exit) = jail.wait_until(Some(Instant::now() + PATIENCE)) else {
        // Dropping the jail ends everything in it, and with it the pipes.
        return Err(format!("OpenClaw did not answer within {} s", PATIENCE.as_secs()));
    };
    drop(jail);
    let said = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Answer { success: exit == Exit::Code(0), stdout: said(out), stderr: said(err) })
}

/// The way from inside a jail to one port of the host's loopback, for as long as it is kept.
struct Forward(Arc<AtomicBool>);

impl Forward {
    fn start(jail: &mut Jail, port: u16) -> Option<Self> {
        let listener = jail.take_listener(FORWARD)?;
        listener.set_nonblocking(true).ok()?;
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut connections = 0;
            while !end.load(Ordering::Relaxed) && connections < MOST_CONNECTIONS {
                match listener.accept() {
                    Ok((inside, _)) => {
                        connections += 1;
                        if let Ok(outside) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                            relay(&inside, &outside);
                            relay(&outside, &inside);
                        }
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        });
        Some(Self(ended))
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Moves bytes one way until either side ends.
fn relay(from: &TcpStream, to: &TcpStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    let blocking = from.set_nonblocking(false).and_then(|()| to.set_nonblocking(false));
    if blocking.is_ok() {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

/// What was printed, up to a bound: it may be anything. What is beyond is read and dropped, so that
/// nobody waits for it.
fn capture(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    let _ = from.by_ref().take(MOST).read_to_end(&mut bytes);
    let _ = io::copy(&mut from, &mut io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether OpenClaw takes a configuration; its reasons when it does not.
pub(crate) fn takes(
    runtime: &Runtime,
    env: BTreeMap<String, String>,
    config: &Value,
) -> Result<(), String> {
    let args = &["config", "validate", "--json"];
    let answer = Question { runtime, args, env, config, about: About::Config }.ask()?;
    let Some(value) = json(&answer.stdout) else {
        let said: String = answer.stderr.trim().chars().take(400).collect();
        return Err(format!("OpenClaw's check of the configuration gave no answer: {said}"));
    };
    if value.get("valid") == Some(&Value::Bool(true)) {
        return Ok(());
    }
    let issues: Vec<String> = value
        .get("issues")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(10)
        .map(|issue| {
            let part = |key: &str| issue.get(key).and_then(Value::as_str).unwrap_or("");
            format!("{}: {}", part("path"), part("message"))
        })
        .collect();
    Err(format!("OpenClaw {} refuses the configuration: {}", runtime.version, issues.join("; ")))
}

/// The answer among what a command printed: the whole, or from the first line that opens it.
pub(crate) fn json(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let start = text.lines().position(|line| line.starts_with(['{', '[']))?;
        let rest: Vec<&str> = text.lines().skip(start).collect();
        serde_json::from_str(&rest.join("\n")).ok()
    })
}

/// Values that the `.env` of a state folder gives to the variables that a configuration names, and
/// to no other: the file is the gateway's, and names such as `OPENCLAW_*` steer OpenClaw itself.
pub(crate) fn named_in_env_file<'n>(
    state_dir: &Path,
    names: impl Iterator<Item = &'n String>,
) -> Result<BTreeMap<String, String>, String> {
    let path = state_dir.join(".env");
    let Some(text) = read_env(&path)? else { return Ok(BTreeMap::new()) };
    let all: BTreeMap<String, String> = String::from_utf8_lossy(&text)
        .lines()
        .filter_map(|line| {
            let line = line.trim();
            let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
            let value = value.trim();
            let bare = ['"', '\'', '`']
                .iter()
                .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
                .unwrap_or(value);
            Some((name.trim().to_owned(), bare.to_owned()))
        })
        .collect();
    let steers = |name: &str| {
        ["OPENCLAW_", "NODE_", "LD_", "VITEST", "npm_"].iter().any(|start| name.starts_with(start))
    };
    Ok(names
        .filter(|name| !steers(name))
        .filter_map(|name| Some((name.clone(), all.get(name)?.clone())))
        .collect())
}

/// A file in a folder that the gateway can write: it may be anything.
fn read_env(path: &Path) -> Result<Option<Vec<u8>>, String> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt as _;
    let say = |e: io::Error| format!("cannot read `{}`: {e}", path.display());
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(say(e)),
    };
    let about = file.metadata().map_err(say)?;
    if !about.is_file() || about.len() > MAX_ENV {
        return Err(format!("`{}` is not a regular file of at most 1 MiB", path.display()));
    }
    let mut text = Vec::new();
    Read::read_to_end(&mut Read::take(file, MAX_ENV), &mut text).map_err(say)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_variables_are_taken_and_none_that_steers() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "# x\nexport GIVEN='yes'\nOPENCLAW_HOME=/evil\nOTHER=1\nPLAIN = a=b \n";
        std::fs::write(dir.path().join(".env"), lines).unwrap();
        let names = ["GIVEN", "OPENCLAW_HOME", "PLAIN", "MISSING"].map(str::to_owned);
        let env = named_in_env_file(dir.path(), names.iter()).unwrap();
        let pairs: Vec<(&str, &str)> = env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("GIVEN", "yes"), ("PLAIN", "a=b")]);
    }

    #[test]
    fn a_link_is_no_env_file() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join(".env")).unwrap();
        assert!(named_in_env_file(dir.path(), std::iter::empty()).is_err());
    }
}
