//! One change of a configuration.

use serde::Serialize;
use serde_json::{Map, Value};

/// A key and what it becomes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What selects it: the dotted key.
    pub id: String,
    /// The key.
    #[serde(skip)]
    pub key: Vec<String>,
    /// The new value; absent when the key goes.
    pub to: Option<Value>,
    /// Why.
    pub why: String,
    /// What may stop working; absent when nothing that was meant to work does.
    pub breaks: Option<String>,
    /// Who wants it: a profile, a finding, a translation.
    pub source: String,
}

impl Change {
    /// Makes the change in a plain value.
    pub fn apply(&self, root: &mut Value) {
        let Some((name, parents)) = self.key.split_last() else { return };
        let mut at = root;
        for parent in parents {
            if !at.is_object() {
                if self.to.is_none() {
                    return;
                }
                *at = Value::Object(Map::new());
            }
            let Value::Object(map) = at else { return };
            if self.to.is_none() && !map.contains_key(parent) {
                return;
            }
            at = map.entry(parent.clone()).or_insert_with(|| Value::Object(Map::new()));
        }
        if !at.is_object() && self.to.is_some() {
            *at = Value::Object(Map::new());
        }
        if let Value::Object(map) = at {
            match &self.to {
                Some(value) => map.insert(name.clone(), value.clone()),
                None => map.remove(name),
            };
        }
    }
}
