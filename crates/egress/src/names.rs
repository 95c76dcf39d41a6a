//! Data in host names: under a rule for a whole domain a client chooses the rest of the name, and
//! whoever answers for the domain reads it from the look-up alone.
//!
//! What is counted is what a client chose itself; a name that a rule gives in full says nothing.
//! Time is an input.

use crate::identity::Identity;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(3600);

/// Different names under one domain in a window. A page of a large site loads from some dozens.
const MAX_NAMES: usize = 256;

/// Bytes in labels that look encoded, of different names under one domain in a window: a dozen
/// names with a UUID or a hash in them.
const MAX_ENCODED: usize = 512;

/// Bytes that a client chooses of one name. The longest names of clouds have about 80 in front of
/// the provider's domain.
const MAX_CHOSEN: usize = 120;

/// Shortest label that can look encoded.
const MIN_ENCODED: usize = 16;

/// Pairs of a client and a domain that are kept; those beyond share one account, so that neither
/// memory nor what gets out grows with the names that somebody makes up.
const MAX_PAIRS: usize = 4096;

/// Why a name is not looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carries {
    /// One name holds too much.
    Long,
    /// Too many different names.
    Many,
    /// Too much that looks encoded.
    Encoded,
}

impl Carries {
    /// Told in the refusal.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Long => "its free part is longer than names are",
            Self::Many => "the client asked for too many different names there",
            Self::Encoded => "the client asked for too many names there that look like data",
        }
    }
}

#[derive(Debug, Default)]
struct Under {
    began: Option<Instant>,
    names: HashSet<u64>,
    encoded: usize,
}

/// What clients asked for.
#[derive(Debug, Default)]
pub struct Names {
    seen: Mutex<HashMap<u64, Under>>,
    hasher: RandomState,
}

impl Names {
    /// Counts a name under a domain; an empty domain stands for a rule for every name.
    ///
    /// # Errors
    /// When it is, or has become, a way to carry data.
    pub fn judge(
        &self,
        identity: &Identity,
        name: &str,
        domain: &str,
        now: Instant,
    ) -> Result<(), Carries> {
        let domain = if domain.is_empty() { registered(name) } else { domain };
        let chosen = name.strip_suffix(domain).unwrap_or(name).trim_end_matches('.');
        if chosen.len() > MAX_CHOSEN {
            return Err(Carries::Long);
        }
        let holder = identity.agent.as_ref().or(identity.session.as_ref());
        let mut key = self.hasher.hash_one((identity.zone, holder, domain));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(&key) && seen.len() >= MAX_PAIRS {
            seen.retain(|_, under| !over(under, now));
            if seen.len() >= MAX_PAIRS {
                key = self.hasher.hash_one(identity.zone);
            }
        }
        let under = seen.entry(key).or_default();
        if over(under, now) {
            *under = Under { began: Some(now), ..Under::default() };
        }
        let hash = self.hasher.hash_one(name);
        if under.names.contains(&hash) {
            return Ok(());
        }
        if under.names.len() >= MAX_NAMES {
            return Err(Carries::Many);
        }
        let encoded: usize =
            chosen.split('.').filter(|label| is_encoded(label)).map(str::len).sum();
        if under.encoded + encoded > MAX_ENCODED {
            return Err(Carries::Encoded);
        }
        under.encoded += encoded;
        under.names.insert(hash);
        Ok(())
    }
}

fn over(under: &Under, now: Instant) -> bool {
    under.began.is_none_or(|began| now.saturating_duration_since(began) >= WINDOW)
}

/// About what can be registered: the last two labels, or three under a short one like `co.uk`.
/// Without the public list of suffixes, which changes; a guess that is too wide counts more names
/// together.
fn registered(name: &str) -> &str {
    let mut ends = name.rmatch_indices('.').map(|(at, _)| at);
    let (Some(last), second, third) = (ends.next(), ends.next(), ends.next()) else { return name };
    let Some(second) = second else { return name };
    let short = last - second - 1 <= 3 && name.len() - last - 1 == 2;
    let at = match (short, third) {
        (true, Some(third)) => third,
        (true, None) => return name,
        (false, _) => second,
    };
    name.get(at + 1..).unwrap_or(name)
}

