//! Views on reports: text, SARIF, HTML. All say the same.

use super::show;
use seawall_model::finding::Level;
use seawall_scan::{Content, Report, Verdict};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// A report and where it is from.
pub(crate) struct Scanned {
    pub(crate) path: String,
    /// Hash of what was looked at, when all of it could be read.
    pub(crate) tree: Option<String>,
    pub(crate) report: Report,
}

pub(crate) fn level(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Low => "low",
        Level::Medium => "medium",
        Level::High => "high",
        Level::Critical => "critical",
    }
}

/// Text for a person.
pub(crate) fn text(content: Option<&Content>, scanned: &Scanned, all: bool) -> String {
    let mut out = String::new();
    let report = &scanned.report;
    let _ = writeln!(out, "{:5} {}", report.verdict.as_str(), show::line(&scanned.path));
    if let Some(tree) = scanned.tree.as_ref().filter(|_| all || report.verdict > Verdict::Allow) {
        let _ = writeln!(out, "      {:9} {tree}", "hash");
    }
    let c = &report.capabilities;
    for (label, set) in [
        ("contacts", &c.network),
        ("runs", &c.programs),
        ("reads", &c.reads),
        ("writes", &c.writes),
        ("secrets", &c.secrets),
        ("installs", &c.installs),
        ("persists", &c.persistence),
        ("instructs", &c.instructions),
    ] {
        if !set.is_empty() && all {
            let more =
                if set.len() > 8 { format!(" and {} more", set.len() - 8) } else { String::new() };
            let _ = writeln!(
                out,
                "      {label:9} {}{more}",
                set.iter().take(8).map(|one| show::line(one)).collect::<Vec<_>>().join(", ")
            );
        }
    }
    let least = if all { Level::Info } else { Level::Medium };
    for f in report.findings.iter().filter(|f| f.severity >= least) {
        let file = show::line(&f.file);
        let place = if f.line > 0 { format!("{file}:{}", f.line) } else { file };
        let _ = writeln!(
            out,
            "      {:8} {:20} {place}\n               {}",
            level(f.severity),
            f.rule,
            show::line(&f.message)
        );
        if let Some(rule) =
            content.and_then(|c| c.rule(&f.rule)).filter(|_| f.severity >= Level::Medium)
        {
            let _ = writeln!(out, "               {} {}", rule.reason, rule.fix);
        }
    }
    out
}

/// One line of JSON.
pub(crate) fn line(scanned: &Scanned) -> Value {
    json!({
        "path": scanned.path,
        "tree": scanned.tree,
        "verdict": scanned.report.verdict,
        "capabilities": scanned.report.capabilities,
        "findings": scanned.report.findings,
    })
}

/// SARIF 2.1.0.
pub(crate) fn sarif(content: &Content, list: &[Scanned]) -> Value {
    let rules: Vec<Value> = content
        .rules()
        .map(|r| json!({"id": r.id, "shortDescription": {"text": r.title}, "fullDescription": {"text": r.reason}, "help": {"text": r.fix}, "defaultConfiguration": {"level": sarif_level(r.severity)}}))
        .collect();
    let results: Vec<Value> = list
        .iter()
        .flat_map(|s| {
            s.report.findings.iter().map(move |f| {
                let path = format!("{}/{}", s.path.trim_end_matches('/'), f.file);
                let mut place = json!({"artifactLocation": {"uri": uri(&path)}});
                if f.line > 0
                    && let Some(place) = place.as_object_mut()
                {
                    place.insert("region".into(), json!({"startLine": f.line}));
                }
                json!({"ruleId": f.rule, "level": sarif_level(f.severity), "message": {"text": f.message}, "locations": [{"physicalLocation": place}]})
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": {"name": "seawall", "version": env!("CARGO_PKG_VERSION"), "rules": rules}}, "results": results}],
    })
}

fn sarif_level(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::High => "error",
        Level::Medium => "warning",
        Level::Low | Level::Info => "note",
    }
}

fn uri(path: &str) -> String {
    let mut out = String::new();
    for b in path.bytes() {
        if b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'-' | b'_' | b'~' | b'!') {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// One page without any script or outside reference.
pub(crate) fn html(content: &Content, list: &[Scanned]) -> String {
    let mut out = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\"><title>Skill scan</title><style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}h2{margin-top:2rem}table{border-collapse:collapse;width:100%}td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left;vertical-align:top}.block{color:#a00}.warn{color:#850}.allow{color:#060}code{overflow-wrap:anywhere}</style><h1>Skill scan</h1>",
    );
    for s in list {
        let verdict = s.report.verdict.as_str();
        let _ = write!(
            out,
            "<h2><span class=\"{verdict}\">{verdict}</span> <code>{}</code></h2>",
            escape(&s.path)
        );
        if s.report.findings.is_empty() {
            out.push_str("<p>Nothing was found.</p>");
            continue;
        }
        out.push_str("<table><tr><th>Severity<th>Rule<th>Where<th>What</tr>");
        for f in &s.report.findings {
            let reason = content.rule(&f.rule).map_or("", |r| r.reason.as_str());
            let _ = write!(
                out,
                "<tr><td>{}<td>{}<td><code>{}:{}</code><td>{}<br><small>{}</small></tr>",
                level(f.severity),
                escape(&f.rule),
                escape(&f.file),
                f.line,
                escape(&f.message),
                escape(reason)
            );
        }
        out.push_str("</table>");
    }
    out.push_str("</html>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Exit code of a verdict.
pub(crate) fn code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Warn => 1,
        Verdict::Block => 2,
    }
}
