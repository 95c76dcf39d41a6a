//! `seawall egress …`: the forward proxy alone, and questions to its policy.

mod enforce;

use seawall_egress::explain::Asked;
use seawall_egress::host::Target;
use seawall_egress::journal::{Flush, Journal};
use seawall_egress::learn::Learner;
use seawall_egress::policy::Compiled;
use seawall_egress::resolve::Dns;
use seawall_egress::{
    EgressPolicy, Identity, NoResolver, Proxy, Refusal, Resolve, SystemResolver, Zone,
};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

/// What `--help` shows: the smallest policies that do something.
const EXAMPLE: &str = r#"A policy that lets every client of the proxy reach one site:

    [[rules]]
    name = "example"
    hosts = ["example.com"]          # this name; ".example.com" for all names under it too

A policy that lets them reach one upstream on this host, at 127.0.0.1:28080, in plain HTTP and
through tunnels:

    [[rules]]
    name = "local-upstream"
    hosts = ["127.0.0.1"]
    ports = [28080]
    protocols = ["http", "raw"]      # tls (default), tls_without_name, http, websocket, raw
    private = ["127.0.0.1:28080"]    # without it, private and loopback addresses are refused

All fields are in docs/egress.md."#;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Run the forward proxy alone. SIGHUP reads the policy again; a bad one changes nothing.
    #[command(after_help = EXAMPLE)]
    Serve(Serve),
    /// Say what the policy does with a URL, and why. Exit code 0 when it is allowed, 1 when not.
    Test(Test),
    /// Propose rules from what was refused.
    Learn(Learn),
    /// Make a placeholder for a secret: what clients hold in its place.
    Placeholder(Placeholder),
    /// Hold a user or a cgroup to the proxy by nftables, where Seawall does not start the gateway.
    Enforce(enforce::Args),
}

#[derive(clap::Args)]
struct Serve {
    /// Address to listen on; port 0 takes a free one. Addresses other than loopback need `clients`
    /// in the policy.
    #[arg(long, value_name = "ADDR")]
    listen: SocketAddr,
    /// The policy, TOML.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// Where events go, JSON lines. [default: POLICY with the ending `.events.jsonl`]
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// When an event counts as written: `each` once it is on the disk; `second` once it is in the
    /// file, which the disk gets within a second. The latter outlives the process, but what was let
    /// through in the last second before a power failure may be in no log.
    #[arg(long, value_name = "WHEN", default_value = "each", value_parser = flush)]
    log_flush: Flush,
}

fn flush(text: &str) -> Result<Flush, String> {
    match text {
        "each" => Ok(Flush::Each),
        "second" => Ok(Flush::Second),
        _ => Err("expected each or second".into()),
    }
}

#[derive(clap::Args)]
struct Test {
    /// `https://host/path`, `http://…`, `wss://…`, `ws://…` or `tcp://host:port`.
    url: String,
    /// The policy, TOML.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The agent in whose name.
    #[arg(long = "as", value_name = "AGENT")]
    agent: Option<String>,
    /// Zone: gateway, run or local.
    #[arg(long, default_value = "local", value_parser = zone)]
    zone: Zone,
    /// Session key.
    #[arg(long)]
    session: Option<String>,
    /// Channel.
    #[arg(long)]
    channel: Option<String>,
    /// Method of a plain request.
    #[arg(long, default_value = "GET")]
    method: String,
    /// Judge by name only and look nothing up.
    #[arg(long)]
    no_lookup: bool,
}

#[derive(clap::Args)]
struct Learn {
    /// Events as JSON lines; `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
}

#[derive(clap::Args)]
struct Placeholder {
    /// Name of the secret: 1 to 32 of a-z, 0-9 and `-`.
    name: String,
}

fn placeholder(args: &Placeholder) -> Result<ExitCode, Failure> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let name = &args.name;
    if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
        return Err(format!("`{name}` is not a name: use 1 to 32 of a-z, 0-9 and `-`"));
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| e.to_string())?;
    let digits: String = random.iter().map(|b| format!("{b:02x}")).collect();
    say(&format!("swph_{name}_{digits}"));
    Ok(ExitCode::SUCCESS)
}

fn zone(text: &str) -> Result<Zone, String> {
    match text {
        "gateway" => Ok(Zone::Gateway),
        "run" => Ok(Zone::Run),
        "local" => Ok(Zone::Local),
        _ => Err("expected gateway, run or local".into()),
    }
}

/// What could not be done.
type Failure = String;