/// Whether a label looks like encoded bytes and not like words: letters and digits in turns, or
/// letters that nobody can speak.
fn is_encoded(label: &str) -> bool {
    if label.len() < MIN_ENCODED {
        return false;
    }
    let count = |class: fn(&u8) -> bool| label.bytes().filter(class).count();
    let digits = count(u8::is_ascii_digit);
    let letters = count(u8::is_ascii_alphabetic);
    let vowels = count(|b| matches!(b, b'a' | b'e' | b'i' | b'o' | b'u' | b'y'));
    // Random hex has 10 digits in 16 characters and random base32 6 in 32; words have few vowels
    // less than a third.
    digits * 6 >= label.len() || vowels * 5 < letters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Zone;
    use proptest::prelude::*;

    fn run(agent: &str) -> Identity {
        Identity { zone: Zone::Run, agent: Some(agent.into()), ..Identity::default() }
    }

    #[test]
    fn what_is_registered() {
        for (name, expected) in [
            ("a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.example.co.uk", "example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(registered(name), expected);
        }
    }

    #[test]
    fn encoded_labels_and_words() {
        for label in [
            "0123456789abcdef0123",
            "mfrggzdfmztwq2lknnwg23tp",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "qwrtpsdfghjklzxcvbnm",
        ] {
            assert!(is_encoded(label), "{label}");
        }
        for label in
            ["documentation-preview", "objects-production-europe-west", "raw", "customer-service"]
        {
            assert!(!is_encoded(label), "{label}");
        }
    }

    #[test]
    fn a_file_in_names_does_not_get_far_and_ordinary_use_does() {
        let names = Names::default();
        let now = Instant::now();
        let main = run("main");
        let piece = |n: u64| {
            let digits = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            format!("{digits:016x}{:016x}.evil.test", digits.rotate_left(17))
        };
        let out = (0..1000).filter(|n| names.judge(&main, &piece(*n), "evil.test", now).is_ok());
        assert_eq!(out.count(), MAX_ENCODED / 32);
        // Also one label deeper, and the same name again is the same.
        let deep = "x.".repeat(61) + "evil.test";
        assert_eq!(names.judge(&main, &deep, "evil.test", now), Err(Carries::Long));
        assert_eq!(names.judge(&main, &piece(0), "evil.test", now), Ok(()));
        // Others, and another hour.
        assert_eq!(names.judge(&run("b"), &piece(999), "evil.test", now), Ok(()));
        assert_eq!(names.judge(&main, &piece(999), "evil.test", now + WINDOW), Ok(()));
        // Words are counted too.
        let word = |n: u64| {
            format!(
                "page-{}.site.test",
                "ab".repeat(1 + n as usize % 20) + &"o".repeat(n as usize / 20)
            )
        };
        let out = (0..1000u64).filter(|n| names.judge(&main, &word(*n), "", now).is_ok()).count();
        assert!((MAX_NAMES / 2..=2 * MAX_NAMES).contains(&out), "{out}");
    }

    proptest! {
        #[test]
        fn no_order_of_names_gets_more_out(labels in proptest::collection::vec("[a-z0-9]{1,60}", 0..400)) {
            let names = Names::default();
            let now = Instant::now();
            let mut out: HashSet<&str> = HashSet::new();
            let mut encoded = 0;
            for label in &labels {
                let name = format!("{label}.evil.test");
                if names.judge(&run("a"), &name, "evil.test", now).is_ok() && out.insert(label) && is_encoded(label) {
                    encoded += label.len();
                }
            }
            prop_assert!(out.len() <= MAX_NAMES && encoded <= MAX_ENCODED);
        }
    }
}
