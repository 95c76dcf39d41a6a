//! The first bytes of a tunnel; more bytes never change a verdict that has been given.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::hello::{Opening, classify};

fuzz_target!(|bytes: &[u8]| {
    let whole = classify(bytes);
    let half = classify(&bytes[..bytes.len() / 2]);
    if half != Opening::Partial {
        assert_eq!(half, whole);
    }
});
