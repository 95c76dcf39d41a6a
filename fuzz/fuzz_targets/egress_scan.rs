//! The content scan and its decoders, whole and in pieces.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::scan::{BodyScanner, Scanner};
use std::sync::{Arc, LazyLock};

static SCANNER: LazyLock<Arc<Scanner>> =
    LazyLock::new(|| Arc::new(Scanner::new(&[]).expect("the built-in kinds")));

fuzz_target!(|bytes: &[u8]| {
    let _ = SCANNER.scan(bytes, &[]);
    let mut body = BodyScanner::new(Arc::clone(&SCANNER), Vec::new());
    let mut out = Vec::new();
    for piece in bytes.chunks(7) {
        match body.pass(piece) {
            Ok(passed) => out.extend(passed),
            Err(_) => return,
        }
    }
    let Ok(rest) = body.rest() else { return };
    out.extend(rest);
    assert_eq!(out, bytes);
});
