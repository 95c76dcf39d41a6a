//! `seawall guard`: the guard's own process. Started by `seawall up`, not by people.

use crate::daemon;
use crate::home::Home;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run the guard. `seawall up` starts this with a channel on standard input.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seawall's folder for the deployment.
    #[arg(long)]
    home: PathBuf,
}

pub(crate) fn run(args: Args) -> ExitCode {
    // Dies with the supervisor, whatever happens to that: a guard without one serves nobody.
    let bound =
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let private =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    if bound.is_err() || private.is_err() {
        return super::fail("the kernel does not let the guard bind itself to its supervisor");
    }
    let control = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(fd)
            if rustix::net::sockopt::socket_type(&fd) == Ok(rustix::net::SocketType::SEQPACKET) =>
        {
            fd
        }
        _ => return super::fail("`seawall guard` is started by `seawall up`"),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Two are enough to decide on one while the other moves bytes.
        .worker_threads(2)
        .thread_stack_size(1024 * 1024)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(daemon::run(Home::at(args.home), control)),
        Err(e) => Err(format!("cannot start: {e}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}
