//! What an audit or a scan found.

use serde::{Deserialize, Serialize};

/// How bad a finding is. Ordered from least to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// For information.
    Info,
    /// Hardening that is missing.
    Low,
    /// A weakness.
    Medium,
    /// Exploitable in a likely situation.
    High,
    /// Exploitable now.
    Critical,
}

/// How sure a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Inferred.
    Low,
    /// Read from a file.
    Medium,
    /// Observed on the live system.
    High,
}

/// One finding, in the form in which people and tools read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable id of the check or rule.
    pub id: String,
    /// How bad.
    pub severity: Level,
    /// How sure.
    pub confidence: Confidence,
    /// One line.
    pub title: String,
    /// What was seen, without secrets.
    pub evidence: String,
    /// Where: a path, `path:line`, a config key, a socket.
    pub location: String,
    /// What to do about it.
    pub fix: String,
}
