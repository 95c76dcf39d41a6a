//! One file per subcommand: its arguments and a `run` that returns an exit code.
//!
//! Exit codes, unless a subcommand says otherwise: 0 done, 1 the answer is "no" (a finding, a
//! failed verification), 2 the command line is wrong, 3 it could not be done.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod channels;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod devices;
pub(crate) mod door;
pub(crate) mod egress;
pub(crate) mod events;
pub(crate) mod fsworker;
pub(crate) mod guard;
pub(crate) mod harden;
pub(crate) mod openclaw;
pub(crate) mod policy;
pub(crate) mod sandbox;
pub(crate) mod skill;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod token;
pub(crate) mod up;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Says why something could not be done, and returns the exit code for that.
pub(crate) fn fail(why: &str) -> ExitCode {
    let mut err = std::io::stderr().lock();
    let _ = if err.is_terminal() {
        writeln!(err, "\x1b[31merror:\x1b[0m {why}")
    } else {
        writeln!(err, "error: {why}")
    };
    ExitCode::from(3)
}

/// Says something beside the answer, on standard error.
pub(crate) fn note(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "note: {what}");
}

/// Prints to standard output. A closed pipe (`| head`) ends the program quietly.
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        #[expect(clippy::exit, reason = "nobody reads any more; there is nothing to clean up")]
        std::process::exit(0);
    }
}
