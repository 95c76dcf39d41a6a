//! Profiles: what a deployment's configuration should hold, as data with reasons.
//!
//! A profile never makes a configuration less strict: a rule compares with what is there (or with
//! OpenClaw's default, where nothing is) and changes only what is weaker.

use super::change::Change;
use super::pattern::{Match, Pattern, dotted};
use serde::Deserialize;
use serde_json::{Value, json};

const SOURCES: [(&str, &str); 3] = [
    ("personal", include_str!("../../../../content/harden/profiles/personal.toml")),
    ("team", include_str!("../../../../content/harden/profiles/team.toml")),
    ("production", include_str!("../../../../content/harden/profiles/production.toml")),
];

/// Names of the shipped profiles, the mildest first.
pub fn names() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

/// A profile with everything that it inherits.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// Whom it is for.
    pub about: String,
    settings: Vec<Setting>,
}

/// A profile that does not say what it means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// There is no such profile.
    #[error("there is no profile `{0}`; there are personal, team and production")]
    Unknown(String),
    /// The data is wrong.
    #[error("profile `{name}`: {why}")]
    Bad {
        /// Which profile.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    about: String,
    extends: Option<String>,
    #[serde(default)]
    setting: Vec<RawSetting>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSetting {
    keys: Vec<String>,
    #[serde(flatten)]
    rule: Rule,
    why: String,
    breaks: Option<String>,
}

#[derive(Debug, Clone)]
struct Setting {
    keys: Vec<Pattern>,
    rule: Rule,
    why: String,
    breaks: Option<String>,
}

/// How a value is judged and changed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Rule {
    /// Only written where nothing is.
    Default(Value),
    /// Exactly this.
    Set(Value),
    /// One of a list from weakest to strictest; weaker than `wanted` becomes `wanted`. What is not
    /// in the list is weaker than all.
    Order {
        from_weak: Vec<Value>,
        wanted: Value,
        /// What OpenClaw does when nothing is written. Without it the key is always written.
        unset: Option<Value>,
        /// Only where this sibling is an array with something in it that is no wildcard.
        beside: Option<String>,
    },
    /// The array holds all of these.
    Holds(Vec<Value>),
    /// The array holds nothing but these, and is not empty: an empty list allows everything.
    Only(Vec<Value>),
    /// The array does not hold these.
    Lacks(Vec<Value>),
    /// The number is not larger; nothing written is too large.
    AtMost(f64),
    /// Not there.
    Absent(bool),
}

impl Profile {
    /// A shipped profile.
    pub fn shipped(name: &str) -> Result<Self, ProfileError> {
        let source = SOURCES.iter().find(|(other, _)| *other == name);
        let (_, text) = source.ok_or_else(|| ProfileError::Unknown(name.to_owned()))?;
        let bad = |why: String| ProfileError::Bad { name: name.to_owned(), why };
        let raw: Raw = toml::from_str(text).map_err(|e| bad(e.to_string()))?;
        let mut settings = match &raw.extends {
            Some(parent) if parent == name => return Err(bad("extends itself".into())),
            Some(parent) => Self::shipped(parent)?.settings,
            None => Vec::new(),
        };
        for setting in raw.setting {
            let keys = setting
                .keys
                .iter()
                .map(|key| Pattern::parse(key).ok_or_else(|| bad(format!("`{key}` is no key"))))
                .collect::<Result<Vec<_>, _>>()?;
            let RawSetting { rule, why, breaks, .. } = setting;
            settings.push(Setting { keys, rule, why, breaks });
        }
        Ok(Self { name: name.to_owned(), about: raw.about, settings })
    }

    /// What has to change in a configuration, in the order in which to do it. A later change of
    /// the same key replaces an earlier one.
    pub fn changes(&self, root: &Value) -> Vec<Change> {
        let mut root = root.clone();
        let mut changes: Vec<Change> = Vec::new();
        for setting in &self.settings {
            let found: Vec<Match> =
                setting.keys.iter().flat_map(|pattern| pattern.find(&root)).collect();
            for found in found {
                let wild = !found.names.is_empty();
                let Some(to) = setting.rule.judge(&root, &found, wild) else { continue };
                let change = Change {
                    id: dotted(&found.key),
                    key: found.key,
                    to,
                    why: setting.why.clone(),
                    breaks: setting.breaks.clone(),
                    source: format!("profile {}", self.name),
                };
                change.apply(&mut root);
                changes.retain(|other| other.key != change.key);
                changes.push(change);
            }
        }
        changes
    }
}

