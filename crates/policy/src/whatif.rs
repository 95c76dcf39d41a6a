//! The narrowest change that would allow a call: found by trying, not by guessing.

use crate::bundle::Bundle;
use crate::decide::decide_fully;
use crate::session::SessionState;
use crate::settings::Settings;
use seawall_model::{Action, Decision, Effect};

/// A change, in words and as settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What to write into the `[policy]` table.
    pub text: String,
    /// The settings with the change.
    pub settings: Settings,
    /// What the call comes to with it.
    pub decision: Decision,
}

/// Changes that would let a call through, narrowest first. Each was tried. Empty when no single
/// setting does, which is so for everything that no configuration turns off.
#[must_use]
pub fn changes(bundle: &Bundle, state: &SessionState, action: &Action, now_ms: u64) -> Vec<Change> {
    let decided = decide_fully(bundle, state, action, now_ms);
    if decided.verdict.decision == Decision::Allow {
        return Vec::new();
    }
    let mut candidates: Vec<(String, Settings)> = Vec::new();
    let mut add = |text: String, edit: &dyn Fn(&mut Settings)| {
        let mut settings = bundle.settings().clone();
        edit(&mut settings);
        if !candidates.iter().any(|(t, _)| *t == text) && candidates.len() < 32 {
            candidates.push((text, settings));
        }
    };
    for effect in &decided.verdict.effects {
        match effect {
            Effect::Request { host, .. } if !host.is_empty() => {
                add(format!("listed_hosts += \"{host}\""), &|s| s.listed_hosts.push(host.clone()));
                add(format!("private_hosts += \"{host}\""), &|s| {
                    s.private_hosts.push(host.clone())
                });
            }
            Effect::Send { recipients, .. } if !recipients.is_empty() => {
                add(format!("listed_recipients += {recipients:?}"), &|s| {
                    s.listed_recipients.extend(recipients.iter().cloned());
                });
            }
            Effect::Read { path } | Effect::List { path } => {
                if let Some(folder) = parent(path) {
                    add(format!("read_folders += \"{folder}\""), &|s| {
                        s.read_folders.push(folder.to_owned());
                    });
                }
            }
            Effect::Write { path } | Effect::Delete { path } => {
                if let Some(folder) = parent(path) {
                    add(format!("write_folders += \"{folder}\""), &|s| {
                        s.write_folders.push(folder.to_owned());
                    });
                }
            }
            _ => {}
        }
    }
    let tool = crate::decide::tool_name(&action.kind);
    if bundle.tool_denied(tool, &action.origin, &state.makers) {
        add(format!("tools_deny -= \"{tool}\""), &|s| {
            s.tools_deny.retain(|t| t != tool);
            if !s.tools_allow.is_empty() {
                s.tools_allow.push(tool.to_owned());
            }
        });
    }
    if let Some(requester) = &action.origin.requester
        && let (Some(channel), Some(sender)) = (&requester.channel, &requester.sender_id)
    {
        add(format!("listed_senders += \"{channel}:{sender}\""), &|s| {
            s.listed_senders.push(format!("{channel}:{sender}"));
        });
    }
    let mut out: Vec<Change> = candidates
        .into_iter()
        .filter_map(|(text, settings)| {
            let changed = bundle.clone().settings_replaced(settings.clone());
            let decision = decide_fully(&changed, state, action, now_ms).verdict.decision;
            (decision < decided.verdict.decision).then_some(Change { text, settings, decision })
        })
        .collect();
    out.sort_by_key(|c| c.decision);
    out
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(folder, _)| folder).filter(|folder| !folder.is_empty())
}
