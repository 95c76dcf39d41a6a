//! Classes of network destinations, from the name or address alone.
//!
//! No look-up happens here: what a name resolves to is judged by the egress plane when it dials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a destination is, as far as its spelling tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostClass {
    /// Not known statically.
    Unknown,
    /// A cloud metadata service.
    Metadata,
    /// Loopback, link-local, private, reserved, or a name that is only resolved inside.
    Private,
    /// On the list of the policy.
    Listed,
    /// Anything else.
    Public,
}

impl HostClass {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Metadata => "metadata",
            Self::Private => "private",
            Self::Listed => "listed",
            Self::Public => "public",
        }
    }
}

/// Names under which cloud providers serve instance metadata.
const METADATA_NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.azure.com",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Last labels that never name a public host.
const PRIVATE_SUFFIXES: &[&str] =
    &["localhost", "local", "internal", "intranet", "lan", "home", "corp", "arpa", "localdomain"];

/// Classifies a host as it stands in a URL or on a command line. `listed` are the policy's
/// patterns; see [`matches_pattern`].
#[must_use]
pub fn classify(host: &str, listed: &[String]) -> HostClass {
    if host.is_empty() {
        return HostClass::Unknown;
    }
    // DNS names end at 253 bytes; what is longer was made to carry data.
    if host.len() > 255 {
        return HostClass::Unknown;
    }
    let Some(host) = normalise(host) else { return HostClass::Unknown };
    if let Some(ip) = parse_ip(&host) {
        return classify_ip(ip, &host, listed);
    }
    if METADATA_NAMES.contains(&host.as_str()) {
        return HostClass::Metadata;
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    if PRIVATE_SUFFIXES.contains(&last) || !host.contains('.') {
        return HostClass::Private;
    }
    if listed.iter().any(|pattern| matches_pattern(&host, pattern)) {
        return HostClass::Listed;
    }
    HostClass::Public
}

fn classify_ip(ip: IpAddr, host: &str, listed: &[String]) -> HostClass {
    match embedded_v4(ip) {
        IpAddr::V4(v4) if is_metadata_v4(v4) => HostClass::Metadata,
        IpAddr::V6(v6) if v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] => {
            HostClass::Metadata
        }
        IpAddr::V4(v4) if !is_global_v4(v4) => HostClass::Private,
        IpAddr::V6(v6) if !is_global_v6(v6) => HostClass::Private,
        _ if listed.iter().any(|pattern| pattern == host) => HostClass::Listed,
        _ => HostClass::Public,
    }
}

/// Lower case, without brackets, user part, trailing dot and port.
fn normalise(host: &str) -> Option<String> {
    let host = host.trim().trim_end_matches('.');
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['@', '/', ' ', '\\', '%']) {
        return None;
    }
    if host.contains(':') {
        return Some(host.to_ascii_lowercase());
    }
    idna::domain_to_ascii(host).ok().map(|h| h.trim_end_matches('.').to_owned())
}

/// Parses every spelling of an address that resolvers accept: dotted, decimal, hex, octal, short.
fn parse_ip(host: &str) -> Option<IpAddr> {
    if host.contains(':') {
        return host.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let parts: Vec<&str> = host.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let mut numbers = Vec::with_capacity(4);
    for part in &parts {
        numbers.push(parse_number(part)?);
    }
    let (last, head) = numbers.split_last()?;
    let mut value: u64 = 0;
    for n in head {
        if *n > 255 {
            return None;
        }
        value = value << 8 | n;
    }
    let rest_bits = 8 * (4 - head.len() as u32);
    if *last >= 1u64 << rest_bits {
        return None;
    }
    let value = u32::try_from(value << rest_bits | last).ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(value)))
}

fn parse_number(part: &str) -> Option<u64> {
    if part.is_empty() || part.len() > 16 {
        return None;
    }
    let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if part.len() > 1 && part.starts_with('0') => (part.get(1..)?, 8),
        None => (part, 10),
    };
    if digits.is_empty() {
        return Some(0);
    }
    u64::from_str_radix(digits, radix).ok()
}

