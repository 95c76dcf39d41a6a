//! Patterns over time that no single request shows: a beacon that calls home at even intervals, and
//! a drip that carries something out in many small pieces.
//!
//! Both are shapes that honest programs have too (a poll, a search), so they are told and never a
//! reason to refuse. Time is an input.

use crate::host::Host;
use crate::identity::Identity;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Intervals that have to be even.
const INTERVALS: usize = 16;

/// Shorter intervals are a program at work.
const MIN_INTERVAL_MS: u64 = 5_000;

/// Standard deviation over mean up to which intervals are even. A jitter of 30 % has 0.17; the
/// traffic of people and models has about 1.
const MAX_SPREAD: f64 = 0.2;

/// Small requests in a row, over at least that time, of which nearly all differ in what they carry.
const PIECES: usize = 64;
const DRIP_TIME: Duration = Duration::from_secs(300);
const MAX_PIECE: u64 = 2048;

/// A tunnel that has been open for that long and sent more than it got, slowly.
const TUNNEL_TIME: Duration = Duration::from_secs(600);
const MIN_TUNNEL_OUT: u64 = 4096;

/// How long a pattern is not told again for the same client and destination.
const AGAIN: Duration = Duration::from_secs(6 * 3600);

/// Pairs of a client and a destination that are followed. The one that was silent longest goes.
const MAX_PAIRS: usize = 2048;

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Requests at even intervals.
    Beacon {
        /// Their mean.
        interval_ms: u64,
    },
    /// Many small requests to one path that differ in what they carry.
    Drip {
        /// How many.
        requests: usize,
        /// In how many seconds.
        seconds: u64,
    },
}

/// What one request shows.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Hash of the path without its query; 0 for a tunnel.
    pub path: u64,
    /// Hash of what it carries.
    pub payload: u64,
    /// Length of what it carries, as far as it is known when it begins.
    pub bytes: u64,
}

#[derive(Debug)]
struct Track {
    last: Instant,
    intervals: Vec<u64>,
    at: usize,
    path: u64,
    pieces: Vec<u64>,
    first_piece: Instant,
    told_beacon: Option<Instant>,
    told_drip: Option<Instant>,
}

/// All pairs.
#[derive(Debug, Default)]
pub struct Rhythm {
    tracks: Mutex<HashMap<u64, Track>>,
    hasher: RandomState,
}

impl Rhythm {
    /// A hash for [`Shape`].
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes)
    }

    /// Takes one request or tunnel in. Says when a pattern is complete.
    pub fn note(
        &self,
        identity: &Identity,
        host: &Host,
        shape: Shape,
        now: Instant,
    ) -> Option<Pattern> {
        let holder = identity.agent.as_ref().or(identity.session.as_ref());
        let key = self.hasher.hash_one((identity.zone, holder, host));
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(track) = tracks.get_mut(&key) {
            return track.note(shape, now);
        }
        if tracks.len() >= MAX_PAIRS {
            // Not for each new pair: a sixteenth goes at once.
            let mut ages: Vec<Instant> = tracks.values().map(|track| track.last).collect();
            ages.sort_unstable();
            let until = ages.get(MAX_PAIRS / 16).copied().unwrap_or(now);
            tracks.retain(|_, track| track.last > until);
        }
        tracks.insert(key, Track::new(shape, now));
        None
    }
}

fn fresh(told: Option<Instant>, now: Instant) -> bool {
    told.is_none_or(|told| now.saturating_duration_since(told) >= AGAIN)
}

impl Track {
    fn new(shape: Shape, now: Instant) -> Self {
        Self {
            last: now,
            intervals: Vec::new(),
            at: 0,
            path: shape.path,
            pieces: vec![shape.payload],
            first_piece: now,
            told_beacon: None,
            told_drip: None,
        }
    }

    fn note(&mut self, shape: Shape, now: Instant) -> Option<Pattern> {
        let since = now.saturating_duration_since(self.last);
        self.last = now;
        let beacon = self.beacon(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let drip = self.drip(shape, now);
        if let (Some(interval_ms), true) = (beacon, fresh(self.told_beacon, now)) {
            self.told_beacon = Some(now);
            return Some(Pattern::Beacon { interval_ms });
        }
        if let (Some(seconds), true) = (drip, fresh(self.told_drip, now)) {
            self.told_drip = Some(now);
            return Some(Pattern::Drip { requests: PIECES, seconds });
        }
        None
    }

    fn beacon(&mut self, interval: u64) -> Option<u64> {
        // Requests of one burst are one call.
        if interval < MIN_INTERVAL_MS / 5 {
            return None;
        }
        match self.intervals.get_mut(self.at) {
            Some(slot) => *slot = interval,
            None => self.intervals.push(interval),
        }
        self.at = (self.at + 1) % INTERVALS;
        if self.intervals.len() < INTERVALS {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of hours fit")]
        let (sum, squares) = self
            .intervals
            .iter()
            .map(|ms| *ms as f64)
            .fold((0.0, 0.0), |(sum, squares), ms| (sum + ms, squares + ms * ms));
        #[expect(clippy::cast_precision_loss, reason = "16")]
        let count = INTERVALS as f64;
        let mean = sum / count;
        let spread = (squares / count - mean * mean).max(0.0).sqrt() / mean;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a mean of positive milliseconds"
        )]
        let mean = mean as u64;
        (mean >= MIN_INTERVAL_MS && spread <= MAX_SPREAD).then_some(mean)
    }