pub(crate) fn run(args: &Args) -> ExitCode {
    let result = match &args.command {
        Command::Serve(args) => serve(args),
        Command::Test(args) => test(args),
        Command::Learn(args) => learn(args),
        Command::Placeholder(args) => placeholder(args),
        Command::Enforce(args) => enforce::run(args),
    };
    result.unwrap_or_else(|failure| {
        say_error(&failure);
        ExitCode::from(3)
    })
}

fn say(text: &str) {
    super::print(&format!("{text}\n"));
}

fn say_error(text: &str) {
    let _ = super::fail(text);
}

/// Longest policy file. Thousands of rules have a few hundred KiB.
const MAX_POLICY: u64 = 8 * 1024 * 1024;

fn read_policy(path: &Path) -> Result<EgressPolicy, Failure> {
    let fail = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let file = std::fs::File::open(path).map_err(|e| fail(&e))?;
    let mut text = String::new();
    file.take(MAX_POLICY + 1).read_to_string(&mut text).map_err(|e| fail(&e))?;
    if text.len() as u64 > MAX_POLICY {
        return Err(fail(&format!("longer than {MAX_POLICY} bytes")));
    }
    EgressPolicy::from_toml(&text).map_err(|e| fail(&e))
}

fn serve(args: &Serve) -> Result<ExitCode, Failure> {
    let policy = read_policy(&args.policy)?;
    check_listener(args.listen, &policy)?;
    let log = args.log.clone().unwrap_or_else(|| args.policy.with_extension("events.jsonl"));
    let journal =
        Journal::open(&log, args.log_flush).map_err(|e| format!("{}: {e}", log.display()))?;
    raise_descriptor_limit();
    // One thread: a connection costs no hand-over between threads, and the work is the kernel's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let resolver = system_resolver(&policy.dns);
        let proxy = Proxy::new(&policy, resolver, Arc::new(journal)).map_err(|e| e.to_string())?;
        write_trust(&proxy, &args.policy)?;
        let listener = bind(args.listen).map_err(|e| format!("{}: {e}", args.listen))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let mut hup = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
        let mut term = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
        let mut int = signal(SignalKind::interrupt()).map_err(|e| e.to_string())?;
        let serving = Arc::clone(&proxy);
        let shared = !policy.clients.is_empty();
        let mut server = tokio::spawn(async move {
            if shared {
                serving.serve_clients(listener).await
            } else {
                serving.serve(listener, Identity::default()).await
            }
        });
        say(&format!("listening on {address}; events go to {}", log.display()));
        loop {
            tokio::select! {
                _ = hup.recv() => reload(&proxy, args, shared),
                _ = term.recv() => break,
                _ = int.recv() => break,
                ended = &mut server => return match ended {
                    Ok(Err(e)) => Err(format!("the listener failed: {e}")),
                    _ => Err("the listener ended".into()),
                },
            }
        }
        // A disk that hangs does not keep the process.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), proxy.settle()).await;
        Ok(ExitCode::SUCCESS)
    })
}

fn reload(proxy: &Proxy, args: &Serve, shared: bool) {
    let result = read_policy(&args.policy).and_then(|policy| {
        check_listener(args.listen, &policy)?;
        if policy.clients.is_empty() == shared {
            return Err("`clients` cannot appear or disappear while serving: restart".into());
        }
        proxy.reload(&policy).map_err(|e| e.to_string())?;
        write_trust(proxy, &args.policy)
    });
    match result {
        Ok(()) => say("the policy was read again"),
        Err(e) => say_error(&format!("the policy in force stays: {e}")),
    }
}

/// Puts what clients have to trust beside the policy. The authority's key is never written.
fn write_trust(proxy: &Proxy, policy: &Path) -> Result<(), Failure> {
    let Some((own, bundle)) = proxy.trust() else { return Ok(()) };
    for (ending, text) in [("ca.pem", own), ("ca-bundle.pem", bundle)] {
        let path = policy.with_extension(ending);
        let new = policy.with_extension(format!("{ending}.new"));
        // A client never reads half of it.
        std::fs::write(&new, text)
            .and_then(|()| std::fs::rename(&new, &path))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        say(&format!("clients trust {}", path.display()));
    }
    Ok(())
}

/// Without `clients`, whoever reaches the socket is served.
fn check_listener(address: SocketAddr, policy: &EgressPolicy) -> Result<(), Failure> {
    if address.ip().is_loopback() || !policy.clients.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{address} can be reached from other hosts, and the policy has no `clients`: listen on \
         127.0.0.1, or add [[clients]] (docs/egress.md)"
    ))
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // Bursts of short connections: the kernel caps it at net.core.somaxconn.
    socket.listen(4096)
}

