//! SARIF 2.1.0, for code scanners and dashboards.

use super::{Report, word};
use crate::finding::{Finding, Status};
use crate::registry::{Check, check};
use seawall_model::finding::Level;
use serde_json::{Value, json};

pub(super) fn render(report: &Report, version: &str) -> Value {
    let findings = || report.findings.iter().chain(report.accepted.iter().map(|one| &one.finding));
    let mut rules: Vec<&Check> = findings().filter_map(|finding| check(&finding.id)).collect();
    rules.sort_by_key(|check| check.id);
    rules.dedup_by_key(|check| check.id);
    let result = |finding: &Finding, accepted: Option<&str>| {
        let mut result = json!({
            "ruleId": finding.id,
            "ruleIndex": rules.iter().position(|check| check.id == finding.id),
            "kind": if finding.status == Status::CouldNotCheck { "review" } else { "fail" },
            // SARIF knows no level for what was not looked at.
            "level": if finding.status == Status::CouldNotCheck { "none" } else { level(finding.severity) },
            "message": { "text": format!("{}: {}", finding.title, finding.evidence) },
            "locations": [location(&finding.location)],
            "partialFingerprints": { "seawall/v1": format!("{}@{}", finding.id, finding.location) },
            "properties": { "severity": word(finding.severity), "confidence": finding.confidence, "fix": finding.fix },
        });
        if let (Some(reason), Some(map)) = (accepted, result.as_object_mut()) {
            map.insert(
                "suppressions".into(),
                json!([{ "kind": "external", "justification": reason }]),
            );
        }
        result
    };
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| result(finding, None))
        .chain(report.accepted.iter().map(|one| result(&one.finding, Some(&one.reason))))
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "seawall audit",
                "version": version,
                "rules": rules.iter().map(|check| rule(check)).collect::<Vec<_>>(),
            } },
            "results": results,
        }],
    })
}

fn rule(check: &Check) -> Value {
    let tags: Vec<String> = [("atlas", check.atlas), ("attack", check.attack), ("cis", check.cis)]
        .into_iter()
        .flat_map(|(kind, ids)| ids.iter().map(move |id| format!("{kind}:{id}")))
        .collect();
    // What GitHub and others sort by.
    let number = match check.severity {
        Level::Critical => "9.5",
        Level::High => "8.0",
        Level::Medium => "5.5",
        Level::Low => "3.0",
        Level::Info => "0.0",
    };
    json!({
        "id": check.id,
        "shortDescription": { "text": check.title },
        "fullDescription": { "text": check.why },
        "defaultConfiguration": { "level": level(check.severity) },
        "properties": { "tags": tags, "security-severity": number, "checklistItem": check.item },
    })
}

fn level(severity: Level) -> &'static str {
    match severity {
        Level::Critical | Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Info => "note",
    }
}

/// A path is a file; anything else has a name only.
fn location(text: &str) -> Value {
    if text.starts_with('/') {
        json!({ "physicalLocation": { "artifactLocation": { "uri": format!("file://{}", encode(text)) } } })
    } else {
        json!({ "logicalLocations": [{ "fullyQualifiedName": text }] })
    }
}

/// Percent-encodes what a URI may not hold.
fn encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                (byte as char).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
