//! Messages of a WebSocket on their way out (RFC 6455): their text is scanned like a body.
//!
//! Extensions are taken out of the handshake, so that no message is compressed. What goes on are
//! the client's own bytes; of a message that is not complete, the end that could be the beginning
//! of something waits.

use crate::scan::{BodyScanner, Refused};

/// Most bytes in front of a payload.
const MAX_HEADER: usize = 14;

/// Most bytes of heads and control frames inside a message that waits: memory must not follow what
/// comes in parts of one byte.
const MAX_BETWEEN: usize = 64 * 1024;

/// Why a connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FrameError {
    /// Not a frame that a client may send.
    Malformed(&'static str),
    /// It carries what must not leave.
    Refused(Refused),
}

impl From<Refused> for FrameError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

#[derive(Debug, Clone, Copy)]
struct Payload {
    left: u64,
    mask: [u8; 4],
    at: usize,
    last: bool,
    control: bool,
}

/// One direction of a WebSocket, from the client.
pub struct Frames {
    fresh: Box<dyn Fn() -> BodyScanner + Send>,
    /// Scans the message at hand.
    message: Option<BodyScanner>,
    /// What came of it and was not scanned yet: many small parts cost no more than one.
    plain: Vec<u8>,
    /// Scans the control frame at hand, which may stand between the parts of a message.
    control: Option<BodyScanner>,
    header: Vec<u8>,
    payload: Option<Payload>,
    /// Read, but not let go.
    held: Vec<u8>,
    /// Of it, bytes that are not the message's.
    between: usize,
}

impl Frames {
    /// `fresh` makes a scanner for each message.
    #[must_use]
    pub fn new(fresh: Box<dyn Fn() -> BodyScanner + Send>) -> Self {
        Self {
            fresh,
            message: None,
            plain: Vec::new(),
            control: None,
            header: Vec::new(),
            payload: None,
            held: Vec::new(),
            between: 0,
        }
    }

    /// Takes the next bytes of the client and gives what may go on now.
    ///
    /// # Errors
    /// When they are not frames, or a message must not go on.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
        while !bytes.is_empty() {
            let Some(payload) = self.payload else {
                bytes = self.head(bytes)?;
                if let Some(Payload { left: 0, .. }) = self.payload {
                    self.end()?;
                }
                continue;
            };
            let n = usize::try_from(payload.left).unwrap_or(usize::MAX).min(bytes.len());
            let (data, rest) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
            bytes = rest;
            self.data(payload, data)?;
        }
        self.scan()?;
        let waiting =
            |scanner: &Option<BodyScanner>| scanner.as_ref().map_or(0, BodyScanner::waiting);
        let waits = waiting(&self.message) + waiting(&self.control);
        // What waits may stand in front of other frames' heads.
        let keep = if waits == 0 { self.header.len() } else { waits + self.between };
        if waits == 0 {
            self.between = self.header.len();
        } else if self.between > MAX_BETWEEN {
            return Err(FrameError::Malformed("a message comes in too many parts"));
        }
        let go = self.held.len().saturating_sub(keep);
        Ok(self.held.drain(..go).collect())
    }

    fn head<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], FrameError> {
        let mut rest = bytes;
        while let Some((byte, after)) = rest.split_first() {
            self.header.push(*byte);
            self.held.push(*byte);
            self.between += 1;
            rest = after;
            if let Some(payload) = parse(&self.header)? {
                self.begin(&payload)?;
                self.header.clear();
                self.payload = Some(payload);
                break;
            }
        }
        Ok(rest)
    }

    fn begin(&mut self, payload: &Payload) -> Result<(), FrameError> {
        let continues = self.header.first().is_some_and(|b| b & 0x0f == 0);
        if payload.control {
            self.control = Some((self.fresh)());
        } else if continues != self.message.is_some() {
            return Err(FrameError::Malformed("a message begins or goes on out of order"));
        } else if !continues {
            self.message = Some((self.fresh)());
        }
        Ok(())
    }

    fn data(&mut self, mut payload: Payload, data: &[u8]) -> Result<(), FrameError> {
        let plain = data
            .iter()
            .zip(payload.mask.iter().cycle().skip(payload.at))
            .map(|(byte, mask)| byte ^ mask);
        if payload.control {
            let plain: Vec<u8> = plain.collect();
            if let Some(scanner) = &mut self.control {
                scanner.piece(&plain)?;
            }
        } else {
            self.plain.extend(plain);
        }
        self.held.extend_from_slice(data);
        if payload.control {
            self.between += data.len();
        }
        payload.at = (payload.at + data.len()) % 4;
        payload.left -= data.len() as u64;
        self.payload = Some(payload);
        if payload.left == 0 {
            self.end()?;
        }
        Ok(())
    }

    /// Scans what came of the message at hand.
    fn scan(&mut self) -> Result<(), Refused> {
        let plain = std::mem::take(&mut self.plain);
        match &mut self.message {
            Some(scanner) if !plain.is_empty() => scanner.piece(&plain).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// A frame is complete.
    fn end(&mut self) -> Result<(), Refused> {
        let Some(payload) = self.payload.take() else { return Ok(()) };
        if payload.control {
            if let Some(mut scanner) = self.control.take() {
                scanner.end()?;
            }
        } else if payload.last {
            self.scan()?;
            if let Some(mut scanner) = self.message.take() {
                scanner.end()?;
            }
            self.between = 0;
        }
        Ok(())
    }
}

/// A frame's head, when it is complete.
fn parse(header: &[u8]) -> Result<Option<Payload>, FrameError> {
    let malformed = |why| Err(FrameError::Malformed(why));
    let &[first, second, ref rest @ ..] = header else { return Ok(None) };
    if first & 0x70 != 0 {
        return malformed("an extension is used that was not agreed on");
    }
    let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
    let control = opcode >= 8;
    if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
        return malformed("the kind of frame is not known");
    }
    if second & 0x80 == 0 {
        return malformed("a client's frame is not masked");
    }
    let short = second & 0x7f;
    if control && (short > 125 || !last) {
        return malformed("a control frame is too long or in parts");
    }
    let wide = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some((length, rest)) = rest.split_at_checked(wide) else { return Ok(None) };
    let long = length.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    let left = if wide == 0 { u64::from(short) } else { long };
    // A length that could be written shorter, or has its highest bit set.
    if (wide == 2 && left < 126) || (wide == 8 && (left <= 0xffff || left >> 63 != 0)) {
        return malformed("the length is not written as it should be");
    }
    let Some(mask) = rest.first_chunk::<4>() else { return Ok(None) };
    debug_assert!(header.len() <= MAX_HEADER);
    Ok(Some(Payload { left, mask: *mask, at: 0, last, control }))
}