fn system_resolver(dns: &Dns) -> Arc<dyn Resolve> {
    match SystemResolver::new(dns) {
        Ok(resolver) => Arc::new(resolver),
        Err(e) => {
            say_error(&format!("{e}; only literal addresses and names in `hosts` can be reached"));
            Arc::new(NoResolver)
        }
    }
}

/// Each tunnel holds two descriptors.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let _ = setrlimit(Resource::Nofile, raised);
}

fn test(args: &Test) -> Result<ExitCode, Failure> {
    let policy = read_policy(&args.policy)?;
    let dns = policy.dns.clone();
    let policy = policy.compile().map_err(|e| e.to_string())?;
    let asked = Asked::parse(&args.url, &args.method)?;
    let identity = Identity {
        zone: args.zone,
        agent: args.agent.clone(),
        session: args.session.clone(),
        channel: args.channel.clone(),
        run: None,
        only: None,
    };
    let verdict = policy.judge_url(&identity, &asked).and_then(|rule| {
        let addresses = match policy.known_addresses(&asked.target) {
            Some(addresses) => addresses,
            None if args.no_lookup => return Ok((rule, None)),
            None => look_up(&dns, &policy, &asked)?,
        };
        policy.judge_addresses(&identity, rule, &asked.target, &addresses)?;
        not_own(&policy, &asked.target, &addresses)?;
        Ok((rule, Some(addresses)))
    });
    match verdict {
        Ok((rule, addresses)) => {
            say(&format!("allowed for {identity} by the rule `{}`", rule.name));
            if let Some(reason) = &rule.reason {
                say(&format!("reason: {reason}"));
            }
            match addresses {
                Some(addresses) => {
                    let list: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                    say(&format!("addresses: {}", list.join(", ")));
                }
                None => say("addresses: not looked up"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(refusal) => {
            say(&format!("refused for {identity}: {}", refusal.why));
            if let Some(rule) = &refusal.rule {
                say(&format!("rule: {rule}"));
            }
            if !refusal.fix.is_empty() {
                say(&format!("to change it: {}", refusal.fix));
            }
            Ok(ExitCode::from(1))
        }
    }
}

/// The proxy sees it when it is connected; here the route tells, and nothing is sent.
fn not_own(policy: &Compiled, target: &Target, addresses: &[IpAddr]) -> Result<(), Refusal> {
    let own = |address: &&IpAddr| {
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let local = UdpSocket::bind((any, 0)).and_then(|socket| {
            socket.connect((**address, target.port))?;
            socket.local_addr()
        });
        local.is_ok_and(|local| local.ip() == **address) && !policy.names(target, **address)
    };
    match addresses.iter().find(own) {
        Some(address) => Err(Refusal::own_address(target, *address)),
        None => Ok(()),
    }
}

fn look_up(dns: &Dns, policy: &Compiled, asked: &Asked) -> Result<Vec<IpAddr>, Refusal> {
    use seawall_egress::Cause;
    let fail = |why: String| Refusal::new(Cause::Unreachable, why);
    let name = asked.target.host.to_string();
    let limit = std::time::Duration::from_secs(policy.limits.resolve_seconds);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| fail(e.to_string()))?;
    runtime.block_on(async {
        let resolver = SystemResolver::new(dns).map_err(|e| fail(e.to_string()))?;
        match tokio::time::timeout(limit, resolver.resolve(&name)).await {
            Ok(answer) => answer.map(|a| a.addresses).map_err(|e| fail(e.to_string())),
            Err(_) => Err(fail(format!("`{name}` did not resolve in time"))),
        }
    })
}

fn learn(args: &Learn) -> Result<ExitCode, Failure> {
    let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", args.log.display());
    let input: Box<dyn Read> = if args.log.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(&args.log).map_err(|e| fail(&e))?)
    };
    /// Longest line: an event has about 1 KiB.
    const MAX_LINE: u64 = 1 << 20;
    let mut input = BufReader::new(input);
    let mut learner = Learner::default();
    let (mut line, mut number, mut skipped) = (Vec::new(), 0u64, 0u64);
    loop {
        line.clear();
        let n = (&mut input).take(MAX_LINE).read_until(b'\n', &mut line).map_err(|e| fail(&e))?;
        if n == 0 {
            break;
        }
        number += 1;
        match serde_json::from_slice(&line) {
            Ok(event) => learner.take(&event),
            Err(_) => skipped += 1,
        }
    }
    if number > 0 && skipped == number {
        return Err(fail(&"not one line is an event"));
    }
    if skipped > 0 {
        say_error(&format!("{skipped} of {number} lines are not events and were passed over"));
    }
    super::print(&learner.proposal());
    Ok(ExitCode::SUCCESS)
}
