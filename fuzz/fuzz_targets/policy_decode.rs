//! Decoders, record readers, atoms and fingerprints on hostile text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_policy::provenance::{atoms, decode, prints, records, secrets};

fuzz_target!(|text: &str| {
    let decoded = decode::forms(text);
    let total: usize = decoded.texts.iter().map(String::len).sum();
    assert!(total <= 4 * 1024 * 1024);
    for atom in atoms::of(text) {
        assert!(text.get(atom.at).is_some());
    }
    let _ = records::read(text);
    let _ = secrets::present(text);
    assert!(prints::of(text).len() <= text.chars().count());
});
