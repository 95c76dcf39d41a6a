//! A request's address: every one has an answer, and none that decodes to a refused path is let through.
#![no_main]

use http::Method;
use libfuzzer_sys::fuzz_target;
use seawall_door::routes::{Kind, Routes};
use std::sync::OnceLock;

fuzz_target!(|target: &str| {
    static ROUTES: OnceLock<Routes> = OnceLock::new();
    let routes = ROUTES.get_or_init(|| Routes::shipped().expect("shipped table"));
    let kind = routes.classify(&Method::GET, target).kind;
    if target.to_ascii_lowercase().starts_with("/tools/") {
        assert_eq!(kind, Kind::Never);
    }
});
