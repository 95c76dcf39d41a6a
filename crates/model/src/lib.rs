//! Seawall's shared vocabulary: what an agent wants to do, what that would cause, how the guard
//! answered, and what was written down about it.
//!
//! This crate is pure: it has no file, network, process, clock or runtime. Everything here is a
//! value that one plane hands to another.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod action;
pub mod effect;
pub mod event;
pub mod finding;
pub mod frame;
pub mod label;
pub mod protection;
pub mod verdict;

pub use action::{Action, ActionKind, Origin, Requester, ToolCall};
pub use effect::Effect;
pub use event::{Event, EventLog, LogError, Plane, Severity};
pub use finding::Finding;
pub use label::Label;
pub use protection::{PlaneStatus, Protection};
pub use verdict::{Decision, Permit, Reason, Verdict};
