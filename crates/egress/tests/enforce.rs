//! The rules against the real nftables, in a network namespace of the test's own.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a failing test should stop at once"
)]

use seawall_egress::enforce::{Enforcement, Subject, state};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a shell script in a fresh network namespace; none where that is not possible.
fn in_namespace(script: &str) -> Option<String> {
    let mut child = Command::new("unshare")
        .args(["--net", "sh", "-e"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(text)
}

#[test]
fn a_user_reaches_the_proxy_and_nothing_else() {
    let tools = "command -v nft /usr/bin/python3 setpriv ip >/dev/null && ip link set lo up && nft list tables";
    if in_namespace(tools).is_none() {
        println!("skipped: needs root, nft, ip, setpriv and python3");
        return;
    }
    let enforcement = Enforcement {
        subject: Subject::User(12_345),
        subordinate: vec![(200_000, 200_009)],
        proxy: "127.0.0.1:3128".parse().unwrap(),
        loopback_ports: vec![],
    };
    let rules = enforcement.ruleset().unwrap();
    // Connects to both ports, and sends a datagram, as the user; before, under and after the
    // rules.
    let script = format!(
        r#"ip link set lo up
probe='
import socket, sys
def tcp(port):
    s = socket.socket(); s.settimeout(5)
    try: s.connect(("127.0.0.1", port)); return "open"
    except OSError: return "shut"
def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1)
    try: s.sendto(b"x", ("127.0.0.1", port)); s.recv(1); return "open"
    except OSError: return "shut"
print(tcp(3128), tcp(4000), udp(4000))
'
serve='
import socket, threading
def tcp(port):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", port)); s.listen(8); return s
a, b = tcp(3128), tcp(4000)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 4000))
print("ready", flush=True)
while True:
    d, who = u.recvfrom(9); u.sendto(d, who)
'
ready=$(mktemp -u); mkfifo "$ready"
/usr/bin/python3 -c "$serve" > "$ready" & server=$!
trap 'kill $server; rm -f "$ready"' EXIT
read word < "$ready"
as_user() {{ setpriv --reuid ${{1:-12345}} --regid 12345 --clear-groups /usr/bin/python3 -c "$probe"; }}
as_user
nft -f - <<'NFT'
{rules}
NFT
nft -f - <<'NFT'
{rules}
NFT
as_user
as_user 200003
nft -j list table inet seawall_egress
nft flush chain inet seawall_egress held
nft -j list table inet seawall_egress
nft -f - <<'NFT'
{removal}
NFT
as_user
"#,
        removal = Enforcement::removal(),
    );
    let output = in_namespace(&script).expect("the script failed");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[0], "open open open", "{output}");
    assert_eq!(lines[1], "open shut shut", "{output}");
    // An id that the user may take on.
    assert_eq!(lines[2], "open shut shut", "{output}");
    let found = state(lines[3]).unwrap();
    assert!(found.holds && found.allowed > 0 && found.around >= 2, "{output}");
    assert!(!state(lines[4]).unwrap().holds, "{output}");
    assert_eq!(lines[5], "open open open", "{output}");
}
