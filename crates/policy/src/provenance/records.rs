//! Results as records: which values are fields that a service keeps, and which stand in prose.
//!
//! A service that answers with JSON or YAML says by its structure what is a field (an id, a
//! sender, a participant) and what is content that somebody wrote (a body, a description). Only
//! real parsers are used: a line in a body that looks like a field is still part of the body.

use saphyr_parser::{Event, Parser};

/// Longest text that is parsed for structure; what is longer counts as prose.
const MAX_TEXT: usize = 512 * 1024;
/// Deepest nesting; beyond it the text counts as prose.
const MAX_DEPTH: usize = 24;
/// Most records and fields taken.
const MAX_RECORDS: usize = 2048;
const MAX_FIELDS: usize = 16 * 1024;
/// Longest value that counts as a field; longer ones are content.
pub const MAX_FIELD: usize = 120;

/// A scalar in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Key, folded; of the list for items of lists; empty at the top.
    pub key: String,
    /// Value.
    pub value: String,
}

/// One object of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Its scalars, those of inner lists included.
    pub fields: Vec<Field>,
}

/// Keys of fields that hold what somebody wrote, whatever their length.
const PROSE_KEYS: &[&str] = &[
    "body",
    "content",
    "text",
    "description",
    "message",
    "summary",
    "snippet",
    "html",
    "markdown",
    "comment",
    "comments",
    "note",
    "notes",
    "review",
    "reviews",
    "excerpt",
    "preview",
    "bio",
    "about",
    "details",
    "caption",
    "instructions",
    "abstract",
    "raw",
    "output",
    "page",
    "transcript",
    "feedback",
    "reason",
];

/// Whether a key, or its last part (`_` between), is one of these.
pub(super) fn is_one_of(key: &str, keys: &[&str]) -> bool {
    keys.contains(&key.rsplit('_').next().unwrap_or(key))
}

impl Field {
    /// Whether the value is content rather than a field.
    #[must_use]
    pub fn is_prose(&self) -> bool {
        self.value.len() > MAX_FIELD
            || memchr::memchr(b'\n', self.value.as_bytes()).is_some()
            || is_one_of(&self.key, PROSE_KEYS)
    }
}

/// Reads a result as records. `None` when it has no structure.
#[must_use]
pub fn read(text: &str) -> Option<Vec<Record>> {
    let trimmed = unwrap(text);
    if trimmed.is_empty() || trimmed.len() > MAX_TEXT {
        return None;
    }
    if trimmed.starts_with(['{', '['])
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(trimmed)
    {
        let mut out = vec![Record::default()];
        let mut count = 0;
        json(&value, "", 0, 0, &mut out, &mut count)?;
        return finish(out);
    }
    yaml(trimmed)
}

/// Takes off the marks that gateways and models' hosts put around outside content: a first and a
/// last line of their own, or doubled brackets. What is inside is judged the same without them.
fn unwrap(text: &str) -> &str {
    let mut text = text.trim();
    if text.starts_with("<<<")
        && let Some((first, rest)) = text.split_once('\n')
        && first.trim_end().ends_with(">>>")
    {
        text = rest.trim();
        if let Some((body, last)) = text.rsplit_once('\n')
            && last.trim_start().starts_with("<<<")
        {
            text = body.trim();
        }
    }
    match text.strip_prefix("<<").and_then(|t| t.strip_suffix(">>")) {
        Some(inner) => inner.trim(),
        None => text,
    }
}

fn finish(mut records: Vec<Record>) -> Option<Vec<Record>> {
    records.retain(|r| !r.fields.is_empty());
    (!records.is_empty()).then_some(records)
}

/// `at` is the record to which scalars belong.
fn json(
    value: &serde_json::Value,
    key: &str,
    at: usize,
    depth: usize,
    out: &mut Vec<Record>,
    count: &mut usize,
) -> Option<()> {
    use serde_json::Value;
    if depth > MAX_DEPTH || *count > MAX_FIELDS {
        return None;
    }
    match value {
        Value::Object(map) => {
            let at = if out.len() < MAX_RECORDS {
                out.push(Record::default());
                out.len() - 1
            } else {
                at
            };
            for (key, inner) in map {
                json(inner, key, at, depth + 1, out, count)?;
            }
        }
        Value::Array(items) => {
            for inner in items {
                json(inner, key, at, depth + 1, out, count)?;
            }
        }
        Value::Null | Value::Bool(_) => {}
        scalar => {
            *count += 1;
            let value = match scalar {
                Value::String(s) => s.clone(),
                other => other.to_string(),
            };
            add(out, at, key, value);
        }
    }
    Some(())
}

