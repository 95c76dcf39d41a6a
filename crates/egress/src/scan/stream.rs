//! A body in pieces: what is new of it is scanned together with the end of what was there before,
//! and the end that could be the beginning of something is held back until more has come.
//!
//! What it costs does not depend on how a client cuts its body: pieces of a longer word are
//! gathered before they are looked at. What is compressed is expanded through a window of fixed
//! size, wherever in the body it begins.

use super::{Finding, Holds, Look, Scanner};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of the end of a piece is scanned again with the next. The longest credential that is
/// recognised fits, also in base64.
const CARRY: usize = 1024;

/// How much of the end of a piece is not sent before the next one has been scanned.
const HOLD: usize = 512;

/// How much of one word is gathered before it is looked at; less than is held back.
const GATHER: usize = 256;

/// Longest piece that is scanned at once: bounds what is kept for the next.
const STEP: usize = 32 * 1024;

/// Most bytes that a compressed body may have when it is expanded, for each byte of its own, and
/// in any case. Ordinary text shrinks to a tenth; deflate's best is about a thousandth.
const MAX_RATIO: u64 = 200;
const FREE_EXPANSION: u64 = 16 * 1024 * 1024;

/// Compressions inside compressions.
const MAX_LAYERS: usize = 2;

/// Streams of one body that are expanded at one time: a true one, and what looks like a head inside of
/// it or in front. Chance gives one head in 16 MiB, most of which end within a few bytes.
const MAX_ALIVE: usize = 8;

/// Heads that a body may have: some, and one for each of so many bytes. An archive of tiny compressed files has
/// one in a KiB.
const FREE_HEADS: u64 = 64;
const HEAD_EACH: u64 = 256;

/// Streams that are expanded at one time, in the whole process: each has about 50 KiB.
const MAX_EXPANDING: usize = 2048;
static EXPANDING: AtomicUsize = AtomicUsize::new(0);

/// A body that must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It holds what must not leave.
    Found(Finding),
    /// It expands beyond all measure.
    Bomb,
    /// Too many compressed bodies are on their way.
    Busy,
}

/// What bodies are scanned for.
#[derive(Clone)]
struct For {
    scanner: Arc<Scanner>,
    carries: Arc<[String]>,
    holds: Option<Arc<dyn Holds>>,
}

/// Scans one body.
pub struct BodyScanner {
    top: Layer,
    held: Vec<u8>,
    waiting: usize,
}

impl BodyScanner {
    /// A scanner for a body that may hold the kinds in `carries`.
    #[must_use]
    pub fn new(scanner: Arc<Scanner>, carries: Vec<String>) -> Self {
        let what = For { scanner, carries: carries.into(), holds: None };
        Self { top: Layer::new(what, Vec::new()), held: Vec::new(), waiting: 0 }
    }

    /// Also looks for what the client's session holds.
    #[must_use]
    pub fn holding(mut self, holds: Option<Arc<dyn Holds>>) -> Self {
        self.top.what.holds = holds;
        self
    }

    /// How many bytes at the end of the last piece wait for the next one.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Scans the next piece. Gives how many bytes at its end have to wait for the next one.
    ///
    /// # Errors
    /// When the body must not go on.
    pub fn piece(&mut self, piece: &[u8]) -> Result<usize, Refused> {
        for step in piece.chunks(STEP) {
            self.top.feed(step)?;
        }
        // Only the end that could be the beginning of a token waits: a text that ends in anything
        // else goes out as it comes, so that both sides can talk in turns.
        self.waiting = tail(&self.top.carry);
        Ok(self.waiting)
    }

    /// Scans the next piece and gives what may go out now.
    ///
    /// # Errors
    /// When the body must not go on.
    pub fn pass(&mut self, piece: &[u8]) -> Result<Vec<u8>, Refused> {
        let hold = self.piece(piece)?;
        self.held.extend_from_slice(piece);
        let go = self.held.len().saturating_sub(hold);
        Ok(self.held.drain(..go).collect())
    }

    /// What was held back, once the body has ended.
    ///
    /// # Errors
    /// When that must not go on.
    pub fn rest(&mut self) -> Result<Vec<u8>, Refused> {
        self.end()?;
        Ok(std::mem::take(&mut self.held))
    }

    /// Scans what was gathered, once the body has ended.
    ///
    /// # Errors
    /// When the body must not go on.
    pub fn end(&mut self) -> Result<(), Refused> {
        self.waiting = 0;
        self.top.look()
    }
}