/// The IPv4 address that an IPv6 spelling stands for (mapped, compatible, NAT64, 6to4, Teredo).
fn embedded_v4(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let s = v6.segments();
    let v4 = |hi: u16, lo: u16| IpAddr::V4(Ipv4Addr::from(u32::from(hi) << 16 | u32::from(lo)));
    match s {
        [0, 0, 0, 0, 0, 0xffff, hi, lo] => v4(hi, lo),
        [0, 0, 0, 0, 0, 0, hi, lo] if hi != 0 || lo > 1 => v4(hi, lo),
        [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => v4(hi, lo),
        [0x2002, hi, lo, ..] => v4(hi, lo),
        [0x2001, 0, _, _, _, _, hi, lo] => v4(!hi, !lo),
        _ => ip,
    }
}

fn is_metadata_v4(ip: Ipv4Addr) -> bool {
    matches!(
        ip.octets(),
        [169, 254, 169, 254]
            | [169, 254, 170, 2]
            | [100, 100, 100, 200]
            | [192, 0, 0, 192]
            | [168, 63, 129, 16]
    )
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !(ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_broadcast()
        || ip.is_documentation()
        || ip.is_multicast()
        || ip.is_unspecified()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b)))
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    // Global unicast is 2000::/3; inside it are only these that never lead outside.
    let [first, second, ..] = ip.segments();
    (first & 0xe000) == 0x2000
        && !(first == 0x2001 && second < 0x200)
        && !(first == 0x2001 && second == 0xdb8)
        && !(first == 0x3fff && second < 0x1000)
}

/// Whether a host matches a pattern of the policy: a name, or `*.name` for everything below it.
#[must_use]
pub fn matches_pattern(host: &str, pattern: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(parent) => {
            host.len() > parent.len() + 1
                && host.ends_with(parent)
                && host.as_bytes().get(host.len() - parent.len() - 1) == Some(&b'.')
        }
        None => host == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_the_metadata_address_is_metadata() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0xa9.0xfe.0xa9.0xfe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:a9fe:a9fe::]",
            "[fd00:ec2::254]",
            "metadata.google.internal.",
            "METADATA.GOOGLE.INTERNAL",
            "100.100.100.200",
            "168.63.129.16",
        ] {
            assert_eq!(classify(host, &[]), HostClass::Metadata, "{host}");
        }
    }

    #[test]
    fn what_is_not_routed_is_private() {
        for host in [
            "localhost",
            "a.localhost",
            "127.1",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "[::]",
            "[::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[fc00::1]",
            "198.18.0.1",
            "240.0.0.1",
            "192.0.2.1",
            "100.64.0.1",
            "printer.local",
            "router",
            "db.internal",
            "[::127.0.0.1]",
            "[2001:db8::1]",
            "224.0.0.1",
        ] {
            assert_eq!(classify(host, &[]), HostClass::Private, "{host}");
        }
    }

    #[test]
    fn a_pattern_covers_what_is_below_it_and_nothing_beside_it() {
        let listed = vec!["docs.rs".to_owned(), "*.example.com".to_owned()];
        assert_eq!(classify("DOCS.rs.", &listed), HostClass::Listed);
        assert_eq!(classify("a.example.com", &listed), HostClass::Listed);
        assert_eq!(classify("example.com", &listed), HostClass::Public);
        assert_eq!(classify("evilexample.com", &listed), HostClass::Public);
        assert_eq!(classify("docs.rs.evil.net", &listed), HostClass::Public);
        assert_eq!(classify("8.8.8.8", &listed), HostClass::Public);
        assert_eq!(classify("", &listed), HostClass::Unknown);
        assert_eq!(classify("user@docs.rs", &listed), HostClass::Unknown);
    }
}
