//! Slows down whoever guesses tokens.
//!
//! Guessing 256 bits is hopeless at any speed; what this bounds is the work and the log that guesses
//! cost, and it makes an attempt visible. A right token is never asked to wait: somebody else behind the
//! same address may be the owner.

use std::collections::HashMap;
use std::net::IpAddr;

/// Wrong tokens from one source before it has to wait.
const FREE: u32 = 5;

/// First wait; it doubles with every further wrong token.
const FIRST_WAIT_MS: u64 = 1_000;

/// Longest wait. Loopback is shared by everything on the machine, so it waits less.
const LONGEST_WAIT_MS: u64 = 60_000;
const LONGEST_WAIT_LOOPBACK_MS: u64 = 5_000;

/// After so long without a wrong token a source is forgotten.
const FORGET_MS: u64 = 15 * 60_000;

/// Sources that are remembered one by one; an attacker with more addresses shares one entry with
/// all further sources, so that memory stays bounded and flooding does not help.
const MAX_SOURCES: usize = 4_096;

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    wrong: u32,
    last_ms: u64,
    until_ms: u64,
}

/// Wrong tokens by source.
#[derive(Debug, Default)]
pub struct Limiter {
    sources: HashMap<IpAddr, Entry>,
    rest: Entry,
}

/// What a wrong token led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrong {
    /// Wrong tokens from this source so far.
    pub count: u32,
    /// How long it has to wait.
    pub wait_ms: u64,
}

impl Limiter {
    /// How long a source's wrong tokens are not looked into; 0 when the next one is.
    #[must_use]
    pub fn wait_ms(&self, source: IpAddr, now_ms: u64) -> u64 {
        let entry = match self.sources.get(&key(source)) {
            Some(entry) => *entry,
            None if self.sources.len() >= MAX_SOURCES => self.rest,
            None => return 0,
        };
        entry.until_ms.saturating_sub(now_ms)
    }

    /// Notes a wrong token.
    pub fn wrong(&mut self, source: IpAddr, now_ms: u64) -> Wrong {
        let key = key(source);
        if !self.sources.contains_key(&key) && self.sources.len() >= MAX_SOURCES {
            self.sources.retain(|_, e| now_ms.saturating_sub(e.last_ms) < FORGET_MS);
        }
        let entry = if self.sources.contains_key(&key) || self.sources.len() < MAX_SOURCES {
            self.sources.entry(key).or_default()
        } else {
            &mut self.rest
        };
        if now_ms.saturating_sub(entry.last_ms) >= FORGET_MS {
            *entry = Entry::default();
        }
        entry.wrong = entry.wrong.saturating_add(1);
        entry.last_ms = now_ms;
        let longest = if source.is_loopback() { LONGEST_WAIT_LOOPBACK_MS } else { LONGEST_WAIT_MS };
        let wait_ms = match entry.wrong.checked_sub(FREE) {
            None => 0,
            Some(over) => (FIRST_WAIT_MS << over.min(16)).min(longest),
        };
        entry.until_ms = now_ms.saturating_add(wait_ms);
        Wrong { count: entry.wrong, wait_ms }
    }
}

/// One IPv6 customer has a whole /64.
fn key(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        },
        IpAddr::V4(_) => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn waits_grow_and_end() {
        let mut limiter = Limiter::default();
        let source = ip("192.0.2.7");
        let waits: Vec<u64> = (0..14).map(|_| limiter.wrong(source, 1_000).wait_ms).collect();
        assert_eq!(
            waits,
            [
                0, 0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000,
                60_000
            ]
        );
        assert_eq!(limiter.wait_ms(source, 1_000), 60_000);
        assert_eq!(limiter.wait_ms(source, 61_000), 0);
        assert_eq!(limiter.wait_ms(ip("192.0.2.8"), 1_000), 0);
        let later = 1_000 + FORGET_MS;
        assert_eq!(limiter.wrong(source, later), Wrong { count: 1, wait_ms: 0 });
    }

    #[test]
    fn the_owner_on_the_same_machine_waits_seconds() {
        let mut limiter = Limiter::default();
        let longest = (0..100).map(|_| limiter.wrong(ip("127.0.0.1"), 0).wait_ms).max();
        assert_eq!(longest, Some(5_000));
    }

    #[test]
    fn a_flood_of_sources_is_bounded_and_still_slowed() {
        let mut limiter = Limiter::default();
        for n in 0..20_000u32 {
            limiter.wrong(IpAddr::V4((0x0a00_0000 + n).into()), 1);
        }
        assert!(limiter.sources.len() <= MAX_SOURCES);
        assert!(limiter.wait_ms(ip("198.51.100.1"), 2) > 0);
        for n in 0..100u128 {
            limiter.wrong(IpAddr::V6(((0x2001_0db8 << 96) + n).into()), 1 + FORGET_MS);
        }
        assert!(limiter.wait_ms(ip("2001:db8::ffff"), 2 + FORGET_MS) > 0);
    }
}
