//! Rules over sequences of effects and labels, as data, compiled to automata.
//!
//! A rule is a list of steps with a window from the first to the last. For every rule and every
//! number of steps `k` the session keeps one number: the latest time at which a match of the first
//! `k` steps began. That is enough to answer exactly whether the whole list occurred within the
//! window, and it costs O(steps of all rules) per event, whatever the session's length.

use crate::catalogue::Verb;
use crate::facts::{Facts, Target};
use crate::paths::PathClass;
use seawall_model::label::{Confidentiality, Integrity, Label};
use seawall_model::{Decision, Reason};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The shipped rules.
pub const SHIPPED: &str = include_str!("../../../content/policy/sequences.toml");

/// Longest rule after counts are written out.
const MAX_STEPS: usize = 64;

/// What resets a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    /// A person approved a call.
    Approval,
    /// The person spoke.
    Words,
}

/// What a completed rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// A person is asked.
    Ask,
    /// The call is denied.
    Deny,
}

/// One step. Every condition that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Step {
    /// Verbs.
    pub does: Vec<Verb>,
    /// The result is held at least this closely.
    pub confidentiality: Option<Confidentiality>,
    /// The result is believed at most this far.
    pub integrity: Option<Integrity>,
    /// The result has one of these categories.
    pub category: Vec<String>,
    /// The path acted on has one of these classes.
    pub path_class: Vec<PathClass>,
    /// The target comes from one of these (names as in the policy schema).
    pub target: Vec<String>,
    /// How often it must occur.
    pub count: Option<u8>,
    /// Whether it may be left out.
    pub optional: bool,
}

/// One rule as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Stable id.
    pub id: String,
    /// Sentence.
    pub reason: String,
    /// What changes it.
    pub remedy: String,
    /// What it does.
    pub decision: Then,
    /// Window from the first step to the last.
    pub within_seconds: u64,
    /// What resets it.
    #[serde(default)]
    pub forgotten_on: Vec<Forget>,
    /// Steps.
    pub step: Vec<Step>,
    /// An event that, when it occurs in between, resets the rule.
    #[serde(default)]
    pub unless: Option<Step>,
}

/// Compiled rules.
#[derive(Debug, Clone, Default)]
pub struct Sequences {
    rules: Vec<Compiled>,
}

#[derive(Debug, Clone)]
struct Compiled {
    rule: Sequence,
    /// Steps with counts written out.
    steps: Vec<Step>,
    window_ms: u64,
}

/// Where each rule stands: per prefix length, when its latest match began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    starts: BTreeMap<String, Vec<Option<u64>>>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// What is done.
    pub verb: Verb,
    /// Where the target comes from.
    pub target: Target,
    /// Class of the path acted on.
    pub path_class: Option<PathClass>,
    /// Label of the result; `None` before there is one.
    pub label: Option<&'a Label>,
}

impl<'a> Event<'a> {
    /// The event that an item is before it happens.
    #[must_use]
    pub fn before(facts: &Facts) -> Self {
        Self { verb: facts.verb, target: facts.target, path_class: facts.path_class, label: None }
    }

    /// The event of a result.
    #[must_use]
    pub fn after(verb: Verb, label: &'a Label) -> Self {
        Self { verb, target: Target::None, path_class: None, label: Some(label) }
    }
}

impl Step {
    /// Whether the step speaks of a result.
    fn of_result(&self) -> bool {
        self.confidentiality.is_some() || self.integrity.is_some() || !self.category.is_empty()
    }

    fn matches(&self, event: &Event<'_>) -> bool {
        if !self.does.is_empty() && !self.does.contains(&event.verb) {
            return false;
        }
        match event.label {
            // A step about results is met by results, every other step by calls: each call is
            // one event of either kind.
            None if self.of_result() => false,
            Some(_) if !self.of_result() => false,
            None => {
                (self.path_class.is_empty()
                    || event.path_class.is_some_and(|c| self.path_class.contains(&c)))
                    && (self.target.is_empty()
                        || self.target.iter().any(|t| t == event.target.as_str()))
            }
            Some(label) => {
                self.confidentiality.is_none_or(|c| label.confidentiality >= c)
                    && self.integrity.is_none_or(|i| label.integrity <= i)
                    && (self.category.is_empty()
                        || self.category.iter().any(|c| label.categories.contains(c)))
            }
        }
    }
}

