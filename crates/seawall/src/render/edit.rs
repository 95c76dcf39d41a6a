//! Edits of a configuration value that remember what they did.

use serde_json::{Map, Value};
use std::fmt;

/// One difference between the user's configuration and the snapshot.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Change {
    /// Dotted key.
    pub(crate) key: String,
    /// What the user has there; secrets are not shown.
    pub(crate) from: Option<Value>,
    /// What the gateway gets; absent when the key is taken away.
    pub(crate) to: Option<Value>,
    /// Why.
    pub(crate) why: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.from, &self.to) {
            (None, Some(to)) => write!(f, "+ {} = {to}", self.key)?,
            (Some(from), Some(to)) => write!(f, "~ {} = {to} (yours: {from})", self.key)?,
            (Some(from), None) => write!(f, "- {} (yours: {from})", self.key)?,
            (None, None) => write!(f, "  {}", self.key)?,
        }
        write!(f, "  # {}", self.why)
    }
}

/// A value under edit.
pub(super) struct Editor {
    root: Value,
    changes: Vec<Change>,
}

impl Editor {
    pub(super) fn new(root: Value) -> Self {
        Self { root, changes: Vec::new() }
    }

    pub(super) fn finish(self) -> (Value, Vec<Change>) {
        (self.root, self.changes)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.root, |at, part| at.get(part))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Names below an object. A name that holds a dot cannot be addressed here and is left out;
    /// the callers' keys are agent ids and server names, in which OpenClaw allows none.
    pub(super) fn keys(&self, key: &str) -> Vec<String> {
        self.get(key)
            .and_then(Value::as_object)
            .map(|map| map.keys().filter(|name| !name.contains('.')).cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn set(&mut self, key: &str, value: Value, why: &str) {
        let before = self.get(key).cloned();
        if before.as_ref() == Some(&value) {
            return;
        }
        *self.slot(key) = value.clone();
        self.note(key, before, Some(value), why);
    }

    pub(super) fn remove(&mut self, key: &str, why: &str) {
        let (parent, name) = key.rsplit_once('.').unwrap_or(("", key));
        let holder = if parent.is_empty() {
            Some(&mut self.root)
        } else {
            parent.split('.').try_fold(&mut self.root, |at, part| at.get_mut(part))
        };
        if let Some(before) = holder.and_then(Value::as_object_mut).and_then(|map| map.remove(name))
        {
            self.note(key, Some(before), None, why);
        }
    }

    /// Appends to an array unless it holds the item already.
    pub(super) fn push(&mut self, key: &str, item: Value, why: &str) {
        let mut items = self.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        if !items.contains(&item) {
            items.push(item);
            self.set(key, Value::Array(items), why);
        }
    }

    /// Takes an item out of an array.
    pub(super) fn drop_item(&mut self, key: &str, item: &Value, why: &str) {
        if let Some(items) = self.get(key).and_then(Value::as_array) {
            let kept: Vec<Value> = items.iter().filter(|&other| other != item).cloned().collect();
            if kept.len() != items.len() {
                self.set(key, Value::Array(kept), why);
            }
        }
    }

    /// Sets every leaf of `value` below `key`.
    pub(super) fn merge(&mut self, key: &str, value: &Value, why: &str) {
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    // Names with a dot (identities) cannot be addressed by a dotted key: their
                    // object is set whole.
                    if value
                        .as_object()
                        .is_some_and(|inner| inner.keys().any(|name| name.contains('.')))
                    {
                        self.set(&format!("{key}.{name}"), value.clone(), why);
                    } else {
                        self.merge(&format!("{key}.{name}"), value, why);
                    }
                }
            }
            leaf => self.set(key, leaf.clone(), why),
        }
    }

    fn slot(&mut self, key: &str) -> &mut Value {
        key.split('.').fold(&mut self.root, |at, part| {
            if !at.is_object() {
                *at = Value::Object(Map::new());
            }
            match at {
                Value::Object(map) => map.entry(part).or_insert(Value::Null),
                // Made an object just above.
                other => other,
            }
        })
    }

    fn note(&mut self, key: &str, from: Option<Value>, to: Option<Value>, why: &str) {
        let from = from.map(|value| masked(last(key), value));
        self.changes.push(Change { key: key.to_owned(), from, to, why: why.to_owned() });
    }
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Hides values whose name says that they are secret.
fn masked(name: &str, value: Value) -> Value {
    let lower = name.to_ascii_lowercase();
    let secret = ["token", "password", "secret", "apikey", "key", "authorization", "env"]
        .iter()
        .any(|word| lower.ends_with(word));
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| {
                    let value = if secret { masked("secret", value) } else { masked(&name, value) };
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| masked(name, item)).collect())
        }
        Value::String(_) if secret => Value::String("(hidden)".into()),
        plain => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn edits_are_remembered_and_secrets_are_not() {
        let mut editor = Editor::new(json!({ "a": { "token": "hunter2", "b": 1 }, "list": ["x"] }));
        editor.remove("a.token", "w");
        editor.set("a.b", json!(1), "same");
        editor.set("a.c.d", json!(true), "w");
        editor.push("list", json!("x"), "there");
        editor.push("list", json!("y"), "w");
        editor.drop_item("list", &json!("x"), "w");
        editor.remove("a.nothing", "w");
        let (value, changes) = editor.finish();
        assert_eq!(value, json!({ "a": { "b": 1, "c": { "d": true } }, "list": ["y"] }));
        let text: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(text.len(), 4);
        assert!(!text.join(" ").contains("hunter2"));
    }

    #[test]
    fn a_value_in_the_way_of_a_key_is_replaced() {
        let mut editor = Editor::new(json!({ "a": "text" }));
        editor.set("a.b", json!(1), "w");
        assert_eq!(editor.finish().0, json!({ "a": { "b": 1 } }));
    }
}
