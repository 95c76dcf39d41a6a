//! The models that the agents use, and what is published about them.

use super::scope::agents;
use crate::facts::Config;
use serde::Deserialize;
use serde_json::Value;
use std::sync::LazyLock;

/// A model in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Model {
    /// `provider/model`, aliases resolved.
    pub(crate) id: String,
    /// Where it is named.
    pub(crate) key: String,
    /// The agent that uses it.
    pub(crate) agent: Option<String>,
    /// It only looks at images.
    pub(crate) image: bool,
}

/// Every model that the configuration names for agents.
pub(crate) fn models(config: &Config) -> Vec<Model> {
    let mut out = Vec::new();
    let mut add = |value: Option<&Value>, key: &str, agent: Option<&str>, image| {
        let Some(value) = value else { return };
        let mut push = |id: &str, key: String| {
            if !id.trim().is_empty() {
                let id = resolve(config, id.trim());
                out.push(Model { id, key, agent: agent.map(str::to_owned), image });
            }
        };
        match value {
            Value::String(id) => push(id, key.to_owned()),
            other => {
                if let Some(id) = other.get("primary").and_then(Value::as_str) {
                    push(id, format!("{key}.primary"));
                }
                for id in other.get("fallbacks").and_then(Value::as_array).into_iter().flatten() {
                    push(id.as_str().unwrap_or_default(), format!("{key}.fallbacks"));
                }
            }
        }
    };
    for (name, image) in [("model", false), ("imageModel", true)] {
        let key = format!("agents.defaults.{name}");
        add(config.get(&key), &key, None, image);
    }
    for agent in agents(config) {
        add(agent.own("model"), &agent.path("model").join("."), agent.id, false);
    }
    out
}

/// An alias of `agents.defaults.models`, or the id itself.
fn resolve(config: &Config, id: &str) -> String {
    let aliases = config.get("agents.defaults.models").and_then(Value::as_object);
    aliases
        .into_iter()
        .flatten()
        .find(|(_, value)| {
            value.get("alias").and_then(Value::as_str).is_some_and(|a| a.eq_ignore_ascii_case(id))
        })
        .map_or_else(|| id.to_owned(), |(name, _)| name.clone())
}

/// The largest count of parameters that a name holds, in billions: `llama-3-70b` is 70.
pub(crate) fn billions(id: &str) -> Option<f64> {
    id.to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .filter_map(|word| {
            let word = word.strip_suffix('b')?;
            let word = word.strip_prefix(|c: char| c.is_ascii_lowercase()).unwrap_or(word);
            word.parse::<f64>().ok().filter(|count| *count > 0.0)
        })
        .fold(None, |best: Option<f64>, count| Some(best.map_or(count, |best| best.max(count))))
}

/// Why a model is of an old or weak kind, by OpenClaw's own judgement.
pub(crate) fn weakness(id: &str) -> Option<(&'static str, bool)> {
    let lower = id.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    if has(name, "gpt-3.5") {
        return Some(("GPT-3.5", true));
    }
    if has(name, "claude-instant") || has(name, "claude-2") {
        return Some(("Claude 2 or Instant", true));
    }
    if has(name, "gpt-4-0314") || has(name, "gpt-4-0613") {
        return Some(("an early GPT-4", true));
    }
    if name.split(['-', '_', ':', '.']).any(|part| part == "haiku") {
        return Some(("Haiku, a small model", false));
    }
    if let Some(rest) = after(name, "gpt-")
        && number(rest).is_none_or(|major| major < 5.0)
    {
        return Some(("older than GPT-5", false));
    }
    if name.contains("claude-") && !claude_is_recent(name) {
        return Some(("older than Claude 4.5", false));
    }
    None
}

