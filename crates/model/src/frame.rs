//! Frames between the plugin in the gateway and the guard.
//!
//! On the wire a frame is a 4-byte big-endian length and that many bytes of UTF-8 JSON. The
//! plugin speaks first ([`ToGuard::Hello`]); a guard that does not answer with
//! [`ToPlugin::Welcome`] is not there.

use crate::action::{Origin, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of this protocol. A guard refuses a plugin of another version: both come from one
/// binary, so a difference means that one of them was replaced.
pub const PROTOCOL: u32 = 1;

/// Longest frame in bytes. A `write` of a few MiB is ordinary; what is longer is refused before
/// it is read.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// From the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ToGuard {
    /// First frame of a connection.
    Hello {
        /// [`PROTOCOL`] of the plugin.
        protocol: u32,
        /// Random id, made once per gateway process. It is a name, not a proof: the guard knows
        /// the gateway by the peer credentials of the connection.
        boot_id: String,
        /// Version of OpenClaw.
        #[serde(default)]
        openclaw_version: String,
    },
    /// The plugin is loaded and its hooks are registered; sent at the interval that the guard
    /// asked for.
    Heartbeat {
        /// Counts up from 0.
        seq: u64,
        /// Frames that the plugin could not deliver since it started (observations only).
        #[serde(default)]
        lost: u64,
    },
    /// May this tool call run? Answered by [`ToPlugin::Verdict`].
    Decide {
        /// Chosen by the plugin; echoed.
        id: u64,
        /// The gateway's id of the call.
        call_id: String,
        /// In whose name.
        origin: Origin,
        /// What.
        call: ToolCall,
        /// Whether a person can be asked in this turn.
        #[serde(default)]
        can_ask: bool,
    },
    /// A tool result on its way to the model. Answered by [`ToPlugin::ResultVerdict`].
    Result {
        /// Chosen by the plugin; echoed.
        id: u64,
        /// The gateway's id of the call.
        call_id: String,
        /// In whose name.
        origin: Origin,
        /// Tool that made it.
        tool: String,
        /// Arguments with which the tool ran.
        #[serde(default)]
        params: Value,
        /// The result: text parts joined.
        text: String,
        /// Whether the tool reported an error.
        #[serde(default)]
        is_error: bool,
    },
    /// A process is about to be started for an allowed call. Answered by [`ToPlugin::Ticket`].
    Prepare {
        /// Chosen by the plugin; echoed.
        id: u64,
        /// In whose name; only the session key is known here.
        origin: Origin,
        /// What is about to run.
        run: RunRequest,
    },
    /// A person answered a question that a verdict asked for. Not answered; sent before anything
    /// that follows from it, and never dropped: when it cannot be sent, the call is decided anew.
    Answered {
        /// The gateway's id of the call.
        call_id: String,
        /// Whether the call may run, this once.
        allowed: bool,
        /// OpenClaw's word for it: `allow-once`, `deny`, `timeout`, `cancelled`.
        #[serde(default)]
        resolution: String,
    },
    /// Something that happened. Not answered.
    Observe {
        /// Name of the gateway's hook: `message_received`, `session_start`, `subagent_spawned`, …
        hook: String,
        /// In whose name.
        origin: Origin,
        /// The hook's payload, without functions and bounded by the plugin.
        #[serde(default)]
        data: Value,
    },
}

/// To the plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum ToPlugin {
    /// Answer to a good hello.
    Welcome {
        /// [`PROTOCOL`] of the guard.
        protocol: u32,
        /// How long the plugin waits for an answer before it blocks the call, in milliseconds.
        deadline_ms: u64,
        /// How often the guard wants a heartbeat, in milliseconds.
        heartbeat_ms: u64,
    },
    /// Answer to [`ToGuard::Decide`].
    Verdict {
        /// Echoed.
        id: u64,
        /// `allow`, `rewrite`, `ask` or `deny`.
        decision: crate::verdict::Decision,
        /// Why, for the model and the user; empty on a plain allow.
        #[serde(default)]
        reason: String,
        /// New arguments, on `rewrite`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        params: Option<Value>,
        /// What a person is asked, on `ask`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask: Option<Ask>,
    },
    /// Answer to [`ToGuard::Result`].
    ResultVerdict {
        /// Echoed.
        id: u64,
        /// The text that the model sees instead; absent to leave the result as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replace: Option<String>,
    },
    /// Answer to [`ToGuard::Prepare`]: what the launcher will start when it is shown the ticket.
    /// A refusal is a [`ToPlugin::Error`] with the id.
    Ticket {
        /// Echoed.
        id: u64,
        /// Random, good for one start, short-lived.
        ticket: String,
    },
    /// The guard could not handle a frame. With an id: the call of that id is refused.
    Error {
        /// Of the frame, when it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// What was wrong.
        message: String,
    },
}

