//! The answer to an action.

use crate::effect::Effect;
use serde::{Deserialize, Serialize};

/// What the guard says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The call may run as it is.
    Allow,
    /// The call may run with other arguments.
    Rewrite,
    /// A person decides.
    Ask,
    /// The call does not run.
    Deny,
}

/// Why, in words that a person understands, with the way to change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable id of the rule that spoke, for example `memory.write.outside-influence`.
    pub rule: String,
    /// One sentence: what happened and why it matters. Never holds a secret.
    pub text: String,
    /// The command or setting that would change the answer; empty when nothing may.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Reason {
    /// A reason without remedy.
    pub fn new(rule: impl Into<String>, text: impl Into<String>) -> Self {
        Self { rule: rule.into(), text: text.into(), remedy: String::new() }
    }

    /// Adds the command or setting that would change the answer.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

/// Proof that a call was allowed: binds the answer to the very call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Permit {
    /// The call.
    pub call_id: String,
    /// SHA-256 over tool name and canonical arguments, in hex.
    pub digest: String,
    /// Version of the policy bundle that allowed it.
    pub bundle: String,
    /// Unix time in milliseconds after which the permit is void.
    pub expires_ms: u64,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What the guard says.
    pub decision: Decision,
    /// Why; at least one entry unless the decision is a plain allow.
    pub reasons: Vec<Reason>,
    /// What the action would cause.
    pub effects: Vec<Effect>,
    /// The new arguments, for [`Decision::Rewrite`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<serde_json::Value>,
    /// Present on allow and rewrite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Permit>,
}

impl Verdict {
    /// A refusal with one reason and no known effects: what every failure becomes.
    #[must_use]
    pub fn deny(reason: Reason) -> Self {
        Self {
            decision: Decision::Deny,
            reasons: vec![reason],
            effects: Vec::new(),
            params: None,
            permit: None,
        }
    }

    /// The reasons as one line for the model and the log.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut out = String::new();
        for reason in &self.reasons {
            if !out.is_empty() {
                out.push_str("; ");
            }
            out.push_str(&reason.text);
            if !reason.remedy.is_empty() {
                out.push_str(" (to change this: ");
                out.push_str(&reason.remedy);
                out.push(')');
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_order_from_lenient_to_strict() {
        assert!(Decision::Allow < Decision::Ask && Decision::Ask < Decision::Deny);
    }

    #[test]
    fn an_explanation_names_the_remedy() {
        let verdict = Verdict::deny(Reason::new("r", "no").remedy("seawall policy explain"));
        assert_eq!(verdict.explain(), "no (to change this: seawall policy explain)");
    }
}