/// A handshake's fields without the extensions.
#[must_use]
pub fn without_extensions(fields: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(fields.len());
    for line in fields.split_inclusive(|b| *b == b'\n') {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case(b"sec-websocket-extensions") {
            out.extend_from_slice(line);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Scanner;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn frames() -> Frames {
        let scanner = Arc::new(Scanner::new(&[]).unwrap());
        Frames::new(Box::new(move || BodyScanner::new(scanner.clone(), vec![])))
    }

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ 0..=125 => out.push(0x80 | n as u8),
            n @ 126..=0xffff => {
                out.push(0x80 | 126);
                out.extend((n as u16).to_be_bytes());
            }
            n => {
                out.push(0x80 | 127);
                out.extend((n as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        out
    }

    fn token() -> String {
        format!("glpat-{}", "x9Y8z7W6v5".repeat(3))
    }

    /// What went out, and how it ended.
    fn sent(bytes: &[u8], cut: usize) -> (Vec<u8>, Option<FrameError>) {
        let (mut frames, mut out) = (frames(), Vec::new());
        for piece in bytes.chunks(cut) {
            match frames.pass(piece) {
                Ok(go) => out.extend(go),
                Err(e) => return (out, Some(e)),
            }
        }
        (out, None)
    }

    #[test]
    fn messages_pass_as_they_are_and_do_not_wait_for_the_next() {
        let long = frame(0x82, &vec![b'a'; 70_000]);
        let all = [
            frame(0x81, b"{\"a\": \"token-like-end"),
            frame(0x89, b"ping"),
            frame(0x01, b"part"),
            frame(0x89, b""),
            frame(0x80, b"end"),
            frame(0x82, &[b'b'; 200]),
            frame(0x81, b""),
            frame(0x88, b""),
        ]
        .concat();
        for cut in [1, 2, 3, 7, 1000, 1 << 20] {
            assert_eq!(sent(&all, cut), (all.clone(), None), "{cut}");
        }
        assert_eq!(sent(&long, 9000), (long.clone(), None));
    }

    #[test]
    fn a_credential_in_a_message_stays() {
        let text = format!("{{\"note\": \"{}\"}}", token());
        let (head, tail) = text.as_bytes().split_at(20);
        for message in [
            frame(0x81, text.as_bytes()),
            frame(0x82, text.as_bytes()),
            [frame(0x01, head), frame(0x80, tail)].concat(),
            [frame(0x01, head), frame(0x89, b"p"), frame(0x00, b""), frame(0x80, tail)].concat(),
            frame(0x89, token().as_bytes()),
        ] {
            for cut in 1..message.len() {
                let (out, end) = sent(&message, cut);
                assert!(matches!(end, Some(FrameError::Refused(_))), "{cut}");
                // Unmasked it would be longer than this.
                assert!(
                    out.len() < message.len() - 20,
                    "{cut}: {} of {}",
                    out.len(),
                    message.len()
                );
            }
        }
    }

    #[test]
    fn what_is_no_frame_of_a_client_is_refused() {
        let unmasked = [0x81, 2, b'h', b'i'];
        let padded = [&[0x82, 0xfe, 0, 5][..], &[0; 9]].concat();
        for bad in [
            &unmasked[..],
            &padded,
            &frame(0xc1, b"x"),
            &frame(0x83, b"x"),
            &frame(0x80, b"goes on"),
            &frame(0x09, b"ping in parts"),
            &[frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            &[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4],
            &frame(0x89, &[0; 126]),
        ] {
            assert!(matches!(sent(bad, 3).1, Some(FrameError::Malformed(_))), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_none_are_made_up(bytes: Vec<u8>, cut in 1usize..40) {
            let (out, _) = sent(&bytes, cut);
            prop_assert!(bytes.starts_with(&out));
        }
    }
}
