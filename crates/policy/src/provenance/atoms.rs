//! Atoms: the values in a text by which something is addressed.

use std::ops::Range;

/// Most atoms taken from one text.
pub const MAX_ATOMS: usize = 4096;

/// Kinds of atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A URL, or a host name.
    Link,
    /// A mail address or a handle with a host.
    Address,
    /// A number or code that accounts, cards and phones have.
    Account,
    /// A path or file name.
    Path,
}

impl Kind {
    /// Whether a person who receives it could act on it to their harm.
    #[must_use]
    pub fn actionable(self) -> bool {
        !matches!(self, Self::Path)
    }
}

/// One atom of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atom {
    /// What it is.
    pub kind: Kind,
    /// Folded value.
    pub value: String,
    /// Where it stands in the text.
    pub at: Range<usize>,
}

/// Top-level domains that are far more often file endings, in order.
const FILE_ENDINGS: &[&str] = &[
    "bak", "c", "cfg", "cjs", "conf", "cpp", "cs", "css", "csv", "db", "dll", "doc", "docx", "eml",
    "exe", "gif", "go", "gz", "h", "hpp", "htm", "html", "ics", "ini", "ipynb", "java", "jpeg",
    "jpg", "js", "json", "lock", "log", "md", "mjs", "mp3", "mp4", "odt", "pdf", "pl", "png",
    "ppt", "pptx", "py", "rb", "rs", "rtf", "sh", "so", "sqlite", "svg", "tar", "tex", "toml",
    "ts", "tsv", "txt", "xls", "xlsx", "xml", "yaml", "yml", "zip",
];

/// Takes the atoms of a text, in order. Linear in the text.
#[must_use]
pub fn of(text: &str) -> Vec<Atom> {
    let mut out = Vec::new();
    let bytes = text.as_bytes();
    let mut from = 0;
    // Without one of these a token addresses nothing: most words have none.
    while let Some(found) = memchr::memchr3(b'.', b'/', b'@', bytes.get(from..).unwrap_or_default())
    {
        let mark = from + found;
        let range = token_start(text, from, mark)..token_end(text, mark);
        from = range.end;
        token(text, range, &mut out);
        if out.len() >= MAX_ATOMS {
            return out;
        }
    }
    accounts(text, &mut out);
    out
}

/// Where the token begins that a place is in; not before `from`.
fn token_start(text: &str, from: usize, place: usize) -> usize {
    let before = text.get(from..place).unwrap_or_default();
    let mut length = before.len();
    for (at, b) in before.bytes().enumerate().rev() {
        match PARTS.get(usize::from(b)) {
            Some(true) => length = at,
            Some(false) => return from + length,
            // Not ASCII: by characters.
            None => {
                let part = |(_, c): &(usize, char)| is_part(*c);
                let first = before.char_indices().rev().take_while(part).last();
                return from + first.map_or(before.len(), |(at, _)| at);
            }
        }
    }
    from + length
}

/// Where the token ends that a place is in.
fn token_end(text: &str, place: usize) -> usize {
    let rest = text.get(place..).unwrap_or_default();
    for (at, b) in rest.bytes().enumerate() {
        match PARTS.get(usize::from(b)) {
            Some(true) => {}
            Some(false) => return place + at,
            None => return place + rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
        }
    }
    text.len()
}

fn is_part(c: char) -> bool {
    u8::try_from(c)
        .ok()
        .and_then(|b| PARTS.get(usize::from(b)))
        .copied()
        .unwrap_or(c.is_alphanumeric())
}

/// Characters of ASCII that tokens are made of.
const PARTS: [bool; 128] = {
    let mut parts = [false; 128];
    let mut i = 0;
    while i < 128 {
        let b = i as u8;
        #[expect(clippy::indexing_slicing, reason = "below the length, and at build time")]
        {
            parts[i] = b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'.' | b'-'
                        | b'_'
                        | b'@'
                        | b':'
                        | b'/'
                        | b'%'
                        | b'+'
                        | b'~'
                        | b'#'
                        | b'?'
                        | b'='
                        | b'&'
                        | b'$'
                );
        }
        i += 1;
    }
    parts
};

fn token(text: &str, range: Range<usize>, out: &mut Vec<Atom>) {
    let Some(raw) = text.get(range.clone()) else { return };
    let trimmed = raw.trim_matches(|c: char| {
        matches!(c, '.' | ':' | '-' | '?' | '&' | '=' | '#' | '+' | '~' | '$')
    });
    if trimmed.len() < 3
        || trimmed.len() > 2048
        || memchr::memchr3(b'.', b'/', b'@', trimmed.as_bytes()).is_none()
    {
        return;
    }
    let folded = trimmed.to_lowercase();
    let mut push = |kind: Kind, value: String| out.push(Atom { kind, value, at: range.clone() });
    if let Some((scheme, rest)) = without_scheme(&folded) {
        if !rest.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) {
            push(Kind::Link, link(rest));
        }
        return;
    }
    let mut address = folded.as_str();
    while let Some(rest) = address.strip_prefix("mailto:") {
        address = rest;
    }
    if let Some((local, host)) = address.split_once('@') {
        if !local.is_empty() && looks_like_host(host) {
            push(Kind::Address, address.to_owned());
        }
        return;
    }
    let head = folded.split(['/', '?', '#', ':']).next().unwrap_or_default();
    if looks_like_host(head) {
        push(Kind::Link, link(&folded));
        return;
    }
    let last = folded.rsplit('/').next().unwrap_or_default();
    let ending = last.rsplit_once('.').map(|(stem, e)| (!stem.is_empty(), e));
    if (last.len() < folded.len() && folded.len() > 3)
        || ending.is_some_and(|(stem, e)| stem && is_file_ending(e))
    {
        push(Kind::Path, folded);
    }
}

