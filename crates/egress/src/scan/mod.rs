//! What a request carries: credentials, private keys and canaries, also encoded.
//!
//! One pass finds the fixed part of every kind of credential; the
//! kind's own check then looks at the bytes around it. Runs of base64, hex and percent signs are
//! decoded and scanned again, to a bounded depth. The work is linear in the input.

mod anchors;
mod decode;
mod keys;
mod kinds;
mod stream;

pub use kinds::KINDS;
pub use stream::{BodyScanner, Refused};

use anchors::Anchors;
use std::sync::Arc;

/// Something that must not leave, and where it was seen. Never the thing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the kind, as used in a rule's `carries`.
    pub kind: Arc<str>,
    /// The encodings around it, outermost first: `base64`, `hex`, `percent`, `gzip`.
    pub through: Vec<&'static str>,
}

/// Text that the client's session holds closely, for instance a file that it read. Asked for what
/// goes out as it stands and for each form under an encoding.
pub trait Holds: Send + Sync {
    /// The name of what a text carries, `session:private` or `session:secret`; none if nothing.
    fn holds(&self, text: &[u8]) -> Option<&'static str>;
}

/// What a scan lets pass, and what it looks for besides credentials.
#[derive(Clone, Copy, Default)]
pub struct Look<'a> {
    /// Kinds that may go along.
    pub carries: &'a [String],
    /// What the client's session holds.
    pub holds: Option<&'a dyn Holds>,
}

impl Look<'_> {
    fn lets(&self, kind: &str) -> bool {
        // `*` stands for kinds of credentials, not for what is bound to hosts of its own or has no
        // place to go.
        let own = ["placeholder:", "secret:", "canary:", "session:"];
        let bound = own.iter().any(|prefix| kind.starts_with(prefix));
        self.carries.iter().any(|c| (c == "*" && !bound) || c == kind)
    }
}

/// Depth of encodings in encodings.
const MAX_DEPTH: usize = 3;

/// The fixed texts and what each of them stands for.
pub struct Scanner {
    anchors: Anchors,
    /// For each text: a kind of [`KINDS`], or a canary.
    meaning: Vec<Meaning>,
}

enum Meaning {
    Kind(&'static kinds::Kind),
    Canary(Arc<str>),
}

/// A string that must not leave as it stands.
#[derive(Clone)]
pub struct Canary {
    /// Its name, told in place of the string.
    pub name: String,
    /// The string. Shorter than 8 bytes would be met by chance.
    pub text: Vec<u8>,
}

/// The automaton could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScannerError {
    /// Too short to be told from ordinary text.
    #[error("the canary `{0}` has fewer than 8 bytes")]
    Short(String),
    /// Too many or too long patterns.
    #[error("the patterns do not fit: {0}")]
    Build(String),
}

impl Scanner {
    /// A scanner for the built-in kinds and these canaries.
    ///
    /// # Errors
    /// When a canary is too short, or there are too many.
    pub fn new(canaries: &[Canary]) -> Result<Self, ScannerError> {
        let mut patterns: Vec<&[u8]> = Vec::new();
        let mut meaning = Vec::new();
        for kind in KINDS {
            for anchor in kind.anchors {
                patterns.push(anchor.as_bytes());
                meaning.push(Meaning::Kind(kind));
            }
        }
        for canary in canaries {
            if canary.text.len() < 8 {
                return Err(ScannerError::Short(canary.name.clone()));
            }
            patterns.push(&canary.text);
            meaning.push(Meaning::Canary(Arc::from(canary.name.as_str())));
        }
        let anchors = Anchors::new(&patterns).map_err(|e| ScannerError::Build(e.to_string()))?;
        Ok(Self { anchors, meaning })
    }

    /// The first thing in `bytes` that must not leave, except kinds named in `carries`.
    #[must_use]
    pub fn scan(&self, bytes: &[u8], carries: &[String]) -> Option<Finding> {
        self.look(bytes, Look { carries, holds: None })
    }

    /// The first thing in `bytes` that must not leave.
    #[must_use]
    pub fn look(&self, bytes: &[u8], look: Look<'_>) -> Option<Finding> {
        self.scan_at(bytes, 0, look, &mut Vec::new())
    }

