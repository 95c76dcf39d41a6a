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
    runs(bytes, MIN_RUN).any(|(at, run)| at + run.len() >= from && run_holds(run, scan))
}

/// Runs of encoded text of at least a length, and where they begin. What lies between is not looked at
/// byte by byte: a run has no other byte among any `least` of its own.
pub(super) fn runs(bytes: &[u8], least: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut start = 0;
    std::iter::from_fn(move || {
        loop {
            let window = bytes.get(start..start + least)?;
            if let Some(last) = window.iter().rposition(|b| !in_run(*b)) {
                start += last + 1;
                continue;
            }
            let rest = bytes.get(start..)?;
            let more = rest.get(least..)?.iter().position(|b| !in_run(*b));
            let run = rest.get(..more.map_or(rest.len(), |more| least + more))?;
            let at = start;
            start += run.len() + 1;
            return Some((at, run));
        }
    })
}

/// Ends of lines, the longer ones first; as they are and as JSON writes them.
const ENDS: [&[u8]; 5] = [b"\r\n", b"\n", b"\r", b"\\r\\n", b"\\n"];

/// The text without the line ends inside long runs; none if there are none. In JSON they are
/// written as escapes.
fn unbroken(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0usize;
    for at in memchr::memchr3_iter(b'\n', b'\r', b'\\', bytes) {
        // Inside an end that was taken already.
        let Some(line) = bytes.get(copied..at) else { continue };
        // A line behind one that was joined may be shorter.
        let enough = line.len() >= MIN_LINE || (out.is_some() && !line.is_empty());
        let last = line.get(line.len().saturating_sub(MIN_LINE)..).unwrap_or_default();
        if !enough || !last.iter().all(|b| in_run(*b)) {
            continue;
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = ENDS.iter().find(|end| rest.starts_with(end)) else { continue };
        if !rest.get(end.len()).is_some_and(|b| in_run(*b)) {
            continue;
        }
        let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
        out.extend_from_slice(line);
        copied = at + end.len();
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some(out)
}

/// The text with the escapes of JSON and JavaScript that stand for printable ASCII undone; none if
/// it has none.
fn escaped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0;
    for at in memchr::memchr_iter(b'\\', bytes) {
        let Some(rest) = bytes.get(at..).filter(|_| at >= copied) else { continue };
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
        let Some(plain) = plain else { continue };
        let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
        out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        out.push(plain);
        copied = at + len;
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some(out)
}

/// Whether a byte belongs to a run of encoded text: letters, digits and `+ / - _ =`. Asked for nearly
/// every byte that leaves, so it is two words of bits.
fn in_run(b: u8) -> bool {
    const LOW: u64 = 0x3ff << b'0' | 1 << b'+' | 1 << b'-' | 1 << b'/' | 1 << b'=';
    const LETTERS: u64 = 0x3ff_ffff;
    const HIGH: u64 = LETTERS << (b'A' - 64) | LETTERS << (b'a' - 64) | 1 << (b'_' - 64);
    let word = if b < 64 { LOW } else { HIGH };
    b < 128 && (word >> (b & 63)) & 1 == 1
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
    let mut out: Option<Vec<u8>> = None;
    let mut copied = 0;
    for at in memchr::memchr_iter(b'%', bytes) {
        let digit = |n: usize| bytes.get(at + n).and_then(|b| (*b as char).to_digit(16));
        let (Some(high), Some(low)) = (digit(1), digit(2)) else { continue };
        // None inside another: `%` is no digit.
        let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
        out.extend_from_slice(bytes.get(copied..at).unwrap_or_default());
        out.push((high << 4 | low) as u8);
        copied = at + 3;
    }
    let mut out = out?;
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_of_runs() {
        for b in 0..=u8::MAX {
            let is = b.is_ascii_alphanumeric() || b"+/-_=".contains(&b);
            assert_eq!(in_run(b), is, "{b}");
        }
    }

    proptest! {
        #[test]
        fn runs_are_those_of_a_plain_search(
            text in "([a-zA-Z0-9+/=_-]{0,30}[ .\\n]{0,2}){0,12}",
            least in 1usize..25,
        ) {
            let mut all = Vec::new();
            let mut at = 0;
            for part in text.as_bytes().split(|b| !in_run(*b)) {
                if part.len() >= least {
                    all.push((at, part));
                }
                at += part.len() + 1;
            }
            prop_assert_eq!(runs(text.as_bytes(), least).collect::<Vec<_>>(), all);
        }

        #[test]
        fn percent_signs_are_decoded_as_elsewhere(text in "[%0-9a-fA-Fx]{0,40}") {
            let known: Vec<u8> = percent_encoding::percent_decode(text.as_bytes()).collect();
            let own = percent(text.as_bytes()).unwrap_or_else(|| text.clone().into_bytes());
            prop_assert_eq!(own, known);
        }
    }
}
