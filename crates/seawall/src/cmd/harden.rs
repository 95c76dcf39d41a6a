//! `seawall harden plan|apply|verify|rollback|history|host|confirm`.

mod host;
mod place;

use crate::clock::now_ms;
use crate::harden::journal::{Journal, Record, Standing};
use crate::harden::plan::{self, Plan, Wish};
use crate::harden::target::{Choice, Target};
use crate::harden::{Base, run};
use crate::home::Home;
use seawall_audit::harden::Change;
use seawall_audit::harden::profile::Profile;
use seawall_audit::{Disposition, Finding, Step};
use serde_json::{Value, json};
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Make a deployment what a profile says, with a way back.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    choice: Choice,
    /// JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show what would change, why, and what that may stop. Changes nothing.
    Plan(Select),
    /// Make the changes. The installed OpenClaw is asked before anything is replaced and again
    /// afterwards; when it refuses, everything is undone.
    Apply {
        #[command(flatten)]
        select: Select,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Compare what was made with what is there now.
    Verify {
        /// The run; default: the newest that is in force.
        id: Option<String>,
    },
    /// Undo a run: bytes, modes and owners as they were.
    Rollback {
        /// The run; default: the newest that is in force.
        id: Option<String>,
    },
    /// List the runs.
    History,
    /// Make a piece for the host: sshd, firewall, systemd unit, reverse proxy. Printed and checked;
    /// put in place only with --apply.
    Host(Box<host::Options>),
    /// Keep a change of sshd or the firewall: say it from a new connection.
    Confirm {
        /// The run.
        id: String,
        /// Accept it from the session that made the change.
        #[arg(long)]
        same_session: bool,
    },
    /// How old the deployment's credentials are and which are due: API keys monthly, SSH keys
    /// yearly, the gateway's token after a change of what it opens. Exit code 1 when one is.
    Rotation,
    /// Undo what nobody confirms.
    #[command(hide = true)]
    Watch {
        #[arg(long)]
        base: PathBuf,
        #[arg(long)]
        until: u64,
    },
}

#[derive(clap::Args)]
struct Select {
    /// personal, team or production.
    #[arg(long)]
    profile: Option<String>,
    /// Only these changes, by id; may be repeated.
    #[arg(long, value_name = "ID")]
    only: Vec<String>,
    /// Only what stops nothing.
    #[arg(long)]
    safe: bool,
    /// Fixes of `seawall audit`, which runs now.
    #[arg(long, conflicts_with = "findings")]
    audit: bool,
    /// Fixes of `seawall audit --json`, from a file.
    #[arg(long, value_name = "FILE")]
    findings: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> ExitCode {
    match harden(args) {
        Ok(code) => code,
        Err(why) => super::fail(&why),
    }
}

fn harden(args: &Args) -> Result<ExitCode, String> {
    if let What::Watch { base, until } = &args.what {
        return host::watch(base, *until);
    }
    let target = args.choice.find()?;
    let home = Home::locate(&target.deployment.name)?;
    match &args.what {
        What::Plan(select) => show(args, &target, &plan::make(&target, &select.wish(&target)?)?),
        What::Apply { select, yes } => apply(args, &target, &home, select, *yes),
        What::Verify { id } => verify(args, &target, &home, id.as_deref()),
        What::Rollback { id } => rollback(args, &home, id.as_deref()),
        What::History => history(args, &home),
        What::Host(options) => host::piece(args, &target, &home, options),
        What::Rotation => rotation(args, &target, &home),
        What::Confirm { id, same_session } => confirm(&home, id, *same_session),
        What::Watch { base, until } => host::watch(base, *until),
    }
}

fn confirm(home: &Home, id: &str, same_session: bool) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    tell(&told);
    let mut journal = pick(&base, Some(id))?;
    match journal.standing() {
        Standing::Waiting(by) if by > now_ms() => {}
        _ => return Err(format!("run {id} does not wait for a confirmation")),
    }
    let made_in = &journal.run()?.session;
    if made_in.is_some() && *made_in == crate::harden::host::session() && !same_session {
        return Err("this is the connection that was there before: open a new one, so that it is known that one gets in, and confirm from there (or say --same-session)".into());
    }
    journal.add(Record::Confirmed)?;
    super::print(&format!("run {id} stays. Undo with: seawall harden rollback {id}\n"));
    Ok(ExitCode::SUCCESS)
}

