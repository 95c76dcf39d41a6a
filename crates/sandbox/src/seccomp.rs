//! System call filters, compiled at build time from `content/seccomp/*.json`.
//!
//! Each profile is an allowlist that checks the architecture (a call through `int 0x80` kills the
//! process; an x32 number is on no list) and, on top of it, one filter per error for what is
//! refused by name or argument.

use crate::spec::Profile;
use seccompiler::sock_filter;

mod compiled {
    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

/// The filters of a profile, in the order in which they are installed.
pub(crate) fn filters(profile: Profile) -> Vec<Vec<sock_filter>> {
    let programs = match profile {
        Profile::Gateway => compiled::GATEWAY,
        Profile::Run => compiled::RUN,
    };
    programs.iter().map(|bytes| decode(bytes)).collect()
}

/// How many filters a profile has.
pub(crate) fn count(profile: Profile) -> usize {
    match profile {
        Profile::Gateway => compiled::GATEWAY.len(),
        Profile::Run => compiled::RUN.len(),
    }
}

fn decode(bytes: &[u8]) -> Vec<sock_filter> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|[a, b, jt, jf, k @ ..]| sock_filter {
            code: u16::from_ne_bytes([*a, *b]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes(*k),
        })
        .collect()
}

/// The sources of a profile, base first, as they were compiled in.
#[must_use]
pub fn source(profile: Profile) -> [&'static str; 2] {
    let base = include_str!("../content/seccomp/base.json");
    match profile {
        Profile::Gateway => [base, include_str!("../content/seccomp/gateway.json")],
        Profile::Run => [base, include_str!("../content/seccomp/run.json")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_filters_of_a_size_that_the_kernel_takes() {
        for profile in [Profile::Gateway, Profile::Run] {
            let filters = filters(profile);
            assert!(filters.len() >= 2);
            for filter in filters {
                assert!(!filter.is_empty() && filter.len() <= 4096, "{}", filter.len());
            }
        }
    }
}
