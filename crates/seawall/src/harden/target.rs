//! The deployment that is hardened: its files, and what its own OpenClaw says about them.

use crate::asked;
use crate::deploy::{Deployment, Runtime, Wanted, read_text};
use seawall_audit::harden::doc::{Documents, Resolve};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// OpenClaw answers in a few seconds; a host that swaps takes longer. Then the answer is "no".
const PATIENCE: Duration = Duration::from_secs(180);

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
        let roots = self
            .deployment
            .config_path
            .parent()
            .map(Path::to_owned)
            .into_iter()
            .chain(self.deployment.include_roots.iter().cloned())
            .collect();
        Documents::load(&self.deployment.config_path, &Files { roots }).map_err(|e| e.to_string())
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
        let mut names = BTreeSet::new();
        crate::deploy::collect_env(config, &mut names);
        // References to the environment may be served by the file beside the configuration.
        let mut env = asked::named_in_env_file(&self.deployment.state_dir, names.iter())?;
        for name in names {
            if let Ok(value) = std::env::var(&name) {
                env.insert(name, value);
            }
        }
        asked::takes(runtime, env, config)
    }

    /// Asks the installed OpenClaw about the configuration as it is on the disk.
    pub(crate) fn installed(&self, runtime: &Runtime) -> Result<(), String> {
        self.candidate(runtime, &self.documents()?.value())
    }

    /// Runs a command of the installed OpenClaw on this deployment; its output when it succeeds.
    pub(crate) fn openclaw(&self, runtime: &Runtime, arguments: &[&str]) -> Result<String, String> {
        let config = &self.deployment.config_path;
        let (success, out, err) = self.command(runtime, config, arguments)?;
        if success {
            return Ok(out);
        }
        let said: String =
            if err.trim().is_empty() { &out } else { &err }.trim().chars().take(600).collect();
        Err(format!("`openclaw {}` failed: {said}", arguments.join(" ")))
    }

    fn command(
        &self,
        runtime: &Runtime,
        config: &Path,
        arguments: &[&str],
    ) -> Result<(bool, String, String), String> {
        let mut command = Command::new(&runtime.node);
        command
            .arg(runtime.script())
            .args(arguments)
            .env("OPENCLAW_STATE_DIR", &self.deployment.state_dir)
            .env("OPENCLAW_CONFIG_PATH", config)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some((uid, gid)) = self.drop_to() {
            command.uid(uid).gid(gid);
        }
        let mut child =
            command.spawn().map_err(|e| format!("cannot run `{}`: {e}", runtime.node.display()))?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let out = std::thread::spawn(move || capture(stdout));
        let err = std::thread::spawn(move || capture(stderr));
        let until = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().map_err(|e| e.to_string())? {
                Some(status) => break status,
                None if Instant::now() > until => {
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("OpenClaw did not answer within {PATIENCE:?}"));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
        Ok((status.success(), text(out), text(err)))
    }

    /// Root looks at somebody else's deployment with that user's rights: its plugins are code.
    fn drop_to(&self) -> Option<(u32, u32)> {
        let meta = fs::metadata(&self.deployment.state_dir).ok()?;
        let root = rustix::process::geteuid().is_root();
        (root && meta.uid() != 0).then(|| (meta.uid(), meta.gid()))
    }
}

/// What a command prints, up to a bound: it may be anything.
fn capture(from: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let _ = from.take(8 * 1024 * 1024).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
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
