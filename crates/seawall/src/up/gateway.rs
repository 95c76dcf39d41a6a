//! The gateway in its jail, as the supervisor sees it.

use super::Prepared;
use super::launcher::News;
use crate::asked;
use crate::clock::now_ms;
use crate::daemon::protocol::GatewayUp;
use crate::deploy::Runtime;
use crate::home::Home;
use crate::render::Facts;
use crate::settings::Settings;
use seawall_model::{Event, Plane, Severity};
use seawall_sandbox::plan::{GatewayPlan, gateway_plan};
use seawall_sandbox::spec::Listener;
use seawall_sandbox::{Jail, JailIo, JailSpec, SocketFactory};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::UnboundedSender;

/// The plugin as it is shipped, embedded.
const PLUGIN: [(&str, &str); 3] = [
    ("index.js", include_str!("../../../../plugin/dist/index.js")),
    ("openclaw.plugin.json", include_str!("../../../../plugin/dist/openclaw.plugin.json")),
    ("package.json", include_str!("../../../../plugin/dist/package.json")),
];

/// Environment that every program may know: how to show text and time.
const HARMLESS: [&str; 5] = ["LANG", "LC_ALL", "LC_CTYPE", "TZ", "NO_COLOR"];

/// Environment in which OpenClaw's model providers and channels look for their keys. What a
/// deployment has set of these reaches its gateway, as it did before; tool runs see none of it.
const KEY_ENDINGS: [&str; 3] = ["_API_KEY", "_BOT_TOKEN", "_APP_TOKEN"];

/// Environment that never reaches the gateway, whatever names it: with the gateway's own token a
/// tool run would be the operator.
const NEVER: [&str; 4] =
    ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD", "NODE_OPTIONS", "LD_PRELOAD"];

/// Processes and threads of the gateway. It starts a few dozen; a plugin that forks without end
/// must not take the host along. Memory is left to the host's own killer, which takes the gateway
/// before the guard.
const GATEWAY_PIDS: u64 = 4096;

/// A running gateway.
pub(super) struct Gateway {
    jail: Jail,
    ended: AsyncFd<OwnedFd>,
    /// Readable when what the jail holds was replaced outside.
    watched: Option<AsyncFd<OwnedFd>>,
    news: UnboundedSender<News>,
    home: Home,
    /// The files of the configuration, as the jail holds them.
    configuration: Vec<String>,
    boot: u64,
    port: u16,
    uid: u32,
    started: Instant,
    egress: TcpListener,
    factory: SocketFactory,
    forwards: Vec<(u16, TcpListener)>,
    kill_at: Option<Instant>,
}

impl Gateway {
    /// Builds the jail and starts the gateway in it.
    pub(super) fn start(
        prepared: &Prepared,
        boot: u64,
        news: UnboundedSender<News>,
    ) -> Result<Self, String> {
        let spec = spec(prepared, &prepared.facts, &prepared.settings)?;
        let (reader, writer) = io::pipe().map_err(|e| e.to_string())?;
        let path = prepared.home.dir().join("gateway.out");
        std::thread::Builder::new()
            .name("gateway-output".into())
            .spawn(move || {
                if let Err(e) = super::output::keep(reader, path) {
                    tracing::error!(error = %e, "the gateway's output is not kept");
                }
            })
            .map_err(|e| e.to_string())?;
        let stdout = writer.try_clone().map_err(|e| e.to_string())?;
        let io = JailIo {
            stdin: None,
            stdout: Some(stdout.into()),
            stderr: Some(writer.into()),
            inherit: BTreeMap::new(),
        };
        let mut jail = Jail::spawn(&spec, io).map_err(|e| e.to_string())?;
        let lacks = |what: &str| format!("the gateway's jail has no {what}");
        let egress = jail.take_listener("egress").ok_or_else(|| lacks("egress listener"))?;
        let factory = jail.take_factory().ok_or_else(|| lacks("socket factory"))?;
        let mut forwards = Vec::new();
        for forward in &prepared.facts.forwards {
            let listener =
                jail.take_listener(&forward_name(forward.port)).ok_or_else(|| lacks("forward"))?;
            forwards.push((forward.port, listener));
        }
        let ended = jail.control().try_clone_to_owned().map_err(|e| e.to_string())?;
        let ended = crate::channel::async_fd(ended).map_err(|e| e.to_string())?;
        let watched = match jail.watched().map(|fd| fd.try_clone_to_owned()).transpose() {
            Ok(fd) => fd.map(crate::channel::async_fd).transpose().map_err(|e| e.to_string())?,
            Err(e) => return Err(e.to_string()),
        };
        let uid = uid_of(jail.pid());
        Ok(Self {
            watched,
            news,
            home: prepared.home.clone(),
            configuration: configuration(prepared).collect(),
            uid,
            ended,
            boot,
            port: prepared.frame.gateway_port,
            started: Instant::now(),
            egress,
            factory,
            forwards,
            jail,
            kill_at: None,
        })
    }

