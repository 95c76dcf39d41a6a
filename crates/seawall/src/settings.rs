//! `seawall.toml`: what the operator sets. Every key has an effect; an unknown one is an error.

use seawall_model::Protection;
use seawall_policy::PolicyFile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The file's content. Everything has a default, so that an empty or missing file is valid.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// The guarded gateway.
    pub(crate) gateway: Gateway,
    /// The guard itself.
    pub(crate) guard: Guard,
    /// Tool runs.
    pub(crate) runs: Runs,
    /// What the kernel of this host must hold.
    pub(crate) sandbox: Sandbox,
    /// Settings of the engine. This and the next two are read by the policy crate, from
    /// [`Self::policy_files`]; here they only have to be known.
    pub(crate) policy: toml::Table,
    /// Declared tools.
    pub(crate) tool: Vec<toml::Table>,
    /// Further rules over several calls.
    pub(crate) sequence: Vec<toml::Table>,
    /// Rules of the forward proxy, as the egress crate reads them.
    pub(crate) egress: toml::Table,
    /// The door, as the door crate reads it.
    pub(crate) door: toml::Table,
    /// The policy as it is written: this file as a whole, then what lies in the folder `policy`
    /// beside it.
    #[serde(skip)]
    pub(crate) policy_files: Vec<PolicyFile>,
    /// This file, for errors that name a line.
    #[serde(skip)]
    pub(crate) source: Source,
}

/// The text of the settings and its name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Reads one table of the file as another type. An error names file, line and column.
    pub(crate) fn table<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        toml::from_str(&self.text)
            .map_err(|e| format!("{}: {}", self.name, e.to_string().trim_end()))
    }
}

/// `[gateway]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    /// Environment variables that reach the gateway besides those that its configuration names.
    pub(crate) env: Vec<String>,
    /// Further paths that the gateway may read.
    pub(crate) read_only: Vec<PathBuf>,
    /// Further paths that the gateway may write.
    pub(crate) read_write: Vec<PathBuf>,
    /// Seconds from start until the plugin must have reported.
    pub(crate) start_timeout_s: u64,
    /// Seconds that the gateway has to stop by itself.
    pub(crate) stop_timeout_s: u64,
    /// Ports on the host's loopback that the gateway may reach at the same address, besides those
    /// of its model providers.
    pub(crate) forwards: Vec<u16>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            env: Vec::new(),
            read_only: Vec::new(),
            read_write: Vec::new(),
            start_timeout_s: 300,
            stop_timeout_s: 15,
            forwards: Vec::new(),
        }
    }
}

/// `[guard]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Guard {
    /// How long the plugin waits for a verdict, in milliseconds.
    pub(crate) deadline_ms: u64,
    /// How often the plugin reports, in milliseconds. After three missing reports egress and door
    /// close, after fifteen the gateway is stopped.
    pub(crate) heartbeat_ms: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { deadline_ms: 2000, heartbeat_ms: 2000 }
    }
}

/// `[runs]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Runs {
    /// What tool runs reach: nothing, or the egress proxy under the session's identity.
    pub(crate) network: RunNetwork,
}

/// Network of tool runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunNetwork {
    /// No network at all.
    #[default]
    None,
    /// The egress proxy, judged under the session's identity.
    Egress,
}

/// `[sandbox]`. Read when `up` starts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sandbox {
    /// What mechanisms must be at least, where that is more than the default.
    pub(crate) require: BTreeMap<String, Protection>,
    /// Mechanisms that may be less for a time.
    pub(crate) r#override: Vec<Override>,
}

/// `[[sandbox.override]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Override {
    /// Which.
    pub(crate) mechanism: String,
    /// When it ends.
    pub(crate) until: jiff::Timestamp,
    /// Why, for the log and `status`.
    pub(crate) reason: String,
}

