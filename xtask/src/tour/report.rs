//! What a tour found, as a table for people or as lines of JSON.

use super::{Case, Kind};
use serde::Serialize;

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// An attack that was tried and changed nothing.
    Stopped,
    /// An attack that did harm.
    Landed,
    /// Ordinary work that was done.
    Worked,
    /// Ordinary work that was not done, or an attack that could not be tried.
    Broken,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Name of the case.
    pub(crate) case: &'static str,
    /// `attack` or `ordinary`.
    pub(crate) kind: &'static str,
    /// Plane that stopped it; empty for what worked.
    pub(crate) plane: String,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What shows it.
    pub(crate) evidence: String,
    #[serde(skip)]
    about: &'static str,
}

impl Row {
    /// A line for a case.
    pub(crate) fn new(case: &Case, plane: &str, outcome: Outcome, evidence: String) -> Self {
        let kind = match case.kind {
            Kind::Attack => "attack",
            Kind::Ordinary => "ordinary",
        };
        let evidence = evidence.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            case: case.name,
            kind,
            plane: plane.to_owned(),
            outcome,
            evidence,
            about: case.about,
        }
    }
}

/// The lines as JSON, one object each.
pub(crate) fn json(rows: &[Row]) -> String {
    rows.iter().map(|row| serde_json::to_string(row).unwrap_or_default() + "\n").collect()
}

/// The lines as a table.
pub(crate) fn table(rows: &[Row]) -> String {
    let mut out = String::new();
    for (kind, title) in [("attack", "Attacks"), ("ordinary", "Ordinary work")] {
        let part: Vec<&Row> = rows.iter().filter(|row| row.kind == kind).collect();
        if part.is_empty() {
            continue;
        }
        out.push_str(&format!("\n{title}\n"));
        for row in part {
            let outcome = match row.outcome {
                Outcome::Stopped => "stopped",
                Outcome::Landed => "LANDED",
                Outcome::Worked => "worked",
                Outcome::Broken => "BROKEN",
            };
            out.push_str(&format!(
                "  {:<17} {outcome:<8} {:<8} {}\n",
                row.case, row.plane, row.about
            ));
            out.push_str(&format!("  {:35} {}\n", "", clip(&row.evidence, 150)));
        }
    }
    out
}

fn clip(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let short: String = text.chars().take(limit).collect();
    format!("{short}…")
}

/// How many of each outcome, as `(outcome, count)` in a fixed order.
pub(crate) fn count(rows: &[Row]) -> [(Outcome, usize); 4] {
    [Outcome::Stopped, Outcome::Landed, Outcome::Worked, Outcome::Broken]
        .map(|outcome| (outcome, rows.iter().filter(|row| row.outcome == outcome).count()))
}
