//! What a scan costs: `cargo run --release -p seawall-egress --example scan`. Processor time of the
//! least of several rounds, which other work on the machine disturbs least.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, run by hand")]

use seawall_egress::scan::{BodyScanner, Scanner};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}

/// Microseconds of one call.
fn least(calls: u32, mut call: impl FnMut()) -> f64 {
    let mut round = || {
        let begun = cpu();
        (0..calls).for_each(|_| call());
        (cpu() - begun).as_secs_f64() * 1e6 / f64::from(calls)
    };
    (0..9).map(|_| round()).fold(f64::MAX, f64::min)
}

/// Letters by a fixed sequence, so that two runs measure the same.
fn letters(n: usize, alphabet: &[u8]) -> Vec<u8> {
    let mut state = 12345u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *alphabet.get((state >> 33) as usize % alphabet.len()).unwrap()
    };
    (0..n).map(|_| next()).collect()
}

fn repeated(text: &str, n: usize) -> Vec<u8> {
    text.bytes().cycle().take(n).collect()
}

const PROSE: &str = "The quick brown fox jumps over the lazy dog, and then writes a report of it. ";
const JSON: &str = r#"{"role": "user", "content": "Please read \"notes.md\" at https://example.test/a?x=1.\nThen say what is in it.", "count": 12345}, "#;
const SOURCE: &str = "fn next(&mut self) -> Option<Self::Item> {\n    self.inner.get(self.at..)?.iter().position(|b| *b == b'\\n')\n}\n";

fn main() {
    let scanner = Arc::new(Scanner::new(&[]).unwrap());
    let base64 =
        letters(10_000, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    let binary: Vec<u8> = letters(10_000, &(0..=255).collect::<Vec<u8>>());
    println!("10 KB body, scanned in one piece and as a body");
    for (name, body) in [
        ("prose", repeated(PROSE, 10_000)),
        ("JSON", repeated(JSON, 10_000)),
        ("source", repeated(SOURCE, 10_000)),
        ("percent", repeated("name=J%C3%BCrgen+Example&city=K%C3%B6ln&", 10_000)),
        ("binary", binary),
        ("base64", base64),
    ] {
        let whole =
            least(200, || assert!(black_box(&scanner).scan(black_box(&body), &[]).is_none()));
        let in_body = least(200, || {
            let mut scanner = BodyScanner::new(Arc::clone(&scanner), Vec::new());
            scanner.pass(black_box(&body)).unwrap();
            scanner.rest().unwrap();
        });
        println!("  {name:8} {whole:8.2} us {in_body:8.2} us");
    }
    println!("URLs");
    for url in [
        "/v1/items/12345/children?filter=open&sort=date&page=3",
        "/repos/example/project/contents/src/lib.rs?ref=0f3a9c1d5b7e2f4a6c8d0e1f2a3b4c5d6e7f8091",
        "/search?q=how%20to%20write%20a%20scanner%20in%20linear%20time&lang=en&safe=off",
    ] {
        let took = least(2000, || assert!(scanner.scan(black_box(url.as_bytes()), &[]).is_none()));
        println!("  {took:8.2} us {} bytes", url.len());
    }
    println!("bodies in pieces of 32 KiB, time for each MiB");
    for (name, text) in [("prose", PROSE), ("JSON", JSON)] {
        for megabytes in [1usize, 10, 100] {
            let mut scanner = BodyScanner::new(Arc::clone(&scanner), Vec::new());
            let piece = repeated(text, 32 * 1024);
            let begun = cpu();
            for _ in 0..megabytes * 32 {
                black_box(scanner.pass(black_box(&piece)).unwrap());
            }
            let took = (cpu() - begun).as_secs_f64() * 1e3;
            println!("  {name:6} {megabytes:3} MiB {:8.2} ms for each", took / megabytes as f64);
        }
    }
}
