//! Jails on the real kernel: what they hold, how they end, and what they leave behind.
//!
//! A program of its own, because a jail's processes start from the program that makes them. As
//! root the whole suite runs twice: as root and as an ordinary user.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test program"
)]

#[path = "confine/verdict.rs"]
mod verdict;

use seawall_sandbox::attempt::{ATTEMPTS, Outcome, Targets};
use seawall_sandbox::launch::{Launcher, TicketBook, Tickets};
use seawall_sandbox::plan::{RunPlan, run_plan};
use seawall_sandbox::probe::attempt_spec;
use seawall_sandbox::spec::{Access, Limits, Mount};
use seawall_sandbox::{Exit, Jail, JailIo, JailSpec, Own};
use std::fs::File;
use std::io::{BufRead as _, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

type Case = (&'static str, fn(&World));

const CASES: &[Case] = &[
    ("every way out works without a jail and is held inside", ways_out),
    ("a forked launcher leaves nothing of itself in the jail", forked),
    ("a program's end is told as it was", exits),
    ("what a program leaves running ends with it", background),
    ("a dropped jail is gone", dropped),
    ("a launcher that is killed takes its jails along", killed_launcher),
    ("a request to stop is followed by a kill", stop),
    ("the environment is exactly that of the plan", environment),
    ("files keep their owner on the host", owners),
    ("what acts on the workspace from outside is held", hooks),
    ("memory is held unless the verdict names it", held_memory),
    ("a call with all its paths named does its ordinary work", verdict::ordinary),
    ("skills are mounted inside of what is narrowed", verdict::mounts_inside),
    ("what a call does beyond its verdict fails and is told", verdict::beyond),
    ("what Git on the host obeys is held in every layout", verdict::repositories),
    ("what is replaced outside is held again", verdict::replaced),
    ("what is told is bounded", verdict::bounded),
    ("what is looked at goes on", verdict::under_way),
    ("a process that restricts itself keeps its own folder and nothing else", restricted),
    ("a signal to every process leaves the jail to its launcher", signalled),
    ("a link put in place of a file is refused", swapped),
    ("a mount that was passed over leaves nothing", missing_source),
    ("memory folders are bounded in bytes and files", full),
    ("processes are bounded", processes),
    ("memory is bounded", memory),
    ("time is bounded", wall),
    ("the egress listener is reached from inside", egress),
    ("a failure names the step and the path", failure),
    ("a ticket starts one run, once", tickets),
    ("a client that goes away takes its run along", client_gone),
    ("a client's files and environment do not get in", client_clean),
    ("a host with less says what is off", lacking),
    ("sockets of the host are out of reach", sockets),
    ("a first process that is held up is ended from outside", stuck),
    ("nothing is left behind", leaks),
];

struct World {
    dir: PathBuf,
    exe: PathBuf,
    root: bool,
}

impl World {
    /// A fresh folder for one case.
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

fn main() -> ExitCode {
    seawall_sandbox::early_main();
    let args: Vec<String> = std::env::args().collect();
    if args.get(1).is_some_and(|a| a == "client") {
        return match seawall_sandbox::launch::start(Path::new(&args[2]), &args[3]) {
            Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(255)),
            Err(reason) => {
                eprintln!("{reason}");
                ExitCode::from(125)
            }
        };
    }
    if args.get(1).is_some_and(|a| a == "hold") {
        let dir = PathBuf::from(&args[2]);
        let world = World { dir, exe: PathBuf::new(), root: false };
        let script = "echo on; sleep 600 & sleep 600";
        let mut jail =
            Jail::spawn(&spec(&world, &["/bin/sh", "-c", script]), JailIo::own().unwrap()).unwrap();
        jail.wait();
        return ExitCode::SUCCESS;
    }
    if args.get(1).is_some_and(|a| a == "own") {
        return own(Path::new(&args[2]));
    }
    if args.get(1).is_some_and(|a| a == "lacking") {
        return probe_without(&args[2]);
    }
    if args.iter().any(|a| a == "--list") {
        for (name, _) in CASES {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        let mut filters = args.iter().skip(1).filter(|a| !a.starts_with("--")).peekable();
        filters.peek().is_none() || filters.any(|f| name.contains(f.as_str()))
    };
    let root = rustix::process::geteuid().is_root();
    let temporary = tempfile::tempdir().unwrap();
    std::fs::set_permissions(temporary.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let dir = std::fs::canonicalize(temporary.path()).unwrap();
    let world = World { dir: dir.clone(), exe: std::env::current_exe().unwrap(), root };
    if let Err(reason) = can_run(&world) {
        println!("skipped: this host has no jails for this user: {reason}");
        return ExitCode::SUCCESS;
    }
    let mut failed = 0;
    for (name, case) in CASES.iter().filter(|(name, _)| wanted(name)) {
        let start = Instant::now();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&world)));
        let who = if root { "root" } else { "user" };
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test [{who}] {name} ... {word} ({:?})", start.elapsed());
        failed += usize::from(result.is_err());
    }
    if root && !args.iter().any(|a| a == "--root-only") {
        // The program is copied to where the other user can run it.
        let copy = dir.join("confine");
        std::fs::copy(&world.exe, &copy).unwrap();
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
        let home = dir.join("user");
        std::fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(64_321), Some(64_321)).unwrap();
        let status = Command::new(&copy)
            .args(args.iter().skip(1))
            .uid(64_321)
            .gid(64_321)
            .env("TMPDIR", &home)
            .status()
            .unwrap();
        failed += usize::from(!status.success());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn can_run(world: &World) -> Result<(), String> {
    Jail::spawn(&spec(world, &["/bin/true"]), JailIo::default())
        .map(|mut jail| {
            jail.wait();
        })
        .map_err(|e| e.to_string())
}

fn plan(world: &World, argv: &[&str]) -> RunPlan {
    RunPlan {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        workspace: Some((world.folder("workspace").to_str().unwrap().into(), Access::Rw)),
        ..RunPlan::default()
    }
}

fn spec(world: &World, argv: &[&str]) -> JailSpec {
    run_plan(&plan(world, argv)).unwrap()
}

fn pipe() -> (File, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (File::from(read), write)
}

type Start = fn(&JailSpec, JailIo) -> Result<Jail, seawall_sandbox::JailError>;

/// Runs to the end; returns how it ended and what it wrote to both streams.
fn run(spec: &JailSpec) -> (Exit, String) {
    run_by(Jail::spawn, spec)
}

fn run_by(start: Start, spec: &JailSpec) -> (Exit, String) {
    let (mut read, write) = pipe();
    let io = JailIo {
        stderr: Some(write.try_clone().unwrap()),
        stdout: Some(write),
        ..JailIo::default()
    };
    let mut jail = start(spec, io).unwrap();
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    (jail.wait(), text)
}

fn shell(world: &World, script: &str) -> (Exit, String) {
    run(&spec(world, &["/bin/sh", "-c", script]))
}

fn ways_out(world: &World) {
    let dir = world.folder("ways");
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let workspace = dir.join("workspace");
    std::fs::create_dir_all(workspace.join(".agents/skills")).unwrap();
    std::fs::write(workspace.join("SOUL.md"), "soul").unwrap();
    std::fs::write(dir.join("secret"), "secret").unwrap();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let _unix = std::os::unix::net::UnixListener::bind(dir.join("socket")).unwrap();
    let name = format!("seawall-test-{}", std::process::id());
    let address = {
        use std::os::linux::net::SocketAddrExt as _;
        std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap()
    };
    let _abstract = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let mut victim = Command::new("/bin/sleep").arg("600").spawn().unwrap();
    // Kept across exec on purpose: what a launcher forgot to close.
    let _forgotten = rustix::io::dup(File::open(dir.join("secret")).unwrap()).unwrap();

    let bare = Targets {
        tcp: tcp.local_addr().unwrap().port(),
        udp: udp.local_addr().unwrap().port(),
        abstract_socket: name,
        socket: text(&dir.join("socket")),
        secret: text(&dir.join("secret")),
        read_only: text(&workspace.join("SOUL.md")),
        writable: text(&workspace),
        pinned: text(&workspace.join(".agents")),
        pid: i32::try_from(victim.id()).unwrap(),
        comm: "sleep".into(),
    };
    let output = Command::new(&world.exe)
        .args(["__attempt", "[]", &serde_json::to_string(&bare).unwrap()])
        .output()
        .unwrap();
    let without: Vec<Outcome> = serde_json::from_slice(&output.stdout).unwrap();
    std::fs::write(workspace.join("SOUL.md"), "soul").unwrap();
    let _left = std::fs::remove_file(workspace.join("hard"));

    let inside = Targets {
        read_only: "/workspace/SOUL.md".into(),
        writable: "/workspace".into(),
        pinned: "/workspace/.agents".into(),
        ..bare
    };
    let spec = attempt_spec(&[], &inside, &text(&workspace)).unwrap();
    let attempts = |start: Start| -> Vec<Outcome> {
        let (exit, report) = run_by(start, &spec);
        serde_json::from_str(&report).unwrap_or_else(|e| panic!("{e} ({exit:?}): {report}"))
    };
    for outcome in attempts(Jail::spawn_here) {
        assert!(!outcome.landed, "{} got out of a jail that was forked", outcome.name);
    }
    std::fs::write(workspace.join("SOUL.md"), "soul").unwrap();
    let _left = std::fs::remove_file(workspace.join("hard"));
    let within = attempts(Jail::spawn);
    victim.kill().unwrap();
    victim.wait().unwrap();

    let mut proven = 0;
    for (attempt, (bare, held)) in ATTEMPTS.iter().zip(without.iter().zip(&within)) {
        assert!(!held.landed, "{} got out", attempt.name);
        if bare.landed {
            proven += 1;
            println!("  {}: works bare; inside: {}", attempt.name, held.said);
        } else {
            let root = if attempt.needs_root && !world.root { " (needs root)" } else { "" };
            println!("  skipped: {}: does not work bare here{root}: {}", attempt.name, bare.said);
        }
    }
    assert_eq!(within.len(), ATTEMPTS.len());
    // Most of them work on any kernel with the usual features; a suite in which few do proves
    // nothing.
    assert!(proven >= if world.root { 35 } else { 18 }, "only {proven} work without a jail");
    assert_eq!(std::fs::read_to_string(workspace.join("SOUL.md")).unwrap(), "soul");
}

/// The jail's own processes are copies of this one: neither its environment nor what is open in
/// it may be there, though the program itself could not see them anyway.
fn forked(world: &World) {
    // Without control groups the launcher is the monitor itself; with them it forks one.
    for limits in [Limits::default(), Limits { pids: Some(100), ..Limits::default() }] {
        forked_with(world, limits);
    }
}

/// A socket in the workspace, behind which a program of the host listens: it is reached without a
/// jail and not inside, also when it was made anew meanwhile; one of the run's own is reached.
fn sockets(world: &World) {
    use std::os::unix::net::UnixListener;
    let workspace = world.folder("sockets");
    let path = workspace.join("app.sock");
    let service = UnixListener::bind(&path).unwrap();
    std::os::unix::net::UnixStream::connect(&path).unwrap();
    let script = "import socket, os, sys\n\
        def reach(path):\n\
        \x20try: socket.socket(socket.AF_UNIX).connect(path)\n\
        \x20except OSError as e: return e.strerror\n\
        \x20return 'reached'\n\
        own = socket.socket(socket.AF_UNIX); own.bind('/tmp/own.sock'); own.listen()\n\
        print(reach('app.sock'), '|', reach('/tmp/own.sock'), flush=True)\n\
        sys.stdin.readline(); print(reach('app.sock'))\n";
    for access in [Access::Rw, Access::Ro] {
        let ((read, write), (input, say)) = (pipe(), pipe());
        let mut say = File::from(say);
        let io = JailIo { stdin: Some(input.into()), stdout: Some(write), ..JailIo::default() };
        let plan = RunPlan {
            workspace: Some((workspace.to_str().unwrap().into(), access)),
            ..plan(world, &["/usr/bin/python3", "-c", script])
        };
        let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), io).unwrap();
        let mut lines = std::io::BufReader::new(read);
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "Connection refused | reached", "{access:?}");
        std::fs::remove_file(&path).unwrap();
        let _again = UnixListener::bind(&path).unwrap();
        while jail.take_renewed().is_empty() {
            assert_eq!(jail.wait_until(Some(Instant::now() + Duration::from_millis(50))), None);
        }
        say.write_all(b"\n").unwrap();
        line.clear();
        lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "Connection refused");
        assert_eq!(jail.wait(), Exit::Code(0));
    }
    drop(service);
}

