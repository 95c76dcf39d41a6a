//! Limits of a session, an agent and a sender over a sliding hour, since OpenClaw has none.

use crate::settings::Budget;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const HOUR_MS: u64 = 3_600_000;
/// The hour is kept in slices, so that its memory does not depend on the number of calls.
const SLICE_MS: u64 = 60_000;

/// What one slice of time used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Slice {
    start_ms: u64,
    calls: u32,
    spawns: u32,
    sends: u32,
    bytes: u64,
    #[serde(default)]
    models: u32,
}

/// What a call uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Sessions it starts.
    pub spawns: u32,
    /// Acts that others see.
    pub sends: u32,
    /// Bytes in them.
    pub bytes: u64,
}

/// Counters of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    slices: VecDeque<Slice>,
}

impl Counters {
    fn used(&self, now_ms: u64) -> Slice {
        let mut sum = Slice::default();
        for s in self.slices.iter().filter(|s| s.start_ms + HOUR_MS > now_ms) {
            sum.calls = sum.calls.saturating_add(s.calls);
            sum.spawns = sum.spawns.saturating_add(s.spawns);
            sum.sends = sum.sends.saturating_add(s.sends);
            sum.bytes = sum.bytes.saturating_add(s.bytes);
            sum.models = sum.models.saturating_add(s.models);
        }
        sum
    }

    /// The limit that a call would break: its key and value.
    #[must_use]
    pub fn exceeded(&self, cost: Cost, limit: &Budget, now_ms: u64) -> Option<(&'static str, u64)> {
        let used = self.used(now_ms);
        if used.calls.saturating_add(1) > limit.calls_per_hour {
            return Some(("calls_per_hour", limit.calls_per_hour.into()));
        }
        if used.models > limit.model_calls_per_hour {
            return Some(("model_calls_per_hour", limit.model_calls_per_hour.into()));
        }
        if cost.spawns > 0 && used.spawns.saturating_add(cost.spawns) > limit.spawns_per_hour {
            return Some(("spawns_per_hour", limit.spawns_per_hour.into()));
        }
        if cost.sends > 0 && used.sends.saturating_add(cost.sends) > limit.sends_per_hour {
            return Some(("sends_per_hour", limit.sends_per_hour.into()));
        }
        if cost.sends > 0 && used.bytes.saturating_add(cost.bytes) > limit.outbound_bytes_per_hour {
            return Some(("outbound_bytes_per_hour", limit.outbound_bytes_per_hour));
        }
        None
    }

    /// Counts a call that was allowed.
    pub fn spend(&mut self, cost: Cost, now_ms: u64) {
        if let Some(slice) = self.slice(now_ms) {
            slice.calls = slice.calls.saturating_add(1);
            slice.spawns = slice.spawns.saturating_add(cost.spawns);
            slice.sends = slice.sends.saturating_add(cost.sends);
            slice.bytes = slice.bytes.saturating_add(cost.bytes);
        }
    }

    /// Counts a call of a model.
    pub fn model_called(&mut self, now_ms: u64) {
        if let Some(slice) = self.slice(now_ms) {
            slice.models = slice.models.saturating_add(1);
        }
    }

    fn slice(&mut self, now_ms: u64) -> Option<&mut Slice> {
        let start_ms = now_ms - now_ms % SLICE_MS;
        while self.slices.front().is_some_and(|s| s.start_ms + HOUR_MS <= now_ms)
            || self.slices.len() > (HOUR_MS / SLICE_MS) as usize + 1
        {
            self.slices.pop_front();
        }
        if self.slices.back().is_none_or(|s| s.start_ms != start_ms) {
            self.slices.push_back(Slice { start_ms, ..Slice::default() });
        }
        self.slices.back_mut()
    }
}

/// Counters that several sessions share, lent to the session that is decided about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shared {
    /// Of the agent.
    pub agent: Counters,
    /// Of the sender who speaks in this turn, when there is one.
    pub sender: Option<Counters>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_within_the_hour_and_not_after_it() {
        let limit = Budget { sends_per_hour: 2, ..Budget::default() };
        let cost = Cost { sends: 1, bytes: 10, spawns: 0 };
        let mut counters = Counters::default();
        counters.spend(cost, 0);
        counters.spend(cost, 1_000);
        assert_eq!(counters.exceeded(cost, &limit, 2_000), Some(("sends_per_hour", 2)));
        assert_eq!(counters.exceeded(Cost::default(), &limit, 2_000), None);
        assert_eq!(counters.exceeded(cost, &limit, HOUR_MS + 2_000), None);
    }

    #[test]
    fn models_count_beside_calls() {
        let limit = Budget { model_calls_per_hour: 2, ..Budget::default() };
        let mut counters = Counters::default();
        for _ in 0..2 {
            counters.model_called(1_000);
        }
        assert_eq!(counters.exceeded(Cost::default(), &limit, 2_000), None);
        counters.model_called(1_000);
        let over = Some(("model_calls_per_hour", 2));
        assert_eq!(counters.exceeded(Cost::default(), &limit, 2_000), over);
    }

    #[test]
    fn memory_does_not_grow_with_calls() {
        let mut counters = Counters::default();
        for i in 0..100_000u64 {
            counters.spend(Cost::default(), i * 100);
        }
        assert!(counters.slices.len() < 70);
    }
}
