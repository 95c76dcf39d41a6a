//! AppleScript and batch files.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const NAMES: [&str; 2] = ["run.applescript", "run.bat"];
    let Some((first, rest)) = data.split_first() else { return };
    scan::one(NAMES[usize::from(*first) % NAMES.len()], &[b"-- exec\n", rest].concat());
});
