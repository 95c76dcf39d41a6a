//! Python.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    scan::one("run.py", &[b"import os\n", data].concat());
});
