//! `seawall harden host`: pieces for the host, generated, checked with the real tool, applied only on
//! request, and undone by themselves unless somebody who still gets in says that all is well.

use super::Args;
use super::place::{Place, place};
use crate::clock::now_ms;
use crate::harden::files::{self, State};
use crate::harden::host;
use crate::harden::journal::{Run, Step};
use crate::harden::target::Target;
use crate::harden::tools::{self, About, Checked};
use crate::harden::trial::{self, Tried, Visit};
use crate::harden::{Base, run};
use crate::home::Home;
use seawall_audit::harden::host::{Parameters, Part, Piece, USER, parts};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Minutes are enough to open a second connection, and not too long to be locked out.
const MAX_CONFIRM: u64 = 3600;

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Name {
    /// Drop-in for sshd: keys only.
    Sshd,
    /// Table for nftables: deny what is not asked for.
    Nftables,
    /// Rules for ufw.
    Ufw,
    /// Drop-in for the gateway's systemd unit.
    Systemd,
    /// Server for nginx, with client certificates.
    Nginx,
    /// Site for Caddy, with client certificates.
    Caddy,
    /// Override for Docker Compose.
    Compose,
    /// The host's end of a WireGuard tunnel in which only the gateway's port is reached.
    Wireguard,
    /// Policy of a Tailscale network, and the commands that go with it; only printed.
    Tailscale,
    /// A user that only runs the gateway.
    User,
    /// Rotation of the gateway's logs.
    Logrotate,
    /// A weekly timer that fails when a credential is due for rotation.
    Reminder,
}