/// `claude-opus-4-5`, `claude-sonnet-5`, `claude-4.5-opus`.
fn claude_is_recent(name: &str) -> bool {
    let numbers: Vec<u32> = name
        .split(|c: char| !c.is_ascii_digit())
        // A date is no version.
        .filter(|part| !part.is_empty() && part.len() <= 2)
        .filter_map(|part| part.parse().ok())
        .collect();
    match numbers.as_slice() {
        [4, minor, ..] => *minor >= 5,
        [major, ..] => *major >= 5,
        [] => false,
    }
}

fn has(name: &str, part: &str) -> bool {
    after(name, part).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
}

fn after<'n>(name: &'n str, part: &str) -> Option<&'n str> {
    name.split_once(part).map(|(_, rest)| rest)
}

fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.get(..end)?.trim_end_matches('.').parse().ok()
}

/// The table of published rates.
#[derive(Debug, Deserialize)]
pub(crate) struct Rates {
    /// When it was last looked after.
    pub(crate) updated: String,
    /// Days after which it counts as old.
    pub(crate) stale_days: i64,
    /// Rates up to this are taken as good.
    pub(crate) accepted: f64,
    rate: Vec<Rate>,
}

/// One published rate.
#[derive(Debug, Deserialize)]
pub(crate) struct Rate {
    pattern: String,
    pub(crate) percent: f64,
    pub(crate) tries: String,
    pub(crate) setting: String,
    pub(crate) source: String,
    pub(crate) date: String,
}

#[expect(clippy::expect_used, reason = "a file of this repository, and a test reads it")]
pub(crate) static RATES: LazyLock<Rates> = LazyLock::new(|| {
    toml::from_str(include_str!("../../../../content/audit/models.toml")).expect("models.toml")
});

impl Rates {
    /// The worst rate that is published for a model.
    pub(crate) fn worst(&self, id: &str) -> Option<&Rate> {
        let name = id.rsplit('/').next().unwrap_or(id).to_ascii_lowercase().replace('.', "-");
        self.rate
            .iter()
            .filter(|rate| {
                name.strip_prefix(rate.pattern.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', '@']))
            })
            .max_by(|a, b| a.percent.total_cmp(&b.percent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_places_and_aliases() {
        let config = Config {
            value: json!({ "agents": {
                "defaults": { "model": { "primary": "fast", "fallbacks": ["openai/gpt-4o"] }, "models": { "anthropic/claude-haiku-4-5": { "alias": "Fast" } } },
                "entries": { "a": { "model": "x/y" } }
            } }),
            ..Config::default()
        };
        let ids: Vec<_> = models(&config).into_iter().map(|model| (model.id, model.key)).collect();
        assert_eq!(ids[0].0, "anthropic/claude-haiku-4-5");
        assert_eq!(ids[1], ("openai/gpt-4o".into(), "agents.defaults.model.fallbacks".into()));
        assert_eq!(ids[2].1, "agents.entries.a.model");
    }

    #[test]
    fn sizes_and_ages() {
        assert_eq!(billions("ollama/llama3.1-8b"), Some(8.0));
        assert_eq!(billions("mixtral-8x22b-instruct"), None);
        assert_eq!(billions("gemma-e4b"), Some(4.0));
        for (id, weak) in [
            ("openai/gpt-3.5-turbo", true),
            ("openai/gpt-4o", true),
            ("openai/gpt-5.2", false),
            ("anthropic/claude-3-5-sonnet-20241022", true),
            ("anthropic/claude-opus-4-1", true),
            ("anthropic/claude-opus-4-5-20251101", false),
            ("anthropic/claude-opus-5", false),
            ("anthropic/claude-haiku-4-5", true),
            ("google/gemini-3-pro", false),
        ] {
            assert_eq!(weakness(id).is_some(), weak, "{id}");
        }
    }

    #[test]
    fn the_worst_published_rate_counts() {
        assert_eq!(RATES.worst("anthropic/claude-opus-4-5-20251101").unwrap().percent, 4.8);
        assert!(RATES.worst("anthropic/claude-opus-4-50").is_none());
        assert!(RATES.updated.parse::<jiff::civil::Date>().is_ok());
    }
}
