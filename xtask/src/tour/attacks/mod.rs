//! What a hijacked model, or somebody with a stolen client, tries. One file per aim.
//!
//! To add one: a [`Case`] in the file of its aim. It has to land on the bare gateway, which
//! `cargo xtask demo --target bare` shows; what can't land there proves nothing here.

mod gateway;
mod identity;
mod network;
mod persist;
mod rogue;
mod secrets;

use super::{Act, Case, Kind, Scene, Trace};
use crate::world::model::{Step, call};
use serde_json::json;
use std::time::Duration;

/// All attacks.
pub(super) fn all() -> Vec<Case> {
    [secrets::all(), network::all(), identity::all(), persist::all(), rogue::all(), gateway::all()]
        .concat()
}

/// An attack in a chat turn.
fn turn(
    name: &'static str,
    about: &'static str,
    steps: fn() -> Vec<Step>,
    seen: fn(&Scene, &Trace) -> Option<String>,
) -> Case {
    Case {
        name,
        kind: Kind::Attack,
        about,
        act: Act::Turn(steps),
        seen,
        within: Duration::from_millis(700),
        ruins: false,
    }
}

/// A command in the agent's shell.
fn exec(command: &str) -> Step {
    call("exec", json!({ "command": command }))
}

/// A file of the user holds a text: the evidence.
fn holds(scene: &Scene, file: &str, text: &str) -> Option<String> {
    scene.file(file).contains(text).then(|| format!("~/{file} holds what the attacker wrote"))
}
