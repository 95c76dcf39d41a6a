//! The native traces: what must be stopped and what must go through, under both shipped bundles.

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
mod native;

use seawall_policy::trace::{Kind, faults, play, read};

const FILE: &str = "../../testdata/traces/native.jsonl";

fn text() -> String {
    let mut out = String::new();
    for trace in native::all() {
        out.push_str(&serde_json::to_string(&trace).unwrap());
        out.push('\n');
    }
    out
}

#[test]
fn the_committed_traces_are_what_the_generator_makes() {
    let made = text();
    if std::env::var_os("UPDATE_TRACES").is_some() {
        std::fs::create_dir_all("../../testdata/traces").unwrap();
        std::fs::write(FILE, &made).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(committed == made, "run with UPDATE_TRACES=1 and commit {FILE}");
}

#[test]
fn every_trace_comes_out_as_it_says_under_both_bundles() {
    let traces = read(&text()).unwrap();
    assert!(traces.len() >= 150, "{}", traces.len());
    let ordinary = traces.iter().filter(|t| t.kind == Kind::Ordinary).count();
    assert!(ordinary >= 40, "{ordinary}");
    let settings = "listed_hosts = [\"docs.example.com\"]\n";
    let mut wrong = Vec::new();
    for base in ["production", "owner"] {
        let bundle = common::bundle(&format!("[policy]\nbase = \"{base}\"\n{settings}"));
        for trace in &traces {
            for (step, what) in faults(trace, &play(&bundle, trace)) {
                wrong.push(format!("{base} {} step {step}: {what}", trace.id));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Each attack lands when nothing is decided: a test that cannot fail proves nothing.
#[test]
fn every_attack_has_a_step_that_harms() {
    for trace in native::all().iter().filter(|t| t.kind == Kind::Attack) {
        assert!(trace.steps.iter().any(|s| s.harm), "{}", trace.id);
    }
}
