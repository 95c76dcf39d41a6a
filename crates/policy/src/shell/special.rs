//! Programs whose arguments a table cannot describe.

use super::state::State;
use super::table::Spec;
use super::value::Val;
use super::walk::{Io, Out, Walk};
use super::{archive, curl, dev, files, filter, net, own, remote, wrappers};
use seawall_model::Effect;

/// What follows the arguments of a program.
pub(super) type Special = fn(&mut Walk<'_>, &mut State, &Call<'_>) -> Out;

/// A call of a program.
pub(super) struct Call<'c> {
    pub name: &'c str,
    pub spec: &'c Spec,
    pub args: &'c [Val],
    pub io: &'c Io,
}

const SPECIALS: &[(&str, Special)] = &[
    ("env", wrappers::env),
    ("sudo", wrappers::sudo),
    ("su", wrappers::su),
    ("wrap", wrappers::wrap),
    ("wrap_any", wrappers::wrap_any),
    ("xargs", wrappers::xargs),
    ("parallel", wrappers::parallel),
    ("find", wrappers::find),
    ("busybox", wrappers::busybox),
    ("watch", wrappers::watch),
    ("ssh", wrappers::ssh),
    ("container", wrappers::container),
    ("shell", wrappers::shell),
    ("interpreter", wrappers::interpreter),
    ("curl", curl::curl),
    ("wget", net::wget),
    ("http", net::http),
    ("netcat", net::netcat),
    ("socat", net::socat),
    ("dns", net::dns),
    ("openssl", net::openssl),
    ("remote_copy", remote::remote_copy),
    ("rsync", remote::rsync),
    ("mail", net::mail),
    ("remote_any", remote::remote_any),
    ("server", net::server),
    ("cat", files::cat),
    ("count", files::count),
    ("basename", files::basename),
    ("dirname", files::dirname),
    ("copy", files::copy),
    ("move", files::rename),
    ("install_file", files::install_file),
    ("link", files::link),
    ("chmod", files::chmod),
    ("dd", files::dd),
    ("mktemp", files::mktemp),
    ("split", files::split),
    ("tar", archive::tar),
    ("compress", archive::compress),
    ("extract", archive::extract),
    ("grep", filter::grep),
    ("sed", filter::sed),
    ("awk", filter::awk),
    ("jq", filter::jq),
    ("pager", filter::pager),
    ("editor", filter::editor),
    ("calc", filter::calc),
    ("date", files::date),
    ("name_only", files::name_only),
    ("env_all", files::env_all),
    ("sqlite", filter::sqlite),
    ("git", dev::git),
    ("npm", dev::npm),
    ("package", dev::package),
    ("project", dev::project),
    ("compiler", dev::compiler),
    ("openclaw", own::openclaw),
    ("seawall", own::seawall),
    ("crontab", own::crontab),
];

/// Whether a table may name this function.
#[cfg(test)]
pub(super) fn exists(name: &str) -> bool {
    SPECIALS.iter().any(|(n, _)| *n == name)
}

pub(super) fn run(
    walk: &mut Walk<'_>,
    special: &str,
    st: &mut State,
    name: &str,
    spec: &Spec,
    args: &[Val],
    io: &Io,
) -> Out {
    let Some((_, run)) = SPECIALS.iter().find(|(n, _)| *n == special) else {
        walk.opaque(&format!("`{name}` is not followed"));
        return Out::default();
    };
    run(walk, st, &Call { name, spec, args, io })
}

