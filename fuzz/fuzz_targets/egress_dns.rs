//! The answer of a name server, as it is read and judged: whatever it holds, no address inside
//! passes a rule that names none.
#![no_main]

use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use libfuzzer_sys::fuzz_target;
use seawall_egress::host::Target;
use seawall_egress::rule::How;
use seawall_egress::{EgressPolicy, Identity};
use std::net::IpAddr;
use std::sync::LazyLock;

static POLICY: LazyLock<seawall_egress::policy::Compiled> = LazyLock::new(|| {
    let text = "[[rules]]\nname = \"all\"\nhosts = [\"*\"]\n";
    EgressPolicy::from_toml(text).and_then(|policy| policy.compile()).expect("a policy")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::from_vec(bytes) else { return };
    let addresses: Vec<IpAddr> = message
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
        .collect();
    let target = Target::parse("a.example.com:443", None).expect("a target");
    let identity = Identity::default();
    let rule = POLICY.judge(&identity, &target, How::Tunnel).expect("allowed");
    if POLICY.judge_addresses(&identity, rule, &target, &addresses).is_ok() {
        assert!(!addresses.is_empty());
        for address in addresses {
            assert!(!address.is_loopback() && !address.is_unspecified() && !address.is_multicast());
            assert!(!matches!(address, IpAddr::V4(v4) if v4.is_private() || v4.is_link_local()));
        }
    }
});
