//! What an audit found, as people and programs read it.

mod html;
mod junit;
mod sarif;
mod text;

use crate::checklist::{Item, checklist};
use crate::finding::{Finding, Status};
use seawall_model::finding::Level;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Counts.
    pub summary: Summary,
    /// The 14 items of the production checklist.
    pub checklist: Vec<Item>,
    /// Findings, worst first, those that could not be checked last.
    pub findings: Vec<Finding>,
    /// Findings that a suppression or the baseline takes out.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub accepted: Vec<Accepted>,
}

/// Counts of findings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    /// Exploitable now.
    pub critical: usize,
    /// Exploitable in a likely situation.
    pub high: usize,
    /// Weaknesses.
    pub medium: usize,
    /// Missing hardening.
    pub low: usize,
    /// For information.
    pub info: usize,
    /// Facts that could not be read.
    pub could_not_check: usize,
    /// Findings taken out by suppressions and the baseline.
    pub accepted: usize,
}

/// A finding that does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Accepted {
    /// The finding.
    pub finding: Finding,
    /// Why: the suppression's reason, or `baseline`.
    pub reason: String,
}

/// What takes findings out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Suppressions {
    /// In the order of the file.
    pub suppress: Vec<Suppression>,
}

/// One accepted risk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// The check's id.
    pub id: String,
    /// Only at this location; without it, everywhere.
    pub location: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it holds, `2027-01-31`.
    pub expires: String,
}

impl Suppressions {
    /// Reads the file. `Err` says what is wrong with it, and nothing of it holds then.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read: Self = toml::from_str(text).map_err(|e| e.message().to_owned())?;
        for one in &read.suppress {
            if one.reason.trim().is_empty() {
                return Err(format!("`{}` has no reason", one.id));
            }
            if crate::registry::check(&one.id).is_none() {
                return Err(format!("no check has the id `{}`", one.id));
            }
            if end(&one.expires).is_none() {
                return Err(format!("`{}`: `{}` is no date like 2027-01-31", one.id, one.expires));
            }
        }
        Ok(read)
    }
}

/// The end of a day, in seconds since 1970.
fn end(day: &str) -> Option<i64> {
    let day: jiff::civil::Date = day.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second() + 86_400)
}

/// A finding's identity across runs.
pub type Key = (String, String);

/// The identities of a report's findings: what a baseline is.
#[must_use]
pub fn keys(findings: &[Finding]) -> BTreeSet<Key> {
    findings
        .iter()
        .filter(|finding| finding.status == Status::Fail)
        .map(|finding| (finding.id.clone(), finding.location.clone()))
        .collect()
}

impl Report {
    /// Sorts findings into those that count and those that are accepted. A suppression that has
    /// expired takes nothing out, and is said to have expired.
    #[must_use]
    pub fn new(
        findings: Vec<Finding>,
        suppressions: &Suppressions,
        baseline: &BTreeSet<Key>,
        now: i64,
    ) -> Self {
        let (mut counted, mut accepted) = (Vec::new(), Vec::new());
        for mut finding in findings {
            let matching = suppressions.suppress.iter().find(|one| {
                one.id == finding.id
                    && one.location.as_ref().is_none_or(|at| *at == finding.location)
            });
            match matching {
                Some(one) if end(&one.expires).is_some_and(|end| now < end) => {
                    accepted.push(Accepted { finding, reason: one.reason.clone() });
                    continue;
                }
                Some(one) => finding
                    .evidence
                    .push_str(&format!(" (its suppression expired on {})", one.expires)),
                None => {}
            }
            let known = finding.status == Status::Fail
                && baseline.contains(&(finding.id.clone(), finding.location.clone()));
            if known {
                accepted.push(Accepted { finding, reason: "baseline".into() });
            } else {
                counted.push(finding);
            }
        }
        // The checklist asks what is, not what somebody accepted.
        let all: Vec<Finding> =
            counted.iter().chain(accepted.iter().map(|one| &one.finding)).cloned().collect();
        let checklist = checklist(&all);
        let mut summary = Summary { accepted: accepted.len(), ..Summary::default() };
        for finding in &counted {
            let slot = match (finding.status, finding.severity) {
                (Status::CouldNotCheck, _) => &mut summary.could_not_check,
                (_, Level::Critical) => &mut summary.critical,
                (_, Level::High) => &mut summary.high,
                (_, Level::Medium) => &mut summary.medium,
                (_, Level::Low) => &mut summary.low,
                (_, Level::Info) => &mut summary.info,
            };
            *slot += 1;
        }
        Self { summary, checklist, findings: counted, accepted }
    }

