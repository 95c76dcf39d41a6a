//! The plugin's end of the guard: frames in, verdicts out.
//!
//! One connection is served at a time for each gateway process. Frames are handled in the order in
//! which they come, because the engine's view of a session depends on it; the wait for the disk
//! happens beside that, so that many calls share one commit.

use super::engine::{Engine, Judged, ResultSeen};
use super::liveness::{Liveness, Step};
use super::protocol::{GatewayUp, Granted};
use super::tickets::Tickets;
use crate::clock::now_ms;
use crate::store::Store;
use seawall_model::frame::{self, Ask, PROTOCOL, RunRequest, ToGuard, ToPlugin};
use seawall_model::{
    Action, ActionKind, Decision, Event, EventLog, Origin, Plane, Severity, ToolCall,
};
use seawall_sandbox::plan::IDENTITY_FILES;
use seawall_sandbox::spec::Access;
use serde_json::json;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream, unix::OwnedReadHalf};
use tokio::sync::mpsc;

/// A connection that has not introduced itself by then is closed.
const HELLO_WITHIN: Duration = Duration::from_secs(5);

/// Answers waiting for a slow reader. The plugin reads all the time; a peer that does not is cut.
const ANSWERS: usize = 1024;

/// Connections at a time, besides which further ones wait in the listen queue. The plugin needs
/// one; the rest is room for one that is on its way out.
const CONNECTIONS: usize = 4;

/// Changed paths that are kept of one call: what they release is a handful of files, and a text
/// that names more is cut off, which releases less.
const MAX_CHANGES: usize = 256;

/// What is known about the plugin.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub(crate) struct PluginFacts {
    /// Its process, once it has introduced itself.
    pub(crate) pid: Option<u32>,
    /// OpenClaw's version, as it says.
    pub(crate) openclaw_version: String,
    /// Newest report.
    pub(crate) seq: u64,
    /// Observations that it could not deliver.
    pub(crate) lost: u64,
}

/// Shared by all connections.
pub(crate) struct Guard {
    pub(crate) log: Arc<Store>,
    pub(crate) engine: Engine,
    pub(crate) tickets: Mutex<Tickets>,
    pub(crate) live: Mutex<Liveness>,
    pub(crate) plugin: Mutex<PluginFacts>,
    pub(crate) gateway: Mutex<Option<GatewayUp>>,
    pub(crate) deadline_ms: u64,
    pub(crate) heartbeat_ms: u64,
    /// Opens and closes the other planes, and stops the gateway.
    pub(crate) steps: mpsc::UnboundedSender<Step>,
    /// Calls decided since start.
    pub(crate) decided: AtomicU64,
}

