//! The kinds of credentials: where each begins and what makes it one.
//!
//! To add a kind: its name, the fixed text that every one of them holds, and a check of what
//! stands around it. A check may look at a bounded number of bytes only.

use super::keys;

/// A kind of credential.
pub struct Kind {
    /// Name, as used in events and in a rule's `carries`.
    pub name: &'static str,
    /// Fixed texts; each occurrence is checked.
    pub anchors: &'static [&'static str],
    /// Whether the occurrence at `start..end` is a credential.
    pub(super) check: fn(&[u8], usize, usize) -> bool,
}

/// Longest credential body that is looked at.
const MAX_BODY: usize = 256;

/// Number of bytes from `at` on that satisfy the class, up to [`MAX_BODY`].
fn run(bytes: &[u8], at: usize, class: fn(u8) -> bool) -> usize {
    bytes.get(at..).unwrap_or_default().iter().take(MAX_BODY).take_while(|b| class(**b)).count()
}

/// Whether the anchor does not continue a longer word. Only for anchors that random base64 holds
/// now and then: everywhere else a letter in front must not hide a credential.
fn starts_word(bytes: &[u8], start: usize) -> bool {
    let before = start.checked_sub(1).and_then(|i| bytes.get(i));
    !before.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

fn alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b == b'-'
}

fn hex(b: u8) -> bool {
    b.is_ascii_hexdigit()
}

fn base32(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

/// Words of prose after a prefix have no digits; tokens of this length do.
fn has_digit(bytes: &[u8], at: usize, len: usize) -> bool {
    bytes.get(at..at + len).is_some_and(|body| body.iter().any(u8::is_ascii_digit))
}

macro_rules! at_least {
    ($class:ident, $min:literal) => {
        |bytes, _, end| {
            let n = run(bytes, end, $class);
            n >= $min && has_digit(bytes, end, n)
        }
    };
}

/// All kinds, in the order of their names.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "age",
        anchors: &["AGE-SECRET-KEY-1"],
        check: |b, start, end| run(b, end, base32) >= 58 && keys::is_bech32(b, start, 74),
    },
    Kind { name: "anthropic", anchors: &["sk-ant-"], check: at_least!(word, 32) },
    Kind {
        name: "aws",
        anchors: &["AKIA", "ASIA"],
        check: |bytes, _, end| run(bytes, end, base32) >= 16,
    },
    Kind {
        name: "aws-secret",
        anchors: &["aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "SecretAccessKey"],
        check: assigned_40,
    },
    Kind {
        name: "azure-storage",
        anchors: &["AccountKey="],
        check: |b, _, end| run(b, end, base64) >= 64,
    },
    Kind {
        name: "digitalocean",
        anchors: &["dop_v1_", "doo_v1_"],
        check: |b, _, end| run(b, end, hex) >= 64,
    },
    // A bot's token: its id in base64, the time in 6 characters, and the proof.
    Kind { name: "discord", anchors: &["."], check: discord },
    Kind {
        name: "github",
        anchors: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        check: |bytes, _, end| run(bytes, end, |b| alnum(b) || b == b'_') >= 36,
    },
    Kind { name: "gitlab", anchors: &["glpat-", "gldt-", "glrt-"], check: at_least!(word, 20) },
    Kind {
        name: "google",
        anchors: &["AIza"],
        check: |bytes, start, end| starts_word(bytes, start) && run(bytes, end, word) >= 35,
    },
    Kind { name: "google-oauth", anchors: &["GOCSPX-", "ya29."], check: at_least!(word, 24) },
    Kind {
        name: "huggingface",
        anchors: &["hf_"],
        check: |bytes, start, end| starts_word(bytes, start) && run(bytes, end, alnum) >= 34,
    },
    Kind { name: "nostr", anchors: &["nsec1"], check: |b, start, _| keys::is_bech32(b, start, 63) },
    Kind { name: "npm", anchors: &["npm_"], check: at_least!(alnum, 36) },
    Kind {
        name: "openai",
        anchors: &["sk-proj-", "sk-svcacct-", "sk-admin-"],
        check: at_least!(word, 32),
    },
    Kind {
        name: "openai",
        anchors: &["sk-"],
        check: |bytes, start, end| {
            let n = run(bytes, end, word);
            starts_word(bytes, start) && n >= 32 && has_digit(bytes, end, n)
        },
    },
    // A placeholder that OpenClaw made: useless elsewhere, and a sign that somebody tries.
    Kind { name: "openclaw-sentinel", anchors: &["oc-sent-v2"], check: |_, _, _| true },
    Kind { name: "private-key", anchors: &["-----BEGIN "], check: private_key },
    Kind {
        name: "private-key",
        anchors: &["xprv", "yprv", "zprv", "tprv"],
        check: |b, start, _| keys::is_base58check(b.get(start..start + 111)),
    },
    // The first bytes of an OpenSSH key once its armour is off.
    Kind { name: "private-key", anchors: &["openssh-key-v1\0"], check: |_, _, _| true },
    Kind { name: "pypi", anchors: &["pypi-AgE"], check: |b, _, end| run(b, end, word) >= 50 },
    Kind { name: "sendgrid", anchors: &["SG."], check: sendgrid },
    Kind {
        name: "shopify",
        anchors: &["shpat_", "shpss_", "shppa_"],
        check: |b, _, end| run(b, end, hex) >= 32,
    },
    Kind {
        name: "slack",
        anchors: &["xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxe-", "xapp-"],
        check: at_least!(word, 24),
    },
    Kind {
        name: "slack-webhook",
        anchors: &["hooks.slack.com/services/T"],
        check: |b, _, end| run(b, end, |b| alnum(b) || b == b'/') >= 30,
    },
    Kind {
        name: "stripe",
        anchors: &["sk_live_", "rk_live_", "whsec_"],
        check: at_least!(alnum, 24),
    },
    Kind { name: "telegram", anchors: &[":AA"], check: telegram },
];