/// How much of the end could be the beginning of a token, or of one in lines.
fn tail(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(HOLD);
    let end = bytes.get(last..).unwrap_or_default();
    let mut n = 0;
    for (i, byte) in end.iter().enumerate().rev() {
        let broken = matches!(byte, b'\r' | b'\n') && n > 0;
        let inside = i > 0 && end.get(i - 1).is_some_and(|b| is_token(*b) || *b == b'\r');
        if !(is_token(*byte) || (broken && inside)) {
            break;
        }
        n += 1;
    }
    n
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric()
        || matches!(b, b'+' | b'/' | b'_' | b'-' | b'%' | b'.' | b':' | b'=' | b'\\')
}

/// The body, or what a compressed part of it expands to.
struct Layer {
    what: For,
    through: Vec<&'static str>,
    /// The end of what was scanned, and behind it what was not.
    carry: Vec<u8>,
    fresh: usize,
    total: u64,
    begun: bool,
    /// Streams that have begun and not ended.
    inner: Vec<Inflate>,
    heads: u64,
    refused: Option<Refused>,
}

impl Layer {
    fn new(what: For, through: Vec<&'static str>) -> Self {
        Self {
            what,
            through,
            carry: Vec::new(),
            fresh: 0,
            total: 0,
            begun: false,
            inner: Vec::new(),
            heads: 0,
            refused: None,
        }
    }

    fn feed(&mut self, piece: &[u8]) -> Result<(), Refused> {
        self.total += piece.len() as u64;
        self.expand(piece)?;
        self.carry.extend_from_slice(piece);
        self.fresh += piece.len();
        // A word that goes on is held back as a whole, so it can be looked at later.
        let word = self.fresh < GATHER && piece.iter().all(|b| is_token(*b));
        if word { Ok(()) } else { self.look() }
    }

    fn look(&mut self) -> Result<(), Refused> {
        if self.fresh == 0 {
            return Ok(());
        }
        let look = Look { carries: &self.what.carries, holds: self.what.holds.as_deref() };
        let old = self.carry.len() - self.fresh;
        let found = self.what.scanner.scan_at(&self.carry, old, look, &mut self.through);
        self.fresh = 0;
        let keep = self.carry.len().saturating_sub(CARRY);
        self.carry.drain(..keep);
        if self.carry.capacity() > 4 * CARRY {
            self.carry.shrink_to(2 * CARRY);
        }
        found.map_or(Ok(()), |finding| Err(Refused::Found(finding)))
    }