/// Stopped from outside, as a program stands still that gets no processor time.
fn stuck(world: &World) {
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let plan = plan(world, &["/bin/sh", "-c", "echo on; exec sleep 600"]);
    let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), io).unwrap();
    read.read_exact(&mut [0u8; 3]).unwrap();
    let pid = jail.pid();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let init = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
    let init = rustix::process::Pid::from_raw(init.trim().parse().unwrap()).unwrap();
    rustix::process::kill_process(init, rustix::process::Signal::STOP).unwrap();
    let begun = Instant::now();
    jail.kill();
    jail.wait();
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    let gone = Instant::now();
    while Path::new(&format!("/proc/{pid}/exe")).exists() {
        assert!(gone.elapsed() < Duration::from_secs(5), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn forked_with(world: &World, limits: Limits) {
    let monitor_too = limits != Limits::default();
    let secret = File::open(&world.exe).unwrap();
    let _forgotten = rustix::io::dup(&secret).unwrap();
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let script = "echo on; cat /proc/1/environ /proc/1/mem; ls /proc/1/fd; sleep 600";
    let plan = RunPlan { limits, ..plan(world, &["/bin/sh", "-c", script]) };
    let mut jail = Jail::spawn_here(&run_plan(&plan).unwrap(), io).unwrap();
    let mut word = [0u8; 3];
    read.read_exact(&mut word).unwrap();
    if world.root {
        let of = |pid: &str, file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        let parent = |pid: &str| {
            let status = String::from_utf8(of(pid, "status")).unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("PPid:")).unwrap();
            line.trim().to_owned()
        };
        let init = parent(&jail.pid().to_string());
        let own = of("self", "environ");
        assert!(own.iter().any(|b| *b != 0), "this test needs an environment");
        let mut of_jail = vec![init.clone()];
        if monitor_too {
            of_jail.push(parent(&init));
        } else {
            assert_eq!(parent(&init), std::process::id().to_string());
        }
        for pid in of_jail {
            let arguments = String::from_utf8_lossy(&of(&pid, "cmdline")).into_owned();
            assert!(!arguments.contains("__jail"), "was not forked: {arguments}");
            assert!(of(&pid, "environ").iter().all(|b| *b == 0));
            for fd in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
                let target = std::fs::read_link(fd.unwrap().path()).unwrap();
                assert_ne!(target, world.exe);
            }
        }
    }
    jail.kill();
    assert_eq!(jail.wait_processes(), Exit::Signal(libc::SIGKILL));
    // The program held the pipe: when its end is told, it is gone.
    let mut rest = String::new();
    read.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

fn exits(world: &World) {
    assert_eq!(shell(world, "exit 7").0, Exit::Code(7));
    assert_eq!(shell(world, "kill -9 $$").0, Exit::Signal(9));
    assert_eq!(shell(world, "id -u; pwd").1, "1000\n/workspace\n");
}

fn background(world: &World) {
    let start = Instant::now();
    // The background process holds the pipe; reading ends when it is gone.
    let (exit, text) = shell(world, "sleep 600 & (setsid sleep 600 &) ; echo started");
    assert_eq!((exit, text.as_str()), (Exit::Code(0), "started\n"));
    assert!(start.elapsed() < Duration::from_secs(60));
}

fn dropped(world: &World) {
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let jail = Jail::spawn(&spec(world, &["/bin/sleep", "600"]), io).unwrap();
    assert!(jail.pid() > 0);
    drop(jail);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
}

fn killed_launcher(world: &World) {
    let mut launcher = Command::new(&world.exe)
        .arg("hold")
        .arg(&world.dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = launcher.stdout.take().unwrap();
    let mut word = [0u8; 3];
    out.read_exact(&mut word).unwrap();
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    // The jail's processes hold the other end.
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
}

/// What a process can do, one letter for each thing, before and after it has restricted itself.
fn own(dir: &Path) -> ExitCode {
    let parent = rustix::process::getppid().unwrap();
    let dir = dir.to_owned();
    let folder = dir.clone();
    let tries = move || {
        let dir = &folder;
        let yes = |done: bool, letter| if done { letter } else { '-' };
        let mut did = String::new();
        did.push(yes(std::fs::read(dir.join("other/secret")).is_ok(), 'r'));
        did.push(yes(std::fs::write(dir.join("other/new"), "x").is_ok(), 'w'));
        did.push(yes(Command::new("/bin/true").status().is_ok(), 'x'));
        did.push(yes(rustix::process::test_kill_process(parent).is_ok(), 'k'));
        did.push(yes(!rustix::thread::capabilities(None).unwrap().effective.is_empty(), 'c'));
        did.push(yes(std::fs::write(dir.join("own/file"), "x").is_ok(), 'o'));
        did.push(yes(std::fs::rename(dir.join("own/file"), dir.join("own/moved")).is_ok(), 'm'));
        did.push(yes(std::fs::read(dir.join("read/file")).is_ok(), 'f'));
        // A service's socket below what it may read, and the datagrams of a resolver.
        did.push(yes(std::os::unix::net::UnixStream::connect(dir.join("read/sock")).is_ok(), 'u'));
        did.push(yes(std::net::UdpSocket::bind("127.0.0.1:0").is_ok(), 'd'));
        did
    };
    let before = tries.clone()();
    let (own, read, none) = (dir.join("own"), dir.join("read"), dir.join("none"));
    let bind = |path: &Path, access| Mount::Bind {
        from: path.to_string_lossy().into_owned(),
        to: path.to_string_lossy().into_owned(),
        access,
        exec: false,
        own: false,
        optional: true,
    };
    let view = [bind(&own, Access::Rw), bind(&read, Access::Ro), bind(&none, Access::Ro)];
    let missing =
        seawall_sandbox::restrict(&Own { write: &[&own], view: &view, read: &[&read, &none] })
            .unwrap();
    let after = std::thread::spawn(tries);
    println!("{before} {} {}", after.join().unwrap(), missing.len());
    ExitCode::SUCCESS
}

fn restricted(world: &World) {
    let dir = world.folder("restricted");
    for name in ["own", "other", "read"] {
        std::fs::create_dir_all(dir.join(name)).unwrap();
        std::fs::write(dir.join(name).join("file"), "x").unwrap();
    }
    std::fs::write(dir.join("other/secret"), "x").unwrap();
    let _service = std::os::unix::net::UnixListener::bind(dir.join("read/sock")).unwrap();
    let output = Command::new(&world.exe).arg("own").arg(&dir).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut words = said.split_whitespace();
    let before = if world.root { "rwxkcomfud" } else { "rwxk-omfud" };
    assert_eq!(words.next(), Some(before), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let after = words.next().unwrap();
    if words.next() == Some("0") {
        assert_eq!(after, "-----omf-d");
    } else {
        println!("skipped in part: this kernel's Landlock is old: {after}");
        assert!(after.ends_with("-omf-d"), "{after}");
    }
}

fn signalled(world: &World) {
    for start in [Jail::spawn as Start, Jail::spawn_here] {
        let ((mut read, write), (tell, mut told)) = (pipe(), pipe());
        let io = JailIo { stdin: Some(tell.into()), stdout: Some(write), ..JailIo::default() };
        let script = "echo on; read word; echo $word";
        let mut jail = start(&spec(world, &["/bin/sh", "-c", script]), io).unwrap();
        let mut word = [0u8; 3];
        read.read_exact(&mut word).unwrap();
        // Up from the program to the process that this one started: what a terminal reaches.
        let mut pid = jail.pid().to_string();
        loop {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
            if parent == std::process::id().to_string() {
                break;
            }
            pid = parent.to_owned();
        }
        for signal in ["-INT", "-TERM", "-HUP"] {
            assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        }
        rustix::io::write(&mut told, b"there\n").unwrap();
        let mut rest = String::new();
        read.read_to_string(&mut rest).unwrap();
        assert_eq!((jail.wait(), rest.as_str()), (Exit::Code(0), "there\n"));
    }
}

fn stop(world: &World) {
    let stubborn = ["/bin/sh", "-c", "trap '' TERM; echo on; while :; do sleep 600; done"];
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let mut jail = Jail::spawn(&spec(world, &stubborn), io).unwrap();
    let mut word = [0u8; 3];
    read.read_exact(&mut word).unwrap();
    assert_eq!(jail.terminate(Duration::from_millis(100)), Exit::Signal(9));
    let polite = spec(world, &["/bin/sleep", "600"]);
    let mut jail = Jail::spawn(&polite, JailIo::default()).unwrap();
    assert_eq!(jail.terminate(Duration::from_secs(30)), Exit::Signal(15));
}

fn environment(world: &World) {
    let mut plan = plan(world, &["/usr/bin/env"]);
    plan.env.insert("A".into(), "b c".into());
    let (_, text) = run(&run_plan(&plan).unwrap());
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        ["A=b c", "HOME=/home/agent", "PATH=/usr/local/bin:/usr/bin:/bin", "TMPDIR=/tmp"]
    );
}

fn owners(world: &World) {
    let (_, text) = shell(
        world,
        "echo x > made && stat -c %u:%g made && ls -d / >/dev/null && cat /proc/self/uid_map",
    );
    let made = std::fs::metadata(world.dir.join("workspace/made")).unwrap();
    assert_eq!(made.uid(), rustix::process::geteuid().as_raw());
    assert!(text.starts_with("1000:1000\n"), "{text}");
    let outside: u32 = text.split_whitespace().nth(2).unwrap().parse().unwrap();
    assert!((outside != 0), "the program is root on the host");
}

fn hooks(world: &World) {
    let dir = world.folder("hooks");
    std::fs::create_dir_all(dir.join(".git/hooks")).unwrap();
    std::fs::write(dir.join(".git/config"), "[core]\n").unwrap();
    let mut plan = plan(
        world,
        &[
            "/bin/sh",
            "-c",
            "echo x > .git/hooks/post-checkout; echo x >> .git/config; mkdir skills/evil; mv .git g; mv .agents a; echo x > .git/HEAD && echo worked",
        ],
    );
    plan.workspace = Some((dir.to_str().unwrap().into(), Access::Rw));
    let (_, text) = run(&run_plan(&plan).unwrap());
    assert!(text.contains("worked"), "{text}");
    assert!(!dir.join(".git/hooks/post-checkout").exists() && !dir.join("skills/evil").exists());
    assert_eq!(std::fs::read_to_string(dir.join(".git/config")).unwrap(), "[core]\n");
    assert!(dir.join(".git").exists() && dir.join(".agents/skills").exists());
}

fn held_memory(world: &World) {
    let dir = world.folder("memory");
    std::fs::create_dir_all(dir.join("memory")).unwrap();
    std::fs::write(dir.join("MEMORY.md"), "mine\n").unwrap();
    // The owner's shell obeys it when they come here.
    std::fs::write(dir.join(".envrc"), "mine\n").unwrap();
    let script = "echo x >> MEMORY.md; echo x >> .envrc; rm .envrc; echo x > memory/day.md; mv MEMORY.md m; echo x > note; echo worked";
    let read = || std::fs::read_to_string(dir.join("MEMORY.md")).unwrap();
    let mut plan = plan(world, &["/bin/sh", "-c", script]);
    plan.workspace = Some((dir.to_str().unwrap().into(), Access::Rw));
    plan.hold_memory = true;
    assert!(run(&run_plan(&plan).unwrap()).1.contains("worked"));
    assert_eq!(read(), "mine\n");
    assert_eq!(std::fs::read_to_string(dir.join(".envrc")).unwrap(), "mine\n");
    assert!(!dir.join("memory/day.md").exists() && dir.join("note").exists());

    // What the verdict names is not held; skills are, whatever it names.
    plan.released = ["MEMORY.md".to_owned(), "skills".to_owned()].into();
    plan.argv = ["/bin/sh", "-c", "echo x >> MEMORY.md; echo x > memory/day.md; echo x > skills/y"]
        .map(str::to_owned)
        .into();
    run(&run_plan(&plan).unwrap());
    assert_eq!(read(), "mine\nx\n");
    assert!(!dir.join("memory/day.md").exists() && !dir.join("skills/y").exists());

    // A name below a held file releases nothing.
    plan.released = ["MEMORY.md/x".to_owned()].into();
    run(&run_plan(&plan).unwrap());
    assert_eq!(read(), "mine\nx\n");

    // Without a write in the verdict nothing is written.
    plan.no_write = true;
    plan.argv = ["/bin/sh", "-c", "echo x > other; cat note"].map(str::to_owned).into();
    let (_, text) = run(&run_plan(&plan).unwrap());
    assert!(text.contains("Read-only file system") && text.ends_with("x\n"), "{text}");
}

fn swapped(world: &World) {
    let dir = world.folder("swapped");
    std::fs::write(dir.join("SOUL.md"), "soul").unwrap();
    let mut plan = plan(world, &["/bin/cat", "/workspace/SOUL.md"]);
    plan.workspace = Some((dir.to_str().unwrap().into(), Access::Rw));
    let spec = run_plan(&plan).unwrap();
    std::fs::remove_file(dir.join("SOUL.md")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.join("SOUL.md")).unwrap();
    let error = Jail::spawn(&spec, JailIo::default()).unwrap_err().to_string();
    assert!(error.contains("SOUL.md") && error.contains("symbolic link"), "{error}");
    // A new plan does not take the link either.
    assert!(run_plan(&plan).unwrap_err().to_string().contains("SOUL.md"));
}

fn missing_source(world: &World) {
    let mut spec = spec(world, &["/bin/ls", "/"]);
    spec.mounts.push(seawall_sandbox::spec::Mount::Bind {
        from: "/does/not/exist".into(),
        to: "/absent".into(),
        access: Access::Ro,
        exec: true,
        own: true,
        optional: true,
    });
    let (exit, text) = run(&spec);
    assert_eq!(exit, Exit::Code(0));
    assert!(!text.contains("absent"), "{text}");
}

fn full(world: &World) {
    let (_, text) = shell(
        world,
        "head -c 700000000 /dev/zero > /tmp/big; stat -c %s /tmp/big; head -c 1000 /dev/zero > /x",
    );
    assert!(text.contains("No space left") && text.contains("Read-only"), "{text}");
    let (_, text) = shell(
        world,
        "cd /dev/shm && i=0; while [ $i -lt 20000 ]; do true > f$i || break; i=$((i+1)); done; echo $i",
    );
    let made: u32 = text.lines().last().unwrap().parse().unwrap();
    assert!(made < 17_000, "{made} files");
}

fn processes(world: &World) {
    let script = "i=0; while [ $i -lt 120 ]; do sleep 60 & i=$((i+1)); done; echo all";
    let mut plan = plan(world, &["/bin/sh", "-c", script]);
    assert!(run(&run_plan(&plan).unwrap()).1.contains("all"));
    plan.limits = Limits { pids: Some(40), ..Limits::default() };
    let (_, text) = run(&run_plan(&plan).unwrap());
    assert!(!text.contains("all"), "{text}");
}

fn memory(world: &World) {
    let eat = "dd if=/dev/zero of=/dev/null bs=300M count=1 2>/dev/null && echo eaten";
    let mut plan = plan(world, &["/bin/sh", "-c", eat]);
    assert!(run(&run_plan(&plan).unwrap()).1.contains("eaten"));
    plan.limits = Limits { memory: Some(64 << 20), ..Limits::default() };
    let spec = run_plan(&plan).unwrap();
    let jail = Jail::spawn(&spec, JailIo::default()).unwrap();
    if jail.facts().missing.iter().any(|m| m.contains("memory")) {
        println!("  skipped: {}", jail.facts().missing.join("; "));
        return;
    }
    drop(jail);
    assert!(!run(&spec).1.contains("eaten"));
}

fn wall(world: &World) {
    let mut plan = plan(world, &["/bin/sleep", "600"]);
    plan.limits = Limits { wall_ms: Some(50), ..Limits::default() };
    assert_eq!(run(&run_plan(&plan).unwrap()).0, Exit::Timeout);
}

fn egress(world: &World) {
    let mut plan = plan(
        world,
        &[
            "/bin/bash",
            "-c",
            "exec 3<>/dev/tcp/127.0.0.1/3128; echo hello >&3; cat <&3; echo $HTTPS_PROXY",
        ],
    );
    plan.egress = Some(3128);
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), io).unwrap();
    let listener = jail.take_listener("egress").unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    let mut word = [0u8; 6];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"hello\n");
    stream.write_all(b"world\n").unwrap();
    drop(stream);
    let mut text = String::new();
    read.read_to_string(&mut text).unwrap();
    assert_eq!(text, "world\nhttp://127.0.0.1:3128\n");
    assert_eq!(jail.wait(), Exit::Code(0));

    // The other way: a socket of the jail's network reaches what listens inside.
    let script = "import socket as s\nl=s.create_server(('127.0.0.1',8080));print('up',flush=True)\nc,_=l.accept();c.sendall(b'inside')";
    let mut spec = self::spec(world, &["/usr/bin/python3", "-c", script]);
    spec.factory = true;
    let (mut read, write) = pipe();
    let io = JailIo { stdout: Some(write), ..JailIo::default() };
    let mut jail = Jail::spawn(&spec, io).unwrap();
    let factory = jail.take_factory().unwrap();
    let mut up = [0u8; 3];
    if read.read_exact(&mut up).is_err() {
        println!("  skipped: no python3 for the second half");
        return;
    }
    let sockets: Vec<OwnedFd> = std::thread::scope(|scope| {
        let ask = || factory.tcp().unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let socket = sockets.into_iter().next().unwrap();
    let address = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8080);
    rustix::net::connect(&socket, &address).unwrap();
    let mut text = String::new();
    std::net::TcpStream::from(socket).read_to_string(&mut text).unwrap();
    assert_eq!(text, "inside");
    jail.wait();
    assert!(factory.tcp().is_err());
}