/// A lock whose holder panicked still guards consistent values here: every critical section
/// replaces whole values.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    /// Serves the plugin until the listener fails.
    pub(crate) async fn serve(self: Arc<Self>, listener: UnixListener) -> io::Result<()> {
        let room = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
        loop {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                // Out of descriptors: a guard that ended for it would take every plane along.
                Err(error) => {
                    tracing::warn!(%error, "the plugin's socket could not accept");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let guard = Arc::clone(&self);
            tokio::spawn(async move {
                if let Err(why) = guard.connection(stream).await {
                    let event = Event::new(now_ms(), Plane::Hook, "hook.disconnected", why);
                    let _ = guard.log.append(event).await;
                }
                drop(permit);
            });
        }
    }

    async fn connection(self: &Arc<Self>, stream: UnixStream) -> Result<(), String> {
        let pid = self.admit(&stream).inspect_err(|why| {
            let event = Event::new(now_ms(), Plane::Hook, "hook.refused", why.clone())
                .severity(Severity::High);
            let log = Arc::clone(&self.log);
            tokio::spawn(async move { log.append(event).await });
        })?;
        let (mut reader, mut writer) = stream.into_split();
        let hello = tokio::time::timeout(HELLO_WITHIN, read_frame(&mut reader))
            .await
            .map_err(|_| "the plugin did not introduce itself".to_owned())??;
        let Some(ToGuard::Hello { protocol, boot_id, openclaw_version }) = hello else {
            return Err("the plugin did not introduce itself first".into());
        };
        if protocol != PROTOCOL {
            return Err(format!(
                "the plugin speaks protocol {protocol}, not {PROTOCOL}: it was replaced"
            ));
        }
        {
            let mut plugin = lock(&self.plugin);
            plugin.pid = Some(pid);
            plugin.openclaw_version = openclaw_version.chars().take(64).collect();
        }
        let boot_id: String = boot_id.chars().take(64).collect();
        let event = Event::new(now_ms(), Plane::Hook, "hook.connected", "the plugin is connected")
            .detail(json!({ "pid": pid, "bootId": boot_id }));
        self.log.append(event).await.map_err(|e| e.to_string())?;

        let (answers, mut outgoing) = mpsc::channel::<Vec<u8>>(ANSWERS);
        let writing = tokio::spawn(async move {
            while let Some(bytes) = outgoing.recv().await {
                writer.write_all(&bytes).await?;
            }
            Ok::<_, io::Error>(())
        });
        let welcome = ToPlugin::Welcome {
            protocol: PROTOCOL,
            deadline_ms: self.deadline_ms,
            heartbeat_ms: self.heartbeat_ms,
        };
        send(&answers, &welcome).await;
        let ended = loop {
            match read_frame(&mut reader).await {
                Ok(Some(frame)) => self.handle(frame, &answers),
                Ok(None) => break Ok(()),
                Err(why) => break Err(why),
            }
        };
        drop(answers);
        writing.abort();
        ended
    }

    /// Only the gateway's own process speaks as the plugin: what it starts does not.
    fn admit(&self, stream: &UnixStream) -> Result<u32, String> {
        let peer = stream.peer_cred().map_err(|e| format!("the peer cannot be told: {e}"))?;
        let pid = peer
            .pid()
            .and_then(|pid| u32::try_from(pid).ok())
            .ok_or("the peer has no process here")?;
        let Some(gateway) = lock(&self.gateway).clone() else {
            return Err(format!("process {pid} spoke as the plugin, but no gateway is running"));
        };
        if peer.uid() != gateway.uid {
            return Err(format!("process {pid} of user {} spoke as the plugin", peer.uid()));
        }
        let known = lock(&self.plugin).pid;
        match known {
            Some(known) if known == pid => Ok(pid),
            Some(_) => {
                Err(format!("process {pid}, which is not the gateway's, spoke as the plugin"))
            }
            None if pid == gateway.pid => Ok(pid),
            None => {
                Err(format!("process {pid} spoke as the plugin of gateway process {}", gateway.pid))
            }
        }
    }

    fn handle(self: &Arc<Self>, frame: ToGuard, answers: &mpsc::Sender<Vec<u8>>) {
        let started = Instant::now();
        match frame {
            ToGuard::Hello { .. } => {}
            ToGuard::Heartbeat { seq, lost } => {
                {
                    let mut plugin = lock(&self.plugin);
                    plugin.seq = seq;
                    plugin.lost = lost;
                }
                let step = lock(&self.live).report(now_ms());
                if step != Step::Stay {
                    let _ = self.steps.send(step);
                }
            }
            ToGuard::Decide { id, call_id, origin, call, .. }
                if oversize(&call_id, &origin, &call) =>
            {
                let answers = answers.clone();
                let reason =
                    "a name or a command of this call is longer than any that OpenClaw makes";
                let event = Event::new(now_ms(), Plane::Hook, "hook.oversize", reason)
                    .severity(Severity::High)
                    .decision("deny");
                let log = Arc::clone(&self.log);
                let answer = ToPlugin::Verdict {
                    id,
                    decision: Decision::Deny,
                    reason: reason.into(),
                    params: None,
                    ask: None,
                };
                tokio::spawn(async move {
                    let _ = log.append(event).await;
                    send(&answers, &answer).await;
                });
            }
            ToGuard::Decide { id, call_id, origin, call, can_ask } => {
                let guard = Arc::clone(self);
                let answers = answers.clone();
                let action = Action { call_id, origin, kind: ActionKind::ToolCall(call) };
                let Judged { verdict, events } = self.engine.decide(&action, can_ask, now_ms());
                self.decided.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let answer = guard.settle(id, &action, verdict, events, started).await;
                    send(&answers, &answer).await;
                });
            }
            ToGuard::Result { id, call_id, origin, tool, params, text, is_error } => {
                let seen = ResultSeen {
                    call_id: &call_id,
                    origin: &origin,
                    tool: &tool,
                    params: &params,
                    text: &text,
                    is_error,
                };
                let replace = self.engine.result(seen, now_ms());
                let answers = answers.clone();
                tokio::spawn(async move {
                    send(&answers, &ToPlugin::ResultVerdict { id, replace }).await
                });
            }
            ToGuard::Prepare { id, origin, run } => {
                let guard = Arc::clone(self);
                let answers = answers.clone();
                tokio::spawn(async move {
                    let answer = guard.prepare(id, &origin, run).await;
                    send(&answers, &answer).await;
                });
            }
            ToGuard::Answered { call_id, allowed, resolution } => {
                lock(&self.tickets).answered(&call_id, allowed, now_ms());
                // Anything but a person's word means that nobody was there.
                let spoken = allowed || resolution == "deny";
                let events = self.engine.answered(&call_id, allowed, spoken, now_ms());
                let resolution: String = resolution.chars().take(32).collect();
                let mut event = Event::new(
                    now_ms(),
                    Plane::Hook,
                    "ask.answered",
                    if spoken {
                        format!("a person answered: {resolution}")
                    } else {
                        format!("nobody answered: {resolution}")
                    },
                )
                .decision(if allowed { "allow" } else { "deny" });
                event.call_id = Some(call_id);
                let log = Arc::clone(&self.log);
                tokio::spawn(async move {
                    for event in std::iter::once(event).chain(events) {
                        let _ = log.append(event).await;
                    }
                });
            }
            ToGuard::Observe { hook, origin, data } => {
                if let Some(event) = self.outside(&hook, &origin, &data) {
                    let log = Arc::clone(&self.log);
                    tokio::spawn(async move { log.append(event).await });
                }
                let event = self.engine.observe(&hook, &origin, &data, now_ms());
                if let Some(event) = event {
                    let log = Arc::clone(&self.log);
                    tokio::spawn(async move { log.append(event).await });
                }
            }
        }
    }

    /// A command that would run, or may have run, outside the sandbox.
    fn outside(&self, hook: &str, origin: &Origin, data: &serde_json::Value) -> Option<Event> {
        let text = |key: &str| data.get(key).and_then(serde_json::Value::as_str);
        let mut event = match hook {
            // The plugin refuses it; that the gateway was brought to try is what has to be seen.
            "exec_outside" => {
                let host: String = text("host").unwrap_or("unknown").chars().take(64).collect();
                let summary = format!(
                    "a command of this session would have run outside the sandbox ({host})"
                );
                Event::new(now_ms(), Plane::Hook, "exec.outside", summary).decision("deny")
            }
            "after_tool_call" if text("toolName") == Some("exec") => {
                let call_id = text("toolCallId")?;
                let unused = lock(&self.tickets).over(&origin.session_key, call_id);
                if !unused || text("error").is_some() {
                    return None;
                }
                let summary = "an allowed command ended without a run: it failed before it started, \
                               or it ran outside the sandbox";
                let mut event = Event::new(now_ms(), Plane::Hook, "exec.unseen", summary);
                event.call_id = Some(call_id.chars().take(256).collect());
                event
            }
            _ => return None,
        }
        .severity(Severity::High);
        event.session_key = Some(origin.session_key.chars().take(MAX_NAME).collect());
        event.agent_id = Some(origin.agent_id.chars().take(MAX_NAME).collect());
        Some(event)
    }

    /// Writes the decision down; only then is it one.
    async fn settle(
        &self,
        id: u64,
        action: &Action,
        verdict: seawall_model::Verdict,
        events: Vec<Event>,
        started: Instant,
    ) -> ToPlugin {
        let deny = |reason: String| ToPlugin::Verdict {
            id,
            decision: Decision::Deny,
            reason,
            params: None,
            ask: None,
        };
        let appended = async {
            // The use of an answer stands before the decision that it made.
            for event in events {
                self.log.append(event).await?;
            }
            self.log.append(decision_event(action, &verdict)).await
        };
        if let Err(e) = appended.await {
            return deny(format!("{e}; free the disk and see `seawall status`"));
        }
        let late = started.elapsed() > Duration::from_millis(self.deadline_ms);
        if late {
            // The plugin has blocked the call already; nothing may start on this verdict.
            return deny("the decision came too late".into());
        }
        let granted = granted(action, &verdict, &self.engine);
        // An envelope grants nothing: the call inside is decided by itself, with its questions.
        let envelope =
            matches!(&action.kind, ActionKind::ToolCall(call) if call.tool == "tool_call");
        let mut ask = None;
        match verdict.decision {
            Decision::Allow | Decision::Rewrite => {
                let command = run_of(action, &verdict);
                if command.is_some() || (!envelope && changes_held(&granted)) {
                    lock(&self.tickets).allow(&action.origin, granted, command, now_ms());
                }
            }
            Decision::Ask => {
                let command = run_of(action, &verdict);
                if command.is_some() || (!envelope && changes_held(&granted)) {
                    lock(&self.tickets).ask(&action.origin, granted, command, now_ms());
                }
                ask = Some(question(action, &verdict, self.engine.ask_ms()));
            }
            Decision::Deny => {}
        }
        let reason = match verdict.decision {
            Decision::Allow => String::new(),
            _ => verdict.explain(),
        };
        ToPlugin::Verdict { id, decision: verdict.decision, reason, params: verdict.params, ask }
    }

    async fn prepare(&self, id: u64, origin: &Origin, run: RunRequest) -> ToPlugin {
        let refuse = |message: String| ToPlugin::Error { id: Some(id), message };
        let ticket = super::random_id();
        let purpose = run.purpose;
        let issued = lock(&self.tickets).issue(origin, run, ticket.clone(), now_ms());
        match issued {
            Ok(_) => ToPlugin::Ticket { id, ticket },
            Err(why) => {
                let mut event = Event::new(now_ms(), Plane::Kernel, "run.refused", why.clone())
                    .severity(Severity::High)
                    .decision("deny")
                    .detail(json!({ "purpose": purpose }));
                event.session_key = Some(origin.session_key.clone());
                let _ = self.log.append(event).await;
                refuse(why)
            }
        }
    }
}

