//! `seawall guard`: the guard's own process. Started by `seawall up`, not by people.

use crate::daemon;
use crate::home::Home;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run the guard. `seawall up` starts this with a channel on standard input.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Seawall's folder for the deployment.
    #[arg(long)]
    home: PathBuf,
}

/// What the guard reads besides its own folder: what the resolver of the C library asks for. All of
/// `/etc`, because a network manager puts a new `resolv.conf` in the place of the old one.
const READS: [&str; 9] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share/zoneinfo",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

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
    let home = match args.home.canonicalize() {
        Ok(home) => home,
        Err(e) => return super::fail(&format!("cannot use `{}`: {e}", args.home.display())),
    };
    // Everything that others wrote is read after this. There is one thread yet.
    match seawall_sandbox::restrict(&[&home], &READS.map(Path::new)) {
        Ok(missing) => {
            for what in missing {
                tracing::warn!("the guard's own confinement lacks {what}");
            }
        }
        Err(e) => return super::fail(&format!("the guard cannot confine itself: {e}")),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Two are enough to decide on one while the other moves bytes.
        .worker_threads(2)
        .thread_stack_size(1024 * 1024)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(daemon::run(Home::at(home), control)),
        Err(e) => Err(format!("cannot start: {e}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}
