//! `seawall harden host`: pieces for the host, generated, checked with the real tool, applied only on
//! request, and undone by themselves unless somebody who still gets in says that all is well.

use super::Args;
use crate::clock::now_ms;
use crate::harden::files::{self, State};
use crate::harden::host::{self, Checked};
use crate::harden::journal::{Run, Step};
use crate::harden::target::Target;
use crate::harden::{Base, run};
use crate::home::Home;
use seawall_audit::harden::host::{Parameters, Piece, render};
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
    /// Commands for ufw; only printed.
    Ufw,
    /// Drop-in for the gateway's systemd unit.
    Systemd,
    /// Server for nginx, with client certificates.
    Nginx,
    /// Site for Caddy, with client certificates; only printed.
    Caddy,
    /// Override for Docker Compose; only printed.
    Compose,
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
    /// User that runs the gateway, for the systemd drop-in.
    #[arg(long)]
    user: Option<String>,
    /// The gateway's systemd unit.
    #[arg(long, default_value = "openclaw-gateway.service")]
    unit: String,
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
    /// Put it in place and activate it.
    #[arg(long)]
    apply: bool,
    /// Seconds in which `seawall harden confirm` has to come for sshd and nftables.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    confirm_within: u64,
    /// Folder that stands for `/`.
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    /// Command that activates the piece, in place of systemctl; split at spaces.
    #[arg(long, value_name = "COMMAND")]
    activate: Option<String>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Where a piece goes and what makes it work.
struct Place {
    path: PathBuf,
    activate: Vec<String>,
    deactivate: Vec<String>,
    confirm: bool,
}

pub(super) fn piece(
    args: &Args,
    target: &Target,
    home: &Home,
    options: &Options,
) -> Result<ExitCode, String> {
    let kind = kind(options.piece);
    let session = host::session();
    let parameters = parameters(target, options, session.as_deref())?;
    let text = render(kind, &parameters).map_err(|e| e.to_string())?;
    let checked = host::check(kind, &text, &options.root, &options.unit)?;
    if !options.apply {
        return Ok(print(args, &text, &checked));
    }
    let place = place(kind, options)?;
    match &checked {
        Checked::Good(_) => {}
        Checked::Bad(why) => return Err(format!("nothing was changed: {why}")),
        Checked::NoTool(tool) => {
            return Err(format!("nothing was changed: cannot be checked without `{tool}`"));
        }
    }
    if kind == Piece::Sshd {
        host::key_login(&options.root, &parameters)?;
    }
    if !(30..=MAX_CONFIRM).contains(&options.confirm_within) && options.root == Path::new("/") {
        return Err(format!("--confirm-within is between 30 and {MAX_CONFIRM} seconds"));
    }
    if !options.yes {
        super::super::print(&text);
        if !super::agreed(&format!("Write this to {}?", place.path.display()))? {
            return Err("nothing was changed".into());
        }
    }
    put(args, target, home, options, &place, &text, session)
}

