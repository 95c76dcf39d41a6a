//! The table of methods: class, reason and parameter shape of each, read from data.

use serde::Deserialize;
use std::collections::BTreeMap;

/// How much a method lets its caller do. The order is meant: each class includes the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Nothing changes.
    Read,
    /// Ordinary use.
    Chat,
    /// Consequential for the deployment.
    Operator,
    /// Would give the caller the machine, its credentials, or what decides over the agent.
    Host,
    /// Not through this door.
    Never,
}

impl Class {
    /// The name used in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Read => "read",
            Class::Chat => "chat",
            Class::Operator => "operator",
            Class::Host => "host",
            Class::Never => "never",
        }
    }
}

/// What is known of one method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Who may call it.
    pub class: Class,
    /// Why it has this class.
    pub reason: String,
    /// A call changes nothing: it is not written down one by one.
    pub observes: bool,
    /// The command that does the same with the operator's say.
    pub instead: Option<String>,
    /// The shape of its parameters, where they are judged.
    pub shape: Option<String>,
}

/// What may stand in a field of a method's parameters.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Field {
    /// `"any"` or `"text"`.
    Word(FieldWord),
    /// Only null.
    Refuse {
        /// Why.
        refuse: String,
        /// As what a call that sets it is judged.
        #[serde(default = "host")]
        class: Class,
    },
    /// One of these values, or null.
    Only {
        /// The values.
        only: Vec<Scalar>,
        /// Why no others.
        why: String,
        /// As what a call with another value is judged.
        #[serde(default = "host")]
        class: Class,
    },
    /// An object of this shape, a list of them, null or false.
    Shape {
        /// Its name.
        shape: String,
    },
}

fn host() -> Class {
    Class::Host
}

/// A field without further conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldWord {
    /// Whatever it holds.
    Any,
    /// What a person writes to the agent.
    Text,
}

/// A value that a field may have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// True or false.
    Bool(bool),
    /// A string, compared exactly.
    Text(String),
}

/// The fields that an object may have.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Fields that are not listed may be present.
    #[serde(default)]
    pub open: bool,
    /// Field by name.
    pub fields: BTreeMap<String, Field>,
    /// Fields that have to be present, because the gateway's default is what nobody may ask for; why.
    #[serde(default)]
    pub required: BTreeMap<String, String>,
}

/// Commands that the gateway reads out of a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commands {
    /// As what a message with one is judged.
    pub class: Class,
    /// Counts as a word anywhere, not only at the beginning.
    #[serde(default)]
    pub anywhere: bool,
    /// The commands, in lower case.
    pub words: Vec<String>,
    /// What they do.
    pub reason: String,
}

/// The tables do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {what}")]
pub struct TableError {
    /// Which of the two files.
    pub file: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// Methods, shapes and commands.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    tested_with: String,
    methods: BTreeMap<String, Method>,
    shapes: BTreeMap<String, Shape>,
    commands: Vec<Commands>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMethods {
    tested_with: String,
    rules: BTreeMap<String, String>,
    group: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    class: Class,
    reason: String,
    #[serde(default)]
    observes: bool,
    instead: Option<String>,
    methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParams {
    shapes: BTreeMap<String, Shape>,
    commands: Vec<Commands>,
}

const METHODS: &str = include_str!("../../../content/door/methods.toml");
const PARAMS: &str = include_str!("../../../content/door/params.toml");

impl Table {
    /// The tables that ship with this version.
    ///
    /// # Errors
    /// When they contradict each other, which a test excludes.
    pub fn shipped() -> Result<Self, TableError> {
        Self::parse(METHODS, PARAMS)
    }

    /// Reads both files: every name that one uses has to be defined, each method stands once.
    ///
    /// # Errors
    /// With the file and what is wrong with it.
    pub fn parse(methods: &str, params: &str) -> Result<Self, TableError> {
        let in_methods = |what: String| TableError { file: "methods.toml", what };
        let in_params = |what: String| TableError { file: "params.toml", what };
        let raw: RawMethods = toml::from_str(methods).map_err(|e| in_methods(e.to_string()))?;
        let params: RawParams = toml::from_str(params).map_err(|e| in_params(e.to_string()))?;
        let mut table = Self {
            tested_with: raw.tested_with,
            methods: BTreeMap::new(),
            shapes: params.shapes,
            commands: params.commands,
        };
        for group in raw.group {
            for name in group.methods {
                let method = Method {
                    class: group.class,
                    reason: group.reason.clone(),
                    observes: group.observes,
                    instead: group.instead.clone(),
                    shape: None,
                };
                if table.methods.insert(name.clone(), method).is_some() {
                    return Err(in_methods(format!("`{name}` stands in two groups")));
                }
            }
        }
        for (name, shape) in raw.rules {
            if !table.shapes.contains_key(&shape) {
                return Err(in_methods(format!("the rule of `{name}` names no shape: `{shape}`")));
            }
            match table.methods.get_mut(&name) {
                Some(method) => method.shape = Some(shape),
                None => {
                    return Err(in_methods(format!("a rule for `{name}`, which is in no group")));
                }
            }
        }
        for (name, shape) in &table.shapes {
            for (field, rule) in &shape.fields {
                if let Field::Shape { shape: inner } = rule
                    && !table.shapes.contains_key(inner)
                {
                    return Err(in_params(format!("`{name}.{field}` names no shape: `{inner}`")));
                }
            }
        }
        Ok(table)
    }

    /// The gateway's version that the table was compared with.
    #[must_use]
    pub fn tested_with(&self) -> &str {
        &self.tested_with
    }

    /// What is known of a method.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// Every method that is known.
    pub fn methods(&self) -> impl Iterator<Item = (&str, &Method)> {
        self.methods.iter().map(|(name, method)| (name.as_str(), method))
    }

    /// A shape by name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&Shape> {
        self.shapes.get(name)
    }

    /// The commands in messages.
    #[must_use]
    pub fn commands(&self) -> &[Commands] {
        &self.commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_tables_fit_together() {
        let table = Table::shipped().expect("shipped tables");
        assert!(table.methods().count() > 480);
        assert_eq!(table.method("terminal.open").map(|m| m.class), Some(Class::Host));
        for (name, method) in table.methods() {
            assert!(!method.reason.is_empty(), "{name} has no reason");
            assert!(!method.observes || method.class <= Class::Operator, "{name}");
        }
        for commands in table.commands() {
            assert!(commands.words.iter().all(|w| *w == w.to_lowercase()), "{commands:?}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let params = "commands = []\n[shapes.a.fields]\n";
        let cases = [
            (
                "tested_with=\"x\"\n[rules]\n\"m\"=\"b\"\n[[group]]\nclass=\"read\"\nreason=\"r\"\nmethods=[\"m\"]",
                "names no shape",
            ),
            (
                "tested_with=\"x\"\n[rules]\n\"n\"=\"a\"\n[[group]]\nclass=\"read\"\nreason=\"r\"\nmethods=[\"m\"]",
                "in no group",
            ),
            (
                "tested_with=\"x\"\n[rules]\n[[group]]\nclass=\"read\"\nreason=\"r\"\nmethods=[\"m\",\"m\"]",
                "two groups",
            ),
            (
                "tested_with=\"x\"\n[rules]\n[[group]]\nclass=\"read\"\nreason=\"r\"\nmethods=[\"m\"]\nmore=1",
                "unknown field",
            ),
        ];
        for (methods, says) in cases {
            let error = Table::parse(methods, params).expect_err(methods).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
