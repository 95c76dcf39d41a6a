//! JUnit's XML, for test runners: a check is a test case.

use super::{Report, escape, word};
use crate::finding::{Finding, Status};
use crate::registry::checks;
use seawall_model::finding::Level;
use std::fmt::Write;

pub(super) fn render(report: &Report) -> String {
    let of = |id: &str| -> Vec<&Finding> {
        report.findings.iter().filter(|finding| finding.id == id).collect()
    };
    let fails =
        |finding: &&Finding| finding.status == Status::Fail && finding.severity > Level::Info;
    let failures = checks().iter().filter(|check| of(check.id).iter().any(fails)).count();
    let skipped = checks()
        .iter()
        .filter(|check| {
            let found = of(check.id);
            !found.iter().any(fails) && found.iter().any(|f| f.status == Status::CouldNotCheck)
        })
        .count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites><testsuite name=\"seawall audit\" tests=\"{}\" failures=\"{failures}\" skipped=\"{skipped}\">",
        checks().len()
    );
    for check in checks() {
        let found = of(check.id);
        let name = format!(
            "  <testcase classname=\"{}\" name=\"{}\"",
            escape(check.id),
            escape(check.title)
        );
        let bad: Vec<&&Finding> = found.iter().filter(|finding| fails(finding)).collect();
        if let Some(worst) = bad.iter().max_by_key(|finding| finding.severity) {
            let _ = writeln!(
                out,
                "{name}>\n    <failure type=\"{}\" message=\"{}\">",
                word(worst.severity),
                escape(&worst.title)
            );
            for finding in &bad {
                let _ =
                    writeln!(out, "{}: {}", escape(&finding.location), escape(&finding.evidence));
            }
            out.push_str("    </failure>\n  </testcase>\n");
        } else if let Some(blind) =
            found.iter().find(|finding| finding.status == Status::CouldNotCheck)
        {
            let _ = writeln!(
                out,
                "{name}>\n    <skipped message=\"{}\"/>\n  </testcase>",
                escape(&blind.evidence)
            );
        } else {
            let _ = writeln!(out, "{name}/>");
        }
    }
    out.push_str("</testsuite></testsuites>\n");
    out
}
