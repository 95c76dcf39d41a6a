//! `seawall skill tools`: what an MCP server offers, held to what was approved.
//!
//! A tool's description and schema are instructions that the model obeys, and so are a server's own
//! instructions and what it says of its prompts and resources. A server may change them at any start,
//! after it was reviewed. What was approved is kept in the lockfile, one by one; whatever differs is
//! held until a person has seen the difference.

use super::load::{Folder, Raw};
use super::show;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// Largest list that is read: hundreds of tools with long schemas.
pub(crate) const MAX_LIST: u64 = 8 << 20;
/// Most tools of one server. A model cannot choose among so many.
const MAX_TOOLS: usize = 2_000;
/// Deepest schema; the same as the parser's own limit.
const MAX_DEPTH: usize = 100;

/// One MCP server as it was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pin {
    /// Hash over all tools.
    pub(crate) hash: String,
    /// Each tool by its name, as canonical JSON.
    pub(crate) tools: BTreeMap<String, String>,
    /// Who decided.
    pub(crate) by: String,
    /// Unix time in seconds.
    pub(crate) at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// The list is not one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListError {
    #[error("it is no JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it holds no list: `tools`, `result.tools` or an array is wanted")]
    NoList,
    #[error("more than {MAX_TOOLS} tools")]
    TooMany,
    #[error("tool {0} has no name")]
    NoName(usize),
    #[error("two tools are called `{0}`: which one runs cannot be told")]
    Twice(String),
}

/// What a server offers besides tools: the list's name in its answers, what names an entry of it, and
/// what stands before that name in a pin. No tool has a blank in its name.
pub(crate) const OTHERS: [(&str, &str, &str); 3] = [
    ("prompts", "name", "prompt "),
    ("resources", "uri", "resource "),
    ("resourceTemplates", "uriTemplate", "resource template "),
];

/// The name of a server's own instructions in a pin.
pub(crate) const INSTRUCTIONS: &str = "the server's instructions";

/// What an answer to `tools/list` offers, with or without its envelope, by name; also what else the
/// relay has written down of a server.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, ListError> {
    let json: Value = serde_json::from_str(text)?;
    let json = json.get("result").unwrap_or(&json);
    let mut out = BTreeMap::new();
    let mut take = |list: &Vec<Value>, key: &str, prefix: &str| -> Result<(), ListError> {
        if list.len() > MAX_TOOLS {
            return Err(ListError::TooMany);
        }
        for (index, one) in list.iter().enumerate() {
            let name = one.get(key).and_then(Value::as_str).filter(|n| !n.is_empty());
            let name = format!("{prefix}{}", name.ok_or(ListError::NoName(index + 1))?);
            if out.insert(name.clone(), pinned(one)).is_some() {
                return Err(ListError::Twice(name));
            }
        }
        Ok(())
    };
    let list = json.get("tools").unwrap_or(json).as_array().ok_or(ListError::NoList)?;
    take(list, "name", "")?;
    for (name, key, prefix) in OTHERS {
        if let Some(list) = json.get(name) {
            take(list.as_array().ok_or(ListError::NoList)?, key, prefix)?;
        }
    }
    if let Some(text) = json.get("instructions") {
        out.insert(INSTRUCTIONS.to_owned(), pinned(&serde_json::json!({ "text": text })));
    }
    Ok(out)
}

/// A tool as canonical JSON: what a pin holds.
pub(crate) fn pinned(tool: &Value) -> String {
    canonical(tool, 0).to_string()
}

/// The same value with its keys in order, whatever order the server wrote them in.
fn canonical(value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(map) if depth < MAX_DEPTH => {
            let sorted: BTreeMap<&String, Value> =
                map.iter().map(|(k, v)| (k, canonical(v, depth + 1))).collect();
            sorted.into_iter().map(|(k, v)| (k.clone(), v)).collect()
        }
        Value::Array(list) if depth < MAX_DEPTH => {
            list.iter().map(|v| canonical(v, depth + 1)).collect()
        }
        other => other.clone(),
    }
}

/// One hash over all of them.
pub(crate) fn hash(tools: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, text) in tools {
        // Lengths keep two tools from being read as one.
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    hex::encode(hasher.finalize())
}

