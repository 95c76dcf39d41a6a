//! Who asks.
//!
//! An identity is never read from what a client says about itself: it belongs to the listening
//! socket on which the connection arrived, or to a secret that the client showed.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// Which part of the system a connection comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    /// The OpenClaw gateway itself.
    Gateway,
    /// A tool run.
    Run,
    /// A client of a listener that Seawall did not set up for one of the above.
    #[default]
    Local,
}

/// In whose name a connection is judged. Absent parts match no rule that names them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Zone.
    #[serde(default)]
    pub zone: Zone,
    /// OpenClaw agent id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// OpenClaw session key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Channel of the session: `telegram`, `webchat`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Id of one tool run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// The hosts that it reaches at most, in lower case: a rule that lets another one pass does not
    /// count. None: the rules alone count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<String>>,
}

impl Identity {
    /// The gateway.
    #[must_use]
    pub fn gateway() -> Self {
        Self { zone: Zone::Gateway, ..Self::default() }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.zone {
            Zone::Gateway => "the gateway",
            Zone::Run => "a tool run",
            Zone::Local => "a local client",
        })?;
        for (name, value) in [
            ("agent", &self.agent),
            ("session", &self.session),
            ("channel", &self.channel),
            ("run", &self.run),
        ] {
            if let Some(value) = value {
                write!(f, ", {name} `{value}`")?;
            }
        }
        Ok(())
    }
}

/// A pattern with `*` for any run of characters and `?` for one; everything else is literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Glob(pub String);

impl Glob {
    /// Whether `text` matches as a whole. Runs in the product of the two lengths at worst.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where the last `*` stands and how much of the text it has eaten: backtracking to the
        // last one alone is enough.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    star = Some((p, t));
                    p += 1;
                }
                Some(b'?') => (p, t) = (p + 1, t + 1),
                Some(c) if text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
                _ => match star {
                    Some((at, eaten)) => {
                        star = Some((at, eaten + 1));
                        (p, t) = (at + 1, eaten + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
    }
}

/// An absent value matches only an absent condition.
#[must_use]
pub fn any_matches(patterns: &[Glob], value: Option<&str>) -> bool {
    patterns.is_empty() || value.is_some_and(|value| patterns.iter().any(|p| p.matches(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("main", "main", true),
            ("main", "main2", false),
            ("work-*", "work-", true),
            ("work-*", "home-work-1", false),
            ("agent:*:cron:*", "agent:main:cron:7:run:x", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("*a*b*c", "xxaxxbxxbc", true),
            ("[a]", "a", false),
        ] {
            assert_eq!(Glob(pattern.into()).matches(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_rule_reaches_no_further_than_what_a_run_is_held_to() {
        let policy = crate::EgressPolicy::from_toml(
            "[[rules]]\nname = \"all\"\nhosts = [\"a.example\", \"b.example\"]\n",
        );
        let policy = policy.unwrap().compile().unwrap();
        let run = Identity { zone: Zone::Run, ..Identity::default() };
        let held = Identity { only: Some(BTreeSet::from(["a.example".to_owned()])), ..run.clone() };
        let passes = |identity: &Identity, url: &str| {
            policy.judge_url(identity, &crate::explain::Asked::parse(url, "GET").unwrap()).is_ok()
        };
        for (url, free, narrow) in [
            ("https://a.example/", true, true),
            ("https://A.example./", true, true),
            ("https://b.example/", true, false),
            ("https://c.example/", false, false),
            ("https://x.a.example/", false, false),
        ] {
            assert_eq!((passes(&run, url), passes(&held, url)), (free, narrow), "{url}");
        }
    }

    #[test]
    fn an_absent_agent_matches_no_rule_that_names_one() {
        assert!(!any_matches(&[Glob("*".into())], None));
        assert!(any_matches(&[], None));
    }
}
