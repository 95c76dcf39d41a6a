//! The `seawall` binary: one command line over the planes, the engine and the log.

mod asked;
mod channel;
mod clock;
mod cmd;
mod collect;
mod daemon;
mod deploy;
mod fsworker;
mod harden;
mod home;
#[cfg(test)]
mod named;
mod render;
mod rotation;
mod settings;
mod store;
mod up;

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
    Up(cmd::up::Args),
    Status(cmd::status::Args),
    Events(cmd::events::Args),
    Config(cmd::config::Args),
    Openclaw(cmd::openclaw::Args),
    Token(cmd::token::Args),
    Door(cmd::door::Args),
    /// The forward proxy alone, and questions to its policy.
    Egress(cmd::egress::Args),
    /// Run a command confined, see what it would be granted, or test this host.
    Sandbox(cmd::sandbox::Args),
    #[command(hide = true)]
    Guard(cmd::guard::Args),
    #[command(hide = true)]
    Start(cmd::start::Args),
    /// Print a completion script for a shell.
    Completions(cmd::completions::Args),
    /// File operations of a session, on standard input and output, inside its sandbox.
    #[command(hide = true)]
    Fsworker,
    /// Look at skills, decide about them, keep to the decision.
    Skill(cmd::skill::Args),
    Audit(cmd::audit::Args),
    /// Check, test, explain, compare, suggest and replay policies.
    Policy(cmd::policy::Args),
    Approvals(cmd::approvals::Args),
    Harden(cmd::harden::Args),
    Devices(cmd::devices::Args),
    Channels(cmd::channels::Args),
}

fn main() -> ExitCode {
    // The processes of a jail start from this program; they never get past this line.
    seawall_sandbox::early_main();
    // A run starts in less time than the whole command line takes to put together, which is left
    // to answer what is not a run.
    if let Some(args) = cmd::sandbox::alone(std::env::args_os()) {
        return cmd::sandbox::run(&args);
    }
    match Cli::parse().command {
        Command::Up(args) => cmd::up::run(&args),
        Command::Status(args) => cmd::status::run(&args),
        Command::Events(args) => cmd::events::run(&args),
        Command::Config(args) => cmd::config::run(&args),
        Command::Openclaw(args) => cmd::openclaw::run(&args),
        Command::Token(args) => cmd::token::run(&args),
        Command::Door(args) => cmd::door::run(&args),
        Command::Egress(args) => cmd::egress::run(&args),
        Command::Sandbox(args) => cmd::sandbox::run(&args),
        Command::Guard(args) => cmd::guard::run(args),
        Command::Start(args) => cmd::start::run(&args),
        Command::Completions(args) => cmd::completions::run::<Cli>(&args),
        Command::Fsworker => cmd::fsworker::run(),
        Command::Skill(args) => cmd::skill::run(&args),
        Command::Audit(args) => cmd::audit::run(&args),
        Command::Policy(args) => cmd::policy::run(&args),
        Command::Approvals(args) => cmd::approvals::run(&args),
        Command::Harden(args) => cmd::harden::run(&args),
        Command::Devices(args) => cmd::devices::run(&args),
        Command::Channels(args) => cmd::channels::run(&args),
    }
}
