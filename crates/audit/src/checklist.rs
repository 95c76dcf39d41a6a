//! The production checklist: 14 items, each answered from the checks that belong to it.

use crate::finding::{Finding, Status};
use crate::registry::check;
use seawall_model::finding::Level;
use serde::{Deserialize, Serialize};

/// The items, in the guide's order.
pub const ITEMS: [&str; 14] = [
    "Gateway bound to loopback, and nobody gets in without a credential",
    "Firewall enabled, unnecessary ports closed",
    "SSH hardened (keys only, few may log in)",
    "Tool allowlist configured, high-risk tools denied",
    "Secrets in a vault or the environment, not in files that the agent reads",
    "Sandbox enabled for sessions other than the main one",
    "Gateway confined: read-only, minimal mounts, no root",
    "Channel allowlists configured",
    "A model that resists injection for production work",
    "Logging enabled, sent to a SIEM",
    "Monitoring and alerting configured",
    "Skills audited, automatic updates off",
    "Egress filtering in place",
    "Incident response playbook documented",
];

/// How an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Every check of the item passed, or found only what is low.
    Yes,
    /// A check found something medium or worse.
    No,
    /// Nothing bad was found, and something could not be looked at.
    Unknown,
}

/// An item with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// 1 to 14.
    pub number: u8,
    /// What it asks.
    pub title: String,
    /// The answer.
    pub answer: Answer,
    /// The ids of the checks that decided, worst first.
    pub because: Vec<String>,
}

/// Answers every item from findings.
#[must_use]
pub fn checklist(findings: &[Finding]) -> Vec<Item> {
    (1..)
        .zip(ITEMS)
        .map(|(number, title)| {
            let of_item = |finding: &&Finding| {
                check(&finding.id).is_some_and(|check| check.item == Some(number))
            };
            let mut wrong: Vec<&Finding> = findings
                .iter()
                .filter(of_item)
                .filter(|finding| {
                    finding.status == Status::Fail && finding.severity >= Level::Medium
                })
                .collect();
            wrong.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
            let blind = findings
                .iter()
                .filter(of_item)
                .filter(|finding| finding.status == Status::CouldNotCheck);
            let (answer, because): (_, Vec<&Finding>) = if wrong.is_empty() {
                let blind: Vec<&Finding> = blind.collect();
                (if blind.is_empty() { Answer::Yes } else { Answer::Unknown }, blind)
            } else {
                (Answer::No, wrong)
            };
            let mut ids: Vec<String> =
                because.into_iter().map(|finding| finding.id.clone()).collect();
            let mut seen = std::collections::BTreeSet::new();
            ids.retain(|id| seen.insert(id.clone()));
            Item { number, title: title.to_owned(), answer, because: ids }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;
    use crate::registry::{audit, checks};

    #[test]
    fn every_item_has_a_check() {
        for number in 1..=14 {
            assert!(checks().iter().any(|check| check.item == Some(number)), "item {number}");
        }
    }

    #[test]
    fn nothing_known_is_no_yes() {
        let items = checklist(&audit(&Facts::default()));
        assert!(items.iter().all(|item| item.answer == Answer::Unknown), "{items:?}");
    }

    #[test]
    fn one_bad_finding_is_a_no_and_low_ones_are_not() {
        let mut findings = audit(&Facts::default());
        findings.retain(|finding| finding.id == "gateway.bind");
        findings[0].status = Status::Fail;
        assert_eq!(checklist(&findings)[0].answer, Answer::No);
        findings[0].severity = Level::Low;
        assert_eq!(checklist(&findings)[0].answer, Answer::Yes);
    }
}
