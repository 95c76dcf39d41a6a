//! What a session learns: results, words, offers, answers.

use crate::approvals::{AskKey, Grant, Scope};
use crate::bundle::Bundle;
use crate::call::{self, Surroundings};
use crate::catalogue::{Role, Verb, Yields};
use crate::facts::Target;
use crate::infer::Offer;
use crate::influence;
use crate::provenance::{Seen, key, secrets};
use crate::sequence::{Event, Forget};
use crate::session::SessionState;
use crate::trust::{SessionKind, Trust};
use seawall_model::label::{Confidentiality, Integrity, Label};
use seawall_model::{Origin, ToolCall};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Something that a session has seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Observation {
    /// A message of the person behind the session (a chat message, a prompt). The task text of a
    /// sub-agent or of a scheduled run is one as well; the session's kind says how far it counts.
    Words {
        /// In whose name.
        origin: Origin,
        /// Its text.
        text: String,
        /// Conversation to which answers go, where the channel has one.
        #[serde(default)]
        conversation: Option<String>,
    },
    /// The result of a tool call.
    Result {
        /// Id of the call.
        call_id: String,
        /// In whose name.
        origin: Origin,
        /// Tool.
        tool: String,
        /// Arguments.
        #[serde(default)]
        params: Value,
        /// Text of the result.
        text: String,
        /// Whether the tool reported an error.
        #[serde(default)]
        is_error: bool,
    },
    /// Tools that are offered beside the built-in ones.
    Tools {
        /// Them.
        tools: Vec<Offer>,
    },
    /// Content of others that came without a tool call: a quoted message, an attachment, the
    /// result of a sub-agent.
    Outside {
        /// Where it came from, as a category of the label.
        category: String,
        /// Its text.
        text: String,
        /// What its maker had seen, when it was another session.
        #[serde(default)]
        label: Option<Label>,
    },
    /// A person answered a question.
    Answer {
        /// The question.
        key: AskKey,
        /// How far the answer reaches; `None` for no.
        scope: Option<Scope>,
        /// Digest of the call that was asked about.
        digest: String,
        /// Until when it holds.
        expires_ms: u64,
    },
    /// The conversation starts anew. Labels of files and answers stay.
    Reset,
}

/// Takes an observation in. Total: an observation for a call that was never decided is believed
/// as little as any.
pub fn observe(bundle: &Bundle, state: &mut SessionState, seen: &Observation, now_ms: u64) {
    state.step = state.step.saturating_add(1);
    match seen {
        Observation::Words { origin, text, conversation } => {
            words(bundle, state, origin, text, conversation.as_deref());
        }
        Observation::Result { call_id, origin, tool, params, text, is_error: _ } => {
            result(bundle, state, call_id, origin, tool, params, text, now_ms);
        }
        Observation::Tools { tools } => {
            for offer in tools {
                // What OpenClaw or the operator says of a tool is not overridden by its server.
                if bundle.catalogue().get(&offer.name).is_none() {
                    state.offers.add(offer);
                }
            }
        }
        Observation::Outside { category, text, label } => {
            let base = Label::new(Integrity::Outside, Confidentiality::Internal)
                .with(call::bounded(category));
            let label = label.as_ref().map_or_else(|| base.clone(), |l| l.join(&base));
            state.see(&label, category);
            remember(
                state,
                text,
                &label,
                &Yields::default(),
                [true, false, false, false],
                category,
            );
        }
        Observation::Answer { key, scope, digest, expires_ms } => match scope {
            Some(scope) => {
                let grant = Grant {
                    key: key.clone(),
                    scope: *scope,
                    digest: digest.clone(),
                    expires_ms: *expires_ms,
                };
                state.grants.add(grant, now_ms);
                bundle.sequences().forget(&mut state.sequences, Forget::Approval);
            }
            None => {
                state.grants.revoke(key);
            }
        },
        Observation::Reset => {
            *state = SessionState {
                lineage: state.lineage,
                makers: std::mem::take(&mut state.makers),
                step: state.step,
                files: std::mem::take(&mut state.files),
                forgotten: state.forgotten.take(),
                offers: std::mem::take(&mut state.offers),
                counters: std::mem::take(&mut state.counters),
                grants: std::mem::take(&mut state.grants),
                conversations: std::mem::take(&mut state.conversations),
                ..SessionState::default()
            };
        }
    }
}

