//! A body in pieces: each piece is scanned together with the end of the one before, and the end
//! of a piece that could be the beginning of something is held back until the next one.

use super::{Finding, Holds, Look, Scanner};
use std::io::Write as _;
use std::sync::Arc;

/// How much of the end of a piece is scanned again with the next. The longest credential that is
/// recognised fits, also in base64.
const CARRY: usize = 1024;

/// How much of the end of a piece is not sent before the next one has been scanned.
const HOLD: usize = 512;

/// Most bytes that a compressed body may have when it is expanded, for each byte of its own, and
/// in any case. Ordinary text shrinks to a tenth; deflate's best is about a thousandth.
const MAX_RATIO: u64 = 200;
const FREE_EXPANSION: u64 = 16 * 1024 * 1024;

/// A body that must not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It holds what must not leave.
    Found(Finding),
    /// It expands beyond all measure.
    Bomb,
}

/// Scans one body.
pub struct BodyScanner {
    scanner: Arc<Scanner>,
    carries: Vec<String>,
    holds: Option<Arc<dyn Holds>>,
    carry: Vec<u8>,
    held: Vec<u8>,
    waiting: usize,
    started: bool,
    inflate: Option<Inflate>,
}

struct Inflate {
    decoder: flate2::write::MultiGzDecoder<Vec<u8>>,
    carry: Vec<u8>,
    taken: u64,
    given: u64,
    broken: bool,
}

impl BodyScanner {
    /// A scanner for a body that may hold the kinds in `carries`.
    #[must_use]
    pub fn new(scanner: Arc<Scanner>, carries: Vec<String>) -> Self {
        Self {
            scanner,
            carries,
            holds: None,
            carry: Vec::new(),
            held: Vec::new(),
            waiting: 0,
            started: false,
            inflate: None,
        }
    }

    /// Also looks for what the client's session holds.
    #[must_use]
    pub fn holding(mut self, holds: Option<Arc<dyn Holds>>) -> Self {
        self.holds = holds;
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
        if !self.started && !piece.is_empty() {
            self.started = true;
            if piece.starts_with(&[0x1f, 0x8b]) {
                self.inflate = Some(Inflate {
                    decoder: flate2::write::MultiGzDecoder::new(Vec::new()),
                    carry: Vec::new(),
                    taken: 0,
                    given: 0,
                    broken: false,
                });
            }
        }
        let look = Look { carries: &self.carries, holds: self.holds.as_deref() };
        if let Some(inflate) = &mut self.inflate {
            return inflate.piece(piece, &self.scanner, look).map(|()| 0);
        }
        check(&self.scanner, look, &mut self.carry, piece, &[])?;
        // Only the end that could be the beginning of a token waits: a text that ends in anything
        // else goes out as it comes, so that both sides can talk in turns.
        self.waiting = self.carry.iter().rev().take(HOLD).take_while(|b| is_token(**b)).count();
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
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'_' | b'-' | b'%' | b'.' | b':')
}

fn check(
    scanner: &Scanner,
    look: Look<'_>,
    carry: &mut Vec<u8>,
    piece: &[u8],
    through: &[&'static str],
) -> Result<(), Refused> {
    carry.extend_from_slice(piece);
    let found = scanner.scan_at(carry, look, &mut through.to_vec());
    let keep = carry.len().saturating_sub(CARRY);
    carry.drain(..keep);
    found.map_or(Ok(()), |finding| Err(Refused::Found(finding)))
}

impl Inflate {
    fn piece(&mut self, piece: &[u8], scanner: &Scanner, look: Look<'_>) -> Result<(), Refused> {
        // Small steps bound what one step can expand to.
        for step in piece.chunks(4096) {
            if self.broken {
                // What does not expand is scanned as it is.
                check(scanner, look, &mut self.carry, step, &[])?;
                continue;
            }
            self.taken += step.len() as u64;
            if self.decoder.write_all(step).and_then(|()| self.decoder.flush()).is_err() {
                self.broken = true;
            }
            let expanded = std::mem::take(self.decoder.get_mut());
            self.given += expanded.len() as u64;
            if self.given > FREE_EXPANSION && self.given / MAX_RATIO > self.taken {
                return Err(Refused::Bomb);
            }
            check(scanner, look, &mut self.carry, &expanded, &["gzip"])?;
        }
        Ok(())
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

    /// Bytes that went out before the refusal, or all of them.
    fn sent(body: &[u8], cut: usize) -> (Vec<u8>, bool) {
        let mut scanner = BodyScanner::new(Arc::new(Scanner::new(&[]).unwrap()), vec![]);
        let mut out = Vec::new();
        for piece in body.chunks(cut) {
            match scanner.pass(piece) {
                Ok(bytes) => out.extend(bytes),
                Err(_) => return (out, true),
            }
        }
        out.extend(scanner.rest());
        (out, false)
    }

    #[test]
    fn a_token_over_any_cut_is_found_before_it_has_left() {
        let body = format!("{{\"a\": \"some text\", \"b\": \"{}\"}}", token());
        for cut in 1..body.len() {
            let (out, refused) = sent(body.as_bytes(), cut);
            assert!(refused, "{cut}");
            let out = String::from_utf8(out).unwrap();
            assert!(!out.contains("glpat-x9Y8z"), "{cut}: {out}");
        }
    }

    #[test]
    fn a_compressed_body_is_expanded_and_a_bomb_is_refused() {
        let text = format!("{} {}", "ordinary text ".repeat(5000), token());
        for cut in [1, 7, 4096, 1 << 20] {
            assert!(sent(&gzip(text.as_bytes()), cut).1, "{cut}");
        }
        assert!(!sent(&gzip("ordinary text ".repeat(5000).as_bytes()), 4096).1);
        assert!(sent(&gzip(&vec![0; 64 * 1024 * 1024]), 4096).1);
    }

    #[test]
    fn a_text_that_ends_in_no_token_does_not_wait() {
        let mut scanner = BodyScanner::new(Arc::new(Scanner::new(&[]).unwrap()), vec![]);
        assert_eq!(scanner.piece(b"{\"a\": 1}\n"), Ok(0));
        assert_eq!(scanner.piece(b"{\"a\": abc"), Ok(3));
    }
}
