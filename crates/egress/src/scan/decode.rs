//! Runs of encoded text, decoded for another scan.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::Read as _;

/// Shortest encoded run that could hold a credential: 16 bytes in base64.
const MIN_RUN: usize = 22;

/// Most bytes that one compressed run is expanded to, so that a bomb costs no more than a large
/// body would.
const MAX_EXPANDED: u64 = 1024 * 1024;

/// Shortest line of a run that goes on in the next one: `xxd -p` has 60 digits, MIME 76.
const MIN_LINE: usize = 16;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Calls `scan` with each decoded run until it says that something was found. Runs that end before
/// `from` were decoded already.
pub(super) fn each(
    bytes: &[u8],
    from: usize,
    scan: &mut dyn FnMut(&'static str, &[u8]) -> bool,
) -> bool {
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
    if let Some(decoded) = escaped(bytes)
        && scan("escapes", &decoded)
    {
        return true;
    }
    if runs_hold(bytes, from, scan) {
        return true;
    }
    // What tools break into lines is one run.
    unbroken(bytes).is_some_and(|joined| runs_hold(&joined, 0, scan))
}

fn runs_hold(bytes: &[u8], from: usize, scan: &mut dyn FnMut(&'static str, &[u8]) -> bool) -> bool {
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let len = rest.iter().take_while(|b| in_run(**b)).count();
        let run = rest.get(..len).unwrap_or_default();
        if len >= MIN_RUN && at + len >= from && run_holds(run, scan) {
            return true;
        }
        at += len + 1;
    }
    false
}

/// Ends of lines, the longer ones first; as they are and as JSON writes them.
const ENDS: [&[u8]; 5] = [b"\r\n", b"\n", b"\r", b"\\r\\n", b"\\n"];

/// The text without the line ends inside long runs; none if there are none. In JSON they are
/// written as escapes.
fn unbroken(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let (mut line, mut at, mut copied) = (0usize, 0usize, 0usize);
    while let Some(byte) = bytes.get(at) {
        if in_run(*byte) {
            line += 1;
            at += 1;
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let end = ENDS.iter().find(|end| rest.starts_with(end));
        let length = end.map_or(1, |end| end.len());
        if end.is_some() && line >= MIN_LINE && bytes.get(at + length).is_some_and(|b| in_run(*b)) {
            let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
            copied = at + length;
        } else {
            line = 0;
        }
        at += length;
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some(out)
}

/// The text with the escapes of JSON and JavaScript that stand for printable ASCII undone; none if
/// it has none.
fn escaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let first = memchr::memchr(b'\\', bytes)?;
    let mut out = bytes.get(..first)?.to_vec();
    let (mut at, mut changed) = (first, false);
    while let Some(byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        let (plain, len) = match rest {
            [b'\\', b'/' | b'"' | b'-' | b'.', ..] => (rest.get(1).copied(), 2),
            [b'\\', b'u', b'0', b'0', high, low, ..] | [b'\\', b'x', high, low, ..] => {
                let digit = |b: &u8| (*b as char).to_digit(16);
                let value = digit(high).zip(digit(low)).map(|(high, low)| (high << 4 | low) as u8);
                let long = rest.get(1) == Some(&b'u');
                (value.filter(u8::is_ascii_graphic), if long { 6 } else { 4 })
            }
            _ => (None, 1),
        };
        match plain {
            Some(plain) => {
                out.push(plain);
                at += len;
                changed = true;
            }
            None => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    changed.then_some(out)
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

/// The text with its percent signs decoded; none if it has none.
fn percent(bytes: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'%', bytes)?;
    let decoded: Vec<u8> = percent_encoding::percent_decode(bytes).collect();
    (decoded.len() < bytes.len()).then_some(decoded)
}
