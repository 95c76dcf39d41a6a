//! What is written down, and the seam through which every plane writes it.

use serde::{Deserialize, Serialize};
use std::future::Future;
use std::pin::Pin;

/// The plane that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// The plugin inside the gateway.
    Hook,
    /// The decision engine.
    Engine,
    /// The reverse proxy in front of the gateway.
    Door,
    /// The forward proxy behind it.
    Egress,
    /// Namespaces, Landlock, seccomp.
    Kernel,
    /// The install policy.
    Install,
    /// Secrets.
    Secrets,
    /// The event log itself.
    Log,
    /// Start, stop, restart.
    Lifecycle,
}

impl Plane {
    /// The name used in output and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Plane::Hook => "hook",
            Plane::Engine => "engine",
            Plane::Door => "door",
            Plane::Egress => "egress",
            Plane::Kernel => "kernel",
            Plane::Install => "install",
            Plane::Secrets => "secrets",
            Plane::Log => "log",
            Plane::Lifecycle => "lifecycle",
        }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Ordinary activity.
    Info,
    /// Worth a look.
    Low,
    /// Should be looked at.
    Medium,
    /// An attack or a fault that was held.
    High,
    /// Protection was lost or an attack landed.
    Critical,
}

/// One entry of the log, before it has a place in it. Holds no secret: redact before making one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Unix time in milliseconds at which it happened.
    pub time_ms: u64,
    /// Who speaks.
    pub plane: Plane,
    /// What happened, dotted, from a fixed vocabulary: `decision`, `egress.refused`, `door.login`.
    pub kind: String,
    /// How much it matters.
    pub severity: Severity,
    /// `allow`, `ask`, `deny`, … where there was something to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Agent concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Session concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<String>,
    /// Call concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// One line for a person.
    pub summary: String,
    /// The particulars.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

impl Event {
    /// An informational event without particulars.
    pub fn new(
        time_ms: u64,
        plane: Plane,
        kind: impl Into<String>,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            time_ms,
            plane,
            kind: kind.into(),
            severity: Severity::Info,
            decision: None,
            agent_id: None,
            session_key: None,
            call_id: None,
            summary: summary.into(),
            detail: serde_json::Value::Null,
        }
    }

    /// Sets the severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Sets the decision.
    #[must_use]
    pub fn decision(mut self, decision: impl Into<String>) -> Self {
        self.decision = Some(decision.into());
        self
    }

    /// Sets the particulars.
    #[must_use]
    pub fn detail(mut self, detail: serde_json::Value) -> Self {
        self.detail = detail;
        self
    }
}

/// The log did not take an event. Whatever depended on it must not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the event log did not take an event: {0}")]
pub struct LogError(pub String);

/// What [`EventLog::append`] returns: the sequence number once the event is on disk.
pub type Appended<'a> = Pin<Box<dyn Future<Output = Result<u64, LogError>> + Send + 'a>>;

/// Where planes write events.
///
/// The future resolves when the event is on disk. Enforcement waits for it before it lets
/// anything through and treats an error as a refusal; a refusal itself may be recorded without
/// waiting.
pub trait EventLog: Send + Sync {
    /// Appends one event.
    fn append(&self, event: Event) -> Appended<'_>;
}
