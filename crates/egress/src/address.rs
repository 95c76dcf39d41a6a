//! Which addresses may be dialled.
//!
//! The judgement is a function of the address alone. Only what is assigned as ordinary global
//! unicast passes; every other range has a class, so that a refusal can say which. Forms that
//! carry an IPv4 address inside an IPv6 one are refused as such: what they reach depends on
//! gateways that this host does not see.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why an address is not ordinary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressClass {
    /// A cloud's metadata or host-agent service, or IPv4 link-local, where most of them live.
    Metadata,
    /// This host.
    Loopback,
    /// RFC 1918.
    Private,
    /// Carrier-grade NAT, 100.64.0.0/10.
    SharedNat,
    /// IPv6 unique local, fc00::/7.
    UniqueLocal,
    /// IPv6 link-local, fe80::/10.
    LinkLocal,
    /// The withdrawn fec0::/10.
    SiteLocal,
    /// 0.0.0.0/8 and `::`: on many hosts another name of this host.
    Unspecified,
    /// One to many.
    Multicast,
    /// 255.255.255.255.
    Broadcast,
    /// Set aside for documents.
    Documentation,
    /// Set aside for benchmarks.
    Benchmark,
    /// IETF protocol assignments and what is reserved for the future.
    Reserved,
    /// IPv4 behind a translator: 64:ff9b::/96, 64:ff9b:1::/48, ::ffff:0:0:0/96.
    Nat64,
    /// IPv4 in 2002::/16, and the relay anycast of 6to4.
    SixToFour,
    /// IPv4 in 2001::/32.
    Teredo,
    /// IPv4 in an ISATAP interface identifier.
    Isatap,
    /// ::ffff:a.b.c.d.
    Ipv4Mapped,
    /// ::a.b.c.d.
    Ipv4Compatible,
}

impl AddressClass {
    /// A noun phrase for a refusal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "a cloud metadata or link-local service",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address (RFC 1918)",
            Self::SharedNat => "a carrier-grade NAT address",
            Self::UniqueLocal => "an IPv6 unique local address",
            Self::LinkLocal => "an IPv6 link-local address",
            Self::SiteLocal => "an IPv6 site-local address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Documentation => "an address reserved for documentation",
            Self::Benchmark => "an address reserved for benchmarks",
            Self::Reserved => "a reserved address",
            Self::Nat64 => "an IPv4 address behind NAT64",
            Self::SixToFour => "an IPv4 address in 6to4 form",
            Self::Teredo => "an IPv4 address in Teredo form",
            Self::Isatap => "an IPv4 address in ISATAP form",
            Self::Ipv4Mapped => "an IPv4-mapped IPv6 address",
            Self::Ipv4Compatible => "an IPv4-compatible IPv6 address",
        }
    }

    /// Whether a rule may opt in to addresses of this class by naming them. Everything else is
    /// refused whatever the policy says: metadata services hand out credentials, and the
    /// remaining classes are never an ordinary destination.
    #[must_use]
    pub fn can_be_named(self) -> bool {
        matches!(
            self,
            Self::Loopback
                | Self::Private
                | Self::SharedNat
                | Self::UniqueLocal
                | Self::Documentation
                | Self::Benchmark
        )
    }
}

/// The class of an address that is not ordinary global unicast; `None` for one that is.
#[must_use]
pub fn classify(address: IpAddr) -> Option<AddressClass> {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

/// Metadata and host-agent services outside 169.254.0.0/16.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba Cloud
    Ipv4Addr::new(168, 63, 129, 16),   // Azure host agent ("WireServer"), DNS and DHCP
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle Cloud
];

fn classify_v4(address: Ipv4Addr) -> Option<AddressClass> {
    use AddressClass as C;
    if METADATA_V4.contains(&address) {
        return Some(C::Metadata);
    }
    Some(match address.octets() {
        // All of it: providers put metadata, container credentials, DNS and time on different
        // addresses here, and nothing that an agent needs is link-local.
        [169, 254, _, _] => C::Metadata,
        [0, ..] => C::Unspecified,
        [127, ..] => C::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => C::Private,
        [100, 64..=127, ..] => C::SharedNat,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => C::Documentation,
        [192, 88, 99, _] => C::SixToFour,
        // Protocol assignments, AS112 and AMT.
        [192, 0, 0, _] | [192, 31, 196, _] | [192, 52, 193, _] | [192, 175, 48, _] => C::Reserved,
        [198, 18..=19, ..] => C::Benchmark,
        [224..=239, ..] => C::Multicast,
        [255, 255, 255, 255] => C::Broadcast,
        [240..=255, ..] => C::Reserved,
        _ => return None,
    })
}

