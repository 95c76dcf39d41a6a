//! Watches a command in a permissive run and proposes what a run of it has to be granted.
//!
//! The command runs as it would anyway, with everything that its user may do, and every process
//! that it starts is traced. What is proposed is an opinion for a person to read: a program that
//! knows that it is watched can do other things than it does later.

mod calls;
mod propose;
mod trace;

pub use propose::{Proposal, Refused, Workspace, propose};

use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Most different paths (and addresses) of a kind that are kept: more says nothing that a
/// person would read, and what more there are is counted.
pub const MAX_PATHS: usize = 20_000;

/// Why a command could not be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// It could not be started.
    #[error("it could not be started: {0}")]
    Start(String),
    /// It could not be traced.
    #[error(
        "it could not be watched: {0} (the host may forbid ptrace: see kernel.yama.ptrace_scope, \
         or a container's seccomp profile)"
    )]
    Trace(String),
}

/// What a command and all that it started did. Paths are absolute, as the command named them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Observed {
    /// Exit code as a shell shows it.
    pub exit: i32,
    /// How long it took, watched.
    pub seconds: f64,
    /// Whether it was killed because it took too long.
    pub timed_out: bool,
    /// Processes that it left running. They were ended, as in a run.
    pub left_running: usize,
    /// Files that were opened to read.
    pub read: BTreeSet<String>,
    /// Folders that were opened.
    pub listed: BTreeSet<String>,
    /// What was there and was changed in place.
    pub altered: BTreeSet<String>,
    /// What was not there and was made.
    pub created: BTreeSet<String>,
    /// What was there and was removed, renamed or replaced.
    pub removed: BTreeSet<String>,
    /// What was asked about (`stat` and the like) and is there.
    pub looked: BTreeSet<String>,
    /// Programs and scripts that were run.
    pub ran: BTreeSet<String>,
    /// Internet addresses that it tried to reach.
    pub destinations: BTreeSet<String>,
    /// Internet addresses on which it wanted to be reached.
    pub listened: BTreeSet<String>,
    /// Unix sockets that it used.
    pub unix: BTreeSet<String>,
    /// Arguments of the programs that were run, as far as they are kept.
    pub arguments: BTreeSet<String>,
    /// What it did that could not be followed.
    pub blind: BTreeSet<String>,
    /// Paths and addresses beyond the limit, which are not in the lists.
    pub lost: u64,
}

/// Runs a command with this process's environment, folder and streams, and watches it.
///
/// It has to be called from a thread that has no other children: those would be waited for as
/// well.
///
/// # Errors
/// When it cannot be started or traced.
pub fn watch(
    program: &str,
    argv: &[String],
    wall: Option<Duration>,
) -> Result<Observed, LearnError> {
    trace::watch(program, argv, wall)
}
