//! What is known about a deployment and its host.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::PathBuf;

/// A fact that was read, or why it was not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact<T> {
    /// Read.
    Known(T),
    /// Not read. Never a pass.
    Unknown(Unknown),
}

/// Why a fact is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unknown {
    /// Why, with the system's own words.
    pub reason: String,
    /// What the operator runs to let it be read.
    pub command: String,
}

impl<T> Fact<T> {
    /// An unknown fact.
    pub fn unknown(reason: impl Into<String>, command: impl Into<String>) -> Self {
        Self::Unknown(Unknown { reason: reason.into(), command: command.into() })
    }

    /// The value, if it was read.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T> Default for Fact<T> {
    fn default() -> Self {
        Self::unknown("it was not collected", "seawall audit")
    }
}

/// Everything that the checks look at.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    /// When the facts were collected, in seconds since 1970.
    pub now: i64,
    /// Where the deployment is.
    pub place: Place,
    /// OpenClaw's configuration, includes merged, environment references as they stand.
    pub config: Fact<Config>,
}

/// Where the deployment is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Place {
    /// OpenClaw's state folder.
    pub state_dir: PathBuf,
    /// Its configuration file.
    pub config_path: PathBuf,
    /// The home folder whose `~` the configuration means.
    pub home: PathBuf,
}

/// OpenClaw's configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The merged value.
    pub value: Value,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
}

impl Config {
    /// The value at a dotted key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(&self.value, |at, part| at.get(part))
    }

    /// The text at a dotted key.
    #[must_use]
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    /// The switch at a dotted key.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }
}
