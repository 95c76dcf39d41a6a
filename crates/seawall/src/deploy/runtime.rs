//! The installed OpenClaw and the Node that runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release that Seawall's tables (tools, methods, configuration) were made for.
pub(crate) const TESTED: &str = "2026.9.6";

/// What will run the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Runtime {
    /// The `node` program, symlinks resolved.
    pub(crate) node: PathBuf,
    /// Its version, for example `24.21.0`.
    pub(crate) node_version: String,
    /// OpenClaw's package folder.
    pub(crate) package: PathBuf,
    /// The folder that must be readable for it to run: the outermost `node_modules`, where its
    /// dependencies are.
    pub(crate) tree: PathBuf,
    /// OpenClaw's version.
    pub(crate) version: String,
    /// Symbolic links by which the two are found.
    pub(crate) links: Vec<PathBuf>,
}

/// Why the gateway could not be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuntimeError {
    /// No `openclaw` on the path.
    #[error(
        "`openclaw` is not on PATH; install it with `npm install -g openclaw@{TESTED}`, or name it with --openclaw"
    )]
    NoOpenClaw,
    /// What is there is not an OpenClaw.
    #[error("`{path}` is not OpenClaw: {why}")]
    NotOpenClaw {
        /// What was found.
        path: PathBuf,
        /// Why it is not.
        why: String,
    },
    /// An OpenClaw that this Seawall does not know.
    #[error(
        "OpenClaw {found} is not supported by this Seawall, whose tables were made for {TESTED}; install openclaw@{TESTED}, or start with --allow-untested-openclaw and expect refusals"
    )]
    Untested {
        /// Its version.
        found: String,
    },
    /// No `node`.
    #[error(
        "`node` is not on PATH; OpenClaw {TESTED} needs Node 24.16 or later of the 24 line, or 26.1 or later"
    )]
    NoNode,
    /// A `node` that OpenClaw does not run on.
    #[error(
        "Node {found} at `{path}` cannot run OpenClaw: it needs >=24.16.0 <25 or >=26.1.0; put such a `node` first on PATH, or name it with --node"
    )]
    WrongNode {
        /// Where.
        path: PathBuf,
        /// Its version or what it printed instead.
        found: String,
    },
}

impl Runtime {
    /// Finds OpenClaw and Node: the given ones, else OpenClaw on `PATH` and the Node beside it,
    /// else the Node on `PATH`.
    pub(crate) fn find(
        openclaw: Option<&Path>,
        node: Option<&Path>,
        search: &std::ffi::OsStr,
        allow_untested: bool,
    ) -> Result<Self, RuntimeError> {
        let launcher = match openclaw {
            Some(path) => path.to_owned(),
            None => on_path("openclaw", search).ok_or(RuntimeError::NoOpenClaw)?,
        };
        let real = launcher.canonicalize().map_err(|e| RuntimeError::NotOpenClaw {
            path: launcher.clone(),
            why: e.to_string(),
        })?;
        let package =
            if real.is_dir() { real.clone() } else { real.parent().unwrap_or(&real).to_owned() };
        let version = package_version(&package)?;
        if version != TESTED && !allow_untested {
            return Err(RuntimeError::Untested { found: version });
        }
        let beside = launcher.parent().map(|dir| dir.join("node")).filter(|node| node.exists());
        let node = match node {
            Some(path) => path.to_owned(),
            None => beside.or_else(|| on_path("node", search)).ok_or(RuntimeError::NoNode)?,
        };
        let mut links = Vec::new();
        for named in [&launcher, &node] {
            let named = std::path::absolute(named).map_err(|_| RuntimeError::NoNode)?;
            links.extend(super::links::on_the_way(&named));
        }
        let node = node.canonicalize().map_err(|_| RuntimeError::NoNode)?;
        let node_version = node_version(&node)?;
        let tree = package
            .ancestors()
            .filter(|dir| dir.file_name().is_some_and(|name| name == "node_modules"))
            .last()
            .map_or_else(|| package.clone(), Path::to_owned);
        Ok(Self { node, node_version, package, tree, version, links })
    }

    /// The script that Node runs.
    pub(crate) fn script(&self) -> PathBuf {
        self.package.join("openclaw.mjs")
    }
}

fn on_path(name: &str, search: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(search).map(|dir| dir.join(name)).find(|path| path.is_file())
}

fn package_version(package: &Path) -> Result<String, RuntimeError> {
    let fail = |why: String| RuntimeError::NotOpenClaw { path: package.to_owned(), why };
    let text = std::fs::read_to_string(package.join("package.json"))
        .map_err(|e| fail(format!("its package.json cannot be read: {e}")))?;
    let json: serde_json::Value = serde_json::from_str(&text)
        .map_err(|e| fail(format!("its package.json is not JSON: {e}")))?;
    if json.get("name").and_then(|name| name.as_str()) != Some("openclaw") {
        return Err(fail("its package.json names another package".into()));
    }
    json.get("version")
        .and_then(|version| version.as_str())
        .map(str::to_owned)
        .ok_or_else(|| fail("its package.json has no version".into()))
}

fn node_version(node: &Path) -> Result<String, RuntimeError> {
    let wrong = |found: String| RuntimeError::WrongNode { path: node.to_owned(), found };
    let output = Command::new(node)
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .map_err(|e| wrong(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().trim_start_matches('v').to_owned();
    let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(24), Some(minor)) if minor >= 16 => Ok(text),
        (Some(26), Some(minor)) if minor >= 1 => Ok(text),
        (Some(major), Some(_)) if major > 26 => Ok(text),
        _ => Err(wrong(text.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn installed(version: &str, node: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let package = dir.path().join("node_modules/openclaw");
        let bin = dir.path().join("node_modules/.bin");
        fs::create_dir_all(&package).unwrap();
        fs::create_dir_all(&bin).unwrap();
        fs::write(
            package.join("package.json"),
            format!(r#"{{"name":"openclaw","version":"{version}"}}"#),
        )
        .unwrap();
        fs::write(package.join("openclaw.mjs"), "").unwrap();
        std::os::unix::fs::symlink("../openclaw/openclaw.mjs", bin.join("openclaw")).unwrap();
        fs::write(bin.join("node"), format!("#!/bin/sh\necho {node}\n")).unwrap();
        fs::set_permissions(bin.join("node"), fs::Permissions::from_mode(0o755)).unwrap();
        dir
    }

    fn find(dir: &tempfile::TempDir) -> Result<Runtime, RuntimeError> {
        Runtime::find(None, None, dir.path().join("node_modules/.bin").as_os_str(), false)
    }

    #[test]
    fn the_node_beside_openclaw_is_taken() {
        let dir = installed(TESTED, "v24.21.0");
        let runtime = find(&dir).unwrap();
        assert_eq!(runtime.node_version, "24.21.0");
        assert!(
            runtime.tree.ends_with("node_modules")
                && runtime.script().ends_with("openclaw/openclaw.mjs")
        );
    }

    #[test]
    fn a_wrong_node_an_unknown_release_and_nothing_at_all_are_named() {
        let found = |dir: &tempfile::TempDir| find(dir).unwrap_err().to_string();
        assert!(found(&installed(TESTED, "v20.1.0")).contains("Node 20.1.0"));
        assert!(found(&installed(TESTED, "v24.2.0")).contains("24.16.0"));
        assert!(found(&installed("2027.1.1", "v24.21.0")).contains("2027.1.1"));
        assert_eq!(find(&tempfile::tempdir().unwrap()), Err(RuntimeError::NoOpenClaw));
    }
}
