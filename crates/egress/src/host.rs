//! The host of a request.
//!
//! A host is a canonical address or a canonical name, and nothing else: the odd spellings of an
//! address (decimal, octal, hex, short, zones, percent signs, wide digits) are refused rather
//! than interpreted, because a client, a resolver and a server each interpret them differently.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A name, lower case and without a final dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name in its ASCII form.
    Name(String),
    /// A literal address.
    Address(IpAddr),
}

/// Why a text is not a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("the host is empty")]
    Empty,
    /// DNS names end at 253 bytes, labels at 63.
    #[error("the host or one of its labels is too long")]
    TooLong,
    /// Something else than letters, digits, `-`, `_` and `.`.
    #[error("the host holds a character that a host name cannot have")]
    Character,
    /// An empty label, or one that begins or ends with `-`.
    #[error("the host has an empty or malformed label")]
    Label,
    /// A number in another form than four decimal parts.
    #[error("the host is an address in a form other than the canonical one")]
    Number,
    /// Not an IPv6 address between brackets, or with a zone.
    #[error("the host is not an IPv6 address without a zone, in brackets")]
    Ipv6,
    /// Punycode that is not the form of a valid internationalised name.
    #[error("the host is not a valid internationalised name")]
    Idna,
    /// The port is missing, zero or not a number.
    #[error("the port is missing or not between 1 and 65535")]
    Port,
}

/// Longest DNS name in its text form.
const MAX_NAME: usize = 253;
/// Longest label.
const MAX_LABEL: usize = 63;

impl Host {
    /// Reads a host as it stands in a request target or a `Host` header.
    ///
    /// # Errors
    /// When it is not canonical.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::Ipv6)?;
            let address = Ipv6Addr::from_str(inner).map_err(|_| HostError::Ipv6)?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_NAME {
            return Err(HostError::TooLong);
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
            return Err(HostError::Character);
        }
        let mut last = "";
        let mut punycode = false;
        for label in name.split('.') {
            if label.is_empty() || label.starts_with('-') || label.ends_with('-') {
                return Err(HostError::Label);
            }
            if label.len() > MAX_LABEL {
                return Err(HostError::TooLong);
            }
            punycode |= label.as_bytes().get(..4).is_some_and(|p| p.eq_ignore_ascii_case(b"xn--"));
            last = label;
        }
        // The rule of the URL standard: a name whose last label is a number is an address.
        if ends_in_a_number(last) {
            let address = Ipv4Addr::from_str(text).map_err(|_| HostError::Number)?;
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = name.to_ascii_lowercase();
        if punycode {
            // `to_unicode` checks each label and its round trip.
            let (_, result) = idna::domain_to_unicode(&name);
            result.map_err(|_| HostError::Idna)?;
        }
        Ok(Self::Name(name))
    }

    /// The name, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }
}

fn ends_in_a_number(label: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let hex = |s: &str| s.bytes().all(|b| b.is_ascii_hexdigit());
    digits(label) || label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")).is_some_and(hex)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where.
    pub host: Host,
    /// Which service.
    pub port: u16,
}

impl Target {
    /// Reads `host:port`; without a port, `default` is used, and when there is none it is an
    /// error.
    ///
    /// # Errors
    /// When the host is not canonical or the port is not one.
    pub fn parse(authority: &str, default: Option<u16>) -> Result<Self, HostError> {
        let after_host = authority.rfind(']').unwrap_or_default();
        let colon = authority.get(after_host..).and_then(|rest| rest.find(':'));
        let (host, port) = match colon {
            Some(at) => {
                let (host, port) =
                    authority.split_at_checked(after_host + at).ok_or(HostError::Port)?;
                (host, Some(port.strip_prefix(':').unwrap_or(port)))
            }
            None => (authority, None),
        };
        let host = Host::parse(host)?;
        let port = match port {
            Some(digits) => parse_port(digits).ok_or(HostError::Port)?,
            None => default.ok_or(HostError::Port)?,
        };
        Ok(Self { host, port })
    }
}

