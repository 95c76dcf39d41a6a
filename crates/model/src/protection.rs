//! Protection achieved, as opposed to protection asked for.

use crate::event::Plane;
use serde::{Deserialize, Serialize};

/// How much of a plane holds on this host, from what was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Nothing holds.
    None,
    /// Some of it holds; the reasons say what does not.
    Partial,
    /// All of it was tried and held.
    Full,
}

/// One line of `seawall status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaneStatus {
    /// Which plane.
    pub plane: Plane,
    /// How much of it holds.
    pub protection: Protection,
    /// What was tried and seen, one fact each; what is missing comes first.
    pub evidence: Vec<String>,
}
