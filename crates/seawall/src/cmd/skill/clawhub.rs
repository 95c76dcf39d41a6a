//! ClawHub: a skill is fetched to be looked at, as OpenClaw fetches it to install it.
//!
//! Off unless asked for. What goes out is the name of a skill, and its version when one is named; no
//! token is sent. The archive is not unpacked here but in the scanning child. The answer
//! to "may it be installed" remains the gate's: what it is asked about then are the bytes that were
//! fetched then.
//!
//! The protocol is that of OpenClaw 2026.9: `GET /api/v1/skills/SLUG/install` says where the archive
//! is, `GET /api/v1/download` gives one version. `curl` makes the requests, as for VirusTotal.

use super::load::{Folder, Raw};
use super::show;
use serde::Deserialize;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// Largest answer that is no archive.
const MAX_ANSWER: u64 = 1 << 20;
/// Largest archive. What is larger is not scanned either.
const MAX_ARCHIVE: u64 = seawall_scan::MAX_FILE;
/// Longest time of one request, in seconds.
const TIMEOUT: u32 = 60;
/// Longest name of an owner, a skill or a version.
const MAX_NAME: usize = 128;

#[derive(Debug, Clone, Default, clap::Args)]
#[group(id = "from-clawhub")]
pub(super) struct Options {
    /// Fetch skills that are named as `@OWNER/SLUG` from ClawHub.
    #[arg(long)]
    clawhub: bool,
    /// Another registry.
    #[arg(
        long,
        value_name = "URL",
        env = "OPENCLAW_CLAWHUB_URL",
        default_value = "https://clawhub.ai"
    )]
    clawhub_url: String,
    /// Where archives of commits are.
    #[arg(
        long,
        hide = true,
        env = "CLAWHUB_GITHUB_CODELOAD_BASE_URL",
        default_value = "https://codeload.github.com"
    )]
    codeload_url: String,
}

/// It could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("`{0}` is on ClawHub, which is not asked unless you say --clawhub")]
    Offline(String),
    #[error("`{0}` is no address: https is wanted, or http to this machine")]
    BadUrl(String),
    #[error("curl could not be started ({0}); ClawHub is asked through it")]
    NoCurl(std::io::Error),
    #[error("ClawHub could not be reached: {0}")]
    Unreachable(String),
    #[error("ClawHub has no skill `{0}`")]
    Unknown(String),
    #[error("ClawHub answered with HTTP {0}")]
    Status(u16),
    #[error("ClawHub does not let `{name}` be installed: {why}")]
    Refused { name: String, why: String },
    #[error("ClawHub's answer is not understood: {0}")]
    Answer(String),
}

/// `@owner/slug`, with `@version` where one is wanted.
struct Reference<'r> {
    owner: &'r str,
    slug: &'r str,
    version: Option<&'r str>,
}

fn reference(text: &str) -> Option<Reference<'_>> {
    let (owner, rest) = text.strip_prefix('@')?.split_once('/')?;
    let (slug, version) = match rest.split_once('@') {
        Some((slug, version)) => (slug, Some(version)),
        None => (rest, None),
    };
    let good = |name: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
        !name.is_empty()
            && name.len() <= MAX_NAME
            && name.bytes().all(plain)
            && !name.bytes().all(|b| b == b'.')
    };
    (good(owner) && good(slug) && version.is_none_or(good)).then_some(Reference {
        owner,
        slug,
        version,
    })
}

/// Whether this is the name of a skill on ClawHub, and not a path.
pub(super) fn is_reference(text: &str) -> bool {
    reference(text).is_some() && !std::path::Path::new(text).exists()
}

/// What ClawHub says about an install.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resolution {
    ok: bool,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    archive: Option<Archive>,
    #[serde(default)]
    github: Option<Github>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Archive {
    download_url: String,
}

#[derive(Deserialize)]
struct Github {
    repo: String,
    commit: String,
    #[serde(default)]
    path: String,
}

