//! Characters: hidden ones, look-alikes, UTF-16 with and without its mark.
#![no_main]

mod scan;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    // Code points from a few bytes each, so that other scripts come up at all.
    let text: String = rest
        .chunks(3)
        .filter_map(|c| char::from_u32(c.iter().fold(0, |n, b| n << 7 | u32::from(*b))))
        .collect();
    match first % 4 {
        0 => scan::one("notes.md", text.as_bytes()),
        1 => scan::one("run.sh", text.as_bytes()),
        2 => {
            let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            scan::one("notes.md", &[b"\xff\xfe", units.as_slice()].concat());
        }
        _ => scan::one("notes.md", rest),
    }
});
