//! `seawall skill install-policy`: the command behind OpenClaw's `security.installPolicy`.
//!
//! One JSON request on standard input, one decision on standard output. Whatever goes wrong (a
//! malformed request, a scanner that dies, a lockfile that does not parse) is a block with a
//! reason; the gateway treats a missing answer the same way.

use super::child::Scanner;
use super::load;
use super::lock::{Lock, Standing};
use seawall_model::finding::Level;
use seawall_scan::{Finding, Report, Verdict};
use serde::{Deserialize, Serialize};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Largest request. A request is names and paths.
const MAX_REQUEST: u64 = 1 << 20;
/// The gateway refuses a warning whose notice is longer than 4000 characters in all.
const MAX_SHOWN: usize = 8;
const MAX_MESSAGE: usize = 220;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    protocol_version: u32,
    target_type: TargetType,
    target_name: String,
    source_path: PathBuf,
    source_path_kind: PathKind,
    #[serde(default)]
    request: Option<RequestKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TargetType {
    Skill,
    Plugin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PathKind {
    Directory,
    File,
}

#[derive(Deserialize)]
struct RequestKind {
    #[serde(default)]
    mode: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    protocol_version: u32,
    decision: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    findings: Vec<ResponseFinding>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResponseFinding {
    rule_id: String,
    severity: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

fn clip(text: &str) -> String {
    text.chars().take(MAX_MESSAGE).collect()
}

impl Response {
    fn block(reason: impl Into<String>) -> Self {
        Self {
            protocol_version: 1,
            decision: Verdict::Block,
            reason: Some(reason.into()),
            findings: Vec::new(),
        }
    }
}

fn shown(finding: &Finding) -> ResponseFinding {
    ResponseFinding {
        rule_id: finding.rule.clone(),
        severity: match finding.severity {
            Level::Critical | Level::High => "critical",
            Level::Medium => "warn",
            Level::Low | Level::Info => "info",
        },
        message: clip(&finding.message),
        file: (!finding.file.is_empty()).then(|| clip(&finding.file)),
        line: (finding.line > 0).then_some(finding.line),
    }
}

/// Answers one request.
///
/// `named`: the lockfile was given, and is not the default one.
pub(crate) fn run(
    lock: &Path,
    named: bool,
    require_approval: bool,
    confined_only: bool,
) -> ExitCode {
    let response = decide(lock, named, require_approval, Scanner::new(confined_only));
    match serde_json::to_string(&response) {
        Ok(text) => {
            let mut out = std::io::stdout().lock();
            if std::io::Write::write_all(&mut out, text.as_bytes()).is_err() {
                return ExitCode::from(3);
            }
            ExitCode::SUCCESS
        }
        // No answer is a block for the gateway.
        Err(_) => ExitCode::from(3),
    }
}

fn decide(lock_path: &Path, named: bool, require_approval: bool, mut scanner: Scanner) -> Response {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().lock().take(MAX_REQUEST + 1).read_to_string(&mut text) {
        return Response::block(format!("Seawall could not read the install request: {error}"));
    }
    if text.len() as u64 > MAX_REQUEST {
        return Response::block("Seawall refuses an install request larger than 1 MiB.");
    }
    let request: Request = match serde_json::from_str(&text) {
        Ok(request) => request,
        Err(error) => {
            return Response::block(format!(
                "Seawall does not understand the install request: {error}"
            ));
        }
    };
    if request.protocol_version != 1 {
        return Response::block(format!(
            "Seawall does not know install-policy protocol {}. Update Seawall.",
            request.protocol_version
        ));
    }
    if !request.source_path.is_absolute() {
        return Response::block(
            "Seawall refuses an install request whose sourcePath is not absolute.",
        );
    }
    let found = std::fs::symlink_metadata(&request.source_path).map(|m| (m.is_dir(), m.is_file()));
    match (request.source_path_kind, found) {
        (PathKind::Directory, Ok((true, _))) | (PathKind::File, Ok((_, true))) => {}
        (_, Ok(_)) => {
            return Response::block(
                "Seawall found something else at sourcePath than the request says.",
            );
        }
        (_, Err(error)) => {
            return Response::block(format!(
                "Seawall could not look at `{}`: {error}",
                request.source_path.display()
            ));
        }
    }
    // A folder that was named and is not there is a mistake or a missing mount; taken for "nothing
    // was decided", it would let through what was denied.
    if named && !lock_path.parent().is_some_and(Path::is_dir) {
        return Response::block(format!(
            "Seawall does not see the folder of the lockfile `{}`. Make it, or correct --lock.",
            lock_path.display()
        ));
    }
    let lock = match Lock::read(lock_path) {
        Ok(lock) => lock,
        Err(error) => return Response::block(format!("{error}. Repair or remove the lockfile.")),
    };
    let folder = match load::load(&request.source_path) {
        Ok(folder) => folder,
        Err(error) => return Response::block(error.to_string()),
    };
    let report = match scanner.scan(&folder) {
        Ok(report) => report,
        Err(error) => {
            return Response::block(format!(
                "{error}. Nothing that was not looked at is installed."
            ));
        }
    };
    let name = request.target_name.clone();
    let approve = format!("seawall skill approve {} --name {name}", request.source_path.display());
    let findings: Vec<ResponseFinding> = report
        .findings
        .iter()
        .filter(|f| f.severity >= Level::Low)
        .take(MAX_SHOWN)
        .map(shown)
        .collect();
    let answer = |decision, reason: Option<String>| Response {
        protocol_version: 1,
        decision,
        reason,
        findings,
    };
    let update = request.request.and_then(|r| r.mode).is_some_and(|m| m == "update");
    match lock.standing(&name, &folder) {
        Standing::Denied => {
            let why = lock
                .skills
                .get(&name)
                .and_then(|e| e.reason.clone())
                .map(|r| format!(" ({r})"))
                .unwrap_or_default();
            answer(
                Verdict::Block,
                Some(format!("`{name}` was denied{why}. To change that: {approve}")),
            )
        }
        Standing::Approved => answer(Verdict::Allow, None),
        Standing::Changed => {
            let gained = lock
                .skills
                .get(&name)
                .map(|e| report.capabilities.gained(&e.capabilities))
                .unwrap_or_default();
            let gained = gained
                .iter()
                .take(6)
                .map(|(kind, what)| format!("now also {kind} {what}"))
                .collect::<Vec<_>>()
                .join("; ");
            let gained =
                if gained.is_empty() { "no new capability was seen".to_owned() } else { gained };
            answer(
                Verdict::Block,
                Some(format!(
                    "This {} of `{name}` differs from what was approved: {gained}. See `seawall skill diff {} --name {name}`, then: {approve}",
                    if update { "update" } else { "version" },
                    request.source_path.display()
                )),
            )
        }
        Standing::Unknown => {
            let kind = if request.target_type == TargetType::Plugin { "plugin" } else { "skill" };
            match report.verdict {
                Verdict::Block => {
                    let reason = summary(kind, &name, &report, &approve);
                    answer(Verdict::Block, Some(reason))
                }
                Verdict::Warn => {
                    let decision = if require_approval { Verdict::Block } else { Verdict::Warn };
                    let reason = summary(kind, &name, &report, &approve);
                    answer(decision, Some(reason))
                }
                Verdict::Allow if require_approval => answer(
                    Verdict::Block,
                    Some(format!(
                        "Nothing speaks against the {kind} `{name}`, but it was not approved. To approve it: {approve}"
                    )),
                ),
                Verdict::Allow => answer(Verdict::Allow, None),
            }
        }
    }
}

fn summary(kind: &str, name: &str, report: &Report, approve: &str) -> String {
    let worst = report
        .findings
        .first()
        .map(|f| format!(" {}:{} {}", clip(&f.file), f.line, clip(&f.message)))
        .unwrap_or_default();
    format!(
        "The {kind} `{}` has {} finding(s).{worst}. After a look at them, to install it all the same: {approve}",
        clip(name),
        report.findings.iter().filter(|f| f.severity >= Level::Medium).count()
    )
}