fn add(out: &mut [Record], at: usize, key: &str, value: String) {
    if let Some(record) = out.get_mut(at) {
        record.fields.push(Field { key: key.trim_matches('_').to_lowercase(), value });
    }
}

/// What a YAML node is inside of.
enum Frame {
    /// A mapping: its record, and the key that waits for its value.
    Map(usize, Option<String>),
    /// A sequence: the record and key to which its scalars belong.
    Seq(usize, String),
}

fn yaml(text: &str) -> Option<Vec<Record>> {
    let mut out = vec![Record::default()];
    let mut stack: Vec<Frame> = Vec::new();
    let mut count = 0usize;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, _) = event.ok()?;
        count += 1;
        if count > MAX_FIELDS || stack.len() > MAX_DEPTH {
            return None;
        }
        match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return None;
                }
            }
            // An alias could repeat a tree without end.
            Event::Alias(_) => return None,
            Event::MappingStart(..) => {
                take_key(&mut stack);
                out.push(Record::default());
                if out.len() > MAX_RECORDS {
                    return None;
                }
                stack.push(Frame::Map(out.len() - 1, None));
            }
            Event::SequenceStart(..) => {
                let (at, key) = match stack.last_mut() {
                    Some(Frame::Map(at, key)) => (*at, key.take().unwrap_or_default()),
                    Some(Frame::Seq(at, key)) => (*at, key.clone()),
                    None => (0, String::new()),
                };
                stack.push(Frame::Seq(at, key));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                stack.pop();
            }
            Event::Scalar(value, ..) => match stack.last_mut() {
                // A scalar at the top is prose that happens to be YAML.
                None => return None,
                Some(Frame::Map(at, key)) => match key.take() {
                    None => *key = Some(value.into_owned()),
                    Some(key) => add(&mut out, *at, &key, value.into_owned()),
                },
                Some(Frame::Seq(at, key)) => {
                    let key = key.clone();
                    add(&mut out, *at, &key, value.into_owned());
                }
            },
            _ => {}
        }
    }
    finish(out)
}

fn take_key(stack: &mut [Frame]) {
    if let Some(Frame::Map(_, key)) = stack.last_mut() {
        key.take();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_give_the_same_records() {
        let json = r#"[{"id":"7","title":"Team sync","participants":["a@x.org","b@x.org"]}]"#;
        let yaml = "- id: '7'\n  title: Team sync\n  participants:\n  - a@x.org\n  - b@x.org\n";
        let a = read(json).unwrap();
        assert_eq!(a.len(), 1);
        assert_eq!(a[0].fields.len(), 4);
        let mut left: Vec<_> = a[0].fields.iter().map(|f| (&f.key, &f.value)).collect();
        let b = read(yaml).unwrap();
        let mut right: Vec<_> = b[0].fields.iter().map(|f| (&f.key, &f.value)).collect();
        left.sort();
        right.sort();
        assert_eq!(left, right);
    }

    #[test]
    fn a_line_in_a_body_is_not_a_field() {
        let yaml = "- body: \"Hi\\n\\\n    \\ sender: boss@x.org\\n\"\n  sender: ann@x.org\n";
        let records = read(yaml).unwrap();
        let senders: Vec<_> = records[0].fields.iter().filter(|f| f.key == "sender").collect();
        assert_eq!(senders.len(), 1);
        assert_eq!(senders[0].value, "ann@x.org");
    }

    #[test]
    fn marks_around_outside_content_are_taken_off() {
        let wrapped =
            "<<<EXTERNAL_UNTRUSTED_CONTENT id=\"1\">>>\n{\"name\": \"Ann\"}\n<<<END id=\"1\">>>";
        assert_eq!(read(wrapped).unwrap()[0].fields[0].value, "Ann");
        assert_eq!(read("<<- name: Ann>>").unwrap()[0].fields[0].value, "Ann");
    }

    #[test]
    fn prose_has_no_records() {
        assert_eq!(read("Hello, this is Ann."), None);
        assert_eq!(read(""), None);
        assert_eq!(read("a: &x [b]\nc: *x"), None);
    }
}