fn failure(world: &World) {
    let error = Jail::spawn(&spec(world, &["/bin/no-such-program"]), JailIo::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("start `/bin/no-such-program`"), "{error}");
    let mut plan = plan(world, &["/bin/true"]);
    plan.workdir = "/nowhere".into();
    let error = Jail::spawn(&run_plan(&plan).unwrap(), JailIo::default()).unwrap_err().to_string();
    assert!(error.contains("working directory `/nowhere`"), "{error}");
}

struct Served {
    socket: PathBuf,
    book: Arc<TicketBook>,
}

fn serve(world: &World, name: &str) -> Served {
    let socket = world.folder(name).join("run.sock");
    let launcher = Launcher::bind(&socket).unwrap();
    let book = Arc::new(TicketBook::new(Duration::from_secs(60)));
    let tickets: Arc<dyn Tickets> = Arc::clone(&book) as Arc<dyn Tickets>;
    std::thread::spawn(move || launcher.serve(&tickets));
    Served { socket, book }
}

fn client(world: &World, served: &Served, ticket: &str) -> Command {
    let mut command = Command::new(&world.exe);
    command.arg("client").arg(&served.socket).arg(ticket).stdin(Stdio::null());
    command
}

fn tickets(world: &World) {
    let served = serve(world, "tickets");
    let spec = spec(world, &["/bin/sh", "-c", "echo out; echo err >&2; exit 9"]);
    let ticket = served.book.issue(spec).unwrap();
    let output = client(world, &served, &ticket).output().unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    for bad in [ticket.as_str(), "0000", "../../etc", ""] {
        let output = client(world, &served, bad).output().unwrap();
        assert_eq!(output.status.code(), Some(125), "{bad}");
    }
}