/// A run as the gateway's sandbox seam describes it. Everything here is a wish of an untrusted
/// process: the guard compares it with what it decided and with the operator's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRequest {
    /// What it is for.
    pub purpose: RunPurpose,
    /// Shell text, run as `/bin/sh -c TEXT`.
    pub command: String,
    /// Arguments behind the text (`$1`, …).
    #[serde(default)]
    pub args: Vec<String>,
    /// Working directory as seen inside, for example `/workspace`.
    #[serde(default)]
    pub workdir: String,
    /// Environment of the command, inside only.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// Folder of the session on the host.
    pub workspace_dir: String,
    /// The agent's own workspace on the host; the same as `workspace_dir` when access is `rw`.
    pub agent_workspace_dir: String,
    /// OpenClaw's `workspaceAccess`: `none`, `ro` or `rw`.
    pub workspace_access: String,
    /// Read-only mounts that OpenClaw asks for (skills): host path, path inside.
    #[serde(default)]
    pub read_only_mounts: Vec<(String, String)>,
    /// OpenClaw's `sandbox.docker` settings as they stand: network, user, readOnlyRoot, memory,
    /// cpus, pidsLimit, …
    #[serde(default)]
    pub settings: Value,
}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunPurpose {
    /// A command of the model, decided before.
    Exec,
    /// A script of OpenClaw's own file bridge.
    Files,
    /// The file worker of a session: `seawall fsworker` inside the sandbox, for as long as the
    /// gateway keeps its connection. It has no command of its own.
    FileWorker,
}

/// A question to a person, in the gateway's own approval flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ask {
    /// One line.
    pub title: String,
    /// What would happen and why it is asked.
    pub description: String,
    /// How long a person has, in milliseconds; no answer is a deny.
    pub timeout_ms: u64,
}

/// A frame that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than [`MAX_FRAME`].
    #[error("frame of {0} bytes is longer than the limit of {MAX_FRAME}")]
    TooLong(usize),
    /// Not the JSON of a known frame.
    #[error("not a frame: {0}")]
    Malformed(String),
}

/// Encodes a frame with its length.
///
/// # Errors
/// When the frame would be longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(frame: &T) -> Result<Vec<u8>, FrameError> {
    let mut out = vec![0u8; 4];
    serde_json::to_writer(&mut out, frame).map_err(|e| FrameError::Malformed(e.to_string()))?;
    let len = out.len().saturating_sub(4);
    let head =
        u32::try_from(len).ok().filter(|_| len <= MAX_FRAME).ok_or(FrameError::TooLong(len))?;
    if let Some(slot) = out.get_mut(..4) {
        slot.copy_from_slice(&head.to_be_bytes());
    }
    Ok(out)
}

/// Reads the length in front of a frame.
///
/// # Errors
/// When it is above [`MAX_FRAME`].
pub fn length(head: [u8; 4]) -> Result<usize, FrameError> {
    let len = u32::from_be_bytes(head) as usize;
    if len > MAX_FRAME { Err(FrameError::TooLong(len)) } else { Ok(len) }
}

/// Decodes the body of a frame.
///
/// # Errors
/// When it is not the JSON of a known frame.
pub fn decode<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body).map_err(|e| FrameError::Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_wire() {
        let frame = ToGuard::Heartbeat { seq: 7, lost: 0 };
        let bytes = encode(&frame).unwrap();
        let head: [u8; 4] = bytes[..4].try_into().unwrap();
        assert_eq!(length(head).unwrap(), bytes.len() - 4);
        assert_eq!(decode::<ToGuard>(&bytes[4..]).unwrap(), frame);
    }

    /// The plugin is tested against the same file.
    #[test]
    fn every_example_is_a_frame_and_nothing_of_it_is_lost() {
        let all: Value =
            serde_json::from_str(include_str!("../../../testdata/frames.json")).unwrap();
        let examples = |key: &str| all[key].as_array().unwrap().clone();
        for example in examples("toGuard") {
            let frame: ToGuard = serde_json::from_value(example.clone()).unwrap();
            assert_eq!(serde_json::to_value(frame).unwrap(), example);
        }
        for example in examples("toPlugin") {
            let frame: ToPlugin = serde_json::from_value(example.clone()).unwrap();
            assert_eq!(serde_json::to_value(frame).unwrap(), example);
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused() {
        assert!(length(u32::MAX.to_be_bytes()).is_err());
    }

    #[test]
    fn a_decision_must_be_one_of_the_four() {
        let yes = br#"{"type":"verdict","id":1,"decision":"yes"}"#;
        assert!(decode::<ToPlugin>(yes).is_err());
    }
}
