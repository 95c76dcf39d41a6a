//! For a terminal.

use super::{Report, plain, word};
use crate::checklist::Answer;
use crate::finding::{Disposition, Finding, Status, Step};
use seawall_model::finding::Level;
use std::collections::BTreeMap;
use std::fmt::Write;

pub(super) fn render(report: &Report, verbose: bool) -> String {
    let mut out = String::from("Production checklist\n\n");
    for item in &report.checklist {
        let mark = match item.answer {
            Answer::Yes => "yes",
            Answer::No => "NO",
            Answer::Unknown => "?",
        };
        let _ = writeln!(out, "  {:<4}{:>2}. {}", mark, item.number, item.title);
        if !item.because.is_empty() {
            let more = item.because.len().saturating_sub(4);
            let some = item.because.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(out, "          {some}{more}");
        }
    }
    let mut hidden = 0;
    for level in [Level::Critical, Level::High, Level::Medium, Level::Low, Level::Info] {
        let of_level: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|f| f.status == Status::Fail && f.severity == level)
            .collect();
        if of_level.is_empty() {
            continue;
        }
        if level == Level::Info && !verbose {
            hidden = of_level.len();
            continue;
        }
        let _ = writeln!(out, "\n{} ({})\n", word(level).to_uppercase(), of_level.len());
        for finding in of_level {
            one(&mut out, finding);
        }
    }
    blind(&mut out, report);
    let s = &report.summary;
    let _ = writeln!(
        out,
        "\n{} critical, {} high, {} medium, {} low, {} for information; {} could not be checked; {} accepted",
        s.critical, s.high, s.medium, s.low, s.info, s.could_not_check, s.accepted
    );
    if hidden > 0 {
        let _ = writeln!(
            out,
            "`--verbose` shows what is for information; `seawall audit explain ID` says why a check matters"
        );
    }
    out
}

fn one(out: &mut String, finding: &Finding) {
    let _ = writeln!(out, "  {}: {}", plain(&finding.id), plain(&finding.title));
    let _ = writeln!(out, "    at    {}", plain(&finding.location));
    let _ = writeln!(out, "    seen  {}", plain(&finding.evidence));
    let Some(fix) = &finding.fix else { return };
    let kind = if fix.disposition == Disposition::Safe { "fix" } else { "fix!" };
    let _ = writeln!(out, "    {kind:<6}{}", plain(&fix.summary));
    for step in &fix.steps {
        let _ = match step {
            Step::Config { path, value: Some(value) } => writeln!(
                out,
                "          set {} = {}",
                plain(&path.join(".")),
                plain(&value.to_string())
            ),
            Step::Config { path, value: None } => {
                writeln!(out, "          remove {}", plain(&path.join(".")))
            }
            Step::Mode { path, mode } => {
                writeln!(out, "          chmod {mode:o} {}", plain(&path.display().to_string()))
            }
            Step::Command { command } => writeln!(out, "          $ {}", plain(command)),
        };
    }
    if let Some(breaks) = &fix.breaks {
        let _ = writeln!(out, "          may break: {}", plain(breaks));
    }
}

/// What could not be checked, by reason: one missing right hides many checks.
fn blind(out: &mut String, report: &Report) {
    let mut reasons: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|f| f.status == Status::CouldNotCheck) {
        let command =
            finding.fix.as_ref().and_then(|fix| fix.steps.first()).map_or("", |step| match step {
                Step::Command { command } => command.as_str(),
                _ => "",
            });
        let ids = reasons.entry((&finding.evidence, command)).or_default();
        if !ids.contains(&finding.id.as_str()) {
            ids.push(&finding.id);
        }
    }
    if reasons.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nCOULD NOT CHECK\n");
    for ((reason, command), ids) in reasons {
        let _ = writeln!(out, "  {}", plain(reason));
        let _ = writeln!(out, "    hides {}", ids.join(", "));
        let _ = writeln!(out, "    try   $ {}", plain(command));
    }
}