fn client_gone(world: &World) {
    let served = serve(world, "gone");
    let ticket = served.book.issue(spec(world, &["/bin/sh", "-c", "echo on; sleep 600"])).unwrap();
    let mut client = client(world, &served, &ticket);
    // A log file that this test's own output goes to is no stream, and runs are given none.
    let mut child = client.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut word = [0u8; 3];
    out.read_exact(&mut word).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The run holds the other end; it ends when the run does.
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
}

fn client_clean(world: &World) {
    let served = serve(world, "clean");
    let show = ["/bin/sh", "-c", "env; ls /proc/self/fd"];
    let ticket = served.book.issue(spec(world, &show)).unwrap();
    let output = client(world, &served, &ticket)
        .env("LD_PRELOAD", "/nonexistent/evil.so")
        .env("SECRET", "x")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("evil") && !text.contains("SECRET"), "{text}");
    // A file as a stream would be more than the mounts grant.
    let ticket = served.book.issue(spec(world, &["/bin/true"])).unwrap();
    let file = File::create(world.dir.join("out")).unwrap();
    let status = client(world, &served, &ticket).stdout(file).status().unwrap();
    assert_eq!(status.code(), Some(125));
}

/// Refuses calls to this process and all that it starts, as a kernel that lacks them would, and
/// prints what the self-test says then.
fn probe_without(what: &str) -> ExitCode {
    use seccompiler::{
        SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    };
    let new_user = u64::try_from(libc::CLONE_NEWUSER).unwrap();
    let flag = || {
        let op = SeccompCmpOp::MaskedEq(new_user);
        let asks = SeccompCondition::new(0, SeccompCmpArgLen::Qword, op, new_user).unwrap();
        vec![SeccompRule::new(vec![asks]).unwrap()]
    };
    let refused = match what {
        "landlock" => {
            Some(([(libc::SYS_landlock_create_ruleset, Vec::new())].into(), libc::ENOSYS))
        }
        "user namespaces" => {
            Some(([(libc::SYS_clone, flag()), (libc::SYS_unshare, flag())].into(), libc::EPERM))
        }
        _ => None,
    };
    if let Some((rules, errno)) = refused {
        let errno = SeccompAction::Errno(u32::try_from(errno).unwrap());
        let arch = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch).unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter(&program).unwrap();
    }
    for mechanism in seawall_sandbox::probe(&std::env::temp_dir()) {
        println!(
            "{}: {:?}: {}",
            mechanism.name,
            mechanism.protection,
            mechanism.evidence.join("; ")
        );
    }
    ExitCode::SUCCESS
}

