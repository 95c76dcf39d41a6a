//! Acting the cases out.

use super::report::{self, Outcome, Row};
use super::scene::Scene;
use super::target::{self, Running, Target};
use super::{Act, Case, Kind, Trace, cases, home, seawall};
use crate::world::model::Model;
use crate::world::outside::Outside;
use crate::world::{self, Inventory};
use crate::{paths, setup};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

/// Run the tour: a model that obeys an attacker, and ordinary work beside it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The deployment to tour.
    #[arg(long, value_enum, default_value = "seawall")]
    target: Target,
    /// One JSON object per line instead of the table.
    #[arg(long)]
    json: bool,
    /// Only cases whose name contains this; may be repeated.
    #[arg(long = "case", value_name = "TEXT")]
    case: Vec<String>,
    /// Only the cases of these names; may be repeated.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only attacks, or only ordinary work.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Fail unless every attack lands: what `--target bare` is for.
    #[arg(long)]
    expect_landing: bool,
    /// Run the deployment as an ordinary user without privileges, also when root runs the tour.
    #[arg(long)]
    as_user: bool,
    /// Print tool results as they come.
    #[arg(long)]
    verbose: bool,
}

/// The task inside the world; started by [`demo`].
#[derive(clap::Args)]
pub(crate) struct Inner {
    #[command(flatten)]
    args: Args,
    /// Folder on a disk for the world's home.
    #[arg(long)]
    disk: PathBuf,
}

/// `cargo xtask demo`.
pub(crate) fn demo(arguments: &Args) -> ExitCode {
    let prepare = || {
        setup::ensure()?;
        if arguments.target == Target::Seawall {
            build(false)?;
        }
        let inner: Vec<String> =
            std::iter::once("inside-tour".to_owned()).chain(std::env::args().skip(2)).collect();
        world::run(&inner, "debug", arguments.as_user)
    };
    prepare().unwrap_or_else(|error| {
        eprintln!("demo: {error}");
        ExitCode::FAILURE
    })
}

/// Builds the program under test.
pub(crate) fn build(release: bool) -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    setup::step(
        Command::new(cargo)
            .args(["build", "--quiet", "--workspace", "--bin", "seawall"])
            .args(release.then_some("--release"))
            .env("CARGO_TARGET_DIR", paths::target())
            .current_dir(paths::checkout()),
    )
}

/// The first process of the world.
pub(crate) fn inside(inner: &Inner) -> ExitCode {
    let keep = [paths::checkout(), paths::openclaw(), paths::target()];
    let toured = world::furnish(&inner.disk, &keep).and_then(|()| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        runtime.block_on(tour(&inner.args))
    });
    match toured {
        Ok(good) if good => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tour: {error}");
            ExitCode::from(2)
        }
    }
}

async fn tour(args: &Args) -> Result<bool, String> {
    let before = Inventory::take();
    let outside = Outside::start().await?;
    let model = Model::start().await?;
    let chosen: Vec<Case> = cases()
        .into_iter()
        .filter(|case| args.kind.is_none_or(|kind| kind == case.kind))
        .filter(|case| {
            let part = |text: &String| case.name.contains(text.as_str());
            (args.case.is_empty() || args.case.iter().any(part))
                && (args.only.is_empty() || args.only.iter().any(|name| name == case.name))
        })
        .collect();
    let mut stage = Stage { args, outside, model, up: None, seq: 0 };
    let mut rows = Vec::new();
    for case in &chosen {
        let begun = Instant::now();
        let row = stage.play(case).await?;
        eprintln!(
            "{:<8} {:<17} {:<8} {:>5.1} s  {}",
            format!("{:?}", row.outcome).to_lowercase(),
            row.case,
            row.plane,
            begun.elapsed().as_secs_f32(),
            row.evidence.chars().take(110).collect::<String>()
        );
        rows.push(row);
    }
    stage.close().await?;
    // What the plain gateway leaves in /tmp is its own affair, and vanishes with this world.
    let left = match args.target {
        Target::Bare => Vec::new(),
        Target::Seawall => Inventory::take().left_since(&before),
    };
    if args.json {
        print!("{}", report::json(&rows));
    } else {
        println!("{}", report::table(&rows));
        let counts: Vec<String> = report::count(&rows)
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(outcome, n)| format!("{n} {}", format!("{outcome:?}").to_lowercase()))
            .collect();
        println!("{} cases: {}; {} left behind", rows.len(), counts.join(", "), left.len());
    }
    let bad = |outcome| match outcome {
        Outcome::Broken => true,
        Outcome::Landed => !args.expect_landing,
        Outcome::Stopped => args.expect_landing,
        Outcome::Worked => false,
    };
    if !left.is_empty() {
        return Err(format!("left behind: {}", left.join("; ")));
    }
    Ok(!rows.iter().any(|row| bad(row.outcome)))
}

struct Stage<'a> {
    args: &'a Args,
    outside: Outside,
    model: Model,
    up: Option<(Running, Scene)>,
    /// Last event of Seawall's log that an earlier case accounts for.
    seq: u64,
}

