//! Messages of a SOCKS client.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::socks;

fuzz_target!(|bytes: &[u8]| {
    let _ = socks::greeting(bytes, 2);
    let _ = socks::proof(bytes);
    if let Ok(Some((_, len))) = socks::request(bytes) {
        assert!(len <= bytes.len());
    }
});
