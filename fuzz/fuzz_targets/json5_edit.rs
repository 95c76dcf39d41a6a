//! A configuration's text: parsing and editing never panic, and an edit gives the value that was set
//! in a document that still parses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_audit::harden::doc::{Edit, edit, parse};

fuzz_target!(|text: &str| {
    let key = vec!["gateway".to_owned(), "bind".to_owned()];
    let Ok(node) = parse(text) else {
        assert!(edit(text, &Edit::Remove(key)).is_err());
        return;
    };
    if let Ok(new) = edit(text, &Edit::Set(key.clone(), "loopback".into())) {
        let value = parse(&new).expect("an edited document parses").to_value();
        assert_eq!(value.pointer("/gateway/bind"), Some(&"loopback".into()));
    }
    let without = edit(text, &Edit::Remove(key.clone())).expect("a document that parses");
    let after = parse(&without).expect("an edited document parses");
    assert!(after.at(&key).is_none());
    assert_eq!(without == text, node.at(&key).is_none());
});
