//! The deployment that is hardened: its files, and what its own OpenClaw says about them.

use crate::asked::{self, About, Question};
use crate::deploy::{Deployment, Runtime, Wanted, load, read_text};
use seawall_audit::harden::doc::{Documents, Resolve};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// OpenClaw's own, where the configuration names none.
const DEFAULT_PORT: u16 = 18_789;

/// Where the deployment is and which OpenClaw runs it.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Choice {
    /// OpenClaw's state folder; default: as OpenClaw finds it.
    #[arg(long, value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
    /// The configuration; default: `openclaw.json` in the state folder.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The `openclaw` program; default: the first on PATH.
    #[arg(long, value_name = "PATH", global = true)]
    openclaw: Option<PathBuf>,
    /// The `node` program; default: the one beside `openclaw`, else the first on PATH.
    #[arg(long, value_name = "PATH", global = true)]
    node: Option<PathBuf>,
}

/// A deployment that was found.
pub(crate) struct Target {
    pub(crate) deployment: Deployment,
    choice: Choice,
}

impl Choice {
    /// Finds the deployment.
    pub(crate) fn find(&self) -> Result<Target, String> {
        let mut wanted = Wanted::from_env(None);
        if let Some(dir) = &self.state_dir {
            wanted.state_dir = Some(dir.clone());
            wanted.config_path = None;
        }
        if let Some(file) = &self.config {
            wanted.config_path = Some(file.clone());
        }
        let deployment = Deployment::find(&wanted).map_err(|e| e.to_string())?;
        Ok(Target { deployment, choice: self.clone() })
    }
}

impl Target {
    /// The configuration's documents.
    pub(crate) fn documents(&self) -> Result<Documents, String> {
        documents(&self.deployment.config_path, &self.deployment.include_roots)
    }

    /// The installed OpenClaw.
    pub(crate) fn runtime(&self) -> Result<Runtime, String> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
        let (openclaw, node) = (self.choice.openclaw.as_deref(), self.choice.node.as_deref());
        // Any release: it is asked about its own configuration.
        Runtime::find(openclaw, node, &path, true).map_err(|e| e.to_string())
    }

    /// Asks the installed OpenClaw whether it takes this configuration, includes merged in. Its
    /// reasons when it does not.
    pub(crate) fn candidate(&self, runtime: &Runtime, config: &Value) -> Result<(), String> {
        asked::takes(runtime, self.environment(config)?, config)
    }

    /// Asks the installed OpenClaw about the configuration as it is on the disk.
    pub(crate) fn installed(&self, runtime: &Runtime) -> Result<(), String> {
        self.candidate(runtime, &self.documents()?.value())
    }

    /// Runs a command of the installed OpenClaw on this deployment's running gateway; its output
    /// when it succeeds.
    pub(crate) fn openclaw(&self, runtime: &Runtime, arguments: &[&str]) -> Result<String, String> {
        let config = self.documents()?.value();
        let mut env = self.environment(&config)?;
        for name in ["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD", "OPENCLAW_GATEWAY_PORT"]
        {
            if let Ok(value) = std::env::var(name) {
                env.insert(name.into(), value);
            }
        }
        let named = env.get("OPENCLAW_GATEWAY_PORT").and_then(|port| port.parse().ok());
        let written = config.pointer("/gateway/port").and_then(Value::as_u64);
        let port = named.or_else(|| written?.try_into().ok()).unwrap_or(DEFAULT_PORT);
        let about = About::Gateway { state_dir: &self.deployment.state_dir, port };
        let answer = Question { runtime, args: arguments, env, config: &config, about }.ask()?;
        if answer.success {
            return Ok(answer.stdout);
        }
        let said = if answer.stderr.trim().is_empty() { &answer.stdout } else { &answer.stderr };
        let said: String = said.trim().chars().take(600).collect();
        Err(format!("`openclaw {}` failed: {said}", arguments.join(" ")))
    }

    /// What the configuration refers to, from this environment and from the file beside the state.
    fn environment(&self, config: &Value) -> Result<BTreeMap<String, String>, String> {
        let mut names = BTreeSet::new();
        crate::deploy::collect_env(config, &mut names);
        let mut env = asked::named_in_env_file(&self.deployment.state_dir, names.iter())?;
        for name in names {
            if let Ok(value) = std::env::var(&name) {
                env.insert(name, value);
            }
        }
        Ok(env)
    }
}

/// Documents that can be edited, of a configuration that is one: what OpenClaw would refuse, and what
/// the two readers here do not take for the same, is not edited.
pub(crate) fn documents(config: &Path, roots: &[PathBuf]) -> Result<Documents, String> {
    let folders = config.parent().map(Path::to_owned).into_iter().chain(roots.iter().cloned());
    let files = Files { roots: folders.collect() };
    let documents = Documents::load(config, &files).map_err(|e| e.to_string())?;
    let loaded = load(config, roots).map_err(|e| e.to_string())?;
    if loaded.value == documents.value() {
        return Ok(documents);
    }
    Err(format!(
        "`{}` can be read in two ways: a key stands twice, or an include is odd; write it plainly first",
        config.display()
    ))
}

struct Files {
    roots: Vec<PathBuf>,
}

impl Resolve for Files {
    fn include(&self, from: &Path, target: &str) -> Result<PathBuf, String> {
        let joined = from.parent().unwrap_or(Path::new("/")).join(target);
        let real = joined.canonicalize().map_err(|e| e.to_string())?;
        if self.roots.iter().any(|root| real.starts_with(root)) {
            Ok(real)
        } else {
            Err("lies outside the configuration's folder; allow it with OPENCLAW_INCLUDE_ROOTS"
                .into())
        }
    }

    fn read(&self, path: &Path) -> Result<String, String> {
        read_text(path)
    }
}
