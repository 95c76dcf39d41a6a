//! Replacing in pieces gives what replacing in the whole gives.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_egress::replace::{Pair, Replacer, Table};

fuzz_target!(|data: (Vec<(Vec<u8>, Vec<u8>)>, Vec<Vec<u8>>)| {
    let (pairs, pieces) = data;
    if pairs.len() > 8 || pairs.iter().any(|(from, to)| from.len() > 64 || to.len() > 64) {
        return;
    }
    // Only texts of which none is in another one: where they overlap, what was seen first wins.
    let within = |a: &[u8], b: &[u8]| b.windows(a.len().max(1)).any(|w| w == a);
    for (i, (a, _)) in pairs.iter().enumerate() {
        if pairs.iter().enumerate().any(|(j, (b, _))| i != j && within(a, b)) {
            return;
        }
    }
    let pair =
        |(from, to): &(Vec<u8>, Vec<u8>)| Pair { from: from.clone().into(), to: to.clone().into() };
    let Some(table) = Table::new(pairs.iter().map(pair).collect()) else { return };
    let mut replacer = Replacer::new(table.clone());
    let mut out = Vec::new();
    for piece in &pieces {
        out.extend(replacer.pass(piece));
    }
    out.extend(replacer.rest());
    assert_eq!(out, table.replace(&pieces.concat()));
});
