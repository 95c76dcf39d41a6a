//! What the supervisor and the guard say to each other. Descriptors travel beside the messages in
//! the order given here.

use seawall_model::frame::RunRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// From the supervisor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum ToGuard {
    /// The sockets that outlive a guard: the plugin's listener, the door's listener.
    Sockets,
    /// A gateway was started: the egress listener, the socket factory, then one listener for each
    /// forward.
    Gateway(GatewayUp),
    /// It is gone.
    GatewayGone {
        /// Which.
        boot: u64,
        /// How it ended.
        how: String,
    },
    /// A starter shows a ticket.
    Redeem {
        /// Echoed.
        id: u64,
        /// The ticket, or the name of an MCP server.
        claim: Claim,
    },
    /// A run with network was started: its egress listener.
    RunStarted {
        /// From the order.
        run: String,
        /// From the order.
        session_key: String,
        /// The hosts that it may reach at most, when it uses an approved skill.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        only: Option<BTreeSet<String>>,
    },
    /// A run that was followed has changed files.
    RunChanged {
        /// From the order.
        session_key: String,
        /// The workspace, as the configuration names it.
        workspace: String,
        /// What.
        changed: Changed,
    },
    /// A run ended.
    RunEnded {
        /// From the order.
        run: String,
        /// Exit code, or 128 plus the signal.
        code: i32,
        /// A limit that it met, or why it could not be started.
        note: Option<String>,
    },
    /// The command line asks.
    Ask {
        /// Echoed.
        id: u64,
        /// What.
        question: Value,
    },
    /// Write down what happened in the supervisor.
    Note(seawall_model::Event),
    /// Finish what is under way and end.
    Stop,
}

/// A running gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GatewayUp {
    /// Counts the gateway's starts under this supervisor.
    pub(crate) boot: u64,
    /// Its process, as this host numbers it.
    pub(crate) pid: u32,
    /// The user under which it runs on this host.
    pub(crate) uid: u32,
    /// Its port inside.
    pub(crate) port: u16,
    /// Ports of the forwards, in the order of their listeners.
    pub(crate) forwards: Vec<u16>,
}

/// By what a starter claims a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Claim {
    /// A ticket that the plugin was given.
    Ticket(String),
    /// A configured MCP server.
    Mcp(String),
}

/// From the guard.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum FromGuard {
    /// The log is open, the policy is valid, the sockets are served.
    Ready,
    /// The plugin of this gateway reports: every plane is up.
    Alive {
        /// Which.
        boot: u64,
    },
    /// The gateway must not go on.
    StopGateway {
        /// Which.
        boot: u64,
        /// Why.
        reason: String,
    },
    /// Answer to [`ToGuard::Redeem`].
    Redeemed {
        /// Echoed.
        id: u64,
        /// What to start, or why not.
        order: Result<Box<RunOrder>, String>,
    },
    /// Answer to [`ToGuard::Ask`].
    Answer {
        /// Echoed.
        id: u64,
        /// What was asked for.
        value: Value,
    },
}

/// A run that was granted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunOrder {
    /// Random; names the run in the log.
    pub(crate) run: String,
    /// In whose session.
    pub(crate) session_key: String,
    /// What.
    pub(crate) what: RunWhat,
    /// Whether it gets an egress listener.
    pub(crate) network: bool,
    /// What the verdict on its call granted. None: no single call stands behind it.
    pub(crate) granted: Option<Granted>,
}

/// What a run changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Changed {
    /// Files, and folders with all that is in them, below the workspace.
    pub(crate) paths: Vec<String>,
    /// Whether there is more than could be told: anything may have changed.
    pub(crate) more: bool,
}

/// What the verdict on a call lets its run do with files. The kernel refuses the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Granted {
    /// The call.
    pub(crate) call_id: String,
    /// The workspace that the effects were told against, as the configuration names it.
    pub(crate) workspace: String,
    /// Whether something is written, or may be for all that is known.
    pub(crate) write: bool,
    /// Paths below the workspace that the verdict names as changed.
    pub(crate) changes: BTreeSet<String>,
    /// Whether that is all: nothing in the call is unknown before it runs. Then nothing but
    /// `changes` and `beyond` can be written.
    #[serde(default)]
    pub(crate) exact: bool,
    /// Paths in `folders` that the verdict names as changed.
    #[serde(default)]
    pub(crate) beyond: BTreeSet<String>,
    /// Of `changes` and `beyond` those that are removed.
    #[serde(default)]
    pub(crate) removes: BTreeSet<String>,
    /// Whether anything is requested from the network, or may be for all that is known.
    #[serde(default)]
    pub(crate) network: bool,
    /// Whether what it changes is looked for when it has ended.
    #[serde(default)]
    pub(crate) follow: bool,
    /// Folders beyond it that the operator opened (`policy.read_folders`, `policy.write_folders`)
    /// and the verdict names something in, and whether it is written.
    pub(crate) folders: BTreeMap<String, bool>,
}

/// What a run runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunWhat {
    /// As the gateway's sandbox seam described it.
    Tool(RunRequest),
    /// A configured MCP server.
    Mcp {
        /// Its name.
        name: String,
        /// Its configuration.
        server: crate::render::McpServer,
    },
}
