//! `seawall egress enforce`: nftables rules for a gateway that Seawall did not start.

use super::{Failure, say};
use seawall_egress::enforce::{self, Enforcement, Subject};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, ExitCode, Stdio};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Put the rules in place, and check that the kernel has them. Replaces those of an earlier call.
    Apply(Apply),
    /// Say whether the rules are in place, and what they counted. Exit code 1 when they are not.
    Status,
    /// Take the rules away.
    Remove,
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("subject").required(true))]
struct Apply {
    /// Everything that this user sends; with the subordinate ids that /etc/subuid gives it.
    #[arg(long, group = "subject")]
    uid: Option<u32>,
    /// Everything that this cgroup sends: its path below /sys/fs/cgroup.
    #[arg(long, group = "subject", value_name = "PATH")]
    cgroup: Option<String>,
    /// Where the proxy listens.
    #[arg(long, value_name = "ADDR")]
    proxy: SocketAddr,
    /// A port on loopback that may be reached besides, as the gateway's own. May be given several times.
    #[arg(long, value_name = "PORT")]
    loopback_port: Vec<u16>,
    /// Print the rules and change nothing.
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.what {
        What::Apply(args) => apply(args),
        What::Status => status(),
        What::Remove => {
            nft(&["-f", "-"], &Enforcement::removal())?;
            say("the rules are gone");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn apply(args: &Apply) -> Result<ExitCode, Failure> {
    let subject = match (args.uid, &args.cgroup) {
        (Some(uid), _) => Subject::User(uid),
        (None, Some(path)) => Subject::Cgroup(path.clone()),
        (None, None) => return Err("give --uid or --cgroup".into()),
    };
    let subordinate = match subject {
        Subject::User(uid) => enforce::subordinate(&read("/etc/subuid"), &read("/etc/passwd"), uid),
        Subject::Cgroup(_) => Vec::new(),
    };
    let enforcement = Enforcement {
        subject: subject.clone(),
        subordinate,
        proxy: args.proxy,
        loopback_ports: args.loopback_port.clone(),
    };
    let rules = enforcement.ruleset().map_err(|e| e.to_string())?;
    if args.print {
        super::super::print(&rules);
        return Ok(ExitCode::SUCCESS);
    }
    nft(&["-f", "-"], &rules)?;
    match state()? {
        Some(state) if state.holds => {
            say(&format!("{subject} reaches {} and nothing else", args.proxy));
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("nft took the rules, but the kernel does not have them".into()),
    }
}

fn status() -> Result<ExitCode, Failure> {
    match state()? {
        Some(state) if state.holds => {
            say(&format!(
                "in place: {} packets to the proxy, {} that tried to get around it",
                state.allowed, state.around
            ));
            Ok(ExitCode::SUCCESS)
        }
        Some(_) => {
            say("the table is there, but somebody changed it: apply the rules again");
            Ok(ExitCode::from(1))
        }
        None => {
            say("not in place");
            Ok(ExitCode::from(1))
        }
    }
}

/// What the kernel has; none if there is no such table.
fn state() -> Result<Option<enforce::State>, Failure> {
    let tables = nft(&["-j", "list", "tables"], "")?;
    if !tables.contains(enforce::TABLE) {
        return Ok(None);
    }
    let listed = nft(&["-j", "list", "table", "inet", enforce::TABLE], "")?;
    Ok(Some(enforce::state(&listed).unwrap_or_default()))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

fn nft(args: &[&str], input: &str) -> Result<String, Failure> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Command::new("nft")
        .args(args)
        // Often not on the path of an ordinary login.
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("nft: {e}; it is in the package nftables"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(|e| format!("nft: {e}"))?;
    }
    let done = child.wait_with_output().map_err(|e| format!("nft: {e}"))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("nft: {}", said.trim()))
}