/// Fetches a skill. What comes back is its archive.
pub(super) fn fetch(name: &str, options: &Options) -> Result<Folder, FetchError> {
    let shown = show::line(name);
    let wanted = reference(name).ok_or_else(|| FetchError::Answer(shown.clone()))?;
    if !options.clawhub {
        return Err(FetchError::Offline(shown));
    }
    let base = address(&options.clawhub_url)?;
    let (url, inside) = if let Some(version) = wanted.version {
        let mut url = join(&base, &["api", "v1", "download"])?;
        url.query_pairs_mut()
            .append_pair("slug", wanted.slug)
            .append_pair("ownerHandle", wanted.owner)
            .append_pair("version", version);
        (url, String::new())
    } else {
        let mut url = join(&base, &["api", "v1", "skills", wanted.slug, "install"])?;
        url.query_pairs_mut().append_pair("ownerHandle", wanted.owner);
        let (status, body) = get(&url, MAX_ANSWER)?;
        // A refusal has a body too.
        if !matches!(status, 200 | 403 | 409 | 410 | 423) {
            return Err(failed(status, &shown));
        }
        let answer: Resolution =
            serde_json::from_slice(&body).map_err(|e| FetchError::Answer(e.to_string()))?;
        resolve(&base, answer, &shown, options)?
    };
    let (status, bytes) = get(&url, MAX_ARCHIVE)?;
    if status != 200 {
        return Err(failed(status, &shown));
    }
    Ok(Folder {
        name: wanted.slug.to_owned(),
        files: vec![Raw { path: format!("{}.zip", wanted.slug), bytes, executable: false }],
        archive: Some(inside),
        ..Folder::default()
    })
}

fn failed(status: u16, name: &str) -> FetchError {
    if status == 404 { FetchError::Unknown(name.to_owned()) } else { FetchError::Status(status) }
}

/// Where the archive is, and the folder of the skill in it.
fn resolve(
    base: &url::Url,
    answer: Resolution,
    name: &str,
    options: &Options,
) -> Result<(url::Url, String), FetchError> {
    if !answer.ok {
        let why = answer.message.unwrap_or_else(|| "it gives no reason".into());
        let why = show::line(&why).chars().take(300).collect();
        return Err(FetchError::Refused { name: name.to_owned(), why });
    }
    if let Some(archive) = answer.archive {
        let url = base
            .join(&archive.download_url)
            .map_err(|e| FetchError::Answer(format!("where the archive is: {e}")))?;
        return Ok((address(url.as_str())?, String::new()));
    }
    let github = answer.github.ok_or_else(|| FetchError::Answer("it names no archive".into()))?;
    let commit = github.commit.to_ascii_lowercase();
    let parts: Vec<&str> = github.repo.split('/').collect();
    // Only a whole commit says which bytes are meant.
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) || parts.len() != 2 {
        return Err(FetchError::Answer("its source is no commit of a repository".into()));
    }
    let path = github.path.replace('\\', "/");
    if path.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(FetchError::Answer("the folder of its source".into()));
    }
    let base = address(&options.codeload_url)?;
    let url = join(&base, &[parts.as_slice(), &["zip", &commit]].concat())?;
    Ok((url, path))
}

/// An address that may be asked.
fn address(text: &str) -> Result<url::Url, FetchError> {
    let bad = || FetchError::BadUrl(show::line(text));
    let url = url::Url::parse(text).map_err(|_| bad())?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"));
    let good = url.scheme() == "https" || url.scheme() == "http" && here;
    (good && url.username().is_empty() && url.password().is_none()).then_some(url).ok_or_else(bad)
}

fn join(base: &url::Url, parts: &[&str]) -> Result<url::Url, FetchError> {
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| FetchError::BadUrl(base.to_string()))?
        .pop_if_empty()
        .extend(parts);
    Ok(url)
}

