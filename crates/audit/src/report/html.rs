//! One page, without scripts, fonts or pictures from elsewhere, that prints well.

use super::{Report, escape, word};
use crate::checklist::Answer;
use crate::finding::{Disposition, Finding, Status, Step};
use crate::registry::check;
use std::fmt::Write;

const STYLE: &str = "
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; overflow-wrap: anywhere; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
code, pre { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
pre { background: var(--soft); padding: .5rem .7rem; margin: .4rem 0; border-radius: 4px; }
.badge { display: inline-block; min-width: 4.5rem; text-align: center; border-radius: 4px; padding: 0 .4rem; font-weight: 600; font-size: .85rem; color: #fff; background: #57606a; }
.critical { background: #a40e26; } .high { background: #bc4c00; } .medium { background: #8a6100; }
.low { background: #0a5fb4; } .yes { background: #1a7f37; } .no { background: #a40e26; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; margin: .5rem 0; }
summary { cursor: pointer; } .soft { opacity: .75; font-size: .9rem; }
td:empty { padding: 0; }
@media (max-width: 40rem) {
  thead { display: none; } td { border: 0; overflow-wrap: anywhere; }
  tr { display: grid; grid-template-columns: 6.5rem 1fr; border-bottom: 1px solid var(--line); }
  td:nth-child(3) { grid-column: 2; padding-top: 0; }
}
@media print { details { break-inside: avoid; } details::details-content { content-visibility: visible; } }
";

pub(super) fn render(report: &Report, title: &str) -> String {
    let mut out = String::new();
    let title = escape(title);
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    );
    let s = &report.summary;
    let _ = writeln!(
        out,
        "<p>{} critical, {} high, {} medium, {} low, {} for information; {} could not be checked; {} accepted.</p>",
        s.critical, s.high, s.medium, s.low, s.info, s.could_not_check, s.accepted
    );
    out.push_str("<h2>Production checklist</h2>\n<table><thead><tr><th scope=\"col\">Answer</th><th scope=\"col\">Item</th><th scope=\"col\">Because</th></tr></thead><tbody>\n");
    for item in &report.checklist {
        let (class, word) = match item.answer {
            Answer::Yes => ("yes", "yes"),
            Answer::No => ("no", "no"),
            Answer::Unknown => ("unknown", "unknown"),
        };
        let because: Vec<String> =
            item.because.iter().map(|id| format!("<code>{}</code>", escape(id))).collect();
        let _ = writeln!(
            out,
            "<tr><td><span class=\"badge {class}\">{word}</span></td><td>{}. {}</td><td>{}</td></tr>",
            item.number,
            escape(&item.title),
            because.join(", ")
        );
    }
    out.push_str("</tbody></table>\n");
    let (wrong, blind): (Vec<&Finding>, Vec<&Finding>) =
        report.findings.iter().partition(|finding| finding.status == Status::Fail);
    section(&mut out, "Findings", &wrong);
    section(&mut out, "Could not check", &blind);
    if !report.accepted.is_empty() {
        out.push_str("<h2>Accepted</h2>\n<table><tbody>\n");
        for one in &report.accepted {
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                escape(&one.finding.id),
                escape(&one.finding.location),
                escape(&one.reason)
            );
        }
        out.push_str("</tbody></table>\n");
    }
    out.push_str("</body></html>\n");
    out
}

fn section(out: &mut String, title: &str, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>{title} ({})</h2>", findings.len());
    for finding in findings {
        let class = if finding.status == Status::Fail { word(finding.severity) } else { "unknown" };
        let _ = writeln!(
            out,
            "<details><summary><span class=\"badge {class}\">{class}</span> {} <span class=\"soft\"><code>{}</code>{}</span></summary>",
            escape(&finding.title),
            escape(&finding.id),
            // Several findings of one check differ in this alone.
            if finding.location.is_empty() {
                String::new()
            } else {
                format!(" at <code>{}</code>", escape(&finding.location))
            }
        );
        let _ = writeln!(out, "<p>{}</p>", escape(&finding.evidence));
        if let Some(check) = check(&finding.id) {
            let ids: Vec<&str> =
                check.atlas.iter().chain(check.attack).chain(check.cis).copied().collect();
            let _ = writeln!(
                out,
                "<p>{} <span class=\"soft\">{}</span></p>",
                escape(check.why),
                escape(&ids.join(" · "))
            );
        }
        if let Some(fix) = &finding.fix {
            let kind = if fix.disposition == Disposition::Safe { "Fix" } else { "Fix, with care" };
            let _ = writeln!(
                out,
                "<p><strong>{kind}:</strong> {}{}</p>",
                escape(&fix.summary),
                fix.breaks
                    .as_ref()
                    .map(|text| format!(
                        " <span class=\"soft\">May break: {}.</span>",
                        escape(text)
                    ))
                    .unwrap_or_default()
            );
            let steps: Vec<String> = fix
                .steps
                .iter()
                .map(|step| {
                    escape(&match step {
                        Step::Config { path, value: Some(value) } => {
                            format!("set {} = {value}", path.join("."))
                        }
                        Step::Config { path, value: None } => format!("remove {}", path.join(".")),
                        Step::Mode { path, mode } => format!("chmod {mode:o} {}", path.display()),
                        Step::Command { command } => format!("$ {command}"),
                    })
                })
                .collect();
            if !steps.is_empty() {
                let _ = writeln!(out, "<pre>{}</pre>", steps.join("\n"));
            }
        }
        out.push_str("</details>\n");
    }
}
