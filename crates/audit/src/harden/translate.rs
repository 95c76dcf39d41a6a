//! Keys that guides and older releases use and the installed release does not know: where their
//! intent went.

use super::change::Change;
use super::pattern::{Pattern, dotted};
use serde::Deserialize;
use serde_json::Value;

const SOURCE: &str = include_str!("../../../../content/harden/translate.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    key: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    from: String,
    /// Only when the value is this.
    value: Option<Value>,
    /// Where the value goes; nowhere when absent.
    to: Option<String>,
    /// What it becomes there; the same when absent.
    becomes: Option<Value>,
    why: String,
}

/// The table of renamed and vanished keys.
#[derive(Debug, Clone)]
pub struct Translation(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    from: Pattern,
    value: Option<Value>,
    to: Option<Pattern>,
    becomes: Option<Value>,
    why: String,
}

impl Translation {
    /// The shipped table.
    pub fn shipped() -> Result<Self, String> {
        let raw: Raw = toml::from_str(SOURCE).map_err(|e| e.to_string())?;
        let pattern =
            |text: &str| Pattern::parse(text).ok_or_else(|| format!("`{text}` is no key"));
        raw.key
            .into_iter()
            .map(|rule| {
                Ok(Rule {
                    from: pattern(&rule.from)?,
                    value: rule.value,
                    to: rule.to.as_deref().map(pattern).transpose()?,
                    becomes: rule.becomes,
                    why: rule.why,
                })
            })
            .collect::<Result<_, String>>()
            .map(Self)
    }

    /// What has to change so that the installed release takes the configuration. The new key is
    /// written before the old one goes; what is already written at the new place stays.
    pub fn changes(&self, root: &Value) -> Vec<Change> {
        let mut root = root.clone();
        let mut changes = Vec::new();
        for rule in &self.0 {
            for found in rule.from.find(&root) {
                let value = found.key.iter().try_fold(&root, |at, name| at.get(name)).cloned();
                let Some(value) = value else { continue };
                if rule.value.as_ref().is_some_and(|only| *only != value) {
                    continue;
                }
                let target = rule.to.as_ref().and_then(|to| to.fill(&found.names));
                let id = dotted(&found.key);
                let change = |key: Vec<String>, to: Option<Value>| Change {
                    id: id.clone(),
                    key,
                    to,
                    why: rule.why.clone(),
                    breaks: None,
                    source: "translation".into(),
                };
                let mut steps = Vec::new();
                if let Some(target) = &target {
                    let taken = target.iter().try_fold(&root, |at, name| at.get(name)).is_some();
                    if !taken || *target == found.key {
                        let value = rule.becomes.clone().unwrap_or(value);
                        steps.push(change(target.clone(), Some(value)));
                    }
                }
                if target.as_ref() != Some(&found.key) {
                    steps.push(change(found.key.clone(), None));
                }
                steps.iter().for_each(|step| step.apply(&mut root));
                changes.extend(steps);
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn translated(mut root: Value) -> Value {
        let table = Translation::shipped().unwrap();
        table.changes(&root).iter().for_each(|change| change.apply(&mut root));
        assert_eq!(table.changes(&root), [], "a second time changes nothing");
        root
    }

    #[test]
    fn keys_move_to_where_the_installed_release_has_them() {
        assert_eq!(
            translated(json!({
                "model": "p/m", "channels": {"telegram": {"requireMention": true, "allowFrom": ["@u"]}},
                "skills": {"autoUpdate": false}, "logging": {"level":"debug","destination":"file","logPayloads":true,"logHeaders":true},
                "gateway": {"bind":"127.0.0.1"}
            })),
            json!({
                "agents": {"defaults": {"model": "p/m"}},
                "channels": {"telegram": {"groups": {"*": {"requireMention": true}}, "allowFrom": ["@u"]}},
                "skills": {}, "logging": {"level":"debug","audit":{"messages":"all"}},
                "gateway": {"bind":"loopback"}
            })
        );
    }

    #[test]
    fn the_stricter_of_two_old_keys_decides() {
        for (exec, mode) in [
            (json!({"security":"deny","ask":"always"}), "deny"),
            (json!({"security":"allowlist","ask":"on-miss"}), "ask"),
            (json!({"security":"allowlist","ask":"off"}), "allowlist"),
            (json!({"security":"full","ask":"off"}), "full"),
        ] {
            let after = translated(json!({"tools":{"exec":exec}}));
            assert_eq!(after, json!({"tools":{"exec":{"mode":mode}}}));
        }
    }

    #[test]
    fn what_is_written_at_the_new_place_stays() {
        assert_eq!(
            translated(json!({"model":"old","agents":{"defaults":{"model":{"primary":"new"}}}})),
            json!({"agents":{"defaults":{"model":{"primary":"new"}}}})
        );
    }
}
