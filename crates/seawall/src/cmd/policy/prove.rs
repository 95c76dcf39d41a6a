//! `seawall policy prove`: statements about every request, proven or refuted.

use std::path::PathBuf;

/// Prove that a policy keeps what it must keep, for every request.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Policy files. None: the shipped policy.
    #[arg(long = "policy")]
    files: Vec<PathBuf>,
    /// Invariants of your own (`.cedar`), besides the shipped ones.
    #[arg(long = "invariants")]
    own: Vec<PathBuf>,
    /// Only those of your own.
    #[arg(long, requires = "own")]
    only_own: bool,
    /// Seconds for everything.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// The solver cvc5, where it is not in the PATH.
    #[arg(long, env = "CVC5")]
    solver: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Without the feature there is nothing to do it with.
#[cfg(not(feature = "prove"))]
pub(super) fn run(args: &Args) -> Result<bool, String> {
    let Args { files, own, only_own, seconds, solver, json } = args;
    let _ = (files, own, only_own, seconds, solver, json);
    Err("this program was built without proofs; build it with `cargo build --release -p seawall --features prove`".to_owned())
}

/// Judges and prints.
#[cfg(feature = "prove")]
pub(super) fn run(args: &Args) -> Result<bool, String> {
    use seawall_prove::{Floor, Limits, State};

    let bundle = super::load(&args.files)?;
    let listed = |errors: Vec<seawall_policy::LoadError>| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let mut invariants = Vec::new();
    if !args.only_own {
        invariants.extend(
            seawall_prove::read("invariants.cedar", seawall_prove::SHIPPED).map_err(listed)?,
        );
    }
    for path in &args.own {
        let name = path.display().to_string();
        invariants.extend(seawall_prove::read(&name, &super::read_text(path)?).map_err(listed)?);
    }
    let mut limits =
        Limits { total: std::time::Duration::from_secs(args.seconds), ..Limits::default() };
    limits.query = limits.query.min(limits.total);
    if let Some(solver) = &args.solver {
        limits.solver = solver.clone().into_os_string();
    }
    let judged = seawall_prove::prove(&bundle, &invariants, &limits).map_err(|e| e.to_string())?;
    let undecided = judged.iter().filter(|j| matches!(j.state, State::Undecided { .. })).count();
    let broken =
        judged.iter().filter(|j| matches!(j.state, State::Fails { .. } | State::Empty)).count();
    if args.json {
        let value = serde_json::json!({"version": bundle.version(), "invariants": judged});
        println!("{value}");
    } else {
        for one in &judged {
            let floor = match one.floor {
                Floor::Ask => "asked or denied",
                Floor::Deny => "denied",
            };
            match &one.state {
                State::Holds => println!("holds      {}: always {floor}", one.id),
                State::Fails { actions, witness } => {
                    println!("FAILS      {}: should be {floor} ({})", one.id, one.reason);
                    println!("           {}: {witness}", super::word(witness.decision));
                    if actions.len() > 1 {
                        println!("           also with other verbs: {}", actions.join(", "));
                    }
                }
                State::Empty => println!("EMPTY      {}: it matches no request", one.id),
                State::Undecided { why } => println!("UNDECIDED  {}: {why}", one.id),
            }
        }
        println!(
            "{} invariants: {} hold, {broken} fail, {undecided} undecided",
            judged.len(),
            judged.len() - broken - undecided
        );
    }
    if broken == 0 && undecided > 0 {
        return Err(format!("{undecided} could not be decided"));
    }
    Ok(broken == 0)
}
