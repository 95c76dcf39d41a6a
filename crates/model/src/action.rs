//! What somebody wants to do: the input of a decision.

use serde::{Deserialize, Serialize};

/// Who stands behind an action, as far as the reporting plane knows.
///
/// Every field comes from a plane and not from the model's words. An absent [`Requester`] means
/// that nobody vouches for the action; it is then treated as untrusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// OpenClaw's agent id, for example `main`.
    #[serde(default)]
    pub agent_id: String,
    /// OpenClaw's session key, for example `agent:main:cron:JOB:run:UUID`. Its shape encodes how
    /// the session came to be.
    #[serde(default)]
    pub session_key: String,
    /// Id of the conversation behind the key; changes when the session is reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// Id of one model run within the session. Absent on calls that did not come from a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// The person or client in whose name the run was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requester: Option<Requester>,
    /// The agent's workspace folder (absolute), against which relative paths are resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
}

/// The sender of the message that started a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requester {
    /// Messaging channel, for example `telegram` or `webchat`; absent for the local CLI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Channel account that received the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_id: Option<String>,
    /// The channel's stable id of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_id: Option<String>,
    /// Whether OpenClaw holds the sender to be the owner. Absent means no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_is_owner: Option<bool>,
}

/// One thing to be decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// Identifies the call across planes and in the log. Chosen by the reporting plane.
    pub call_id: String,
    /// In whose name.
    pub origin: Origin,
    /// What.
    pub kind: ActionKind,
}

/// The kinds of action that the planes report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ActionKind {
    /// A tool call of the model, or of a client through the gateway's tool API.
    ToolCall(ToolCall),
    /// A message on its way out of the gateway without a tool call (a reply to a chat).
    MessageOut {
        /// Messaging channel.
        channel: String,
        /// Recipient as the channel names it.
        to: String,
        /// Text of the message.
        text: String,
    },
    /// A skill or plugin about to be installed.
    Install {
        /// `skill` or `plugin`.
        what: String,
        /// Name of what is installed.
        name: String,
        /// Folder or archive that holds it.
        source: String,
    },
}

/// A tool call as the gateway reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolCall {
    /// Canonical tool name, for example `exec` or `lab__poke`.
    pub tool: String,
    /// Arguments as the model wrote them.
    #[serde(default)]
    pub params: serde_json::Value,
    /// Paths that the gateway derived from the arguments (patches).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub derived_paths: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_requester_stays_without() {
        let origin: Origin = serde_json::from_str(r#"{"agentId":"main"}"#).unwrap();
        assert_eq!(origin.requester, None);
        assert_eq!(
            serde_json::to_string(&origin).unwrap(),
            r#"{"agentId":"main","sessionKey":""}"#
        );
    }
}
