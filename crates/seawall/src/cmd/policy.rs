//! `seawall policy check|test|explain|diff|suggest|replay|prove`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what these subcommands print is their purpose"
)]

mod prove;

use clap::Subcommand;
use seawall_model::{Action, ActionKind, Decision, Effect, Origin, Requester, ToolCall};
use seawall_policy::trace::{self, Kind};
use seawall_policy::{
    Bundle, Observation, PolicyFile, SessionState, compare, decide_fully, observe, whatif,
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Work with the policy.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Load policy files and say what is wrong with them.
    Check {
        /// `.toml` and `.cedar` files, or a folder of them. None: the shipped policy.
        files: Vec<PathBuf>,
    },
    /// Play traces through a policy and compare with what they expect.
    Test {
        /// Traces, one JSON per line.
        traces: PathBuf,
        /// Policy files.
        #[arg(long = "policy")]
        files: Vec<PathBuf>,
    },
    /// Say why a call is or is not allowed, and what the narrowest change would be.
    Explain {
        /// Tool.
        tool: String,
        /// Arguments as JSON.
        #[arg(default_value = "{}")]
        params: String,
        /// What the person said before.
        #[arg(long)]
        say: Vec<String>,
        /// Outside content that the session has read.
        #[arg(long)]
        outside: Vec<String>,
        /// Nobody vouches for the session.
        #[arg(long)]
        untrusted: bool,
        /// Policy files.
        #[arg(long = "policy")]
        files: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what changes between two policies, and whether that widens or narrows.
    Diff {
        /// Files or folder of the old policy.
        #[arg(long, required = true)]
        old: Vec<PathBuf>,
        /// Files or folder of the new policy.
        #[arg(long, required = true)]
        new: Vec<PathBuf>,
        /// Traces or recorded events to try both with.
        #[arg(long)]
        with: Option<PathBuf>,
    },
    /// Write the least policy under which recorded events would have been allowed.
    Suggest {
        /// Events, one JSON per line (`seawall events query --json`).
        events: PathBuf,
    },
    /// Run recorded events against a policy and show which decisions flip.
    Replay {
        /// Events, one JSON per line (`seawall events query --json`).
        events: PathBuf,
        /// Policy files.
        #[arg(long = "policy")]
        files: Vec<PathBuf>,
    },
    Prove(prove::Args),
}

/// Exit codes as everywhere: 1 is the answer "no", 3 is "could not be done".
const NO: u8 = 1;
const FAILED: u8 = 3;

pub(crate) fn run(args: &Args) -> ExitCode {
    let done = match &args.command {
        Command::Check { files } => check(files),
        Command::Test { traces, files } => test(traces, files),
        Command::Explain { tool, params, say, outside, untrusted, files, json } => {
            explain(tool, params, say, outside, *untrusted, files, *json)
        }
        Command::Diff { old, new, with } => diff(old, new, with.as_deref()),
        Command::Suggest { events } => suggest(events),
        Command::Replay { events, files } => replay(events, files),
        Command::Prove(args) => prove::run(args),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NO),
        Err(message) => {
            eprintln!("seawall policy: {message}");
            ExitCode::from(FAILED)
        }
    }
}

/// Largest file read; a policy or a day of events is smaller.
const MAX_FILE: u64 = 512 * 1024 * 1024;

fn read_text(path: &Path) -> Result<String, String> {
    let fail = |e: std::io::Error| format!("{}: {e}", path.display());
    if std::fs::metadata(path).map_err(fail)?.len() > MAX_FILE {
        return Err(format!("{}: larger than {MAX_FILE} bytes", path.display()));
    }
    std::fs::read_to_string(path).map_err(fail)
}

/// Policy files from files and folders, in the order of their names.
pub(crate) fn policy_files(paths: &[PathBuf]) -> Result<Vec<PolicyFile>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            let entries =
                std::fs::read_dir(path).map_err(|e| format!("{}: {e}", path.display()))?;
            let mut inside: Vec<PathBuf> = entries
                .filter_map(Result::ok)
                .map(|e| e.path())
                .filter(|p| p.extension().is_some_and(|e| e == "toml" || e == "cedar"))
                .collect();
            inside.sort();
            found.extend(inside);
        } else {
            found.push(path.clone());
        }
    }
    found
        .iter()
        .map(|path| Ok(PolicyFile { name: path.display().to_string(), text: read_text(path)? }))
        .collect()
}