fn lacking(world: &World) {
    let probe = |what: &str| {
        let output = Command::new(&world.exe).args(["lacking", what]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let less = |lines: &[String]| {
        let other = |line: &&String| !line.contains(": Full: ") && !line.starts_with("limits: ");
        lines.iter().filter(other).cloned().collect::<Vec<_>>()
    };
    assert!(less(&probe("nothing")).is_empty());
    // Everything else holds without it.
    let lines = probe("landlock");
    assert_eq!(
        less(&lines),
        ["landlock: None: this kernel has none; the mounts hold alone"],
        "{lines:#?}"
    );
    assert!(lines.len() > 8, "{lines:#?}");
    let lines = probe("user namespaces");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(
        lines[0].starts_with("jail: None: ")
            && lines[0].contains("namespace")
            && lines[0].contains("user.max_user_namespaces"),
        "{lines:#?}"
    );
    if !world.root {
        // An ordinary user may or may not have control groups; what is off is said by name.
        let lines = probe("nothing");
        let limits = lines.iter().find(|line| line.starts_with("limits: ")).unwrap();
        let off = limits.matches("no limit on ").count();
        let word = match off {
            0 => "Full",
            1 | 2 => "Partial",
            _ => "None",
        };
        assert!(limits.contains(word), "{limits}");
    }
}

fn leaks(world: &World) {
    let count = |path: &str| std::fs::read_to_string(path).unwrap().lines().count();
    let children = || {
        let own = std::process::id().to_string();
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|e| std::fs::read_to_string(e.ok()?.path().join("stat")).ok())
            .filter(|stat| {
                let after = stat.rsplit(')').next().unwrap_or_default();
                after.split_whitespace().nth(1) == Some(own.as_str())
            })
            .count()
    };
    let fds = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = (count("/proc/self/mountinfo"), children(), fds());
    let rounds: u64 =
        std::env::var("SEAWALL_LEAK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(25);
    let mut plan = plan(world, &["/bin/sh", "-c", "sleep 600 & sleep 600"]);
    plan.limits = Limits { pids: Some(100), memory: Some(256 << 20), ..Limits::default() };
    for round in 0..rounds {
        plan.slot = u32::try_from(round).unwrap();
        let mut jail = Jail::spawn(&run_plan(&plan).unwrap(), JailIo::default()).unwrap();
        match round % 4 {
            0 => drop(jail),
            1 => {
                jail.kill();
                jail.wait();
            }
            2 => {
                // Its program, from outside.
                let pid = rustix::process::Pid::from_raw(jail.pid()).unwrap();
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                jail.wait();
            }
            _ => {
                jail.terminate(Duration::from_millis(round % 7));
            }
        }
    }
    let after = (count("/proc/self/mountinfo"), children(), fds());
    assert_eq!((after.0, after.1), (before.0, before.1));
    // Fewer descriptors: a thread of an earlier case has let go of what it watched.
    assert!(after.2 <= before.2, "{} descriptors, {} before", after.2, before.2);
    // Groups are named after the monitor, a process that is gone. Only those of this process's own
    // groups: others may be another program's.
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let space = std::fs::metadata("/proc/self/ns/pid").unwrap().ino().to_string();
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controller, path) = (parts.next().unwrap(), parts.next().unwrap());
        let base = Path::new("/sys/fs/cgroup").join(controller).join(path.trim_start_matches('/'));
        for group in walk(&base, 0) {
            // With the number of the pid namespace: another may use the same tree of groups.
            let named = group.rsplit_once("seawall-run-").and_then(|(_, n)| n.split_once('.'));
            let Some((monitor, _)) = named.filter(|(_, of)| *of == space) else { continue };
            assert!(Path::new("/proc").join(monitor).exists(), "{group} is left");
        }
    }
}

fn walk(base: &Path, depth: u32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    let mut all = Vec::new();
    for entry in entries.flatten().filter(|e| e.file_type().is_ok_and(|t| t.is_dir())) {
        all.push(entry.path().to_string_lossy().into_owned());
        if depth > 0 {
            all.extend(walk(&entry.path(), depth - 1));
        }
    }
    all
}