fn put(
    args: &Args,
    target: &Target,
    home: &Home,
    options: &Options,
    place: &Place,
    text: &str,
    session: Option<String>,
) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    super::tell(&told);
    let (before, old) = files::observe(&place.path, true).map_err(|e| e.to_string())?;
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let after = State::File { hash: Some(files::hash(text.as_bytes())), mode: 0o644, uid, gid };
    let blobs: BTreeMap<String, Vec<u8>> = old
        .into_iter()
        .chain([text.as_bytes().to_vec()])
        .map(|bytes| (files::hash(&bytes), bytes))
        .collect();
    // Undone in the opposite order: the file first, then what makes the old one work again.
    let mut steps = vec![Step::Command { run: vec![], undo: place.deactivate.clone() }];
    let missing: Vec<&Path> =
        place.path.ancestors().skip(1).take_while(|dir| !dir.exists()).collect();
    for dir in missing.into_iter().rev() {
        let after = State::Dir { mode: 0o755, uid, gid };
        steps.push(Step::Path { path: dir.to_owned(), before: State::Absent, after });
    }
    steps.push(Step::Path { path: place.path.clone(), before, after });
    steps.push(Step::Command { run: place.activate.clone(), undo: vec![] });
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
    let journal = run::apply(base.dir(), run, &blobs, by, &|| Ok(())).map_err(|e| e.to_string())?;
    let id = journal.id();
    if args.json {
        super::super::print(&format!(
            "{}\n",
            json!({ "run": id, "path": place.path, "confirmBy": by })
        ));
    } else if by.is_some() {
        super::super::print(&format!(
            "In force for {} seconds (run {id}). Open a SECOND connection now; from there:\n  seawall harden confirm {id}\nWithout it, everything goes back to what it was.\n",
            options.confirm_within
        ));
    } else {
        super::super::print(&format!("done (run {id}). Undo with: seawall harden rollback {id}\n"));
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
    // Somebody else may hold the lock for a moment.
    for _ in 0..100 {
        if Base::at(base).is_ok() {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    Err("the journals are held by another process".into())
}

fn print(args: &Args, text: &str, checked: &Checked) -> ExitCode {
    let (good, said) = match checked {
        Checked::Good(tool) => (true, format!("checked with {tool}")),
        Checked::Bad(why) => (false, why.clone()),
        Checked::NoTool(tool) => (true, format!("NOT checked: `{tool}` is not installed here")),
    };
    if args.json {
        super::super::print(&format!("{}\n", json!({ "text": text, "good": good, "check": said })));
    } else {
        super::super::print(text);
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
    }
}

fn parameters(
    target: &Target,
    options: &Options,
    session: Option<&str>,
) -> Result<Parameters, String> {
    let session = session.and_then(host::endpoint);
    let config = target.documents()?.value();
    let port = config.pointer("/gateway/port").and_then(serde_json::Value::as_u64);
    let mut ssh_ports = host::ssh_ports(&options.root);
    ssh_ports.extend(session.map(|(_, port)| port));
    ssh_ports.extend(&options.ssh_port);
    ssh_ports.sort_unstable();
    ssh_ports.dedup();
    Ok(Parameters {
        ssh_ports,
        allow_users: options.allow_user.clone(),
        root_login: host::login_user().as_deref() == Some("root"),
        session,
        open_ports: options.open_port.clone(),
        gateway_port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or(18789),
        gateway_uid: options.gateway_uid,
        user: options.user.clone(),
        state_dir: target.deployment.state_dir.clone(),
        name: options.name.clone(),
        certificate: options.certificate.clone(),
        key: options.key.clone(),
        clients: options.clients.clone(),
        service: options.service.clone(),
    })
}

fn place(piece: Piece, options: &Options) -> Result<Place, String> {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let reload = |default: &str| words(options.activate.as_deref().unwrap_or(default));
    let root = options
        .root
        .canonicalize()
        .map_err(|e| format!("--root {}: {e}", options.root.display()))?;
    let at = |path: &str| root.join(path);
    Ok(match piece {
        Piece::Sshd => {
            let unit = ["ssh.service", "sshd.service"]
                .into_iter()
                .find(|unit| Path::new("/usr/lib/systemd/system").join(unit).exists())
                .unwrap_or("ssh.service");
            let reload = reload(&format!("systemctl reload {unit}"));
            Place {
                path: at("etc/ssh/sshd_config.d/00-seawall.conf"),
                activate: reload.clone(),
                deactivate: reload,
                confirm: true,
            }
        }
        Piece::Nftables => {
            let path = at("etc/seawall/seawall.nft");
            let file = path.to_string_lossy().into_owned();
            Place {
                path,
                activate: ["nft", "-f", &file].map(str::to_owned).to_vec(),
                deactivate: ["nft", "add table inet seawall; delete table inet seawall"]
                    .map(str::to_owned)
                    .to_vec(),
                confirm: true,
            }
        }
        Piece::Systemd => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
            if !options.unit.ends_with(".service") || !options.unit.chars().all(plain) {
                return Err(format!("`{}` is not the name of a service", options.unit));
            }
            let reload = reload("systemctl daemon-reload");
            Place {
                path: at(&format!("etc/systemd/system/{}.d/50-seawall.conf", options.unit)),
                activate: reload.clone(),
                deactivate: reload,
                confirm: false,
            }
        }
        Piece::Nginx => {
            let reload = reload("systemctl reload nginx");
            Place {
                path: at("etc/nginx/conf.d/seawall.conf"),
                activate: reload.clone(),
                deactivate: reload,
                confirm: false,
            }
        }
        Piece::Ufw | Piece::Caddy | Piece::Compose => {
            return Err("this piece is only printed: put it where you keep yours".into());
        }
    })
}