    fn drip(&mut self, shape: Shape, now: Instant) -> Option<u64> {
        if shape.path != self.path || shape.bytes > MAX_PIECE || shape.path == 0 {
            self.path = shape.path;
            self.pieces.clear();
        }
        if self.pieces.is_empty() {
            self.first_piece = now;
        }
        self.pieces.push(shape.payload);
        if self.pieces.len() < PIECES {
            return None;
        }
        let took = now.saturating_duration_since(self.first_piece);
        let mut different = std::mem::take(&mut self.pieces);
        different.sort_unstable();
        different.dedup();
        (took >= DRIP_TIME && different.len() * 10 >= PIECES * 9).then_some(took.as_secs())
    }
}

/// Whether a tunnel that has ended was a slow way out: open for long, with more out than back.
#[must_use]
pub fn is_drip(open: Duration, out: u64, back: u64) -> bool {
    open >= TUNNEL_TIME && out >= MIN_TUNNEL_OUT && out > back
        // Faster is an upload, which the budget counts.
        && out / open.as_secs().max(1) < 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host::parse("a.test").unwrap()
    }

    fn shape(path: u64, payload: u64) -> Shape {
        Shape { path, payload, bytes: 100 }
    }

    /// What is told of requests at these times, in milliseconds.
    fn told(times: impl Iterator<Item = u64>, of: impl Fn(u64) -> Shape) -> Vec<Pattern> {
        let (rhythm, began) = (Rhythm::default(), Instant::now());
        let note = |(n, ms): (usize, u64)| {
            let now = began + Duration::from_millis(ms);
            rhythm.note(&Identity::default(), &host(), of(n as u64), now)
        };
        times.enumerate().filter_map(note).collect()
    }

    #[test]
    fn a_beacon_is_told_once_and_also_with_jitter() {
        assert_eq!(
            told((0..60).map(|n| n * 60_000), |_| shape(0, 0)),
            [Pattern::Beacon { interval_ms: 60_000 }]
        );
        let jitter = |n: u64| n * 60_000 + (n * 7919 % 100) * 90;
        assert_eq!(told((0..60).map(jitter), |_| shape(0, 0)).len(), 1);
        // Bursts at even intervals.
        let burst = |n: u64| (n / 3) * 30_000 + (n % 3) * 20;
        assert_eq!(told((0..120).map(burst), |_| shape(0, 0)).len(), 1);
        // Work: short intervals, and uneven ones.
        assert_eq!(told((0..500).map(|n| n * 1_500), |_| shape(0, 0)), []);
        let uneven = |n: u64| n * 10_000 + (n * n * 7919 % 97) * 1_000;
        let mut times: Vec<u64> = (0..100).map(uneven).collect();
        times.sort_unstable();
        assert_eq!(told(times.into_iter(), |_| shape(0, 0)), []);
    }

    #[test]
    fn a_drip_is_told_and_a_search_and_a_poll_are_not() {
        let slow = |n: u64| n * 4_900 + n * n * 7919 % 4_800;
        let sorted = |count: u64| {
            let mut times: Vec<u64> = (0..count).map(slow).collect();
            times.sort_unstable();
            times.into_iter()
        };
        let patterns = told(sorted(200), |n| shape(7, n));
        assert!(patterns.iter().any(|p| matches!(p, Pattern::Drip { requests: 64, .. })));
        // The same each time; another page each time; all at once.
        let drips = |patterns: Vec<Pattern>| {
            patterns.into_iter().filter(|p| matches!(p, Pattern::Drip { .. })).count()
        };
        assert_eq!(drips(told(sorted(200), |_| shape(7, 1))), 0);
        assert_eq!(drips(told(sorted(200), |n| shape(n + 1, n))), 0);
        assert_eq!(drips(told((0..200).map(|n| n * 100), |n| shape(7, n))), 0);
    }

    #[test]
    fn pairs_are_bounded_and_the_silent_ones_go() {
        let (rhythm, now) = (Rhythm::default(), Instant::now());
        for n in 0..3 * MAX_PAIRS as u64 {
            let host = Host::parse(&format!("h{n}.test")).unwrap();
            rhythm.note(&Identity::default(), &host, shape(0, 0), now + Duration::from_millis(n));
        }
        assert!(rhythm.tracks.lock().unwrap().len() <= MAX_PAIRS);
    }

    #[test]
    fn tunnels() {
        let hour = Duration::from_secs(3600);
        assert!(is_drip(hour, 100_000, 2_000));
        assert!(!is_drip(hour, 100_000, 200_000) && !is_drip(hour, 1_000, 0));
        assert!(!is_drip(hour, 1 << 30, 0) && !is_drip(Duration::from_secs(60), 50_000, 0));
    }
}
