//! The supervisor: starts the guard and the gateway, keeps both running, stops them in order.
//!
//! It is one small single-threaded loop that holds what must outlive either child: the listening
//! sockets, the channel to the guard, the gateway's jail. It decides nothing and parses nothing
//! that comes from the gateway. When it dies, the kernel ends all its children.

mod allowed;
mod apart;
mod appeared;
mod changed;
mod contacts;
mod control;
mod gateway;
mod guard;
mod kernel;
mod launcher;
mod output;
mod prepare;
pub(crate) mod resolver;
mod runplan;
mod seed;
mod skills;
mod snapshot;
mod state;
mod widens;

pub(crate) use control::ask;
pub(crate) use gateway::{check_thoroughly, command};
pub(crate) use prepare::{Choice, Prepared, prepare, render_for};
pub(crate) use snapshot::Snapshots;
pub(crate) use widens::confirm;

use crate::clock::now_ms;
use crate::daemon::protocol::{FromGuard, ToGuard};
use control::Request;
use guard::GuardProcess;
use seawall_model::{Event, Plane, Severity};
use serde_json::{Value, json};
use state::{AfterEnd, State};
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// How long the guard may take to open its log and sockets.
const GUARD_READY_WITHIN: Duration = Duration::from_secs(20);

/// How long an answer of the guard to the command line may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// Sockets that outlive the guard.
struct Sockets {
    plugin: UnixListener,
    door: TcpListener,
}

