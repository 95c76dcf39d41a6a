//! Hosts, authorities and CONNECT targets: what is read is canonical.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::host::Target;

fuzz_target!(|text: &str| {
    if let Ok(target) = Target::parse(text, Some(80)) {
        assert_eq!(Target::parse(&target.to_string(), None), Ok(target));
    }
});
