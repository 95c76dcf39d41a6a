//! What is known about a deployment and its host.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod host;
mod state;

pub use host::{
    Clock, Compose, Container, Cpu, Disk, Firewall, Host, Listener, Mount, Process, Published,
    Sshd, Unit,
};
pub use state::{
    Content, Credential, CredentialKind, Device, Install, Job, Pending, Plugin, Skill, State,
};

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
    /// Why the configuration cannot be used, when its content is the reason. One that may not be
    /// read is unknown only.
    pub broken: Option<String>,
    /// The installed OpenClaw.
    pub install: Fact<Install>,
    /// What OpenClaw's state database holds. `None`: there is no database yet.
    pub state: Fact<Option<State>>,
    /// Modes and owners of the deployment's files.
    pub files: Fact<Files>,
    /// Skills and plugins on disk.
    pub content: Fact<Content>,
    /// Ages of credentials, as Seawall keeps track of them. `None`: nobody does.
    pub rotation: Fact<Option<Vec<Credential>>>,
    /// The host.
    pub host: Host,
    /// What Seawall itself says about this deployment. `None`: it does not run.
    pub seawall: Fact<Option<Value>>,
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
    /// Who runs the audit.
    pub uid: u32,
    /// Whose the state folder is.
    pub owner: u32,
}

/// OpenClaw's configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// The merged value.
    pub value: Value,
    /// Every file that was read, the main one first.
    pub files: Vec<PathBuf>,
    /// Environment variables that OpenClaw takes credentials from or that the configuration names:
    /// those that are set, and only the shape of what they hold.
    pub env: BTreeMap<String, Shape>,
}

/// What may be said about a secret without telling it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// Characters, without white space around.
    pub length: usize,
    /// It is a known placeholder.
    pub placeholder: bool,
}

impl Shape {
    /// The shape of a secret.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let trimmed = secret.trim();
        // Values that OpenClaw refuses as a gateway credential, and its published examples.
        let known = [
            "",
            "undefined",
            "null",
            "change-me-to-a-long-random-token",
            "change-me-now",
            "change-me-to-a-strong-password",
        ];
        Self { length: trimmed.chars().count(), placeholder: known.contains(&trimmed) }
    }
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

    /// The texts of an array at a dotted key; numbers count as texts, as OpenClaw takes them.
    #[must_use]
    pub fn strings(&self, key: &str) -> Vec<String> {
        self.get(key).map(strings).unwrap_or_default()
    }

    /// The switch at a dotted key.
    #[must_use]
    pub fn bool(&self, key: &str) -> Option<bool> {
        self.get(key).and_then(Value::as_bool)
    }
}

/// The texts of an array; numbers count as texts, as OpenClaw takes them.
#[must_use]
pub fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| match item {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        .filter(|text| !text.is_empty())
        .collect()
}

/// Whether a key's name says that its text is a credential.
#[must_use]
pub fn names_a_secret(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    // Counts, limits and file names that have such a word in them.
    if lower.ends_with("tokens")
        || lower.ends_with("file")
        || lower.ends_with("path")
        || lower.ends_with("env")
    {
        return false;
    }
    lower == "authorization"
        || [
            "token",
            "password",
            "secret",
            "apikey",
            "api_key",
            "accesskey",
            "privatekey",
            "identitydata",
            "credential",
        ]
        .iter()
        .any(|word| lower.ends_with(word))
}

/// Modes and owners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Files {
    /// What was looked at. Of a workspace's other files, those with credentials only.
    pub entries: Vec<FileEntry>,
    /// Where the look ended early: what is there has not been seen at all.
    pub cuts: Vec<Cut>,
    /// Files that were seen, but not searched to their end.
    pub unread: Vec<Cut>,
}

/// Something that was left out, so that nothing can be said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cut {
    /// Where.
    pub path: PathBuf,
    /// What is there to OpenClaw.
    pub kind: FileKind,
    /// Why, as the end of a sentence.
    pub why: String,
}

impl Files {
    /// The entry of a path.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&FileEntry> {
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// The entries of one kind.
    pub fn of(&self, kind: FileKind) -> impl Iterator<Item = &FileEntry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }
}

/// One file or folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileEntry {
    /// Where, as the deployment names it.
    pub path: PathBuf,
    /// What it is to OpenClaw.
    pub kind: FileKind,
    /// Whether it is a folder.
    pub dir: bool,
    /// Permission bits; of the target when it is a symlink.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The target, when it is a symlink.
    pub link: Option<PathBuf>,
    /// An access control list gives somebody more than the mode says.
    pub acl: bool,
    /// Credentials seen in the text, by kind. Never their values.
    pub secrets: Vec<String>,
}

/// What a file is to OpenClaw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileKind {
    /// The state folder.
    StateDir,
    /// The configuration.
    Config,
    /// A file that the configuration includes.
    Include,
    /// A backup of the configuration.
    Backup,
    /// The credentials folder or what is in it.
    Credentials,
    /// A store of model credentials.
    AuthProfiles,
    /// Sessions and transcripts.
    Sessions,
    /// The state database.
    StateDatabase,
    /// The log.
    Log,
    /// A `.env` file that OpenClaw loads.
    Env,
    /// An agent's workspace folder.
    Workspace,
    /// A file in a workspace that goes into every prompt (SOUL.md, MEMORY.md ...).
    Instructions,
    /// Another file in a workspace.
    WorkspaceFile,
    /// OpenClaw's program.
    Program,
}
