//! What [`compare`] calls narrower allows nothing that was not allowed before: checked on the calls
//! of the native traces, under pairs of policies that differ at random.

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
#![allow(missing_docs, reason = "a test")]

mod common;

use common::bundle;
use proptest::prelude::*;
use proptest::sample::subsequence;
use seawall_policy::compare::{Direction, asks, compare};
use seawall_policy::trace::{Trace, play_beside, read};
use std::sync::LazyLock;

/// Short ones: the property is one of single decisions.
static TRACES: LazyLock<Vec<Trace>> = LazyLock::new(|| {
    let text = std::fs::read_to_string("../../testdata/traces/native.jsonl").unwrap();
    let mut traces = read(&text).unwrap();
    traces.retain(|t| t.steps.len() < 12 && t.steps.iter().all(|s| s.times < 12));
    assert!(traces.len() > 100);
    traces
});

const LINES: &[&str] = &[
    "base = \"owner\"",
    "listed_hosts = [\"docs.example.com\"]",
    "private_hosts = [\"10.0.0.5\"]",
    "private_sinks = [\"*.example.com\"]",
    "listed_recipients = [\"ann@example.com\"]",
    "owner = [\"me@example.com\"]",
    "read_folders = [\"/srv\"]",
    "write_folders = [\"/tmp\"]",
    "tools_deny = [\"exec\"]",
    "tools_allow = [\"read\", \"write\", \"message\", \"web_*\"]",
    "budget = { calls_per_hour = 3 }",
    "override = [{ agent = \"main\", untrusted = true }]",
    "override = [{ session = \"agent:main:cron:*\", tools_deny = [\"web_fetch\"] }]",
];

fn policy() -> impl Strategy<Value = String> {
    subsequence(LINES, 0..6).prop_map(|lines| {
        let overrides = lines.iter().filter(|l| l.starts_with("override")).count();
        let kept: Vec<&str> =
            lines.into_iter().filter(|l| overrides < 2 || !l.contains("untrusted")).collect();
        format!("[policy]\n{}\n", kept.join("\n"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_called_narrower_allows_nothing_more(
        more in policy(), drop in any::<prop::sample::Index>(), at in 0usize..12
    ) {
        // The second policy is the first without one line, and the other way round.
        let lines: Vec<&str> = more.lines().collect();
        let out = 1 + drop.index(lines.len().max(2) - 1);
        let less: String = lines
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != out)
            .map(|(_, l)| format!("{l}\n"))
            .collect();
        for (old, new) in [(&more, &less), (&less, &more)] {
            let (old, new) = (bundle(old), bundle(new));
            let changes = compare(&old, &new);
            if asks(&changes) {
                continue;
            }
            for trace in TRACES.iter().skip(at).step_by(12) {
                for (step, was, is) in play_beside(&old, &new, trace) {
                    prop_assert!(is >= was, "{} step {step}: {was:?} -> {is:?}, {changes:?}", trace.id);
                }
            }
        }
    }
}

/// The property is not empty: lists that widen do allow more on these traces.
#[test]
fn what_is_called_wider_allows_more_somewhere() {
    for line in ["base = \"owner\"", "listed_hosts = [\"docs.example.com\"]"] {
        let (old, new) = (bundle(""), bundle(&format!("[policy]\n{line}\n")));
        assert_eq!(compare(&old, &new)[0].direction, Direction::Wider);
        let more = TRACES
            .iter()
            .flat_map(|t| play_beside(&old, &new, t))
            .filter(|(_, was, is)| is < was)
            .count();
        assert!(more > 0, "{line}");
    }
}
