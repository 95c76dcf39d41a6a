//! Compares the shell analysis with real shells: `shell_diff [LINES [SEED]]`.

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
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "shares its code with a test, where a failure should stop at once"
)]

#[path = "../tests/support/grammar.rs"]
mod grammar;
#[path = "../tests/support/real_shell.rs"]
mod real_shell;

fn main() {
    if let Some(reason) = real_shell::lacking() {
        println!("skipped: {reason}");
        return;
    }
    let mut args = std::env::args().skip(1);
    let count = args.next().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let seed = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
    let mut shown = 0;
    let tally = real_shell::compare(seed, count, |_, tally| {
        for (text, shell, event) in tally.missed.iter().skip(shown) {
            println!("not predicted ({shell}): {event:?}\n    {}", text.replace('\n', "\n    "));
        }
        shown = tally.missed.len();
    });
    println!(
        "lines {}, opaque {}, events not predicted {}, effects predicted {}, of these not seen {}",
        tally.lines,
        tally.opaque,
        tally.missed.len(),
        tally.predicted,
        tally.unseen
    );
}
