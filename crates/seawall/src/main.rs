//! The `seawall` binary: one command line over the planes, the engine and the log.

mod cmd;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Turns an OpenClaw deployment into a production-grade one and keeps it so.
#[derive(Parser)]
#[command(name = "seawall", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print a completion script for a shell.
    Completions(cmd::completions::Args),
}

fn main() -> ExitCode {
    // The processes of a jail start from this program; they never get past this line.
    seawall_sandbox::early_main();
    match Cli::parse().command {
        Command::Completions(args) => cmd::completions::run::<Cli>(&args),
    }
}
