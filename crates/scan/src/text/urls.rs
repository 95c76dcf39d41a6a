//! Addresses in text: found, taken apart, defanged forms put back.

use crate::content::{Content, HostClass};

/// An address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: String,
    pub(crate) host: String,
    pub(crate) path: String,
    /// Byte offset in the text.
    pub(crate) at: usize,
    /// Byte offset after it.
    pub(crate) end: usize,
}

impl Url {
    /// The host is an address in numbers.
    pub(crate) fn numeric(&self) -> bool {
        numeric(&self.host)
    }

    pub(crate) fn is(&self, content: &Content, class: HostClass) -> bool {
        content.host_is(&self.host, &self.path, class)
    }

    /// Points at something that is meant to be opened as a program or archive.
    pub(crate) fn program(&self) -> bool {
        const ENDINGS: &[&str] = &[
            ".zip",
            ".exe",
            ".dmg",
            ".pkg",
            ".msi",
            ".scr",
            ".bat",
            ".cmd",
            ".ps1",
            ".rar",
            ".7z",
            ".tar.gz",
            ".tgz",
            ".jar",
            ".appimage",
            ".deb",
            ".rpm",
            ".iso",
            ".apk",
            ".command",
            ".vbs",
            ".hta",
            ".lnk",
            ".bin",
            ".run",
        ];
        let path = self.path.split(['?', '#']).next().unwrap_or("").to_ascii_lowercase();
        ENDINGS.iter().any(|ending| path.ends_with(ending)) || path.contains("/releases/download/")
    }
}

/// Private and local addresses: nobody outside is behind them.
pub(crate) fn local(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".local")
        || host.ends_with(".internal")
        || host.ends_with(".localhost")
        || host.starts_with("127.")
        || host.starts_with("10.")
        || host.starts_with("192.168.")
        || host == "0.0.0.0"
        || host.starts_with("[::1")
        || host
            .strip_prefix("172.")
            .and_then(|rest| rest.split('.').next())
            .and_then(|n| n.parse::<u8>().ok())
            .is_some_and(|n| (16..32).contains(&n))
}

pub(crate) fn numeric(host: &str) -> bool {
    if local(host) {
        return false;
    }
    let parts: Vec<&str> = host.split('.').collect();
    let decimal = parts.len() == 4 && parts.iter().all(|p| p.parse::<u8>().is_ok());
    // Documentation ranges (RFC 5737) are examples.
    let example = ["192.0.2.", "198.51.100.", "203.0.113."].iter().any(|p| host.starts_with(p));
    let single = parts.len() == 1 && host.len() > 6 && host.bytes().all(|b| b.is_ascii_digit());
    let hex = host.len() > 2
        && host.starts_with("0x")
        && host.bytes().skip(2).all(|b| b.is_ascii_hexdigit() || b == b'.');
    (decimal && !example) || single || hex || (host.starts_with('[') && host.contains(':'))
}

/// Every `scheme://…` in `text`, at most `max`.
pub(crate) fn find(text: &str, max: usize) -> Vec<Url> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut from = 0;
    while out.len() < max {
        let Some(rel) = text.get(from..).and_then(|t| t.find("://")) else { break };
        let sep = from + rel;
        let mut start = sep;
        while start > 0 && bytes.get(start - 1).is_some_and(u8::is_ascii_alphanumeric) {
            start -= 1;
        }
        let mut end = sep + 3;
        while let Some(b) = bytes.get(end) {
            if b.is_ascii_whitespace()
                || matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|' | b'^')
                || *b < 32
            {
                break;
            }
            end += 1;
        }
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let raw = text.get(start..end).unwrap_or("");
        let raw = raw.trim_end_matches(['.', ',', ';', ':', '!', '*', '_', '。', '，']);
        let raw = unbalanced(raw);
        if let Some(url) = parse(raw, start) {
            out.push(url);
        }
        from = end.max(sep + 3);
    }
    out
}

/// A closing bracket that was opened before the address belongs to the prose.
fn unbalanced(raw: &str) -> &str {
    let mut depth = 0i32;
    for (at, c) in raw.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                if depth < 0 {
                    return raw.get(..at).unwrap_or(raw);
                }
            }
            _ => {}
        }
    }
    raw
}

pub(crate) fn parse(raw: &str, at: usize) -> Option<Url> {
    let (scheme, rest) = raw.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(
        scheme.as_str(),
        "http"
            | "https"
            | "ftp"
            | "ws"
            | "wss"
            | "hxxp"
            | "hxxps"
            | "stratum"
            | "tcp"
            | "git"
            | "ssh"
            | "socks5"
    ) {
        return None;
    }
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(cut) => (rest.get(..cut)?, rest.get(cut..)?),
        None => (rest, ""),
    };
    let host = authority.rsplit('@').next()?;
    let host = if host.starts_with('[') {
        host.split(']').next().map(|h| format!("{h}]"))?
    } else {
        host.split(':').next()?.to_owned()
    };
    let host = host.to_lowercase();
    if host.is_empty() || host.len() > 253 {
        return None;
    }
    Some(Url { scheme, host, path: path.to_owned(), at, end: at + raw.len() })
}

/// The part of a host name that its owner registered: the last two labels, or three where the
/// second-last is a public suffix in its own right.
pub(crate) fn registered(host: &str) -> &str {
    const SECOND: &[&str] = &[
        "co",
        "com",
        "org",
        "net",
        "ac",
        "gov",
        "edu",
        "github",
        "vercel",
        "netlify",
        "pages",
        "workers",
        "onrender",
        "herokuapp",
        "web",
        "firebaseapp",
        "fly",
        "railway",
        "ngrok-free",
        "ngrok",
    ];
    let labels: Vec<usize> = host.rmatch_indices('.').map(|(at, _)| at).collect();
    let second = match (labels.first(), labels.get(1)) {
        (Some(last), Some(before)) => host.get(before + 1..*last).unwrap_or(""),
        (Some(last), None) => host.get(..*last).unwrap_or(""),
        _ => return host,
    };
    let top = labels.first().and_then(|at| host.get(at + 1..)).unwrap_or("");
    let deep = SECOND.contains(&second)
        && (top.len() <= 3
            || matches!(
                second,
                "github" | "vercel" | "netlify" | "pages" | "workers" | "ngrok-free"
            ))
        && labels.len() > 1;
    let keep = if deep { labels.get(2) } else { labels.get(1) };
    keep.and_then(|at| host.get(at + 1..)).unwrap_or(host)
}
