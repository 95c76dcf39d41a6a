//! What a check says.

use seawall_model::finding::{Confidence, Level};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// One finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The check's id.
    pub id: String,
    /// Wrong, or not known.
    pub status: Status,
    /// How bad.
    pub severity: Level,
    /// How sure.
    pub confidence: Confidence,
    /// One line.
    pub title: String,
    /// What was seen. Never holds a secret's value.
    pub evidence: String,
    /// Where: a key of the configuration (`gateway.bind`), a path, a socket, a process.
    pub location: String,
    /// What to do about it, where something is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
}

/// Whether a check saw something wrong or could not look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Something is wrong.
    Fail,
    /// A fact could not be read. It counts as not passed; `evidence` has the reason and `fix` the
    /// command that would let it be read.
    CouldNotCheck,
}

/// Whether a fix may change what works today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Disposition {
    /// Nothing that is in legitimate use is expected to stop.
    Safe,
    /// Something may stop working; `breaks` says what.
    Unsafe,
}

/// A way to repair a finding: all steps together, in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix {
    /// Safe or not.
    pub disposition: Disposition,
    /// One sentence for people.
    pub summary: String,
    /// What may stop working. Always there when the fix is unsafe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaks: Option<String>,
    /// What is done. Empty when only a person can do it; `summary` then says what.
    pub steps: Vec<Step>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Step {
    /// Set a key of `openclaw.json`, or remove it.
    Config {
        /// The key's segments: names of objects, or decimal indices of arrays.
        path: Vec<String>,
        /// The new value; `None` (`null` in JSON) removes the key.
        value: Option<Value>,
    },
    /// Change a file's or folder's mode.
    Mode {
        /// The file. Never a symlink.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// A command that the operator runs; Seawall does not run it by itself.
    Command {
        /// Shell text, ready to paste.
        command: String,
    },
}

impl Fix {
    /// A fix that stops nothing.
    #[must_use]
    pub fn safe(summary: impl Into<String>) -> Self {
        Self {
            disposition: Disposition::Safe,
            summary: summary.into(),
            breaks: None,
            steps: vec![],
        }
    }

    /// A fix that may stop `breaks`.
    #[must_use]
    pub fn risky(summary: impl Into<String>, breaks: impl Into<String>) -> Self {
        Self {
            disposition: Disposition::Unsafe,
            summary: summary.into(),
            breaks: Some(breaks.into()),
            steps: vec![],
        }
    }

    /// Adds an edit of the configuration at a dotted key. Names with a dot in them need
    /// [`Fix::set_at`].
    #[must_use]
    pub fn set(self, key: &str, value: impl Into<Value>) -> Self {
        self.set_at(key.split('.').map(str::to_owned).collect(), Some(value.into()))
    }

    /// Adds the removal of a dotted key.
    #[must_use]
    pub fn unset(self, key: &str) -> Self {
        self.set_at(key.split('.').map(str::to_owned).collect(), None)
    }

    /// Adds an edit of the configuration.
    #[must_use]
    pub fn set_at(mut self, path: Vec<String>, value: Option<Value>) -> Self {
        self.steps.push(Step::Config { path, value });
        self
    }

    /// Adds a change of mode.
    #[must_use]
    pub fn mode(mut self, path: impl Into<PathBuf>, mode: u32) -> Self {
        self.steps.push(Step::Mode { path: path.into(), mode });
        self
    }

    /// Adds a command for the operator.
    #[must_use]
    pub fn run(mut self, command: impl Into<String>) -> Self {
        self.steps.push(Step::Command { command: command.into() });
        self
    }

    /// Adds a command for the operator with something in it that others named: a path, an id. What
    /// cannot be shown on one line, or would be read as an option, is not proposed at all.
    #[must_use]
    pub fn run_on(self, command: &str, what: impl std::fmt::Display) -> Self {
        match quoted(&what.to_string()) {
            Some(what) => self.run(format!("{command} {what}")),
            None => self,
        }
    }
}

/// A word as a POSIX shell reads it. `None`: it would be an option, or holds what a terminal or a
/// reader takes for something else.
#[must_use]
pub fn quoted(word: &str) -> Option<String> {
    // Besides control characters, those that turn the direction of text or cannot be seen.
    let unseen = |c: char| {
        c.is_control()
            || matches!(u32::from(c), 0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
                | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff)
    };
    if word.is_empty() || word.starts_with('-') || word.chars().any(unseen) {
        return None;
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,".contains(c);
    if word.chars().all(plain) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', "'\\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_chose_are_words() {
        let step = |what: &str| Fix::safe("x").run_on("chmod 600", what).steps;
        let command = |text: &str| vec![Step::Command { command: text.into() }];
        assert_eq!(step("/a/b-1.txt"), command("chmod 600 /a/b-1.txt"));
        assert_eq!(step("/x;id>PWN;"), command("chmod 600 '/x;id>PWN;'"));
        assert_eq!(step("/it's $(id)"), command("chmod 600 '/it'\\''s $(id)'"));
        for bad in ["", "-R /", "/a\nrm -rf /", "/a\u{1b}[2K", "/a\u{202e}b"] {
            assert_eq!(step(bad), vec![], "{bad:?}");
        }
    }

    /// The real shell has the last word.
    #[test]
    fn a_shell_reads_back_what_was_quoted() {
        for word in ["/a b", "/$HOME", "`id`", "*", "~", "#", "a'b\"c\\d", "!x", "{a,b}"] {
            let said = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word).unwrap_or_default())])
                .output();
            if let Ok(said) = said {
                assert_eq!(String::from_utf8_lossy(&said.stdout), word);
            }
        }
    }
}
