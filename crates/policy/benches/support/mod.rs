//! Sessions of any length, and calls to decide in them.

use seawall_model::label::{Confidentiality, Integrity, Label};
use seawall_model::{Action, ActionKind, Origin, Requester, ToolCall};
use seawall_policy::session::MAX_FILES;
use seawall_policy::{Bundle, Observation, SessionState, commit, decide, observe};
use serde_json::{Value, json};

pub(crate) fn origin() -> Origin {
    Origin {
        agent_id: "main".into(),
        session_key: "agent:main:main".into(),
        requester: Some(Requester { sender_is_owner: Some(true), ..Requester::default() }),
        ..Origin::default()
    }
}

pub(crate) fn action(i: usize, tool: &str, params: Value) -> Action {
    Action {
        call_id: format!("c{i}"),
        origin: origin(),
        kind: ActionKind::ToolCall(ToolCall { tool: tool.into(), params, derived_paths: vec![] }),
    }
}

/// Ten KiB of a made-up listing with names, addresses and links.
pub(crate) fn listing(seed: usize) -> String {
    let items: Vec<Value> = (0..64)
        .map(|i| {
            let n = seed * 64 + i;
            json!({"id": n.to_string(), "name": format!("Item number {n}"), "owner": format!("p{n}@example.org"),
                   "note": format!("See https://site{n}.example.net/page for the whole story of it")})
        })
        .collect();
    Value::Array(items).to_string()
}

pub(crate) fn session(bundle: &Bundle, steps: usize) -> SessionState {
    let mut state = SessionState::default();
    let words = Observation::Words {
        origin: origin(),
        text: "please look through the notes and tell ann@example.org about Item number 7".into(),
        conversation: None,
    };
    observe(bundle, &mut state, &words, 0);
    for i in 0..steps {
        let now = i as u64 * 1000;
        let step = action(i, "read", json!({"path": format!("notes/{i}.md")}));
        let verdict = decide(bundle, &state, &step, now);
        commit(bundle, &mut state, &step, &verdict, now);
        let seen = Observation::Result {
            call_id: format!("c{i}"),
            origin: origin(),
            tool: "read".into(),
            params: json!({"path": format!("notes/{i}.md")}),
            text: listing(i),
            is_error: false,
        };
        observe(bundle, &mut state, &seen, now);
    }
    state
}

/// A session whose bounded memories are all full: closely held text, values, records, files with
/// labels, conversations, open calls and questions.
#[allow(dead_code, reason = "not every benchmark has use for it")]
pub(crate) fn full(bundle: &Bundle) -> SessionState {
    let mut state = session(bundle, 400);
    let secret = Label::new(Integrity::Outside, Confidentiality::Secret).with("credentials");
    let mut at = 0u64;
    while !state.memory.full && at < 400 {
        let seen = Observation::Outside {
            category: "web".into(),
            text: listing(10_000 + usize::try_from(at).unwrap_or(0)),
            label: Some(secret.clone()),
        };
        observe(bundle, &mut state, &seen, at * 1000);
        at += 1;
    }
    for n in 0..MAX_FILES + 10 {
        state.label_file(
            &format!("/home/u/workspace/notes/folder{}/{n}.md", n % 97),
            secret.clone(),
        );
    }
    for n in 0..64 {
        state.converse("mail", &format!("conversation {n} with somebody"));
        let call = action(n, "exec", json!({"command": format!("make step{n}")}));
        let verdict = decide(bundle, &state, &call, at * 1000);
        commit(bundle, &mut state, &call, &verdict, at * 1000);
    }
    state
}

/// Ordinary calls of several kinds.
pub(crate) fn calls() -> Vec<(&'static str, Action)> {
    vec![
        ("read", action(1, "read", json!({"path": "src/main.rs"}))),
        ("exec", action(1, "exec", json!({"command": "grep -rn todo src | head -20"}))),
        ("fetch", action(1, "web_fetch", json!({"url": "https://docs.example.com/a"}))),
        (
            "message",
            action(
                1,
                "message",
                json!({"action": "send", "target": "ann@example.org", "message": "all is well with the notes"}),
            ),
        ),
        (
            "write-4k",
            action(
                1,
                "write",
                json!({"path": "notes/x.md", "content": "a line of notes\n".repeat(256)}),
            ),
        ),
    ]
}
