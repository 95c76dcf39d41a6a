//! One file per subcommand: its arguments and a `run` that returns an exit code.
//!
//! Exit codes, unless a subcommand says otherwise: 0 done, 1 the answer is "no" (a finding, a
//! failed verification), 2 the command line is wrong, 3 it could not be done.

pub(crate) mod completions;
