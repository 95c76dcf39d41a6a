//! `seawall start TICKET`: inside the gateway's jail, asks the launcher outside to start what the
//! ticket stands for. Not for people.

use super::skill::relay;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Given by the guard for one start, or `mcp:NAME` for an MCP server of the configuration.
    ticket: String,
    /// Hold the tools of an MCP server to this lockfile.
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Folder for the lists of tools that were seen.
    #[arg(long, value_name = "FOLDER", requires = "lock")]
    seen: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let socket = Path::new(seawall_sandbox::launch::RUN_SOCKET);
    let result = match (&args.lock, args.ticket.strip_prefix("mcp:")) {
        (Some(lock), Some(server)) => {
            let places = relay::Places {
                server: server.to_owned(),
                lock: lock.clone(),
                seen: args.seen.clone(),
            };
            held(socket, &args.ticket, places)
        }
        _ => seawall_sandbox::launch::start(socket, &args.ticket),
    };
    match result {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)),
        Err(reason) => {
            let _closed = writeln!(std::io::stderr(), "seawall: not started: {reason}");
            ExitCode::from(125)
        }
    }
}

/// Starts an MCP server whose messages go through the relay.
fn held(socket: &Path, ticket: &str, places: relay::Places) -> Result<i32, String> {
    let (reader, writer) = std::io::pipe().map_err(|e| e.to_string())?;
    let copying = std::thread::spawn(move || {
        if let Err(error) = relay::run(&places, reader, std::io::stdout().lock()) {
            let _closed = writeln!(
                std::io::stderr(),
                "seawall: MCP server `{}` is cut off: {error}",
                places.server
            );
        }
    });
    let code = seawall_sandbox::launch::start_with_output(socket, ticket, writer.as_fd());
    // Ours is the last end of the pipe once the server is gone.
    drop(writer);
    let _over = copying.join();
    code
}
