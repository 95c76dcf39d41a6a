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
}

/// A parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{value}`: {why}")]
pub struct ParameterError {
    what: &'static str,
    value: String,
    why: &'static str,
}

/// Makes the text of a piece.
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
        }
    }

    #[test]
    fn pieces_are_complete() {
        use Piece::{Caddy, Compose, Nftables, Nginx, Sshd, Systemd, Ufw};
        for piece in [Sshd, Nftables, Ufw, Systemd, Nginx, Caddy, Compose] {
            let text = render(piece, &parameters()).unwrap();
            assert!(!text.contains("{{"), "{piece:?}: {text}");
        }
        insta::assert_snapshot!(render(Nftables, &parameters()).unwrap());
        insta::assert_snapshot!(render(Sshd, &parameters()).unwrap());
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
        ];
        for (piece, parameters) in bad {
            assert!(render(piece, &parameters).is_err(), "{piece:?}");
        }
    }
}
