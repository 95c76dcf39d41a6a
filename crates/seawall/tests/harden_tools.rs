//! Pieces for the host at work: sshd, ufw, nginx, Caddy, WireGuard's rules, systemd's users and logs
//! are the real ones, in namespaces and folders of their own. What is not installed here is skipped
//! and said; `cargo xtask setup` installs it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Lab {
    _dir: tempfile::TempDir,
    root: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // sshd and nginx become other users, who have to get here.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = dir.path().canonicalize().unwrap();
        let lab = Self { _dir: dir, root };
        lab.write("home/.openclaw/openclaw.json", "{ gateway: { port: 18789 } }");
        lab
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap()
    }

    fn program(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.root.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn environment(&self, command: &mut Command) {
        command
            .env_remove("SSH_CONNECTION")
            .env_remove("SSH_AUTH_SOCK")
            .env_remove("SUDO_USER")
            .env("NO_PROXY", "*")
            .env("USER", "root")
            .env("LOGNAME", "root")
            .env("HOME", self.root.join("home"))
            .env("SEAWALL_HOME", self.root.join("seawall"));
    }

    fn harden(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        self.environment(&mut command);
        command.arg("harden").args(arguments).output().unwrap()
    }

    /// Runs a script in namespaces of its own, with the lab's paths in it.
    fn inside(&self, kind: &str, script: &str) -> Output {
        let seawall = format!(
            "env HOME={0}/home SEAWALL_HOME={0}/seawall {1} harden",
            self.root.display(),
            env!("CARGO_BIN_EXE_seawall")
        );
        let script =
            script.replace("SEAWALL", &seawall).replace("ROOT", &self.root.display().to_string());
        let mut command = Command::new("unshare");
        self.environment(&mut command);
        let script = format!("PATH=$PATH:/usr/sbin:/sbin\nip link set lo up\n{script}");
        command.args([kind, "sh", "-ec", &script]).output().unwrap()
    }

    fn good(&self, kind: &str, script: &str) -> String {
        let output = self.inside(kind, script);
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        text
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn here(programs: &[&str]) -> bool {
    let missing: Vec<&&str> = programs
        .iter()
        .filter(|program| {
            !["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .iter()
                .any(|dir| Path::new(dir).join(program).exists())
        })
        .collect();
    if !missing.is_empty() {
        println!("skipped: not installed: {missing:?}");
    }
    missing.is_empty()
}

fn root() -> bool {
    let root = rustix::process::getuid().is_root();
    if !root {
        println!("skipped: needs root");
    }
    let got = Command::new("unshare").args(["-n", "true"]).status().is_ok_and(|s| s.success());
    if root && !got {
        println!("skipped: no network namespace");
    }
    root && got
}

/// The first option of `unshare` that gives a network of one's own.
fn network() -> Option<&'static str> {
    let got = ["-n", "-rn"].into_iter().find(|kind| {
        Command::new("unshare")
            .args([kind, "ip", "link", "set", "lo", "up"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if got.is_none() {
        println!("skipped: no network namespace");
    }
    got
}

/// An sshd that takes passwords and the keys in a folder of the lab.
fn sshd_lab(extra: &str) -> Lab {
    let lab = Lab::new();
    lab.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n");
    lab.write(
        "etc/ssh/sshd_config",
        &format!(
            "Include {0}/etc/ssh/sshd_config.d/*.conf\nPort 2022\nListenAddress 10.9.0.1\nHostKey {0}/host\nPidFile {0}/sshd.pid\nPermitRootLogin yes\nPasswordAuthentication yes\nUsePAM no\nStrictModes no\nAuthorizedKeysFile {0}/keys/%u\n{extra}",
            lab.root.display()
        ),
    );
    fs::create_dir_all(lab.root.join("etc/ssh/sshd_config.d")).unwrap();
    fs::create_dir_all(lab.root.join("keys")).unwrap();
    for name in ["host", "mine", "other"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f", &lab.path(name)])
            .status();
        assert!(made.unwrap().success());
    }
    fs::copy(lab.root.join("mine.pub"), lab.root.join("keys/root")).unwrap();
    lab.program(
        "reload",
        &format!("#!/bin/sh\nkill -HUP $(cat {}/sshd.pid)\n", lab.root.display()),
    );
    lab
}

const SSHD: &str = "host sshd --apply --yes --root ROOT --activate ROOT/reload --confirm-within 60";

/// An operator who is logged in with a key closes the door to passwords: the login is tried with
/// this very key from this very address, passwords are refused from then on, and only a second
/// connection keeps it so.
#[test]
fn sshd_takes_keys_only_and_the_operator_stays_in() {
    if !root() || !here(&["sshd", "ssh", "ssh-agent", "ip"]) {
        return;
    }
    let lab = sshd_lab("");
    let said = lab.good(
        "-n",
        &r#"
ip addr add 10.9.0.1/32 dev lo; ip addr add 10.9.0.2/32 dev lo
mkdir -p /run/sshd
/usr/sbin/sshd -D -e -f ROOT/etc/ssh/sshd_config 2>ROOT/log & sshd=$!
eval "$(ssh-agent -s)" >/dev/null; trap 'kill $sshd $SSH_AGENT_PID' EXIT
ssh-add -q ROOT/mine
until grep -q listening ROOT/log; do kill -0 $sshd; sleep 0.05; done
OPTIONS="-F none -A -p 2022 -b 10.9.0.2 -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -l root 10.9.0.1"
methods() { ssh -v -o PreferredAuthentications=none $OPTIONS true 2>&1 | grep -m1 'can continue' || true; }
echo "before: $(ssh -v -F none -p 2022 -b 10.9.0.2 -o BatchMode=yes -o PreferredAuthentications=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -l root 10.9.0.1 true 2>&1 | grep -m1 'can continue')"
RUN=$(ssh $OPTIONS "SSHD_COMMAND --json" 2>ROOT/said | sed 's/.*"run":"\([0-9-]*\)".*/\1/') || true
cat ROOT/said
until ! ssh -v -F none -p 2022 -b 10.9.0.2 -o BatchMode=yes -o PreferredAuthentications=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -l root 10.9.0.1 true 2>&1 | grep 'can continue' | grep -q password; do sleep 0.1; done
echo passwords are gone
ssh $OPTIONS "SEAWALL confirm $RUN"
ssh $OPTIONS "SEAWALL history"
ssh $OPTIONS "SEAWALL rollback $RUN"
until ssh -v -F none -p 2022 -b 10.9.0.2 -o BatchMode=yes -o PreferredAuthentications=none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -l root 10.9.0.1 true 2>&1 | grep 'can continue' | grep -q password; do sleep 0.1; done
echo as before
"#
        .replace("SSHD_COMMAND", &format!("SEAWALL {SSHD}")),
    );
    let before = said.lines().find(|line| line.starts_with("before:")).unwrap();
    assert!(before.contains("publickey") && before.contains("password"), "{before}");
    assert!(said.contains("the port, the address, the user and the key of this session"), "{said}");
    assert!(said.contains("passwords are gone") && said.contains("in force\n"), "{said}");
    assert!(said.contains("as before"), "{said}");
}

/// What `sshd -T` does not show: a block for this address, a list without this user, a key that is
/// not listed. Each would lock the operator out; nothing is changed.
#[test]
fn who_would_be_locked_out_changes_nothing() {
    if !root() || !here(&["sshd", "ssh", "ssh-agent", "ip"]) {
        return;
    }
    let apply = |lab: &Lab, agent: bool| {
        let agent = if agent {
            "eval \"$(ssh-agent -s)\" >/dev/null; trap 'kill $SSH_AGENT_PID' EXIT; ssh-add -q ROOT/other\n"
        } else {
            ""
        };
        let script = format!(
            "{agent}export SSH_CONNECTION='10.9.0.2 5 10.9.0.1 2022'\nSEAWALL {}",
            SSHD.replace("ROOT/reload", "true")
        );
        text(&lab.inside("-n", &script))
    };
    let closed = [
        (
            "Match Address 10.9.0.2\nPubkeyAuthentication no\n",
            false,
            "would not get in on port 2022",
        ),
        ("AllowUsers nobody\n", false, "not allowed"),
        ("Match LocalPort 2022\nAuthenticationMethods password\n", false, "would not get in"),
        ("", true, "with the keys of this session's agent"),
    ];
    for (extra, agent, word) in closed {
        let lab = sshd_lab(extra);
        let said = apply(&lab, agent);
        assert!(said.contains("nothing was changed") && said.contains(word), "{extra}: {said}");
        assert_eq!(fs::read_dir(lab.root.join("etc/ssh/sshd_config.d")).unwrap().count(), 0);
    }
    // None of that: it is done.
    let lab = sshd_lab("");
    let said = apply(&lab, false);
    assert!(said.contains("the port, the address and the user of this session"), "{said}");
    assert!(said.contains("In force for 60 seconds"), "{said}");
}

/// ufw with its own files in place of the host's.
const UFW: &str = r#"
mkdir ROOT/ufw ROOT/before; cp -a /etc/ufw/. ROOT/ufw; cp -a /etc/default/ufw ROOT/default
sed -i 's/^ENABLED=.*/ENABLED=no/' ROOT/ufw/ufw.conf
mount --bind ROOT/ufw /etc/ufw; mount --bind ROOT/default /etc/default/ufw
cp -a /etc/ufw/. ROOT/before; cp -a /etc/default/ufw ROOT/before.default
same() { diff -r ROOT/before /etc/ufw && diff ROOT/before.default /etc/default/ufw; }
export SSH_CONNECTION='192.0.2.9 5 192.0.2.1 2022'
"#;

#[test]
fn ufw_that_nobody_confirms_goes_back_to_the_byte() {
    if !root() || !here(&["ufw", "nft", "ip"]) {
        return;
    }
    let lab = Lab::new();
    let said = lab.good(
        "-mn",
        &format!(
            "{UFW}SEAWALL host ufw --apply --yes --root /.. --confirm-within 20\nufw status verbose\n\
             until ufw status | grep -q inactive; do sleep 0.2; done\n\
             until SEAWALL history | grep -q undone; do sleep 0.2; done\nsame\nSEAWALL history"
        ),
    );
    assert!(said.contains("Status: active"), "{said}");
    assert!(said.contains("Default: deny (incoming), allow (outgoing)"), "{said}");
    assert!(said.contains("192.0.2.9") && said.contains("2022/tcp"), "{said}");
    assert!(said.contains("undone: nobody confirmed it in time"), "{said}");
}

#[test]
fn a_confirmed_ufw_stays_and_is_rolled_back_to_the_byte() {
    if !root() || !here(&["ufw", "nft", "ip"]) {
        return;
    }
    let lab = Lab::new();
    let said = lab.good(
        "-mn",
        &format!(
            "{UFW}ID=$(SEAWALL host ufw --apply --yes --json | sed 's/.*\"run\":\"\\([0-9-]*\\)\".*/\\1/')\n\
             SEAWALL confirm $ID 2>&1 && exit 1 || true\n\
             export SSH_CONNECTION='192.0.2.9 6 192.0.2.1 2022'\nSEAWALL confirm $ID\n\
             ufw status | head -1\nSEAWALL rollback $ID\nsame\nufw status"
        ),
    );
    assert!(said.contains("this is the connection that was there before"), "{said}");
    assert!(said.contains("Status: active") && said.contains("Status: inactive"), "{said}");
}

/// An authority, a server's and a client's certificate, and one of somebody else.
fn certificates(lab: &Lab) {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(&lab.root).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    for (ca, names) in [("ca", &["server", "client"][..]), ("elsewhere", &["stranger"][..])] {
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            &format!("/CN={ca}"),
            "-keyout",
            &format!("{ca}.key"),
            "-out",
            &format!("{ca}.pem"),
        ]);
        for name in names {
            lab.write(&format!("{name}.ext"), "subjectAltName=DNS:claw.test\n");
            openssl(&[
                "req",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-subj",
                &format!("/CN={name}"),
                "-keyout",
                &format!("{name}.key"),
                "-out",
                &format!("{name}.csr"),
            ]);
            openssl(&[
                "x509",
                "-req",
                "-in",
                &format!("{name}.csr"),
                "-CA",
                &format!("{ca}.pem"),
                "-CAkey",
                &format!("{ca}.key"),
                "-CAcreateserial",
                "-extfile",
                &format!("{name}.ext"),
                "-out",
                &format!("{name}.pem"),
            ]);
        }
    }
}

/// Says which headers arrived.
const BACKEND: &str = "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n  def do_GET(s):\n    b=str(s.headers).encode()\n    s.send_response(200); s.send_header('Content-Length',str(len(b))); s.end_headers(); s.wfile.write(b)\n  def log_message(s,*a): pass\nhttp.server.HTTPServer(('127.0.0.1',18789),H).serve_forever()\n";

/// A reverse proxy at work: no certificate, or one of somebody else, gets nobody in; who gets in
/// cannot say that they are somebody else.
fn proxy(piece: &str, main: &str, start: &str) {
    let Some(kind) = network() else { return };
    let lab = Lab::new();
    certificates(&lab);
    lab.write("backend.py", BACKEND);
    let paths = [lab.path("server.pem"), lab.path("server.key"), lab.path("ca.pem")];
    let host = [
        "host",
        piece,
        "--name",
        "claw.test",
        "--certificate",
        &paths[0],
        "--key",
        &paths[1],
        "--clients",
        &paths[2],
    ];
    let checked = lab.harden(&host);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.contains("checked with"), "{said}");
    let root = lab.root.to_string_lossy().into_owned();
    let mut apply = host.to_vec();
    apply.extend(["--apply", "--yes", "--root", &root, "--activate", "true"]);
    assert!(lab.harden(&apply).status.success(), "{}", text(&lab.harden(&apply)));
    lab.write("main.conf", &main.replace("ROOT", &root));
    let said = lab.good(
        kind,
        &format!(
            r#"
python3 ROOT/backend.py & backend=$!
{start} & proxy=$!
trap 'kill $proxy $backend' EXIT
until curl -s -o /dev/null http://127.0.0.1:18789/; do kill -0 $backend; sleep 0.05; done
CURL="curl -s --resolve claw.test:443:127.0.0.1 --cacert ROOT/ca.pem"
until $CURL --cert ROOT/client.pem --key ROOT/client.key https://claw.test/ >/dev/null; do kill -0 $proxy; sleep 0.05; done
echo "none: $($CURL -o /dev/null -w '%{{http_code}}' https://claw.test/ || true)"
echo "stranger: $($CURL -o /dev/null -w '%{{http_code}}' --cert ROOT/stranger.pem --key ROOT/stranger.key https://claw.test/ || true)"
echo "client: $($CURL --cert ROOT/client.pem --key ROOT/client.key -H 'X-Forwarded-For: 6.6.6.6' -H 'X-Forwarded-User: root' -H 'X-Real-IP: 6.6.6.6' -H 'Forwarded: for=6.6.6.6' https://claw.test/)"
"#
        ),
    );
    for who in ["none", "stranger"] {
        let code = said.lines().find_map(|line| line.strip_prefix(&format!("{who}: "))).unwrap();
        assert!(["400", "000"].contains(&code), "{who}: {said}");
    }
    assert!(said.contains("X-Forwarded-For: 127.0.0.1"), "{said}");
    assert!(said.contains("CN=client") && !said.contains("6.6.6.6"), "{said}");
    assert!(!said.contains("X-Forwarded-User: root"), "{said}");
}

#[test]
fn nginx_lets_only_listed_certificates_through() {
    if here(&["nginx", "openssl", "curl", "python3"]) {
        proxy(
            "nginx",
            "daemon off;\nuser root;\npid ROOT/pid;\nerror_log ROOT/error.log;\nevents {}\nhttp {\n\taccess_log off;\n\tinclude ROOT/etc/nginx/conf.d/*.conf;\n}\n",
            "nginx -c ROOT/main.conf",
        );
    }
}

#[test]
fn caddy_lets_only_listed_certificates_through() {
    if here(&["caddy", "openssl", "curl", "python3"]) {
        proxy(
            "caddy",
            "{\n\tadmin off\n\tauto_https disable_redirects\n}\nimport ROOT/etc/caddy/seawall.caddy\n",
            "env XDG_DATA_HOME=ROOT/data XDG_CONFIG_HOME=ROOT/config caddy run --adapter caddyfile --config ROOT/main.conf >ROOT/caddy.log 2>&1",
        );
    }
}

/// The tunnel's rules on an interface that stands in for WireGuard's own, which this kernel may not
/// have: the gateway's port is reached through it, no other port, and no other loopback address.
#[test]
fn the_tunnel_reaches_the_gateway_and_nothing_else() {
    if !root() || !here(&["nft", "ip", "curl", "python3", "wg-quick"]) {
        return;
    }
    let lab = Lab::new();
    lab.write("backend.py", BACKEND);
    lab.write("other.py", &BACKEND.replace("127.0.0.1", "0.0.0.0").replace("18789", "9999"));
    let root = lab.root.to_string_lossy().into_owned();
    let key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
    let output =
        lab.harden(&["host", "wireguard", "--apply", "--yes", "--root", &root, "--peer", key]);
    assert!(output.status.success(), "{}", text(&output));
    let made = lab.read("etc/wireguard/seawall0.conf");
    assert!(made.contains(key) && made.contains("AllowedIPs = 10.86.0.2/32"), "{made}");
    let mode = fs::metadata(lab.root.join("etc/wireguard/seawall0.conf")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let said = lab.good(
        "-n",
        r#"
unshare -n sleep 30 & other=$!
python3 ROOT/backend.py & a=$!
python3 ROOT/other.py & b=$!
trap 'kill $other $a $b' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
ip link add seawall0 type veth peer name peer0 netns $other
ip addr add 10.86.0.1/24 dev seawall0; ip link set seawall0 up
AWAY="nsenter -n -t $other"
$AWAY ip link set lo up; $AWAY ip addr add 10.86.0.2/24 dev peer0; $AWAY ip link set peer0 up
$AWAY ip route add 127.0.0.5/32 dev peer0 2>/dev/null || true
CURL="$AWAY curl -s -m 2 -o /dev/null -w %{http_code}"
until curl -s -o /dev/null http://127.0.0.1:9999/ && curl -s -o /dev/null http://127.0.0.1:18789/; do sleep 0.05; done
echo "before other: $($CURL http://10.86.0.1:9999/ || true)"
echo "before gateway: $($CURL http://10.86.0.1:18789/ || true)"
sh -ec "$(sed -n 's/^PostUp = sysctl/sysctl/p; s/^PostUp = nft/nft/p' ROOT/etc/wireguard/seawall0.conf | sed 's/%i/seawall0/; s,/etc/wireguard,ROOT/etc/wireguard,')"
echo "after other: $($CURL http://10.86.0.1:9999/ || true)"
echo "after gateway: $($CURL http://10.86.0.1:18789/ || true)"
"#,
    );
    for line in
        ["before other: 200", "before gateway: 000", "after other: 000", "after gateway: 200"]
    {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn a_user_is_made_and_unmade() {
    if !rustix::process::getuid().is_root()
        || !here(&["systemd-sysusers", "systemd-tmpfiles", "userdel"])
    {
        println!("skipped: needs root and systemd's tools");
        return;
    }
    let lab = Lab::new();
    let root = lab.root.to_string_lossy().into_owned();
    fs::create_dir_all(lab.root.join("etc")).unwrap();
    let output = lab.harden(&["host", "user", "--apply", "--yes", "--root", &root]);
    assert!(output.status.success(), "{}", text(&output));
    let line = lab.read("etc/passwd");
    let line = line.lines().find(|line| line.starts_with("openclaw:")).unwrap();
    assert!(line.ends_with(":/var/lib/openclaw:/usr/sbin/nologin"), "{line}");
    assert!(lab.read("etc/shadow").contains("openclaw:!"), "no password");
    let home = fs::metadata(lab.root.join("var/lib/openclaw")).unwrap();
    assert_eq!((home.mode() & 0o777, home.uid() > 0), (0o700, true));
    let output = lab.harden(&["rollback"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(!lab.read("etc/passwd").contains("openclaw"));
    assert!(!lab.root.join("var/lib/openclaw").exists());
    assert!(!lab.root.join("etc/sysusers.d").exists());
}

#[test]
fn logs_are_rotated_and_stay_private() {
    if !root() || !here(&["logrotate", "gzip"]) {
        return;
    }
    let lab = Lab::new();
    let root = lab.root.to_string_lossy().into_owned();
    lab.write("logs/openclaw-1.log", "first\n");
    fs::set_permissions(lab.root.join("logs"), fs::Permissions::from_mode(0o700)).unwrap();
    let log = lab.path("logs/openclaw-*.log");
    let unknown =
        lab.harden(&["host", "logrotate", "--log", &log, "--user", "nobody-of-that-name"]);
    assert!(text(&unknown).contains("the user does not exist yet"), "{}", text(&unknown));
    let arguments =
        ["host", "logrotate", "--log", &log, "--user", "root", "--apply", "--yes", "--root", &root];
    let output = lab.harden(&arguments);
    assert!(output.status.success(), "{}", text(&output));
    let rule = lab.path("etc/logrotate.d/seawall-openclaw");
    let forced = Command::new("logrotate").args(["-f", "-s", &lab.path("state"), &rule]).output();
    let forced = forced.unwrap();
    assert!(forced.status.success(), "{}", text(&forced));
    assert_eq!(lab.read("logs/openclaw-1.log"), "");
    let kept: Vec<PathBuf> = fs::read_dir(lab.root.join("logs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("openclaw-1.log"))
        .collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "first\n");
}

/// How open systemd finds a service to be, from 0 (closed) to 10.
fn exposure(unit: &Path) -> f32 {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(unit)
        .output()
        .unwrap();
    let said = text(&output);
    let line = said
        .lines()
        .find(|line| line.contains("Overall exposure"))
        .unwrap_or_else(|| panic!("{said}"));
    let number = line.split(": ").nth(1).unwrap().split(' ').next().unwrap();
    number.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn units_are_closed_by_systemds_own_judgement() {
    if !here(&["systemd-analyze"]) {
        return;
    }
    let lab = Lab::new();
    let printed = |arguments: &[&str]| {
        let output = lab.harden(arguments);
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    lab.write("bare/claw.service", "[Service]\nExecStart=/bin/true\n");
    lab.write("closed/claw.service", "[Service]\nExecStart=/bin/true\n");
    lab.write(
        "closed/claw.service.d/50-seawall.conf",
        &printed(&["host", "systemd", "--user", "nobody"]),
    );
    let bare = exposure(&lab.root.join("bare/claw.service"));
    // Drop-ins of a file by path are not read: their settings follow the unit's own.
    let both = lab.read("closed/claw.service") + &lab.read("closed/claw.service.d/50-seawall.conf");
    lab.write("merged/claw.service", &both);
    let closed = exposure(&lab.root.join("merged/claw.service"));
    let reminder = printed(&["host", "reminder"]);
    let service =
        reminder.split("####").find(|part| part.contains("seawall-rotation.service\n")).unwrap();
    let service = service.split_once('\n').unwrap().1;
    lab.write("reminder/seawall-rotation.service", service);
    let reminder = exposure(&lab.root.join("reminder/seawall-rotation.service"));
    println!("exposure: bare {bare}, gateway {closed}, reminder {reminder}");
    assert!(bare > 9.0 && closed < 2.5 && reminder < 3.0, "{bare} {closed} {reminder}");
}

#[test]
fn a_compose_override_is_checked_together_with_its_file() {
    let lab = Lab::new();
    let base = "services:\n  claw:\n    image: openclaw\n    ports: [\"18789:18789\"]\n    volumes: [\"/home/ada:/host\"]\n";
    lab.write("docker-compose.yml", base);
    let file = lab.path("docker-compose.yml");
    let output = lab.harden(&["host", "compose", "--service", "claw", "--compose-file", &file]);
    let said = text(&output);
    if said.contains("NOT checked") {
        println!("skipped: no Compose");
        return;
    }
    assert!(output.status.success() && said.contains("checked with docker"), "{said}");
    let output = lab.harden(&["host", "compose", "--service", "other", "--compose-file", &file]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "a service without an image is found: {}",
        text(&output)
    );
    let output = lab.harden(&[
        "host",
        "compose",
        "--service",
        "claw",
        "--compose-file",
        &file,
        "--apply",
        "--yes",
    ]);
    assert!(output.status.success(), "{}", text(&output));
    let made = lab.read("compose.seawall.yml");
    assert!(made.contains("read_only: true") && made.contains("ports: !override"), "{made}");
    assert!(lab.harden(&["rollback"]).status.success());
    assert!(!lab.root.join("compose.seawall.yml").exists());
    assert_eq!(lab.read("docker-compose.yml"), base);
}
