//! `cargo xtask hijack`: the harness `seawall-hijack`, built when it is asked for, because the
//! engine below it takes minutes to build and no other task needs it.

use crate::{paths, setup};
use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// Run recorded traces of hijacked models through the decision engine.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Arguments of the harness; `--help` shows them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match harness(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hijack: {error}");
            ExitCode::from(3)
        }
    }
}

fn harness(args: &Args) -> Result<ExitCode, String> {
    // The selection of packages that the tests use: another one would build the engine once more.
    setup::step(
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet", "--locked", "--workspace", "--bin", "seawall-hijack"])
            .env("CARGO_TARGET_DIR", paths::target())
            .current_dir(paths::checkout()),
    )?;
    // In the caller's folder: the traces may be named relative to it.
    let status = Command::new(paths::target().join("debug/seawall-hijack"))
        .args(&args.arguments)
        .status()
        .map_err(|e| format!("seawall-hijack: {e}"))?;
    Ok(ExitCode::from(status.code().and_then(|c| u8::try_from(c).ok()).unwrap_or(3)))
}