    /// Expands what is compressed of the next piece. Every head is followed, also one that stands
    /// inside what another claims: a false one hides nothing.
    fn expand(&mut self, piece: &[u8]) -> Result<(), Refused> {
        if self.through.len() >= MAX_LAYERS || piece.is_empty() {
            return Ok(());
        }
        let mut at = 0;
        while let Some(inner) = self.inner.get_mut(at) {
            inner.feed(piece)?;
            if inner.over {
                self.inner.remove(at);
            } else {
                at += 1;
            }
        }
        // The magic may stand over the edge of two pieces.
        let end = self.carry.get(self.carry.len().saturating_sub(2)..).unwrap_or_default().to_vec();
        let edge: Vec<u8> = end.iter().chain(piece.iter().take(2)).copied().collect();
        if !self.begun && edge.len() >= 2 && end.len() < 2 {
            self.begun = true;
            // Too short a magic to look for it anywhere but at the beginning.
            if is_zlib(&edge) {
                self.follow(Format::Zlib, &end, piece)?;
            }
        }
        for at in memchr::memmem::find_iter(&edge, &GZIP).filter(|at| *at < end.len()) {
            self.follow(Format::Gzip, edge.get(at..end.len()).unwrap_or_default(), piece)?;
        }
        for at in memchr::memmem::find_iter(piece, &GZIP) {
            self.follow(Format::Gzip, &[], piece.get(at..).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Expands a stream that may begin here.
    fn follow(&mut self, format: Format, head: &[u8], rest: &[u8]) -> Result<(), Refused> {
        self.heads += 1;
        if self.inner.len() >= MAX_ALIVE || self.heads > FREE_HEADS + self.total / HEAD_EACH {
            return Err(Refused::Bomb);
        }
        let mut inner = Inflate::new(self, format)?;
        inner.feed(head)?;
        inner.feed(rest)?;
        if !inner.over {
            self.inner.push(inner);
        }
        Ok(())
    }
}

const GZIP: [u8; 3] = [0x1f, 0x8b, 8];

/// The head of a zlib stream, which `Content-Encoding: deflate` stands for.
fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [0x78, flags, ..] if (0x7800 + u16::from(*flags)) % 31 == 0)
}

impl Write for Layer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.feed(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(refused) => {
                self.refused = Some(refused);
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum Format {
    Gzip,
    Zlib,
}

enum Decoder {
    Gzip(flate2::write::GzDecoder<Layer>),
    Zlib(flate2::write::ZlibDecoder<Layer>),
}

struct Inflate {
    decoder: Decoder,
    taken: u64,
    over: bool,
}

impl Inflate {
    fn new(outer: &Layer, format: Format) -> Result<Self, Refused> {
        if EXPANDING.fetch_add(1, Ordering::Relaxed) >= MAX_EXPANDING {
            EXPANDING.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Busy);
        }
        let mut through = outer.through.clone();
        through.push(match format {
            Format::Gzip => "gzip",
            Format::Zlib => "deflate",
        });
        let layer = Layer::new(outer.what.clone(), through);
        let decoder = match format {
            Format::Gzip => Decoder::Gzip(flate2::write::GzDecoder::new(layer)),
            Format::Zlib => Decoder::Zlib(flate2::write::ZlibDecoder::new(layer)),
        };
        Ok(Self { decoder, taken: 0, over: false })
    }

    /// Takes what belongs to the stream.
    fn feed(&mut self, piece: &[u8]) -> Result<(), Refused> {
        let mut at = 0;
        // Small steps, so that the ratio is looked at often.
        while let Some(step) = piece.get(at..).filter(|rest| !rest.is_empty()) {
            let step = step.get(..step.len().min(4096)).unwrap_or(step);
            let (wrote, given) = match &mut self.decoder {
                Decoder::Gzip(decoder) => {
                    let wrote = decoder.write(step);
                    // What was expanded waits in the decoder for the next write.
                    let flushed = wrote.and_then(|n| decoder.flush().map(|()| n));
                    (flushed, &mut *decoder.get_mut())
                }
                Decoder::Zlib(decoder) => {
                    let wrote = decoder.write(step);
                    let flushed = wrote.and_then(|n| decoder.flush().map(|()| n));
                    (flushed, &mut *decoder.get_mut())
                }
            };
            if let Some(refused) = given.refused.take() {
                return Err(refused);
            }
            match wrote {
                Ok(n) if n > 0 => {
                    at += n;
                    self.taken += n as u64;
                }
                // The end, or not what it looked like: it is scanned as it is in any case.
                _ => {
                    given.look()?;
                    self.over = true;
                    return Ok(());
                }
            }
            let given = self.expanded();
            if given > FREE_EXPANSION && given / MAX_RATIO > self.taken {
                return Err(Refused::Bomb);
            }
        }
        // A word that waits in there is looked at now: the bytes that hold it are about to leave.
        let layer = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.get_mut(),
            Decoder::Zlib(decoder) => decoder.get_mut(),
        };
        layer.look()
    }

    fn expanded(&self) -> u64 {
        match &self.decoder {
            Decoder::Gzip(decoder) => decoder.get_ref().total,
            Decoder::Zlib(decoder) => decoder.get_ref().total,
        }
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        EXPANDING.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        format!("glpat-{}", "x9Y8z7W6v5".repeat(3))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    /// Text that does not shrink much, so that what is compressed is longer than what is kept.
    fn noise(n: usize) -> String {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b' ' + (state >> 33) as u8 % 64)
        };
        (0..n).map(|_| next()).collect()
    }

    /// Bytes that went out before the refusal, or all of them.
    fn sent(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut scanner = BodyScanner::new(Arc::new(Scanner::new(&[]).unwrap()), vec![]);
        let mut out = Vec::new();
        for piece in pieces {
            match scanner.pass(piece) {
                Ok(bytes) => out.extend(bytes),
                Err(_) => return (out, true),
            }
        }
        match scanner.rest() {
            Ok(rest) => out.extend(rest),
            Err(_) => return (out, true),
        }
        (out, false)
    }

    fn in_pieces(body: &[u8], cut: usize) -> (Vec<u8>, bool) {
        sent(&body.chunks(cut).collect::<Vec<_>>())
    }

