//! SOCKS5 (RFC 1928) with user and password (RFC 1929): CONNECT only.

use crate::host::{Host, Target};
use crate::refusal::Cause;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first byte of a client that speaks SOCKS5.
pub const VERSION: u8 = 5;

/// Answer to a greeting: no proof is asked for.
pub const NO_PROOF: [u8; 2] = [VERSION, 0];
/// Answer to a greeting: show user and password.
pub const PASSWORD: [u8; 2] = [VERSION, 2];
/// Answer to a greeting: none of the offered methods will do.
pub const NO_METHOD: [u8; 2] = [VERSION, 0xff];
/// Answer to user and password.
pub const WELCOME: [u8; 2] = [1, 0];
/// Answer to a wrong user or password.
pub const WRONG: [u8; 2] = [1, 1];

/// Not SOCKS5, or not what is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the SOCKS request is refused: {0}")]
pub struct SocksError(pub &'static str);

/// Whether a greeting offers a method; also its length. `None` when it is not complete.
///
/// # Errors
/// When it is not a greeting.
pub fn greeting(bytes: &[u8], method: u8) -> Result<Option<(bool, usize)>, SocksError> {
    let &[version, count, ref rest @ ..] = bytes else { return Ok(None) };
    if version != VERSION {
        return Err(SocksError("the version is not 5"));
    }
    let count = usize::from(count);
    Ok(rest.get(..count).map(|methods| (methods.contains(&method), 2 + count)))
}

/// User, password, and length of the message.
pub type Proof<'a> = (&'a [u8], &'a [u8], usize);

/// User, password and length of the proof. `None` when it is not complete.
///
/// # Errors
/// When it is not one.
pub fn proof(bytes: &[u8]) -> Result<Option<Proof<'_>>, SocksError> {
    let &[version, user_len, ref rest @ ..] = bytes else { return Ok(None) };
    if version != 1 {
        return Err(SocksError("the version of the proof is not 1"));
    }
    let Some((user, rest)) = rest.split_at_checked(usize::from(user_len)) else { return Ok(None) };
    let Some((&len, rest)) = rest.split_first() else { return Ok(None) };
    let Some(password) = rest.get(..usize::from(len)) else { return Ok(None) };
    Ok(Some((user, password, 3 + user.len() + password.len())))
}

/// The destination of a request, and its length. `None` when it is not complete.
///
/// # Errors
/// When it is not a CONNECT to a canonical host.
pub fn request(bytes: &[u8]) -> Result<Option<(Target, usize)>, SocksError> {
    let &[version, command, _, kind, ref rest @ ..] = bytes else { return Ok(None) };
    if version != VERSION {
        return Err(SocksError("the version is not 5"));
    }
    if command != 1 {
        return Err(SocksError("only CONNECT is served"));
    }
    let (host, rest, len) = match kind {
        1 => {
            let Some((address, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
            (Host::Address(IpAddr::V4(Ipv4Addr::from(*address))), rest, 4)
        }
        4 => {
            let Some((address, rest)) = rest.split_first_chunk::<16>() else { return Ok(None) };
            (Host::Address(IpAddr::V6(Ipv6Addr::from(*address))), rest, 16)
        }
        3 => {
            let Some((&len, rest)) = rest.split_first() else { return Ok(None) };
            let len = usize::from(len);
            let Some((name, rest)) = rest.split_at_checked(len) else { return Ok(None) };
            let name = std::str::from_utf8(name).map_err(|_| SocksError("the name is not text"))?;
            let host = Host::parse(name).map_err(|_| SocksError("the name is not canonical"))?;
            (host, rest, 1 + len)
        }
        _ => return Err(SocksError("the kind of address is not known")),
    };
    let Some((port, _)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let port = u16::from_be_bytes(*port);
    if port == 0 {
        return Err(SocksError("the port is 0"));
    }
    Ok(Some((Target { host, port }, 4 + len + 2)))
}

/// The answer to a request: `None` when it was granted. The address that the proxy uses is
/// nobody's business.
#[must_use]
pub fn reply(refused: Option<Cause>) -> [u8; 10] {
    let code = match refused {
        None => 0,
        Some(Cause::Unreachable) => 4,
        Some(Cause::Malformed) => 7,
        Some(Cause::Closed | Cause::Log) => 1,
        // Not allowed by ruleset.
        Some(_) => 2,
    };
    [VERSION, code, 0, 1, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_at_every_cut() {
        let name = b"\x05\x01\x00\x03\x06a.test\x01\xbb";
        for end in 0..name.len() {
            assert_eq!(request(&name[..end]), Ok(None), "{end}");
        }
        assert_eq!(
            request(name),
            Ok(Some((Target::parse("a.test:443", None).unwrap(), name.len())))
        );
        let v6 = [&[5, 1, 0, 4][..], &[0; 15], &[1, 0, 80]].concat();
        assert_eq!(request(&v6), Ok(Some((Target::parse("[::1]:80", None).unwrap(), 22))));
        for bad in [
            &b"\x05\x02\x00\x01\x7f\0\0\x01\0\x50"[..],
            b"\x05\x03\x00\x01\x7f\0\0\x01\0\x50",
            b"\x04\x01\x00\x01\x7f\0\0\x01\0\x50",
            b"\x05\x01\x00\x03\x050x7f1\0\x50",
            b"\x05\x01\x00\x03\x04a\0.b\0\x50",
            b"\x05\x01\x00\x01\x7f\0\0\x01\0\0",
            b"\x05\x01\x00\x09\x7f\0\0\x01\0\x50",
        ] {
            assert!(request(bad).is_err(), "{bad:?}");
        }
        assert_eq!(greeting(b"\x05\x02\x00\x02", 2), Ok(Some((true, 4))));
        assert_eq!(greeting(b"\x05\x02\x00", 2), Ok(None));
        assert_eq!(proof(b"\x01\x01u\x02pw"), Ok(Some((&b"u"[..], &b"pw"[..], 6))));
        assert_eq!(proof(b"\x01\x01u\x02p"), Ok(None));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = (greeting(&bytes, 0), proof(&bytes), request(&bytes));
        }
    }
}
