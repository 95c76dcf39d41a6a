//! Decisions and observations in sessions of several lengths.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use seawall_model::{Action, ActionKind, Origin, Requester, ToolCall};
use seawall_policy::{Bundle, Observation, SessionState, commit, decide, observe};
use serde_json::{Value, json};
use std::hint::black_box;

fn origin() -> Origin {
    Origin {
        agent_id: "main".into(),
        session_key: "agent:main:main".into(),
        requester: Some(Requester { sender_is_owner: Some(true), ..Requester::default() }),
        ..Origin::default()
    }
}

fn action(i: usize, tool: &str, params: Value) -> Action {
    Action {
        call_id: format!("c{i}"),
        origin: origin(),
        kind: ActionKind::ToolCall(ToolCall { tool: tool.into(), params, derived_paths: vec![] }),
    }
}

/// Ten KiB of a made-up listing with names, addresses and links.
fn listing(seed: usize) -> String {
    let items: Vec<Value> = (0..64)
        .map(|i| {
            let n = seed * 64 + i;
            json!({"id": n.to_string(), "name": format!("Item number {n}"), "owner": format!("p{n}@example.org"),
                   "note": format!("See https://site{n}.example.net/page for the whole story of it")})
        })
        .collect();
    Value::Array(items).to_string()
}

fn session(bundle: &Bundle, steps: usize) -> SessionState {
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

fn benches(c: &mut Criterion) {
    let bundle = Bundle::baseline();
    for steps in [0usize, 500, 10_000] {
        let state = session(&bundle, steps);
        let now = steps as u64 * 1000;
        let calls = [
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
        ];
        for (name, call) in &calls {
            c.bench_function(&format!("decide/{name}/{steps}"), |b| {
                b.iter(|| black_box(decide(&bundle, &state, black_box(call), now)));
            });
        }
        let seen = Observation::Result {
            call_id: "x".into(),
            origin: origin(),
            tool: "read".into(),
            params: json!({"path": "notes/x.md"}),
            text: listing(1),
            is_error: false,
        };
        c.bench_function(&format!("observe/10KiB/{steps}"), |b| {
            b.iter_batched_ref(
                || state.clone(),
                |state| observe(&bundle, state, black_box(&seen), now),
                BatchSize::LargeInput,
            );
        });
    }
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_secs(2));
    targets = benches
}
criterion_main!(all);
