//! Edits of a JSON5 document that leave every other byte as it is.
//!
//! An edit becomes splices of the text. Comments are never taken away, except those inside a value
//! that is itself replaced or removed. New text follows what is around it: indentation, quotes,
//! line ends, trailing commas.

use super::parse::{Item, Kind, Member, Node, SyntaxError, is_newline, is_plain_name, parse};
use serde_json::Value;
use std::ops::Range;

/// What to do at a path of names.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Make the value this, making the objects above it as needed.
    Set(Vec<String>, Value),
    /// Take the member away; nothing happens when there is none.
    Remove(Vec<String>),
}

/// Why an edit cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The document is not JSON5.
    #[error("{0}")]
    Syntax(#[from] SyntaxError),
    /// Something that is no object is in the way.
    #[error("{line}:{column}: `{key}` is not an object")]
    NotAnObject {
        /// Dotted path of what is in the way; empty for the whole document.
        key: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// The path is empty.
    #[error("no key is named")]
    NoKey,
}

struct Splice {
    range: Range<usize>,
    text: String,
}

/// Applies an edit and returns the new text.
pub fn edit(text: &str, edit: &Edit) -> Result<String, EditError> {
    let root = parse(text)?;
    let style = Style::of(text, &root);
    let mut splices = match edit {
        Edit::Set(path, value) => set(text, &root, path, value, &style)?,
        Edit::Remove(path) => remove(text, &root, path)?,
    };
    splices.sort_by_key(|splice| splice.range.start);
    let mut out = text.to_owned();
    for splice in splices.iter().rev() {
        out.replace_range(splice.range.clone(), &splice.text);
    }
    Ok(out)
}

fn set(
    text: &str,
    root: &Node,
    path: &[String],
    value: &Value,
    style: &Style,
) -> Result<Vec<Splice>, EditError> {
    if path.is_empty() {
        return Err(EditError::NoKey);
    }
    let mut node = root;
    for (depth, name) in path.iter().enumerate() {
        if !matches!(node.kind, Kind::Object(_)) {
            let (line, column) = super::place(text, node.span.start);
            let key = path.get(..depth).unwrap_or(path).join(".");
            return Err(EditError::NotAnObject { key, line, column });
        }
        match node.member(name) {
            Some(member) => node = &member.value,
            None => {
                let rest = path.get(depth + 1..).unwrap_or_default();
                let value = rest.iter().rev().fold(value.clone(), |inner, name| {
                    Value::Object([(name.clone(), inner)].into_iter().collect())
                });
                return Ok(insert(text, node, Some(name), &value, style));
            }
        }
    }
    Ok(replace(text, node, value, style))
}

/// Replaces a value; arrays change item by item where they can, for the sake of their comments.
fn replace(text: &str, node: &Node, value: &Value, style: &Style) -> Vec<Splice> {
    if node.to_value() == *value {
        return Vec::new();
    }
    if let (Kind::Array(items), Value::Array(wanted)) = (&node.kind, value)
        && !items.is_empty()
    {
        let old: Vec<Value> = items.iter().map(|item| item.value.to_value()).collect();
        if let [.., last] = wanted.as_slice()
            && wanted.len() == old.len() + 1
            && wanted.starts_with(&old)
        {
            return insert(text, node, None, last, style);
        }
        if let Some(at) = missing(&old, wanted) {
            return drop_item(text, items, at).unwrap_or_default();
        }
    }
    let indent = line_indent(text, node.span.start);
    let multiline = text.get(node.span.clone()).is_some_and(|t| t.contains(['\n', '\r']));
    let new = if multiline { style.block(value, indent) } else { style.inline(value) };
    vec![Splice { range: node.span.clone(), text: new }]
}

/// The single item of `old` that `new` lacks, when the rest is equal and in order, and something
/// is left. Only one, so that splices of neighbours cannot meet.
fn missing(old: &[Value], new: &[Value]) -> Option<usize> {
    if new.is_empty() || new.len() + 1 != old.len() {
        return None;
    }
    let at = old.iter().zip(new).position(|(a, b)| a != b).unwrap_or(new.len());
    (old.get(at + 1..) == new.get(at..)).then_some(at)
}

fn drop_item(text: &str, items: &[Item], at: usize) -> Option<Vec<Splice>> {
    let item = items.get(at)?;
    let before = at.checked_sub(1).and_then(|at| items.get(at)).and_then(|item| item.comma);
    Some(cut(text, item.value.span.clone(), item.comma, before))
}

fn remove(text: &str, root: &Node, path: &[String]) -> Result<Vec<Splice>, EditError> {
    let (name, parents) = path.split_last().ok_or(EditError::NoKey)?;
    let Some(Kind::Object(members)) = root.at(parents).map(|node| &node.kind) else {
        return Ok(Vec::new());
    };
    // A name that occurs twice goes twice: what is left must not come back to life. Members that
    // are neighbours share no byte: each takes its own comma, and only a last one without a comma
    // takes the one before it, when that one is not gone already.
    let mut splices = Vec::new();
    let mut kept_comma = None;
    for member in members {
        if member.name != *name {
            kept_comma = member.comma;
            continue;
        }
        let span = member.name_span.start..member.value.span.end;
        splices.extend(cut(text, span, member.comma, kept_comma));
    }
    Ok(splices)
}

/// Cuts an element with its comma; the last one without a comma takes the one before it along. A
/// line that would be left empty goes too.
fn cut(text: &str, span: Range<usize>, comma: Option<usize>, before: Option<usize>) -> Vec<Splice> {
    let mut splices = Vec::new();
    let mut end = span.end;
    match comma {
        // Between the value and its comma may be a comment; it stays.
        Some(comma) if blank(text, span.end..comma) => end = comma + 1,
        Some(comma) => splices.push(Splice { range: comma..comma + 1, text: String::new() }),
        None => {
            splices.extend(before.map(|at| Splice { range: at..at + 1, text: String::new() }));
        }
    }
    let line = line_start(text, span.start);
    let tail = text.get(end..).unwrap_or("");
    let spaces = tail.len() - tail.trim_start_matches([' ', '\t']).len();
    let newline = match tail.as_bytes().get(spaces..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\n' | b'\r', ..]) => 1,
        _ => 0,
    };
    let alone = blank(text, line..span.start) && line > 0;
    let range = if alone && newline > 0 {
        line..end + spaces + newline
    } else if newline == 0 {
        span.start..end + spaces
    } else {
        span.start..end
    };
    splices.push(Splice { range, text: String::new() });
    splices
}

/// Adds a member (or, without a name, an item) at the end.
fn insert(
    text: &str,
    node: &Node,
    name: Option<&str>,
    value: &Value,
    style: &Style,
) -> Vec<Splice> {
    let label = name.map(|name| format!("{}: ", style.name(name))).unwrap_or_default();
    // Start of the last element, its end, its comma.
    let last = match &node.kind {
        Kind::Object(members) => {
            members.last().map(|Member { name_span, value, comma, .. }| {
                (name_span.start, value.span.end, *comma)
            })
        }
        Kind::Array(items) => {
            items.last().map(|Item { value, comma }| (value.span.start, value.span.end, *comma))
        }
        Kind::Leaf(_) => None,
    };
    let close = node.span.end.saturating_sub(1);
    let Some((start, end, comma)) = last else {
        let inner = node.span.start + 1..close;
        let outer = line_indent(text, node.span.start);
        let indent = format!("{outer}{}", style.unit);
        if !blank(text, inner.clone()) {
            // Only comments inside: they stay behind the new element.
            let text = format!("{}{indent}{label}{}", style.eol, style.block(value, &indent));
            return vec![Splice { range: inner.start..inner.start, text }];
        }
        let new = if style.multiline {
            let body = style.block(value, &indent);
            format!("{}{indent}{label}{body}{}", style.eol, style.tail(outer))
        } else {
            format!(" {label}{} ", style.inline(value))
        };
        return vec![Splice { range: inner, text: new }];
    };
    let line = line_start(text, start);
    let own_line = blank(text, line..start) && line > node.span.start;
    let after = comma.map_or(end, |comma| comma + 1);
    let mut splices = Vec::new();
    if !own_line {
        // Members share a line: go on in it, before whatever comment follows.
        let new = if comma.is_some() {
            format!(" {label}{},", style.inline(value))
        } else {
            format!(", {label}{}", style.inline(value))
        };
        return vec![Splice { range: after..after, text: new }];
    }
    let indent = text.get(line..start).unwrap_or("");
    if comma.is_none() {
        splices.push(Splice { range: end..end, text: ",".into() });
    }
    let at = end_of_line(text, after, close);
    let trailing = if comma.is_some() { "," } else { "" };
    let new = format!("{}{indent}{label}{}{trailing}", style.eol, style.block(value, indent));
    // Both may fall on the same byte; the order of equal positions is the order of insertion.
    if let Some(first) = splices.first_mut().filter(|first| first.range.start == at) {
        first.text.push_str(&new);
    } else {
        splices.push(Splice { range: at..at, text: new });
    }
    splices
}

/// From behind an element to the end of its line, comments of that line included; before the
/// closing bracket when that stands in the line.
fn end_of_line(text: &str, from: usize, close: usize) -> usize {
    let mut at = from;
    let mut good = from;
    while at < close {
        let rest = text.get(at..close).unwrap_or("");
        if rest.starts_with("//") {
            return at + rest.find(is_newline).unwrap_or(rest.len());
        }
        if rest.starts_with("/*") {
            let length = rest.find("*/").map_or(rest.len(), |end| end + 2);
            if rest.get(..length).is_some_and(|comment| comment.contains(is_newline)) {
                return good;
            }
            at += length;
            good = at;
            continue;
        }
        match rest.chars().next() {
            Some(c) if is_newline(c) => return good,
            Some(c) => at += c.len_utf8(),
            None => break,
        }
    }
    good
}

fn blank(text: &str, range: Range<usize>) -> bool {
    text.get(range).is_some_and(|part| part.chars().all(super::parse::is_space))
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|t| t.rfind(['\n', '\r'])).map_or(0, |newline| newline + 1)
}

