//! Any text must give an answer, and an empty answer only when nothing happens.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_policy::shell::{Limits, ShellContext, analyze};
use std::collections::BTreeMap;

fuzz_target!(|text: &str| {
    let vars = BTreeMap::new();
    let cx = ShellContext {
        cwd: "/w",
        home: "/home/u",
        workspace: "/w",
        vars: &vars,
        limits: Limits::default(),
    };
    let found = analyze(text, &cx);
    assert!(found.effects.len() <= cx.limits.effects + 64);
});