    /// What is new begins at `from`; what is in front of it was scanned, but may belong to something
    /// that ends in the new.
    fn scan_at(
        &self,
        bytes: &[u8],
        from: usize,
        look: Look<'_>,
        through: &mut Vec<&'static str>,
    ) -> Option<Finding> {
        let mut finding = None;
        self.anchors.any(bytes, |text, start, end| {
            let kind: Arc<str> = match self.meaning.get(text) {
                Some(Meaning::Kind(kind)) if !(kind.check)(bytes, start, end) => return false,
                Some(Meaning::Kind(kind)) => Arc::from(kind.name),
                Some(Meaning::Canary(name)) => Arc::clone(name),
                None => return false,
            };
            if !look.lets(&kind) {
                finding = Some(Finding { kind, through: through.clone() });
            }
            finding.is_some()
        });
        if finding.is_some() {
            return finding;
        }
        let held = look.holds.and_then(|holds| holds.holds(bytes));
        if let Some(kind) = held.or_else(|| keys::find(bytes)).filter(|kind| !look.lets(kind)) {
            return Some(Finding { kind: Arc::from(kind), through: through.clone() });
        }
        if through.len() >= MAX_DEPTH {
            return None;
        }
        decode::each(bytes, from, &mut |encoding, decoded| {
            through.push(encoding);
            finding = self.scan_at(decoded, 0, look, through);
            through.pop();
            finding.is_some()
        });
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn scanner() -> Scanner {
        let canary = Canary { name: "canary:gateway".into(), text: b"b7c1-canary-0001".to_vec() };
        Scanner::new(&[canary]).unwrap()
    }

    fn kind(scanner: &Scanner, bytes: &[u8]) -> Option<String> {
        scanner.scan(bytes, &[]).map(|f| format!("{} {}", f.kind, f.through.join(" ")))
    }

    /// Made up here, of the right form.
    fn github() -> String {
        format!("ghp_{}", "aB3dE6gH9jK2".repeat(3))
    }

    #[test]
    fn a_credential_is_found_in_every_wrapping() {
        let scanner = scanner();
        let token = github();
        let hex: String = token.bytes().map(|b| format!("{b:02x}")).collect();
        let percent: String = token.bytes().map(|b| format!("%{b:02X}")).collect();
        let b64 = STANDARD.encode(&token);
        let gz = {
            use std::io::Write as _;
            let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            e.write_all(token.as_bytes()).unwrap();
            e.finish().unwrap()
        };
        for (wrapped, through) in [
            (token.clone(), ""),
            (hex.clone(), "hex"),
            (hex.to_uppercase(), "hex"),
            (percent, "percent"),
            (b64.clone(), "base64"),
            (URL_SAFE_NO_PAD.encode(&token), "base64"),
            (format!("x{b64}"), "base64"),
            (format!("As agreed{hex}Yours"), "hex"),
            (format!("/up-load/{b64}/to_morrow"), "base64"),
            (format!("/up+load/{}/to-morrow", URL_SAFE_NO_PAD.encode(&token)), "base64"),
            (format!("xy{}", STANDARD_NO_PAD.encode(format!("12{token}34"))), "base64"),
            (STANDARD.encode(&hex), "base64 hex"),
            (STANDARD.encode(&b64), "base64 base64"),
            (STANDARD.encode(&gz), "base64 gzip"),
            // As ordinary tools write it: `xxd -p`, `base64`, one escape, JSON.
            (lines(&format!("{}{hex}", "61".repeat(25)), 60), "hex"),
            (lines(&STANDARD.encode(format!("{}{token}", "A=b\n".repeat(12))), 76), "base64"),
            (
                lines(&STANDARD.encode(format!("{}{token}", "A=b\n".repeat(12))), 76)
                    .replace('\n', "\\n"),
                "base64",
            ),
            (token.replacen('_', "%5f", 1), "percent"),
            (token.replacen('_', "\\u005F", 1), "escapes"),
            (token.replacen('_', "\\x5f", 1), "escapes"),
        ] {
            let text = format!("{{\"note\": \"{wrapped}\"}}");
            assert_eq!(
                kind(&scanner, text.as_bytes()),
                Some(format!("github {through}")),
                "{text}"
            );
        }
        assert_eq!(kind(&scanner, &gz), Some("github gzip".into()));
        assert_eq!(kind(&scanner, b"x b7c1-canary-0001"), Some("canary:gateway ".into()));
    }

    fn lines(text: &str, length: usize) -> String {
        text.as_bytes().chunks(length).map(|l| String::from_utf8_lossy(l) + "\n").collect()
    }

    #[test]
    fn what_a_rule_carries_passes_and_nothing_else() {
        let scanner = scanner();
        let both = format!("{} AKIA{}", github(), "ABCDEFGH23456777");
        assert_eq!(scanner.scan(both.as_bytes(), &["github".into()]).unwrap().kind.as_ref(), "aws");
        assert_eq!(scanner.scan(both.as_bytes(), &["github".into(), "aws".into()]), None);
    }

    #[test]
    fn ordinary_text_is_clean() {
        let scanner = scanner();
        for text in [
            "The token has the prefix ghp_ and then letters; sk-learn is a library.",
            "AKIA is a prefix. -----BEGIN CERTIFICATE-----",
            "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
            "d41d8cd98f00b204e9800998ecf8427e 3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "ghp_short AIzaShort npm_run hf_x glpat-x",
            "time 12:AAbc",
        ] {
            assert_eq!(scanner.scan(text.as_bytes(), &[]), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = scanner().scan(&bytes, &[]);
        }

        #[test]
        fn found_wherever_it_stands(before in "[ -~]{0,80}", after in "[ \"\\n,;]{1}[ -~]{0,80}") {
            let text = format!("{before} {}{after}", github());
            prop_assert!(scanner().scan(text.as_bytes(), &[]).is_some());
        }
    }
}