#[derive(clap::Args)]
pub(super) struct Options {
    /// Which piece.
    piece: Name,
    /// A port of sshd that stays or is added; may be repeated. The present ones always stay.
    #[arg(long, value_name = "PORT")]
    ssh_port: Vec<u16>,
    /// Only these users may log in; may be repeated.
    #[arg(long, value_name = "USER")]
    allow_user: Vec<String>,
    /// Another port that is open to everybody; may be repeated.
    #[arg(long, value_name = "PORT")]
    open_port: Vec<u16>,
    /// The gateway's user id: it gets no metadata service.
    #[arg(long, value_name = "UID")]
    gateway_uid: Option<u32>,
    /// User that runs the gateway [default for `user` and `logrotate`: openclaw].
    #[arg(long)]
    pub(super) user: Option<String>,
    /// The gateway's systemd unit.
    #[arg(long, default_value = "openclaw-gateway.service")]
    pub(super) unit: String,
    /// Host name of the reverse proxy.
    #[arg(long, default_value = "openclaw.example.org")]
    name: String,
    /// Its certificate.
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/seawall/server.pem")]
    certificate: PathBuf,
    /// Its key.
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/seawall/server.key")]
    key: PathBuf,
    /// Authority that signs the clients' certificates.
    #[arg(long, value_name = "FILE", default_value = "/etc/ssl/seawall/clients.pem")]
    clients: PathBuf,
    /// Service in the compose file.
    #[arg(long, default_value = "openclaw-gateway")]
    service: String,
    /// The compose file that the override is for: it is checked together with it, and put beside it.
    #[arg(long, value_name = "FILE")]
    pub(super) compose_file: Option<PathBuf>,
    /// The tunnel's interface.
    #[arg(long, default_value = "seawall0")]
    interface: String,
    /// The tunnel's UDP port.
    #[arg(long, value_name = "PORT", default_value_t = 51820)]
    wireguard_port: u16,
    /// Public key of a device that may use the tunnel; may be repeated.
    #[arg(long, value_name = "KEY")]
    peer: Vec<String>,
    /// Who may reach the gateway over Tailscale (a login, `group:NAME`); may be repeated.
    #[arg(long, value_name = "WHO")]
    person: Vec<String>,
    /// Home of the gateway's own user.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/openclaw")]
    pub(super) user_home: PathBuf,
    /// A log of the gateway, `*` allowed; may be repeated [default: `logging.file`, else
    /// OpenClaw's own].
    #[arg(long, value_name = "PATH")]
    log: Vec<String>,
    /// Put it in place and activate it.
    #[arg(long)]
    apply: bool,
    /// Apply an sshd drop-in although a login under it could not be tried here.
    #[arg(long)]
    untried: bool,
    /// Seconds in which `seawall harden confirm` has to come for sshd, nftables and ufw.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    confirm_within: u64,
    /// Folder that stands for `/`.
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub(super) root: PathBuf,
    /// Command that activates the piece, in place of systemctl; split at spaces.
    #[arg(long, value_name = "COMMAND")]
    pub(super) activate: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(super) fn piece(
    args: &Args,
    target: &Target,
    home: &Home,
    options: &Options,
) -> Result<ExitCode, String> {
    let kind = kind(options.piece);
    let session = host::session();
    let parameters = parameters(target, home, options, session.as_deref())?;
    let parts = parts(kind, &parameters).map_err(|e| e.to_string())?;
    let about = About {
        root: &options.root,
        unit: &options.unit,
        compose: options.compose_file.as_deref(),
        service: &options.service,
    };
    let checked = tools::check(kind, &parts, &about)?;
    if !options.apply {
        return Ok(print(args, &parts, &checked));
    }
    let place = place(kind, options, &parts)?;
    match &checked {
        Checked::Good(_) => {}
        Checked::Bad(why) => return Err(format!("nothing was changed: {why}")),
        Checked::NoTool(tool) => {
            return Err(format!("nothing was changed: cannot be checked without `{tool}`"));
        }
    }
    if kind == Piece::Sshd {
        host::key_login(&options.root, &parameters)?;
        try_login(&parts, &parameters, options, session.as_deref())?;
    }
    if !(30..=MAX_CONFIRM).contains(&options.confirm_within) && options.root == Path::new("/") {
        return Err(format!("--confirm-within is between 30 and {MAX_CONFIRM} seconds"));
    }
    if !options.yes {
        super::super::print(&shown(&parts));
        let files: Vec<String> =
            place.files.iter().map(|file| file.path.display().to_string()).collect();
        if !super::agreed(&format!("Write {}?", files.join(", ")))? {
            return Err("nothing was changed".into());
        }
    }
    put(args, target, home, options, place, session)
}

/// Nobody's way in is closed on a guess: a login under the new configuration is tried first.
fn try_login(
    parts: &[Part],
    parameters: &Parameters,
    options: &Options,
    session: Option<&str>,
) -> Result<(), String> {
    let dir = tempfile::Builder::new()
        .prefix("seawall-sshd-")
        .tempdir()
        .map_err(|e| format!("nothing was changed: {e}"))?;
    let text = parts.first().map(|part| part.text.as_str()).unwrap_or_default();
    let config = tools::sshd(dir.path(), text, &options.root)?;
    let here = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let port = parameters.ssh_ports.first().copied().unwrap_or(22);
    let (client, server, port) = session.and_then(host::endpoint).unwrap_or((here, here, port));
    let login = host::login_user();
    let user = match (session, &login) {
        (Some(_), Some(user)) => user.as_str(),
        _ => parameters.allow_users.first().or(login.as_ref()).map_or("root", String::as_str),
    };
    let visit = Visit { user, client, server, port };
    match trial::login(&config, &visit, host::agent().as_deref()) {
        Tried::In(what) => {
            super::super::note(&format!("tried under the new configuration: {what}"))
        }
        Tried::Out(why) => return Err(format!("nothing was changed: {why}")),
        Tried::Untried(why) if options.untried => {
            super::super::note(&format!("a login was NOT tried: {why}"));
        }
        Tried::Untried(why) => {
            return Err(format!(
                "nothing was changed: a login under it could not be tried: {why} (--untried does it all the same; it is undone unless confirmed)"
            ));
        }
    }
    Ok(())
}

fn put(
    args: &Args,
    target: &Target,
    home: &Home,
    options: &Options,
    place: Place,
    session: Option<String>,
) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    super::tell(&told);
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut blobs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    // Undone in the opposite order: the files first, then what makes the old ones work again.
    let mut steps: Vec<Step> = place
        .restored
        .iter()
        .map(|undo| Step::Command { run: vec![], undo: undo.clone() })
        .collect();
    let mut made: Vec<PathBuf> = Vec::new();
    for file in &place.files {
        let missing: Vec<&Path> =
            file.path.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
        for dir in missing
            .into_iter()
            .rev()
            .filter(|dir| !made.iter().any(|m| m == dir))
            .collect::<Vec<_>>()
        {
            made.push(dir.to_owned());
            let after = State::Dir { mode: 0o755, uid, gid };
            steps.push(Step::Path { path: dir.to_owned(), before: State::Absent, after });
        }
        let (before, old) = files::observe(&file.path, true).map_err(|e| e.to_string())?;
        // A file that is there keeps its owner and mode.
        let (mode, uid, gid) = match before {
            State::File { mode, uid, gid, .. } => (mode, uid, gid),
            _ => (file.mode, uid, gid),
        };
        let hash = files::hash(&file.bytes);
        let after = State::File { hash: Some(hash.clone()), mode, uid, gid };
        blobs.extend(old.map(|bytes| (files::hash(&bytes), bytes)));
        blobs.insert(hash, file.bytes.clone());
        if before != after {
            steps.push(Step::Path { path: file.path.clone(), before, after });
        }
    }
    steps.extend(
        place
            .commands
            .iter()
            .map(|(run, undo)| Step::Command { run: run.clone(), undo: undo.clone() }),
    );
    let run = Run {
        at_ms: now_ms(),
        title: format!("host {:?}", options.piece).to_lowercase(),
        config: target.deployment.config_path.clone(),
        state_dir: target.deployment.state_dir.clone(),
        session,
        steps,
    };
    let by = place.confirm.then(|| now_ms() + options.confirm_within * 1000);
    // Who undoes it when nobody can get in any more is there before anything is done: this process
    // may die in the middle of it.
    if let Some(by) = by {
        watcher(base.dir(), by).map_err(|why| format!("nothing was changed: {why}"))?;
    }
    let check = || match options.piece {
        Name::Sshd => tools::sshd_in_force(&options.root).map(|_| ()),
        _ => Ok(()),
    };
    let journal = run::apply(base.dir(), run, &blobs, by, &check).map_err(|e| e.to_string())?;
    if let Name::Sshd = options.piece {
        for who in tools::sshd_in_force(&options.root).unwrap_or_default() {
            super::super::note(&format!("passwords are still taken from {who}"));
        }
    }
    let id = journal.id();
    if args.json {
        let paths: Vec<&PathBuf> = place.files.iter().map(|file| &file.path).collect();
        super::super::print(&format!(
            "{}\n",
            json!({ "run": id, "paths": paths, "confirmBy": by })
        ));
    } else if by.is_some() {
        super::super::print(&format!(
            "In force for {} seconds (run {id}). Open a SECOND connection now; from there:\n  seawall harden confirm {id}\nWithout it, everything goes back to what it was.\n",
            options.confirm_within
        ));
    } else {
        super::super::print(&format!("done (run {id}). Undo with: seawall harden rollback {id}\n"));
    }
    if let (Some(next), false) = (&place.next, args.json) {
        super::super::print(&format!("Next: {next}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts a process of its own that undoes what is not confirmed.
fn watcher(base: &Path, by: u64) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    Command::new(program)
        .args(["harden", "watch", "--until", &by.to_string(), "--base"])
        .arg(base)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(|_| ())
        .map_err(|e| format!("cannot start what would undo it: {e}"))
}

/// Waits until it is time, then ends what nobody confirmed.
pub(super) fn watch(base: &Path, until: u64) -> Result<ExitCode, String> {
    // A terminal that goes away must not take this along.
    let _ = rustix::process::setsid();
    while now_ms() <= until {
        std::thread::sleep(std::time::Duration::from_millis(
            (until - now_ms().min(until)).clamp(50, 5000),
        ));
    }
    // Somebody else may hold the lock: the run itself, when its tools are slower than the time that it
    // was given. What it commits then is late, and nobody else would undo it: an hour is waited.
    for _ in 0..18_000 {
        if Base::at(base).is_ok() {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    Err("the journals are held by another process".into())
}

/// The files of a piece, each under its name when there are several.
fn shown(parts: &[Part]) -> String {
    let [part] = parts else {
        return parts
            .iter()
            .map(|part| {
                let name = part.path.as_ref().map_or("elsewhere".into(), |path| format!("/{path}"));
                format!("#### {name}\n{}\n", part.text)
            })
            .collect();
    };
    part.text.clone()
}

fn print(args: &Args, parts: &[Part], checked: &Checked) -> ExitCode {
    let text = shown(parts);
    let (good, said) = match checked {
        Checked::Good(tool) => (true, format!("checked with {tool}")),
        Checked::Bad(why) => (false, why.clone()),
        Checked::NoTool(tool) => (true, format!("NOT checked: `{tool}` is not installed here")),
    };
    if args.json {
        super::super::print(&format!("{}\n", json!({ "text": text, "good": good, "check": said })));
    } else {
        super::super::print(&text);
        super::super::note(&said);
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn kind(name: Name) -> Piece {
    match name {
        Name::Sshd => Piece::Sshd,
        Name::Nftables => Piece::Nftables,
        Name::Ufw => Piece::Ufw,
        Name::Systemd => Piece::Systemd,
        Name::Nginx => Piece::Nginx,
        Name::Caddy => Piece::Caddy,
        Name::Compose => Piece::Compose,
        Name::Wireguard => Piece::Wireguard,
        Name::Tailscale => Piece::Tailscale,
        Name::User => Piece::User,
        Name::Logrotate => Piece::Logrotate,
        Name::Reminder => Piece::Reminder,
    }
}

fn parameters(
    target: &Target,
    home: &Home,
    options: &Options,
    session: Option<&str>,
) -> Result<Parameters, String> {
    let session = session.and_then(host::endpoint).map(|(client, _, port)| (client, port));
    let config = target.documents()?.value();
    let port = config.pointer("/gateway/port").and_then(serde_json::Value::as_u64);
    let mut ssh_ports = host::ssh_ports(&options.root);
    ssh_ports.extend(session.map(|(_, port)| port));
    ssh_ports.extend(&options.ssh_port);
    ssh_ports.sort_unstable();
    ssh_ports.dedup();
    let mut logs = options.log.clone();
    if logs.is_empty() {
        let named = config.pointer("/logging/file").and_then(serde_json::Value::as_str);
        // Where OpenClaw writes when nothing else is said.
        logs.push(named.map_or("/tmp/openclaw/openclaw-*.log".into(), |file| {
            crate::deploy::expand(Path::new(file), &target.deployment.home)
                .to_string_lossy()
                .into_owned()
        }));
    }
    let program = std::env::current_exe().map_err(|e| format!("cannot find this program: {e}"))?;
    Ok(Parameters {
        ssh_ports,
        allow_users: options.allow_user.clone(),
        root_login: host::login_user().as_deref() == Some("root"),
        session,
        open_ports: options.open_port.clone(),
        gateway_port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(18789),
        gateway_uid: options.gateway_uid,
        user: match options.piece {
            Name::User | Name::Logrotate => {
                Some(options.user.clone().unwrap_or_else(|| USER.into()))
            }
            _ => options.user.clone(),
        },
        state_dir: target.deployment.state_dir.clone(),
        name: options.name.clone(),
        certificate: options.certificate.clone(),
        key: options.key.clone(),
        clients: options.clients.clone(),
        service: options.service.clone(),
        interface: options.interface.clone(),
        wireguard_port: options.wireguard_port,
        peers: options.peer.clone(),
        people: options.person.clone(),
        user_home: options.user_home.clone(),
        seawall: program,
        seawall_home: home.dir().to_owned(),
        logs,
    })
}
