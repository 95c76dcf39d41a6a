//! Pieces for the host around a gateway: texts made from templates and checked parameters. What is
//! put into a text is typed or of a plain alphabet; nothing that a configuration says ends up as
//! syntax.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// What can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A drop-in for sshd.
    Sshd,
    /// A table for nftables.
    Nftables,
    /// Commands for ufw.
    Ufw,
    /// A drop-in for the gateway's systemd unit.
    Systemd,
    /// A server for nginx.
    Nginx,
    /// A site for Caddy.
    Caddy,
    /// An override for Docker Compose.
    Compose,
    /// The host's end of a WireGuard tunnel.
    Wireguard,
    /// The policy of a Tailscale network.
    Tailscale,
    /// A user that only runs the gateway.
    User,
    /// Rotation of the gateway's logs.
    Logrotate,
    /// A timer that reminds of credentials to rotate.
    Reminder,
}

/// A file of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Where it goes, below the root of the host; absent for what belongs somewhere else.
    pub path: Option<String>,
    /// Its text.
    pub text: String,
}

/// What a piece needs to know.
#[derive(Debug, Clone)]
pub struct Parameters {
    /// Ports on which sshd listens, all that are to stay.
    pub ssh_ports: Vec<u16>,
    /// Who may log in; everybody who may now when empty.
    pub allow_users: Vec<String>,
    /// Whether root may log in with a key.
    pub root_login: bool,
    /// Where the operator's session comes from, and the port that it came to.
    pub session: Option<(IpAddr, u16)>,
    /// More ports that are open to everybody.
    pub open_ports: Vec<u16>,
    /// The gateway's port.
    pub gateway_port: u16,
    /// The gateway's user id, when its way out is to be limited.
    pub gateway_uid: Option<u32>,
    /// User that runs the gateway.
    pub user: Option<String>,
    /// OpenClaw's state folder.
    pub state_dir: PathBuf,
    /// Host name of the reverse proxy.
    pub name: String,
    /// Its certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authority that signs the clients' certificates.
    pub clients: PathBuf,
    /// Service in the compose file.
    pub service: String,
    /// The tunnel's interface.
    pub interface: String,
    /// The tunnel's port.
    pub wireguard_port: u16,
    /// Public keys of the devices that may use the tunnel.
    pub peers: Vec<String>,
    /// People who may reach the gateway over Tailscale.
    pub people: Vec<String>,
    /// Home of the user that is made for the gateway.
    pub user_home: PathBuf,
    /// This program.
    pub seawall: PathBuf,
    /// Seawall's folder.
    pub seawall_home: PathBuf,
    /// The gateway's logs; a name may hold `*`.
    pub logs: Vec<String>,
}

/// The name of the user that is made for the gateway, unless another one is asked for.
pub const USER: &str = "openclaw";

