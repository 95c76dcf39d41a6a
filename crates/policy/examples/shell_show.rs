//! Shows what the shell analysis makes of its arguments, one text each.

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
#![expect(clippy::print_stdout, reason = "the purpose of an example is to print")]

use seawall_policy::shell::{Limits, ShellContext, analyze};
use std::collections::BTreeMap;

fn main() {
    let vars = BTreeMap::new();
    let cx = ShellContext {
        cwd: "/w",
        home: "/home/u",
        workspace: "/w",
        vars: &vars,
        limits: Limits::default(),
    };
    for text in std::env::args().skip(1) {
        let found = analyze(&text, &cx);
        println!("{text}");
        for effect in &found.effects {
            println!("  {effect:?}");
        }
        for flow in &found.flows {
            println!("  {:?} -> {:?}", flow.from, flow.to);
        }
    }
}
