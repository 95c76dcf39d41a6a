//! The checks and how they run.

use crate::facts::{Fact, Facts, Unknown};
use crate::finding::{Finding, Fix, Status};
use seawall_model::finding::{Confidence, Level};
use serde::{Deserialize, Serialize};

/// The smallest deployment for which a check matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Audience {
    /// One person, one machine.
    Personal,
    /// Several people reach the agent.
    Team,
    /// A service that others rely on.
    Production,
}

/// A check: what it is about, and the function that looks.
#[derive(Debug)]
pub struct Check {
    /// Stable id.
    pub id: &'static str,
    /// The finding's usual title.
    pub title: &'static str,
    /// How bad it usually is; a finding may say otherwise.
    pub severity: Level,
    /// How sure it usually is.
    pub confidence: Confidence,
    /// For whom.
    pub audience: Audience,
    /// The item of the production checklist that it belongs to, 1 to 14.
    pub item: Option<u8>,
    /// MITRE ATLAS techniques.
    pub atlas: &'static [&'static str],
    /// MITRE ATT&CK techniques.
    pub attack: &'static [&'static str],
    /// CIS references.
    pub cis: &'static [&'static str],
    /// What an attacker does with it.
    pub why: &'static str,
    /// Ids of `openclaw security audit` that it covers; a `*` at the end covers what begins so.
    pub openclaw: &'static [&'static str],
    /// The function.
    pub run: fn(&Facts, &mut Out<'_>),
}

/// Where a check puts what it finds.
#[derive(Debug)]
pub struct Out<'a> {
    check: &'static Check,
    findings: &'a mut Vec<Finding>,
}

impl Out<'_> {
    /// Something is wrong: at `location`, `evidence` was seen.
    pub fn hit(&mut self, location: impl Into<String>, evidence: impl Into<String>) -> Hit<'_> {
        Hit(self.findings.push_mut(Finding {
            id: self.check.id.to_owned(),
            status: Status::Fail,
            severity: self.check.severity,
            confidence: self.check.confidence,
            title: self.check.title.to_owned(),
            evidence: evidence.into(),
            location: location.into(),
            fix: None,
        }))
    }

    /// The value of a fact, or a finding that it could not be checked.
    pub fn need<'f, T>(&mut self, fact: &'f Fact<T>) -> Option<&'f T> {
        match fact {
            Fact::Known(value) => Some(value),
            Fact::Unknown(unknown) => {
                self.blind(unknown);
                None
            }
        }
    }

    /// Something could not be read.
    pub fn blind(&mut self, unknown: &Unknown) {
        self.findings.push(Finding {
            id: self.check.id.to_owned(),
            status: Status::CouldNotCheck,
            severity: self.check.severity,
            confidence: Confidence::High,
            title: format!("could not check: {}", self.check.title),
            evidence: unknown.reason.clone(),
            location: String::new(),
            fix: Some(Fix::safe("let it be read").run(unknown.command.clone())),
        });
    }
}

/// A finding that was just made, to say more about it.
#[derive(Debug)]
pub struct Hit<'a>(&'a mut Finding);

impl Hit<'_> {
    /// Worse or less bad than the check usually is.
    pub fn severity(self, severity: Level) -> Self {
        self.0.severity = severity;
        self
    }

    /// A title for this case.
    pub fn title(self, title: impl Into<String>) -> Self {
        self.0.title = title.into();
        self
    }

    /// More or less sure than the check usually is.
    pub fn confidence(self, confidence: Confidence) -> Self {
        self.0.confidence = confidence;
        self
    }

    /// What to do about it.
    pub fn fix(self, fix: Fix) -> Self {
        self.0.fix = Some(fix);
        self
    }
}

/// Every check, in the order of their ids.
#[must_use]
pub fn checks() -> &'static [&'static Check] {
    crate::checks::ALL
}

/// The check with an id.
#[must_use]
pub fn check(id: &str) -> Option<&'static Check> {
    checks().iter().copied().find(|check| check.id == id)
}

/// Runs every check. Worst first; among equals in the order of ids and locations.
#[must_use]
pub fn audit(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in checks() {
        (check.run)(facts, &mut Out { check, findings: &mut findings });
    }
    findings.sort_by(|a, b| {
        (a.status, b.severity, &a.id, &a.location).cmp(&(b.status, a.severity, &b.id, &b.location))
    });
    findings
}

/// What one check says: for the tests beside the checks.
#[cfg(test)]
pub(crate) fn run(check: &'static Check, facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    (check.run)(facts, &mut Out { check, findings: &mut findings });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_sorted_and_unique_and_texts_are_there() {
        for pair in checks().windows(2) {
            assert!(pair[0].id < pair[1].id, "{} before {}", pair[0].id, pair[1].id);
        }
        for check in checks() {
            assert!(!check.title.is_empty() && check.why.ends_with('.'), "{}", check.id);
            assert!(check.item.is_none_or(|item| (1..=14).contains(&item)), "{}", check.id);
        }
    }

    #[test]
    fn nothing_known_is_nothing_passed() {
        let findings = audit(&Facts::default());
        assert!(findings.iter().all(|finding| finding.status == Status::CouldNotCheck));
        assert!(!findings.is_empty());
    }
}