/// What stands before and behind the first `://`.
fn without_scheme(text: &str) -> Option<(&str, &str)> {
    memchr::memchr_iter(b':', text.as_bytes())
        .find_map(|at| Some((text.get(..at)?, text.get(at..)?.strip_prefix("://")?)))
}

/// A link without scheme, `www.` and a closing slash: the same page under each spelling.
#[must_use]
pub fn link(text: &str) -> String {
    let text = without_scheme(text).map_or(text, |(_, rest)| rest);
    let text = text.strip_prefix("www.").unwrap_or(text);
    text.trim_end_matches('/').to_lowercase()
}

fn is_file_ending(text: &str) -> bool {
    FILE_ENDINGS.binary_search(&text).is_ok()
}

fn looks_like_host(text: &str) -> bool {
    let Some((stem, last)) = text.rsplit_once('.') else { return false };
    if stem.is_empty() || text.contains("..") || text.len() > 253 {
        return false;
    }
    if !text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return false;
    }
    let number = text.split('.').all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    if number {
        return text.split('.').count() == 4;
    }
    (2..=24).contains(&last.len())
        && last.chars().all(char::is_alphabetic)
        && stem.chars().any(char::is_alphabetic)
        && (!is_file_ending(last) || stem.starts_with("www."))
}

/// Account numbers, card numbers, phone numbers, long codes: runs with many digits, spaces and
/// dashes allowed inside.
fn accounts(text: &str, out: &mut Vec<Atom>) {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() && out.len() < MAX_ATOMS {
        let starts = |b: &u8| b.is_ascii_digit() || *b == b'+' || b.is_ascii_uppercase();
        let Some(next) = bytes.get(i..).and_then(|rest| rest.iter().position(starts)) else {
            break;
        };
        i += next;
        let joined = i > 0 && bytes.get(i - 1).is_some_and(u8::is_ascii_alphanumeric);
        if joined {
            i += 1;
            continue;
        }
        let (mut digits, mut letters, mut j, mut end) = (0usize, 0usize, i, i);
        while let Some(&c) = bytes.get(j) {
            match c {
                b'0'..=b'9' => {
                    digits += 1;
                    end = j + 1;
                }
                b'A'..=b'Z' | b'a'..=b'z' if letters < 6 && c.is_ascii_uppercase() => {
                    letters += 1;
                    end = j + 1;
                }
                b' ' | b'-' | b'.' | b'(' | b')' | b'+' => {
                    // One separator at a time, and only between digits.
                    let next = bytes.get(j + 1);
                    if (digits == 0 || !next.is_some_and(|n| n.is_ascii_digit() || *n == b'('))
                        && !(c == b'+' && digits == 0)
                    {
                        break;
                    }
                }
                _ => break,
            }
            j += 1;
            if j - i > 48 {
                break;
            }
        }
        let run = text.get(i..end).unwrap_or_default();
        if digits >= 8 && digits >= letters * 2 && !looks_like_date(run) {
            let kept = run.chars().filter(char::is_ascii_alphanumeric);
            let value = kept.map(|c| c.to_ascii_lowercase()).collect();
            out.push(Atom { kind: Kind::Account, value, at: i..end });
        }
        i = end.max(i + 1);
    }
}

/// Dates and times have eight digits and more, and address nothing.
fn looks_like_date(text: &str) -> bool {
    let mut parts = text.split(['-', ' ', '.', ':']);
    let year = parts.next().unwrap_or_default();
    let month = parts.next().unwrap_or_default();
    let day = parts.next().unwrap_or_default();
    let num = |s: &str| s.parse::<u32>().unwrap_or(99_999);
    (year.len() == 4 && (1900..2200).contains(&num(year)) && num(month) <= 12 && num(day) <= 31)
        || (day.len() == 4
            && (1900..2200).contains(&num(day))
            && num(month) <= 12
            && num(year) <= 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(Kind, String)> {
        of(text).into_iter().map(|a| (a.kind, a.value)).collect()
    }

    #[test]
    fn what_addresses_something_is_found() {
        assert_eq!(
            values("See https://www.Example.com/a?b=c, or mail Ann.B@x.org."),
            vec![(Kind::Link, "example.com/a?b=c".into()), (Kind::Address, "ann.b@x.org".into())]
        );
        assert_eq!(values("visit www.shop.zip now"), vec![(Kind::Link, "shop.zip".into())]);
        assert_eq!(values("open notes/today.md"), vec![(Kind::Path, "notes/today.md".into())]);
        assert_eq!(
            values("IBAN DE89 3704 0044 0532 0130 00"),
            vec![(Kind::Account, "de89370400440532013000".into())]
        );
        assert_eq!(values("call +41 44 668 18 00"), vec![(Kind::Account, "41446681800".into())]);
    }

    #[test]
    fn dates_numbers_and_words_are_not_atoms() {
        for text in
            ["on 2024-05-15 10:00", "12 eggs", "e.g. this", "v1.2.3", "3.14", "Hello. World"]
        {
            assert_eq!(values(text), vec![], "{text}");
        }
    }

    #[test]
    fn file_endings_are_in_order() {
        assert!(FILE_ENDINGS.is_sorted());
    }

    #[test]
    fn an_address_literal_is_a_link() {
        assert_eq!(values("10.0.0.1:80/x"), vec![(Kind::Link, "10.0.0.1:80/x".into())]);
    }
}
