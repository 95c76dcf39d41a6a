//! Project tasks: `cargo xtask setup|demo|test|bench|crash-storm|…`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool for developers: its output is its purpose"
)]

mod bench;
mod check;
mod client;
mod hijack;
mod paths;
mod sandbox;
mod setup;
mod tour;
mod world;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Seawall's project tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

// One line per task; the arguments and the work are in the module of the same name.
#[derive(Subcommand)]
enum Task {
    /// Install what the other tasks need: Debian packages, Node and OpenClaw.
    Setup(setup::Args),
    /// Run the tour: a model that obeys an attacker, and ordinary work beside it.
    Demo(tour::Args),
    /// Set up what is missing and run every check and test.
    Test(check::Args),
    /// Kill the daemon, the gateway and runs at random moments while calls run.
    CrashStorm(tour::storm::Args),
    /// Run recorded traces of hijacked models through the decision engine.
    Hijack(hijack::Args),
    /// Have OpenClaw's own tools work through the sandbox backend.
    Sandbox(sandbox::Args),
    /// Measure what Seawall costs.
    Bench(bench::Args),
    /// The tour's first process in its own namespaces.
    #[command(hide = true)]
    InsideTour(tour::Inner),
    /// The storm's first process in its own namespaces.
    #[command(hide = true)]
    InsideStorm(tour::storm::Inner),
    /// The sandbox task's first process in its own namespaces.
    #[command(hide = true)]
    InsideSandbox(sandbox::Inner),
    /// The benchmark's first process in its own namespaces.
    #[command(hide = true)]
    InsideBench(bench::Inner),
}

fn main() -> ExitCode {
    match Cli::parse().task {
        Task::Setup(args) => setup::run(&args),
        Task::Demo(args) => tour::demo(&args),
        Task::Test(args) => check::run(&args),
        Task::CrashStorm(args) => tour::storm::storm(&args),
        Task::InsideStorm(args) => tour::storm::inside(&args),
        Task::Hijack(args) => hijack::run(&args),
        Task::Sandbox(args) => sandbox::sandbox(&args),
        Task::InsideSandbox(args) => sandbox::inside(&args),
        Task::Bench(args) => bench::bench(&args),
        Task::InsideBench(args) => bench::inside(&args),
        Task::InsideTour(args) => tour::inside(&args),
    }
}