fn rotation(args: &Args, target: &Target, home: &Home) -> Result<ExitCode, String> {
    let now = jiff::Timestamp::now().as_second();
    let credentials = crate::rotation::update(&target.deployment, home, now)?;
    let rows: Vec<_> = credentials
        .iter()
        .map(|credential| (credential, seawall_audit::rotation::due(credential, now)))
        .collect();
    let due = rows.iter().filter(|(_, why)| why.is_some()).count();
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(c, why)| json!({ "name": c.name, "kind": c.kind, "since": c.since, "due": why }))
            .collect();
        super::print(&format!("{}\n", json!(rows)));
    } else if rows.is_empty() {
        super::print("no credentials were found\n");
    } else {
        for (credential, why) in &rows {
            let since = when(u64::try_from(credential.since).unwrap_or_default() * 1000);
            let day = since.split(' ').next().unwrap_or_default();
            super::print(&match why {
                Some(why) => format!("DUE  {}: {why}\n", credential.name),
                None => {
                    format!("     {}: {}, since {day}\n", credential.name, credential.kind.name())
                }
            });
        }
    }
    Ok(if due == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

impl Select {
    fn wish(&self, target: &Target) -> Result<Wish, String> {
        if self.profile.is_none() && self.findings.is_none() && !self.audit && self.only.is_empty()
        {
            return Err(
                "say what for: --profile personal, team or production, --audit, or --findings FILE"
                    .into(),
            );
        }
        let mut wish = Wish {
            profile: self.profile.clone(),
            only: self.only.clone(),
            safe: self.safe,
            modes: self.profile.is_some() || self.only.iter().any(|id| id.starts_with("mode")),
            ..Wish::default()
        };
        if let Some(path) = &self.findings {
            let bad = |why: String| format!("`{}`: {why}", path.display());
            let text = std::fs::read_to_string(path).map_err(|e| bad(e.to_string()))?;
            let report: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
            let findings = report.get("findings").cloned().unwrap_or_default();
            let findings = serde_json::from_value(findings).map_err(|e| bad(e.to_string()))?;
            fixes(&mut wish, findings);
        }
        if self.audit {
            let facts = crate::collect::collect(&target.deployment);
            fixes(&mut wish, seawall_audit::audit(&facts));
        }
        Ok(wish)
    }
}

/// What findings propose.
fn fixes(wish: &mut Wish, findings: Vec<Finding>) {
    for finding in findings {
        let Some(fix) = finding.fix else { continue };
        let safe = fix.disposition == Disposition::Safe;
        let unsaid = || "what uses this setting".to_owned();
        for step in fix.steps {
            match step {
                Step::Config { path, value } => wish.changes.push(Change {
                    id: finding.id.clone(),
                    key: path,
                    to: value,
                    why: fix.summary.clone(),
                    breaks: (!safe).then(|| fix.breaks.clone().unwrap_or_else(unsaid)),
                    source: "audit".into(),
                }),
                Step::Mode { path, mode } if safe || !wish.safe => {
                    wish.file_modes.push((finding.id.clone(), path, mode));
                }
                Step::Mode { .. } => {}
                Step::Command { command } => {
                    wish.manual.push(format!("{}: {command}", finding.id));
                }
            }
        }
    }
}

fn show(args: &Args, target: &Target, plan: &Plan) -> Result<ExitCode, String> {
    // Whether the result would be taken is worth knowing, but a plan needs no OpenClaw.
    let answer = match target.runtime() {
        _ if plan.texts.is_empty() => None,
        Ok(runtime) => Some(target.candidate(&runtime, &plan.config).map(|()| runtime.version)),
        Err(why) => Some(Err(format!("could not be checked: {why}"))),
    };
    if args.json {
        let mut value = plan.json();
        if let (Value::Object(map), Some(answer)) = (&mut value, &answer) {
            map.insert("accepted".into(), json!(answer.is_ok()));
            map.insert("refusal".into(), json!(answer.as_ref().err()));
        }
        super::print(&format!("{value}\n"));
    } else if plan.is_empty() {
        super::print(&plan.text());
        super::print("Nothing to do.\n");
    } else {
        super::print(&plan.text());
        match answer {
            Some(Ok(version)) => super::print(&format!("OpenClaw {version} takes the result.\n")),
            Some(Err(why)) => super::print(&format!("{why}\n")),
            None => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn apply(
    args: &Args,
    target: &Target,
    home: &Home,
    select: &Select,
    yes: bool,
) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    tell(&told);
    let plan = plan::make(target, &select.wish(target)?)?;
    if plan.is_empty() {
        return show(args, target, &plan);
    }
    if !yes {
        super::print(&plan.text());
        if !agreed("Make these changes?")? {
            return Err("nothing was changed".into());
        }
    }
    let journal = carry_out(target, &base, &plan)?;
    let id = journal.id();
    if args.json {
        let value = json!({ "run": id, "steps": plan.steps.len(), "plan": plan.json() });
        super::print(&format!("{value}\n"));
    } else {
        super::print(&format!(
            "{} steps done (run {id}). Undo with: seawall harden rollback {id}\n",
            plan.steps.len()
        ));
        for (change, why) in &plan.refused {
            super::print(&format!("Left for you: {}: {why}\n", change.id));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks the installed OpenClaw, makes the changes, and asks again.
pub(super) fn carry_out(target: &Target, base: &Base, plan: &Plan) -> Result<Journal, String> {
    let check = if plan.texts.is_empty() {
        None
    } else {
        let runtime = target.runtime().map_err(|why| {
            format!("nothing was changed: the result cannot be checked without OpenClaw: {why}")
        })?;
        target
            .candidate(&runtime, &plan.config)
            .map_err(|why| format!("nothing was changed: {why}"))?;
        Some(runtime)
    };
    run::apply(base.dir(), plan.run(target), &plan.blobs, None, &|| match &check {
        Some(runtime) => target.installed(runtime),
        None => Ok(()),
    })
    .map_err(|e| e.to_string())
}

fn verify(args: &Args, target: &Target, home: &Home, id: Option<&str>) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    tell(&told);
    let journal = pick(&base, id)?;
    let title = journal.run()?.title.clone();
    let drift = run::drift(&journal)?;
    let refusal = target.runtime().and_then(|runtime| target.installed(&runtime)).err();
    let weaker: Vec<String> = match title.strip_prefix("profile ") {
        Some(name) => {
            let profile = Profile::shipped(name).map_err(|e| e.to_string())?;
            profile.changes(&target.documents()?.value()).into_iter().map(|c| c.id).collect()
        }
        None => Vec::new(),
    };
    let holds = drift.is_empty() && refusal.is_none();
    if args.json {
        let paths: Vec<_> = drift.iter().map(|conflict| &conflict.path).collect();
        let value = json!({
            "run": journal.id(), "holds": holds, "changed": paths, "refusal": refusal, "open": weaker,
        });
        super::print(&format!("{value}\n"));
    } else {
        for conflict in &drift {
            super::print(&format!(
                "changed since: {}\n{}",
                conflict.path.display(),
                conflict.difference
            ));
        }
        if let Some(why) = &refusal {
            super::print(&format!("{why}\n"));
        }
        for id in &weaker {
            super::print(&format!("not as the profile says (left out or changed): {id}\n"));
        }
        let word = if holds { "holds" } else { "does NOT hold" };
        super::print(&format!("run {} ({title}) {word}\n", journal.id()));
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn rollback(args: &Args, home: &Home, id: Option<&str>) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    tell(&told);
    let mut journal = pick(&base, id)?;
    let conflicts = run::conflicts(&journal)?;
    if !conflicts.is_empty() {
        let mut text = String::from("nothing was undone: changed since the run:\n");
        for conflict in &conflicts {
            text.push_str(&format!("{}\n{}", conflict.path.display(), conflict.difference));
        }
        text.push_str("Undo these by hand first, or make them what the run made of them.");
        return Err(text);
    }
    run::undo(&mut journal, "rollback")?;
    if args.json {
        super::print(&format!("{}\n", json!({ "run": journal.id(), "undone": true })));
    } else {
        super::print(&format!("run {} is undone; everything is as it was\n", journal.id()));
    }
    Ok(ExitCode::SUCCESS)
}

fn history(args: &Args, home: &Home) -> Result<ExitCode, String> {
    let (base, told) = Base::open(home)?;
    tell(&told);
    let mut rows = Vec::new();
    for journal in Journal::all(base.dir())? {
        let run = journal.run()?;
        let state = match journal.standing() {
            Standing::Open => "interrupted".to_owned(),
            Standing::InForce => "in force".into(),
            Standing::Waiting(by) => format!("in force until {}, waits for `confirm`", when(by)),
            Standing::Undone => format!("undone: {}", journal.reason().unwrap_or("")),
            Standing::Stuck(paths) => {
                let paths: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
                format!("COULD NOT BE RESTORED: {}", paths.join(", "))
            }
        };
        rows.push((journal.id(), when(run.at_ms), run.title.clone(), run.steps.len(), state));
    }
    if args.json {
        let rows: Vec<Value> = rows
            .iter()
            .map(|(id, at, title, steps, state)| {
                json!({ "run": id, "at": at, "title": title, "steps": steps, "state": state })
            })
            .collect();
        super::print(&format!("{}\n", json!(rows)));
    } else if rows.is_empty() {
        super::print("no runs yet\n");
    } else {
        for (id, at, title, steps, state) in rows {
            super::print(&format!("{id}  {at}  {title}, {steps} steps: {state}\n"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A run by its id, or the newest that can be undone.
fn pick(base: &Base, id: Option<&str>) -> Result<Journal, String> {
    let mut all = Journal::all(base.dir())?;
    let at = match id {
        Some(id) => all.iter().position(|journal| journal.id() == id),
        None => all.iter().rposition(|journal| !matches!(journal.standing(), Standing::Undone)),
    };
    match (at, id) {
        (Some(at), _) if all.get(at).is_some_and(|j| j.standing() == Standing::Undone) => {
            Err(format!("run {} is undone already", id.unwrap_or_default()))
        }
        (Some(at), _) => Ok(all.swap_remove(at)),
        (None, Some(id)) => Err(format!("there is no run `{id}`; see `seawall harden history`")),
        (None, None) => Err("nothing is in force: there is no run to speak of".into()),
    }
}

/// What was ended on the way in; on standard error, beside the answer.
pub(super) fn tell(told: &[String]) {
    told.iter().for_each(|line| super::note(line));
}

/// Asks a person. Without one, the answer is no.
pub(super) fn agreed(question: &str) -> Result<bool, String> {
    if !std::io::stdin().is_terminal() {
        return Err("nothing was changed: nobody to ask; say --yes".into());
    }
    super::print(&format!("{question} [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(|e| e.to_string())?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn when(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| ms.to_string(), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}
