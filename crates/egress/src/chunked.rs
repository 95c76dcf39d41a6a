//! The chunked coding: what comes in is decoded, what goes out is written anew.

/// A decoder; it is fed what was read and says what is data.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    /// Bytes of the current line so far, for the limit.
    line: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    SizeStart,
    Size(u64),
    /// Behind the size: extensions have no meaning here and are dropped.
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    /// At the start of a trailer line. Trailers are dropped.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Done,
}

/// Longest chunk-size line, and longest trailer section. Nobody needs either.
const MAX_LINE: usize = 4096;

/// What the next bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// That many bytes of coding, to be skipped.
    Skip(usize),
    /// That many bytes of data.
    Data(usize),
    /// The body ended in front of these bytes.
    Done,
}

/// The coding is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the chunked coding is malformed: {0}")]
pub struct ChunkError(&'static str);

impl Decoder {
    /// Takes the next step over `bytes`, which is not empty unless the body has ended.
    ///
    /// # Errors
    /// When the coding is malformed or a line is too long.
    pub fn step(&mut self, bytes: &[u8]) -> Result<Step, ChunkError> {
        let mut skipped = 0;
        for &byte in bytes {
            match self.state {
                State::Data(left) => {
                    if skipped > 0 {
                        return Ok(Step::Skip(skipped));
                    }
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let left = left - n as u64;
                    self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                    return Ok(Step::Data(n));
                }
                State::Done => {
                    return Ok(if skipped > 0 { Step::Skip(skipped) } else { Step::Done });
                }
                _ => self.byte(byte)?,
            }
            skipped += 1;
        }
        if skipped == 0 && self.state == State::Done {
            Ok(Step::Done)
        } else {
            Ok(Step::Skip(skipped))
        }
    }

    /// Whether the body has ended.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    fn byte(&mut self, byte: u8) -> Result<(), ChunkError> {
        self.line += 1;
        if self.line > MAX_LINE {
            return Err(ChunkError("a line is too long"));
        }
        let digit = (byte as char).to_digit(16).map(u64::from);
        self.state = match (self.state, byte) {
            (State::SizeStart, _) => State::Size(digit.ok_or(ChunkError("no size"))?),
            (State::Size(size), b'\r') => State::SizeLf(size),
            (State::Size(size), b';') => State::Extension(size),
            (State::Size(size), _) => {
                let digit = digit.ok_or(ChunkError("the size is not a hex number"))?;
                // 2^56 bytes are more than anybody sends, and keep clear of overflow.
                if size >> 52 != 0 {
                    return Err(ChunkError("the size is too large"));
                }
                State::Size(size * 16 + digit)
            }
            (State::Extension(size), b'\r') => State::SizeLf(size),
            (State::Extension(_), b'\n' | 0) => return Err(ChunkError("bare LF or NUL")),
            (State::Extension(size), _) => State::Extension(size),
            (State::SizeLf(0), b'\n') => {
                self.line = 0;
                State::TrailerStart
            }
            (State::SizeLf(size), b'\n') => {
                self.line = 0;
                State::Data(size)
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => {
                self.line = 0;
                State::SizeStart
            }
            (State::TrailerStart, b'\r') => State::EndLf,
            (State::TrailerStart | State::Trailer, b'\n' | 0) => {
                return Err(ChunkError("bare LF or NUL"));
            }
            (State::TrailerStart, _) => State::Trailer,
            (State::Trailer, b'\r') => State::TrailerLf,
            (State::Trailer, _) => State::Trailer,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(ChunkError("a line end is missing")),
        };
        Ok(())
    }
}

/// The line in front of a chunk of that many bytes, which is not 0.
#[must_use]
pub fn chunk_head(len: usize) -> Vec<u8> {
    format!("{len:x}\r\n").into_bytes()
}

/// What ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes with the input cut at the given size; returns the data and what is left over.
    fn decode(input: &[u8], cut: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
        let (mut decoder, mut data, mut at) = (Decoder::default(), Vec::new(), 0);
        while at < input.len() && !decoder.is_done() {
            let window = &input[at..(at + cut).min(input.len())];
            match decoder.step(window)? {
                Step::Skip(n) => at += n,
                Step::Data(n) => {
                    data.extend_from_slice(&window[..n]);
                    at += n;
                }
                Step::Done => break,
            }
        }
        Ok((data, input.len() - at, decoder.is_done()))
    }

    #[test]
    fn good_bodies() {
        let body = b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX: y\r\n\r\nNEXT";
        for cut in 1..body.len() {
            assert_eq!(decode(body, cut), Ok((b"hello world".to_vec(), 4, true)), "{cut}");
        }
        assert_eq!(decode(b"0\r\n\r\n", 9), Ok((vec![], 0, true)));
    }

    #[test]
    fn bad_bodies() {
        for body in [
            &b"\r\n"[..],
            b"x\r\n",
            b" 5\r\nhello\r\n",
            b"+5\r\nhello\r\n",
            b"0x5\r\nhello\r\n",
            b"5\nhello\r\n",
            b"5\r\nhello!\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5 \r\nhello\r\n",
            b"5;a\nb\r\nhello\r\n",
            b"0\r\n\n",
            b"0\r\nX: y\n\r\n",
            b"10000000000000000\r\n",
            b"fffffffffffffffff\r\n",
        ] {
            assert!(decode(body, 64).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
        let long = [b"1;".to_vec(), vec![b'a'; MAX_LINE]].concat();
        assert!(decode(&long, 64).is_err());
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..6), cut in 1usize..20) {
            let mut body = Vec::new();
            for part in &parts {
                body.extend(chunk_head(part.len()));
                body.extend(part);
                body.extend(b"\r\n");
            }
            body.extend(LAST_CHUNK);
            prop_assert_eq!(decode(&body, cut), Ok((parts.concat(), 0, true)));
        }

        #[test]
        fn no_bytes_make_it_panic_or_stall(bytes: Vec<u8>, cut in 1usize..9) {
            let _ = decode(&bytes, cut);
        }
    }
}
