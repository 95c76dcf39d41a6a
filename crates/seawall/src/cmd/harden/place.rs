//! Where the files of a piece go on the host, and what makes them work.

use super::host::Options;
use crate::harden::ufw;
use seawall_audit::harden::host::{Part, Piece, USER};
use std::path::{Path, PathBuf};

/// A file as it is to be.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// What `--apply` does.
#[derive(Default)]
pub(super) struct Place {
    pub(super) files: Vec<File>,
    /// Run once the files are there, each with what undoes it while they still are.
    pub(super) commands: Vec<(Vec<String>, Vec<String>)>,
    /// Run at an undo, once the old files are back.
    pub(super) restored: Vec<Vec<String>>,
    /// Whether somebody has to say that they still get in.
    pub(super) confirm: bool,
    /// What a person does then.
    pub(super) next: Option<String>,
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn argv(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

pub(super) fn place(piece: Piece, options: &Options, parts: &[Part]) -> Result<Place, String> {
    let root = options
        .root
        .canonicalize()
        .map_err(|e| format!("--root {}: {e}", options.root.display()))?;
    let at = |path: &str| root.join(path);
    let text = parts.first().map(|part| part.text.clone()).unwrap_or_default();
    let one = |path: &str, mode: u32| {
        vec![File { path: at(path), bytes: text.clone().into_bytes(), mode }]
    };
    let all = |mode: u32| -> Vec<File> {
        parts
            .iter()
            .filter_map(|part| {
                let path = at(part.path.as_deref()?);
                Some(File { path, bytes: part.text.clone().into_bytes(), mode })
            })
            .collect()
    };
    // A command that brings the files in, and after an undo the old ones.
    let reload = |default: &str| {
        let run = words(options.activate.as_deref().unwrap_or(default));
        (vec![(run.clone(), vec![])], vec![run])
    };
    let place = Place::default();
    Ok(match piece {
        Piece::Sshd => {
            let unit = ["ssh.service", "sshd.service"]
                .into_iter()
                .find(|unit| Path::new("/usr/lib/systemd/system").join(unit).exists())
                .unwrap_or("ssh.service");
            let (commands, restored) = reload(&format!("systemctl reload {unit}"));
            let files = one("etc/ssh/sshd_config.d/00-seawall.conf", 0o644);
            Place { files, commands, restored, confirm: true, ..place }
        }
        Piece::Nftables => {
            let files = one("etc/seawall/seawall.nft", 0o644);
            let file = at("etc/seawall/seawall.nft").to_string_lossy().into_owned();
            let gone = argv(&["nft", "add table inet seawall; delete table inet seawall"]);
            Place {
                files,
                commands: vec![(argv(&["nft", "-f", &file]), vec![])],
                restored: vec![gone],
                confirm: true,
                ..place
            }
        }
        Piece::Ufw => ufw_place(&root, &text)?,
        Piece::Systemd => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
            if !options.unit.ends_with(".service") || !options.unit.chars().all(plain) {
                return Err(format!("`{}` is not the name of a service", options.unit));
            }
            let (commands, restored) = reload("systemctl daemon-reload");
            let files =
                one(&format!("etc/systemd/system/{}.d/50-seawall.conf", options.unit), 0o644);
            let next = Some(format!("systemctl restart {}", options.unit));
            Place { files, commands, restored, next, ..place }
        }
        Piece::Nginx => {
            let (commands, restored) = reload("systemctl reload nginx");
            Place {
                files: one("etc/nginx/conf.d/seawall.conf", 0o644),
                commands,
                restored,
                ..place
            }
        }
        Piece::Caddy => {
            let (commands, restored) = reload("systemctl reload caddy");
            let mut files = one("etc/caddy/seawall.caddy", 0o644);
            let main = at("etc/caddy/Caddyfile");
            let line = format!("import {}", at("etc/caddy/seawall.caddy").display());
            let old = std::fs::read_to_string(&main).unwrap_or_default();
            if !old.lines().any(|other| other.trim() == line) {
                let end = if old.is_empty() || old.ends_with('\n') { "" } else { "\n" };
                let bytes = format!("{old}{end}{line}\n").into_bytes();
                files.push(File { path: main, bytes, mode: 0o644 });
            }
            Place { files, commands, restored, ..place }
        }
        Piece::Compose => {
            let Some(base) = &options.compose_file else {
                return Err("say which compose file it is for: --compose-file FILE".into());
            };
            let base = base.canonicalize().map_err(|e| format!("{}: {e}", base.display()))?;
            let path = base.with_file_name("compose.seawall.yml");
            let next = format!("docker compose -f {} -f {} up -d", base.display(), path.display());
            let files = vec![File { path, bytes: text.clone().into_bytes(), mode: 0o644 }];
            Place { files, next: Some(next), ..place }
        }
        Piece::Wireguard => {
            let next =
                "make the key as the file says, then `systemctl enable --now wg-quick@INTERFACE`";
            Place { files: all(0o600), next: Some(next.into()), ..place }
        }
        Piece::User => user_place(&root, options, all(0o644)),
        Piece::Logrotate => Place { files: all(0o644), ..place },
        Piece::Reminder => {
            let timer = "seawall-rotation.timer";
            let mut commands = vec![
                (argv(&["systemctl", "daemon-reload"]), vec![]),
                (
                    argv(&["systemctl", "enable", "--now", timer]),
                    argv(&["systemctl", "disable", "--now", timer]),
                ),
            ];
            let mut restored = vec![argv(&["systemctl", "daemon-reload"])];
            if let Some(other) = &options.activate {
                commands = vec![(words(other), vec![])];
                restored = vec![words(other)];
            }
            Place { files: all(0o644), commands, restored, ..place }
        }
        Piece::Tailscale => {
            return Err(
                "this piece is only printed: a network's policy is kept by Tailscale".into()
            );
        }
    })
}

fn ufw_place(root: &Path, text: &str) -> Result<Place, String> {
    let Some(staged) = ufw::stage(root, text)? else {
        return Err("nothing was changed: `ufw` is not installed".into());
    };
    let files = staged.files.into_iter().map(|(path, bytes)| File {
        path: root.join(path),
        bytes,
        mode: 0o640,
    });
    let (run, back) = if ufw::active() {
        (argv(&["ufw", "reload"]), argv(&["ufw", "reload"]))
    } else {
        (argv(&["ufw", "--force", "enable"]), argv(&["ufw", "--force", "disable"]))
    };
    let mut commands = vec![(run, vec![])];
    // Published container ports pass ufw by; its file cannot hold this rule, because loading it
    // would empty a chain that is Docker's.
    let rule = text.lines().find(|line| line.contains("DOCKER-USER"));
    if let (Some(rule), true) = (rule, ufw::docker_chain()) {
        let words: Vec<&str> = rule.split_whitespace().collect();
        let rule: Vec<&str> = words
            .iter()
            .skip_while(|word| **word != "DOCKER-USER")
            .skip(1)
            .take_while(|word| **word != "2>/dev/null")
            .copied()
            .collect();
        let with = |what: &str| {
            let all: Vec<&str> =
                ["iptables", "-w", what, "DOCKER-USER"].into_iter().chain(rule.clone()).collect();
            argv(&all)
        };
        commands.push((with("-I"), with("-D")));
    }
    Ok(Place {
        files: files.collect(),
        commands,
        restored: vec![back],
        confirm: true,
        ..Place::default()
    })
}

/// A user that was there stays at an undo.
fn user_place(root: &Path, options: &Options, files: Vec<File>) -> Place {
    let user = options.user.as_deref().unwrap_or(USER);
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let there = passwd.lines().any(|line| line.split(':').next() == Some(user));
    let host = root.to_string_lossy().into_owned();
    let from = format!("--root={host}");
    let path = |at: usize| {
        files
            .get(at)
            .map(|file: &File| file.path.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let gone = if there { vec![] } else { argv(&["userdel", "--prefix", &host, user]) };
    let home = root.join(options.user_home.to_string_lossy().trim_start_matches('/'));
    let empty = if home.exists() {
        vec![]
    } else {
        // With something in it, it stays.
        argv(&["rmdir", "--ignore-fail-on-non-empty", &home.to_string_lossy()])
    };
    // `systemd-sysusers` reads a file by its path on the host, whatever the root.
    Place {
        commands: vec![
            (argv(&["systemd-sysusers", &from, &path(0)]), gone),
            (argv(&["systemd-tmpfiles", "--create", &from, &path(1)]), empty),
        ],
        next: Some(format!(
            "move the state folder to {} and give it to `{user}`, then `seawall harden host systemd --user {user} --apply`",
            options.user_home.display()
        )),
        files,
        ..Place::default()
    }
}
