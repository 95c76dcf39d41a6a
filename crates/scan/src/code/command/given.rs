//! Programs judged by what they are given: sensitive files, logs, protection, documents.

use super::read_all;
use crate::code::flow::Flow;
use crate::code::value::{Act, Labels, Value, read_path};
use crate::content::ProgramClass;

/// What an unknown program should not get.
pub(super) const GIVEN: Labels = Labels::STRONG.with(Labels::TYPED_SECRET);

/// Secrets that arguments name: paths, `FILE:path`, `@path`, `key=path`.
pub(super) fn sensitive_arguments(flow: &Flow<'_>, texts: &[&str]) -> Value {
    let mut out = Value::default();
    for text in texts {
        for path in text.split(['@', '=', ',']).flat_map(|t| t.split("FILE:")) {
            if path.contains(['/', '~']) && !path.contains("://") {
                let read = read_path(flow.content, path);
                if read.labels.has(Labels::STRONG) {
                    out.taint(&read);
                }
            }
        }
    }
    out.labels = out.labels.without(Labels::LOCAL_FILE);
    out
}

/// A program that carries what it is given to another machine; false for any other.
pub(super) fn carry(
    flow: &mut Flow<'_>,
    program: &str,
    texts: &[&str],
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> bool {
    if !flow.content.program_is(program, texts, ProgramClass::Carry) {
        return false;
    }
    let mut data = read_all(flow, rest, stdin, line);
    let named = sensitive_arguments(flow, texts);
    data.taint(&named);
    data.labels = data.labels.without(Labels::DOWNLOADED);
    let places: Vec<&Value> =
        rest.iter().filter(|v| v.likely().is_some_and(|t| t.contains("://"))).collect();
    if !places.is_empty() || data.labels.has(GIVEN) {
        flow.net(line, &places, data, true);
    }
    true
}

/// Removes traces.
pub(super) fn cover(flow: &mut Flow<'_>, line: u32, program: &str, all: &str) -> Value {
    flow.emit(line, Act::CoverTracks { how: format!("{program} {all}") });
    Value::default()
}

/// A log of the system, or the history of a shell.
pub(super) fn log(path: &str) -> bool {
    let rest = path.strip_prefix("/var/log");
    rest.is_some_and(|r| {
        r.is_empty() || r.starts_with("/*") || SYSTEM_LOGS.iter().any(|l| r.contains(l))
    }) || path.ends_with("_history") && path.contains("/.")
        || path.ends_with("fish_history")
}

/// Logs in which an administrator looks for what happened.
const SYSTEM_LOGS: &[&str] = &[
    "/auth.log",
    "/syslog",
    "/secure",
    "/wtmp",
    "/btmp",
    "/lastlog",
    "/audit",
    "/messages",
    "/journal",
];

/// A pattern over the user's own documents.
pub(crate) fn user_files(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("*.")
        && DOCUMENTS.contains(&name.trim_start_matches("*.").to_ascii_lowercase().as_str())
}

/// Endings of what people write, and no program makes anew.
const DOCUMENTS: &[&str] = &[
    "doc", "docx", "xls", "xlsx", "ppt", "pptx", "odt", "ods", "odp", "pdf", "jpg", "jpeg", "heic",
    "raw", "psd", "pages", "numbers", "key", "db", "sqlite", "mdb", "pst", "kdbx", "dwg",
];

/// Names of what protects the machine.
pub(super) fn guards(all: &str) -> bool {
    let all = all.to_ascii_lowercase();
    [
        "defender",
        "msmpeng",
        "windefend",
        "falcon",
        "crowdstrike",
        "csagent",
        "sentinel",
        "clamd",
        "clamav",
        "auditd",
        "osquery",
        "wazuh",
        "carbonblack",
        "cbdaemon",
        "sophos",
        "mcafee",
        "eset",
        "little snitch",
        "littlesnitch",
        "lulu",
        "blockblock",
        "santad",
        "xprotect",
        "seawall",
        "rsyslog",
        "syslog",
        "fail2ban",
    ]
    .iter()
    .any(|g| all.contains(g))
}
