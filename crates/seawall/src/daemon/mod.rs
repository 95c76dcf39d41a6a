//! The guard: the process that decides, logs, and serves the egress proxy and the door.
//!
//! It is started by the supervisor with one end of a channel and nothing else. What must outlive
//! it (listening sockets, the gateway) belongs to the supervisor, which starts it again when it
//! dies; until then the plugin's calls block, and the proxy and the door accept nobody.

pub(crate) mod approvals;
mod budgets;
mod engine;
mod forward;
mod guard;
mod heard;
mod held;
mod liveness;
mod planes;
pub(crate) mod protocol;
mod question;
mod sessions;
mod status;
mod tickets;
pub(crate) mod tokens;

use crate::channel::Channel;
use crate::clock::now_ms;
use crate::home::Home;
use crate::render::Facts;
use crate::settings::{RunNetwork, Settings};
use crate::store::{LogKey, Store};
use guard::{Guard, PluginFacts, lock};
use liveness::{Liveness, Step};
use planes::Planes;
use protocol::{FromGuard, GatewayUp, ToGuard};
use seawall_model::{Event, EventLog, Plane, Severity};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tickets::Tickets;
use tokio::signal::unix::SignalKind;
use tokio::sync::mpsc;

/// Random hex for tickets, runs and boots: 128 bits, which cannot be guessed.
pub(crate) fn random_id() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness a ticket could be guessed: better none at all.
    if getrandom::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    hex::encode(bytes)
}

/// Runs the guard until the supervisor says stop or goes away.
///
/// `missing` is what the guard's own confinement lacks on this host.
pub(crate) async fn run(home: Home, control: OwnedFd, missing: Vec<String>) -> Result<(), String> {
    // A terminal's Ctrl-C and a service manager's stop reach every process at once. The guard is
    // the last to go: it ends when the supervisor says so or is gone.
    let _ignored = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| tokio::signal::unix::signal(kind).map_err(|e| e.to_string()));
    let settings = Settings::load(&home.settings())?;
    let facts = load_facts(&home)?;
    let key = LogKey::load_or_create(&home.log_key())?;
    let log = Arc::new(Store::open(&home.events(), key).map_err(|e| e.to_string())?);
    for what in missing {
        let text = format!("the guard's own confinement lacks {what}");
        let event = Event::new(now_ms(), Plane::Lifecycle, "guard.confined", text);
        log.append(event.severity(Severity::Medium)).await.map_err(|e| e.to_string())?;
    }
    let control = Arc::new(Channel::new(control).map_err(|e| e.to_string())?);
    let (steps, mut stepped) = mpsc::unbounded_channel();
    let (engine, trouble) = engine::Engine::load(&settings, &facts, &home)?;
    let permit_ms = engine.permit_ms();
    let guard = Arc::new(Guard {
        log: Arc::clone(&log),
        engine,
        tickets: Mutex::new(Tickets::new(
            facts.mcp.clone(),
            settings.runs.network == RunNetwork::Egress,
            permit_ms,
        )),
        live: Mutex::new(Liveness::new(settings.guard.heartbeat_ms)),
        plugin: Mutex::new(PluginFacts::default()),
        gateway: Mutex::new(None),
        deadline_ms: settings.guard.deadline_ms,
        heartbeat_ms: settings.guard.heartbeat_ms,
        steps,
        decided: AtomicU64::new(0),
    });
    let planes =
        Planes::new(&settings, &facts, &home, Arc::clone(&log) as Arc<dyn EventLog>).await?;
    planes.sessions(Arc::new(held::OfSessions(Arc::clone(&guard))));
    let hears = Arc::clone(&guard);
    planes
        .door()
        .hear(move |session, text| hears.engine.heard(session, text, crate::clock::now_ms()));
    let start_timeout_ms = settings.gateway.start_timeout_s.saturating_mul(1000);
    let mut tick =
        tokio::time::interval(Duration::from_millis((settings.guard.heartbeat_ms / 2).max(50)));
    note(&log, "guard.started", "the guard is running").await?;
    if let Some(event) = trouble {
        log.append(event).await.map_err(|e| e.to_string())?;
    }
    loop {
        tokio::select! {
            message = control.recv::<ToGuard>() => {
                let Some((message, fds)) = message.map_err(|e| format!("supervisor channel: {e}"))? else { break };
                match message {
                    ToGuard::Sockets => {
                        serve_sockets(&guard, &planes, fds)?;
                        control.send(&FromGuard::Ready, &[]).await.map_err(|e| e.to_string())?;
                    }
                    ToGuard::Gateway(up) => {
                        lock(&guard.live).started(now_ms(), start_timeout_ms);
                        gateway_up(&guard, &planes, up, fds).await?;
                    }
                    ToGuard::GatewayGone { boot, how } => {
                        planes.close("the gateway is not running");
                        planes.gateway_gone();
                        lock(&guard.live).gone();
                        *lock(&guard.gateway) = None;
                        *lock(&guard.plugin) = PluginFacts::default();
                        note(&log, "gateway.stopped", &format!("gateway start {boot} ended: {how}")).await?;
                    }
                    ToGuard::Redeem { id, claim } => {
                        let order = lock(&guard.tickets).redeem(&claim, now_ms());
                        let order = match order {
                            Ok(order) => record_run(&log, &order).await.map(|()| Box::new(order)),
                            Err(why) => Err(why),
                        };
                        control.send(&FromGuard::Redeemed { id, order }, &[]).await.map_err(|e| e.to_string())?;
                    }
                    ToGuard::RunStarted { run, session_key, only } => planes.run_started(&run, &session_key, only, fds),
                    ToGuard::RunChanged { session_key, workspace, changed } => {
                        guard.engine.changed(&session_key, &workspace, &changed, now_ms());
                    }
                    ToGuard::RunEnded { run, code, note } => {
                        planes.run_ended(&run);
                        let mut event = Event::new(now_ms(), Plane::Kernel, "run.ended", format!("run ended with {code}"))
                            .detail(json!({ "run": run, "code": code, "note": note }));
                        if let Some(note) = note {
                            event.summary = format!("run ended with {code}: {note}");
                            event.severity = Severity::Low;
                        }
                        let log = Arc::clone(&log);
                        tokio::spawn(async move { log.append(event).await });
                    }
                    ToGuard::Ask { id, question } => {
                        let value = answer(&guard, &planes, &home, &question).await;
                        control.send(&FromGuard::Answer { id, value }, &[]).await.map_err(|e| e.to_string())?;
                    }
                    ToGuard::Note(event) => {
                        let log = Arc::clone(&log);
                        tokio::spawn(async move { log.append(event).await });
                    }
                    ToGuard::Stop => break,
                }
            }
            Some(step) = stepped.recv() => carry_out(&guard, &planes, &control, step).await?,
            _ = tick.tick() => {
                let step = lock(&guard.live).tick(now_ms());
                carry_out(&guard, &planes, &control, step).await?;
            }
        }
    }
    planes.close("Seawall is stopping");
    guard.engine.close();
    note(&log, "guard.stopped", "the guard stopped").await?;
    log.close();
    Ok(())
}