/// A tunnel's network has room for so many devices.
const MAX_PEERS: usize = 250;

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}`: {why}")]
pub struct ParameterError {
    what: &'static str,
    value: String,
    why: &'static str,
}

/// Makes the files of a piece; the first is the main one.
pub fn parts(piece: Piece, with: &Parameters) -> Result<Vec<Part>, ParameterError> {
    let part = |path: Option<String>, text: String| Part { path, text };
    let main = render(piece, with)?;
    let interface = name("interface", &with.interface)?;
    let user = name("user", with.user.as_deref().unwrap_or(USER))?;
    Ok(match piece {
        Piece::Wireguard => vec![
            part(Some(format!("etc/wireguard/{interface}.conf")), main),
            part(
                Some(format!("etc/wireguard/{interface}.nft")),
                fill(
                    include_str!("../../../../content/harden/host/wireguard.nft"),
                    &[
                        ("interface", &interface),
                        ("host_address", HOST_ADDRESS),
                        ("gateway_port", &with.gateway_port.to_string()),
                    ],
                ),
            ),
            part(
                None,
                fill(
                    include_str!("../../../../content/harden/host/wireguard-client.conf"),
                    &[
                        ("client_address", "10.86.0.2"),
                        ("host_address", HOST_ADDRESS),
                        ("name", &name("host name", &with.name)?),
                        ("wireguard_port", &with.wireguard_port.to_string()),
                    ],
                ),
            ),
        ],
        Piece::User => vec![
            part(Some("etc/sysusers.d/seawall-openclaw.conf".into()), main),
            part(
                Some("etc/tmpfiles.d/seawall-openclaw.conf".into()),
                fill(
                    include_str!("../../../../content/harden/host/tmpfiles.conf"),
                    &[("user", &user), ("home", &plain_path("home", &with.user_home)?)],
                ),
            ),
        ],
        Piece::Logrotate => vec![part(Some("etc/logrotate.d/seawall-openclaw".into()), main)],
        Piece::Reminder => vec![
            part(Some("etc/systemd/system/seawall-rotation.service".into()), main),
            part(
                Some("etc/systemd/system/seawall-rotation.timer".into()),
                include_str!("../../../../content/harden/host/reminder.timer").to_owned(),
            ),
        ],
        _ => vec![part(None, main)],
    })
}

/// The host's address in the tunnel.
const HOST_ADDRESS: &str = "10.86.0.1";

/// Makes the text of a piece's main file.
pub fn render(piece: Piece, with: &Parameters) -> Result<String, ParameterError> {
    let state_dir = plain_path("state folder", &with.state_dir)?;
    let port = with.gateway_port.to_string();
    Ok(match piece {
        Piece::Sshd => {
            some_port(&with.ssh_ports)?;
            let ports: Vec<_> = with.ssh_ports.iter().map(|port| format!("Port {port}")).collect();
            let users: Vec<_> =
                with.allow_users.iter().map(|user| name("user", user)).collect::<Result<_, _>>()?;
            let users = if users.is_empty() {
                String::new()
            } else {
                format!("AllowUsers {}", users.join(" "))
            };
            let root = if with.root_login { "prohibit-password" } else { "no" };
            fill(
                include_str!("../../../../content/harden/host/sshd.conf"),
                &[("ports", &ports.join("\n")), ("root_login", root), ("allow_users", &users)],
            )
        }
        Piece::Nftables => {
            some_port(&with.ssh_ports)?;
            let mut session = String::new();
            if let Some((address, port)) = with.session {
                let family = if address.is_ipv4() { "ip" } else { "ip6" };
                let _ = write!(
                    session,
                    "\t\t# The session that wrote this.\n\t\t{family} saddr {address} tcp dport {port} accept"
                );
            }
            let open = if with.open_ports.is_empty() {
                String::new()
            } else {
                format!("\t\ttcp dport {{ {} }} accept", list(&with.open_ports))
            };
            let output = with.gateway_uid.map_or_else(String::new, |uid| {
                format!("\tchain output {{\n\t\ttype filter hook output priority filter - 10; policy accept;\n\t\tmeta skuid {uid} ip daddr {{ 169.254.0.0/16, 100.100.100.200 }} drop\n\t\tmeta skuid {uid} ip6 daddr {{ fe80::/10, fd00:ec2::254 }} drop\n\t}}")
            });
            fill(
                include_str!("../../../../content/harden/host/nftables.nft"),
                &[
                    ("session", &session),
                    ("ssh_ports", &list(&with.ssh_ports)),
                    ("open", &open),
                    ("gateway_port", &port),
                    ("output", &output),
                ],
            )
        }
        Piece::Ufw => {
            some_port(&with.ssh_ports)?;
            let mut allow: Vec<_> = Vec::new();
            if let Some((address, port)) = with.session {
                allow.push(format!("ufw allow from {address} to any port {port} proto tcp"));
            }
            allow.extend(with.ssh_ports.iter().map(|port| format!("ufw limit {port}/tcp")));
            allow.extend(with.open_ports.iter().map(|port| format!("ufw allow {port}/tcp")));
            fill(
                include_str!("../../../../content/harden/host/ufw.sh"),
                &[("allow", &allow.join("\n")), ("gateway_port", &port)],
            )
        }
        Piece::Systemd => {
            let user = match &with.user {
                Some(user) => format!("User={}", name("user", user)?),
                None => "# No User=: a user's own unit has its user already.".to_owned(),
            };
            let home = with.state_dir.starts_with("/home") || with.state_dir.starts_with("/root");
            fill(
                include_str!("../../../../content/harden/host/unit.conf"),
                &[
                    ("user", &user),
                    ("state_dir", &state_dir),
                    ("protect_home", if home { "read-only" } else { "yes" }),
                ],
            )
        }
        Piece::Nginx | Piece::Caddy => {
            let template = if piece == Piece::Nginx {
                include_str!("../../../../content/harden/host/nginx.conf")
            } else {
                include_str!("../../../../content/harden/host/Caddyfile")
            };
            fill(
                template,
                &[
                    ("name", &name("host name", &with.name)?),
                    ("certificate", &plain_path("certificate", &with.certificate)?),
                    ("key", &plain_path("key", &with.key)?),
                    ("clients", &plain_path("clients' authority", &with.clients)?),
                    ("gateway_port", &port),
                ],
            )
        }
        Piece::Compose => fill(
            include_str!("../../../../content/harden/host/compose.yml"),
            &[
                ("service", &name("service", &with.service)?),
                ("state_dir", &state_dir),
                ("gateway_port", &port),
            ],
        ),
        Piece::Wireguard => {
            let interface = name("interface", &with.interface)?;
            if interface.len() > 15 {
                return Err(ParameterError {
                    what: "interface",
                    value: interface,
                    why: "the kernel takes at most 15 characters",
                });
            }
            if with.peers.len() > MAX_PEERS {
                return Err(ParameterError {
                    what: "peers",
                    value: with.peers.len().to_string(),
                    why: "at most 250 devices have room in the tunnel's network",
                });
            }
            let mut peers = String::new();
            for (number, key) in (2..).zip(&with.peers) {
                let key = public_key(key)?;
                let _ = write!(
                    peers,
                    "\n[Peer]\nPublicKey = {key}\nAllowedIPs = 10.86.0.{number}/32\n"
                );
            }
            if with.peers.is_empty() {
                peers
                    .push_str("# Nobody may connect yet: say --peer with a device's public key.\n");
            }
            fill(
                include_str!("../../../../content/harden/host/wireguard.conf"),
                &[
                    ("interface", &interface),
                    ("host_address", HOST_ADDRESS),
                    ("wireguard_port", &with.wireguard_port.to_string()),
                    ("peers", peers.trim_end()),
                ],
            )
        }
        Piece::Tailscale => {
            let people: Vec<String> = with
                .people
                .iter()
                .map(|who| person(who).map(|who| format!("\"{who}\"")))
                .collect::<Result<_, _>>()?;
            let people = if people.is_empty() {
                "\"autogroup:admin\"".to_owned()
            } else {
                people.join(", ")
            };
            fill(
                include_str!("../../../../content/harden/host/tailscale.json"),
                &[("people", &people), ("gateway_port", &port)],
            )
        }
        Piece::User => fill(
            include_str!("../../../../content/harden/host/user.conf"),
            &[
                ("user", &name("user", with.user.as_deref().unwrap_or(USER))?),
                ("home", &plain_path("home", &with.user_home)?),
            ],
        ),
        Piece::Logrotate => {
            let user = name("user", with.user.as_deref().unwrap_or(USER))?;
            let logs: Vec<String> = with
                .logs
                .iter()
                .map(|log| {
                    plain_path("log", Path::new(&log.replace('*', "x"))).map(|_| log.clone())
                })
                .collect::<Result<_, _>>()?;
            fill(
                include_str!("../../../../content/harden/host/logrotate.conf"),
                &[("logs", &logs.join("\n")), ("user", &user), ("group", &user)],
            )
        }
        Piece::Reminder => {
            let user = match &with.user {
                Some(user) => format!("User={}", name("user", user)?),
                None => "# As root: the folders of every user can be looked at.".to_owned(),
            };
            fill(
                include_str!("../../../../content/harden/host/reminder.service"),
                &[
                    ("seawall", &plain_path("program", &with.seawall)?),
                    ("state_dir", &state_dir),
                    ("seawall_home", &plain_path("Seawall's folder", &with.seawall_home)?),
                    ("user", &user),
                ],
            )
        }
    })
}

/// A WireGuard public key: 32 bytes in base64.
fn public_key(key: &str) -> Result<&str, ParameterError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    let body = key.strip_suffix('=').unwrap_or_default();
    if body.len() == 43 && body.chars().all(plain) {
        return Ok(key);
    }
    Err(ParameterError {
        what: "peer",
        value: key.chars().take(60).collect(),
        why: "give the device's public key, 44 characters of base64 as `wg pubkey` prints it",
    })
}

/// Who a Tailscale policy names: a login, a group, a tag.
fn person(who: &str) -> Result<&str, ParameterError> {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+' | ':');
    if !who.is_empty() && who.len() <= 120 && who.chars().all(plain) && who != "*" {
        return Ok(who);
    }
    Err(ParameterError {
        what: "person",
        value: who.chars().take(60).collect(),
        why: "name a login (`ada@example.org`), `group:NAME` or `autogroup:NAME`; not everybody",
    })
}

fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for line in template.lines() {
        let mut text = line.to_owned();
        for (name, value) in values {
            text = text.replace(&format!("{{{{{name}}}}}"), value);
        }
        // A parameter that is not there leaves no empty line.
        if !(text.trim().is_empty() && line.contains("{{")) {
            out.push_str(&text);
            out.push('\n');
        }
    }
    out
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

fn some_port(ports: &[u16]) -> Result<(), ParameterError> {
    if ports.is_empty() || ports.contains(&0) {
        return Err(ParameterError {
            what: "SSH ports",
            value: list(ports),
            why: "at least one port has to stay open, or nobody gets in again",
        });
    }
    Ok(())
}

fn name(what: &'static str, value: &str) -> Result<String, ParameterError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if value.is_empty() || value.starts_with('-') || value.len() > 253 || !value.chars().all(plain)
    {
        return Err(ParameterError {
            what,
            value: value.chars().take(60).collect(),
            why: "use letters, digits, `-`, `_` and `.`",
        });
    }
    Ok(value.to_owned())
}

fn plain_path(what: &'static str, path: &Path) -> Result<String, ParameterError> {
    let text = path.to_string_lossy();
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '@');
    if !path.is_absolute() || !text.chars().all(plain) {
        return Err(ParameterError {
            what,
            value: text.chars().take(120).collect(),
            why: "use an absolute path of letters, digits and `-_.+@`",
        });
    }
    Ok(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            ssh_ports: vec![22, 2222],
            allow_users: vec!["ada".into()],
            root_login: false,
            session: Some(("192.0.2.7".parse().unwrap(), 22)),
            open_ports: vec![443],
            gateway_port: 18789,
            gateway_uid: Some(1000),
            user: Some("openclaw".into()),
            state_dir: "/home/ada/.openclaw".into(),
            name: "claw.example.org".into(),
            certificate: "/etc/ssl/claw.pem".into(),
            key: "/etc/ssl/claw.key".into(),
            clients: "/etc/ssl/clients.pem".into(),
            service: "openclaw".into(),
            interface: "seawall0".into(),
            wireguard_port: 51820,
            peers: vec!["xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=".into()],
            people: vec!["ada@example.org".into()],
            user_home: "/var/lib/openclaw".into(),
            seawall: "/usr/local/bin/seawall".into(),
            seawall_home: "/var/lib/seawall".into(),
            logs: vec!["/tmp/openclaw/openclaw-*.log".into()],
        }
    }

    #[test]
    fn pieces_are_complete() {
        use Piece::{
            Caddy, Compose, Logrotate, Nftables, Nginx, Reminder, Sshd, Systemd, Tailscale, Ufw,
            User, Wireguard,
        };
        let all = [
            Sshd, Nftables, Ufw, Systemd, Nginx, Caddy, Compose, Wireguard, Tailscale, User,
            Logrotate, Reminder,
        ];
        for piece in all {
            for part in parts(piece, &parameters()).unwrap() {
                assert!(!part.text.contains("{{"), "{piece:?}: {}", part.text);
            }
        }
        // What OpenClaw's own reader takes for JSON5 is what Tailscale's reads as HuJSON.
        let policy = crate::harden::doc::parse(&render(Tailscale, &parameters()).unwrap()).unwrap();
        let policy = policy.to_value();
        assert_eq!(policy["grants"][0]["src"], serde_json::json!(["ada@example.org"]));
        assert_eq!(policy["grants"][0]["ip"], serde_json::json!(["tcp:443"]));
        insta::assert_snapshot!(render(Nftables, &parameters()).unwrap());
        insta::assert_snapshot!(render(Sshd, &parameters()).unwrap());
        insta::assert_snapshot!(render(Wireguard, &parameters()).unwrap());
    }

    #[test]
    fn the_way_back_in_stays_open() {
        let none = Parameters { ssh_ports: vec![], ..parameters() };
        for piece in [Piece::Sshd, Piece::Nftables, Piece::Ufw] {
            assert!(render(piece, &none).unwrap_err().to_string().contains("gets in again"));
        }
        let text = render(Piece::Nftables, &parameters()).unwrap();
        let session = text.find("ip saddr 192.0.2.7 tcp dport 22 accept").unwrap();
        assert!(session < text.find("limit rate").unwrap());
    }

    #[test]
    fn parameters_do_not_become_syntax() {
        let bad = [
            (
                Piece::Sshd,
                Parameters { allow_users: vec!["x\nPermitRootLogin yes".into()], ..parameters() },
            ),
            (Piece::Nginx, Parameters { name: "x; include /etc/passwd".into(), ..parameters() }),
            (Piece::Systemd, Parameters { state_dir: "/a b".into(), ..parameters() }),
            (Piece::Compose, Parameters { service: "a: {}".into(), ..parameters() }),
            (Piece::Caddy, Parameters { key: "relative".into(), ..parameters() }),
            (Piece::Wireguard, Parameters { peers: vec!["x\nPostUp = id".into()], ..parameters() }),
            (Piece::Wireguard, Parameters { interface: "a b".into(), ..parameters() }),
            (Piece::Tailscale, Parameters { people: vec!["*".into()], ..parameters() }),
            (Piece::User, Parameters { user: Some("x:0".into()), ..parameters() }),
            (Piece::Logrotate, Parameters { logs: vec!["/a {".into()], ..parameters() }),
            (Piece::Reminder, Parameters { seawall: "/a;id".into(), ..parameters() }),
        ];
        for (piece, parameters) in bad {
            assert!(render(piece, &parameters).is_err(), "{piece:?}");
        }
    }
}
