//! Documents: blocks, sentences, links, fences and spans.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    scan::one("SKILL.md", &[b"---\nname: n\ndescription: d\n---\n", data].concat());
});
