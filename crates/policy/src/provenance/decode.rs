//! Other forms of a text: what base64, base32, hex, percent-encoding, escapes, UTF-16, gzip, deflate
//! and look-alike letters hide, also nested and backwards.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{DeflateDecoder, MultiGzDecoder as GzDecoder, ZlibDecoder};
use std::cell::RefCell;
use std::io::Read;
use unicode_normalization::UnicodeNormalization as _;

use super::{deflate, escapes};

/// Deepest nesting that is opened.
const MAX_DEPTH: usize = 4;
/// Most bytes that all decoded forms of one text may have together. Decoding more than this is
/// left out and reported as cut short.
const MAX_BYTES: usize = 256 * 1024;
/// Shortest run that is tried: 16 characters of base64 are 12 bytes.
const MIN_RUN: usize = 16;
/// Most runs tried in one text.
const MAX_RUNS: usize = 256;
/// Most bytes in front of something compressed.
const MAX_SKIP: usize = 64;
/// Shortest text inside decoded bytes that are not text as a whole. Shorter ones come up by
/// chance when prose is read as base64, and carry too little to be recognised.
const MIN_INSIDE: usize = 12;

const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);

/// Decoded forms of a text.
#[derive(Debug, Default)]
pub struct Decoded {
    /// The forms that are text.
    pub texts: Vec<String>,
    /// What was found, and the text itself, backwards. To be compared with what was read; nobody
    /// acts on it as it stands.
    pub backwards: Vec<String>,
    /// Whether anything looked like an encoding.
    dense: bool,
    /// Whether there was more than the limits let through.
    pub cut: bool,
}

/// Decodes what is encoded in a text.
#[must_use]
pub fn forms(text: &str) -> Decoded {
    let mut out = Decoded::default();
    let mut budget = MAX_BYTES;
    level(text, 0, &mut budget, &mut out);
    if text.len() <= MAX_BYTES {
        let backwards = reversed(text);
        if out.dense {
            level(&backwards, 0, &mut budget, &mut out);
        }
        out.backwards.push(backwards);
    }
    out
}

fn level(text: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    if depth >= MAX_DEPTH {
        return;
    }
    let mut tries = 0;
    if text.contains('%')
        && let Some(decoded) = percent(text)
    {
        keep(decoded.into_bytes(), depth, budget, out);
    }
    if text.len() <= MAX_BYTES {
        // A form is a tenth of the text at least: these end.
        let forms = [plain_letters(text), escapes::resolved(text), escapes::spelled(text)];
        for form in forms.into_iter().flatten() {
            if *budget == 0 {
                out.cut = true;
                return;
            }
            keep(form.into_bytes(), depth, budget, out);
        }
    }
    // Line breaks are usual inside long base64, and dots, blanks or percent signs between the
    // characters cost a receiver nothing: the whole is read a second time without them.
    let joined: String;
    let scanned = if text.bytes().all(|b| is(b, RUN)) {
        &[text][..]
    } else if text.len() <= MAX_BYTES {
        joined = only_runs(text);
        &[text, joined.as_str()][..]
    } else {
        out.cut = true;
        &[text][..]
    };
    for text in scanned {
        for run in runs(text, RUN) {
            tries += 1;
            if tries > MAX_RUNS || *budget == 0 {
                out.cut = true;
                return;
            }
            decode_run(run, depth, budget, out);
        }
    }
}

/// Characters of the base64 alphabets (hex is a part of them).
const RUN: u8 = 1;
/// Hexadecimal digits.
const HEX: u8 = 2;
/// Characters of base32, in either case.
const BASE32: u8 = 4;
/// Printable ASCII and the blanks of a text.
const TEXT: u8 = 8;

/// To which of these a byte belongs.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut of = 0;
        if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'-' | b'_' | b'=') {
            of |= RUN;
        }
        if b.is_ascii_hexdigit() {
            of |= HEX;
        }
        if b.is_ascii_alphabetic() || matches!(b, b'2'..=b'7') {
            of |= BASE32;
        }
        if matches!(b, 0x20..0x7f | b'\n' | b'\t' | b'\r') {
            of |= TEXT;
        }
        #[expect(clippy::indexing_slicing, reason = "below the length, and at build time")]
        {
            class[i] = of;
        }
        i += 1;
    }
    class
};

fn is(byte: u8, class: u8) -> bool {
    CLASS.get(usize::from(byte)).is_some_and(|of| of & class != 0)
}