    /// Whether a finding that counts is at least this bad.
    #[must_use]
    pub fn fails(&self, level: Level) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.status == Status::Fail && finding.severity >= level)
    }

    /// For a terminal; `verbose` adds what is only for information.
    #[must_use]
    pub fn text(&self, verbose: bool) -> String {
        text::render(self, verbose)
    }

    /// SARIF 2.1.0.
    #[must_use]
    pub fn sarif(&self, version: &str) -> serde_json::Value {
        sarif::render(self, version)
    }

    /// JUnit's XML.
    #[must_use]
    pub fn junit(&self) -> String {
        junit::render(self)
    }

    /// One page without scripts or anything from elsewhere.
    #[must_use]
    pub fn html(&self, title: &str) -> String {
        html::render(self, title)
    }
}

/// A level's name.
pub(crate) fn word(level: Level) -> &'static str {
    match level {
        Level::Critical => "critical",
        Level::High => "high",
        Level::Medium => "medium",
        Level::Low => "low",
        Level::Info => "info",
    }
}

/// `<`, `&` and quotes of text that goes into markup; control characters, which XML forbids, go.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Text for a terminal: what a file's or a device's name could hide in it is made visible.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{Config, Fact, Facts, Listener};
    use serde_json::json;

    /// A deployment with a few faults, and names that try to break out of the output.
    fn report(suppressions: &Suppressions) -> Report {
        let config = Config {
            value: json!({ "gateway": { "bind": "lan", "auth": { "mode": "token", "token": "${T}" } }, "hooks": { "enabled": true, "path": "/" }, "mcp": { "servers": { "<b>\u{1b}[31m": { "command": "npx", "args": ["evil"] } } } }),
            ..Config::default()
        };
        let mut facts =
            Facts { now: 1_795_000_000, config: Fact::Known(config), ..Facts::default() };
        facts.host.listeners = Fact::Known(vec![Listener {
            address: "0.0.0.0".parse().unwrap(),
            port: 18789,
            uid: 0,
            process: Some("node[7]".into()),
        }]);
        let ids = [
            "auth.rate-limit",
            "gateway.bind",
            "hooks.path",
            "host.gateway-port",
            "mcp.unpinned",
            "host.clock",
            "summary",
        ];
        let findings = crate::audit(&facts)
            .into_iter()
            .filter(|finding| ids.contains(&finding.id.as_str()))
            .collect();
        Report::new(findings, suppressions, &BTreeSet::new(), facts.now)
    }

    #[test]
    fn people_read_this() {
        insta::assert_snapshot!(report(&Suppressions::default()).text(true));
    }

    #[test]
    fn code_scanners_read_this() {
        insta::assert_json_snapshot!(report(&Suppressions::default()).sarif("0.0.0"));
    }

    #[test]
    fn test_runners_read_this() {
        insta::assert_snapshot!(report(&Suppressions::default()).junit());
    }

    #[test]
    fn a_page_has_no_markup_from_findings() {
        let html = report(&Suppressions::default()).html("a & b");
        assert!(html.contains("a &amp; b") && html.contains("&lt;b&gt;"));
        assert!(!html.contains("<b>") && !html.contains("<script") && !html.contains('\u{1b}'));
        assert!(!report(&Suppressions::default()).text(true).contains('\u{1b}'));
    }

    #[test]
    fn suppressions_need_a_reason_and_end() {
        let one = |reason: &str, expires: &str, id: &str| {
            Suppressions::parse(&format!(
                "[[suppress]]\nid = \"{id}\"\nreason = \"{reason}\"\nexpires = \"{expires}\"\n"
            ))
        };
        assert!(one("", "2030-01-01", "gateway.bind").is_err());
        assert!(one("r", "soon", "gateway.bind").is_err());
        assert!(one("r", "2030-01-01", "no.such").is_err());
        assert!(Suppressions::parse("[[suppress]]\nid = \"gateway.bind\"\nwhy = 1\n").is_err());
        let holds = report(&one("behind a VPN", "2030-01-01", "gateway.bind").unwrap());
        assert!(
            holds.summary.accepted == 1 && !holds.findings.iter().any(|f| f.id == "gateway.bind")
        );
        // What is accepted is still no "yes".
        assert_eq!(holds.checklist[0].answer, crate::checklist::Answer::No);
        let over = report(&one("behind a VPN", "2020-01-01", "gateway.bind").unwrap());
        assert!(
            over.findings.iter().any(|f| f.id == "gateway.bind" && f.evidence.contains("expired"))
        );
    }

    #[test]
    fn a_baseline_hides_what_was_there() {
        let first = report(&Suppressions::default());
        let again = Report::new(
            first.findings.clone(),
            &Suppressions::default(),
            &keys(&first.findings),
            0,
        );
        assert!(!again.fails(Level::Low) && first.fails(Level::High));
        assert_eq!(again.summary.could_not_check, first.summary.could_not_check);
    }
}
