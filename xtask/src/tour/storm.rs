//! `cargo xtask crash-storm`: kill -9 at random moments while calls run.
//!
//! Held against each round: no call ran without a decision (each file that a call made has an
//! allow of that very call in the log), no event that was ever shown is lost or changed, and the
//! log's chain verifies.

use super::scene::{Scene, nonce};
use super::target::{self, Running, Target};
use super::{home, run, seawall};
use crate::world::model::{Model, call};
use crate::world::outside::Outside;
use crate::world::{self, Inventory};
use crate::{paths, setup};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Kill the daemon, the gateway and runs at random moments while calls run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many kills.
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Repeats a storm; without it, a new one, whose seed is printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// The task inside the world; started by [`storm`].
#[derive(clap::Args)]
pub(crate) struct Inner {
    #[command(flatten)]
    args: Args,
    /// Folder on a disk for the world's home.
    #[arg(long)]
    disk: PathBuf,
}

/// `cargo xtask crash-storm`.
pub(crate) fn storm(_: &Args) -> ExitCode {
    let prepare = || {
        setup::ensure()?;
        run::build(false)?;
        let inner: Vec<String> =
            std::iter::once("inside-storm".to_owned()).chain(std::env::args().skip(2)).collect();
        world::run(&inner, "debug", false)
    };
    prepare().unwrap_or_else(|error| {
        eprintln!("crash-storm: {error}");
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
        runtime.block_on(rounds(&inner.args))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("crash-storm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whom a kill may hit, by what stands in its command line, and how often.
const VICTIMS: &[(&str, &str, u64)] = &[
    ("guard", " guard --home ", 5),
    ("gateway", "openclaw-gateway", 3),
    ("run", "seawall start", 2),
];

/// Calls of one round.
const CALLS: usize = 5;
/// A kill falls somewhere within this time after the turn began.
const SPREAD_MS: u64 = 2500;
/// How long a turn may take whose gateway lives.
const TURN: Duration = Duration::from_secs(20);
/// How long is waited for one whose gateway was killed: it hardly comes to an end.
const GATEWAY_GONE: Duration = Duration::from_secs(1);
/// How long a deployment may need to be usable again.
const RECOVERY: Duration = Duration::from_secs(120);

async fn rounds(args: &Args) -> Result<(), String> {
    let before = Inventory::take();
    let mut random = Random(args.seed.map_or_else(fresh_seed, Ok)?);
    println!("seed {}", random.0);
    let outside = Outside::start().await?;
    let model = Model::start().await?;
    target::fresh()?;
    outside.agent_socket(&target::agent_socket())?;
    fs::create_dir_all(home::workspace().join("storm")).map_err(|e| e.to_string())?;
    let mut running = Running::start(Target::Seawall).await?;
    let mut log = Log::default();
    let mut hits: BTreeMap<&str, u32> = BTreeMap::new();
    let mut said = String::new();
    for round in 0..args.rounds {
        let scene = connect(&mut running, &model, &outside).await?;
        let steps = (0..CALLS)
            .map(|n| {
                let command = format!("sleep 0.1; echo done > storm/{round}-{n}; sleep 0.1");
                call("exec", json!({ "command": command }))
            })
            .collect();
        let name = format!("storm_{round}");
        let words = model.script(&name, steps);
        let turn = json!({"sessionKey": super::scene::session_key(&name), "message": words,
            "idempotencyKey": format!("storm-{}", nonce())});
        scene.client.request("chat.send", turn).await.map_err(|e| format!("chat.send: {e}"))?;
        // The moment is the point of this test: nothing is waited for.
        tokio::time::sleep(Duration::from_millis(random.below(SPREAD_MS))).await;
        let victim = pick(&mut random);
        match hit(victim.1) {
            Some(_) => *hits.entry(victim.0).or_default() += 1,
            // No run was there at this moment.
            None => *hits.entry("nothing").or_default() += 1,
        }
        // Either the turn comes to its end, or the gateway it ran in is gone.
        let ends = if victim.0 == "gateway" { GATEWAY_GONE } else { TURN };
        let begun = std::time::Instant::now();
        let played = tokio::time::timeout(ends, model.finished(&name)).await;
        let ended = played.is_ok();
        if let Some(result) = played.ok().and_then(|played| played.results.last().cloned()) {
            said = result;
        }
        log.check().await.map_err(|e| format!("round {round}, {} killed: {e}", victim.0))?;
        eprintln!(
            "round {round}: {} killed, the turn {} after {:.1} s",
            victim.0,
            if ended { "ended" } else { "was given up" },
            begun.elapsed().as_secs_f32()
        );
        if round % 10 == 9 {
            eprintln!("{} rounds: {hits:?}, {} events", round + 1, log.seen.len());
        }
    }
    connect(&mut running, &model, &outside).await?;
    let (calls, events) = log.settle().await?;
    running.stop().await?;
    let left = Inventory::take().left_since(&before);
    if !left.is_empty() {
        return Err(format!("left behind: {}", left.join("; ")));
    }
    // A storm in which hardly a call runs holds for nothing.
    if calls < args.rounds as usize {
        return Err(format!(
            "only {calls} calls ran in {} rounds; the last one said: {said}",
            args.rounds
        ));
    }
    println!(
        "{} kills ({hits:?}): {calls} calls ran, each with an allow before it; {events} events, none lost; the chain holds",
        args.rounds
    );
    Ok(())
}

/// A client of a deployment that may be on its way up again.
async fn connect(running: &mut Running, model: &Model, outside: &Outside) -> Result<Scene, String> {
    let attempt = async {
        loop {
            running.ready().await?;
            // `/readyz` may still be the one of a gateway that was just killed.
            if let Ok(scene) = Scene::open(running, model, outside).await {
                return Ok::<_, String>(scene);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    match tokio::time::timeout(RECOVERY, attempt).await {
        Ok(scene) => scene,
        Err(_) => Err(format!("not usable again within {RECOVERY:?}")),
    }
}

fn pick(random: &mut Random) -> (&'static str, &'static str) {
    let mut at = random.below(VICTIMS.iter().map(|(_, _, weight)| weight).sum());
    for (name, pattern, weight) in VICTIMS {
        if at < *weight {
            return (name, pattern);
        }
        at -= weight;
    }
    ("guard", " guard --home ")
}

/// Kills one process of this world.
fn hit(pattern: &str) -> Option<i32> {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if pid != 1 && line.contains(pattern) {
            kill_process(Pid::from_raw(pid)?, Signal::KILL).ok()?;
            return Some(pid);
        }
    }
    None
}

/// What the log ever showed.
#[derive(Default)]
struct Log {
    seen: BTreeMap<u64, Value>,
}

impl Log {
    /// Reads the whole log again: what was there must still be, unchanged; each call that left
    /// a file must have been allowed.
    async fn check(&mut self) -> Result<(), String> {
        // Files first: whoever made one had its allow on disk before.
        let made = made()?;
        // The daemon may be on its way up.
        let mut tries = 0;
        let events = loop {
            match seawall::events(0).await {
                Ok(events) => break events,
                Err(_) if tries < 50 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                Err(error) => return Err(error),
            }
        };
        let now: BTreeMap<u64, Value> = events.into_iter().map(|e| (e.seq, e.body)).collect();
        for (seq, body) in &self.seen {
            if now.get(seq) != Some(body) {
                return Err(format!("event {seq} is lost or changed"));
            }
        }
        let allowed: BTreeSet<&str> = now
            .values()
            .filter(|event| {
                let decision = event.get("decision").and_then(Value::as_str);
                matches!(decision, Some("allow" | "rewrite"))
            })
            .filter_map(|event| event.get("callId").and_then(Value::as_str))
            .collect();
        for (round, n) in &made {
            let id = format!("call_storm_{round}_{n}");
            if !allowed.contains(id.as_str()) {
                return Err(format!("call {id} ran without a decision"));
            }
        }
        self.seen = now;
        Ok(())
    }

    async fn settle(&mut self) -> Result<(usize, usize), String> {
        self.check().await?;
        seawall::verify().await.map_err(|e| format!("the chain does not hold: {e}"))?;
        Ok((made()?.len(), self.seen.len()))
    }
}

/// Files that calls made, as round and number.
fn made() -> Result<Vec<(String, String)>, String> {
    let dir = home::workspace().join("storm");
    let mut all = Vec::new();
    for entry in fs::read_dir(&dir).map_err(|e| e.to_string())? {
        let name = entry.map_err(|e| e.to_string())?.file_name();
        if let Some((round, n)) = name.to_str().and_then(|name| name.split_once('-')) {
            all.push((round.to_owned(), n.to_owned()));
        }
    }
    Ok(all)
}

/// SplitMix64: small, and good enough to spread kills.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

fn fresh_seed() -> Result<u64, String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|e| format!("random numbers: {e}"))?;
    Ok(u64::from_le_bytes(bytes))
}