/// Longest shell text that starts: the kernel takes no longer argument.
const MAX_COMMAND: usize = 128 * 1024 - 1;

/// Longest name of a call or session that is taken. OpenClaw's have about a hundred letters.
const MAX_NAME: usize = 1024;

/// Whether names or commands are so long that keeping thousands of them would fill the memory.
fn oversize(call_id: &str, origin: &Origin, call: &ToolCall) -> bool {
    call_id.len() > MAX_NAME
        || origin.session_key.len() > MAX_NAME
        || origin.agent_id.len() > MAX_NAME
        || call.tool.len() > MAX_NAME
        || command_of(&call.tool, &call.params).is_some_and(|text| text.len() > MAX_COMMAND)
}

/// What the run behind an allowed call may do with files.
fn granted(action: &Action, verdict: &seawall_model::Verdict, engine: &Engine) -> Granted {
    let workspace = engine.workspace_of(&action.origin);
    let needs = seawall_sandbox::plan::needs(&verdict.effects, &workspace);
    let mut folders = std::collections::BTreeMap::new();
    let mut beyond = std::collections::BTreeSet::new();
    for (path, access) in &needs.grants {
        if let Some((folder, may_write)) = engine.opened(path) {
            let write = folders.entry(folder.to_owned()).or_insert(false);
            if may_write && *access == Access::Rw {
                *write = true;
                beyond.insert(path.clone());
            }
        }
    }
    // Beyond that many paths the folders are granted as they are: each path costs mounts.
    let write = needs.opaque || needs.workspace == Some(Access::Rw);
    let few = needs.changes.len().saturating_add(beyond.len()) <= MAX_CHANGES;
    let exact = few && !needs.opaque && !needs.whole;
    Granted {
        call_id: action.call_id.clone(),
        write,
        exact,
        follow: write && !exact && engine.follows(&action.origin.session_key),
        network: needs.opaque || needs.network,
        changes: needs.changes.into_iter().take(MAX_CHANGES).collect(),
        removes: needs.removes,
        beyond,
        folders: engine.with_read_only(folders),
        workspace,
    }
}

