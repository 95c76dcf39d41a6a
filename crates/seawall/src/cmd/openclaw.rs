//! `seawall openclaw -- ARGS`.

use crate::up;
use std::process::ExitCode;

/// Run a command of OpenClaw's own command line on the deployment as its gateway sees it, such as
/// `seawall openclaw -- sandbox list`.
///
/// With the running snapshot and the plugin, in a jail with the gateway's files and nothing that
/// leads out of it: commands that ask the gateway go through the door instead. Nothing can be
/// typed; say `--force` or `--yes` where OpenClaw would ask. Exits with 1 when OpenClaw does not
/// exit with 0.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    choice: up::Choice,
    /// OpenClaw's arguments.
    #[arg(last = true, required = true, value_name = "ARGS")]
    args: Vec<String>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match up::prepare(&args.choice).and_then(|prepared| up::command(&prepared, &args.args)) {
        Ok(answer) => {
            for line in answer.stderr.lines().filter(|line| !line.trim().is_empty()) {
                super::note(&plain(line));
            }
            super::print(&plain(&answer.stdout));
            if answer.success { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(why) => super::fail(&why),
    }
}

/// Without what steers a terminal: names in it may be the agent's choice.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(super::plain("a\u{1b}]0;x\u{7}b\tc\r\n"), "a]0;xb\tc\n");
    }
}
