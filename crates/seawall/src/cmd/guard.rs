//! `seawall guard`: the guard's own process. Started by `seawall up`, not by people.

use crate::daemon;
use crate::home::Home;
use crate::settings::Settings;
use seawall_sandbox::Own;
use seawall_sandbox::spec::{Access, Mount};
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

/// What the guard reads besides Seawall's folder: the libraries by which the C library looks names
/// up, and the roots of TLS. Nothing of `/etc` that says more about the host.
const READS: [&str; 12] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/ssl/certs",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
];

/// Where a host gives no view of its own: all of `/etc`, because a network manager puts a new
/// `resolv.conf` in the place of the old one, and where the managers keep it.
const READS_WITHOUT_VIEW: [&str; 8] = [
    "/etc",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
];

/// Files with roots of TLS that the settings name. The settings are the operator's.
fn roots(home: &Home) -> Result<Vec<PathBuf>, String> {
    let settings = Settings::load(&home.settings())?;
    let named = |part: &str| Some(settings.egress.get(part)?.get("roots")?.as_str()?.to_owned());
    Ok(["interception", "dns"].into_iter().filter_map(named).map(PathBuf::from).collect())
}

/// All that the guard sees.
fn view(home: &Home, roots: &[PathBuf]) -> Result<Vec<Mount>, String> {
    let bind = |path: &Path, access| {
        let path = path
            .to_str()
            .ok_or_else(|| format!("`{}` is not valid UTF-8", path.display()))?
            .to_owned();
        let to = path.clone();
        Ok::<_, String>(Mount::Bind {
            from: path,
            to,
            access,
            exec: false,
            own: false,
            optional: false,
        })
    };
    let mut mounts: Vec<Mount> =
        READS.iter().map(|path| Mount::System { path: (*path).into() }).collect();
    mounts.push(bind(home.dir(), Access::Ro)?);
    mounts.push(bind(&home.guard(), Access::Rw)?);
    mounts.push(bind(&home.trust(), Access::Rw)?);
    for path in roots {
        // One that is not there is told by what reads it, with the line that names it.
        let Ok(found) = path.canonicalize() else { continue };
        let seen = READS.iter().any(|read| path.starts_with(read)) || path.starts_with(home.dir());
        if let (false, Mount::Bind { from, access, exec, own, optional, .. }) =
            (seen, bind(&found, Access::Ro)?)
        {
            let to = path.display().to_string();
            mounts.push(Mount::Bind { from, to, access, exec, own, optional });
        }
    }
    for name in crate::up::resolver::FILES {
        let target = home.resolver().join(name).display().to_string();
        mounts.push(Mount::Symlink { to: format!("/etc/{name}"), target });
    }
    Ok(mounts)
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
    // Door, verdicts and the proxy share them.
    super::egress::raise_descriptor_limit();
    let home = match args.home.canonicalize() {
        Ok(home) => Home::at(home),
        Err(e) => return super::fail(&format!("cannot use `{}`: {e}", args.home.display())),
    };
    let roots = match roots(&home) {
        Ok(roots) => roots,
        Err(e) => return super::fail(&e),
    };
    let view = match view(&home, &roots) {
        Ok(view) => view,
        Err(e) => return super::fail(&e),
    };
    let (own, trust) = (home.guard(), home.trust());
    let mut read: Vec<&Path> = READS_WITHOUT_VIEW.iter().map(Path::new).collect();
    read.push(home.dir());
    read.extend(roots.iter().map(PathBuf::as_path));
    let keep = Own { write: &[&own, &trust], view: &view, read: &read };
    // Everything that others wrote is read after this. There is one thread yet.
    let missing = match seawall_sandbox::restrict(&keep) {
        Ok(missing) => missing,
        Err(e) => return super::fail(&format!("the guard cannot confine itself: {e}")),
    };
    for what in &missing {
        tracing::warn!("the guard's own confinement lacks {what}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Two are enough to decide on one while the other moves bytes.
        .worker_threads(2)
        .thread_stack_size(1024 * 1024)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(daemon::run(home, control, missing)),
        Err(e) => Err(format!("cannot start: {e}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => super::fail(&why),
    }
}
