//! `cargo xtask bench main`: what Seawall costs, beside the same without it, in one run.

mod guard;

use crate::tour::target::{self, Running, Target};
use crate::tour::{run, scene};
use crate::world;
use crate::world::model::{Model, call};
use crate::world::outside::Outside;
use crate::{paths, setup};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Measure what Seawall costs.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to measure.
    #[arg(value_enum)]
    what: What,
    /// Starts of each deployment; they take turns.
    #[arg(long, default_value_t = 3)]
    starts: u32,
    /// Turns of each deployment in each start.
    #[arg(long, default_value_t = 8)]
    turns: u32,
    /// Decisions, one after another.
    #[arg(long, default_value_t = 5000)]
    decisions: u32,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum What {
    /// The main job: decisions, start, memory, turns.
    Main,
}

/// The task inside the world; started by [`bench`].
#[derive(clap::Args)]
pub(crate) struct Inner {
    #[command(flatten)]
    args: Args,
    /// Folder on a disk for the world's home.
    #[arg(long)]
    disk: PathBuf,
}

/// `cargo xtask bench`.
pub(crate) fn bench(arguments: &Args) -> ExitCode {
    let What::Main = arguments.what;
    let prepare = || {
        setup::ensure()?;
        run::build(true)?;
        let inner: Vec<String> =
            std::iter::once("inside-bench".to_owned()).chain(std::env::args().skip(2)).collect();
        world::run(&inner, "release", false)
    };
    prepare().unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::FAILURE
    })
}

/// The first process of the world.
pub(crate) fn inside(inner: &Inner) -> ExitCode {
    let keep = [paths::checkout(), paths::openclaw(), paths::target()];
    let done = world::furnish(&inner.disk, &keep).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        runtime.block_on(measure(&inner.args))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What one deployment showed.
#[derive(Default)]
struct Seen {
    ready: Vec<Duration>,
    turns: Vec<Duration>,
}

async fn measure(args: &Args) -> Result<(), String> {
    let outside = Outside::start().await?;
    let model = Model::start().await?;
    let (mut bare, mut guarded) = (Seen::default(), Seen::default());
    let mut memory = Vec::new();
    let mut checks = Vec::new();
    // They take turns, so that whatever else the machine does falls on both.
    for _ in 0..args.starts {
        for target in [Target::Bare, Target::Seawall] {
            target::fresh()?;
            outside.agent_socket(&target::agent_socket())?;
            if target == Target::Seawall {
                // The first start with a configuration waits for OpenClaw's own check of it, which
                // takes as long as OpenClaw needs to start; it is told apart.
                let begun = Instant::now();
                let mut check = target::seawall();
                check.args(["up", "--check"]);
                target::output(check).await.map_err(|e| format!("`seawall up --check`: {e}"))?;
                checks.push(begun.elapsed());
            }
            let running = Running::start(target).await?;
            let scene = scene::Scene::open(&running, &model, &outside).await?;
            let seen = if target == Target::Bare { &mut bare } else { &mut guarded };
            seen.ready.push(running.ready_after);
            // The first turn loads code; it is not counted.
            for n in 0..=args.turns {
                let begun = Instant::now();
                let steps = vec![
                    call("read", json!({"path": "notes.md"})),
                    call("exec", json!({"command": "ls -la && git status --short"})),
                ];
                scene.turn(&format!("bench-{}-{n}", scene::nonce()), steps).await?;
                if n > 0 {
                    seen.turns.push(begun.elapsed());
                }
            }
            if target == Target::Seawall {
                memory.extend(guard::resident());
            }
            running.stop().await?;
        }
    }
    let decisions = guard::decide(args.decisions).await?;
    let check = quantile(&mut checks, 0.5);
    if !args.json {
        println!("check of a new configuration, once: {:.0} ms", check.as_secs_f64() * 1000.0);
    }
    report(args, &mut bare, &mut guarded, &memory, decisions)
}

fn report(
    args: &Args,
    bare: &mut Seen,
    guarded: &mut Seen,
    memory: &[u64],
    mut decisions: Vec<Duration>,
) -> Result<(), String> {
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    let figures = json!({
        "decision_p50_ms": ms(quantile(&mut decisions, 0.50)),
        "decision_p99_ms": ms(quantile(&mut decisions, 0.99)),
        "decisions": decisions.len(),
        "start_bare_ms": ms(quantile(&mut bare.ready, 0.5)),
        "start_seawall_ms": ms(quantile(&mut guarded.ready, 0.5)),
        "start_added_ms": ms(quantile(&mut guarded.ready, 0.5)) - ms(quantile(&mut bare.ready, 0.5)),
        "guard_resident_kib": memory.iter().max(),
        "turn_bare_p50_ms": ms(quantile(&mut bare.turns, 0.5)),
        "turn_seawall_p50_ms": ms(quantile(&mut guarded.turns, 0.5)),
        "turns": bare.turns.len(),
    });
    if args.json {
        println!("{figures}");
        return Ok(());
    }
    let number = |name: &str| figures.get(name).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
    println!("decision through the plugin's socket, its event on disk ({} calls)", decisions.len());
    println!(
        "  p50 {:.3} ms   p99 {:.3} ms   (aim: p99 under 1 ms)",
        number("decision_p50_ms"),
        number("decision_p99_ms")
    );
    println!("start until /readyz ({} each, median)", args.starts);
    println!(
        "  bare {:.0} ms   Seawall {:.0} ms   added {:.0} ms   (aim: under 300 ms)",
        number("start_bare_ms"),
        number("start_seawall_ms"),
        number("start_added_ms")
    );
    println!("guard at rest after the turns, resident");
    println!("  {:.1} MiB   (aim: under 40 MiB)", number("guard_resident_kib") / 1024.0);
    println!("a chat turn with a read and a command ({} each, median)", bare.turns.len());
    println!(
        "  bare {:.0} ms   Seawall {:.0} ms   ratio {:.2}",
        number("turn_bare_p50_ms"),
        number("turn_seawall_p50_ms"),
        number("turn_seawall_p50_ms") / number("turn_bare_p50_ms").max(0.001)
    );
    Ok(())
}

fn quantile(values: &mut [Duration], q: f64) -> Duration {
    values.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index into a small list, from a fraction of its length"
    )]
    let at = (values.len().saturating_sub(1) as f64 * q).round() as usize;
    values.get(at).copied().unwrap_or_default()
}