fn classify_v6(address: Ipv6Addr) -> Option<AddressClass> {
    use AddressClass as C;
    let segments = address.segments();
    if let Some((embedded, class)) = embedded_v4(segments) {
        // The worst of the two: a form that can be named never hides a metadata service.
        return Some(match classify_v4(embedded) {
            Some(C::Metadata) => C::Metadata,
            _ => class,
        });
    }
    Some(match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => C::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => C::Loopback,
        // AWS (fd00:ec2::254, ::253, ::23), Scaleway, Google, OpenStack's fe80::a9fe:a9fe.
        [0xfd00, 0x0ec2, ..]
        | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042]
        | [0xfd20, 0x00ce, ..]
        | [0xfe80, _, _, _, _, _, 0xa9fe, 0xa9fe] => C::Metadata,
        [0xfc00..=0xfdff, ..] => C::UniqueLocal,
        [0xfe80..=0xfebf, ..] => C::LinkLocal,
        [0xfec0..=0xfeff, ..] => C::SiteLocal,
        [0xff00..=0xffff, ..] => C::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => C::Documentation,
        [0x2001, 0x0002, 0, ..] => C::Benchmark,
        // The rest of the IETF block 2001::/23, and AS112.
        [0x2001, 0..=0x01ff, ..] | [0x2620, 0x004f, 0x8000, ..] => C::Reserved,
        [0x2000..=0x3fff, ..] => return None,
        _ => C::Reserved,
    })
}

