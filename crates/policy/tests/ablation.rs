//! What each part of the engine's memory holds: native attacks that land when it is taken away.
//! `cargo test -p seawall-policy --test ablation -- --nocapture` prints the figures.

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

use seawall_policy::Bundle;
use seawall_policy::trace::{Kind, Part, Trace, faults, play_without, read};

fn landed(bundle: &Bundle, attacks: &[Trace], parts: &[Part]) -> Vec<String> {
    attacks
        .iter()
        .filter(|t| !faults(t, &play_without(bundle, t, parts)).is_empty())
        .map(|t| t.id.clone())
        .collect()
}

#[test]
fn each_part_holds_attacks_that_the_others_do_not() {
    let text = std::fs::read_to_string("../../testdata/traces/native.jsonl").unwrap();
    let mut attacks = read(&text).unwrap();
    // Long sessions show the same as short ones, at length.
    attacks.retain(|t| t.kind == Kind::Attack && t.steps.iter().all(|s| s.times < 12));
    for base in ["production", "owner"] {
        let bundle = common::bundle(&format!(
            "[policy]\nbase = \"{base}\"\nlisted_hosts = [\"docs.example.com\"]\n"
        ));
        let count = |parts: &[Part]| {
            let ids = landed(&bundle, &attacks, parts);
            println!("{base}: without {parts:?}: {} of {} land {ids:?}", ids.len(), attacks.len());
            ids.len()
        };
        assert_eq!(count(&[]), 0);
        for part in [Part::Labels, Part::Provenance, Part::Sequences] {
            assert!(count(&[part]) > 0, "{base}: nothing lands without {part:?}");
        }
        let none = count(&[Part::Labels, Part::Provenance, Part::Sequences]);
        assert!(none > attacks.len() / 4, "{none}");
    }
}