fn words(
    bundle: &Bundle,
    state: &mut SessionState,
    origin: &Origin,
    text: &str,
    conversation: Option<&str>,
) {
    let requester = origin.requester.as_ref();
    let channel = requester.and_then(|r| r.channel.as_deref()).unwrap_or_default();
    if let Some(id) = conversation {
        state.converse(channel, id);
    }
    if let Some(sender) = requester.and_then(|r| r.sender_id.as_deref())
        && SessionKind::of(&origin.session_key) == SessionKind::Main
    {
        state.converse(channel, sender);
    }
    let trust = bundle.trust(state, origin);
    let made = matches!(
        SessionKind::of(&origin.session_key),
        SessionKind::Subagent | SessionKind::Cron | SessionKind::Hook
    );
    // The task of a child was written by a model. It counts as the person's words only as far as
    // nothing from outside could have written it.
    if trust == Trust::Untrusted || (made && state.is_outside()) {
        let label = Label::new(Integrity::Outside, Confidentiality::Internal).with(if made {
            "task"
        } else {
            "unknown sender"
        });
        state.see(&label, if channel.is_empty() { "message" } else { channel });
        remember(state, text, &label, &Yields::default(), [true, false, false, false], "message");
        return;
    }
    let integrity = if trust == Trust::Owner { Integrity::Operator } else { Integrity::Listed };
    let label = Label::new(integrity, Confidentiality::Internal);
    state.see(&label, "words");
    state.words.add(text);
    state.asked.clear();
    bundle.sequences().forget(&mut state.sequences, Forget::Words);
    let words = std::mem::take(&mut state.words);
    state.memory.reconsider(&words);
    state.words = words;
}

#[expect(clippy::too_many_arguments, reason = "the fields of one observation")]
fn result(
    bundle: &Bundle,
    state: &mut SessionState,
    call_id: &str,
    origin: &Origin,
    tool: &str,
    params: &Value,
    text: &str,
    now_ms: u64,
) {
    let places = &bundle.settings().places;
    let workspace = origin.workspace.clone().unwrap_or_else(|| places.workspace.clone());
    let call =
        ToolCall { tool: tool.to_owned(), params: params.clone(), derived_paths: Vec::new() };
    let Source { yields, verbs, document, named, searched, pointed, tool, writes_only, own } =
        source_of(bundle, state, &call, &workspace);
    let open = state.closed(call_id);
    let mut label = Label::new(yields.integrity, yields.confidentiality);
    if !yields.category.is_empty() {
        label = label.with(yields.category.clone());
    }
    if let Some(read) = open.as_ref().and_then(|o| o.label.as_ref()) {
        label = label.join(read);
    }
    // A call that was never decided read nobody knows what.
    if open.is_none() {
        label.integrity = Integrity::Outside;
    }
    if secrets::present(text) {
        label.confidentiality = Confidentiality::Secret;
        label = label.with("credentials");
    }
    // The answer to an act ("done", the object that was made) tells what the session did itself.
    if writes_only
        && open.is_some()
        && !state.is_outside()
        && match own {
            Own::No => echoes(text, params),
            Own::Yes => true,
            Own::Session => acknowledges(text),
        }
    {
        label.integrity = label.integrity.max(Integrity::Workspace);
    }
    for verb in verbs {
        bundle.sequences().advance(&mut state.sequences, Event::after(verb, &label), now_ms);
    }
    state.see(&label, &tool);
    remember(state, text, &label, &yields, [document, named, searched, pointed], &tool);
}

/// What is known of a result before it is read.
struct Source {
    yields: Yields,
    verbs: Vec<Verb>,
    /// A document as it stands, in which structure means nothing.
    document: bool,
    /// The person named the document.
    named: bool,
    /// It answers a search for the person's own words.
    searched: bool,
    /// The person said that somebody's address stands in it.
    pointed: bool,
    /// The tool that gave it; for an envelope, the one inside.
    tool: String,
    /// The call only acted.
    writes_only: bool,
    /// Who words the answer.
    own: Own,
}

/// Who words the answer to an act.
#[derive(Clone, Copy, PartialEq)]
enum Own {
    /// Some server.
    No,
    /// OpenClaw.
    Yes,
    /// OpenClaw, and with it perhaps another session.
    Session,
}

/// Most words that a server says of its own in one place ("the message was sent to 3 people").
const MAX_SAID: usize = 12;
/// Most places in an answer that only tells what was done.
const MAX_PLACES: usize = 256;