/// Status and body.
fn get(url: &url::Url, most: u64) -> Result<(u16, Vec<u8>), FetchError> {
    // A parsed address holds no quotation mark, backslash or line end: it has been encoded.
    let scheme = url.scheme();
    let config = format!(
        "url = \"{url}\"\nheader = \"accept: */*\"\nuser-agent = \"seawall\"\nmax-time = {TIMEOUT}\n\
         max-filesize = {most}\nproto = \"={scheme}\"\nproto-redir = \"={scheme}\"\nlocation\nmax-redirs = 3\n\
         silent\nshow-error\nglobooff\nwrite-out = \"\\n%{{http_code}}\"\n"
    );
    let mut child = Command::new("curl")
        .args(["-q", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(FetchError::NoCurl)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(config.as_bytes()).map_err(FetchError::NoCurl)?;
    }
    let mut body = Vec::new();
    if let Some(output) = child.stdout.take() {
        output.take(most + 64).read_to_end(&mut body).map_err(FetchError::NoCurl)?;
    }
    let done = child.wait_with_output().map_err(FetchError::NoCurl)?;
    if !done.status.success() {
        let said = show::line(String::from_utf8_lossy(&done.stderr).trim());
        return Err(FetchError::Unreachable(said.chars().take(300).collect()));
    }
    let end = body.iter().rposition(|b| *b == b'\n');
    let status = end.and_then(|end| std::str::from_utf8(body.get(end + 1..)?).ok()?.parse().ok());
    let (Some(end), Some(status)) = (end, status) else {
        return Err(FetchError::Answer("it was cut short".into()));
    };
    body.truncate(end);
    Ok((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_in_the_registry_and_nothing_else() {
        for name in ["@acme/weather", "@acme/weather@1.2.3", "@a-b/c_d.e@1.0.0+x"] {
            assert!(reference(name).is_some(), "{name}");
        }
        for name in [
            "weather",
            "@acme",
            "@acme/",
            "@/x",
            "@acme/../x",
            "@acme/..",
            "@a/b?c",
            "@a/b@",
            "@a/b c",
            "@a/b\"c",
            "@a/b\nc",
        ] {
            assert!(reference(name).is_none(), "{name}");
        }
    }

    #[test]
    fn only_addresses_of_the_registry_kind_are_asked() {
        for bad in ["http://clawhub.ai", "file:///etc/passwd", "https://u:p@clawhub.ai", "x"] {
            assert!(address(bad).is_err(), "{bad}");
        }
        let base = address("http://127.0.0.1:9/base/").unwrap();
        assert_eq!(join(&base, &["a", "b c"]).unwrap().as_str(), "http://127.0.0.1:9/base/a/b%20c");
        let of = |text: &str| {
            resolve(
                &base,
                serde_json::from_str(text).unwrap(),
                "x",
                &Options {
                    codeload_url: "https://codeload.github.com".into(),
                    ..Options::default()
                },
            )
        };
        assert!(of(r#"{"ok":true,"archive":{"downloadUrl":"file:///etc/passwd"}}"#).is_err());
        assert!(of(r#"{"ok":true,"archive":{"downloadUrl":"http://169.254.169.254/x"}}"#).is_err());
        assert!(of(r#"{"ok":true,"github":{"repo":"a/b","commit":"main","path":""}}"#).is_err());
        assert!(of(r#"{"ok":true,"github":{"repo":"a/../b","commit":"0123456789012345678901234567890123456789"}}"#).is_err());
        let commit = "0123456789012345678901234567890123456789";
        let (url, path) = of(&format!(
            r#"{{"ok":true,"github":{{"repo":"a/b","commit":"{commit}","path":"x/y"}}}}"#
        ))
        .unwrap();
        assert_eq!(
            (url.as_str(), path.as_str()),
            (format!("https://codeload.github.com/a/b/zip/{commit}").as_str(), "x/y")
        );
    }
}
