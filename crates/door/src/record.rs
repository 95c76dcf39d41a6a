//! The door's events: made here, so that no secret and no unbounded string of a client gets in.

use crate::judge::printable;
use crate::token::Principal;
use seawall_model::{Event, EventLog, LogError, Plane, Severity};
use serde_json::json;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// Refusals that wait for the log. More than these are counted and dropped: a refusal happens
/// whether or not it is written down, and an attacker sizes their number.
const QUEUE: usize = 1_024;

/// The log has to answer in this time where enforcement waits for it.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) struct Recorder {
    log: Arc<dyn EventLog>,
    queue: mpsc::Sender<Event>,
    waiting: Mutex<Option<mpsc::Receiver<Event>>>,
    lost: AtomicU64,
}

impl Recorder {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        Self { log, queue, waiting: Mutex::new(Some(waiting)), lost: AtomicU64::new(0) }
    }

    /// Writes an event that something depends on.
    pub(crate) async fn first(&self, event: Event) -> Result<(), LogError> {
        match tokio::time::timeout(APPEND_TIMEOUT, self.log.append(event)).await {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(LogError("it did not answer in five seconds".into())),
        }
    }

    /// Writes an event that nothing depends on.
    pub(crate) fn note(&self, event: Event) {
        if self.queue.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that were dropped.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Empties the queue for as long as it is polled. A second caller waits for ever.
    pub(crate) async fn run(&self) {
        let taken = match self.waiting.lock() {
            Ok(mut waiting) => waiting.take(),
            Err(_) => None,
        };
        let Some(mut waiting) = taken else { return std::future::pending().await };
        let mut told = 0;
        while let Some(event) = waiting.recv().await {
            if self.first(event).await.is_err() {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            let lost = self.lost();
            if lost > told && waiting.is_empty() {
                let event = Event::new(
                    now_ms(),
                    Plane::Door,
                    "door.lost",
                    format!("{} events of the door were not written down", lost - told),
                )
                .severity(Severity::Medium);
                if self.first(event).await.is_ok() {
                    told = lost;
                }
            }
        }
    }
}

fn event(kind: &str, severity: Severity, decision: &str, summary: String) -> Event {
    Event::new(now_ms(), Plane::Door, kind, summary).severity(severity).decision(decision)
}

pub(crate) fn login(who: &Principal, source: IpAddr, client: &str, surface: &str) -> Event {
    event(
        "door.login",
        Severity::Info,
        "allow",
        format!("`{}` ({}) came in from {source} by {surface}", who.name, who.role.as_str()),
    )
    .detail(json!({
        "token": who.name, "role": who.role, "scopes": who.scopes,
        "source": source.to_string(), "client": printable(client), "surface": surface,
    }))
}

pub(crate) fn login_refused(
    source: IpAddr,
    surface: &str,
    why: &str,
    count: u32,
    wait_ms: u64,
) -> Event {
    let severity = if wait_ms > 0 { Severity::High } else { Severity::Medium };
    event("door.login", severity, "deny", format!("somebody from {source} was not let in by {surface}: {why}"))
        .detail(json!({ "source": source.to_string(), "surface": surface, "why": why, "wrong": count, "waitMs": wait_ms }))
}

pub(crate) fn left(who: &Principal, source: IpAddr, why: &str) -> Event {
    event("door.logout", Severity::Info, "end", format!("`{}` from {source} left: {why}", who.name))
        .detail(json!({ "token": who.name, "source": source.to_string() }))
}

pub(crate) fn called(
    who: &Principal,
    source: IpAddr,
    what: &str,
    class: &str,
    grant: Option<&str>,
) -> Event {
    let severity = if grant.is_some() { Severity::Medium } else { Severity::Info };
    event("door.call", severity, "allow", format!("`{}` called `{}`", who.name, printable(what)))
        .detail(json!({ "token": who.name, "source": source.to_string(), "method": printable(what), "class": class, "grant": grant }))
}

pub(crate) fn refused(who: Option<&Principal>, source: IpAddr, what: &str, why: &str) -> Event {
    let name = who.map_or("somebody without a token", |w| w.name.as_str());
    event(
        "door.refused",
        if who.is_some() { Severity::Medium } else { Severity::Low },
        "deny",
        format!("`{}` was refused to `{name}` from {source}", printable(what)),
    )
    .detail(json!({
        "token": who.map(|w| &w.name), "source": source.to_string(),
        "what": printable(what), "why": why.chars().take(600).collect::<String>(),
    }))
}

pub(crate) fn crowded(count: u64) -> Event {
    event(
        "door.crowded",
        Severity::Medium,
        "deny",
        format!("{count} connection(s) were closed: there was no place for them"),
    )
    .detail(json!({ "count": count }))
}

pub(crate) fn granted(grant: &crate::grant::Grant, by: &str) -> Event {
    event(
        "door.grant",
        Severity::Medium,
        "allow",
        format!(
            "`{}` may call `{}` until {} (said {})",
            grant.token,
            grant.method,
            grant.until_ms,
            printable(by)
        ),
    )
    .detail(json!({ "grant": grant, "by": printable(by) }))
}
