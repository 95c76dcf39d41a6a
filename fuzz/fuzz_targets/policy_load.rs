//! Policy files of hostile text: an error with a place, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_policy::{Bundle, PolicyFile};

fuzz_target!(|input: (bool, &str)| {
    let name = if input.0 { "a.toml" } else { "a.cedar" };
    let file = PolicyFile { name: name.to_owned(), text: input.1.to_owned() };
    if let Err(errors) = Bundle::load(&[file]) {
        assert!(!errors.is_empty());
    }
});
