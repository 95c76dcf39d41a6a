//! Doing and undoing a run.

use super::fault;
use super::files::{self, State};
use super::journal::{Journal, Record, Run, Standing, Step};
use crate::clock::now_ms;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Finished runs that are kept, with the bytes to undo them.
const KEPT: usize = 50;

/// What stands in the way of an undo: a path that somebody else changed.
#[derive(Debug)]
pub(crate) struct Conflict {
    /// Which.
    pub(crate) path: PathBuf,
    /// What people read: what was, what was made of it, what is there now.
    pub(crate) difference: String,
}

/// How a run ended that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Nothing was changed.
    #[error("nothing was changed: {0}")]
    NotBegun(String),
    /// It was undone.
    #[error("{why}; everything is as it was (run {id})")]
    Undone {
        /// The run.
        id: String,
        /// What went wrong.
        why: String,
    },
    /// It could not be undone.
    #[error("{why}; AND IT COULD NOT BE UNDONE: {undo}")]
    Stuck {
        /// What went wrong.
        why: String,
        /// What went wrong then.
        undo: String,
    },
}

/// Does a run: journal, steps, check, commit. When a step or the check fails, all is undone.
pub(crate) fn apply(
    base: &Path,
    run: Run,
    blobs: &BTreeMap<String, Vec<u8>>,
    confirm_by: Option<u64>,
    check: &dyn Fn() -> Result<(), String>,
) -> Result<Journal, RunError> {
    for step in &run.steps {
        if let Step::Path { path, before, .. } = step {
            let now = look(path, before).map_err(RunError::NotBegun)?;
            if now != *before {
                let why = format!("`{}` changed while the plan was made", path.display());
                return Err(RunError::NotBegun(why));
            }
        }
    }
    let kept: Vec<Vec<u8>> = blobs.values().cloned().collect();
    let mut journal = Journal::begin(base, run.clone(), &kept).map_err(RunError::NotBegun)?;
    let result = steps(&mut journal, &run).and_then(|()| check());
    let result = result.and_then(|()| journal.add(Record::Committed { confirm_by }));
    match result {
        Ok(()) => {
            prune(base);
            Ok(journal)
        }
        Err(why) => match undo(&mut journal, &why) {
            Ok(()) => Err(RunError::Undone { id: journal.id(), why }),
            Err(undo) => Err(RunError::Stuck { why, undo }),
        },
    }
}

fn steps(journal: &mut Journal, run: &Run) -> Result<(), String> {
    for (at, step) in run.steps.iter().enumerate() {
        journal.add(Record::Doing(at))?;
        match step {
            Step::Path { path, before, after } => {
                if look(path, before)? != *before {
                    return Err(format!("`{}` changed in between", path.display()));
                }
                let bytes = kept(journal, after)?;
                files::make(path, after, bytes.as_deref(), &temp(journal, at))
                    .map_err(|e| e.to_string())?;
            }
            Step::Command { run, .. } if run.is_empty() => {}
            Step::Command { run, .. } => execute(run)?,
        }
        journal.add(Record::Done(at))?;
    }
    Ok(())
}

/// Undoes a run as far as it went. Paths that somebody else changed since are left alone; then the
/// run is stuck, and every later command says so.
pub(crate) fn undo(journal: &mut Journal, why: &str) -> Result<(), String> {
    let run = journal.run()?.clone();
    journal.add(Record::Undoing(why.to_owned()))?;
    let mut stuck = Vec::new();
    let mut reasons = Vec::new();
    for (at, step) in run.steps.iter().enumerate().rev() {
        if !journal.touched(at) {
            continue;
        }
        let (path, result) = match step {
            Step::Path { path, before, after } => {
                (path.clone(), restore(journal, at, path, before, after))
            }
            Step::Command { undo, .. } => {
                let name = PathBuf::from(undo.join(" "));
                (name, if undo.is_empty() { Ok(()) } else { execute(undo) })
            }
        };
        if let Err(reason) = result {
            reasons.push(reason);
            stuck.push(path);
        }
    }
    if stuck.is_empty() {
        journal.add(Record::Undone)
    } else {
        journal.add(Record::Stuck(stuck))?;
        Err(reasons.join("; "))
    }
}

fn restore(
    journal: &Journal,
    at: usize,
    path: &Path,
    before: &State,
    after: &State,
) -> Result<(), String> {
    let temp = temp(journal, at);
    // The folder may be one that this run was still to make.
    if path.parent().is_some_and(Path::exists) {
        files::discard(path, &temp).map_err(|e| e.to_string())?;
    }
    let now = look(path, before)?;
    if now == *before {
        return Ok(());
    }
    if !between(&now, before, after) {
        return Err(format!("`{}` was changed by somebody else and stays", path.display()));
    }
    let bytes = kept(journal, before)?;
    files::make(path, before, bytes.as_deref(), &temp).map_err(|e| e.to_string())?;
    fault::point("restored a path");
    Ok(())
}

/// What stands in the way of undoing a run now.
pub(crate) fn conflicts(journal: &Journal) -> Result<Vec<Conflict>, String> {
    let mut out = Vec::new();
    for step in &journal.run()?.steps {
        let Step::Path { path, before, after } = step else { continue };
        let now = match look(path, before) {
            Ok(now) if now == *before || between(&now, before, after) => continue,
            Ok(now) => now,
            Err(why) => {
                out.push(Conflict { path: path.clone(), difference: format!("{why}\n") });
                continue;
            }
        };
        out.push(Conflict {
            path: path.clone(),
            difference: three_way(journal, path, before, after, &now)?,
        });
    }
    Ok(out)
}

