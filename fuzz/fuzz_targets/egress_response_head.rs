//! Response heads of a hostile server.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::head::parse_response;

fuzz_target!(|bytes: &[u8]| {
    for method in ["GET", "HEAD"] {
        if let Ok(Some(head)) = parse_response(bytes, method) {
            assert!(head.len <= bytes.len());
        }
    }
});
