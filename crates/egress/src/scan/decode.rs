//! Runs of encoded text, decoded for another scan.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::Read as _;

/// Shortest encoded run that could hold a credential: 16 bytes in base64.
const MIN_RUN: usize = 22;

/// Most bytes that one compressed run is expanded to, so that a bomb costs no more than a large
/// body would.
const MAX_EXPANDED: u64 = 4 * 1024 * 1024;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Calls `scan` with each decoded run until it says that something was found.
pub(super) fn each(bytes: &[u8], scan: &mut dyn FnMut(&'static str, &[u8]) -> bool) -> bool {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        // Whatever could be expanded before an error counts.
        let _ = flate2::read::MultiGzDecoder::new(bytes).take(MAX_EXPANDED).read_to_end(&mut out);
        return !out.is_empty() && scan("gzip", &out);
    }
    if let Some(decoded) = percent(bytes)
        && scan("percent", &decoded)
    {
        return true;
    }
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = rest.iter().take_while(|b| in_run(**b)).count();
        let run = rest.get(..len).unwrap_or_default();
        if len >= MIN_RUN && run_holds(run, scan) {
            return true;
        }
        at += len + 1;
    }
    false
}

/// Whether a byte belongs to a run of encoded text.
fn in_run(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=')
}

fn run_holds(run: &[u8], scan: &mut dyn FnMut(&'static str, &[u8]) -> bool) -> bool {
    // Letters beside the digits make one run with them.
    for digits in run.split(|b| !b.is_ascii_hexdigit()).filter(|part| part.len() >= 2 * 16) {
        // Both alignments: a digit in front must not hide what follows.
        for skip in 0..2 {
            let decoded = hex(digits.get(skip..).unwrap_or_default());
            if scan("hex", &decoded) {
                return true;
            }
        }
    }
    // `=` ends base64; what stands behind it is a run of its own. What one alphabet lacks ends a
    // run of it too: a path has slashes and hyphens around what it carries.
    let url = run.iter().any(|b| matches!(b, b'-' | b'_'));
    let plain = run.split(|b| matches!(b, b'=' | b'-' | b'_')).map(|part| (PLAIN, part));
    let safe = run.split(|b| matches!(b, b'=' | b'+' | b'/')).map(|part| (URL, part));
    // Without a sign of the second alphabet both read the same.
    let parts = plain.chain(safe.filter(|_| url)).filter(|(_, part)| part.len() >= MIN_RUN);
    for (engine, part) in parts {
        for skip in 0..4 {
            let text = part.get(skip..).unwrap_or_default();
            // One character more than a multiple of four is not base64; it carries no byte.
            let text = match text.len() % 4 {
                1 => text.get(..text.len() - 1).unwrap_or_default(),
                _ => text,
            };
            if let Ok(decoded) = engine.decode(text)
                && scan("base64", &decoded)
            {
                return true;
            }
        }
    }
    false
}

fn hex(text: &[u8]) -> Vec<u8> {
    let digit = |b: &u8| (*b as char).to_digit(16).unwrap_or(0) as u8;
    text.chunks_exact(2).filter_map(|p| Some(digit(p.first()?) << 4 | digit(p.get(1)?))).collect()
}

/// The text with its percent signs decoded; none if it has fewer than three.
fn percent(bytes: &[u8]) -> Option<Vec<u8>> {
    if memchr::memchr_iter(b'%', bytes).take(3).count() < 3 {
        return None;
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(bytes).collect();
    (decoded.len() < bytes.len()).then_some(decoded)
}