/// Runs until a signal stops it. Returns an error when it could not start or could not go on.
pub(crate) async fn run(prepared: Prepared, say: &dyn Fn(&str)) -> Result<(), String> {
    let began = Instant::now();
    // Everything that can be wrong is looked at before anything is made.
    gateway::check(&prepared)?;
    if prepared.home.lock().exists() {
        drop(take_lock(&prepared.home.lock())?);
    }
    let port = prepared.facts.public_port;
    let door = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|e| {
        format!("port {port} is taken ({e}); stop what listens there (`ss -tlnp`), or set another `gateway.port`")
    })?;
    let kernel = kernel::probe(&std::env::temp_dir(), &prepared.settings.sandbox)?;
    gateway::validate_once(&prepared)?;
    prepared.home.create()?;
    let _lock = take_lock(&prepared.home.lock())?;
    let snapshots = Snapshots::at(prepared.home.snapshots());
    snapshots.install(&prepared.rendered, &prepared.facts)?;
    widens::taken(&prepared.home);
    crate::daemon::tokens::ensure(&prepared.home)?;
    let dirs = prepared.facts.workspaces.values().map(std::path::PathBuf::as_path);
    seed::workspaces(&prepared.runtime, &prepared.rendered.config, dirs, say);

    let run_dir = prepared.home.run();
    let plugin = listen(&run_dir.join("guard.sock"))?;
    let control = listen(&prepared.home.control())?;
    gateway::install_plugin(&run_dir)?;

    let fail = |e: std::io::Error| e.to_string();
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let (requests, mut asked) = mpsc::channel::<Request>(16);
    tokio::spawn(control::serve(control, requests));
    let (checked, mut to_install) =
        mpsc::channel::<(state::Next, Result<(), String>, oneshot::Sender<Value>)>(4);
    let (claims, mut claimed) = mpsc::channel(64);
    let (news, mut heard) = mpsc::unbounded_channel();
    let runs = launcher::serve(&run_dir.join("run.sock"), &prepared, claims, news.clone())?;

    let names = prepared.home.resolver();
    resolver::copy(std::path::Path::new("/etc"), &names)?;
    tokio::spawn(resolver::keep(names));
    let sockets = Sockets { plugin, door };
    let mut guard = GuardProcess::start(&prepared.home, &sockets, GUARD_READY_WITHIN).await?;
    say(&format!("guard ready after {} ms", began.elapsed().as_millis()));
    for event in kernel.events() {
        say(&event.summary);
        guard.tell(&ToGuard::Note(event)).await;
    }
    let mut state = State::new(prepared, snapshots, kernel.status.clone(), news);
    let mut gateway = Some(state.start_gateway()?);
    if let Some(gateway) = &gateway {
        guard.gateway_up(gateway).await;
    }
    for event in std::mem::take(&mut state.held) {
        say(&event.summary);
        guard.tell(&ToGuard::Note(event)).await;
    }
    let mut skills = SkillWatch::new(&state);
    let (looked, mut seen) = mpsc::channel(1);
    say(&format!(
        "gateway started after {} ms; it needs some seconds",
        began.elapsed().as_millis()
    ));

    let outcome = loop {
        let ended = async {
            match gateway.as_mut() {
                Some(gateway) => gateway.wait().await,
                None => std::future::pending().await,
            }
        };
        let restart_at = state.restart_at;
        let restart = async {
            match restart_at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = terminate.recv() => break Ok(()),
            why = kernel.lapsed() => break Err(why),
            _ = interrupt.recv() => break Ok(()),
            message = guard.recv() => match message {
                Some(FromGuard::Alive { boot }) if boot == state.boots => {
                    state.alive();
                    say(&format!("ready after {} ms: http://127.0.0.1:{port}", began.elapsed().as_millis()));
                }
                Some(FromGuard::StopGateway { boot, reason }) if boot == state.boots => {
                    say(&format!("stopping the gateway: {reason}"));
                    state.last_stop = Some(reason);
                    if let Some(gateway) = gateway.as_mut() {
                        gateway.kill();
                    }
                }
                Some(FromGuard::Redeemed { id, order }) => state.redeemed(id, order),
                Some(FromGuard::Answer { id, value }) => state.answered(id, value),
                Some(FromGuard::StopGateway { .. } | FromGuard::Alive { .. } | FromGuard::Ready) => {}
                None => {
                    // Its sockets are held here, so that the plugin's calls wait, and time out
                    // (which blocks them), instead of finding another listener.
                    let how = guard.reap().await;
                    let expected = state.forget_guard();
                    if !expected {
                        say(&format!("the guard ended ({how}); starting it again"));
                        tokio::time::sleep(state.guard_backoff.next()).await;
                    }
                    guard = match GuardProcess::start(&state.prepared.home, &sockets, GUARD_READY_WITHIN).await {
                        Ok(guard) => guard,
                        Err(why) => break Err(why),
                    };
                    if !expected {
                        let text = format!("the guard ended ({how}) and was started again");
                        let event = Event::new(now_ms(), Plane::Lifecycle, "guard.restarted", text).severity(Severity::High);
                        guard.tell(&ToGuard::Note(event)).await;
                    }
                    if let Some(gateway) = &gateway {
                        guard.gateway_up(gateway).await;
                    }
                }
            },
            how = ended => {
                gateway = None;
                guard.tell(&ToGuard::GatewayGone { boot: state.boots, how: how.clone() }).await;
                match state.gateway_ended(&how) {
                    AfterEnd::Restart { wait, text } => {
                        say(&text);
                        state.restart_at = Some(Instant::now() + wait);
                    }
                    AfterEnd::GiveUp(why) => break Err(why),
                }
            },
            () = restart => {
                state.restart_at = None;
                let workspaces = state.prepared.facts.workspaces.values();
                for what in appeared::clear(workspaces.map(|dir| apart::settled(dir))) {
                    guard.tell(&ToGuard::Note(launcher::set_aside(what))).await;
                }
                match state.start_gateway() {
                    Ok(started) => {
                        guard.gateway_up(&started).await;
                        gateway = Some(started);
                        for event in std::mem::take(&mut state.held) {
                            guard.tell(&ToGuard::Note(event)).await;
                        }
                        skills = SkillWatch::new(&state);
                    }
                    Err(why) => match state.gateway_ended(&why) {
                        AfterEnd::Restart { wait, text } => {
                            say(&text);
                            state.restart_at = Some(Instant::now() + wait);
                        }
                        AfterEnd::GiveUp(why) => break Err(why),
                    },
                }
            },
            _ = skills.tick.tick() => skills.look(&looked),
            Some(held) = seen.recv() => for event in skills.news(held) {
                say(&event.summary);
                guard.tell(&ToGuard::Note(event)).await;
            },
            Some(claimed) = claimed.recv() => {
                let id = state.wait_for_order(claimed.reply);
                guard.tell(&ToGuard::Redeem { id, claim: claimed.claim }).await;
            },
            Some(news) = heard.recv() => match news {
                launcher::News::Started { run, session_key, only, listener } => guard.run_started(run, session_key, only, listener).await,
                launcher::News::Refused(event) => guard.tell(&ToGuard::Note(event)).await,
                launcher::News::Changed { session_key, workspace, changed } => {
                    guard.tell(&ToGuard::RunChanged { session_key, workspace, changed }).await;
                }
                launcher::News::Ended { run, code, note } => guard.tell(&ToGuard::RunEnded { run, code, note }).await,
            },
            Some((next, verdict, reply)) = to_install.recv() => {
                let event = widens::event(&next.policy, &next.gained, now_ms());
                let value = match verdict.and_then(|()| state.install(next)) {
                    Ok(changes) => {
                        // What is granted from now on is granted by the new configuration.
                        if let Err(why) = runs.renew(&state.prepared) {
                            break Err(why);
                        }
                        if let Some(event) = event {
                            guard.tell(&ToGuard::Note(event)).await;
                        }
                        // Guard and gateway both read the new snapshot by starting anew.
                        guard.tell(&ToGuard::Stop).await;
                        if let Some(gateway) = gateway.as_mut() {
                            gateway.stop(state.prepared.settings.gateway.stop_timeout_s);
                        }
                        json!({ "ok": true, "changes": changes })
                    }
                    Err(why) => json!({ "ok": false, "error": why }),
                };
                let _ = reply.send(value);
            },
            Some(request) = asked.recv() => match request.question.get("cmd").and_then(Value::as_str) {
                Some("apply") => match state.next_snapshot() {
                    // OpenClaw takes seconds to say whether it accepts a configuration; the loop
                    // goes on meanwhile.
                    Ok(next) => {
                        let widen = request.question.get("widen") == Some(&Value::Bool(true));
                        if let Some(refusal) = widens::refusal(&next.policy, &next.gained, widen) {
                            let _ = request.reply.send(refusal);
                            continue;
                        }
                        // A policy that differs alone applies at once: only the guard starts anew,
                        // and the sessions that it keeps go on.
                        if state.only_policy(&next) {
                            if let Some(event) = widens::event(&next.policy, &next.gained, now_ms()) {
                                guard.tell(&ToGuard::Note(event)).await;
                            }
                            let changes = state.adopt(next);
                            if let Err(why) = runs.renew(&state.prepared) {
                                let _ = request.reply.send(json!({ "ok": false, "error": why }));
                                continue;
                            }
                            guard.tell(&ToGuard::Stop).await;
                            let _ = request.reply.send(json!({ "ok": true, "changes": changes }));
                            continue;
                        }
                        let with = gateway::Validation::of(&state.prepared, &next.settings);
                        let checked = checked.clone();
                        tokio::task::spawn_blocking(move || {
                            let verdict = gateway::validate(&with, &next.rendered.config);
                            let _ = checked.blocking_send((next, verdict, request.reply));
                        });
                    }
                    Err(why) => drop(request.reply.send(json!({ "ok": false, "error": why }))),
                },
                Some("status") => {
                    let own = state.status(gateway.as_ref(), guard.pid());
                    let (reply, answer) = oneshot::channel();
                    let id = state.wait_for_answer(reply);
                    guard.tell(&ToGuard::Ask { id, question: request.question }).await;
                    tokio::spawn(async move {
                        let theirs = match tokio::time::timeout(ANSWER_WITHIN, answer).await {
                            Ok(Ok(value)) => value,
                            _ => json!({ "error": "the guard does not answer" }),
                        };
                        let _ = request.reply.send(json!({ "supervisor": own, "guard": theirs }));
                    });
                }
                _ => {
                    let id = state.wait_for_answer(request.reply);
                    guard.tell(&ToGuard::Ask { id, question: request.question }).await;
                }
            },
        }
    };
    say("stopping");
    if let Some(mut gateway) = gateway.take() {
        gateway.stop(state.prepared.settings.gateway.stop_timeout_s);
        let how = gateway.wait().await;
        guard.tell(&ToGuard::GatewayGone { boot: state.boots, how }).await;
    }
    guard.stop().await;
    for path in
        [run_dir.join("guard.sock"), run_dir.join("run.sock"), state.prepared.home.control()]
    {
        let _ = std::fs::remove_file(path);
    }
    outcome
}