async fn note(log: &Arc<Store>, kind: &str, summary: &str) -> Result<(), String> {
    log.append(Event::new(now_ms(), Plane::Lifecycle, kind, summary))
        .await
        .map(drop)
        .map_err(|e| e.to_string())
}

fn load_facts(home: &Home) -> Result<Facts, String> {
    let path = home.snapshots().join("facts.json");
    let text = std::fs::read_to_string(&path)
        .map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
    serde_json::from_str(&text).map_err(|e| format!("`{}`: {e}", path.display()))
}

fn serve_sockets(
    guard: &Arc<Guard>,
    planes: &Arc<Planes>,
    fds: Vec<OwnedFd>,
) -> Result<(), String> {
    let mut fds = fds.into_iter();
    let (Some(plugin), Some(door)) = (fds.next(), fds.next()) else {
        return Err("the supervisor passed no sockets".into());
    };
    let plugin = std::os::unix::net::UnixListener::from(plugin);
    plugin.set_nonblocking(true).map_err(|e| e.to_string())?;
    let plugin = tokio::net::UnixListener::from_std(plugin).map_err(|e| e.to_string())?;
    let guard = Arc::clone(guard);
    tokio::spawn(async move {
        if let Err(e) = guard.serve(plugin).await {
            // Without the plugin's socket no call is decided, and calls block: the supervisor
            // starts a new guard.
            tracing::error!(error = %e, "the plugin's socket failed");
            std::process::abort();
        }
    });
    planes.serve_door(std::net::TcpListener::from(door))
}

async fn gateway_up(
    guard: &Arc<Guard>,
    planes: &Arc<Planes>,
    up: GatewayUp,
    fds: Vec<OwnedFd>,
) -> Result<(), String> {
    let summary = format!("gateway start {} is process {}", up.boot, up.pid);
    *lock(&guard.plugin) = PluginFacts::default();
    *lock(&guard.gateway) = Some(up.clone());
    planes.gateway_up(&up, fds)?;
    note(&guard.log, "gateway.started", &summary).await
}

