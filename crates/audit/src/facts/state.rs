//! What OpenClaw itself has written down.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The installed OpenClaw.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Install {
    /// Its version.
    pub version: String,
    /// Its package folder.
    pub package: PathBuf,
    /// A file or folder of it that others than its owner and root may write, if there is one.
    pub writable: Option<PathBuf>,
    /// The owner of the package folder.
    pub uid: u32,
}

/// What the state database holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct State {
    /// Paired devices.
    pub devices: Vec<Device>,
    /// Pairing requests of devices that wait.
    pub pending: Vec<Pending>,
    /// Pairing requests of senders that wait, as `channel/account`.
    pub senders_pending: Vec<Pending>,
    /// Senders approved by pairing: `channel/account` to their ids.
    pub senders: BTreeMap<String, Vec<String>>,
    /// Scheduled jobs.
    pub jobs: Vec<Job>,
    /// Exec approvals, as OpenClaw stores them.
    pub approvals: Option<Value>,
    /// Install records of plugins.
    pub plugin_installs: BTreeMap<String, Value>,
    /// Install records of hooks.
    pub hook_installs: BTreeMap<String, Value>,
    /// Ids of the plugins in the installed index.
    pub plugin_ids: Vec<String>,
    /// Names of live entries in the secret store, which is not encrypted.
    pub stored_secrets: Vec<String>,
    /// Setup codes for devices that may still be redeemed.
    pub join_codes: usize,
}

/// A paired device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// The name that it gave itself or was given.
    pub name: String,
    /// Its roles.
    pub roles: Vec<String>,
    /// The scopes that were approved.
    pub scopes: Vec<String>,
    /// How it was approved: `silent` for local ones that nobody confirmed.
    pub via: String,
    /// The address that it paired from.
    pub remote: String,
    /// When it was approved, in seconds since 1970.
    pub approved: i64,
    /// When it was last seen, in seconds since 1970; 0 when never.
    pub seen: i64,
}

/// A request that waits for the operator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// Who asks, in its own words.
    pub name: String,
    /// Where from: an address, or `channel/account`.
    pub from: String,
    /// The scopes that it asks for.
    pub scopes: Vec<String>,
    /// Since when, in seconds since 1970.
    pub since: i64,
}

/// A scheduled job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// `agentTurn`, `systemEvent`, `command`, `script`, `heartbeat` ...
    pub payload: String,
    /// `cron`, `every`, `at`, `stream` ...
    pub schedule: String,
    /// What it runs, shortened, for `command`, `script` and streams.
    pub runs: String,
    /// Where its result goes: empty, or `webhook https://...`, or a recipient.
    pub delivers: String,
    /// Whether a script decides when it runs.
    pub trigger: bool,
    /// Made by OpenClaw or a plugin itself.
    pub managed: bool,
}

/// Skills and plugins on disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Content {
    /// Skills of workspaces and of the managed folder.
    pub skills: Vec<Skill>,
    /// Plugins under the extensions folder.
    pub plugins: Vec<Plugin>,
    /// A folder where the search for skills stopped early, if it did.
    pub truncated: Option<PathBuf>,
    /// What `skills/config/mcporter.json` is: absent, or the names of its servers, or why not.
    pub mcporter: Option<Result<Vec<String>, String>>,
}

/// A skill.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Skill {
    /// Its folder's name.
    pub name: String,
    /// Its `SKILL.md`.
    pub path: PathBuf,
    /// Where that leads, when it leaves the folder that it was found in.
    pub escapes: Option<PathBuf>,
    /// Whether Seawall's operator approved exactly these bytes.
    pub approved: bool,
}

/// A plugin under the extensions folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plugin {
    /// Its folder's name, which is its id.
    pub id: String,
    /// The version in its package.json.
    pub version: String,
}

/// What a credential is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CredentialKind {
    /// A service's key.
    Api,
    /// What opens the gateway.
    Gateway,
    /// What opens the host.
    Ssh,
}

/// A credential and since when its value is what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Credential {
    /// Where it stands: a key, a variable, a comment. Never its value.
    pub name: String,
    /// What it is for.
    pub kind: CredentialKind,
    /// Seconds since 1970; it may be older.
    pub since: i64,
    /// What it opens changed since.
    pub changed: bool,
}