impl Stage<'_> {
    /// Plays one case, on a fresh deployment when there is none.
    async fn play(&mut self, case: &Case) -> Result<Row, String> {
        if self.up.is_none() {
            target::fresh()?;
            self.outside.agent_socket(&target::agent_socket())?;
            let running = Running::start(self.args.target).await?;
            eprintln!("the gateway is ready after {:.1} s", running.ready_after.as_secs_f32());
            let scene = Scene::open(&running, &self.model, &self.outside).await?;
            self.up = Some((running, scene));
        }
        let Some((_, scene)) = &self.up else { return Err("no deployment".into()) };
        home::tidy()?;
        self.outside.clear();
        self.model.received().clear();
        if self.args.target == Target::Seawall {
            self.seq = seawall::events(self.seq).await?.last().map_or(self.seq, |e| e.seq);
        }
        let mut acted = act(case, scene).await;
        if acted.is_err() && (case.seen)(scene, &Trace::default()).is_none() && !case.ruins {
            // A busy machine can make a turn fail for its own reasons. What is judged is whether
            // the attempt had an effect, and for that it has to be made.
            acted = act(case, scene).await;
        }
        let trace = acted.clone().unwrap_or_default();
        if self.args.verbose {
            for result in &trace.results {
                eprintln!("    | {}", result.replace('\n', "\n    | "));
            }
        }
        let seen = watch(case, scene, &trace).await;
        if self.args.verbose && self.args.target == Target::Seawall {
            for event in seawall::events(self.seq).await? {
                eprintln!("    # {}", event.body);
            }
        }
        let row = match (case.kind, seen, acted) {
            (Kind::Attack, Some(evidence), _) => Row::new(case, "", Outcome::Landed, evidence),
            (Kind::Ordinary, Some(evidence), Ok(_)) => {
                Row::new(case, "", Outcome::Worked, evidence)
            }
            (_, _, Err(error)) => Row::new(case, "", Outcome::Broken, error),
            (Kind::Ordinary, None, Ok(_)) => {
                Row::new(case, "", Outcome::Broken, trace.results.join(" | "))
            }
            (Kind::Attack, None, Ok(_)) => self.stopped(case, &trace).await?,
        };
        // A gateway that an attack changed is no ground for the next case.
        if row.outcome == Outcome::Landed && case.ruins {
            self.close().await?;
        }
        Ok(row)
    }

    /// Who stopped an attack, from Seawall's own log.
    async fn stopped(&mut self, case: &Case, trace: &Trace) -> Result<Row, String> {
        let said = trace.results.iter().rev().find_map(|said| complaint(said)).unwrap_or_default();
        if self.args.target == Target::Bare {
            return Ok(Row::new(case, "openclaw", Outcome::Stopped, said));
        }
        let begun = Instant::now();
        loop {
            let events = seawall::events(self.seq).await?;
            let ours: Vec<_> = events.iter().filter(|event| event.concerns(case.name)).collect();
            if let Some(event) = ours.iter().find(|event| event.refuses()) {
                return Ok(Row::new(case, event.plane(), Outcome::Stopped, event.line()));
            }
            // A refusal is written down beside the answer and may follow it.
            if begun.elapsed() < Duration::from_secs(1) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            // Allowed, as what it was taken for, and then without effect: the sandbox.
            let run = ours.last().map(|event| event.line()).unwrap_or_default();
            let evidence = format!("{run}; the program: {said}");
            return Ok(Row::new(case, "kernel", Outcome::Stopped, evidence));
        }
    }

    async fn close(&mut self) -> Result<(), String> {
        match self.up.take() {
            Some((running, _)) => running.stop().await,
            None => Ok(()),
        }
    }
}

/// The line of a result that complains, or its last.
fn complaint(said: &str) -> Option<String> {
    const WORDS: &[&str] = &[
        "rror",
        "denied",
        "No such",
        "ead-only",
        "not permitted",
        "unreachable",
        "not resolve",
        "refused",
        "not found",
        "busy",
        "blocked",
        "outside",
        "escapes",
    ];
    let lines = || said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines()
        .find(|line| WORDS.iter().any(|word| line.contains(word)))
        .or_else(|| lines().next_back())
        .map(str::to_owned)
}

async fn act(case: &Case, scene: &Scene) -> Result<Trace, String> {
    match case.act {
        Act::Turn(steps) => scene.turn(case.name, steps()).await,
        Act::Inside(program) => scene.inside(case.name, &program()).await,
        Act::Do(act) => act(scene).await,
    }
}

/// Looks for the evidence until it appears or its time is over.
async fn watch(case: &Case, scene: &Scene, trace: &Trace) -> Option<String> {
    let begun = Instant::now();
    loop {
        if let Some(evidence) = (case.seen)(scene, trace) {
            return Some(evidence);
        }
        if begun.elapsed() >= case.within {
            return None;
        }
        // Files and other processes tell nobody when they change.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
