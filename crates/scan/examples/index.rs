//! Builds the index of known skills: `cargo run -p seawall-scan --example index -- PUBLISHER DIR >
//! content/scan/index.json`. `DIR` holds one folder per skill. The index keeps hashes, no text.

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

use seawall_scan::Index;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(publisher), Some(dir)) = (args.next(), args.next()) else {
        return Err("usage: index PUBLISHER DIR".into());
    };
    let mut folders: Vec<_> =
        std::fs::read_dir(dir)?.filter_map(Result::ok).map(|e| e.path()).collect();
    folders.sort();
    let mut index = Index::default();
    for folder in folders {
        let Ok(text) = std::fs::read_to_string(folder.join("SKILL.md")) else { continue };
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        index.learn(&name, &publisher, &text);
    }
    println!("{{\"known\":[");
    for (at, known) in index.known.iter().enumerate() {
        let comma = if at + 1 < index.known.len() { "," } else { "" };
        println!("{}{comma}", serde_json::to_string(known)?);
    }
    println!("]}}");
    Ok(())
}
