//! `cargo xtask sandbox`: the sandbox backend in a real deployment.
//!
//! OpenClaw's own tools and commands do what they do all day, with the kernel holding them; then
//! the supervisor starts on a host that holds less than its policy asks for.

mod policy;
mod tools;

use crate::tour::home;
use crate::tour::run;
use crate::tour::scene::Scene;
use crate::tour::target::{self, Running, Target};
use crate::world::model::Model;
use crate::world::outside::Outside;
use crate::world::{self, Inventory};
use crate::{paths, setup};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Have OpenClaw's own tools work through the sandbox backend, one JSON object per case.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Run the deployment as an ordinary user without privileges, also when root runs this.
    #[arg(long)]
    as_user: bool,
    /// Only cases whose name contains this; may be repeated.
    #[arg(long = "case", value_name = "TEXT")]
    case: Vec<String>,
}

/// The task inside the world; started by [`sandbox`].
#[derive(clap::Args)]
pub(crate) struct Inner {
    #[command(flatten)]
    args: Args,
    /// Folder on a disk for the world's home.
    #[arg(long)]
    disk: PathBuf,
}

/// `cargo xtask sandbox`.
pub(crate) fn sandbox(arguments: &Args) -> ExitCode {
    let prepare = || {
        setup::ensure()?;
        run::build(false)?;
        let inner: Vec<String> =
            std::iter::once("inside-sandbox".to_owned()).chain(std::env::args().skip(2)).collect();
        world::run(&inner, "debug", arguments.as_user)
    };
    prepare().unwrap_or_else(|error| {
        eprintln!("sandbox: {error}");
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
        runtime.block_on(all(&inner.args))
    });
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sandbox: {error}");
            ExitCode::from(2)
        }
    }
}

/// Limits of runs, by their names in OpenClaw's configuration.
fn configure() -> Result<(), String> {
    let path = home::config();
    let at = |e: std::io::Error| format!("{}: {e}", path.display());
    let text = std::fs::read_to_string(&path).map_err(at)?;
    let mut config: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let defaults = config.pointer_mut("/agents/defaults").and_then(|value| value.as_object_mut());
    let docker = json!({ "memory": "512m", "pidsLimit": 300, "cpus": 1.5 });
    defaults
        .ok_or("the configuration has no agents.defaults")?
        .insert("sandbox".into(), json!({ "docker": docker }));
    std::fs::write(&path, format!("{config:#}\n")).map_err(at)
}

/// What a case showed, or why it did not work.
type Shown = Result<String, String>;

/// Plays everything and returns how many cases failed.
async fn all(args: &Args) -> Result<usize, String> {
    let wanted = |name: &str| {
        args.case.is_empty() || args.case.iter().any(|part| name.contains(part.as_str()))
    };
    let mut failed = 0;
    let mut tell = |name: &str, shown: Shown| {
        let (outcome, evidence) = match shown {
            Ok(evidence) => ("worked", evidence),
            Err(error) => ("broken", error),
        };
        failed += usize::from(outcome == "broken");
        println!("{}", json!({ "case": name, "outcome": outcome, "evidence": evidence }));
    };
    let before = Inventory::take();
    let outside = Outside::start().await?;
    let model = Model::start().await?;
    target::fresh()?;
    configure()?;
    outside.agent_socket(&target::agent_socket())?;
    if tools::CASES.iter().any(|(name, _)| wanted(name)) {
        let running = Running::start(Target::Seawall).await?;
        let scene = Scene::open(&running, &model, &outside).await?;
        for (name, case) in tools::CASES.iter().filter(|(name, _)| wanted(name)) {
            let begun = Instant::now();
            let shown = case(&scene).await;
            eprintln!("{name} took {:.1} s", begun.elapsed().as_secs_f32());
            tell(name, shown);
        }
        drop(scene);
        running.stop().await?;
    }
    for (name, case) in policy::CASES.iter().filter(|(name, _)| wanted(name)) {
        tell(name, case().await);
    }
    let left = Inventory::take().left_since(&before);
    // What the last cases put in the way of the kernel's control groups is this world's own.
    let left: Vec<String> = left.into_iter().filter(|what| !what.contains("cgroup")).collect();
    tell(
        "nothing is left behind",
        if left.is_empty() { Ok("nothing".into()) } else { Err(left.join("; ")) },
    );
    Ok(failed)
}

/// Waits until something is so.
async fn until(what: &str, within: Duration, mut so: impl FnMut() -> bool) -> Result<(), String> {
    let begun = Instant::now();
    while !so() {
        if begun.elapsed() > within {
            return Err(format!("{what}: not within {within:?}"));
        }
        // Files and other processes tell nobody when they change.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Whether a process runs whose command line holds a text. This one's own does not count.
fn runs(text: &str) -> bool {
    std::fs::read_dir("/proc").into_iter().flatten().flatten().any(|entry| {
        let number =
            entry.file_name().to_str().is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        number
            && entry.file_name().to_str() != Some("1")
            && String::from_utf8_lossy(&line).replace('\0', " ").contains(text)
    })
}
