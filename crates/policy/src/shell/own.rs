//! The agent's and the guard's own command lines, and what runs later.

use super::Source;
use super::program::{Tally, told};
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::merge;
use super::walk::{Out, Walk};
use seawall_model::Effect;

/// The agent's command line holds an operator's credential: what it does through the gateway is
/// decided by no tool hook.
pub(super) fn openclaw(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let words: Vec<&str> =
        call.args.iter().map(|a| a.text.as_str()).filter(|t| !t.starts_with('-')).collect();
    for arg in call.args {
        walk.literal(&arg.text);
    }
    let first = words.first().copied().unwrap_or("");
    let second = words.get(1).copied().unwrap_or("");
    let target = format!("{} {first} {second}", call.name).trim_end().to_owned();
    let _ = st;
    match first {
        "" | "--version" | "status" | "health" | "help" => {
            if call.args.iter().any(|a| !a.is_known()) {
                walk.opaque(&format!("an argument of `{}` is not known", call.name));
            }
            return Out::from(vec![Source::Program(call.name.to_owned())]);
        }
        "cron" | "automations" => walk.effect(Effect::Schedule { target }),
        "skills" | "plugins" | "install" | "update" | "mcp" => {
            walk.effect(Effect::Install { target })
        }
        "message" => {
            walk.effect(Effect::Send { channel: "openclaw".into(), recipients: Vec::new() })
        }
        "agent" | "agents" | "sessions" => {
            walk.effect(Effect::Session { op: "send".into(), target })
        }
        "browser" | "nodes" | "node" => walk.effect(Effect::Drive { what: first.to_owned() }),
        "memory" => walk.effect(Effect::MemoryWrite { target }),
        _ => walk.effect(Effect::ConfigChange { target }),
    }
    walk.opaque(&format!("`{} {first}` acts through the gateway with its own rights", call.name));
    walk.unknown_program(call.name, call.args, call.io)
}

pub(super) fn seawall(walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let first = call.args.iter().find(|a| !a.text.starts_with('-')).map_or("", |a| a.text.as_str());
    if call.args.iter().all(super::value::Val::is_known)
        && matches!(first, "status" | "events" | "help" | "")
    {
        return Out::from(vec![Source::Program("seawall".into())]);
    }
    walk.effect(Effect::ConfigChange { target: format!("seawall {first}") });
    walk.opaque("`seawall` changes the guard itself");
    Out::default()
}

pub(super) fn crontab(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let lists = call.args.iter().any(|a| a.text == "-l");
    if lists && call.args.len() == 1 {
        return Out::from(vec![Source::Program("crontab".into())]);
    }
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        match arg.text.as_str() {
            "-u" => at += 1,
            text if text.starts_with('-') => {}
            _ => walk.role(st, "crontab", Role::Read, arg, call.io, &mut tally),
        }
    }
    let mut from = tally.reads;
    if call.io.piped {
        merge(&mut from, &call.io.from);
    }
    let target =
        call.args.first().map_or_else(|| "crontab".into(), |a| format!("crontab {}", told(a)));
    walk.effect(Effect::Schedule { target });
    walk.opaque("`crontab` sets commands that run later");
    walk.flow(&from, &super::Sink::Program("crontab".into()));
    Out::silent()
}
