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

mod support;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use seawall_policy::{Bundle, Observation, decide, observe};
use serde_json::json;
use std::hint::black_box;
use support::{calls, listing, origin, session};

fn benches(c: &mut Criterion) {
    let bundle = Bundle::baseline();
    for steps in [0usize, 500, 10_000] {
        let state = session(&bundle, steps);
        let now = steps as u64 * 1000;
        for (name, call) in &calls() {
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