/// Files below the home folder, or anywhere, that something runs or obeys later.
const PLANTED: &[(&str, &str)] = &[
    ("/.bashrc", "shell start-up"),
    ("/.bash_profile", "shell start-up"),
    ("/.bash_login", "shell start-up"),
    ("/.bash_logout", "shell end"),
    ("/.profile", "shell start-up"),
    ("/.zshrc", "shell start-up"),
    ("/.zshenv", "shell start-up"),
    ("/.zprofile", "shell start-up"),
    ("/.inputrc", "line editing"),
    ("/.ssh/authorized_keys", "remote log-in"),
    ("/.ssh/config", "remote log-in"),
    ("/.ssh/rc", "remote log-in"),
    ("/.gitconfig", "git settings"),
    ("/.config/git/", "git settings"),
    ("/.git/hooks/", "git hook"),
    ("/.git/config", "git settings"),
    ("/.npmrc", "package settings"),
    ("/.yarnrc", "package settings"),
    ("/.pip/pip.conf", "package settings"),
    ("/.config/pip/", "package settings"),
    ("/.cargo/config", "build settings"),
    ("/.cargo/bin/", "program folder"),
    ("/.local/bin/", "program folder"),
    ("/.config/autostart/", "session start-up"),
    ("/.config/systemd/", "service"),
    ("/.config/environment.d/", "environment"),
    ("/.vimrc", "editor start-up"),
    ("/.vim/", "editor start-up"),
    ("/.config/nvim/", "editor start-up"),
    ("/.emacs", "editor start-up"),
    ("/.curlrc", "curl settings"),
    ("/.wgetrc", "wget settings"),
    ("/.tmux.conf", "terminal start-up"),
    ("/.pythonrc", "python start-up"),
    ("/site-packages/", "python start-up"),
    ("/Library/LaunchAgents/", "service"),
    ("/.openclaw/", "agent state"),
];

/// System folders with the same property.
const SYSTEM: &[(&str, &str)] = &[
    ("/etc/cron", "schedule"),
    ("/var/spool/cron", "schedule"),
    ("/var/spool/at", "schedule"),
    ("/etc/systemd/", "service"),
    ("/usr/lib/systemd/", "service"),
    ("/lib/systemd/", "service"),
    ("/etc/init.d/", "service"),
    ("/etc/rc", "service"),
    ("/etc/profile", "shell start-up"),
    ("/etc/bash", "shell start-up"),
    ("/etc/environment", "environment"),
    ("/etc/ld.so", "loader"),
    ("/etc/sudoers", "privileges"),
    ("/etc/pam.d/", "log-in"),
    ("/etc/ssh/", "remote log-in"),
    ("/etc/passwd", "accounts"),
    ("/etc/shadow", "accounts"),
    ("/etc/hosts", "name resolution"),
    ("/etc/resolv.conf", "name resolution"),
    ("/etc/apt/", "package settings"),
    ("/bin/", "program folder"),
    ("/sbin/", "program folder"),
    ("/usr/bin/", "program folder"),
    ("/usr/sbin/", "program folder"),
    ("/usr/local/bin/", "program folder"),
    ("/usr/local/sbin/", "program folder"),
    ("/Library/LaunchDaemons/", "service"),
];

/// Adds what a write to this path means beyond the write. The agent's own memory and identity
/// files are not among it: the caller knows them for all tools, not only for the shell.
pub(super) fn written(walk: &mut Walk<'_>, path: &str) {
    // The workspace counts by what it holds, not by the folder that it lies in: its usual place is
    // inside the agent's state.
    let inside = path
        .strip_prefix(walk.cx.workspace)
        .filter(|rest| !walk.cx.workspace.is_empty() && rest.starts_with('/'));
    let seen = inside.unwrap_or(path);
    let below = format!("{seen}/");
    let planted = PLANTED.iter().find(|(part, _)| {
        if part.ends_with('/') { below.contains(part) } else { seen.contains(part) }
    });
    let system = SYSTEM
        .iter()
        .find(|(part, _)| inside.is_none() && (below.starts_with(part) || path.starts_with(part)));
    if let Some((_, what)) = system.or(planted) {
        let target = format!("{what}: {path}");
        if *what == "schedule" {
            walk.effect(Effect::Schedule { target });
        } else {
            walk.effect(Effect::Install { target });
        }
    }
}
