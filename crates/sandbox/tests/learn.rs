//! Real programs are watched, and what is proposed is enough for the same in a jail, and no more.
//!
//! A program of its own, because a jail's processes start from the program that makes them.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test program"
)]

use seawall_sandbox::learn::{Observed, Proposal, Workspace, propose, watch};
use seawall_sandbox::plan::{RealHost, RunPlan, run_plan};
use seawall_sandbox::spec::Access;
use seawall_sandbox::{Exit, Jail, JailIo};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Case = (&'static str, fn(&Path));

const CASES: &[Case] = &[
    ("what is proposed is enough, and less is not", enough),
    ("children, scripts and background processes are followed", tree),
    ("destinations and sockets are told", network),
    ("what no run can have is said", refused),
    ("time is bounded", time),
    ("a command that cannot be started is an error", failure),
];

fn main() -> ExitCode {
    seawall_sandbox::early_main();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--list") {
        for (name, _) in CASES {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    if let Err(reason) = watch("/bin/true", &["true".into()], None) {
        println!("skipped: no command can be watched here: {reason}");
        return ExitCode::SUCCESS;
    }
    let folder = tempfile::tempdir().unwrap();
    let wanted = |name: &str| {
        let mut filters = args.iter().filter(|a| !a.starts_with("--")).peekable();
        filters.peek().is_none() || filters.any(|f| name.contains(f.as_str()))
    };
    let mut failed = false;
    for (i, (name, case)) in CASES.iter().enumerate().filter(|(_, (name, _))| wanted(name)) {
        let dir = std::fs::canonicalize(folder.path()).unwrap().join(i.to_string());
        std::fs::create_dir(&dir).unwrap();
        let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| case(&dir))).is_ok();
        println!("test {name} ... {}", if held { "ok" } else { "FAILED" });
        failed |= !held;
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn shell(script: &str) -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into(), script.into()]
}

fn learn(script: &str, here: &Path) -> (Observed, Proposal) {
    let argv = shell(script);
    let seen = watch("/bin/sh", &argv, Some(Duration::from_secs(60))).unwrap();
    let here = here.to_str().unwrap();
    let proposal = propose(&seen, &argv, here, "/nonexistent", "/usr/bin:/bin", &RealHost);
    (seen, proposal)
}

/// Runs a script in a jail that has a proposal's grants, but for one.
fn confined(script: &str, proposal: &Proposal, without: Option<&str>) -> Option<Exit> {
    let grants = proposal
        .read
        .iter()
        .map(|p| (p.clone(), Access::Ro))
        .chain(proposal.write.iter().map(|p| (p.clone(), Access::Rw)))
        .filter(|(p, _)| Some(p.as_str()) != without)
        .collect();
    let plan = RunPlan { argv: shell(script), grants, ..RunPlan::default() };
    match Jail::spawn(&run_plan(&plan).unwrap(), JailIo::default()) {
        Ok(mut jail) => Some(jail.wait()),
        Err(reason) => {
            println!("  skipped: this host has no jails for this user: {reason}");
            None
        }
    }
}

fn enough(dir: &Path) {
    let d = dir.display();
    std::fs::write(dir.join("in"), "one\n").unwrap();
    std::fs::write(dir.join("neighbour"), "two\n").unwrap();
    std::fs::write(dir.join("log"), "").unwrap();
    std::fs::create_dir(dir.join("out")).unwrap();
    let script = format!(
        "set -e; t=$(mktemp); cat {d}/in > $t; cat $t >> {d}/log; mkdir -p {d}/out/new; \
         cp $t {d}/out/new/copy; rm $t; test ! -e {d}/absent"
    );
    let (seen, proposal) = learn(&script, Path::new("/nonexistent"));
    assert_eq!(seen.exit, 0);
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    assert_eq!(proposal.read, [path("in")]);
    assert_eq!(proposal.write, [path("log"), path("out")]);
    assert_eq!(proposal.profile, Workspace::Empty);
    assert!(proposal.refused.is_empty(), "{:?}", proposal.refused);
    assert!(proposal.programs.iter().any(|p| p.ends_with("/cat")));

    std::fs::remove_dir_all(dir.join("out/new")).unwrap();
    let Some(exit) = confined(&script, &proposal, None) else { return };
    assert_eq!(exit, Exit::Code(0));
    assert_eq!(std::fs::read_to_string(dir.join("log")).unwrap(), "one\none\n");
    for grant in proposal.read.iter().chain(&proposal.write) {
        let exit = confined(&script, &proposal, Some(grant));
        assert_ne!(exit, Some(Exit::Code(0)), "{grant} is not needed");
    }
    let neighbour = format!("cat {d}/neighbour");
    assert_ne!(confined(&neighbour, &proposal, None), Some(Exit::Code(0)));
}

fn tree(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let d = dir.display();
    for name in ["a", "b", "c"] {
        std::fs::write(dir.join(name), name).unwrap();
    }
    let script = dir.join("script");
    std::fs::write(&script, format!("#!/bin/sh\ncat {d}/a\n(cat {d}/b)\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (seen, proposal) = learn(
        &format!("{d}/script >/dev/null; setsid cat {d}/c >/dev/null & wait; sleep 600 &"),
        dir,
    );
    for name in ["a", "b", "c"] {
        assert!(seen.read.contains(dir.join(name).to_str().unwrap()), "{name}: {:?}", seen.read);
    }
    assert!(proposal.programs.contains(&script.to_str().unwrap().to_owned()));
    assert_eq!(seen.left_running, 1);
    assert_eq!(proposal.profile, Workspace::ReadOnly);
    assert!(proposal.write.is_empty());
}

fn network(dir: &Path) {
    if !Path::new("/bin/bash").exists() {
        println!("  skipped: bash is not here");
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!("bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}'");
    let (_, proposal) = learn(&script, dir);
    assert!(proposal.destinations.contains(&format!("127.0.0.1:{port}")));
    assert!(proposal.notes.iter().any(|n| n.contains("no network")));
    assert!(proposal.unseen.iter().any(|n| n.contains("host names")));
}

fn refused(dir: &Path) {
    std::fs::write(dir.join("SOUL.md"), "soul").unwrap();
    let d = dir.display();
    let (_, proposal) =
        learn(&format!("cat /etc/hostname /etc/fstab; ls /home; echo x >> {d}/SOUL.md; true"), dir);
    let why = |path: &str| proposal.refused.iter().find(|r| r.path == path).map(|r| &r.why);
    assert!(why("/home").is_some(), "{:?}", proposal.refused);
    assert!(why(&format!("{d}/SOUL.md")).is_some_and(|w| w.contains("held")), "{proposal:?}");
    if Path::new("/etc/fstab").exists() {
        assert!(why("/etc/fstab").is_some_and(|w| w.contains("system")));
    }
    assert!(!proposal.read.iter().any(|p| p.starts_with("/etc")));
    assert!(proposal.notes.iter().any(|n| n.contains("/etc/hostname")));
}

fn time(dir: &Path) {
    let start = Instant::now();
    let argv = shell("sleep 600 & sleep 600");
    let seen = watch("/bin/sh", &argv, Some(Duration::from_millis(300))).unwrap();
    assert!(seen.timed_out && start.elapsed() < Duration::from_secs(60));
    assert_eq!(seen.exit, 137);
    let _unused = dir;
}

fn failure(dir: &Path) {
    let program = dir.join("absent");
    let program = program.to_str().unwrap();
    let error = watch(program, &[program.to_owned()], None).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}