/// Paths of a run that are no longer what it made of them.
pub(crate) fn drift(journal: &Journal) -> Result<Vec<Conflict>, String> {
    let mut out = Vec::new();
    for step in &journal.run()?.steps {
        let Step::Path { path, before, after } = step else { continue };
        let now = look(path, after)?;
        if now != *after {
            let difference = three_way(journal, path, before, after, &now)?;
            out.push(Conflict { path: path.clone(), difference });
        }
    }
    Ok(out)
}

/// Ends what was interrupted: runs that were not committed, and those whose time for a confirmation
/// is over. Returns what to tell.
pub(crate) fn recover(base: &Path) -> Result<Vec<String>, String> {
    let mut told = Vec::new();
    for mut journal in Journal::all(base)?.into_iter().rev() {
        let why = match journal.standing() {
            Standing::Open => "it was interrupted",
            Standing::Waiting(by) if by <= now_ms() => "nobody confirmed it in time",
            _ => continue,
        };
        let id = journal.id();
        match undo(&mut journal, why) {
            Ok(()) => told.push(format!("run {id} was undone: {why}")),
            Err(e) => told.push(format!("run {id} COULD NOT BE UNDONE: {e}")),
        }
    }
    Ok(told)
}

/// Whether a state is one through which a step passes: each part as before or as after.
fn between(now: &State, before: &State, after: &State) -> bool {
    use State::{Absent, Dir, File};
    if now == after {
        return true;
    }
    let one_of = |x: u32, a: u32, b: u32| x == a || x == b;
    match (now, before, after) {
        (
            File { hash: h, mode: m, uid: u, gid: g },
            File { hash: bh, mode: bm, uid: bu, gid: bg },
            File { hash: ah, mode: am, uid: au, gid: ag },
        ) => {
            (h == bh || h == ah)
                && one_of(*m, *bm, *am)
                && one_of(*u, *bu, *au)
                && one_of(*g, *bg, *ag)
        }
        (
            Dir { mode: m, uid: u, gid: g },
            Dir { mode: bm, uid: bu, gid: bg },
            Dir { mode: am, uid: au, gid: ag },
        ) => one_of(*m, *bm, *am) && one_of(*u, *bu, *au) && one_of(*g, *bg, *ag),
        // A folder that was made a moment ago and has not got its mode and owner.
        (Dir { mode, .. }, Absent, Dir { .. }) => *mode & 0o077 == 0,
        _ => false,
    }
}

/// What a path is now, as far as `like` looks.
fn look(path: &Path, like: &State) -> Result<State, String> {
    let content = !matches!(like, State::File { hash: None, .. } | State::Dir { .. });
    files::observe(path, content).map(|(state, _)| state).map_err(|e| e.to_string())
}

fn kept(journal: &Journal, state: &State) -> Result<Option<Vec<u8>>, String> {
    match state {
        State::File { hash: Some(name), .. } => journal.blob(name).map(Some),
        _ => Ok(None),
    }
}

fn temp(journal: &Journal, step: usize) -> String {
    format!(".seawall-{}-{step}", journal.id())
}

fn execute(argv: &[String]) -> Result<(), String> {
    let (program, arguments) = argv.split_first().ok_or("a command without a program")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot run `{program}`: {e}"))?;
    fault::point("ran a command");
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.trim().chars().take(400).collect();
    Err(format!("`{}` failed ({}): {said}", argv.join(" "), output.status))
}

fn three_way(
    journal: &Journal,
    path: &Path,
    before: &State,
    after: &State,
    now: &State,
) -> Result<String, String> {
    let mut out = String::new();
    for (name, state) in [("before", before), ("made", after), ("now", now)] {
        out.push_str(&format!("  {name:<7} {}\n", describe(state)));
    }
    if let (State::File { hash: Some(made), .. }, State::File { hash: Some(_), .. }) = (after, now)
    {
        let made = journal.blob(made)?;
        let (_, now) = files::observe(path, true).map_err(|e| e.to_string())?;
        let (made, now) = (String::from_utf8_lossy(&made), now.unwrap_or_default());
        let now = String::from_utf8_lossy(&now);
        if made != now {
            out.push_str(&super::secret::diff(&made, &now, 1, Some(("made", "now"))));
        }
    }
    Ok(out)
}

/// A state in one line.
pub(crate) fn describe(state: &State) -> String {
    match state {
        State::Absent => "nothing".into(),
        State::File { hash, mode, uid, gid } => {
            let hash = hash.as_deref().and_then(|hash| hash.get(..12)).unwrap_or("");
            format!("file {mode:04o} {uid}:{gid} {hash}").trim_end().to_owned()
        }
        State::Dir { mode, uid, gid } => format!("folder {mode:04o} {uid}:{gid}"),
    }
}

/// Forgets old runs that are over: undone ones, and what a later run in force has covered. One that
/// can still be undone by itself, waits or is stuck is never among them.
fn prune(base: &Path) {
    let Ok(all) = Journal::all(base) else { return };
    let mut surplus = all.len().saturating_sub(KEPT);
    let in_force = all.iter().filter(|journal| journal.standing() == Standing::InForce).count();
    let mut spare = in_force.saturating_sub(KEPT / 2);
    for journal in all {
        if surplus == 0 {
            return;
        }
        let over = match journal.standing() {
            Standing::Undone => true,
            // Half of the room is for these; beyond it the oldest goes.
            Standing::InForce if spare > 0 => {
                spare -= 1;
                true
            }
            _ => false,
        };
        if over && journal.forget().is_ok() {
            surplus -= 1;
        }
    }
}
