//! What a file reads as for those who run or load it, and what is odd about its bytes.
//!
//! A shell drops NUL bytes, Node runs a comment that holds one, OpenClaw loads a `SKILL.md` with
//! any bytes: what looks binary is text wherever its name or its first line says so.

use super::{decode, utf16_marked};
use crate::binary;
use crate::code::{Language, language_of};
use std::borrow::Cow;

/// The readings of one file; empty when it is binary.
#[derive(Default)]
pub(crate) struct Readings {
    /// Each judged for itself: the worst counts.
    pub(crate) texts: Vec<String>,
    /// What is odd about it.
    pub(crate) odd: Option<String>,
}

/// Endings of text that is neither a language nor a document to the scanner, but that programs and
/// models read.
const TEXT: &[&str] = &[
    "json", "jsonc", "json5", "yaml", "yml", "toml", "xml", "csv", "ini", "cfg", "conf", "env",
    "svg", "css", "mk", "nix", "ipynb", "service", "plist",
];

/// Encodings in which Python source is what it looks like.
const PLAIN: &[&str] = &[
    "utf-8",
    "utf8",
    "utf-8-sig",
    "utf-8-unix",
    "ascii",
    "us-ascii",
    "latin-1",
    "latin1",
    "iso-8859-1",
    "iso-8859-2",
    "iso-8859-15",
    "iso-latin-1",
    "iso-latin-1-unix",
    "cp1252",
    "cp1251",
    "cp1250",
    "windows-1252",
    "koi8-r",
];

/// How the file reads.
pub(crate) fn readings(path: &str, bytes: &[u8]) -> Readings {
    let raw = plain(bytes);
    let named = text_by_name(path);
    let text = named || raw.starts_with("#!");
    let mut out = Readings::default();
    if !text && binary::data(bytes) && bytes.contains(&0) {
        return out;
    }
    match decode(bytes) {
        Some(decoded) => {
            // Marked or taken for UTF-16: a shell and a model read its bytes all the same.
            let wide = utf16_marked(bytes) || bytes.contains(&0);
            out.texts.push(decoded.replace('\0', ""));
            let same = |a: &str, b: &str| letters(a).eq(letters(b));
            if wide && out.texts.first().is_some_and(|t| !same(t, &raw)) {
                out.odd = Some("reads in two ways: NUL bytes or another encoding in a text".into());
                out.texts.push(raw);
            }
        }
        None if text && !(binary::known(bytes) && path.ends_with(".scpt")) => {
            out.odd = Some("is a text by its name and holds bytes that no text has".into());
            out.texts.push(raw);
        }
        None => return out,
    }
    for text in &mut out.texts {
        let language = language_of(path, text);
        if let Cow::Owned(broken) = line_ends(language, text) {
            out.odd.get_or_insert("has line ends that editors do not show".into());
            *text = broken;
        }
        if language == Some(Language::Python)
            && let Some(name) = cookie(text)
        {
            out.odd.get_or_insert(format!("is written in the encoding `{name}`"));
        }
    }
    out
}

/// The bytes as UTF-8, without NUL and without marks.
fn plain(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).replace('\0', "")
}

/// What is compared of two readings.
fn letters(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !matches!(c, '\u{fffd}' | '\u{feff}' | '\0'))
}

fn text_by_name(path: &str) -> bool {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_lowercase();
    let Some((_, ending)) = name.rsplit_once('.') else {
        return matches!(name.as_str(), "makefile" | "justfile" | "dockerfile" | "rakefile");
    };
    crate::is_document(path) || TEXT.contains(&ending) || language_of(path, "").is_some()
}

/// The text with a line feed wherever its language ends a line. A shell does not end one at a
/// lone carriage return: there the text stays.
fn line_ends(language: Option<Language>, text: &str) -> Cow<'_, str> {
    let script =
        matches!(language, Some(Language::JavaScript | Language::TypeScript | Language::Tsx));
    let follows = match language {
        Some(Language::Python | Language::PowerShell | Language::AppleScript) | None => true,
        Some(_) => script,
    };
    if !follows || !text.contains(['\r', '\u{2028}', '\u{2029}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends = match c {
            '\r' => !matches!(chars.peek(), None | Some('\r' | '\n')),
            '\u{2028}' | '\u{2029}' => script,
            _ => false,
        };
        changed |= ends;
        out.push(if ends { '\n' } else { c });
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// The encoding that Python source declares in its first two lines, when it is an unusual one.
fn cookie(text: &str) -> Option<String> {
    text.lines().take(2).filter(|l| l.trim_start().starts_with('#')).find_map(|line| {
        let (_, rest) = line.split_once("coding")?;
        let rest = rest.strip_prefix([':', '='])?.trim_start();
        let name: String = rest
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() })
            .take(40)
            .collect();
        (!name.is_empty() && !PLAIN.contains(&name.as_str())).then_some(name)
    })
}
