//! The first bytes of a tunnel: a TLS ClientHello, a request of HTTP/1.1, or something else.
//!
//! Only what a judgement needs is read: the server name and whether Encrypted Client Hello is
//! there. The bytes themselves go on unchanged.

use crate::host::Host;

/// Longest handshake message that is waited for. Hellos with post-quantum key shares have about
/// 2 KiB; a record holds 16 KiB at most.
pub const MAX_HELLO: usize = 16 * 1024;

/// What the first bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opening {
    /// TLS.
    Tls(ClientHello),
    /// The beginning of an HTTP/1.x request line.
    Http,
    /// Neither.
    Other,
    /// More bytes are needed.
    Partial,
}

/// What is read of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello {
    /// The server name, if it is a canonical host name.
    pub server_name: Option<Host>,
    /// There is a server name that is not one, or more than one.
    pub odd_name: bool,
    /// The extension Encrypted Client Hello is there, real or as GREASE: they cannot be told
    /// apart.
    pub ech: bool,
}

/// Says what the first bytes of a client are.
#[must_use]
pub fn classify(bytes: &[u8]) -> Opening {
    match bytes.first() {
        None => Opening::Partial,
        Some(0x16) => tls(bytes),
        Some(c) if c.is_ascii_uppercase() => http(bytes),
        Some(_) => Opening::Other,
    }
}

fn http(bytes: &[u8]) -> Opening {
    // The longest registered method has 17 letters.
    for (i, c) in bytes.iter().enumerate().take(20) {
        match c {
            b' ' if i > 0 => {
                return match bytes.get(i + 1) {
                    None => Opening::Partial,
                    // `PRI * HTTP/2.0` is not HTTP/1.
                    Some(b'/') => Opening::Http,
                    Some(_) => Opening::Other,
                };
            }
            c if c.is_ascii_uppercase() || *c == b'-' => {}
            _ => return Opening::Other,
        }
    }
    if bytes.len() < 20 { Opening::Partial } else { Opening::Other }
}

/// A reader over untrusted bytes: every read is checked.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |n, b| (n << 8) | usize::from(*b)))
    }

    /// A vector with its length in front.
    fn vector(&mut self, length_bytes: usize) -> Option<Cursor<'a>> {
        let n = self.number(length_bytes)?;
        self.take(n).map(Cursor)
    }
}

fn tls(bytes: &[u8]) -> Opening {
    // A hello may come in several records; their payloads are joined.
    let mut message = Vec::new();
    let mut records = Cursor(bytes);
    let needed = loop {
        if let Some(needed) = message_length(&message) {
            if needed > MAX_HELLO {
                return Opening::Other;
            }
            if message.len() >= needed {
                break needed;
            }
        }
        if records.0.get(1).is_some_and(|major| *major != 3) {
            return Opening::Other;
        }
        let Some(&[kind, _, _, high, low]) = records.take(5) else {
            return Opening::Partial;
        };
        let len = usize::from(high) << 8 | usize::from(low);
        if kind != 0x16 || len == 0 || len > MAX_HELLO {
            return Opening::Other;
        }
        let Some(payload) = records.take(len.min(records.0.len())) else {
            return Opening::Partial;
        };
        message.extend_from_slice(payload);
        // Not a ClientHello, however long it may become.
        if message.first().is_some_and(|kind| *kind != 1) {
            return Opening::Other;
        }
        if payload.len() < len {
            // The record is not all there; the message may be.
            match message_length(&message) {
                Some(needed) if needed <= MAX_HELLO && message.len() >= needed => break needed,
                Some(needed) if needed > MAX_HELLO => return Opening::Other,
                _ => return Opening::Partial,
            }
        }
    };
    let body = message.get(4..needed).unwrap_or_default();
    match client_hello(body) {
        Some(hello) => Opening::Tls(hello),
        None => Opening::Other,
    }
}

/// Length of a handshake message with its header, once the header is there.
fn message_length(message: &[u8]) -> Option<usize> {
    let &[_, a, b, c, ..] = message else { return None };
    Some(4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)))
}

fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut body = Cursor(body);
    body.take(2 + 32)?; // version, random
    body.vector(1)?; // session id
    body.vector(2)?; // cipher suites
    body.vector(1)?; // compression methods
    let mut hello = ClientHello::default();
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = body.vector(2)?;
    if !body.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let data = extensions.vector(2)?;
        match kind {
            0 => match server_name(data) {
                Some(name) if hello.server_name.is_none() => hello.server_name = Some(name),
                _ => hello.odd_name = true,
            },
            0xfe0d => hello.ech = true,
            // Encrypted SNI, the draft before ECH.
            0xffce => hello.ech = true,
            _ => {}
        }
    }
    Some(hello)
}

fn server_name(mut data: Cursor<'_>) -> Option<Host> {
    let mut list = data.vector(2)?;
    if !data.0.is_empty() || list.number(1)? != 0 {
        return None;
    }
    let name = list.vector(2)?;
    if !list.0.is_empty() {
        return None;
    }
    let name = std::str::from_utf8(name.0).ok()?;
    // RFC 6066: a name, never an address, and without the final dot.
    match Host::parse(name) {
        Ok(host @ Host::Name(_)) if !name.ends_with('.') => Some(host),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// A hello as rustls makes it.
    fn hello_for(name: &str) -> Vec<u8> {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut out = Vec::new();
        connection.write_tls(&mut out).unwrap();
        out
    }

    #[test]
    fn a_real_hello_is_read_at_every_cut() {
        let bytes = hello_for("api.example.test");
        for end in 0..bytes.len() {
            assert_eq!(classify(&bytes[..end]), Opening::Partial, "{end} of {}", bytes.len());
        }
        let Opening::Tls(hello) = classify(&bytes) else { panic!("not TLS") };
        assert_eq!(hello.server_name, Some(Host::Name("api.example.test".into())));
        assert!(!hello.odd_name);
    }

    #[test]
    fn a_hello_in_several_records_is_read() {
        let bytes = hello_for("api.example.test");
        let mut split = Vec::new();
        for part in bytes[5..].chunks(37) {
            split.extend_from_slice(&[0x16, 3, 1, 0, part.len() as u8]);
            split.extend_from_slice(part);
        }
        let Opening::Tls(hello) = classify(&split) else { panic!("not TLS") };
        assert_eq!(hello.server_name, Some(Host::Name("api.example.test".into())));
    }

    #[test]
    fn a_hello_for_an_address_has_no_name() {
        let Opening::Tls(hello) = classify(&hello_for("127.0.0.1")) else { panic!("not TLS") };
        assert_eq!(hello.server_name, None);
    }

    #[test]
    fn another_handshake_message_is_no_hello_however_much_of_it_is_there() {
        // A record that goes on behind a whole message of another type.
        let mut bytes = vec![0x16, 3, 1, 0x25, 0, 0xa6, 0, 0, 0x2a];
        bytes.resize(69, 0);
        for end in 6..bytes.len() {
            assert_eq!(classify(&bytes[..end]), Opening::Other, "{end}");
        }
    }

    #[test]
    fn openings() {
        assert_eq!(classify(b"GET / HTTP/1.1\r\n"), Opening::Http);
        assert_eq!(classify(b"GE"), Opening::Partial);
        assert_eq!(classify(b"PRI * HTTP/2.0\r\n"), Opening::Other);
        assert_eq!(classify(b"SSH-2.0-x\r\n"), Opening::Other);
        assert_eq!(classify(b"\x16\x02\x00"), Opening::Other);
        assert_eq!(classify(b"\x16\x03\x01\x00\x01\x02"), Opening::Other);
        assert_eq!(classify(b"\x80\x2e\x01"), Opening::Other);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, at in 0usize..200, value: u8) {
            let _ = classify(&bytes);
            bytes.insert(0, 0x16);
            let _ = classify(&bytes);
            let mut hello = hello_for("a.test");
            let at = at % hello.len();
            hello[at] = value;
            let _ = classify(&hello);
        }
    }
}