/// Loads a policy, or says everything that is wrong with it.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Bundle, String> {
    Bundle::load(&policy_files(paths)?)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn check(paths: &[PathBuf]) -> Result<bool, String> {
    match Bundle::load(&policy_files(paths)?) {
        Ok(bundle) => {
            println!(
                "ok: version {}, {} rules, {} sequences, {} tools",
                bundle.version(),
                bundle.rules().infos().count(),
                bundle.sequences().rules().count(),
                bundle.catalogue().names().len()
            );
            Ok(true)
        }
        Err(errors) => {
            for e in &errors {
                eprintln!("{e}");
            }
            eprintln!("{} problem(s); nothing was loaded", errors.len());
            Ok(false)
        }
    }
}

fn traces(path: &Path) -> Result<Vec<trace::Trace>, String> {
    trace::read(&read_text(path)?).map_err(|(line, e)| format!("{}:{line}: {e}", path.display()))
}

fn test(path: &Path, files: &[PathBuf]) -> Result<bool, String> {
    let bundle = load(files)?;
    let traces = traces(path)?;
    let mut failed = 0;
    for one in &traces {
        let faults = trace::faults(one, &trace::play(&bundle, one));
        if !faults.is_empty() {
            failed += 1;
            for (step, what) in faults {
                println!("FAIL {} step {step}: {what}", one.id);
            }
        }
    }
    println!("{} traces, {failed} failed", traces.len());
    Ok(failed == 0)
}

fn explain(
    tool: &str,
    params: &str,
    say: &[String],
    outside: &[String],
    untrusted: bool,
    files: &[PathBuf],
    json: bool,
) -> Result<bool, String> {
    let bundle = load(files)?;
    let params: Value =
        serde_json::from_str(params).map_err(|e| format!("the arguments are not JSON: {e}"))?;
    let origin = Origin {
        agent_id: "main".into(),
        session_key: "agent:main:main".into(),
        requester: Some(Requester { sender_is_owner: Some(!untrusted), ..Requester::default() }),
        ..Origin::default()
    };
    let mut state = SessionState::default();
    for text in say {
        let words =
            Observation::Words { origin: origin.clone(), text: text.clone(), conversation: None };
        observe(&bundle, &mut state, &words, 0);
    }
    for text in outside {
        let seen = Observation::Outside { category: "web".into(), text: text.clone(), label: None };
        observe(&bundle, &mut state, &seen, 0);
    }
    let action = Action {
        call_id: "explain".into(),
        origin,
        kind: ActionKind::ToolCall(ToolCall {
            tool: tool.to_owned(),
            params,
            derived_paths: Vec::new(),
        }),
    };
    let verdict = decide_fully(&bundle, &state, &action, 0).verdict;
    let changes = whatif::changes(&bundle, &state, &action, 0);
    if json {
        let value = serde_json::json!({
            "verdict": verdict,
            "changes": changes.iter().map(|c| serde_json::json!({"change": c.text, "decision": c.decision})).collect::<Vec<_>>(),
        });
        println!("{value}");
        return Ok(verdict.decision == Decision::Allow);
    }
    println!("{}", word(verdict.decision));
    for reason in &verdict.reasons {
        println!("  {}: {}", reason.rule, reason.text);
        if !reason.remedy.is_empty() {
            println!("      to change this: {}", reason.remedy);
        }
    }
    for effect in &verdict.effects {
        println!("  effect: {}", serde_json::to_string(effect).unwrap_or_default());
    }
    if verdict.decision != Decision::Allow {
        match changes.first() {
            Some(change) => {
                println!("narrowest change: policy.{} -> {}", change.text, word(change.decision));
            }
            None => println!("narrowest change: no single setting changes this"),
        }
    }
    Ok(verdict.decision == Decision::Allow)
}

fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allow",
        Decision::Rewrite => "rewrite",
        Decision::Ask => "ask",
        Decision::Deny => "deny",
    }
}

/// One recorded line: an event of the log, or its detail alone.
#[derive(Debug, Deserialize)]
struct Line {
    #[serde(default)]
    detail: Option<Detail>,
    #[serde(flatten)]
    bare: Detail,
    #[serde(default, alias = "timeMs")]
    time_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    action: Option<Action>,
    observation: Option<Observation>,
    decision: Option<Decision>,
}

/// What was recorded, in order: when, and what.
struct Recorded {
    time_ms: u64,
    detail: Detail,
}

fn recorded(path: &Path) -> Result<Vec<Recorded>, String> {
    let text = read_text(path)?;
    let mut out = Vec::new();
    for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let line: Line =
            serde_json::from_str(line).map_err(|e| format!("{}:{}: {e}", path.display(), i + 1))?;
        let detail = match line.detail {
            Some(detail) if detail.action.is_some() || detail.observation.is_some() => detail,
            _ => line.bare,
        };
        out.push(Recorded { time_ms: line.time_ms.unwrap_or(i as u64 * 1000), detail });
    }
    Ok(out)
}