async fn carry_out(
    guard: &Arc<Guard>,
    planes: &Arc<Planes>,
    control: &Channel,
    step: Step,
) -> Result<(), String> {
    match step {
        Step::Stay => Ok(()),
        Step::Open => {
            planes.open();
            let boot = lock(&guard.gateway).as_ref().map_or(0, |up| up.boot);
            control.send(&FromGuard::Alive { boot }, &[]).await.map_err(|e| e.to_string())?;
            note(&guard.log, "hook.alive", "the plugin reports: egress and door are open").await
        }
        Step::Close(reason) => {
            planes.close(&reason);
            let event =
                Event::new(now_ms(), Plane::Hook, "hook.silent", reason).severity(Severity::High);
            guard.log.append(event).await.map(drop).map_err(|e| e.to_string())
        }
        Step::Stop(reason) => {
            planes.close(&reason);
            let event = Event::new(now_ms(), Plane::Hook, "hook.lost", reason.clone())
                .severity(Severity::Critical);
            guard.log.append(event).await.map_err(|e| e.to_string())?;
            let boot = lock(&guard.gateway).as_ref().map_or(0, |up| up.boot);
            control
                .send(&FromGuard::StopGateway { boot, reason }, &[])
                .await
                .map_err(|e| e.to_string())
        }
    }
}

async fn record_run(log: &Arc<Store>, order: &protocol::RunOrder) -> Result<(), String> {
    let what = match &order.what {
        protocol::RunWhat::Tool(request) => format!("{:?}", request.purpose).to_lowercase(),
        protocol::RunWhat::Mcp { name, .. } => format!("MCP server {name}"),
    };
    let mut event =
        Event::new(now_ms(), Plane::Kernel, "run.started", format!("sandboxed run: {what}"))
            .detail(json!({ "run": order.run, "what": what, "network": order.network }));
    event.session_key = Some(order.session_key.clone());
    event.call_id = order.granted.as_ref().map(|granted| granted.call_id.clone());
    log.append(event).await.map(drop).map_err(|e| e.to_string())
}

async fn answer(guard: &Arc<Guard>, planes: &Arc<Planes>, home: &Home, question: &Value) -> Value {
    let text = |key: &str| question.get(key).and_then(Value::as_str).unwrap_or_default();
    let error = |why: String| json!({ "error": why });
    match text("cmd") {
        "status" => {
            let plugin = lock(&guard.plugin).clone();
            json!({
                "decided": guard.decided.load(Ordering::Relaxed),
                "bundle": guard.engine.version(),
                "sessions": guard.engine.sessions(),
                "plugin": plugin,
                "planes": status::planes(guard, planes),
            })
        }
        "tokens" => match tokens::load(home) {
            Ok(tokens) => {
                planes.set_tokens(tokens);
                json!({ "ok": true })
            }
            Err(why) => error(why),
        },
        "door.allow" => {
            let last =
                Duration::from_secs(question.get("seconds").and_then(Value::as_u64).unwrap_or(0));
            match planes.door().allow(text("method"), text("token"), last, "operator").await {
                Ok(grant) => json!({ "ok": true, "id": grant.id }),
                Err(e) => error(e.to_string()),
            }
        }
        "door.disallow" => json!({ "removed": planes.door().disallow(text("method")) }),
        "door.list" => {
            let grants: Vec<Value> = planes
                .door()
                .allowed()
                .into_iter()
                .map(|grant| json!({ "method": grant.method, "token": grant.token, "untilMs": grant.until_ms }))
                .collect();
            json!({ "grants": grants })
        }
        cmd if approvals::is_ours(cmd) => {
            let (answer, events) = guard.engine.approvals(question, now_ms());
            for event in events {
                if let Err(e) = guard.log.append(event).await {
                    return error(format!("done, but not written down: {e}"));
                }
            }
            answer
        }
        _ => error("the guard does not know this question".into()),
    }
}

/// What the door needs of the gateway's configuration, below `gateway`.
pub(crate) fn door_config() -> Value {
    seawall_door::gateway_config().get_mut("gateway").map(Value::take).unwrap_or_default()
}

/// The policy of a configuration, for comparison with another.
pub(crate) fn bundle_of(
    settings: &Settings,
    facts: &Facts,
) -> Result<seawall_policy::Bundle, String> {
    engine::bundle(settings, facts, seawall_policy::Places::default())
}

/// Checks the parts of the settings that the planes read.
pub(crate) fn check_settings(settings: &Settings, facts: &Facts) -> Result<(), String> {
    planes::egress_policy(settings, facts)?;
    planes::door_config_of(settings)?;
    engine::Engine::check(settings, facts)
}
