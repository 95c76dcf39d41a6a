//! What an operator sets: the `[policy]` table.

use crate::paths::Places;
use serde::{Deserialize, Serialize};

/// Which of the shipped bundles is the base.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Base {
    /// The production baseline.
    #[default]
    Production,
    /// A deployment whose only user is its owner.
    Owner,
}

/// The `[policy]` table. Every key changes a verdict; an unknown key does not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Base bundle: `production` or `owner`.
    pub base: Base,
    /// Hosts that may be fetched unasked: names, or `*.name` for everything below.
    pub listed_hosts: Vec<String>,
    /// Hosts inside the deployment's own network that count as listed. Metadata services never do.
    pub private_hosts: Vec<String>,
    /// Senders that may use tools: `CHANNEL:ID`.
    pub listed_senders: Vec<String>,
    /// Recipients to whom messages may go unasked, as the tool names them.
    pub listed_recipients: Vec<String>,
    /// Addresses and names of the owner: a message to them leaves nothing behind.
    pub owner: Vec<String>,
    /// Hosts to which private data may go.
    pub private_sinks: Vec<String>,
    /// Tools that nobody may use.
    pub tools_deny: Vec<String>,
    /// When not empty: the only tools that may be used.
    pub tools_allow: Vec<String>,
    /// Folders outside the workspace that may be read (absolute).
    pub read_folders: Vec<String>,
    /// Folders outside the workspace that may be read and written (absolute).
    pub write_folders: Vec<String>,
    /// How long an answer is waited for, in seconds. At most 600, which is OpenClaw's own limit.
    pub ask_seconds: u64,
    /// How long an allowed call may wait before it starts, in seconds.
    pub permit_seconds: u64,
    /// Limits of a session.
    pub budget: Budget,
    /// Limits of an agent, over all its sessions.
    pub agent_budget: Budget,
    /// Limits of a sender, over all sessions in which they speak.
    pub sender_budget: Budget,
    /// Where things are; filled in by the daemon.
    pub places: Places,
    /// Exceptions for agents, channels, senders and sessions; the first that matches counts.
    #[serde(rename = "override")]
    pub overrides: Vec<Override>,
}

/// Limits in a sliding hour. OpenClaw has none of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    /// Tool calls.
    pub calls_per_hour: u32,
    /// Sessions started.
    pub spawns_per_hour: u32,
    /// Messages, posts and other acts that others see.
    pub sends_per_hour: u32,
    /// Bytes in such acts.
    pub outbound_bytes_per_hour: u64,
    /// Calls of a model; with more, no tool call is allowed.
    pub model_calls_per_hour: u32,
}

impl Budget {
    /// Each limit, `times` as high.
    fn times(self, times: u32) -> Self {
        Self {
            calls_per_hour: self.calls_per_hour.saturating_mul(times),
            spawns_per_hour: self.spawns_per_hour.saturating_mul(times),
            sends_per_hour: self.sends_per_hour.saturating_mul(times),
            outbound_bytes_per_hour: self.outbound_bytes_per_hour.saturating_mul(times.into()),
            model_calls_per_hour: self.model_calls_per_hour.saturating_mul(times),
        }
    }
}

/// How much more than one session an agent or a sender has by default: several that are busy at
/// once, or forty sub-agents that are not.
const SHARED: u32 = 4;

impl Default for Budget {
    fn default() -> Self {
        Self {
            calls_per_hour: 2000,
            spawns_per_hour: 40,
            sends_per_hour: 120,
            outbound_bytes_per_hour: 8 * 1024 * 1024,
            model_calls_per_hour: 2000,
        }
    }
}

/// Another treatment of some sessions. Every given selector must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Override {
    /// Agent id.
    pub agent: Option<String>,
    /// Channel of the requester.
    pub channel: Option<String>,
    /// `CHANNEL:ID` of the requester.
    pub sender: Option<String>,
    /// Session key; a trailing `*` matches any ending.
    pub session: Option<String>,
    /// Further tools that may not be used.
    pub tools_deny: Vec<String>,
    /// When not empty: the only tools that may be used.
    pub tools_allow: Vec<String>,
    /// Further hosts that may be fetched unasked.
    pub listed_hosts: Vec<String>,
    /// Treat the session as untrusted.
    pub untrusted: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            base: Base::Production,
            listed_hosts: Vec::new(),
            private_hosts: Vec::new(),
            listed_senders: Vec::new(),
            listed_recipients: Vec::new(),
            owner: Vec::new(),
            private_sinks: Vec::new(),
            tools_deny: Vec::new(),
            tools_allow: Vec::new(),
            read_folders: Vec::new(),
            write_folders: Vec::new(),
            ask_seconds: 120,
            permit_seconds: 60,
            budget: Budget::default(),
            agent_budget: Budget::default().times(SHARED),
            sender_budget: Budget::default().times(SHARED),
            places: Places::default(),
            overrides: Vec::new(),
        }
    }
}

impl Settings {
    /// What is wrong with the values, beyond their types: `key: message`.
    #[must_use]
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let mut fail = |key: &'static str, message: String| out.push((key, message));
        for (key, hosts) in [
            ("listed_hosts", &self.listed_hosts),
            ("private_hosts", &self.private_hosts),
            ("private_sinks", &self.private_sinks),
        ] {
            for host in hosts {
                let name = host.strip_prefix("*.").unwrap_or(host);
                if name.is_empty() || name.contains(['*', '/', ':', '@', ' ']) {
                    fail(key, format!("`{host}` is not a host name or `*.name`"));
                } else if host.starts_with("*.") && !name.contains('.') {
                    fail(key, format!("`{host}` covers a whole top-level domain"));
                } else if host.to_lowercase() != *host {
                    fail(key, format!("`{host}` must be lower case"));
                }
            }
        }
        for sender in &self.listed_senders {
            if sender.split_once(':').is_none_or(|(c, s)| c.is_empty() || s.is_empty() || s == "*")
            {
                fail("listed_senders", format!("`{sender}` is not CHANNEL:ID"));
            }
        }
        for folder in self.read_folders.iter().chain(&self.write_folders) {
            if !folder.starts_with('/') || folder == "/" || folder.contains("..") {
                fail(
                    "read_folders",
                    format!("`{folder}` is not an absolute folder below the root"),
                );
            }
        }
        if self.ask_seconds == 0 || self.ask_seconds > 600 {
            fail("ask_seconds", "must be between 1 and 600".to_owned());
        }
        if self.permit_seconds == 0 || self.permit_seconds > 3600 {
            fail("permit_seconds", "must be between 1 and 3600".to_owned());
        }
        for (i, over) in self.overrides.iter().enumerate() {
            if over.agent.is_none()
                && over.channel.is_none()
                && over.sender.is_none()
                && over.session.is_none()
            {
                fail("override", format!("override {} selects nothing", i + 1));
            }
        }
        out
    }
}