/// Decisions of a policy over recorded events, one per action.
fn decisions(
    bundle: &Bundle,
    events: &[Recorded],
) -> Vec<(String, Option<Decision>, seawall_model::Verdict)> {
    let mut sessions: BTreeMap<String, SessionState> = BTreeMap::new();
    let mut out = Vec::new();
    for event in events {
        if let Some(action) = &event.detail.action {
            let state = sessions.entry(action.origin.session_key.clone()).or_default();
            let verdict = decide_fully(bundle, state, action, event.time_ms).verdict;
            seawall_policy::commit(bundle, state, action, &verdict, event.time_ms);
            let what = match &action.kind {
                ActionKind::ToolCall(call) => format!("{} {}", call.tool, call.params),
                other => serde_json::to_string(other).unwrap_or_default(),
            };
            out.push((what, event.detail.decision, verdict));
        }
        if let Some(seen) = &event.detail.observation {
            let key = match seen {
                Observation::Words { origin, .. } | Observation::Result { origin, .. } => {
                    origin.session_key.clone()
                }
                _ => String::new(),
            };
            observe(bundle, sessions.entry(key).or_default(), seen, event.time_ms);
        }
    }
    out
}

fn replay(path: &Path, files: &[PathBuf]) -> Result<bool, String> {
    let bundle = load(files)?;
    let events = recorded(path)?;
    let all = decisions(&bundle, &events);
    let mut flips = 0;
    for (what, before, verdict) in &all {
        let Some(before) = before.filter(|b| *b != verdict.decision) else { continue };
        flips += 1;
        println!("{} -> {}: {what}", word(before), word(verdict.decision));
        if !verdict.reasons.is_empty() {
            println!("    {}", verdict.explain());
        }
    }
    println!("{} decisions, {flips} flip", all.len());
    Ok(flips == 0)
}

fn suggest(path: &Path) -> Result<bool, String> {
    let bundle = Bundle::baseline();
    let mut tools = BTreeSet::new();
    let mut hosts = BTreeSet::new();
    let mut recipients = BTreeSet::new();
    for event in recorded(path)? {
        let Some(action) = event.detail.action else { continue };
        if event.detail.decision.is_some_and(|d| d == Decision::Deny) {
            continue;
        }
        if let ActionKind::ToolCall(call) = &action.kind {
            tools.insert(call.tool.clone());
        }
        let verdict = decide_fully(&bundle, &SessionState::default(), &action, 0).verdict;
        for effect in verdict.effects {
            match effect {
                Effect::Request { host, .. } if !host.is_empty() => {
                    hosts.insert(host);
                }
                Effect::Send { recipients: to, .. } => recipients.extend(to),
                _ => {}
            }
        }
    }
    println!("[policy]");
    for (key, values) in
        [("tools_allow", tools), ("listed_hosts", hosts), ("listed_recipients", recipients)]
    {
        let values: Vec<String> = values.into_iter().map(|v| format!("{v:?}")).collect();
        println!("{key} = [{}]", values.join(", "));
    }
    Ok(true)
}

fn diff(old: &[PathBuf], new: &[PathBuf], with: Option<&Path>) -> Result<bool, String> {
    let (old, new) = (load(old)?, load(new)?);
    let changes = compare::compare(&old, &new);
    if changes.is_empty() {
        println!("the same policy ({})", new.version());
        return Ok(true);
    }
    for change in &changes {
        println!("{:<8} {}", change.direction.word(), change.what);
    }
    let asks = compare::asks(&changes);
    let (mut wider, mut narrower) = (0, 0);
    if let Some(path) = with {
        for one in traces(path)? {
            let (a, b) = (trace::play(&old, &one), trace::play(&new, &one));
            for (x, y) in a.iter().zip(&b) {
                let (x, y) = (x.decided.verdict.decision, y.decided.verdict.decision);
                if x != y {
                    println!("{} {:?} -> {:?}", one.id, x, y);
                    if y < x { wider += 1 } else { narrower += 1 }
                }
            }
            if one.kind == Kind::Attack && !trace::faults(&one, &b).is_empty() {
                println!("{}: an attack runs under the new policy", one.id);
            }
        }
        println!("{wider} decisions wider, {narrower} narrower");
    }
    if asks {
        println!("widens, or may: a person has to approve it");
    } else {
        println!("only narrows: applies at once");
    }
    Ok(!asks && wider == 0)
}