/// Maximal runs of a class of characters, as far as they are long enough to be tried.
fn runs(text: &str, class: u8) -> impl Iterator<Item = &str> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        // A run that begins here reaches over the last of these bytes: most texts are passed over
        // in steps of that length.
        while let Some(window) = bytes.get(at..at + MIN_RUN) {
            if let Some(last) = window.iter().rposition(|b| !is(*b, class)) {
                at += last + 1;
                continue;
            }
            let more = bytes.get(at + MIN_RUN..).unwrap_or_default();
            let end = more.iter().position(|b| !is(*b, class)).unwrap_or(more.len());
            let start = at;
            at += MIN_RUN + end;
            return text.get(start..at);
        }
        None
    })
}

/// A text without everything else.
fn only_runs(text: &str) -> String {
    let mut kept = vec![0; text.len()];
    let mut len = 0;
    for byte in text.bytes() {
        if let Some(slot) = kept.get_mut(len) {
            *slot = byte;
        }
        len += usize::from(is(byte, RUN));
    }
    kept.truncate(len);
    String::from_utf8(kept).unwrap_or_default()
}

/// A text from its end to its beginning.
fn reversed(text: &str) -> String {
    if text.is_ascii() {
        String::from_utf8(text.bytes().rev().collect()).unwrap_or_default()
    } else {
        text.chars().rev().collect()
    }
}

/// What may separate an encoding from what stands beside it. Each of these characters is base64 in
/// one alphabet and a separator in other places, so a run is tried with several readings.
const SEPARATORS: &[&[char]] = &[
    &['/'],
    &['='],
    &['-'],
    &['_'],
    &['+'],
    // What is no part of base64, of its form for URLs, of either.
    &['-', '_', '='],
    &['/', '+', '='],
    &['/', '=', '-', '_', '+'],
];

/// Tries a run as a whole and in the parts between characters that are separators elsewhere: a
/// slash is base64 in one place and the beginning of a path in another.
fn decode_run(run: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    // Letters beside hexadecimal digits make one run with them.
    for part in runs(run, HEX) {
        out.dense = true;
        decode_hex(part, depth, budget, out);
    }
    for part in runs(run, BASE32) {
        decode_base32(part, depth, budget, out);
    }
    for part in dense(run) {
        out.dense = true;
        decode_parts(part, depth, budget, out);
    }
}

/// As a whole and between separators.
fn decode_parts(run: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    decode_part(run, depth, budget, out);
    for separators in SEPARATORS {
        let present = separators.iter().filter(|c| run.contains(**c)).count();
        // Of a set, one alone was tried by itself.
        if present == 0 || (separators.len() > 1 && present == 1) {
            continue;
        }
        // However many there are, they share the run's bytes.
        for part in run.split(*separators).filter(|p| p.len() >= MIN_RUN && p.len() < run.len()) {
            decode_part(part, depth, budget, out);
        }
    }
}

fn decode_hex(digits: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    if digits.len() > *budget * 2 {
        out.cut = true;
        return;
    }
    // A digit in front shifts every pair.
    for offset in 0..2 {
        let even = digits.get(offset..).unwrap_or_default();
        let even = even.get(..even.len() & !1).unwrap_or_default();
        if let Ok(bytes) = hex::decode(even) {
            keep(bytes, depth, budget, out);
        }
    }
}

/// What letters of other shapes (full-width, mathematical, tags) say in plain ones.
fn plain_letters(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let plain: String = text.chars().map(untag).nfkc().collect();
    (plain != text).then_some(plain)
}

/// A tag character as the letter that it tags with; others as they are.
pub(super) fn untag(c: char) -> char {
    match c {
        '\u{e0020}'..='\u{e007e}' => char::from_u32(c as u32 - 0xe0000).unwrap_or(c),
        c => c,
    }
}

fn decode_base32(run: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    // Six of its 32 characters are digits; prose has none.
    let numbers = run.bytes().filter(u8::is_ascii_digit).count();
    if numbers * 16 < run.len() {
        return;
    }
    let run = run.to_ascii_uppercase();
    for offset in 0..8 {
        let digits = run.get(offset..).unwrap_or_default();
        // As a whole where it ends as an encoding does; else in groups of eight characters.
        let group = digits.get(..digits.len() & !7).unwrap_or_default();
        let whole = data_encoding::BASE32_NOPAD.decode(digits.as_bytes());
        if let Ok(bytes) = whole.or_else(|_| data_encoding::BASE32_NOPAD.decode(group.as_bytes())) {
            keep(bytes, depth, budget, out);
        }
    }
}

