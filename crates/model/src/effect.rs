//! What an action would cause, in terms that do not depend on the tool that causes it.

use serde::{Deserialize, Serialize};

/// One typed consequence of an action.
///
/// A tool call becomes a list of these. An effect that cannot be known before it happens is
/// [`Effect::Opaque`]; it is never left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Reads the content of a file, or of everything below a folder.
    Read {
        /// Absolute, lexically normalised path.
        path: String,
    },
    /// Creates or changes a file.
    Write {
        /// Absolute, lexically normalised path.
        path: String,
    },
    /// Removes a file or folder.
    Delete {
        /// Absolute, lexically normalised path.
        path: String,
    },
    /// Lists names or metadata without content.
    List {
        /// Absolute, lexically normalised path.
        path: String,
    },
    /// Runs a program.
    Run {
        /// Program name or path as the text gave it.
        program: String,
    },
    /// Talks to a network destination.
    Request {
        /// Host name or address literal, lower case; empty when it is not known statically.
        host: String,
        /// Port; absent when not known statically.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
        /// The URL where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
        /// Whether the request can carry data of the session out (a body, a query, any method
        /// but GET and HEAD).
        sends: bool,
    },
    /// Accepts network connections.
    Listen {
        /// Port; absent when not known statically.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<u16>,
    },
    /// Sends something to a person or a channel.
    Send {
        /// Channel or service.
        channel: String,
        /// Recipients as named in the call; empty when the call names none.
        recipients: Vec<String>,
    },
    /// Writes what later sessions will read as their own memory or identity (MEMORY.md, SOUL.md,
    /// AGENTS.md, memory folders, stored facts).
    MemoryWrite {
        /// Path or memory id.
        target: String,
    },
    /// Changes configuration or policy of the deployment.
    ConfigChange {
        /// What is changed.
        target: String,
    },
    /// Installs or plants code that is loaded later (skill, plugin, package, hook).
    Install {
        /// What is installed.
        target: String,
    },
    /// Arranges that something runs later or repeatedly.
    Schedule {
        /// What is scheduled.
        target: String,
    },
    /// Starts, steers or reads another session or agent.
    Session {
        /// Operation: `spawn`, `send`, `read`, `stop`.
        op: String,
        /// Target session or agent; empty for a new one.
        target: String,
    },
    /// Drives a browser, a computer or a paired device.
    Drive {
        /// What is driven: `browser`, `computer`, `node`, `canvas`.
        what: String,
    },
    /// Moves money or buys something.
    Pay {
        /// Payee or account; empty when unknown.
        to: String,
    },
    /// Program text or tool whose consequences cannot be known statically. Only a kernel sandbox
    /// can hold it.
    Opaque {
        /// Why it is not known.
        why: String,
    },
}