/// Whether a file tool's call names something that is held in its worker.
fn changes_held(granted: &Granted) -> bool {
    granted.changes.iter().any(|path| IDENTITY_FILES.contains(&path.as_str()))
}

/// The shell text that an allowed action will come back with.
fn run_of<'a>(action: &'a Action, verdict: &'a seawall_model::Verdict) -> Option<&'a str> {
    let ActionKind::ToolCall(call) = &action.kind else { return None };
    command_of(&call.tool, verdict.params.as_ref().unwrap_or(&call.params))
}

/// The shell text of a call that will come back as a run. Not of one inside an envelope: that is
/// decided by itself, and its own call comes back.
fn command_of<'a>(tool: &str, params: &'a serde_json::Value) -> Option<&'a str> {
    (tool == "exec").then(|| params.get("command").and_then(serde_json::Value::as_str)).flatten()
}

fn decision_event(action: &Action, verdict: &seawall_model::Verdict) -> Event {
    let decision = match verdict.decision {
        Decision::Allow => "allow",
        Decision::Rewrite => "rewrite",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    };
    let tool = match &action.kind {
        ActionKind::ToolCall(ToolCall { tool, .. }) => tool.clone(),
        ActionKind::MessageOut { channel, .. } => format!("message to {channel}"),
        ActionKind::Install { what, name, .. } => format!("install of {what} {name}"),
    };
    let severity = match verdict.decision {
        Decision::Deny => Severity::Medium,
        Decision::Ask => Severity::Low,
        _ => Severity::Info,
    };
    let why = verdict.explain();
    let summary = if why.is_empty() {
        format!("{decision} {tool}")
    } else {
        format!("{decision} {tool}: {why}")
    };
    // The arguments themselves are not written: they hold whatever the session handles.
    let rules: Vec<&str> = verdict.reasons.iter().map(|reason| reason.rule.as_str()).collect();
    let mut event = Event::new(now_ms(), Plane::Engine, "decision", summary)
        .severity(severity)
        .decision(decision)
        .detail(json!({
            "tool": tool,
            "rules": rules,
            "effects": verdict.effects.iter().map(for_log).collect::<Vec<_>>(),
            "digest": verdict.permit.as_ref().map(|permit| &permit.digest),
            "requester": action.origin.requester,
        }));
    event.agent_id = Some(action.origin.agent_id.clone());
    event.session_key = Some(action.origin.session_key.clone());
    event.call_id = Some(action.call_id.clone());
    event
}