impl Rule {
    /// The new value (`None` inside takes the key away), or `None` when all is well.
    fn judge(&self, root: &Value, found: &Match, wild: bool) -> Option<Option<Value>> {
        let at = found.key.iter().try_fold(root, |at, name| at.get(name));
        let array = || at.and_then(Value::as_array);
        match self {
            Self::Default(value) => at.is_none().then(|| Some(value.clone())),
            Self::Set(value) => (at != Some(value)).then(|| Some(value.clone())),
            Self::Order { from_weak, wanted, unset, beside } => {
                if let Some(name) = beside
                    && !has_items(root, &found.key, name)
                {
                    return None;
                }
                let current = match at {
                    Some(value) => Some(value),
                    // Below a wildcard only what somebody wrote is judged: not every channel and
                    // agent knows every key.
                    None if wild => return None,
                    None => unset.as_ref(),
                };
                let rank = |value: &Value| from_weak.iter().position(|other| other == value);
                let enough = current.and_then(rank) >= rank(wanted) && current.is_some();
                (!enough).then(|| Some(wanted.clone()))
            }
            Self::Holds(items) => {
                if wild && at.is_none() {
                    return None;
                }
                let mut list = array().cloned().unwrap_or_default();
                let before = list.len();
                let lacking: Vec<_> =
                    items.iter().filter(|item| !list.contains(item)).cloned().collect();
                list.extend(lacking);
                (list.len() > before).then(|| Some(Value::Array(list)))
            }
            Self::Only(items) => {
                let Some(list) = array() else {
                    return (!wild).then(|| Some(json!(items)));
                };
                let kept: Vec<_> =
                    list.iter().filter(|item| items.contains(item)).cloned().collect();
                if kept.len() == list.len() && !kept.is_empty() {
                    return None;
                }
                Some(Some(if kept.is_empty() { json!(items) } else { json!(kept) }))
            }
            Self::Lacks(items) => {
                let list = array()?;
                let kept: Vec<_> =
                    list.iter().filter(|item| !items.contains(item)).cloned().collect();
                (kept.len() < list.len()).then(|| Some(json!(kept)))
            }
            Self::AtMost(limit) => match at {
                None if wild => None,
                Some(value) if value.as_f64().is_some_and(|n| n <= *limit) => None,
                _ => Some(Some(number(*limit))),
            },
            Self::Absent(_) => at.is_some().then_some(None),
        }
    }
}

fn number(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only when it is whole")]
    if value.fract() == 0.0 { json!(value as i64) } else { json!(value) }
}

fn has_items(root: &Value, key: &[String], sibling: &str) -> bool {
    let parents = key.split_last().map_or(&[][..], |(_, parents)| parents);
    parents
        .iter()
        .try_fold(root, |at, name| at.get(name))
        .and_then(|parent| parent.get(sibling))
        .and_then(Value::as_array)
        .is_some_and(|items| !items.is_empty() && !items.contains(&json!("*")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(name: &str, mut root: Value) -> (Value, Vec<Change>) {
        let changes = Profile::shipped(name).unwrap().changes(&root);
        changes.iter().for_each(|change| change.apply(&mut root));
        (root, changes)
    }

    #[test]
    fn every_profile_loads_and_has_reasons() {
        for name in names() {
            let profile = Profile::shipped(name).unwrap();
            assert!(!profile.about.is_empty());
            for setting in &profile.settings {
                assert!(setting.why.len() > 20, "{name}: {:?}", setting.keys);
            }
        }
        assert!(matches!(Profile::shipped("x"), Err(ProfileError::Unknown(_))));
    }

    #[test]
    fn a_second_time_changes_nothing() {
        let wild = json!({
            "gateway": {"bind":"lan","auth":{"mode":"none"},"controlUi":{"dangerouslyDisableDeviceAuth":true}},
            "channels": {"telegram":{"dmPolicy":"open","allowFrom":["*",5],"groups":{"*":{"requireMention":false}},
                "accounts":{"a":{"groupPolicy":"open"}}}},
            "tools": {"allow":["exec"],"deny":[]},
            "agents": {"defaults":{"sandbox":{"mode":"off"}},"entries":{"x":{"sandbox":{"mode":"off"}}}},
        });
        for name in names() {
            let (once, changes) = applied(name, wild.clone());
            assert!(changes.len() > 5, "{name}");
            let (twice, again) = applied(name, once.clone());
            assert_eq!((once, again), (twice, Vec::new()), "{name}");
        }
    }

    #[test]
    fn what_is_stricter_stays() {
        let strict = json!({
            "gateway": {"bind":"loopback","auth":{"mode":"trusted-proxy","rateLimit":{"maxAttempts":3}}},
            "channels": {"telegram":{"dmPolicy":"disabled","groupPolicy":"disabled"}},
            "tools": {"allow":["read"],"deny":["exec","more"]},
            "agents": {"defaults":{"sandbox":{"mode":"all","scope":"session"}}},
            "discovery": {"mdns":{"mode":"off"}},
        });
        for name in names() {
            let (after, _) = applied(name, strict.clone());
            for pointer in [
                "/gateway/bind",
                "/gateway/auth/mode",
                "/gateway/auth/rateLimit/maxAttempts",
                "/channels/telegram/dmPolicy",
                "/channels/telegram/groupPolicy",
                "/agents/defaults/sandbox/mode",
                "/agents/defaults/sandbox/scope",
                "/discovery/mdns/mode",
            ] {
                assert_eq!(after.pointer(pointer), strict.pointer(pointer), "{name} {pointer}");
            }
        }
        let (after, _) = applied("production", strict);
        assert_eq!(after.pointer("/tools/allow"), Some(&json!(["read"])));
    }

    #[test]
    fn an_open_channel_is_closed_to_whom_it_knows() {
        let open =
            |allow: Value| json!({"channels":{"telegram":{"dmPolicy":"open","allowFrom":allow}}});
        let (after, _) = applied("production", open(json!(["*", 123])));
        assert_eq!(
            after.pointer("/channels/telegram"),
            Some(&json!({"dmPolicy":"allowlist","allowFrom":[123]}))
        );
        // An allowlist of nobody is refused by OpenClaw: pairing lets the owner in.
        let (after, _) = applied("production", open(json!(["*"])));
        assert_eq!(after.pointer("/channels/telegram/dmPolicy"), Some(&json!("pairing")));
    }
}
