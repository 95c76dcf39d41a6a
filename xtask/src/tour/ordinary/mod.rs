//! Ordinary work of the owner, which must go on unasked.

mod client;
mod work;

use super::{Act, Case, Kind, Scene, Trace};
use crate::world::model::{Step, call};
use serde_json::json;
use std::time::Duration;

/// All of it.
pub(super) fn all() -> Vec<Case> {
    [work::all(), client::all()].concat()
}

fn turn(
    name: &'static str,
    about: &'static str,
    steps: fn() -> Vec<Step>,
    seen: fn(&Scene, &Trace) -> Option<String>,
) -> Case {
    Case {
        name,
        kind: Kind::Ordinary,
        about,
        act: Act::Turn(steps),
        seen,
        within: Duration::ZERO,
        ruins: false,
    }
}

fn exec(command: &str) -> Step {
    call("exec", json!({ "command": command }))
}

/// A tool's result, as it reached the model, holds a text.
fn result_holds(trace: &Trace, text: &str) -> Option<String> {
    let found = trace.results.iter().find(|result| result.contains(text))?;
    let line = found.lines().find(|line| line.contains(text)).unwrap_or(text);
    Some(line.trim().chars().take(120).collect())
}
