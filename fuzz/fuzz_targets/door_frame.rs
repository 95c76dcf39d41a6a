//! A client's frame: reading never panics, what is sent on reads as what was judged, and no frame of a
//! method of class `host` goes through without a grant.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_door::frame::Request;
use seawall_door::{Class, DoorTokens, Grants, Principal, Role, Table, judge};
use std::sync::OnceLock;

fuzz_target!(|text: &str| {
    let Ok(request) = Request::parse(text) else { return };
    assert_eq!(Request::parse(&request.render()).expect("our own form"), request);
    static LAB: OnceLock<(Table, Principal)> = OnceLock::new();
    let (table, who) = LAB.get_or_init(|| {
        let mut tokens = DoorTokens::new();
        tokens.create("fuzz", Role::Operator, None, None, 0, &[1; 32]).expect("valid");
        let text = tokens.render().expect("renders");
        let who = DoorTokens::parse(&text)
            .expect("parses")
            .authenticate("seawall_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", 1)
            .expect("its secret is the encoded entropy");
        (Table::shipped().expect("shipped tables"), who)
    });
    let judgement = judge(table, &Grants::default(), who, &request, 1);
    let class = table.method(&request.method).map(|m| m.class);
    assert!(!judgement.is_allowed() || class.is_some_and(|c| c < Class::Host));
});