fn line_indent(text: &str, at: usize) -> &str {
    let line = text.get(line_start(text, at)..at).unwrap_or("");
    line.get(..line.len() - line.trim_start_matches([' ', '\t']).len()).unwrap_or("")
}

/// How the document is written.
struct Style {
    eol: &'static str,
    unit: String,
    quote: char,
    quoted_names: bool,
    multiline: bool,
    trailing: bool,
}

impl Style {
    fn of(text: &str, root: &Node) -> Self {
        let eol = if text.contains("\r\n") {
            "\r\n"
        } else if text.contains('\r') && !text.contains('\n') {
            "\r"
        } else {
            "\n"
        };
        let mut seen = Seen::default();
        seen.look(text, root);
        let unit = match &root.kind {
            Kind::Object(members) => members.first().map(|m| line_indent(text, m.name_span.start)),
            _ => None,
        };
        let unit = unit.filter(|unit| !unit.is_empty()).unwrap_or("  ").to_owned();
        Self {
            eol,
            unit,
            quote: if seen.single > seen.double { '\'' } else { '"' },
            // A document without names is JSON until it shows otherwise.
            quoted_names: seen.quoted >= seen.plain,
            multiline: seen.double + seen.single + seen.plain == 0
                || text.trim().contains(['\n', '\r']),
            trailing: seen.trailing > 0,
        }
    }

