//! Start-to-exit of `true`: plain, in a jail, and under bubblewrap; and the steady cost of a
//! file-heavy and a syscall-heavy load. Side by side, in turns, on one machine:
//! `bench [ROUNDS]`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use seawall_sandbox::plan::{RunPlan, run_plan};
use seawall_sandbox::spec::Access;
use seawall_sandbox::{Jail, JailIo, JailSpec};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    seawall_sandbox::early_main();
    let rounds = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(200);
    let workspace = tempfile::tempdir().unwrap();
    let here = std::fs::canonicalize(workspace.path()).unwrap();
    let spec = |argv: &[&str]| {
        run_plan(&RunPlan {
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            workspace: Some((here.to_str().unwrap().into(), Access::Rw)),
            ..RunPlan::default()
        })
        .unwrap()
    };
    let plain = |argv: &[&str]| {
        Command::new(argv[0])
            .args(&argv[1..])
            .current_dir(&here)
            .stdout(Stdio::null())
            .status()
            .unwrap();
    };
    let bwrap = |argv: &[&str]| {
        Command::new("bwrap")
            .args([
                "--unshare-all",
                "--die-with-parent",
                "--new-session",
                "--ro-bind",
                "/usr",
                "/usr",
            ])
            .args([
                "--symlink",
                "usr/bin",
                "/bin",
                "--symlink",
                "usr/lib",
                "/lib",
                "--symlink",
                "usr/lib64",
                "/lib64",
            ])
            .args(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind"])
            .arg(&here)
            .args(["/workspace", "--chdir", "/workspace", "--"])
            .args(argv)
            .stdout(Stdio::null())
            .status()
            .unwrap();
    };
    let jail = |spec: &JailSpec| {
        Jail::spawn(spec, JailIo::default()).unwrap().wait();
    };

    let quick = spec(&["/bin/true"]);
    report(
        "true",
        rounds,
        &mut [
            ("plain", &mut || plain(&["/bin/true"])),
            ("seawall", &mut || jail(&quick)),
            ("seawall, from here", &mut || {
                Jail::spawn_here(&quick, JailIo::default()).unwrap().wait_processes();
            }),
            ("bwrap --unshare-all", &mut || bwrap(&["/bin/true"])),
        ],
    );
    let files = "i=0; while [ $i -lt 20000 ]; do read x < /usr/lib/os-release; i=$((i+1)); done";
    let load = spec(&["/bin/sh", "-c", files]);
    report(
        "20,000 files opened and read",
        (rounds / 20).max(5),
        &mut [
            ("plain", &mut || plain(&["/bin/sh", "-c", files])),
            ("seawall", &mut || jail(&load)),
            ("bwrap --unshare-all", &mut || bwrap(&["/bin/sh", "-c", files])),
        ],
    );
    let calls = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=400000", "status=none"];
    let load = spec(&calls);
    report(
        "800,000 reads and writes",
        (rounds / 20).max(5),
        &mut [
            ("plain", &mut || plain(&calls)),
            ("seawall", &mut || jail(&load)),
            ("bwrap --unshare-all", &mut || bwrap(&calls)),
        ],
    );
}

type Contender<'a> = (&'a str, &'a mut dyn FnMut());

/// In turns, so that whatever else the machine does meets all alike.
fn report(what: &str, rounds: usize, contenders: &mut [Contender<'_>]) {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); contenders.len()];
    for _ in 0..rounds {
        for ((_, run), times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            run();
            times.push(start.elapsed());
        }
    }
    let base = median(&mut times[0]);
    println!("{what} ({rounds} rounds, median)");
    for ((name, _), times) in contenders.iter().zip(&mut times) {
        let median = median(times);
        println!(
            "  {name:<22} {:>9.3} ms  {:>6.2}x  {:+.3} ms",
            median.as_secs_f64() * 1e3,
            median.as_secs_f64() / base.as_secs_f64(),
            (median.as_secs_f64() - base.as_secs_f64()) * 1e3,
        );
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
