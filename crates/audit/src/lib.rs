//! Checks of a deployment: facts in, findings out; and the edits that repair what was found.
//!
//! Pure: nothing here reads a file, a socket or the clock. The binary collects [`Facts`], this crate
//! judges them. Each check is one file under `checks/`; `docs/audit.md` says how to add one.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod checklist;
mod checks;
pub mod facts;
pub mod finding;
pub mod harden;
mod openclaw;
pub mod packet;
mod references;
pub mod registry;
pub mod report;
pub mod rotation;

pub use facts::{Fact, Facts};
pub use finding::{Disposition, Finding, Fix, Status, Step};
pub use openclaw::credentials;
pub use references::reference;
pub use registry::{Audience, Check, audit, check, checks};
pub use report::Report;
