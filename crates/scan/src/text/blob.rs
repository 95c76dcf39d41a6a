//! Encoded strings: base64, hex, escapes, percent signs. Decoded only to be read.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::io::Read as _;

const LOOSE: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);

/// Longest text that is decoded: longer ones are data.
const MAX: usize = 256 << 10;

/// Decodes base64 in either alphabet, white space ignored.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX {
        return None;
    }
    let clean: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let engine = if clean.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(clean.as_bytes()).ok()
}

/// Decodes hex, `\x` and `0x` prefixes and separators ignored.
pub(crate) fn hex_text(text: &str) -> Option<Vec<u8>> {
    if text.len() > MAX {
        return None;
    }
    let clean: String = text.replace("\\x", "").replace("0x", "");
    let clean: String =
        clean.chars().filter(|c| !c.is_whitespace() && !matches!(c, ',' | ':')).collect();
    if clean.len() < 2 || !clean.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    hex::decode(clean).ok()
}

/// Bytes as text, unpacked when compressed.
pub(crate) fn readable(bytes: Vec<u8>) -> Option<String> {
    let bytes = inflate(&bytes).unwrap_or(bytes);
    if bytes.len() > 3 && bytes.iter().skip(1).step_by(2).take(64).all(|b| *b == 0) {
        return super::decode(&bytes);
    }
    let text = String::from_utf8(bytes).ok()?;
    let odd = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (odd * 10 <= text.len()).then_some(text)
}

fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let limit = MAX as u64;
    if bytes.starts_with(b"\x1f\x8b") {
        flate2::read::GzDecoder::new(bytes).take(limit).read_to_end(&mut out).ok()?;
    } else if bytes.first() == Some(&0x78) && bytes.len() > 8 {
        flate2::read::ZlibDecoder::new(bytes).take(limit).read_to_end(&mut out).ok()?;
    } else {
        return None;
    }
    Some(out)
}

/// Any decoding of `text` that yields readable text.
pub(crate) fn decode_any(text: &str) -> Option<String> {
    let text = text.trim();
    if text.len() < 4 {
        return None;
    }
    hex_text(text)
        .filter(|b| b.len() >= 4)
        .and_then(readable)
        .or_else(|| base64(text).and_then(readable))
}

/// `\xNN`, `\uNNNN`, `\NNN`, `\n` … as a shell or script would read them.
pub(crate) fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let push = |out: &mut Vec<u8>, c: char| {
        let mut buffer = [0; 4];
        out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
    };
    while let Some(c) = chars.next() {
        if c != '\\' {
            push(&mut out, c);
            continue;
        }
        let mut digits = |max: usize, radix: u32| {
            let mut value = None;
            for _ in 0..max {
                match chars.peek().and_then(|c| c.to_digit(radix)) {
                    Some(digit) => {
                        value = Some(value.unwrap_or(0) * radix + digit);
                        chars.next();
                    }
                    None => break,
                }
            }
            value
        };
        let Some(kind) = digits(3, 8).map(Ok).or_else(|| chars.next().map(Err)) else { break };
        match kind {
            Ok(byte) => out.push(u8::try_from(byte & 0xff).unwrap_or(0)),
            Err('n') => out.push(b'\n'),
            Err('t') => out.push(b'\t'),
            Err('r') => out.push(b'\r'),
            Err('a' | 'b' | 'f' | 'v') => {}
            Err('e' | 'E') => out.push(27),
            Err(width @ ('x' | 'u' | 'U')) => {
                let braced = chars.peek() == Some(&'{');
                if braced {
                    chars.next();
                }
                let max = match width {
                    'x' => 2,
                    'u' if !braced => 4,
                    _ => 8,
                };
                let mut value: u32 = 0;
                for _ in 0..max {
                    match chars.peek().and_then(|c| c.to_digit(16)) {
                        Some(digit) => {
                            value = value.wrapping_mul(16).wrapping_add(digit);
                            chars.next();
                        }
                        None => break,
                    }
                }
                if braced && chars.peek() == Some(&'}') {
                    chars.next();
                }
                if width == 'x' && value < 256 {
                    out.push(u8::try_from(value).unwrap_or(0));
                } else if let Some(c) = char::from_u32(value) {
                    push(&mut out, c);
                }
            }
            Err(other) => push(&mut out, other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A run of base64 characters that is long enough to be a payload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) at: usize,
    pub(crate) end: usize,
}

/// Runs of at least `min` base64 characters.
pub(crate) fn runs(text: &str, min: usize) -> Vec<Run> {
    let mut out = Vec::new();
    let mut start = None;
    for (at, b) in text.bytes().chain(std::iter::once(b' ')).enumerate() {
        if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_') {
            start.get_or_insert(at);
        } else if let Some(from) = start.take()
            && at - from >= min
            && out.len() < 200
        {
            out.push(Run { at: from, end: at });
        }
    }
    out
}
