//! Frames of a WebSocket from a client: what goes on is the client's own bytes, however they are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use seawall_egress::scan::{BodyScanner, Scanner};
use seawall_egress::websocket::Frames;
use std::sync::{Arc, LazyLock};

static SCANNER: LazyLock<Arc<Scanner>> =
    LazyLock::new(|| Arc::new(Scanner::new(&[]).expect("the built-in kinds")));

fuzz_target!(|data: (u8, &[u8])| {
    let (cut, bytes) = data;
    let fresh = || BodyScanner::new(Arc::clone(&SCANNER), Vec::new());
    let mut frames = Frames::new(Box::new(fresh));
    let mut out = Vec::new();
    for piece in bytes.chunks(usize::from(cut).max(1)) {
        match frames.pass(piece) {
            Ok(go) => out.extend(go),
            Err(_) => break,
        }
    }
    assert!(bytes.starts_with(&out));
});
