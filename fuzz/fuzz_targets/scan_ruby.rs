//! Ruby.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    scan::one("run.rb", &[b"exec\n", data].concat());
});
