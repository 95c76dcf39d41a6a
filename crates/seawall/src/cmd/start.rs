//! `seawall start TICKET`: inside the gateway's jail, asks the launcher outside to start what the
//! ticket stands for. Not for people.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Given by the guard for one start.
    #[arg(required_unless_present = "mcp")]
    ticket: Option<String>,
    /// Start the MCP server of this name from the operator's configuration instead.
    #[arg(long, value_name = "NAME", conflicts_with = "ticket")]
    mcp: Option<String>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let socket = Path::new(seawall_sandbox::launch::RUN_SOCKET);
    let ticket = match (&args.mcp, &args.ticket) {
        (Some(name), _) => seawall_sandbox::launch::mcp_ticket(name),
        (None, Some(ticket)) => ticket.clone(),
        (None, None) => String::new(),
    };
    match seawall_sandbox::launch::start(socket, &ticket) {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(reason) => {
            let _closed = writeln!(std::io::stderr(), "seawall: not started: {reason}");
            ExitCode::from(125)
        }
    }
}