/// The IPv4 address inside an IPv6 one, and by which form.
fn embedded_v4(segments: [u16; 8]) -> Option<(Ipv4Addr, AddressClass)> {
    use AddressClass as C;
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let [a, b, c, d, e, f, g, h] = segments;
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0, ..] => Some((v4(g, h), C::Ipv4Compatible)),
        [0, 0, 0, 0, 0, 0xffff, ..] => Some((v4(g, h), C::Ipv4Mapped)),
        // SIIT's ::ffff:0:a.b.c.d, the well-known NAT64 prefix and the local-use one.
        [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => {
            Some((v4(g, h), C::Nat64))
        }
        [0x2002, ..] => Some((v4(b, c), C::SixToFour)),
        // Teredo: the server in the second 32 bits, the client inverted in the last. The server
        // is reached as well, so the worse of the two counts.
        [0x2001, 0, ..] => {
            let (server, client) = (v4(c, d), v4(!g, !h));
            let server_is_metadata = classify_v4(server) == Some(C::Metadata);
            Some((if server_is_metadata { server } else { client }, C::Teredo))
        }
        _ if (e & 0xfdff) == 0 && f == 0x5efe && a != 0 => Some((v4(g, h), C::Isatap)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::AddressClass as C;
    use super::*;
    use proptest::prelude::*;

    /// First and last address of each range, and the neighbours outside it.
    #[test]
    fn every_range_and_its_edges() {
        let table: &[(&str, Option<C>)] = &[
            ("0.0.0.0", Some(C::Unspecified)),
            ("0.255.255.255", Some(C::Unspecified)),
            ("1.0.0.0", None),
            ("9.255.255.255", None),
            ("10.0.0.0", Some(C::Private)),
            ("10.255.255.255", Some(C::Private)),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some(C::SharedNat)),
            ("100.100.100.200", Some(C::Metadata)),
            ("100.127.255.255", Some(C::SharedNat)),
            ("100.128.0.0", None),
            ("126.255.255.255", None),
            ("127.0.0.0", Some(C::Loopback)),
            ("127.255.255.255", Some(C::Loopback)),
            ("128.0.0.0", None),
            ("168.63.129.15", None),
            ("168.63.129.16", Some(C::Metadata)),
            ("169.253.255.255", None),
            ("169.254.0.0", Some(C::Metadata)),
            ("169.254.169.254", Some(C::Metadata)),
            ("169.254.170.2", Some(C::Metadata)),
            ("169.254.255.255", Some(C::Metadata)),
            ("169.255.0.0", None),
            ("172.15.255.255", None),
            ("172.16.0.0", Some(C::Private)),
            ("172.31.255.255", Some(C::Private)),
            ("172.32.0.0", None),
            ("192.0.0.0", Some(C::Reserved)),
            ("192.0.0.192", Some(C::Metadata)),
            ("192.0.1.0", None),
            ("192.0.2.0", Some(C::Documentation)),
            ("192.0.3.0", None),
            ("192.31.196.1", Some(C::Reserved)),
            ("192.52.193.1", Some(C::Reserved)),
            ("192.88.99.1", Some(C::SixToFour)),
            ("192.168.0.0", Some(C::Private)),
            ("192.168.255.255", Some(C::Private)),
            ("192.169.0.0", None),
            ("192.175.48.1", Some(C::Reserved)),
            ("198.17.255.255", None),
            ("198.18.0.0", Some(C::Benchmark)),
            ("198.19.255.255", Some(C::Benchmark)),
            ("198.20.0.0", None),
            ("198.51.100.7", Some(C::Documentation)),
            ("203.0.113.7", Some(C::Documentation)),
            ("223.255.255.255", None),
            ("224.0.0.0", Some(C::Multicast)),
            ("239.255.255.255", Some(C::Multicast)),
            ("240.0.0.0", Some(C::Reserved)),
            ("255.255.255.254", Some(C::Reserved)),
            ("255.255.255.255", Some(C::Broadcast)),
            ("::", Some(C::Unspecified)),
            ("::1", Some(C::Loopback)),
            ("::2", Some(C::Ipv4Compatible)),
            ("::127.0.0.1", Some(C::Ipv4Compatible)),
            ("::169.254.169.254", Some(C::Metadata)),
            ("::ffff:127.0.0.1", Some(C::Ipv4Mapped)),
            ("::ffff:8.8.8.8", Some(C::Ipv4Mapped)),
            ("::ffff:169.254.169.254", Some(C::Metadata)),
            ("::ffff:0:127.0.0.1", Some(C::Nat64)),
            ("::1:0:0:0", Some(C::Reserved)),
            ("64:ff9b::8.8.8.8", Some(C::Nat64)),
            ("64:ff9b::169.254.169.254", Some(C::Metadata)),
            ("64:ff9b:1::8.8.8.8", Some(C::Nat64)),
            ("64:ff9b:1:ffff::10.0.0.1", Some(C::Nat64)),
            ("100::1", Some(C::Reserved)),
            ("1fff::1", Some(C::Reserved)),
            ("2001::1", Some(C::Teredo)),
            ("2001:0:a9fe:a9fe::1", Some(C::Metadata)),
            ("2001:0:4136:e378:8000:63bf:5601:5601", Some(C::Metadata)),
            ("2001:2::1", Some(C::Benchmark)),
            ("2001:10::1", Some(C::Reserved)),
            ("2001:20::1", Some(C::Reserved)),
            ("2001:1ff::1", Some(C::Reserved)),
            ("2001:200::1", None),
            ("2001:db8::1", Some(C::Documentation)),
            ("2001:db9::1", None),
            ("2002:7f00:1::1", Some(C::SixToFour)),
            ("2002:a9fe:a9fe::1", Some(C::Metadata)),
            ("2002:808:808::1", Some(C::SixToFour)),
            ("2003::1", None),
            ("2606:4700::1111", None),
            ("2606:4700::5efe:10.0.0.1", Some(C::Isatap)),
            ("2606:4700::200:5efe:a9fe:a9fe", Some(C::Metadata)),
            ("2620:4f:8000::1", Some(C::Reserved)),
            ("3fff:fff::1", Some(C::Documentation)),
            ("3fff:1000::1", None),
            ("4000::1", Some(C::Reserved)),
            ("5f00::1", Some(C::Reserved)),
            ("fc00::1", Some(C::UniqueLocal)),
            ("fd00:ec2::254", Some(C::Metadata)),
            ("fd00:ec2::23", Some(C::Metadata)),
            ("fd00:42::42", Some(C::Metadata)),
            ("fd20:ce::254", Some(C::Metadata)),
            ("fdff::1", Some(C::UniqueLocal)),
            ("fe80::1", Some(C::LinkLocal)),
            ("fe80::a9fe:a9fe", Some(C::Metadata)),
            ("febf::1", Some(C::LinkLocal)),
            ("fec0::1", Some(C::SiteLocal)),
            ("ff02::1", Some(C::Multicast)),
        ];
        for (text, class) in table {
            assert_eq!(classify(text.parse().unwrap()), *class, "{text}");
        }
    }

    #[test]
    fn only_what_can_be_an_ordinary_destination_can_be_named() {
        for class in [C::Metadata, C::LinkLocal, C::Ipv4Mapped, C::Nat64, C::Teredo, C::Multicast] {
            assert!(!class.can_be_named(), "{class:?}");
        }
    }

    proptest! {
        /// No wrapping of an IPv4 address into IPv6 gives a form that passes, and a metadata
        /// service stays one in each.
        #[test]
        fn no_embedding_passes(bits: u32, prefix in 0usize..6) {
            let v4 = Ipv4Addr::from(bits);
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let v6 = match prefix {
                0 => Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                1 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                2 => Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                3 => Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0, 0, !high, !low),
                4 => Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0x5efe, high, low),
                _ => Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
            };
            let class = classify(IpAddr::V6(v6));
            prop_assert!(class.is_some());
            prop_assert!(!class.unwrap().can_be_named());
            if classify_v4(v4) == Some(C::Metadata) {
                prop_assert_eq!(class, Some(C::Metadata));
            }
        }

        /// What the standard library calls special is never ordinary here.
        #[test]
        fn agrees_with_the_standard_library(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            if v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified()
            {
                prop_assert!(classify(IpAddr::V4(v4)).is_some());
            }
        }

        /// Outside 2000::/3 nothing passes.
        #[test]
        fn only_global_unicast_passes(bits: u128) {
            let v6 = Ipv6Addr::from(bits);
            if (bits >> 125) != 1 {
                prop_assert!(classify(IpAddr::V6(v6)).is_some());
            }
        }
    }
}
