//! `seawall up`.

use crate::up;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Start OpenClaw's gateway, confined and guarded, and keep it running.
///
/// Finds the deployment as `openclaw` does (OPENCLAW_CONFIG_PATH, OPENCLAW_STATE_DIR, --profile,
/// ~/.openclaw), renders a configuration from yours without editing it, and serves the gateway's
/// usual port. Ctrl-C or SIGTERM stops everything in order.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: up::Choice,
    /// Check everything that can be checked without starting anything, and stop.
    #[arg(long)]
    check: bool,
    /// Start with a configuration that was replaced while the gateway ran, though it gives the
    /// agent more than it had. `up` asks for this by itself.
    #[arg(long)]
    widen: bool,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    let say = |line: &str| {
        let mut err = std::io::stderr().lock();
        let _ = if err.is_terminal() {
            writeln!(err, "\x1b[2mseawall:\x1b[0m {line}")
        } else {
            writeln!(err, "seawall: {line}")
        };
    };
    let outcome = up::prepare(&args.choice).and_then(|prepared| {
        up::confirm(&prepared, args.widen)?;
        if args.check {
            up::check_thoroughly(&prepared)?;
            say("everything that can be checked without starting is in order");
            return Ok(());
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("cannot start: {e}"))?;
        runtime.block_on(up::run(prepared, &say))
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}