    /// Waits for its end and says how it ended. Safe to drop and call again.
    pub(super) async fn wait(&mut self) -> String {
        loop {
            let exit = self.jail.try_wait();
            let renewed = self.jail.take_renewed();
            let lost = exit.is_some() && self.jail.lost().is_some();
            if lost || renewed.iter().any(|path| self.configuration.contains(path)) {
                super::widens::replaced(&self.home);
            }
            if !renewed.is_empty() {
                let list = renewed.join("`, `");
                let text =
                    format!("`{list}` was replaced outside of the gateway, and is held again");
                let event = Event::new(now_ms(), Plane::Kernel, "gateway.held", text)
                    .severity(Severity::Low)
                    .detail(json!({ "renewed": renewed }));
                let _ = self.news.send(News::Refused(event));
            }
            if let Some(exit) = exit {
                let why = self.jail.lost().map(|why| format!(": {why}")).unwrap_or_default();
                return format!("exit {}{why}", exit.code());
            }
            let watched = async {
                match &self.watched {
                    Some(watched) => watched.readable().await.map(|mut guard| guard.clear_ready()),
                    None => std::future::pending().await,
                }
            };
            let kill_at = self.kill_at;
            let grace = async {
                match kill_at {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = self.ended.readable() => match ready {
                    Ok(mut guard) => guard.clear_ready(),
                    Err(_) => self.jail.kill(),
                },
                // What there is to do is done by the next look at the jail.
                watched = watched => if watched.is_err() {
                    self.jail.kill();
                },
                () = grace => {
                    self.jail.kill();
                    // The next look ends it from outside, when it is still there then.
                    self.kill_at = self.jail.look_at();
                }
            }
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        self.jail.kill();
        self.kill_at = self.jail.look_at();
    }

    /// Asks it to end, and kills it after `grace_s` seconds; [`Gateway::wait`] carries that out.
    pub(super) fn stop(&mut self, grace_s: u64) {
        self.jail.ask_to_stop();
        self.kill_at = Some(Instant::now() + Duration::from_secs(grace_s));
    }

    /// What the guard is told of it.
    pub(super) fn introduce(&self) -> (GatewayUp, Vec<BorrowedFd<'_>>) {
        let up = GatewayUp {
            boot: self.boot,
            pid: u32::try_from(self.jail.pid()).unwrap_or(0),
            uid: self.uid,
            port: self.port,
            forwards: self.forwards.iter().map(|(port, _)| *port).collect(),
        };
        let mut fds = vec![self.egress.as_fd(), self.factory.as_fd()];
        fds.extend(self.forwards.iter().map(|(_, listener)| listener.as_fd()));
        (up, fds)
    }

    /// What its jail was to have and has not.
    pub(super) fn missing(&self) -> Vec<String> {
        self.jail.facts().missing.iter().map(|what| format!("the gateway's jail: {what}")).collect()
    }

    /// For `seawall status`.
    pub(super) fn facts(&self) -> Value {
        json!({
            "pid": self.jail.pid(),
            "uid": self.uid,
            "seconds": self.started.elapsed().as_secs(),
            "jail": self.jail.facts(),
        })
    }
}

/// The user's configuration and what it includes.
fn configuration(prepared: &Prepared) -> impl Iterator<Item = String> {
    let files = std::iter::once(&prepared.deployment.config_path).chain(&prepared.loaded.files);
    files.filter_map(|path| path.to_str()).map(str::to_owned)
}

fn forward_name(port: u16) -> String {
    format!("forward-{port}")
}

/// The user of a process, from the kernel. What cannot be read is nobody's.
fn uid_of(pid: i32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|uid| uid.parse().ok())
        .unwrap_or(u32::MAX)
}

/// Checks everything about the jail that can be checked without making it.
pub(crate) fn check(prepared: &Prepared) -> Result<(), String> {
    crate::daemon::check_settings(&prepared.settings, &prepared.facts)?;
    hold_configuration(prepared, &prepared.facts, &prepared.settings)?;
    hold_programs(prepared, &prepared.facts, &prepared.settings).map(drop)
}

/// The configuration is held where it lies. A link to it is not, if the gateway can write beside
/// it: the next start would read what the gateway put in its place.
fn hold_configuration(
    prepared: &Prepared,
    facts: &Facts,
    settings: &Settings,
) -> Result<(), String> {
    let deployment = &prepared.deployment;
    super::apart::check(prepared, facts, settings)?;
    let writable = writable(prepared, facts, settings);
    super::apart::reached(facts, &writable)?;
    for link in deployment.links.iter().chain(&prepared.loaded.links) {
        if let Some(dir) = writable.iter().find(|dir| link.starts_with(dir)) {
            return Err(format!(
                "`{}`, by which the configuration is found, is a symbolic link in `{}`, where the gateway could put another in its place; put the file itself there, or name it with OPENCLAW_CONFIG_PATH or in `$include`",
                link.display(),
                dir.display()
            ));
        }
    }
    Ok(())
}

/// Folders that the gateway can write. The state folder is the last.
fn writable(prepared: &Prepared, facts: &Facts, settings: &Settings) -> Vec<PathBuf> {
    facts
        .workspaces
        .values()
        .chain(&settings.gateway.read_write)
        .chain(std::iter::once(&prepared.deployment.state_dir))
        .filter_map(|dir| dir.canonicalize().ok())
        .collect()
}

/// OpenClaw and Node are run by people too, and by Seawall outside of any jail. OpenClaw's own
/// installer puts both into the state folder: what lies there is held with the folder of each link
/// that leads to it. In a workspace there are runs that nobody holds back: it is refused there.
fn hold_programs(
    prepared: &Prepared,
    facts: &Facts,
    settings: &Settings,
) -> Result<Vec<PathBuf>, String> {
    let runtime = &prepared.runtime;
    let state_dir = &prepared.deployment.state_dir;
    let writable = writable(prepared, facts, settings);
    let mut hold = Vec::new();
    let programs = [&runtime.node, &runtime.tree].into_iter().map(|path| (path, path.as_path()));
    // A link cannot be held, the folder that it is in can.
    let links = runtime.links.iter().filter_map(|link| Some((link, link.parent()?)));
    for (path, held) in programs.chain(links) {
        let Some(dir) = writable.iter().find(|dir| path.starts_with(dir)) else { continue };
        if dir != state_dir || held == state_dir {
            return Err(format!(
                "`{}`, by which OpenClaw or Node is found, lies in `{}`, where the agent could put another in its place; install OpenClaw and Node elsewhere, or name them with --openclaw and --node",
                path.display(),
                dir.display()
            ));
        }
        hold.push(held.to_owned());
    }
    Ok(hold)
}

/// Checks the deployment as far as possible without starting it: also whether OpenClaw takes the
/// rendered configuration.
pub(crate) fn check_thoroughly(prepared: &Prepared) -> Result<(), String> {
    check(prepared)?;
    super::kernel::probe(&std::env::temp_dir(), &prepared.settings.sandbox)?;
    validate_once(prepared)
}

/// Checks a plan for other facts and settings.
pub(super) fn check_plan(
    prepared: &Prepared,
    facts: &Facts,
    settings: &Settings,
) -> Result<(), String> {
    spec(prepared, facts, settings).map(drop)
}

/// The gateway's jail.
fn spec(prepared: &Prepared, facts: &Facts, settings: &Settings) -> Result<JailSpec, String> {
    let plan = plan(prepared, facts, settings)?;
    let mut spec = gateway_plan(&plan).map_err(|e| e.to_string())?;
    for forward in &facts.forwards {
        spec.listeners.push(Listener { name: forward_name(forward.port), port: forward.port });
    }
    super::skills::redirect(&mut spec.mounts, &super::skills::views(prepared, facts));
    super::skills::cover(&mut spec.mounts, prepared)?;
    spec.validate().map_err(|e| e.to_string())?;
    Ok(spec)
}

/// A jail with the gateway's files for another command of OpenClaw's: nothing leads out of it, and
/// neither the guard nor the launcher is in it.
fn command_spec(prepared: &Prepared, run_dir: &Path, args: &[String]) -> Result<JailSpec, String> {
    let plan = plan(prepared, &prepared.facts, &prepared.settings)?;
    let run_dir = run_dir.to_str().ok_or("the temporary folder is not UTF-8")?.to_owned();
    let plan = GatewayPlan { args: args.to_vec(), run_dir, ..plan };
    let mut spec = gateway_plan(&plan).map_err(|e| e.to_string())?;
    spec.name = "openclaw".into();
    spec.env.insert("NO_COLOR".into(), "1".into());
    super::skills::redirect(&mut spec.mounts, &super::skills::views(prepared, &prepared.facts));
    super::skills::cover(&mut spec.mounts, prepared)?;
    spec.validate().map_err(|e| e.to_string())?;
    Ok(spec)
}

/// Runs a command of OpenClaw's command line on the deployment as its gateway sees it.
pub(crate) fn command(prepared: &Prepared, args: &[String]) -> Result<asked::Answer, String> {
    let current = prepared.home.snapshots().join("current");
    if !current.join("openclaw.json").exists() {
        return Err("there is no snapshot of the configuration yet; `seawall up` makes it".into());
    }
    check(prepared)?;
    let fail = |e: io::Error| format!("cannot start OpenClaw: {e}");
    let scratch = tempfile::Builder::new().prefix("seawall-openclaw-").tempdir().map_err(fail)?;
    let run_dir = scratch.path().canonicalize().map_err(fail)?;
    install_plugin(&run_dir)?;
    asked::hear(&command_spec(prepared, &run_dir, args)?, None)
}

fn plan(prepared: &Prepared, facts: &Facts, settings: &Settings) -> Result<GatewayPlan, String> {
    let text = |path: &Path| -> Result<String, String> {
        path.to_str().map(str::to_owned).ok_or_else(|| format!("`{}` is not UTF-8", path.display()))
    };
    let list = |paths: &mut dyn Iterator<Item = &PathBuf>| {
        paths.map(|path| text(path)).collect::<Result<Vec<_>, _>>()
    };
    let deployment = &prepared.deployment;
    let runtime = &prepared.runtime;
    // Before anything is made where it says.
    hold_configuration(prepared, facts, settings)?;
    let mut workspaces = Vec::new();
    for dir in facts.workspaces.values() {
        // A workspace below the state folder is writable with it; it still has identity files.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| format!("cannot make the workspace `{}`: {e}", dir.display()))?;
        let dir = text(dir)?;
        if !workspaces.contains(&dir) {
            workspaces.push(dir);
        }
    }
    workspaces.extend(list(&mut settings.gateway.read_write.iter())?);
    let read_only: Vec<PathBuf> = facts
        .read_only
        .iter()
        .chain(&settings.gateway.read_only)
        .filter(|path| path.exists())
        .cloned()
        .collect();
    let mut read_only = list(&mut read_only.iter())?;
    // The gate runs inside: without the lockfile it would know nothing of what was denied.
    read_only.push(text(&crate::cmd::skill::make_gate_folder()?)?);
    let current = prepared.home.snapshots().join("current");
    let mut protect = vec![text(&deployment.config_path)?];
    protect.extend(list(&mut hold_programs(prepared, facts, settings)?.iter())?);
    protect.extend(list(&mut prepared.loaded.files.iter())?);
    protect.dedup();
    Ok(GatewayPlan {
        node: text(&runtime.node)?,
        entry: text(&runtime.script())?,
        args: vec!["gateway".into(), "run".into()],
        programs: vec![text(&runtime.tree)?],
        state_dir: text(&deployment.state_dir)?,
        config_dir: text(&current)?,
        config_file: text(&current.join("openclaw.json"))?,
        workspaces,
        read_only,
        protect,
        home: text(&deployment.home)?,
        run_dir: text(&prepared.home.run())?,
        binary: text(&prepared.program)?,
        env: trusting(environment(prepared, settings), &prepared.home),
        egress_port: prepared.frame.proxy_port,
        limits: seawall_sandbox::spec::Limits { pids: Some(GATEWAY_PIDS), ..Default::default() },
    })
}

/// The run folder is seen at this place inside.
const RUN_FOLDER: &str = "/run/seawall/sockets";

/// With the authority that opens TLS, where a rule has one.
fn trusting(
    mut env: BTreeMap<String, String>,
    home: &crate::home::Home,
) -> BTreeMap<String, String> {
    let authority = home.authority();
    if let Ok(name) = authority.strip_prefix(home.run())
        && authority.exists()
    {
        let seen = Path::new(RUN_FOLDER).join(name);
        env.insert("NODE_EXTRA_CA_CERTS".into(), seen.to_string_lossy().into_owned());
    }
    env
}

/// The gateway's environment: what its configuration names, keys of providers and channels, and
/// what the operator lists.
fn environment(prepared: &Prepared, settings: &Settings) -> BTreeMap<String, String> {
    std::env::vars()
        .filter(|(name, _)| {
            let named =
                prepared.loaded.env_names.contains(name) || settings.gateway.env.contains(name);
            let key = KEY_ENDINGS.iter().any(|ending| name.ends_with(ending));
            !NEVER.contains(&name.as_str()) && (named || key || HARMLESS.contains(&name.as_str()))
        })
        .collect()
}

/// Puts the plugin where the gateway sees it.
pub(super) fn install_plugin(run_dir: &Path) -> Result<(), String> {
    let dir = run_dir.join("plugin");
    let say = |e: io::Error| format!("cannot write the plugin to `{}`: {e}", dir.display());
    match std::fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(say(e)),
        _ => {}
    }
    std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(say)?;
    for (name, content) in PLUGIN {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(dir.join(name))
            .and_then(|mut file| io::Write::write_all(&mut file, content.as_bytes()))
            .map_err(say)?;
    }
    Ok(())
}

