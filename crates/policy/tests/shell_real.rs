//! The shell analysis against real bash and dash. The number of lines comes from
//! `SEAWALL_SHELL_DIFF` (100 unless told); `cargo run -p seawall-policy --example shell_diff -- N`
//! runs more and prints the figures.

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

#[path = "support/grammar.rs"]
mod grammar;
#[path = "support/real_shell.rs"]
mod real_shell;

#[test]
fn nothing_that_a_real_shell_does_goes_unpredicted() {
    if let Some(reason) = real_shell::lacking() {
        eprintln!("skipped: {reason}");
        return;
    }
    let count =
        std::env::var("SEAWALL_SHELL_DIFF").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
    let tally = real_shell::compare(20_261_123, count, |_| {});
    assert!(tally.missed.is_empty(), "not predicted: {:#?}", tally.missed);
    assert!(tally.opaque * 2 < tally.lines, "{} of {} lines are opaque", tally.opaque, tally.lines);
}

#[test]
fn nothing_that_a_tricky_line_does_goes_unpredicted() {
    if let Some(reason) = real_shell::lacking() {
        eprintln!("skipped: {reason}");
        return;
    }
    let root = std::env::temp_dir().join(format!("shell-lines-{}", std::process::id()));
    let lines = real_shell::collected(include_str!("../testdata/shell_lines.txt"));
    let tally = real_shell::all(&root, &lines, |_| {});
    let _ = std::fs::remove_dir_all(&root);
    assert!(tally.missed.is_empty(), "not predicted: {:#?}", tally.missed);
}