    fn tail(&self, outer: &str) -> String {
        format!("{}{}{outer}", if self.trailing { "," } else { "" }, self.eol)
    }

    fn string(&self, text: &str) -> String {
        let json = Value::String(text.to_owned()).to_string();
        if self.quote == '"' || text.contains(['\'', '"', '\\']) {
            return json;
        }
        format!("'{}'", json.trim_matches('"'))
    }

    fn name(&self, name: &str) -> String {
        if self.quoted_names || !is_plain_name(name) { self.string(name) } else { name.to_owned() }
    }

    fn inline(&self, value: &Value) -> String {
        match value {
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.inline(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(map) if map.is_empty() => "{}".into(),
            Value::Object(map) => {
                let members: Vec<_> = map
                    .iter()
                    .map(|(name, value)| format!("{}: {}", self.name(name), self.inline(value)))
                    .collect();
                format!("{{ {} }}", members.join(", "))
            }
            plain => plain.to_string(),
        }
    }

    /// Objects over several lines; arrays of plain values stay in one.
    fn block(&self, value: &Value, indent: &str) -> String {
        let inner = format!("{indent}{}", self.unit);
        let lines: Vec<String> = match value {
            Value::Object(map) if !map.is_empty() => map
                .iter()
                .map(|(name, value)| format!("{}: {}", self.name(name), self.block(value, &inner)))
                .collect(),
            Value::Array(items) if items.iter().any(|i| i.is_object() || i.is_array()) => {
                items.iter().map(|item| self.block(item, &inner)).collect()
            }
            plain => return self.inline(plain),
        };
        let (open, close) = if value.is_object() { ('{', '}') } else { ('[', ']') };
        let body = lines.join(&format!(",{}{inner}", self.eol));
        format!("{open}{}{inner}{body}{}{close}", self.eol, self.tail(indent))
    }
}

/// Counts of ways of writing.
#[derive(Default)]
struct Seen {
    single: usize,
    double: usize,
    quoted: usize,
    plain: usize,
    trailing: usize,
}

impl Seen {
    fn look(&mut self, text: &str, node: &Node) {
        match &node.kind {
            Kind::Leaf(_) => self.quote(text, &node.span),
            Kind::Array(items) => items.iter().for_each(|item| self.look(text, &item.value)),
            Kind::Object(members) => {
                for member in members {
                    let quoted = text.get(member.name_span.clone());
                    match quoted.is_some_and(|t| t.starts_with(['"', '\''])) {
                        true => {
                            self.quoted += 1;
                            self.quote(text, &member.name_span);
                        }
                        false => self.plain += 1,
                    }
                    self.look(text, &member.value);
                }
                self.trailing += usize::from(members.last().is_some_and(|m| m.comma.is_some()));
            }
        }
    }

    fn quote(&mut self, text: &str, span: &Range<usize>) {
        match text.as_bytes().get(span.start) {
            Some(b'\'') => self.single += 1,
            Some(b'"') => self.double += 1,
            _ => {}
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