/// Name of the file that says which configuration was found to be valid last.
const VALIDATED: &str = "validated";

/// As [`validate`], once for each configuration and OpenClaw: asking takes as long as OpenClaw
/// needs to start. What was said is kept beside the snapshots.
pub(super) fn validate_once(prepared: &Prepared) -> Result<(), String> {
    let config = &prepared.rendered.config;
    let mut hash = Sha256::new();
    hash.update(prepared.runtime.version.as_bytes());
    hash.update(prepared.runtime.script().as_os_str().as_encoded_bytes());
    hash.update(config.to_string());
    let digest = hex::encode(hash.finalize());
    let kept = prepared.home.dir().join(VALIDATED);
    if std::fs::read_to_string(&kept).is_ok_and(|seen| seen.trim() == digest) {
        return Ok(());
    }
    validate(&Validation::of(prepared, &prepared.settings), config)?;
    // Only saves the next start some time: without it the question is asked again.
    if prepared.home.create().is_ok() {
        let _ = std::fs::write(&kept, digest);
    }
    Ok(())
}

/// What the question whether a configuration is valid needs besides it.
#[derive(Clone)]
pub(super) struct Validation {
    runtime: Runtime,
    state_dir: PathBuf,
    names: BTreeSet<String>,
    environment: BTreeMap<String, String>,
}

impl Validation {
    pub(super) fn of(prepared: &Prepared, settings: &Settings) -> Self {
        Self {
            runtime: prepared.runtime.clone(),
            state_dir: prepared.deployment.state_dir.clone(),
            names: prepared.loaded.env_names.clone(),
            environment: environment(prepared, settings),
        }
    }
}

/// Asks the installed OpenClaw whether it takes a configuration.
pub(super) fn validate(with: &Validation, config: &Value) -> Result<(), String> {
    let mut env = asked::named_in_env_file(&with.state_dir, with.names.iter())?;
    env.extend(with.environment.clone());
    asked::takes(&with.runtime, env, config)
}