/// The parts of a run that may be base64 of something: in those, more than a third of the
/// characters are capitals, digits or signs, and in prose hardly any. Looked at in windows, each
/// with its neighbours, so that prose around an encoding does not hide it.
fn dense(run: &str) -> impl Iterator<Item = &str> {
    /// Long enough to tell, no longer than the shortest run.
    const WINDOW: usize = MIN_RUN;
    /// An encoding has six or more in a window of sixteen, but for one in sixty.
    const LEAST: usize = 3;
    let windows = run.len().div_ceil(WINDOW);
    let is_dense = move |index: usize| {
        let start = index * WINDOW;
        // The last one is looked at over its whole length, too.
        let end = (start + WINDOW).min(run.len());
        let window = run.as_bytes().get(end.saturating_sub(WINDOW).min(start)..end);
        window.unwrap_or_default().iter().filter(|b| !b.is_ascii_lowercase()).count() >= LEAST
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < windows && !is_dense(at) {
            at += 1;
        }
        if at >= windows {
            return None;
        }
        let first = at.saturating_sub(1);
        while at < windows && is_dense(at) {
            at += 1;
        }
        run.get(first * WINDOW..((at + 1) * WINDOW).min(run.len()))
    })
}

fn decode_part(run: &str, depth: usize, budget: &mut usize, out: &mut Decoded) {
    if run.len() > *budget * 2 {
        out.cut = true;
        return;
    }
    let body = run.trim_end_matches('=');
    let engine = if body.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    // Up to three characters in front shift every group.
    for offset in 0..4 {
        let shifted = body.get(offset..).unwrap_or_default();
        // One character over is no group.
        let whole = if shifted.len() % 4 == 1 { shifted.len() - 1 } else { shifted.len() };
        if let Some(Ok(bytes)) = shifted.get(..whole).map(|s| engine.decode(s)) {
            keep(bytes, depth, budget, out);
        }
    }
}

fn keep(bytes: Vec<u8>, depth: usize, budget: &mut usize, out: &mut Decoded) {
    if let Some(inflated) = inflated(&bytes, *budget) {
        keep_bytes(&inflated, depth, budget, out);
    }
    keep_bytes(&bytes, depth, budget, out);
}

fn keep_bytes(bytes: &[u8], depth: usize, budget: &mut usize, out: &mut Decoded) {
    // Every second byte of plain letters in UTF-16.
    let narrow: Vec<u8>;
    let bytes = if bytes.contains(&0) {
        narrow = bytes.iter().copied().filter(|b| *b != 0).collect();
        &narrow
    } else {
        bytes
    };
    if bytes.len() < 8 {
        return;
    }
    // Random bytes are valid base64 of nothing: keep what reads as text.
    let printable = bytes.iter().filter(|b| is_text(**b)).count();
    if printable * 10 >= bytes.len() * 8 {
        keep_text(bytes, depth, budget, out);
        return;
    }
    // What stood beside the encoding was decoded with it: the text between.
    for part in bytes.split(|b| !is_text(*b)).filter(|part| part.len() >= MIN_INSIDE) {
        if *budget == 0 {
            out.cut = true;
            return;
        }
        keep_text(part, depth, budget, out);
    }
}

fn is_text(byte: u8) -> bool {
    is(byte, TEXT)
}

fn keep_text(bytes: &[u8], depth: usize, budget: &mut usize, out: &mut Decoded) {
    *budget = budget.saturating_sub(bytes.len());
    let text = String::from_utf8_lossy(bytes).into_owned();
    level(&text, depth + 1, budget, out);
    out.backwards.push(reversed(&text));
    out.texts.push(text);
}

/// What is compressed in bytes, if anything is. Whatever stands before it is passed over, for some
/// bytes: junk in front costs a receiver one call.
fn inflated(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let text = bytes.iter().take(64).filter(|b| is_text(**b)).count();
    if bytes.len() < 8 || text >= bytes.len().min(64) {
        return None;
    }
    let begins = |three: &[u8]| three == [0x1f, 0x8b, 8];
    let skip = bytes.windows(3).take(MAX_SKIP).position(begins);
    let gzip = skip.and_then(|at| bytes.get(at..)).and_then(|b| inflate(GzDecoder::new(b), limit));
    let zlib = || {
        // Its two bytes are a multiple of 31.
        let begins = |two: &[u8]| matches!(two, [0x78, b] if (0x7800 + u16::from(*b)) % 31 == 0);
        let at = bytes.windows(2).take(MAX_SKIP).position(begins)?;
        inflate(ZlibDecoder::new(bytes.get(at..)?), limit)
    };
    // Nothing marks a bare deflate stream; what is compressed begins with a block of one of two
    // kinds. Making an inflater costs more than most texts, so a wrong guess is found before, or
    // with one that is kept.
    let bare = || {
        (deflate::may_begin(bytes) && starts_inflating(bytes))
            .then(|| inflate(DeflateDecoder::new(bytes), limit))
            .flatten()
    };
    gzip.or_else(zlib).or_else(bare)
}

/// Whether the first bytes of a bare deflate stream give anything.
fn starts_inflating(bytes: &[u8]) -> bool {
    thread_local! {
        static PROBE: RefCell<flate2::Decompress> = RefCell::new(flate2::Decompress::new(false));
    }
    PROBE.with_borrow_mut(|probe| {
        probe.reset(false);
        let mut out = [0u8; 64];
        let told = probe.decompress(bytes, &mut out, flate2::FlushDecompress::None);
        told.is_ok() && probe.total_out() >= 8
    })
}