impl Sequences {
    /// Compiles rules.
    ///
    /// # Errors
    /// What is wrong with a rule: its id and a message.
    pub fn compile(rules: Vec<Sequence>) -> Result<Self, Vec<(String, String)>> {
        const TARGETS: &[&str] = &[
            "none",
            "current",
            "user",
            "policy",
            "record",
            "directory",
            "selected",
            "unseen",
            "outside",
        ];
        let mut out = Vec::new();
        let mut errors = Vec::new();
        let mut ids = std::collections::BTreeSet::new();
        for rule in rules {
            // Progress is kept by id: two rules of one id would undo each other's.
            if !ids.insert(rule.id.clone()) {
                errors.push((rule.id.clone(), "another sequence has this id".to_owned()));
            }
            let mut steps = Vec::new();
            for step in &rule.step {
                for target in &step.target {
                    if !TARGETS.contains(&target.as_str()) {
                        errors.push((rule.id.clone(), format!("there is no target `{target}`")));
                    }
                }
                if step.of_result() && !(step.target.is_empty() && step.path_class.is_empty()) {
                    errors.push((
                        rule.id.clone(),
                        "a step about a result cannot also speak of the call".to_owned(),
                    ));
                }
                for _ in 0..step.count.unwrap_or(1) {
                    steps.push(step.clone());
                }
            }
            if steps.is_empty() || steps.len() > MAX_STEPS {
                errors.push((rule.id.clone(), format!("needs 1 to {MAX_STEPS} steps")));
            } else if steps.last().is_some_and(|s| s.of_result() || s.optional) {
                errors.push((
                    rule.id.clone(),
                    "the last step must be a call, so that it can be stopped".to_owned(),
                ));
            }
            let window_ms = rule.within_seconds.saturating_mul(1000);
            out.push(Compiled { steps, window_ms, rule });
        }
        if errors.is_empty() { Ok(Self { rules: out }) } else { Err(errors) }
    }

    /// The rules that an event would complete.
    pub fn completed<'s>(
        &'s self,
        progress: &'s Progress,
        event: Event<'s>,
        now_ms: u64,
    ) -> impl Iterator<Item = (&'s Sequence, Reason)> + 's {
        self.rules.iter().filter_map(move |c| {
            let last = c.steps.last()?;
            if !last.matches(&event) {
                return None;
            }
            let reached = if c.opens(c.steps.len() - 1) {
                Some(now_ms)
            } else {
                let starts = progress.starts.get(&c.rule.id)?;
                c.reach(starts, c.steps.len() - 1)
            };
            let start = reached?;
            (now_ms.saturating_sub(start) <= c.window_ms).then(|| {
                let reason = Reason::new(c.rule.id.clone(), c.rule.reason.clone())
                    .remedy(c.rule.remedy.clone());
                (&c.rule, reason)
            })
        })
    }

    /// Takes an event that happened into the progress.
    pub fn advance(&self, progress: &mut Progress, event: Event<'_>, now_ms: u64) {
        for c in &self.rules {
            if c.rule.unless.as_ref().is_some_and(|u| u.matches(&event)) {
                progress.starts.remove(&c.rule.id);
                continue;
            }
            // Prefixes of 1 to len - 1 steps; the whole is judged, not kept.
            let keep = c.steps.len().saturating_sub(1);
            let mut starts = progress.starts.get(&c.rule.id).cloned().unwrap_or_default();
            starts.resize(keep + 1, None);
            let mut changed = false;
            for k in (1..=keep).rev() {
                if !c.steps.get(k - 1).is_some_and(|s| s.matches(&event)) {
                    continue;
                }
                let began = if c.opens(k - 1) { Some(now_ms) } else { c.reach(&starts, k - 1) };
                if let (Some(began), Some(slot)) = (began, starts.get_mut(k))
                    && slot.is_none_or(|old| old < began)
                {
                    *slot = Some(began);
                    changed = true;
                }
            }
            if changed {
                progress.starts.insert(c.rule.id.clone(), starts);
            }
        }
    }

    /// Resets what is reset by an approval or by words.
    pub fn forget(&self, progress: &mut Progress, on: Forget) {
        for c in self.rules.iter().filter(|c| c.rule.forgotten_on.contains(&on)) {
            progress.starts.remove(&c.rule.id);
        }
    }

    /// The rules as written.
    pub fn rules(&self) -> impl Iterator<Item = &Sequence> {
        self.rules.iter().map(|c| &c.rule)
    }
}

impl Compiled {
    /// Whether nothing but optional steps stands before step `k`, so that a match may begin there.
    fn opens(&self, k: usize) -> bool {
        self.steps.iter().take(k).all(|s| s.optional)
    }