/// What changed, in words; empty when nothing did.
pub(crate) fn changes(
    before: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut out = Vec::new();
    for (name, text) in now {
        match before.get(name) {
            None => {
                out.push(format!("+ {}: new", show::line(name)));
                for (key, value) in object(text) {
                    let (name, key) = (show::line(name), show::line(&key));
                    out.push(format!("  {name}: {key} is  {}", told(Some(&value))));
                }
            }
            Some(old) if old != text => {
                let (name, old, new) = (show::line(name), object(old), object(text));
                let keys: std::collections::BTreeSet<&String> =
                    old.keys().chain(new.keys()).collect();
                for key in keys.into_iter().filter(|k| old.get(*k) != new.get(*k)) {
                    let (was, is) = (old.get(key), new.get(key));
                    let key = show::line(key);
                    out.push(format!("~ {name}: {key} was {}", told(was)));
                    out.push(format!("  {name}: {key} is  {}", told(is)));
                }
            }
            Some(_) => {}
        }
    }
    out.extend(
        before
            .keys()
            .filter(|n| !now.contains_key(*n))
            .map(|n| format!("- {}: gone", show::line(n))),
    );
    out
}

/// A field's value, for a person.
fn told(value: Option<&Value>) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::String(text)) => format!("“{}”", block(text)),
        Some(other) => block(&other.to_string()),
    }
}

/// Foreign text of several lines, none of which begins as a line of ours does.
fn block(text: &str) -> String {
    show::lines(text).replace('\n', "\n      | ")
}

fn object(text: &str) -> serde_json::Map<String, Value> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => map,
        _ => serde_json::Map::new(),
    }
}

/// The texts that the model reads, as a document for the scanner: one paragraph each.
pub(crate) fn document(server: &str, tools: &BTreeMap<String, String>) -> Folder {
    let mut text = String::new();
    for (name, tool) in tools {
        let mut strings = Vec::new();
        collect(&Value::Object(object(tool)), 0, &mut strings);
        text.push_str(&format!("# {}\n\n", name.replace('\n', " ")));
        for string in strings {
            text.push_str(&string);
            text.push_str("\n\n");
        }
    }
    Folder {
        name: server.to_owned(),
        files: vec![Raw { path: "tools.md".into(), bytes: text.into_bytes(), executable: false }],
        ..Folder::default()
    }
}

fn collect(value: &Value, depth: usize, out: &mut Vec<String>) {
    match value {
        Value::String(text) => out.push(text.clone()),
        Value::Array(list) if depth < MAX_DEPTH => {
            list.iter().for_each(|v| collect(v, depth + 1, out));
        }
        Value::Object(map) if depth < MAX_DEPTH => {
            map.values().for_each(|v| collect(v, depth + 1, out));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_every_field_does() {
        let one = parse(
            r#"{"tools":[{"name":"a","description":"x","inputSchema":{"p":1,"q":2}},{"name":"b"}]}"#,
        );
        let two = parse(
            r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"b"},{"inputSchema":{"q":2,"p":1},"description":"x","name":"a"}]}}"#,
        );
        let (one, two) = (one.unwrap_or_default(), two.unwrap_or_default());
        assert_eq!(one.len(), 2);
        assert_eq!(hash(&one), hash(&two));
        for changed in [
            r#"[{"name":"a","description":"x","inputSchema":{"p":1,"q":3}},{"name":"b"}]"#,
            r#"[{"name":"a","description":"y","inputSchema":{"p":1,"q":2}},{"name":"b"}]"#,
            r#"[{"name":"a","description":"x","inputSchema":{"p":1,"q":2},"annotations":{"readOnlyHint":true}},{"name":"b"}]"#,
            r#"[{"name":"a","description":"x","inputSchema":{"p":1,"q":2}}]"#,
            r#"[{"name":"a","description":"x","inputSchema":{"p":1,"q":2}},{"name":"b"},{"name":"c"}]"#,
        ] {
            let changed = parse(changed).unwrap_or_default();
            assert_ne!(hash(&one), hash(&changed));
            assert!(!changes(&one, &changed).is_empty(), "{changed:?}");
        }
        assert!(changes(&one, &two).is_empty());
    }

    #[test]
    fn what_is_no_list_is_an_error() {
        for text in [
            "",
            "{",
            "{}",
            "7",
            r#"[{"description":"x"}]"#,
            r#"[{"name":""}]"#,
            r#"[{"name":"a"},{"name":"a"}]"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
