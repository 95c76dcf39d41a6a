//! VirusTotal (API v3): what others know of a skill's programs, archives and scripts.
//!
//! Off unless asked for. A look-up sends a SHA-256, which tells VirusTotal that somebody has this
//! file, and nothing of what is in it. An upload, asked for once more, hands the bytes to
//! VirusTotal and its customers for good.
//!
//! `curl` makes the requests: it brings the host's certificates and proxies, and a TLS stack that
//! the rest of Seawall does not need. It is told everything on standard input, so that the key is in
//! no argument list. Deliberately absent: taking a verdict back. What VirusTotal does not know or
//! finds clean stays as the scanner judged it.

use super::load::Folder;
use seawall_model::finding::Level;
use seawall_scan::{Finding, Report};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Where the key is when no file is named.
const KEY: &str = "VIRUSTOTAL_API_KEY";
/// Most files of one skill: at the public rate a minute for four.
const MAX_FILES: usize = 16;
/// VirusTotal takes larger files at another address only.
const MAX_UPLOAD: usize = 32 << 20;
/// Largest answer. A file object with all engines is some hundred kilobytes.
const MAX_ANSWER: u64 = 8 << 20;
/// Longest time of one request, in seconds.
const TIMEOUT: u32 = 60;
/// Waiting for quota: the window of the public rate, and the most that an answer may ask for.
const WINDOW: Duration = Duration::from_secs(60);
/// So many engines make a detection that is no mistake of one of them.
const ENGINES: u64 = 3;
/// Longest text of a model that is shown.
const MAX_SHOWN: usize = 200;

#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Options {
    /// Ask VirusTotal about programs, archives and scripts, by their SHA-256. The key is in
    /// VIRUSTOTAL_API_KEY or in --virustotal-key-file.
    #[arg(long)]
    virustotal: bool,
    /// Upload what VirusTotal does not know. Its customers can read what is uploaded.
    #[arg(long, requires = "virustotal")]
    virustotal_upload: bool,
    /// File that holds the key.
    #[arg(long, value_name = "FILE", requires = "virustotal")]
    virustotal_key_file: Option<PathBuf>,
    /// Requests a minute; the public interface takes 4.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    virustotal_rate: u32,
    /// Another address of the interface.
    #[arg(
        long,
        value_name = "URL",
        hide = true,
        default_value = "https://www.virustotal.com/api/v3"
    )]
    virustotal_url: String,
}

/// It could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("no key: set {KEY}, or name a file with --virustotal-key-file")]
    NoKey,
    #[error("the key file `{path}` could not be read: {source}")]
    KeyFile { path: PathBuf, source: std::io::Error },
    #[error("what was given as the key is none: letters and digits are wanted")]
    BadKey,
    #[error("`{0}` is no address: https is wanted, or http to this machine")]
    BadUrl(String),
    #[error("curl could not be started ({0}); VirusTotal is asked through it")]
    NoCurl(std::io::Error),
    #[error("VirusTotal could not be reached: {0}")]
    Unreachable(String),
    #[error("VirusTotal does not take the key (HTTP {0})")]
    Refused(u16),
    #[error("the quota of the key is used up")]
    Quota,
    #[error("VirusTotal answered with HTTP {0}")]
    Status(u16),
    #[error("VirusTotal's answer is not understood: {0}")]
    Answer(String),
}

/// A session with VirusTotal.
pub(super) struct VirusTotal {
    key: Zeroizing<String>,
    url: String,
    upload: bool,
    pace: Pace,
}

/// At most so many requests in a window.
#[derive(Debug)]
struct Pace {
    rate: usize,
    window: Duration,
    last: VecDeque<Instant>,
}

impl Pace {
    fn new(rate: u32, window: Duration) -> Self {
        Self { rate: usize::try_from(rate).unwrap_or(1).max(1), window, last: VecDeque::new() }
    }

    /// How long to wait before the next request, which is taken to be made then.
    fn next(&mut self, now: Instant) -> Duration {
        let at = match self.last.len().checked_sub(self.rate).and_then(|n| self.last.get(n)) {
            Some(earlier) => (*earlier + self.window).max(now),
            None => now,
        };
        self.last.push_back(at);
        while self.last.len() > self.rate {
            self.last.pop_front();
        }
        at.saturating_duration_since(now)
    }
}

