//! Archives: zip, tar and gzip, in each other and behind other data.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const NAMES: [&str; 4] = ["a.zip", "a.tar", "a.gz", "a.png"];
    let Some((first, rest)) = data.split_first() else { return };
    scan::one(NAMES[usize::from(*first) % NAMES.len()], rest);
});