impl Settings {
    /// Reads the file; a missing one is the default.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(e) => return Err(format!("cannot read `{}`: {e}", path.display())),
        };
        let source = Source { name: path.display().to_string(), text };
        let mut settings: Self = source.table()?;
        settings.check().map_err(|e| format!("{}: {e}", path.display()))?;
        if !source.text.is_empty() {
            let file = PolicyFile { name: source.name.clone(), text: source.text.clone() };
            settings.policy_files.push(file);
        }
        let folder = path.with_file_name("policy");
        if folder.is_dir() {
            settings.policy_files.extend(crate::cmd::policy::policy_files(&[folder])?);
        }
        settings.source = source;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let between = |name: &str, value: u64, low: u64, high: u64| {
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(format!("{name} = {value} is not between {low} and {high}"))
            }
        };
        // OpenClaw gives up on a hook after 15 s on its own; a deadline must lie well below.
        between("guard.deadline_ms", self.guard.deadline_ms, 50, 10_000)?;
        between("guard.heartbeat_ms", self.guard.heartbeat_ms, 100, 60_000)?;
        between("gateway.start_timeout_s", self.gateway.start_timeout_s, 5, 900)?;
        between("gateway.stop_timeout_s", self.gateway.stop_timeout_s, 1, 300)?;
        let known = seawall_sandbox::probe::mechanisms();
        let named = self.sandbox.r#override.iter().map(|o| &o.mechanism);
        for name in self.sandbox.require.keys().chain(named) {
            if !known.contains(name.as_str()) {
                let known = known.iter().copied().collect::<Vec<_>>().join(", ");
                return Err(format!("[sandbox]: no such mechanism: `{name}`; there are {known}"));
            }
        }
        for over in &self.sandbox.r#override {
            if over.reason.trim().is_empty() || over.reason.len() > 200 {
                return Err(format!(
                    "[[sandbox.override]] of `{}`: the reason has 1 to 200 bytes",
                    over.mechanism
                ));
            }
        }
        for path in self.gateway.read_only.iter().chain(&self.gateway.read_write) {
            if !path.is_absolute() {
                return Err(format!("`{}` is not an absolute path", path.display()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Settings, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seawall.toml");
        std::fs::write(&path, text).unwrap();
        Settings::load(&path)
    }

    #[test]
    fn nothing_is_the_default() {
        let nothing = |settings: Settings| {
            Settings { source: Source::default(), ..settings } == Settings::default()
        };
        assert!(nothing(load("").unwrap()));
        assert!(nothing(Settings::load(Path::new("/nonexistent/seawall.toml")).unwrap()));
    }

    #[test]
    fn the_policy_is_this_file_and_the_folder_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("seawall.toml");
        std::fs::write(&path, "[guard]\n[[tool]]\nname = \"x\"\n").unwrap();
        std::fs::create_dir(dir.path().join("policy")).unwrap();
        std::fs::write(dir.path().join("policy/b.cedar"), "").unwrap();
        std::fs::write(dir.path().join("policy/a.toml"), "").unwrap();
        std::fs::write(dir.path().join("policy/notes.txt"), "").unwrap();
        let settings = Settings::load(&path).unwrap();
        let names: Vec<&str> =
            settings.policy_files.iter().filter_map(|file| file.name.rsplit('/').next()).collect();
        assert_eq!(names, ["seawall.toml", "a.toml", "b.cedar"]);
    }

    #[test]
    fn the_policy_reads_a_file_with_every_table() {
        let text = "[gateway]\n[guard]\n[runs]\n[sandbox.require]\n[egress]\n[policy]\n[door]\n";
        assert!(load(text).is_ok());
        let file = seawall_policy::PolicyFile { name: "seawall.toml".into(), text: text.into() };
        assert!(seawall_policy::Bundle::load(&[file]).is_ok());
    }

    #[test]
    fn an_unknown_key_and_a_value_out_of_range_are_named() {
        let error = load("[guard]\ndeadline = 5\n").unwrap_err();
        assert!(error.contains("deadline") && error.contains("seawall.toml"), "{error}");
        assert!(load("[guard]\ndeadline_ms = 5\n").unwrap_err().contains("between 50 and 10000"));
        assert!(load("[gateway]\nread_only = [\"x\"]\n").unwrap_err().contains("absolute"));
        let error = load("[sandbox.require]\nlandlok = \"full\"\n").unwrap_err();
        assert!(error.contains("landlok") && error.contains("seccomp"), "{error}");
        let over = |until: &str, reason: &str| {
            load(&format!(
                "[[sandbox.override]]\nmechanism = \"landlock\"\nuntil = \"{until}\"\nreason = \"{reason}\"\n"
            ))
        };
        assert!(over("2027-01-01T00:00:00Z", "old kernel").is_ok());
        assert!(over("2027-01-01T00:00:00Z", " ").unwrap_err().contains("reason"));
        assert!(over("soon", "x").unwrap_err().contains("until"));
    }
}
