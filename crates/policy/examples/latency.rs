//! How long decisions and observations take in sessions of several lengths, and what a session
//! holds in memory: `cargo run --release -p seawall-policy --example latency`.
//!
//! Percentiles of single calls, which a benchmark's mean hides. Each call differs from those
//! before it, so that no answer is remembered from an equal call.

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

#[path = "../benches/support/mod.rs"]
mod support;

use seawall_model::ActionKind;
use seawall_policy::{Bundle, Observation, decide, observe};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::{Duration, Instant};
use support::{calls, full, listing, origin, session};

const ROUNDS: usize = 4000;

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    format!("p50 {:>9.1?}  p99 {:>9.1?}  max {:>9.1?}", at(50), at(99), times[times.len() - 1])
}

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4096)
}

fn main() {
    let bundle = Bundle::baseline();
    // First: memory that was freed before would be counted as nothing. The first is held while the
    // second grows.
    let sessions = 8;
    let before = resident();
    let held: Vec<_> = (0..sessions).map(|_| session(&bundle, 1000)).collect();
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / sessions / 1024;
        println!("memory  a session of 1000 steps of 10 KiB: {each} KiB");
    }
    let before = resident();
    let filled: Vec<_> = (0..sessions).map(|_| full(&bundle)).collect();
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / sessions / 1024;
        println!("memory  a session at its limits: {each} KiB");
    }
    drop((held, filled));
    let named = |steps| (format!("{steps} steps"), session(&bundle, steps), steps);
    let limits = ("limits".to_owned(), full(&bundle), 20_000);
    for (name, state, steps) in [named(0), named(500), named(10_000), limits] {
        let label = name;
        let now = steps as u64 * 1000;
        let mut all = Vec::new();
        for (name, mut call) in calls() {
            let mut times = Vec::new();
            for i in 0..ROUNDS {
                if let ActionKind::ToolCall(tool) = &mut call.kind
                    && let Value::Object(params) = &mut tool.params
                {
                    for key in ["command", "path", "url", "message"] {
                        if let Some(Value::String(text)) = params.get_mut(key) {
                            let bare = text.trim_end_matches(|c: char| c.is_ascii_digit());
                            *text = format!("{bare}{i}");
                        }
                    }
                }
                let begun = Instant::now();
                black_box(decide(&bundle, &state, black_box(&call), now));
                times.push(begun.elapsed());
            }
            all.extend_from_slice(&times);
            println!("decide  {label:<11}  {name:<9} {}", percentiles(times));
        }
        println!("decide  {label:<11}  {:<9} {}", "all", percentiles(all));
        let mut times = Vec::new();
        for i in 0..200 {
            let mut state = state.clone();
            let seen = Observation::Result {
                call_id: "x".into(),
                origin: origin(),
                tool: "read".into(),
                params: json!({"path": "notes/x.md"}),
                text: listing(steps + i),
                is_error: false,
            };
            let begun = Instant::now();
            observe(&bundle, &mut state, black_box(&seen), now);
            times.push(begun.elapsed());
        }
        println!("observe {label:<11}  10 KiB    {}", percentiles(times));
    }
}
