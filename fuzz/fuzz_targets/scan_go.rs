//! Go.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    scan::one("run.go", &[b"package main\n// exec\n", data].concat());
});
