//! `seawall skill install-policy`: the command behind OpenClaw's `security.installPolicy`.
//!
//! One JSON request on standard input, one decision on standard output. Whatever goes wrong (a
//! malformed request, a scanner that dies, a lockfile that does not parse) is a block with a
//! reason; the gateway treats a missing answer the same way.

use super::child::Scanner;
use super::decide;
use super::held;
use super::load;
use super::lock::{Lock, Standing};
use super::show;
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

/// What of foreign text goes to the gateway, and from there to a terminal.
fn clip(text: &str) -> String {
    show::line(text).chars().take(MAX_MESSAGE).collect()
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
                show::path(&request.source_path)
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
    let tree = folder.tree_hash();
    let standing = lock.standing(&name, &folder);
    let waits = match standing {
        Standing::Approved | Standing::Denied => false,
        Standing::Changed => true,
        Standing::Unknown => require_approval || report.verdict > Verdict::Allow,
    };
    // The gateway throws away what it did not install: a person has to be able to look at it.
    let place = waits.then(|| held::keep(lock_path, &folder, &tree)).flatten();
    let place = place.unwrap_or_else(|| request.source_path.clone());
    let command = |word| decide::command(word, &place, Some(&name));
    let approve = format!("{} --tree {tree}", command("approve"));
    let shown_name = clip(&name);
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
    match standing {
        Standing::Denied => {
            let (entry, why) =
                lock.denial(&name, &tree).map_or((String::new(), String::new()), |(as_, e)| {
                    let why =
                        e.reason.as_ref().map(|r| format!(" ({})", clip(r))).unwrap_or_default();
                    (as_.clone(), why)
                });
            let approve = decide::command("approve", &request.source_path, Some(&entry));
            answer(
                Verdict::Block,
                Some(format!(
                    "`{shown_name}` was denied as `{}`{why}. To change that: {approve} --tree {tree}",
                    clip(&entry)
                )),
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
                .map(|(kind, what)| format!("now also {kind} {}", clip(what)))
                .collect::<Vec<_>>()
                .join("; ");
            let gained = match gained.chars().count() {
                0 => "no new capability was seen".to_owned(),
                // The gateway cuts a reason at 1000 characters, and the commands are its end.
                300.. => format!("{}…", gained.chars().take(300).collect::<String>()),
                _ => gained,
            };
            answer(
                Verdict::Block,
                Some(format!(
                    "This {} of `{shown_name}` differs from what was approved: {gained}. See `{}`, then: {approve}",
                    if update { "update" } else { "version" },
                    command("diff")
                )),
            )
        }
        Standing::Unknown => {
            let kind = if request.target_type == TargetType::Plugin { "plugin" } else { "skill" };
            match report.verdict {
                Verdict::Block => {
                    let reason = summary(kind, &shown_name, &report, &approve);
                    answer(Verdict::Block, Some(reason))
                }
                Verdict::Warn => {
                    let decision = if require_approval { Verdict::Block } else { Verdict::Warn };
                    let reason = summary(kind, &shown_name, &report, &approve);
                    answer(decision, Some(reason))
                }
                Verdict::Allow if require_approval => answer(
                    Verdict::Block,
                    Some(format!(
                        "Nothing speaks against the {kind} `{shown_name}`, but it was not approved. To approve it: {approve}"
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