/// How often decisions about skills, and new skills, are looked for.
const SKILLS_EVERY: Duration = Duration::from_secs(2);

/// Keeps the gateway's view of skills in step with what was decided.
struct SkillWatch {
    views: Vec<crate::cmd::skill::view::View>,
    tick: tokio::time::Interval,
    /// What it was made from last. None: it has to be made.
    last: Option<Vec<Option<(std::time::SystemTime, u64)>>>,
    busy: bool,
    /// What was told already.
    told: Vec<crate::cmd::skill::view::Held>,
}

type Looked = Result<Vec<crate::cmd::skill::view::Held>, String>;

impl SkillWatch {
    fn new(state: &State) -> Self {
        let views = skills::views(&state.prepared, &state.prepared.facts);
        let mut tick = tokio::time::interval(SKILLS_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let last = Some(skills::fingerprint(&views));
        Self { views, tick, last, busy: false, told: Vec::new() }
    }

    /// Looks beside the loop, when there is something to look at.
    fn look(&mut self, looked: &mpsc::Sender<Looked>) {
        let now = Some(skills::fingerprint(&self.views));
        if self.busy || now == self.last {
            return;
        }
        self.last = now;
        self.busy = true;
        let (views, looked) = (self.views.clone(), looked.clone());
        tokio::task::spawn_blocking(move || {
            let _ = looked.blocking_send(skills::refresh(&views));
        });
    }

    /// What is to be said of it.
    fn news(&mut self, looked: Looked) -> Vec<Event> {
        self.busy = false;
        match looked {
            Ok(held) => {
                let new = held.iter().filter(|held| !self.told.contains(held));
                let events = new.map(skills::event).collect();
                self.told = held;
                events
            }
            Err(why) => {
                // What is seen stays as it is, and is tried again.
                self.last = None;
                tracing::error!(error = %why, "the skills that the gateway sees are not up to date");
                Vec::new()
            }
        }
    }
}

/// One supervisor for each deployment.
fn take_lock(path: &Path) -> Result<File, String> {
    let say = |e: std::io::Error| format!("cannot use `{}`: {e}", path.display());
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(say)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err("Seawall is already running for this deployment; see `seawall status`".into())
        }
        Err(std::fs::TryLockError::Error(e)) => Err(say(e)),
    }
}

/// A socket that only its owner may connect to. One left behind by a killed supervisor is
/// replaced: the lock says that its owner is gone.
fn listen(path: &Path) -> Result<UnixListener, String> {
    let say = |e: std::io::Error| format!("cannot listen on `{}`: {e}", path.display());
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(say(e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(say)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(say)?;
    listener.set_nonblocking(true).map_err(say)?;
    Ok(listener)
}