    #[test]
    fn a_token_over_any_cut_is_found_before_it_has_left() {
        let body = format!("{{\"a\": \"some text\", \"b\": \"{}\"}}", token());
        for body in [body.clone(), format!("{body}{}", token()), token()] {
            for cut in 1..body.len() {
                let (out, refused) = in_pieces(body.as_bytes(), cut);
                assert!(refused, "{cut}");
                let out = String::from_utf8(out).unwrap();
                assert!(!out.contains("glpat-x9Y8z"), "{cut}: {out}");
            }
        }
    }

    #[test]
    fn clean_bodies_go_out_as_they_came() {
        for body in [noise(1500).into_bytes(), gzip(noise(2000).as_bytes()), vec![b'a'; 3000]] {
            for cut in [1, 3, 100, 1 << 20] {
                assert_eq!(in_pieces(&body, cut), (body.clone(), false), "{cut}");
            }
        }
    }

    #[test]
    fn what_is_compressed_is_expanded_wherever_it_begins_and_however_it_is_cut() {
        let text = format!("{} {}", noise(6000), token());
        let form = |inner: Vec<u8>| {
            [
                b"--b\r\nContent-Disposition: form-data\r\n\r\n".to_vec(),
                inner,
                b"\r\n--b--".to_vec(),
            ]
            .concat()
        };
        for body in [
            gzip(text.as_bytes()),
            zlib(text.as_bytes()),
            gzip(&gzip(text.as_bytes())),
            form(gzip(text.as_bytes())),
            [gzip(b"one member"), gzip(text.as_bytes())].concat(),
        ] {
            assert!(body.len() > 4 * CARRY);
            for cut in [7, 3000, 1 << 20] {
                assert!(in_pieces(&body, cut).1, "{cut}");
            }
            // One byte alone, then the rest.
            for first in [1, 2, 11] {
                let (one, rest) = body.split_at(first);
                assert!(sent(&[one, rest]).1, "{first}");
            }
        }
        assert!(in_pieces(&zlib(text.as_bytes()), 1).1);
        assert!(!in_pieces(&gzip("ordinary text ".repeat(5000).as_bytes()), 4096).1);
        let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
        assert!(in_pieces(&bomb, 4096).1);
    }

    #[test]
    fn a_false_head_hides_nothing() {
        let text = format!("{} {}", noise(6000), token());
        // A name without end; an extra field of 64 KiB; a stored block of 64 KiB; a body cut off.
        let heads: [&[u8]; 4] = [
            b"\x1f\x8b\x08\x08\0\0\0\0\0\xff",
            b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\xff\xff",
            b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\xff\xff\0\0",
            gzip(noise(4000).as_bytes()).leak().get(..2000).unwrap(),
        ];
        for head in heads {
            let body = [head, &gzip(text.as_bytes())].concat();
            for cut in [1, 7, 3000, 1 << 20] {
                assert!(in_pieces(&body, cut).1, "{head:?} {cut}");
            }
        }
    }

    #[test]
    fn heads_are_bounded_and_archives_of_small_files_pass() {
        let head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\0\xff\xff\0\0";
        assert!(in_pieces(&head.repeat(4000), 4096).1);
        let file = [vec![b' '; 512], gzip(b"a small file"), vec![0; 400]].concat();
        let archive = file.repeat(500);
        assert_eq!(in_pieces(&archive, 4096), (archive, false));
    }

    #[test]
    fn a_body_keeps_little_memory() {
        let mut scanner = BodyScanner::new(Arc::new(Scanner::new(&[]).unwrap()), vec![]);
        for piece in gzip(&b"a word ".repeat(40_000)).chunks(4096) {
            scanner.piece(piece).unwrap();
        }
        let inner = scanner.top.inner.first().unwrap();
        let Decoder::Gzip(decoder) = &inner.decoder else { panic!() };
        assert!(decoder.get_ref().carry.capacity() <= 64 * 1024);
        assert!(scanner.top.carry.capacity() <= 64 * 1024);
    }

    #[test]
    fn a_text_that_ends_in_no_token_does_not_wait() {
        let mut scanner = BodyScanner::new(Arc::new(Scanner::new(&[]).unwrap()), vec![]);
        assert_eq!(scanner.piece(b"{\"a\": 1}\n"), Ok(0));
        assert_eq!(scanner.piece(b"{\"a\": abc"), Ok(3));
    }
}