fn inflate(from: impl Read, limit: usize) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    // A truncated stream still gave what it gave.
    let _ = from.take(limit as u64).read_to_end(&mut out);
    (out.len() >= 8).then_some(out)
}

fn percent(text: &str) -> Option<String> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    (decoded != text).then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const SECRET: &str = "the quick brown secret is under the third stone";

    fn found(text: &str) -> bool {
        let forms = forms(text);
        forms.texts.iter().chain(&forms.backwards).any(|t| t.contains(SECRET))
    }

    #[test]
    fn each_encoding_is_opened() {
        let b64 = STANDARD.encode(SECRET);
        assert!(found(&b64));
        assert!(found(b64.trim_end_matches('=')));
        assert!(found(&URL_SAFE.encode(SECRET)));
        assert!(found(&hex::encode(SECRET)));
        assert!(found(&SECRET.replace(' ', "%20")));
        assert!(found(&format!("d={b64}&x=1")));
        assert!(found(&STANDARD.encode(hex::encode(SECRET))));
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(SECRET.as_bytes()).unwrap();
        assert!(found(&STANDARD.encode(gz.finish().unwrap())));
        let folded: String = b64
            .as_bytes()
            .chunks(20)
            .map(|c| format!("{}\n", std::str::from_utf8(c).unwrap()))
            .collect();
        assert!(found(&folded));
    }

    #[test]
    fn what_stands_beside_an_encoding_does_not_hide_it() {
        let (hexed, b64) = (hex::encode(SECRET), STANDARD.encode(SECRET));
        for text in [
            format!("https://{}.example.com/", &hexed),
            format!("https://example.com/a/{b64}/b"),
            format!("x{b64}"),
            format!("xyz{b64}"),
            format!("1{hexed}"),
            format!("name-{hexed}_part"),
            format!("/a-b/{b64}?q=1_2"),
            format!("k={b64}/tail-of-it"),
            format!("Asagreed{hexed}Yours"),
            format!("{}{b64}", "sixteen-letters-/".repeat(40)),
            format!("{}{b64}", "Nothingtoseehere".repeat(40)),
            format!("As agreed: {}", b64.replace("", ".")),
            SECRET.bytes().map(|b| format!("% {b:02X}")).collect(),
        ] {
            assert!(found(&text), "{text}");
        }
    }

    #[test]
    fn cheap_disguises_are_seen_through() {
        let wide: Vec<u8> = SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let deflated = |skip: &[u8], raw: bool| {
            let mut bytes = skip.to_vec();
            if raw {
                let mut to =
                    flate2::write::DeflateEncoder::new(&mut bytes, flate2::Compression::best());
                to.write_all(SECRET.as_bytes()).unwrap();
            } else {
                let mut to = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::best());
                to.write_all(SECRET.as_bytes()).unwrap();
            }
            STANDARD.encode(bytes)
        };
        let shifted = |base: u32| -> String {
            SECRET
                .chars()
                .map(|c| {
                    let at = (c as u32).wrapping_sub('a' as u32);
                    if at < 26 { char::from_u32(base + at).unwrap() } else { c }
                })
                .collect()
        };
        for text in [
            STANDARD.encode(&wide),
            hex::encode(&wide),
            data_encoding::BASE32.encode(SECRET.as_bytes()),
            data_encoding::BASE32_NOPAD.encode(SECRET.as_bytes()).to_lowercase(),
            deflated(b"", true),
            deflated(b"\x01\x02", false),
            SECRET.chars().rev().collect(),
            STANDARD.encode(SECRET).chars().rev().collect(),
            STANDARD.encode(SECRET.chars().rev().collect::<String>()),
            SECRET.bytes().map(|b| format!("\\u{b:04x}")).collect(),
            STANDARD.encode(SECRET.bytes().map(|b| format!("{b} ")).collect::<String>()),
            (0..4).fold(SECRET.to_owned(), |text, _| STANDARD.encode(text)),
            // Full-width, mathematical bold.
            shifted(0xff41),
            shifted(0x1d41a),
            SECRET.bytes().map(|b| char::from_u32(0xe0000 + u32::from(b)).unwrap()).collect(),
        ] {
            assert!(found(&text), "{text}");
        }
    }

    #[test]
    fn a_bomb_is_cut_short() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..64 {
            gz.write_all(&[b'a'; 1 << 16]).unwrap();
        }
        let bomb = STANDARD.encode(gz.finish().unwrap());
        let decoded = forms(&bomb);
        assert!(decoded.texts.iter().all(|t| t.len() <= MAX_BYTES));
    }
}
