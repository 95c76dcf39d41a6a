//! Programs that turn text into other text: `tr`, `base64 -d`, `openssl enc -d`.

use super::{after, read_all};
use crate::code::flow::Flow;
use crate::code::value::{Labels, Value};
use crate::text::blob;

/// `tr FROM TO`, `tr -d SET` on constant text.
pub(super) fn transliterate(value: &mut Value, texts: &[&str]) {
    let sets: Vec<Vec<char>> =
        texts.iter().filter(|t| !t.starts_with('-') || t.len() == 1).map(|t| set(t)).collect();
    let deletes = texts.iter().any(|t| t.starts_with('-') && t.contains('d'));
    let (from, to) = match sets.as_slice() {
        [from] if deletes => (from, None),
        [from, to] if !deletes && !to.is_empty() => (from, Some(to)),
        // Squeezing and complements: what comes out is not known.
        _ => return value.texts.clear(),
    };
    // Changing case shows the same word; anything else spells another one.
    let plain = to.is_none_or(|to| {
        from.iter().zip(to).all(|(a, b)| a.eq_ignore_ascii_case(b) || !a.is_alphanumeric())
    });
    *value = value.map(|text| {
        Some(
            text.chars()
                .filter_map(|c| match (from.iter().position(|f| *f == c), to) {
                    (None, _) => Some(c),
                    (Some(_), None) => None,
                    // The last character of a short set stands for the rest.
                    (Some(at), Some(to)) => to.get(at).or_else(|| to.last()).copied(),
                })
                .collect(),
        )
    });
    if !plain {
        value.labels = value.labels.with(Labels::DECODED);
    }
}

/// The characters of a set, ranges written out.
fn set(text: &str) -> Vec<char> {
    let text = match text {
        "[:lower:]" => "a-z",
        "[:upper:]" => "A-Z",
        "[:digit:]" => "0-9",
        "[:space:]" => " \t\r\n",
        other => other,
    };
    let chars: Vec<char> = blob::unescape(text).chars().take(512).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = chars.get(at).copied() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(last)) if first <= *last && (*last as u32 - first as u32) < 256 => {
                out.extend(first..=*last);
                at += 3;
            }
            _ => {
                out.push(first);
                at += 1;
            }
        }
    }
    out
}

pub(super) fn decode(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
    let texts: Vec<&str> = rest.iter().map(|v| v.likely().unwrap_or("")).collect();
    let decodes = match program {
        "xxd" => texts.iter().any(|t| t.starts_with('-') && t.contains('r')),
        "openssl" => {
            texts.contains(&"-d")
                && (texts.contains(&"enc")
                    || texts.contains(&"base64")
                    || texts.iter().any(|t| t.starts_with("aes")))
                || texts.contains(&"-decrypt")
        }
        "uudecode" | "gunzip" | "zcat" | "unxz" => true,
        _ => texts.iter().any(|t| matches!(*t, "-d" | "-D" | "--decode" | "-di" | "-id")),
    };
    let files: Vec<Value> =
        rest.iter().filter(|v| v.likely().is_some_and(|t| !t.starts_with('-'))).cloned().collect();
    let input =
        if program == "openssl" { stdin.clone() } else { read_all(flow, &files, stdin, line) };
    if !decodes {
        return Value { texts: Vec::new(), ..input };
    }
    let mut out = input.map(blob::decode_any);
    if program != "gunzip" && program != "zcat" {
        out.labels = out.labels.with(Labels::DECODED);
    }
    if let Some(path) = after(rest, &["-o", "-out"]).and_then(Value::likely).map(str::to_owned) {
        flow.store(line, &path, &out);
    }
    out
}
