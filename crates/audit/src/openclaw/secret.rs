//! Credentials in the configuration: what they are, without telling them.

use crate::facts::{Config, Shape, names_a_secret};
use serde_json::Value;

/// Where a credential's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// Not set.
    Absent,
    /// The text stands in the file.
    Plain(Shape),
    /// `${NAME}`; the shape when the variable is set.
    Env(String, Option<Shape>),
    /// A SecretRef: OpenClaw asks a provider.
    Ref(String),
}

impl Secret {
    /// What stands at a dotted key.
    pub(crate) fn at(config: &Config, key: &str) -> Self {
        config.get(key).map_or(Self::Absent, |value| Self::of(config, value))
    }

    /// What a value is.
    pub(crate) fn of(config: &Config, value: &Value) -> Self {
        match value {
            Value::String(text) => match env_name(text) {
                Some(name) => Self::Env(name.to_owned(), config.env.get(name).copied()),
                None => Self::Plain(Shape::of(text)),
            },
            Value::Object(map) => map
                .get("source")
                .and_then(Value::as_str)
                .map_or(Self::Absent, |source| Self::Ref(source.to_owned())),
            _ => Self::Absent,
        }
    }

    /// The shape, when the value can be looked at.
    pub(crate) fn shape(&self) -> Option<Shape> {
        match self {
            Self::Plain(shape) => Some(*shape),
            Self::Env(_, shape) => *shape,
            Self::Absent | Self::Ref(_) => None,
        }
    }

    /// Whether something is set that can be a credential.
    pub(crate) fn is_set(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Plain(shape) => shape.length > 0,
            Self::Env(..) | Self::Ref(_) => true,
        }
    }
}

/// The name in a value that is one environment reference.
pub(crate) fn env_name(text: &str) -> Option<&str> {
    let name = text.trim().strip_prefix("${")?.strip_suffix('}')?;
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// Every credential that stands in clear text in the configuration, by its path.
#[must_use]
pub fn plain(value: &Value) -> Vec<Vec<String>> {
    let mut out = Vec::new();
    walk(value, &mut Vec::new(), &mut out);
    out
}

fn walk(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            // A reference to a provider holds no credential.
            if map.contains_key("source") && map.contains_key("id") {
                return;
            }
            for (key, value) in map {
                path.push(key.clone());
                match value {
                    Value::String(text) => {
                        // Environment given to a server or to skills: any name can hold one, so
                        // there the value decides too.
                        let in_env = path
                            .iter()
                            .rev()
                            .nth(1)
                            .is_some_and(|parent| parent == "env" || parent == "headers");
                        let secret = names_a_secret(key) || (in_env && looks_secret(text));
                        if secret
                            && !text.trim().is_empty()
                            && !text.contains("${")
                            && !is_url(text)
                        {
                            out.push(path.clone());
                        }
                    }
                    other => walk(other, path, out),
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(item, path, out);
                path.pop();
            }
        }
        _ => {}
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Whether a text has the form of a credential: long, one word, letters and digits mixed, or a
/// known prefix.
pub(crate) fn looks_secret(text: &str) -> bool {
    let text = text.trim().trim_start_matches("Bearer ");
    if text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY") {
        return true;
    }
    let known = [
        "sk-",
        "ghp_",
        "gho_",
        "github_pat_",
        "xoxb-",
        "xoxp-",
        "AKIA",
        "AIza",
        "glpat-",
        "hf_",
        "npm_",
    ];
    let plain = text.len() >= 16 && text.len() <= 4096 && !text.contains(char::is_whitespace);
    if !plain {
        return false;
    }
    known.iter().any(|prefix| text.starts_with(prefix))
        || (text.len() >= 24
            && !text.contains(['/', ':', '.'])
            && text.chars().any(|c| c.is_ascii_digit())
            && text.chars().any(|c| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn credentials_are_found_by_name_and_references_are_not() {
        let found = plain(&json!({
            "gateway": { "auth": { "token": "abc", "password": "${P}" }, "port": 1 },
            "models": { "providers": { "x": { "apiKey": { "source": "exec", "provider": "p", "id": "i" }, "maxTokens": "5" } } },
            "mcp": { "servers": { "s": { "env": { "SOME_KEY_ID": "ghp_0123456789abcdefghij", "MODE": "fast" } } } },
            "channels": { "telegram": { "accounts": { "a": { "botToken": "1:x" } } } },
            "list": [{ "secret": "s" }]
        }));
        let mut found: Vec<_> = found.iter().map(|path| path.join(".")).collect();
        found.sort();
        assert_eq!(
            found,
            [
                "channels.telegram.accounts.a.botToken",
                "gateway.auth.token",
                "list.0.secret",
                "mcp.servers.s.env.SOME_KEY_ID"
            ]
        );
    }

    #[test]
    fn references_have_the_shape_of_what_they_name() {
        let mut config = Config {
            value: json!({ "a": "${X}", "b": "plain", "c": { "source": "env", "id": "X" } }),
            ..Config::default()
        };
        assert_eq!(Secret::at(&config, "a"), Secret::Env("X".into(), None));
        config.env.insert("X".into(), Shape::of("null"));
        assert!(Secret::at(&config, "a").shape().unwrap().placeholder);
        assert_eq!(Secret::at(&config, "b").shape().unwrap().length, 5);
        assert_eq!(Secret::at(&config, "c"), Secret::Ref("env".into()));
        assert!(!Secret::at(&config, "d").is_set());
    }
}
