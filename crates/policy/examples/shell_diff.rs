//! Compares the shell analysis with real shells: `shell_diff [LINES [SEED]]` with so many made-up
//! lines, `shell_diff FILE` with those of a file.

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
    let first = args.next().unwrap_or_else(|| "1000".into());
    let mut shown = 0;
    let each = |tally: &real_shell::Tally| {
        for (text, shell, event) in tally.missed.iter().skip(shown) {
            println!("not predicted ({shell}): {event:?}\n    {}", text.replace('\n', "\n    "));
        }
        shown = tally.missed.len();
    };
    let tally = match first.parse() {
        Ok(count) => {
            let seed = args.next().and_then(|n| n.parse().ok()).unwrap_or(1);
            real_shell::compare(seed, count, each)
        }
        Err(_) => {
            let text = std::fs::read_to_string(&first).expect("a file of lines");
            let root = std::env::temp_dir().join(format!("shell-lines-{}", std::process::id()));
            let tally = real_shell::all(&root, &real_shell::collected(&text), each);
            let _ = std::fs::remove_dir_all(&root);
            tally
        }
    };
    println!(
        "lines {}, opaque {}, events not predicted {}, effects predicted {}, of these not seen {}",
        tally.lines,
        tally.opaque,
        tally.missed.len(),
        tally.predicted,
        tally.unseen
    );
}
