//! `cargo xtask test`: everything that a change has to pass, in one command.

use crate::{paths, setup};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// Set up what is missing and run every check and test.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only these steps; may be repeated.
    #[arg(long = "step", value_name = "NAME")]
    only: Vec<String>,
    /// Steps to leave out; may be repeated.
    #[arg(long = "skip", value_name = "NAME")]
    skip: Vec<String>,
    /// Seconds for each fuzz target.
    #[arg(long, default_value_t = 5)]
    fuzz_seconds: u32,
    /// Rounds of the crash storm.
    #[arg(long, default_value_t = 8)]
    storm_rounds: u32,
}

/// What a step brings to the sum. A step that prints no counts of its own is one test.
#[derive(Default, Clone, Copy)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    const ONE: Self = Self { passed: 1, failed: 0 };
}

type Step = fn(&Args) -> Result<Count, String>;

/// In this order: what is quick and fails often comes first.
const STEPS: &[(&str, Step)] = &[
    ("format", format),
    ("clippy", clippy),
    ("plugin", plugin),
    ("deny", deny),
    ("tests", tests),
    ("plugin-gateway", plugin_gateway),
    ("harden-gateway", harden_gateway),
    ("egress-gateway", egress_gateway),
    ("skill-gateway", skill_gateway),
    ("tour-bare", tour_bare),
    ("tour-seawall", tour_seawall),
    ("crash-storm", crash_storm),
    ("fuzz", fuzz),
];

/// Only when they are named: they take minutes, and the tours hold a short version of each.
const BY_NAME: &[(&str, Step)] = &[("sandbox-gateway", sandbox_gateway)];

