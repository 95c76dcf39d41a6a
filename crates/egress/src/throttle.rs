//! How many refusals are written down: a client that is refused a thousand times a second must not
//! fill the disk of the log, nor hide one refusal among others. Each client has an allowance for each
//! cause; what is beyond it is counted and told in one event. Time is an input.

use crate::identity::Identity;
use crate::refusal::Cause;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Refusals that are told at once, and how long one more takes after that.
const BURST: u32 = 200;
const ONE_MORE: Duration = Duration::from_millis(500);

/// Clients and causes that are told apart. Those that come later share one allowance.
const MAX_SLOTS: usize = 4096;

#[derive(Debug)]
struct Slot {
    left: u32,
    since: Instant,
    folded: u64,
}

type Key = (Option<Identity>, Cause);

/// See the module.
#[derive(Debug, Default)]
pub struct Throttle {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Throttle {
    /// Whether this refusal is written down; if not, it is counted.
    pub fn admit(&self, identity: Option<&Identity>, cause: Cause, now: Instant) -> bool {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (identity.cloned(), cause);
        if slots.len() >= MAX_SLOTS && !slots.contains_key(&key) {
            slots.retain(|_, slot| slot.folded > 0 || slot.left < BURST);
            if slots.len() >= MAX_SLOTS {
                key.0 = None;
            }
        }
        let slot = slots.entry(key).or_insert(Slot { left: BURST, since: now, folded: 0 });
        let passed = now.saturating_duration_since(slot.since);
        let more = u32::try_from(passed.as_millis() / ONE_MORE.as_millis()).unwrap_or(BURST);
        if more > 0 {
            slot.left = slot.left.saturating_add(more).min(BURST);
            slot.since = now;
        }
        if slot.left == 0 {
            slot.folded += 1;
            return false;
        }
        slot.left -= 1;
        true
    }

    /// What was counted and not told yet.
    pub fn folded(&self) -> Vec<(Option<Identity>, Cause, u64)> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let told = |((identity, cause), slot): (&Key, &mut Slot)| {
            let folded = std::mem::take(&mut slot.folded);
            (folded > 0).then(|| (identity.clone(), *cause, folded))
        };
        slots.iter_mut().filter_map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_other_causes_and_clients_are_told() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let a = Identity { agent: Some("a".into()), ..Identity::default() };
        let b = Identity { agent: Some("b".into()), ..Identity::default() };
        let told = (0..10_000).filter(|_| throttle.admit(Some(&a), Cause::NoRule, now)).count();
        assert_eq!(told, BURST as usize);
        assert!(throttle.admit(Some(&a), Cause::Content, now));
        assert!(throttle.admit(Some(&b), Cause::NoRule, now));
        assert!(throttle.admit(Some(&a), Cause::NoRule, now + ONE_MORE));
        assert!(!throttle.admit(Some(&a), Cause::NoRule, now + ONE_MORE));
        assert_eq!(throttle.folded(), [(Some(a), Cause::NoRule, 9_801)]);
        assert_eq!(throttle.folded(), []);
    }

    #[test]
    fn made_up_clients_share_one_allowance() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let told = (0..20_000).filter(|n: &u32| {
            let client = Identity { session: Some(n.to_string()), ..Identity::default() };
            throttle.admit(Some(&client), Cause::NoRule, now)
        });
        assert!(told.count() <= MAX_SLOTS + BURST as usize);
        assert!(throttle.slots.lock().unwrap().len() <= MAX_SLOTS + 1);
    }
}
