//! Front matter.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    scan::one("SKILL.md", &[b"---\n", data, b"\n---\n# Notes\n"].concat());
});
