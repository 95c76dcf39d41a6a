//! `seawall completions SHELL`.

use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell to complete for.
    shell: clap_complete::Shell,
}

pub(crate) fn run<C: clap::CommandFactory>(args: &Args) -> ExitCode {
    let mut command = C::command();
    clap_complete::generate(args.shell, &mut command, "seawall", &mut std::io::stdout());
    ExitCode::SUCCESS
}
