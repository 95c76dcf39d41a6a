//! `seawall start TICKET`: inside the gateway's jail, asks the launcher outside to start what the
//! ticket stands for. Not for people.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Given by the guard for one start.
    ticket: String,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let socket = Path::new(seawall_sandbox::launch::RUN_SOCKET);
    match seawall_sandbox::launch::start(socket, &args.ticket) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(reason) => {
            let _closed = writeln!(std::io::stderr(), "seawall: not started: {reason}");
            ExitCode::from(125)
        }
    }
}