/// Whether the answer to an act says nothing but what was done: what the call said, and short
/// fields beside it. A server that answers with a thread or a page tells what others wrote.
fn echoes(text: &str, params: &Value) -> bool {
    fn strings(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => out.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|v| strings(v, out)),
            Value::Object(map) => map.values().for_each(|v| strings(v, out)),
            _ => {}
        }
    }
    if text.len() > call::MAX_TEXT {
        return false;
    }
    let mut said = Vec::new();
    strings(params, &mut said);
    let said: Vec<String> = said.iter().map(|text| crate::words::fold(text)).collect();
    let mut places = Vec::new();
    match serde_json::from_str::<Value>(text) {
        Ok(value) => strings(&value, &mut places),
        Err(_) => places.extend(text.lines().map(str::to_owned)),
    }
    places.len() <= MAX_PLACES
        && places.iter().all(|place| {
            let place = crate::words::fold(place);
            place.split_whitespace().nth(MAX_SAID).is_none()
                || said.iter().any(|said| {
                    said.contains(&place)
                        || (said.len() > 24
                            && place.len() <= said.len() + 64
                            && place.contains(said.as_str()))
                })
        })
}

/// Whether an answer of OpenClaw's session tools only says that something was started or sent. With
/// `timeoutSeconds` the answer is the other session's own text.
fn acknowledges(text: &str) -> bool {
    const WORDS_OF_OTHERS: &[&str] = &[
        "reply",
        "replies",
        "result",
        "results",
        "response",
        "text",
        "message",
        "messages",
        "output",
        "content",
        "summary",
        "transcript",
        "answer",
        "lastmessage",
        "lastassistant",
        "payloads",
    ];
    fn plain(value: &Value) -> bool {
        match value {
            Value::Object(map) => map.iter().all(|(key, value)| {
                let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
                (empty || !WORDS_OF_OTHERS.contains(&key.to_lowercase().as_str())) && plain(value)
            }),
            Value::Array(list) => list.iter().all(plain),
            _ => true,
        }
    }
    text.len() <= call::MAX_TEXT
        && serde_json::from_str::<Value>(text).is_ok_and(|v| v.is_object() && plain(&v))
}

fn source_of(bundle: &Bundle, state: &SessionState, call: &ToolCall, workspace: &str) -> Source {
    let places = &bundle.settings().places;
    let lookup =
        |name: &str| bundle.catalogue().get(name).or_else(|| state.offers.get(name)).cloned();
    let analysed = call::analyse(call, &Surroundings { places, workspace, lookup: &lookup });
    let inner = analysed.inner.as_deref().unwrap_or(&analysed);
    let is_document = |v: &Verb| matches!(v, Verb::Fetch | Verb::Run | Verb::Browser);
    let places_read = || {
        inner.uses.iter().filter(|u| matches!(u.role, Role::Url | Role::ReadPath | Role::Object))
    };
    let named = places_read().any(|u| {
        influence::origin(&u.text, u.role, &u.param, inner.tool, state, bundle.settings())
            == Target::User
    });
    let pointed = places_read().any(|u| {
        // However the person spelled it.
        let folded = crate::words::fold(&u.text);
        let bare = key(&u.text);
        let (site, url) = (format!("www.{bare}"), format!("https://{bare}"));
        [folded.as_str(), &bare, &site, &url].iter().any(|name| state.words.points_at(name))
    });
    Source {
        document: inner.verbs.iter().any(is_document)
            || inner.uses.iter().any(|u| matches!(u.role, Role::Url | Role::ReadPath)),
        named,
        pointed,
        searched: inner.of_role(Role::Query).next().is_some()
            && inner.of_role(Role::Query).all(|u| asked_for(&u.text, state)),
        own: if inner.verbs.iter().any(|v| matches!(v, Verb::Spawn | Verb::SessionSend)) {
            Own::Session
        } else if inner.known == crate::catalogue::Known::Catalogue {
            Own::Yes
        } else {
            Own::No
        },
        writes_only: inner.verbs.iter().all(|v| {
            v.consequential()
                && !matches!(
                    v,
                    Verb::Run
                        | Verb::Type
                        | Verb::Unknown
                        | Verb::Browser
                        | Verb::Computer
                        | Verb::Node
                )
        }),
        yields: inner.yields.clone(),
        verbs: inner.verbs.clone(),
        tool: inner.tool.to_owned(),
    }
}

/// Whether a query says nothing but what the person said.
fn asked_for(query: &str, state: &SessionState) -> bool {
    let folded = crate::words::fold(query);
    folded.len() >= 4
        && (state.words.name(&folded)
            || folded.split(' ').all(|word| state.words.name(word))
            || (state.words.delegates() && state.memory.delegated.name(&folded)))
}

fn remember(
    state: &mut SessionState,
    text: &str,
    label: &Label,
    yields: &Yields,
    [document, named, searched, pointed]: [bool; 4],
    tool: &str,
) {
    let words = std::mem::take(&mut state.words);
    state.memory.observe(
        Seen {
            text,
            integrity: label.integrity,
            confidentiality: label.confidentiality,
            directory: yields.directory,
            document,
            named,
            searched,
            pointed,
            tool,
        },
        &words,
    );
    state.words = words;
}