fn base64(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'+' || b == b'/'
}

/// A name, an assignment of any of the usual forms, and 40 characters of base64.
fn assigned_40(bytes: &[u8], _: usize, end: usize) -> bool {
    let gap = run(bytes, end, |b| matches!(b, b' ' | b'=' | b':' | b'"' | b'\'' | b'>' | b'\\'));
    (1..=8).contains(&gap) && run(bytes, end + gap, base64) == 40
}

/// `-----BEGIN … PRIVATE KEY`, with at most three words between.
fn private_key(bytes: &[u8], _: usize, end: usize) -> bool {
    let line = bytes.get(end..).unwrap_or_default();
    let line = line.get(..line.len().min(48)).unwrap_or_default();
    memchr::memmem::find(line, b"PRIVATE KEY").is_some()
        && memchr::memmem::find(line, b"\n").is_none_or(|at| at >= 11)
}

/// 24 to 28 characters that begin with a letter of the first ids, `.` 6 `.` 27 or more.
fn discord(bytes: &[u8], start: usize, end: usize) -> bool {
    if bytes.get(end + 6) != Some(&b'.') {
        return false;
    }
    let before = bytes.get(..start).unwrap_or_default();
    let id = before.iter().rev().take(29).take_while(|b| word(**b)).count();
    (24..=28).contains(&id)
        && matches!(before.get(start - id), Some(b'M' | b'N' | b'O'))
        && run(bytes, end, word) == 6
        && run(bytes, end + 7, word) >= 27
}

/// `SG.` 22 `.` 43.
fn sendgrid(bytes: &[u8], _: usize, end: usize) -> bool {
    let first = run(bytes, end, word);
    first == 22 && bytes.get(end + first) == Some(&b'.') && run(bytes, end + first + 1, word) >= 43
}

/// 8 to 10 digits, `:AA`, 33 more.
fn telegram(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = bytes.get(..start).unwrap_or_default();
    let digits = before.iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
    (8..=10).contains(&digits) && run(bytes, end, word) >= 32
}