pub(crate) fn run(args: &Args) -> ExitCode {
    let all = || STEPS.iter().chain(BY_NAME);
    if let Some(unknown) =
        args.only.iter().chain(&args.skip).find(|name| !all().any(|(step, _)| step == name))
    {
        let names: Vec<&str> = all().map(|(name, _)| *name).collect();
        eprintln!("test: there is no step `{unknown}`; there are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    if let Err(error) = setup::ensure() {
        eprintln!("setup: {error}");
        return ExitCode::FAILURE;
    }
    let mut sum = Count::default();
    let mut lines = Vec::new();
    for (name, step) in all() {
        let ordinary = args.only.is_empty() && STEPS.iter().any(|(step, _)| step == name);
        let wanted = ordinary || args.only.iter().any(|only| only == name);
        if !wanted || args.skip.iter().any(|skip| skip == name) {
            continue;
        }
        println!("== {name}");
        let begun = Instant::now();
        let (count, word) = match step(args) {
            Ok(count) if count.failed == 0 => (count, "ok".to_owned()),
            Ok(count) => (count, format!("{} failed", count.failed)),
            Err(error) => {
                eprintln!("{name}: {error}");
                (Count { passed: 0, failed: 1 }, "failed".to_owned())
            }
        };
        sum.passed += count.passed;
        sum.failed += count.failed;
        lines.push(format!(
            "{name:<15} {word:<10} {:>5} passed {:>6.0} s",
            count.passed,
            begun.elapsed().as_secs_f64()
        ));
    }
    println!("\n{}", lines.join("\n"));
    println!("{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(paths::checkout());
    command.env("CARGO_TARGET_DIR", paths::target());
    command.env("SEAWALL_OPENCLAW_DIR", paths::openclaw());
    command
}

fn format(_: &Args) -> Result<Count, String> {
    setup::step(&mut cargo(&["fmt", "--all", "--check"]))?;
    Ok(Count::ONE)
}

fn clippy(_: &Args) -> Result<Count, String> {
    setup::step(&mut cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--locked",
        // The tests are built without it, so that both ways are compiled.
        "--features",
        "seawall/prove",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(Count::ONE)
}

/// npm in the plugin's folder, under the Node that the gateway runs on.
fn npm(arguments: &[&str]) -> Command {
    let mut command = Command::new("npm");
    command.args(arguments).current_dir(paths::checkout().join("plugin"));
    let node = paths::openclaw().join("node_modules/.bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(node).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(all).unwrap_or(path));
    command.env("SEAWALL_OPENCLAW_DIR", paths::openclaw());
    command.env("SEAWALL_BIN", paths::target().join("debug/seawall"));
    command
}

fn plugin(_: &Args) -> Result<Count, String> {
    setup::step(&mut npm(&["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    setup::step(&mut npm(&["run", "--silent", "check"]))?;
    setup::step(&mut npm(&["run", "--silent", "check-dist"]))?;
    let mut count = counted(&mut npm(&["test", "--silent"]), node_line)?;
    count.passed += 2;
    Ok(count)
}

fn plugin_gateway(_: &Args) -> Result<Count, String> {
    // Its file tools go through the binary's file worker. Built as the tests build it: another
    // selection of packages would compile most dependencies once more.
    setup::step(&mut cargo(&["test", "--quiet", "--locked", "--workspace", "--no-run"]))?;
    counted(&mut npm(&["run", "--silent", "test:gateway"]), node_line)
}

/// A hardened deployment's gateway for each profile: minutes, so no part of the tests.
fn harden_gateway(_: &Args) -> Result<Count, String> {
    let mut command = cargo(&["test", "--locked", "--workspace"]);
    // Two starts beside each other on two cores take as long as one after the other.
    command.args(["--test", "harden_gateway", "--", "--ignored", "--test-threads=1"]);
    counted(&mut command, rust_line)
}

/// The real OpenClaw's check of a proxy, and a real gateway behind one.
fn egress_gateway(_: &Args) -> Result<Count, String> {
    let mut command = cargo(&["test", "--locked", "--workspace"]);
    command.args(["--test", "egress_serve", "--", "--ignored"]);
    counted(&mut command, rust_line)
}

/// Skills under `seawall up` with the real gateway.
fn skill_gateway(_: &Args) -> Result<Count, String> {
    let mut command = cargo(&["test", "--locked", "--workspace"]);
    command.args(["--test", "skill_gateway", "--", "--ignored"]);
    counted(&mut command, rust_line)
}

/// OpenClaw's own tools over the sandbox backend, and the policy of the kernel plane: as whoever
/// runs this, and as an ordinary user too where that is root.
fn sandbox_gateway(_: &Args) -> Result<Count, String> {
    let read = |line: &str| row(line, &["worked"]);
    let mut count = counted(&mut itself(&["sandbox"])?, read)?;
    if rustix::process::geteuid().is_root() {
        let user = counted(&mut itself(&["sandbox", "--as-user"])?, read)?;
        count.passed += user.passed;
        count.failed += user.failed;
    }
    Ok(count)
}

/// `cargo deny` without advisories, which are not to be had offline: bans, licences, sources.
fn deny(_: &Args) -> Result<Count, String> {
    let program = match setup::find_program("cargo-deny") {
        Some(program) => program,
        None => {
            let tools = paths::tools();
            let program = tools.join("bin/cargo-deny");
            if !program.is_file() {
                println!("installing cargo-deny into {}", tools.display());
                setup::step(
                    // Without optimisation: building it is what takes the time, not running it.
                    cargo(&["install", "--quiet", "--locked", "--debug", "cargo-deny", "--root"])
                        .arg(&tools),
                )?;
            }
            program
        }
    };
    setup::step(
        Command::new(program)
            .args(["--log-level", "error", "--offline", "check", "bans", "licenses", "sources"])
            .current_dir(paths::checkout()),
    )?;
    Ok(Count::ONE)
}

fn tests(_: &Args) -> Result<Count, String> {
    counted(&mut cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]), rust_line)
}

/// This program again.
fn itself(arguments: &[&str]) -> Result<Command, String> {
    let mut command = Command::new(std::env::current_exe().map_err(|e| e.to_string())?);
    command.args(arguments).current_dir(paths::checkout());
    command.env("SEAWALL_CACHE", paths::openclaw()).env("CARGO_TARGET_DIR", paths::target());
    Ok(command)
}

fn tour_bare(_: &Args) -> Result<Count, String> {
    tour(&["demo", "--target", "bare", "--expect-landing", "--json"], &["landed", "worked"])
}

fn tour_seawall(_: &Args) -> Result<Count, String> {
    tour(&["demo", "--json"], &["stopped", "worked"])
}

/// A tour, and once more what was broken in it: a gateway on a busy machine gives up turns for
/// reasons of its own. An attack that landed has landed.
fn tour(arguments: &[&str], good: &[&str]) -> Result<Count, String> {
    let broken = std::cell::RefCell::new(Vec::new());
    let read = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        let (case, outcome) = (row.get("case")?.as_str()?, row.get("outcome")?.as_str()?);
        if outcome == "broken" {
            broken.borrow_mut().push(case.to_owned());
            return Some(Count::default());
        }
        let passed = u64::from(good.contains(&outcome));
        Some(Count { passed, failed: 1 - passed })
    };
    let first = tally(&mut itself(arguments)?, read);
    let again = broken.take();
    let (mut count, code) = first?;
    // 1 is told by the rows; anything else is a tour that did not get to its end, or left something
    // behind, which no second attempt makes good.
    let whole = matches!(code, Some(0 | 1));
    if (!whole || (again.is_empty() && code != Some(0))) && count.failed == 0 {
        count.failed = 1;
    }
    if again.is_empty() || !whole {
        return Ok(count);
    }
    println!("once more: {}", again.join(", "));
    let mut command = itself(arguments)?;
    for case in &again {
        command.args(["--only", case]);
    }
    let second = counted(&mut command, |line| row(line, good))?;
    Ok(Count { passed: count.passed + second.passed, failed: count.failed + second.failed })
}

fn crash_storm(args: &Args) -> Result<Count, String> {
    setup::step(&mut itself(&["crash-storm", "--rounds", &args.storm_rounds.to_string()])?)?;
    Ok(Count::ONE)
}

/// Every fuzz target for a few seconds.
///
/// The targets are libFuzzer's, but neither cargo-fuzz nor a nightly compiler is needed for a
/// smoke run: the coverage instrumentation is a pass of LLVM that the stable compiler offers.
/// What that leaves out is the address sanitizer; the code is safe Rust.
fn fuzz(args: &Args) -> Result<Count, String> {
    let manifest = paths::checkout().join("fuzz/Cargo.toml");
    if !manifest.exists() {
        return Err("there is no fuzz/Cargo.toml".into());
    }
    let host = host()?;
    let target = paths::target().join("fuzz");
    let flags = [
        "--cfg=fuzzing",
        "-Cpasses=sancov-module",
        "-Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
        "-Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
        "-Cdebug-assertions",
        "-Coverflow-checks",
    ];
    setup::step(
        cargo(&["build", "--quiet", "--release", "--bins", "--target", &host])
            .arg("--manifest-path")
            .arg(&manifest)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTFLAGS", flags.join(" ")),
    )?;
    let mut count = Count::default();
    for name in targets(&manifest)? {
        let corpus = tempfile::tempdir().map_err(|e| e.to_string())?;
        let seeds = paths::checkout().join("fuzz/corpus").join(&name);
        let mut run = Command::new(target.join(&host).join("release").join(&name));
        run.arg(format!("-max_total_time={}", args.fuzz_seconds));
        run.args(["-rss_limit_mb=2048", "-timeout=10", "-verbosity=0", "-print_final_stats=0"]);
        run.arg(corpus.path());
        if seeds.is_dir() {
            run.arg(&seeds);
        }
        // A finding is kept outside of the checkout and named in the output.
        run.arg(format!("-artifact_prefix={}/{name}-", target.display()));
        match setup::step(&mut run) {
            Ok(()) => {
                println!("fuzz {name}: ok");
                count.passed += 1;
            }
            Err(error) => {
                eprintln!("fuzz {name}: {error}");
                count.failed += 1;
            }
        }
    }
    Ok(count)
}

/// The compiler's own target triple.
fn host() -> Result<String, String> {
    let out = Command::new("rustc").arg("-vV").output().map_err(|e| format!("`rustc`: {e}"))?;
    String::from_utf8_lossy(&out.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "`rustc -vV` names no host".into())
}

/// Names of the fuzz package's binaries.
fn targets(manifest: &Path) -> Result<Vec<String>, String> {
    let metadata = cargo_metadata::MetadataCommand::new()
        .manifest_path(manifest)
        .no_deps()
        .exec()
        .map_err(|e| format!("fuzz/Cargo.toml: {e}"))?;
    let mut names: Vec<String> = metadata
        .packages
        .iter()
        .flat_map(|package| &package.targets)
        .filter(|target| target.is_bin())
        .map(|target| target.name.clone())
        .collect();
    names.sort();
    Ok(names)
}

/// Runs a command, shows what it prints, and adds up what its lines say. A command that fails
/// without a failed line is a failure of its own.
fn counted(command: &mut Command, read: impl Fn(&str) -> Option<Count>) -> Result<Count, String> {
    let (mut count, code) = tally(command, read)?;
    if code != Some(0) && count.failed == 0 {
        count.failed = 1;
    }
    if count.passed + count.failed == 0 {
        return Err("no test ran".into());
    }
    Ok(count)
}

/// Runs a command, shows what it prints, adds up what its lines say, and says how it ended.
fn tally(
    command: &mut Command,
    read: impl Fn(&str) -> Option<Count>,
) -> Result<(Count, Option<i32>), String> {
    let program = PathBuf::from(command.get_program());
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("`{}`: {e}", program.display()))?;
    let mut count = Count::default();
    if let Some(out) = child.stdout.take() {
        for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(more) = read(&line) {
                count.passed += more.passed;
                count.failed += more.failed;
            }
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    Ok((count, status.code()))
}

/// `test result: ok. 12 passed; 0 failed; …`
fn rust_line(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| -> Option<u64> {
        let (before, _) = rest.split_once(word)?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    Some(Count { passed: number(" passed")?, failed: number(" failed")? })
}

/// The summary of Node's test runner: `ℹ pass 12` and `ℹ fail 0`.
fn node_line(line: &str) -> Option<Count> {
    let mut words = line.split_whitespace().skip(1);
    let (word, number) = (words.next()?, words.next()?.parse().ok()?);
    match (word, words.next()) {
        ("pass", None) => Some(Count { passed: number, failed: 0 }),
        ("fail", None) => Some(Count { passed: 0, failed: number }),
        _ => None,
    }
}

/// A line of the tour.
fn row(line: &str, good: &[&str]) -> Option<Count> {
    let row: serde_json::Value = serde_json::from_str(line).ok()?;
    let outcome = row.get("outcome")?.as_str()?;
    let passed = u64::from(good.contains(&outcome));
    Some(Count { passed, failed: 1 - passed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_each_kind_of_output() {
        let rust = rust_line("test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured");
        assert!(matches!(rust, Some(Count { passed: 12, failed: 3 })));
        assert!(matches!(node_line("ℹ pass 41"), Some(Count { passed: 41, failed: 0 })));
        assert!(node_line("ℹ duration_ms 41").is_none());
        let line = r#"{"case":"x","outcome":"landed"}"#;
        assert!(matches!(row(line, &["stopped"]), Some(Count { passed: 0, failed: 1 })));
    }
}