/// A port in plain decimal: no sign, no leading zero, not 0.
#[must_use]
pub fn parse_port(digits: &str) -> Option<u16> {
    if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Serialize for Host {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(|e| serde::de::Error::custom(format!("`{text}`: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn canonical_forms_pass() {
        for (text, shown) in [
            ("example.com", "example.com"),
            ("EXAMPLE.com.", "example.com"),
            ("_dmarc.example.com", "_dmarc.example.com"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("localhost", "localhost"),
            ("10.0.0.1", "10.0.0.1"),
            ("[::1]", "[::1]"),
            ("[::FFFF:127.0.0.1]", "[::ffff:127.0.0.1]"),
            ("0xdeadbeef.example", "0xdeadbeef.example"),
            ("1.2.3.example", "1.2.3.example"),
        ] {
            assert_eq!(Host::parse(text).map(|h| h.to_string()), Ok(shown.into()), "{text}");
        }
    }

    #[test]
    fn odd_spellings_are_refused() {
        for (text, error) in [
            ("", HostError::Empty),
            (".", HostError::Label),
            ("example.com..", HostError::Label),
            ("a..b", HostError::Label),
            ("-a.example", HostError::Label),
            ("2130706433", HostError::Number),
            ("0x7f000001", HostError::Number),
            ("0x7f.1", HostError::Number),
            ("0X7F.0.0.0x1", HostError::Number),
            ("0x", HostError::Number),
            ("017700000001", HostError::Number),
            ("0177.0.0.1", HostError::Number),
            ("127.0.0.01", HostError::Number),
            ("127.1", HostError::Number),
            ("127.0.1", HostError::Number),
            ("127.0.0.1.", HostError::Number),
            ("127.0.0.256", HostError::Number),
            ("1.2.3.4.5", HostError::Number),
            ("foo.127.0.0.1.0x7", HostError::Number),
            ("4294967297", HostError::Number),
            ("::1", HostError::Character),
            ("[::1", HostError::Ipv6),
            ("[::1%lo]", HostError::Ipv6),
            ("[::1%25lo]", HostError::Ipv6),
            ("[fe80::1%1]", HostError::Ipv6),
            ("[127.0.0.1]", HostError::Ipv6),
            ("[v1.fe80::a+en1]", HostError::Ipv6),
            ("[]", HostError::Ipv6),
            ("127.0.0.1%00", HostError::Character),
            ("%31%32%37.0.0.1", HostError::Character),
            ("127%2e0%2e0%2e1", HostError::Character),
            ("１２７.0.0.1", HostError::Character),
            ("127。0。0。1", HostError::Character),
            ("①②⑦.0.0.1", HostError::Character),
            ("bücher.example", HostError::Character),
            ("exa\u{ad}mple.com", HostError::Character),
            ("user@example.com", HostError::Character),
            ("a b", HostError::Character),
            ("a\0b", HostError::Character),
            ("a\\b", HostError::Character),
            ("xn--a.example", HostError::Idna),
            ("xn--localhost-.example", HostError::Label),
        ] {
            assert_eq!(Host::parse(text), Err(error), "{text}");
        }
        assert_eq!(Host::parse(&"a".repeat(64)), Err(HostError::TooLong));
        assert_eq!(Host::parse(&"a.".repeat(128)), Err(HostError::TooLong));
    }

    #[test]
    fn targets() {
        for (text, default, shown) in [
            ("example.com:443", None, Some("example.com:443")),
            ("example.com", Some(80), Some("example.com:80")),
            ("[::1]:8080", None, Some("[::1]:8080")),
            ("[::1]", Some(80), Some("[::1]:80")),
            ("example.com", None, None),
            ("example.com:", None, None),
            ("example.com:0", None, None),
            ("example.com:080", None, None),
            ("example.com:+80", None, None),
            ("example.com:65536", None, None),
            ("example.com:80:81", None, None),
            ("example.com:８０", None, None),
            ("::1:80", None, None),
            ("a@b:80", None, None),
        ] {
            assert_eq!(
                Target::parse(text, default).ok().map(|t| t.to_string()),
                shown.map(String::from),
                "{text}"
            );
        }
    }

    proptest! {
        /// Whatever the URL standard reads as an address is either refused or the same address.
        #[test]
        fn never_a_name_where_a_url_parser_sees_an_address(
            text in "(0x|0X|0)?[0-9a-fA-F]{0,9}(\\.(0x|0)?[0-9a-fA-F]{0,4}){0,4}\\.?"
        ) {
            let theirs = url::Host::parse(&text);
            match (Host::parse(&text), theirs) {
                (Ok(Host::Name(name)), Ok(url::Host::Ipv4(address))) =>
                    prop_assert!(false, "{} is the name {} here, {} there", text, name, address),
                (Ok(Host::Address(IpAddr::V4(ours))), Ok(url::Host::Ipv4(address))) =>
                    prop_assert_eq!(ours, address),
                _ => {}
            }
        }

        /// Reading what was written gives the same host.
        #[test]
        fn display_round_trips(text in "\\PC{0,40}") {
            if let Ok(host) = Host::parse(&text) {
                prop_assert_eq!(Host::parse(&host.to_string()), Ok(host));
            }
        }
    }
}
