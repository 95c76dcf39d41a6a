//! Whether the hook plane is there: a state machine over the plugin's reports.
//!
//! The gateway runs without its plugin when that fails to load or is switched off, and says
//! nothing. So silence counts as absence: egress and door stay closed until the first report and
//! close again when reports stop, and the gateway is stopped.

/// Reports that may be missed before egress and door close. One can be late behind a long garbage
/// collection; on a machine with more work than it can do, a healthy gateway is silent for longer,
/// and works on when it reports again.
const CLOSE_AFTER: u64 = 3;

/// Reports that may be missed before the gateway is stopped.
const STOP_AFTER: u64 = 15;

/// What has to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing changes.
    Stay,
    /// The plugin is there: open.
    Open,
    /// The plugin is silent: close until it reports again.
    Close(String),
    /// Close, and stop the gateway.
    Stop(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Absent,
    Starting { until_ms: u64 },
    Alive { last_ms: u64 },
    Silent { last_ms: u64 },
}

/// The state for one gateway.
#[derive(Debug)]
pub(crate) struct Liveness {
    phase: Phase,
    interval_ms: u64,
}

impl Liveness {
    /// No gateway yet.
    pub(crate) fn new(interval_ms: u64) -> Self {
        Self { phase: Phase::Absent, interval_ms }
    }

    /// A gateway was started; its plugin must report within `timeout_ms`.
    pub(crate) fn started(&mut self, now_ms: u64, timeout_ms: u64) {
        self.phase = Phase::Starting { until_ms: now_ms.saturating_add(timeout_ms) };
    }

    /// The gateway is gone.
    pub(crate) fn gone(&mut self) {
        self.phase = Phase::Absent;
    }

    /// The plugin reported.
    pub(crate) fn report(&mut self, now_ms: u64) -> Step {
        match self.phase {
            Phase::Absent => Step::Stay,
            Phase::Starting { .. } | Phase::Silent { .. } => {
                self.phase = Phase::Alive { last_ms: now_ms };
                Step::Open
            }
            Phase::Alive { last_ms } => {
                self.phase = Phase::Alive { last_ms: last_ms.max(now_ms) };
                Step::Stay
            }
        }
    }

    /// Time went by.
    pub(crate) fn tick(&mut self, now_ms: u64) -> Step {
        let silent = |last_ms: u64| now_ms.saturating_sub(last_ms);
        match self.phase {
            Phase::Starting { until_ms } if now_ms >= until_ms => {
                self.phase = Phase::Absent;
                Step::Stop(
                    "the plugin did not report in time after the gateway's start; see the gateway's log".to_owned(),
                )
            }
            Phase::Alive { last_ms } if silent(last_ms) > CLOSE_AFTER * self.interval_ms => {
                self.phase = Phase::Silent { last_ms };
                Step::Close(format!("the plugin has not reported for {} ms", silent(last_ms)))
            }
            Phase::Silent { last_ms } if silent(last_ms) > STOP_AFTER * self.interval_ms => {
                self.phase = Phase::Absent;
                Step::Stop(format!(
                    "the plugin has not reported for {} ms: it was disabled, or the gateway hangs",
                    silent(last_ms)
                ))
            }
            Phase::Absent | Phase::Starting { .. } | Phase::Alive { .. } | Phase::Silent { .. } => {
                Step::Stay
            }
        }
    }

    /// Whether the plugin is there.
    pub(crate) fn alive(&self) -> bool {
        matches!(self.phase, Phase::Alive { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plugin_that_never_reports_stops_the_gateway() {
        let mut live = Liveness::new(100);
        live.started(0, 1000);
        assert_eq!(live.tick(999), Step::Stay);
        assert!(matches!(live.tick(1000), Step::Stop(_)));
        assert_eq!(live.tick(5000), Step::Stay);
    }

    #[test]
    fn a_plugin_that_falls_silent_closes_and_then_stops_the_gateway() {
        let mut live = Liveness::new(100);
        live.started(0, 1000);
        assert_eq!(live.report(500), Step::Open);
        assert_eq!(live.report(600), Step::Stay);
        assert_eq!(live.tick(900), Step::Stay);
        assert!(matches!(live.tick(901), Step::Close(_)));
        assert!(!live.alive());
        assert_eq!(live.tick(2100), Step::Stay);
        assert!(matches!(live.tick(2101), Step::Stop(_)));
        assert_eq!(live.report(2200), Step::Stay);
    }

    #[test]
    fn a_plugin_that_reports_again_opens_again() {
        let mut live = Liveness::new(100);
        live.started(0, 1000);
        live.report(500);
        assert!(matches!(live.tick(1000), Step::Close(_)));
        assert_eq!(live.report(1100), Step::Open);
        assert!(live.alive());
    }

    proptest! {
        /// Open only after a start and a report; never open for longer than the reports allow.
        #[test]
        fn never_alive_on_old_news(steps in proptest::collection::vec((0u8..4, 1u64..400), 1..80)) {
            let mut live = Liveness::new(100);
            let (mut now, mut started, mut last) = (0u64, false, None::<u64>);
            for (what, dt) in steps {
                now += dt;
                match what {
                    0 => { live.started(now, 1000); started = true; last = None; }
                    1 => { live.gone(); started = false; last = None; }
                    2 => { live.report(now); if started { last = Some(now); } }
                    _ => match live.tick(now) {
                        Step::Stop(_) => { started = false; last = None; }
                        Step::Close(_) => last = None,
                        _ => {}
                    },
                }
                prop_assert_eq!(live.alive(), started && last.is_some());
                if what == 3 && live.alive() {
                    prop_assert!(now - last.unwrap() <= 300);
                }
            }
        }
    }
}
