//! Text out of numbers, encodings and the environment.

use crate::code::value::{Labels, Value, secret_name};
use crate::text::blob;

/// One variable of the environment.
pub(crate) fn env_value(name: &str) -> Value {
    match name {
        "HOME" | "USERPROFILE" => Value::text("~"),
        "TMPDIR" | "TEMP" | "TMP" => Value::text("/tmp"),
        _ if secret_name(name) => Value::labelled(Labels::ENV_SECRET, name),
        _ => Value::default(),
    }
}

pub(super) fn characters(values: &[Value]) -> Value {
    let codes = values
        .iter()
        .flat_map(|v| if v.list.is_empty() { vec![v.clone()] } else { v.list.clone() });
    let mut text = String::new();
    for code in codes {
        match code.known().and_then(|t| t.parse::<u32>().ok()).and_then(char::from_u32) {
            Some(c) => text.push(c),
            None => return Value { labels: Labels::DECODED, ..Value::default() },
        }
    }
    let mut out = Value::text(text);
    out.labels = Labels::DECODED;
    out
}

pub(super) fn decode(name: &str, receiver: &Value, values: &[Value]) -> Value {
    let source = values
        .first()
        .filter(|v| !v.texts.is_empty() || !v.list.is_empty() || v.labels != Labels::NONE);
    let source = source.cloned().unwrap_or_else(|| receiver.clone());
    if name == "Buffer.from"
        && !values
            .get(1)
            .and_then(Value::known)
            .is_some_and(|e| matches!(e, "base64" | "hex" | "base64url"))
    {
        // A buffer of bytes spelt out is hidden text; a buffer of text is that text.
        if !source.list.is_empty() {
            return characters(&source.list);
        }
        return source;
    }
    if name.ends_with("fromCharCode") || name.ends_with("fromCodePoint") || name == "[char]" {
        return characters(values);
    }
    let mut out = source.clone();
    out.labels = out.labels.with(Labels::DECODED);
    out.texts = source
        .texts
        .iter()
        .filter_map(|text| {
            if name.contains("nquote") || name.contains("URIComponent") || name.contains("nescape")
            {
                return Some(percent(text));
            }
            if name == "codecs.decode"
                && values.get(1).and_then(Value::known).is_some_and(|c| c.starts_with("rot"))
            {
                return Some(rot13(text));
            }
            if name == ".translate"
                || name.contains("ecompress")
                || name.contains("nflate")
                || name.contains("unzip")
            {
                return Some(text.clone());
            }
            blob::decode_any(text)
        })
        .collect();
    out
}

fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .filter(|_| *b == b'%')
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*b);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn rot13(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='m' | 'A'..='M' => char::from_u32(c as u32 + 13).unwrap_or(c),
            'n'..='z' | 'N'..='Z' => char::from_u32(c as u32 - 13).unwrap_or(c),
            _ => c,
        })
        .collect()
}