/// What came of one request.
struct Answer {
    status: u16,
    /// Seconds after which to ask again, when it says so.
    retry_after: Option<u64>,
    body: Vec<u8>,
}

/// What VirusTotal says of one file.
enum Opinion {
    Unknown,
    Uploaded,
    Known(Value),
}

impl VirusTotal {
    /// Opens a session; `None` when it was not asked for.
    pub(super) fn open(options: &Options) -> Result<Option<Self>, AskError> {
        if !options.virustotal {
            return Ok(None);
        }
        let key = match &options.virustotal_key_file {
            Some(path) => {
                let mut text = Zeroizing::new(String::new());
                std::fs::File::open(path)
                    .and_then(|file| file.take(4_096).read_to_string(&mut text))
                    .map_err(|source| AskError::KeyFile { path: path.clone(), source })?;
                text
            }
            None => Zeroizing::new(std::env::var(KEY).map_err(|_| AskError::NoKey)?),
        };
        let key = Zeroizing::new(key.trim().to_owned());
        // It stands in a configuration of curl's: nothing in it may end the line or the string.
        if !(16..=256).contains(&key.len()) || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(AskError::BadKey);
        }
        let url = options.virustotal_url.trim_end_matches('/').to_owned();
        let parsed = url::Url::parse(&url).map_err(|_| AskError::BadUrl(url.clone()))?;
        let here = matches!(parsed.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
        let plain = url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
        if !plain || !(parsed.scheme() == "https" || parsed.scheme() == "http" && here) {
            return Err(AskError::BadUrl(url));
        }
        let pace = Pace::new(options.virustotal_rate, WINDOW);
        Ok(Some(Self { key, url, upload: options.virustotal_upload, pace }))
    }

    /// Adds what VirusTotal says of a skill's files to its report.
    pub(super) fn add(&mut self, folder: &Folder, report: Report) -> Result<Report, AskError> {
        let wanted = chosen(folder);
        let mut findings = Vec::new();
        for (path, bytes) in wanted.iter().take(MAX_FILES) {
            let opinion = self.ask(bytes)?;
            findings.extend(judge(path, &opinion)?);
        }
        if wanted.len() > MAX_FILES {
            findings.push(finding(
                "virustotal-unknown",
                Level::Low,
                "",
                format!(
                    "VirusTotal was asked about {MAX_FILES} of {} files, programs first",
                    wanted.len()
                ),
            ));
        }
        Ok(report.with(findings))
    }

    fn ask(&mut self, bytes: &[u8]) -> Result<Opinion, AskError> {
        let digest = hex::encode(Sha256::digest(bytes));
        let answer = self.request(&format!("/files/{digest}"), None)?;
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body)
                .map(Opinion::Known)
                .map_err(|e| AskError::Answer(e.to_string()));
        }
        if !self.upload || bytes.len() > MAX_UPLOAD {
            return Ok(Opinion::Unknown);
        }
        // Under a name that says nothing: a path tells of its owner.
        let mut file = tempfile::NamedTempFile::new().map_err(AskError::NoCurl)?;
        file.write_all(bytes).map_err(AskError::NoCurl)?;
        self.request("/files", Some(file.path()))?;
        Ok(Opinion::Uploaded)
    }

    /// One request; a full quota is waited for once.
    fn request(&mut self, path: &str, upload: Option<&Path>) -> Result<Answer, AskError> {
        for attempt in 0..2 {
            std::thread::sleep(self.pace.next(Instant::now()));
            let answer = self.curl(path, upload)?;
            match answer.status {
                200 => return Ok(answer),
                404 if upload.is_none() => return Ok(answer),
                401 | 403 => return Err(AskError::Refused(answer.status)),
                429 if attempt == 0 => {
                    let asked = answer.retry_after.map_or(WINDOW, Duration::from_secs);
                    std::thread::sleep(asked.min(WINDOW));
                }
                429 => return Err(AskError::Quota),
                other => return Err(AskError::Status(other)),
            }
        }
        Err(AskError::Quota)
    }

    fn curl(&self, path: &str, upload: Option<&Path>) -> Result<Answer, AskError> {
        let mut config = Zeroizing::new(format!(
            "url = \"{}{path}\"\nheader = \"x-apikey: {}\"\nheader = \"accept: application/json\"\n\
             user-agent = \"seawall\"\nmax-time = {TIMEOUT}\nmax-filesize = {MAX_ANSWER}\n\
             proto = \"http,https\"\nsilent\nshow-error\ninclude\nsuppress-connect-headers\n",
            self.url, *self.key
        ));
        if let Some(file) = upload {
            let file = file.to_str().filter(|f| !f.contains(['"', '\\', ';', ',', '\n']));
            let file =
                file.ok_or_else(|| AskError::Answer("the temporary folder's name".into()))?;
            config.push_str(&format!("form = \"file=@{file};filename=sample\"\n"));
        }
        // `-q` first: the user's own configuration of curl could send the key elsewhere.
        let mut child = Command::new("curl")
            .args(["-q", "--config", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(AskError::NoCurl)?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(config.as_bytes()).map_err(AskError::NoCurl)?;
        }
        let mut body = Vec::new();
        if let Some(output) = child.stdout.take() {
            let limit = MAX_ANSWER + (64 << 10);
            output.take(limit).read_to_end(&mut body).map_err(AskError::NoCurl)?;
        }
        let done = child.wait_with_output().map_err(AskError::NoCurl)?;
        if !done.status.success() {
            let said = String::from_utf8_lossy(&done.stderr);
            return Err(AskError::Unreachable(clip(&said)));
        }
        answer(&body).ok_or_else(|| AskError::Answer("it is no HTTP".into()))
    }
}

