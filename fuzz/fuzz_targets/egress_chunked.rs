//! Chunked bodies: the same data whatever the cut.
#![no_main]
use libfuzzer_sys::fuzz_target;
use seawall_egress::chunked::{Decoder, Step};

fn decode(input: &[u8], cut: usize) -> Option<Vec<u8>> {
    let (mut decoder, mut data, mut at) = (Decoder::default(), Vec::new(), 0);
    while at < input.len() && !decoder.is_done() {
        let window = &input[at..(at + cut).min(input.len())];
        match decoder.step(window).ok()? {
            Step::Skip(n) => at += n,
            Step::Data(n) => {
                data.extend_from_slice(&window[..n]);
                at += n;
            }
            Step::Done => break,
        }
    }
    Some(data)
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(decode(bytes, 1), decode(bytes, usize::MAX / 2));
});
