//! JavaScript, TypeScript and TSX.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    const NAMES: [&str; 3] = ["run.js", "run.ts", "run.tsx"];
    let Some((first, rest)) = data.split_first() else { return };
    scan::one(NAMES[usize::from(*first) % NAMES.len()], &[b"eval;\n", rest].concat());
});
