//! `seawall fsworker`: the file worker of a session, started by the launcher inside its sandbox.

use std::io::BufReader;
use std::process::ExitCode;

/// Serves on standard input and output until the input ends.
#[expect(clippy::print_stderr, reason = "the launcher shows what a worker says when it fails")]
pub(crate) fn run() -> ExitCode {
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = std::io::stdout().lock();
    match crate::fsworker::serve(&mut input, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seawall fsworker: {error}");
            ExitCode::from(3)
        }
    }
}