/// An effect without what a URL can carry in secret: its user part, its query and its fragment.
fn for_log(effect: &seawall_model::Effect) -> seawall_model::Effect {
    let mut effect = effect.clone();
    if let seawall_model::Effect::Request { url: Some(url), .. } = &mut effect {
        let plain = url.split(['?', '#']).next().unwrap_or_default();
        *url = match plain.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = authority.rsplit('@').next().unwrap_or(authority);
                format!("{scheme}://{host}/{path}")
            }
            None => plain.rsplit('@').next().unwrap_or(plain).to_owned(),
        };
        *url = url.chars().take(256).collect();
    }
    effect
}

fn question(action: &Action, verdict: &seawall_model::Verdict, timeout_ms: u64) -> Ask {
    let tool = match &action.kind {
        ActionKind::ToolCall(call) => call.tool.as_str(),
        _ => "message",
    };
    Ask {
        title: format!("Seawall asks: {}", tool.chars().take(60).collect::<String>()),
        // What does not fit was not asked but queued.
        description: super::question::shown(action, verdict).unwrap_or_default(),
        timeout_ms,
    }
}

async fn read_frame(reader: &mut OwnedReadHalf) -> Result<Option<ToGuard>, String> {
    let mut head = [0u8; 4];
    match reader.read_exact(&mut head).await {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(e) => return Err(e.to_string()),
    }
    let len = frame::length(head).map_err(|e| e.to_string())?;
    // Grows with what arrives, so that a length alone reserves nothing.
    let mut body = Vec::with_capacity(len.min(64 * 1024));
    reader.take(len as u64).read_to_end(&mut body).await.map_err(|e| e.to_string())?;
    if body.len() != len {
        return Err("the connection ended inside a frame".into());
    }
    frame::decode(&body).map(Some).map_err(|e| e.to_string())
}

async fn send(answers: &mpsc::Sender<Vec<u8>>, frame: &ToPlugin) {
    match frame::encode(frame) {
        // A closed channel means that the plugin is gone; it blocks the call by itself.
        Ok(bytes) => drop(answers.send(bytes).await),
        Err(e) => tracing::error!(error = %e, "answer not sent"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::Effect;

    #[test]
    fn a_url_in_the_log_holds_no_secret() {
        for (url, logged) in [
            ("https://u:hunter2@a.test/x?api_key=hunter2#hunter2", "https://a.test/x"),
            ("https://a.test", "https://a.test/"),
            ("u:hunter2@a.test", "a.test"),
        ] {
            let effect = Effect::Request {
                host: "a.test".into(),
                port: None,
                url: Some(url.into()),
                sends: true,
            };
            let Effect::Request { url: Some(seen), .. } = for_log(&effect) else {
                panic!("no url")
            };
            assert_eq!(seen, logged);
        }
    }
}
