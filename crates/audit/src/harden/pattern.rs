//! Keys with wildcards: `channels.*.accounts.*.dmPolicy`.

use serde_json::Value;
use std::fmt;

/// Names below `channels` that are no channel.
const NO_CHANNEL: [&str; 2] = ["defaults", "modelByChannel"];

/// A dotted key in which `*` stands for every name that is there. A name that holds a dot or is a
/// star itself stands in double quotes: `groups."*".requireMention`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Name(String),
    Any,
}

/// A key that matched, and which names the wildcards stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The key.
    pub key: Vec<String>,
    /// One name for each wildcard, in order.
    pub names: Vec<String>,
}

impl Pattern {
    /// Reads a pattern; `None` when a part is empty or a quote does not end.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
                let (name, after) = quoted.split_once('"')?;
                (Part::Name(name.to_owned()), after)
            } else {
                let end = rest.find('.').unwrap_or(rest.len());
                let (name, after) = rest.split_at_checked(end)?;
                (if name == "*" { Part::Any } else { Part::Name(name.to_owned()) }, after)
            };
            if part == Part::Name(String::new()) {
                return None;
            }
            parts.push(part);
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None => return after.is_empty().then_some(Self(parts)),
            }
        }
    }

    /// Keys that the pattern means in a configuration. What a wildcard stands for must exist, and
    /// so must everything above it; below the last wildcard nothing needs to exist.
    pub fn find(&self, root: &Value) -> Vec<Match> {
        let mut found = vec![(Match { key: Vec::new(), names: Vec::new() }, Some(root))];
        for part in &self.0 {
            let mut next = Vec::new();
            for (at, value) in found {
                match part {
                    Part::Name(name) => {
                        let value = value.and_then(|value| value.get(name));
                        next.push((at.below(name, false), value));
                    }
                    Part::Any => {
                        let map = value.and_then(Value::as_object);
                        for (name, value) in map.into_iter().flatten() {
                            let skip =
                                at.key == ["channels"] && NO_CHANNEL.contains(&name.as_str());
                            if !skip && value.is_object() {
                                next.push((at.below(name, true), Some(value)));
                            }
                        }
                    }
                }
            }
            found = next;
        }
        found.into_iter().map(|(at, _)| at).collect()
    }

    /// The key with names for its wildcards; `None` when there are too few.
    pub fn fill(&self, names: &[String]) -> Option<Vec<String>> {
        let mut names = names.iter();
        self.0
            .iter()
            .map(|part| match part {
                Part::Name(name) => Some(name.clone()),
                Part::Any => names.next().cloned(),
            })
            .collect()
    }

    /// Whether there is a wildcard.
    pub fn is_wild(&self) -> bool {
        self.0.contains(&Part::Any)
    }
}

impl Match {
    fn below(&self, name: &str, wild: bool) -> Self {
        let mut next = self.clone();
        next.key.push(name.to_owned());
        if wild {
            next.names.push(name.to_owned());
        }
        next
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            let dot = if at > 0 { "." } else { "" };
            match part {
                Part::Any => write!(f, "{dot}*")?,
                Part::Name(name) => write!(f, "{dot}{}", quoted(name))?,
            }
        }
        Ok(())
    }
}

/// A key as people write it.
pub fn dotted(key: &[String]) -> String {
    key.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    if name.is_empty() || name == "*" || name.contains(['.', '"']) {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys(pattern: &str, root: &Value) -> Vec<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        pattern.find(root).iter().map(|found| dotted(&found.key)).collect()
    }

    #[test]
    fn wildcards_stand_for_what_is_there() {
        let root =
            json!({"channels":{"a":{"accounts":{"x":{},"y":{}}},"b":{},"defaults":{},"c":5}});
        assert_eq!(
            keys("channels.*.dmPolicy", &root),
            ["channels.a.dmPolicy", "channels.b.dmPolicy"]
        );
        assert_eq!(
            keys("channels.*.accounts.*.p", &root),
            ["channels.a.accounts.x.p", "channels.a.accounts.y.p"]
        );
        assert_eq!(keys("gateway.bind", &root), ["gateway.bind"]);
        assert_eq!(keys("channels.a.groups.\"*\".m", &root), ["channels.a.groups.\"*\".m"]);
        assert!(keys("agents.*.x", &root).is_empty());
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", ".", "a..b", "\"a", "\"a\"b", "a."] {
            assert!(Pattern::parse(bad).is_none(), "{bad}");
        }
    }
}