/// Takes status, `Retry-After` and body out of what curl prints with `include`. Interim answers
/// (100 Continue) come first.
fn answer(text: &[u8]) -> Option<Answer> {
    let mut rest = text;
    loop {
        let end = rest.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(rest.get(..end)?).into_owned();
        rest = rest.get(end + 4..)?;
        let mut lines = head.lines();
        let status: u16 = lines.next()?.split_whitespace().nth(1)?.parse().ok()?;
        if (100..200).contains(&status) {
            continue;
        }
        let retry_after = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
            .and_then(|(_, value)| value.trim().parse().ok());
        return Some(Answer { status, retry_after, body: rest.to_vec() });
    }
}

/// The files worth asking about: not prose, which nobody's engine reads. Programs and archives
/// first, then what can be run.
fn chosen(folder: &Folder) -> Vec<(&str, &[u8])> {
    const SCRIPTS: &[&str] = &[
        "sh",
        "bash",
        "zsh",
        "py",
        "js",
        "mjs",
        "cjs",
        "ts",
        "rb",
        "ps1",
        "go",
        "applescript",
        "scpt",
        "bat",
        "cmd",
        "vbs",
        "command",
        "pl",
        "php",
        "lua",
    ];
    let rank = |path: &str, bytes: &[u8], executable: bool| {
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        if bytes.iter().take(8_192).any(|b| *b == 0) || bytes.starts_with(b"PK\x03\x04") {
            Some(0)
        } else if executable || SCRIPTS.contains(&ending.as_str()) || bytes.starts_with(b"#!") {
            Some(1)
        } else {
            None
        }
    };
    let mut out: Vec<(u8, &str, &[u8])> = folder
        .files
        .iter()
        .filter(|f| !f.bytes.is_empty())
        .filter_map(|f| {
            Some((rank(&f.path, &f.bytes, f.executable)?, f.path.as_str(), f.bytes.as_slice()))
        })
        .collect();
    out.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    out.into_iter().map(|(_, path, bytes)| (path, bytes)).collect()
}

fn finding(rule: &str, severity: Level, file: &str, message: String) -> Finding {
    Finding { rule: rule.into(), severity, file: file.into(), line: 0, message }
}

/// Without control characters, bounded: it comes from outside.
fn clip(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    flat.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect()
}

