//! Text that is a credential whatever file it came from: the shapes that providers give theirs.

use aho_corasick::{AhoCorasick, Input, MatchKind};
use std::sync::LazyLock;

/// Beginnings that providers print on their secrets, and the length from which they count.
const PREFIXES: &[(&str, usize)] = &[
    ("sk-ant-", 20),
    ("sk-proj-", 20),
    ("sk-", 32),
    ("ghp_", 30),
    ("gho_", 30),
    ("ghs_", 30),
    ("ghu_", 30),
    ("github_pat_", 30),
    ("glpat-", 20),
    ("xoxb-", 20),
    ("xoxp-", 20),
    ("xoxa-", 20),
    ("xapp-", 20),
    ("AKIA", 20),
    ("ASIA", 20),
    ("AIza", 35),
    ("ya29.", 30),
    ("npm_", 30),
    ("pypi-", 40),
    ("dop_v1_", 40),
    ("SG.", 40),
    ("sk_live_", 20),
    ("rk_live_", 20),
    ("hf_", 30),
    ("shpat_", 30),
    ("dckr_pat_", 20),
    ("age-secret-key-", 40),
    ("AGE-SECRET-KEY-", 40),
    ("eyJhbGciOi", 60),
    ("whsec_", 30),
    ("oc-sent-", 12),
    ("tskey-", 20),
    ("vault:v1:", 20),
    ("hvs.", 24),
    ("-----BEGIN OPENSSH PRIVATE", 26),
    ("-----BEGIN RSA PRIVATE", 22),
    ("-----BEGIN PRIVATE KEY", 22),
    ("-----BEGIN EC PRIVATE", 21),
    ("-----BEGIN PGP PRIVATE", 22),
    ("-----BEGIN ENCRYPTED PRIVATE", 28),
];

static FINDER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(PREFIXES.iter().map(|(p, _)| p))
        .ok()
});

/// Whether a text holds something in the shape of a credential. Errs to yes when it cannot tell.
#[must_use]
pub fn present(text: &str) -> bool {
    let Some(finder) = &*FINDER else { return true };
    let mut from = 0;
    while let Some(found) = finder.find(Input::new(text).range(from..)) {
        if is_secret(text, found.start()) {
            return true;
        }
        from = found.start() + 1;
    }
    false
}

/// Whether a credential begins at a place where one of the prefixes stands.
fn is_secret(text: &str, at: usize) -> bool {
    // The prefix must begin a word: `task-...` is not `sk-...`.
    let before = text.get(..at).and_then(|t| t.chars().next_back());
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return false;
    }
    let rest = text.get(at..).unwrap_or_default();
    if rest.starts_with('-') {
        return true;
    }
    let run = rest
        .bytes()
        .take_while(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=')
        })
        .count();
    rest.bytes().take(run).any(|b| b.is_ascii_digit())
        && PREFIXES.iter().any(|(prefix, least)| run >= *least && rest.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_credentials_are_seen_and_words_are_not() {
        let made_up = format!("key=sk-ant-{}", "a1b2c3d4e5f6g7h8");
        assert!(present(&made_up));
        assert!(present("-----BEGIN OPENSSH PRIVATE KEY-----\nabc"));
        assert!(!present("the task-list and the risk-assessment, sk-etch"));
        assert!(!present("AKIA is a prefix"));
    }
}
