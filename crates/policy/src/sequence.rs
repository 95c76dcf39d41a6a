//! Rules over sequences.

use serde::{Deserialize, Serialize};

/// Where each rule stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {}
