//! What OpenClaw's own files say: its configuration, with the environment it names, and its program.

use crate::deploy::{ConfigError, Deployment, LoadedConfig, open_file};
use seawall_audit::facts::{Config, Fact, Install, Shape};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Variables that OpenClaw takes credentials from, whatever the configuration says.
const CREDENTIALS: &[&str] = &["OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_GATEWAY_PASSWORD"];
/// A `.env` file is a page of text.
const MAX_ENV: u64 = 256 * 1024;

/// The configuration. `gateway` is the environment of the running gateway, where it may be read: it
/// counts more than the one that the audit was started in.
/// The second is why it cannot be used, when that is its own fault.
pub(super) fn config(
    loaded: Result<LoadedConfig, ConfigError>,
    deployment: &Deployment,
    gateway: &BTreeMap<String, String>,
) -> (Fact<Config>, Option<String>) {
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let denied = matches!(&error, ConfigError::Unreadable { path, .. }
                if open_file(path).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied));
            let (why, command) = (error.to_string(), "openclaw config validate");
            return if denied {
                (Fact::unknown(why, "sudo seawall audit"), None)
            } else {
                (Fact::unknown(why.clone(), command), Some(why))
            };
        }
    };
    let file = dot_env(&deployment.state_dir.join(".env"));
    let names = loaded.env_names.iter().map(String::as_str).chain(CREDENTIALS.iter().copied());
    let env = names
        .filter_map(|name| {
            let value = gateway
                .get(name)
                .cloned()
                .or_else(|| std::env::var(name).ok())
                .or_else(|| file.get(name).cloned())?;
            Some((name.to_owned(), Shape::of(&value)))
        })
        .collect();
    (Fact::Known(Config { value: loaded.value, files: loaded.files, env }), None)
}

/// The port that the configuration gives the gateway.
pub(super) fn port(loaded: &Result<LoadedConfig, ConfigError>) -> u16 {
    loaded
        .as_ref()
        .ok()
        .and_then(|loaded| loaded.value.pointer("/gateway/port")?.as_u64())
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(18789)
}

/// `NAME=value` lines, with optional `export` and quotes.
pub(crate) fn dot_env(path: &Path) -> BTreeMap<String, String> {
    use std::io::Read;
    let mut text = String::new();
    let read = open_file(path).and_then(|file| file.take(MAX_ENV).read_to_string(&mut text));
    if read.is_err() {
        return BTreeMap::new();
    }
    text.lines()
        .filter_map(|line| {
            let line = line.trim().trim_start_matches("export ");
            let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
            Some((name.trim().to_owned(), value.to_owned()))
        })
        .collect()
}

/// The installed program: the one that is named, else the one on `PATH`, else where npm puts it.
pub(super) fn install(openclaw: Option<&Path>) -> Fact<Install> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let launcher = openclaw.map(Path::to_owned).or_else(|| {
        std::env::split_paths(&search).map(|dir| dir.join("openclaw")).find(|path| path.is_file())
    });
    let command = "seawall audit --openclaw PATH";
    let Some(launcher) = launcher else {
        return Fact::unknown("`openclaw` is not on PATH", command);
    };
    let Ok(real) = launcher.canonicalize() else {
        return Fact::unknown(format!("`{}` leads nowhere", launcher.display()), command);
    };
    let package =
        if real.is_dir() { real } else { real.parent().map_or(real.clone(), Path::to_owned) };
    let text = fs::read_to_string(package.join("package.json")).unwrap_or_default();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    if json.get("name").and_then(|name| name.as_str()) != Some("openclaw") {
        return Fact::unknown(
            format!("`{}` is not OpenClaw's package", package.display()),
            command,
        );
    }
    let version = json.get("version").and_then(|version| version.as_str()).unwrap_or_default();
    Fact::Known(Install {
        version: version.to_owned(),
        uid: fs::metadata(&package).map(|meta| meta.uid()).unwrap_or_default(),
        writable: writable(&package),
        package,
    })
}

/// The first of the package's upper folders and files that others may write.
fn writable(package: &Path) -> Option<PathBuf> {
    let own = [
        package.to_owned(),
        package.join("package.json"),
        package.join("openclaw.mjs"),
        package.join("dist"),
    ];
    let above = package.parent().map(Path::to_owned);
    own.into_iter().chain(above).find(|path| {
        fs::symlink_metadata(path).is_ok_and(|meta| {
            // The sticky bit keeps others from replacing what is there.
            meta.mode() & 0o022 != 0 && meta.mode() & 0o1000 == 0 && !meta.is_symlink()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_openclaw_reads_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        fs::write(&path, "# A=1\nexport B=\"x y\"\nC = z\nnonsense\n").unwrap();
        let read = dot_env(&path);
        assert_eq!(read.get("B").unwrap(), "x y");
        assert_eq!(read.get("C").unwrap(), "z");
        assert_eq!(read.len(), 2);
    }
}
