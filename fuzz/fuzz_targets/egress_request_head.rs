//! Whatever is understood of a request head is read the same way when it is written out again.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::head::{Form, parse_request, write_framing};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(head)) = parse_request(bytes) else { return };
    let Form::Absolute(target, path) = &head.form else { return };
    let mut again = format!("{} {path} HTTP/1.1\r\nHost: {target}\r\n", head.method).into_bytes();
    write_framing(&mut again, head.framing);
    again.extend_from_slice(&head.fields);
    again.extend_from_slice(b"\r\n");
    let second = parse_request(&again).expect("refused").expect("incomplete");
    assert_eq!(second.len, again.len());
    assert_eq!(second.framing, head.framing);
    assert_eq!(second.fields, head.fields);
});