    /// When the latest match of the first `k` steps began; optional steps at its end may be
    /// missing.
    fn reach(&self, starts: &[Option<u64>], k: usize) -> Option<u64> {
        let mut best = starts.get(k).copied().flatten();
        let mut k = k;
        while k > 0 && self.steps.get(k - 1).is_some_and(|s| s.optional) {
            k -= 1;
            best = best.max(starts.get(k).copied().flatten());
        }
        best
    }
}

impl Then {
    /// The decision that it means.
    #[must_use]
    pub fn decision(self) -> Decision {
        match self {
            Self::Ask => Decision::Ask,
            Self::Deny => Decision::Deny,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(verb: Verb, optional: bool) -> Step {
        Step { does: vec![verb], optional, ..Step::default() }
    }

    fn call(verb: Verb) -> Event<'static> {
        Event { verb, target: Target::None, path_class: None, label: None }
    }

    fn rules(steps: Vec<Step>, seconds: u64) -> Sequences {
        Sequences::compile(vec![Sequence {
            id: "r".into(),
            reason: "r".into(),
            remedy: String::new(),
            decision: Then::Deny,
            within_seconds: seconds,
            forgotten_on: vec![Forget::Words],
            step: steps,
            unless: Some(step(Verb::AskUser, false)),
        }])
        .unwrap()
    }

    #[test]
    fn the_shipped_rules_compile() {
        #[derive(Deserialize)]
        struct File {
            sequence: Vec<Sequence>,
        }
        let file: File = toml::from_str(SHIPPED).unwrap();
        assert!(file.sequence.len() >= 5);
        Sequences::compile(file.sequence).unwrap();
    }

    #[test]
    fn a_rule_whose_last_step_cannot_be_stopped_does_not_load() {
        let mut last = step(Verb::Read, false);
        last.confidentiality = Some(Confidentiality::Secret);
        let rule = Sequence {
            id: "x".into(),
            reason: String::new(),
            remedy: String::new(),
            decision: Then::Ask,
            within_seconds: 1,
            forgotten_on: vec![],
            step: vec![last],
            unless: None,
        };
        assert!(Sequences::compile(vec![rule]).is_err());
    }

    /// The definition: is there an ascending choice of events, one for each step (optional ones
    /// may be missing), within the window and without the resetting event in between?
    fn naive(steps: &[Step], window: u64, events: &[(u64, Verb)]) -> bool {
        fn go(
            steps: &[Step],
            from: usize,
            start: Option<u64>,
            window: u64,
            events: &[(u64, Verb)],
        ) -> bool {
            let Some((first, rest)) = steps.split_first() else { return true };
            if first.optional && go(rest, from, start, window, events) {
                return true;
            }
            for (i, (t, v)) in events.iter().enumerate().skip(from) {
                if *v == Verb::AskUser && start.is_some() {
                    return false;
                }
                if !first.does.contains(v) || start.is_some_and(|s| t - s > window) {
                    continue;
                }
                // The whole ends at the last event.
                if rest.is_empty() && i + 1 != events.len() {
                    continue;
                }
                if go(rest, i + 1, start.or(Some(*t)), window, events) {
                    return true;
                }
            }
            false
        }
        go(steps, 0, None, window, events)
    }

    fn verb() -> impl Strategy<Value = Verb> {
        prop_oneof![
            3 => Just(Verb::Read), 3 => Just(Verb::Run), 3 => Just(Verb::Send), 1 => Just(Verb::AskUser)
        ]
    }

    proptest! {
        #[test]
        fn the_automaton_agrees_with_the_definition(
            middle in proptest::bool::ANY,
            optional in proptest::bool::ANY,
            seconds in 1u64..6,
            gaps in proptest::collection::vec((0u64..3, verb()), 1..14),
        ) {
            let mut steps = vec![step(Verb::Read, false)];
            if middle {
                steps.push(step(Verb::Run, optional));
            }
            steps.push(step(Verb::Send, false));
            let compiled = rules(steps.clone(), seconds);
            let mut progress = Progress::default();
            let mut now = 10_000;
            let mut events: Vec<(u64, Verb)> = Vec::new();
            for (gap, verb) in gaps {
                now += gap * 1000;
                events.push((now, verb));
                let hit = compiled.completed(&progress, call(verb), now).next().is_some();
                prop_assert_eq!(hit, naive(&steps, seconds * 1000, &events), "{:?}", events);
                compiled.advance(&mut progress, call(verb), now);
            }
        }
    }
}