fn judge(path: &str, opinion: &Opinion) -> Result<Vec<Finding>, AskError> {
    let object = match opinion {
        Opinion::Unknown => {
            let text = "VirusTotal does not know it; --virustotal-upload would send it there";
            return Ok(vec![finding("virustotal-unknown", Level::Info, path, text.into())]);
        }
        Opinion::Uploaded => {
            let text = "VirusTotal did not know it and has it now: scan again in some minutes";
            return Ok(vec![finding("virustotal-unknown", Level::Info, path, text.into())]);
        }
        Opinion::Known(object) => object,
    };
    let attributes = object
        .pointer("/data/attributes")
        .ok_or_else(|| AskError::Answer("there are no attributes".into()))?;
    let count = |name: &str| {
        attributes.pointer(&format!("/last_analysis_stats/{name}")).and_then(Value::as_u64)
    };
    let bad = count("malicious")
        .ok_or_else(|| AskError::Answer("there are no last_analysis_stats".into()))?;
    let doubtful = count("suspicious").unwrap_or(0);
    let all: u64 = ["malicious", "suspicious", "harmless", "undetected"]
        .iter()
        .filter_map(|name| count(name))
        .fold(0, u64::saturating_add);
    let named = attributes
        .pointer("/popular_threat_classification/suggested_threat_label")
        .and_then(Value::as_str)
        .map(|label| format!(" (`{}`)", clip(label)))
        .unwrap_or_default();
    let mut out = Vec::new();
    if bad + doubtful > 0 {
        let severity = match bad {
            0 => Level::Low,
            n if n < ENGINES => Level::Medium,
            _ => Level::High,
        };
        let text = format!(
            "{bad} of {all} engines at VirusTotal call it malicious{named}, {doubtful} suspicious"
        );
        out.push(finding("virustotal", severity, path, text));
    } else {
        let text = format!("none of {all} engines at VirusTotal finds anything");
        out.push(finding("virustotal-unknown", Level::Info, path, text));
    }
    let insights = attributes.pointer("/crowdsourced_ai_results").and_then(Value::as_array);
    for insight in insights.into_iter().flatten().take(4) {
        let text = |name: &str| insight.get(name).and_then(Value::as_str).unwrap_or("");
        // A model that was told what to say by what it read says "benign": it never takes anything
        // back.
        let severity = match text("verdict").to_ascii_lowercase().as_str() {
            "malicious" | "suspicious" => Level::Medium,
            _ => Level::Info,
        };
        let source = clip(text("source"));
        let source = if source.is_empty() { "Code Insight".to_owned() } else { source };
        let shown = clip(text("analysis"));
        out.push(finding("virustotal", severity, path, format!("{source} at VirusTotal: {shown}")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_more_requests_than_the_rate_in_any_window() {
        let start = Instant::now();
        let mut pace = Pace::new(4, Duration::from_secs(60));
        let waits: Vec<u64> = (0..9).map(|_| pace.next(start).as_secs()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 60, 60, 60, 60, 120]);
        // After a pause longer than the window nobody waits.
        assert_eq!(pace.next(start + Duration::from_secs(400)).as_secs(), 0);
    }

    #[test]
    fn answers_are_taken_apart() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2 429 \r\nRetry-After: 7\r\nx: y\r\n\r\n{}";
        let seen = answer(text).unwrap();
        assert_eq!((seen.status, seen.retry_after, seen.body), (429, Some(7), b"{}".to_vec()));
        for bad in [&b""[..], b"HTTP/1.1 200 OK\r\n", b"\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"] {
            assert!(answer(bad).is_none());
        }
    }

    #[test]
    fn engines_and_insights_only_make_it_worse() {
        let known = |bad: u64, insight: &str| {
            let object = json!({"data": {"attributes": {
                "last_analysis_stats": {"malicious": bad, "suspicious": 0, "harmless": 0, "undetected": 60},
                "crowdsourced_ai_results": [{"source": "Code Insight", "verdict": insight, "analysis": "Sends\u{1b}[2J keys away"}],
            }}});
            judge("a.sh", &Opinion::Known(object)).unwrap()
        };
        let worst = |found: &[Finding]| found.iter().map(|f| f.severity).max();
        assert_eq!(worst(&known(5, "benign")), Some(Level::High));
        assert_eq!(worst(&known(1, "benign")), Some(Level::Medium));
        assert_eq!(worst(&known(0, "suspicious")), Some(Level::Medium));
        assert_eq!(worst(&known(0, "benign")), Some(Level::Info));
        assert!(known(0, "suspicious").iter().all(|f| !f.message.contains('\u{1b}')));
        // What is no file object is an error, not a clean file.
        for object in [json!({}), json!({"data": {"attributes": {}}}), json!([])] {
            assert!(judge("a.sh", &Opinion::Known(object)).is_err());
        }
    }
}
