//! Where a deployment keeps its state and its configuration, by OpenClaw's own rules.

use std::path::{Path, PathBuf};

/// What the command line and the environment say about the deployment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// `--profile`: OpenClaw's named profile.
    pub(crate) profile: Option<String>,
    /// `OPENCLAW_STATE_DIR`.
    pub(crate) state_dir: Option<PathBuf>,
    /// `OPENCLAW_CONFIG_PATH`.
    pub(crate) config_path: Option<PathBuf>,
    /// `OPENCLAW_INCLUDE_ROOTS`, split.
    pub(crate) include_roots: Vec<PathBuf>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
}

impl Wanted {
    /// Reads the environment; a profile from the command line wins over its variables, as it does
    /// in OpenClaw.
    pub(crate) fn from_env(profile: Option<String>) -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let profiled = profile.is_some();
        Self {
            profile: profile.or_else(|| var("OPENCLAW_PROFILE").and_then(|p| p.into_string().ok())),
            state_dir: var("OPENCLAW_STATE_DIR").filter(|_| !profiled).map(PathBuf::from),
            config_path: var("OPENCLAW_CONFIG_PATH").filter(|_| !profiled).map(PathBuf::from),
            include_roots: var("OPENCLAW_INCLUDE_ROOTS")
                .map(|roots| std::env::split_paths(&roots).collect())
                .unwrap_or_default(),
            home: var("HOME").map(PathBuf::from),
        }
    }
}

/// A deployment that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deployment {
    /// Short name for folders and output: `default`, the profile's name, or one made from the
    /// state folder.
    pub(crate) name: String,
    /// OpenClaw's state folder, with symlinks resolved.
    pub(crate) state_dir: PathBuf,
    /// The user's configuration file, with symlinks resolved.
    pub(crate) config_path: PathBuf,
    /// Symbolic links by which it is found.
    pub(crate) links: Vec<PathBuf>,
    /// Folders from which `$include` may read besides the configuration's own.
    pub(crate) include_roots: Vec<PathBuf>,
    /// The home folder whose `~` the configuration means.
    pub(crate) home: PathBuf,
}

/// There is no deployment where one was looked for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoverError {
    /// No home folder to start from.
    #[error("HOME is not set; set it, or set OPENCLAW_STATE_DIR and OPENCLAW_CONFIG_PATH")]
    NoHome,
    /// A profile name that OpenClaw would not take.
    #[error("profile `{0}` is not a name of letters, digits, `-` and `_`")]
    BadProfile(String),
    /// No configuration.
    #[error(
        "no OpenClaw configuration at `{path}`; run `openclaw onboard`, or point to another one with OPENCLAW_CONFIG_PATH or --profile"
    )]
    NoConfig {
        /// Where it was expected.
        path: PathBuf,
    },
    /// No state folder.
    #[error("the state folder `{path}` cannot be used: {why}")]
    NoState {
        /// Where it was expected.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Deployment {
    /// Finds the deployment that `wanted` describes.
    pub(crate) fn find(wanted: &Wanted) -> Result<Self, DiscoverError> {
        let home = wanted.home.clone().ok_or(DiscoverError::NoHome)?;
        if let Some(profile) = &wanted.profile {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if profile.is_empty() || profile.len() > 64 || !profile.chars().all(plain) {
                return Err(DiscoverError::BadProfile(profile.clone()));
            }
        }
        let profile = wanted.profile.as_deref().filter(|name| *name != "default");
        let state_dir = match (&wanted.state_dir, profile) {
            (Some(dir), _) => expand(dir, &home),
            (None, Some(name)) => home.join(format!(".openclaw-{name}")),
            (None, None) => home.join(".openclaw"),
        };
        let config_path = match &wanted.config_path {
            Some(path) => expand(path, &home),
            None => state_dir.join("openclaw.json"),
        };
        let links = std::path::absolute(&config_path)
            .map(|named| super::links::on_the_way(&named))
            .unwrap_or_default();
        let config_path = config_path
            .canonicalize()
            .map_err(|_| DiscoverError::NoConfig { path: config_path.clone() })?;
        let state_dir = state_dir.canonicalize().map_err(|e| DiscoverError::NoState {
            path: state_dir.clone(),
            why: format!("{e}; create it with `mkdir -m 700 {}`", state_dir.display()),
        })?;
        let name = match (&wanted.state_dir, profile) {
            (None, Some(name)) => name.to_owned(),
            (None, None) => "default".to_owned(),
            (Some(_), _) => named_by_path(&state_dir),
        };
        let include_roots =
            wanted.include_roots.iter().filter_map(|root| root.canonicalize().ok()).collect();
        Ok(Self { name, state_dir, config_path, links, include_roots, home })
    }
}

/// A name for a state folder at an unusual place: its last part and a hash of the whole.
fn named_by_path(path: &Path) -> String {
    let tail: String = path
        .file_name()
        .map(|name| {
            name.to_string_lossy().chars().filter(char::is_ascii_alphanumeric).take(24).collect()
        })
        .unwrap_or_default();
    let hash = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
    format!("{tail}-{}", hash.get(..8).unwrap_or_default())
}

/// Replaces a leading `~`.
pub(crate) fn expand(path: &Path, home: &Path) -> PathBuf {
    path.strip_prefix("~").map_or_else(|_| path.to_owned(), |rest| home.join(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn home_with(state: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().canonicalize().unwrap();
        fs::create_dir(home.join(state)).unwrap();
        fs::write(home.join(state).join("openclaw.json"), "{}").unwrap();
        (dir, home)
    }

    #[test]
    fn the_default_folder_is_found() {
        let (_dir, home) = home_with(".openclaw");
        let found =
            Deployment::find(&Wanted { home: Some(home.clone()), ..Wanted::default() }).unwrap();
        assert_eq!((found.name.as_str(), found.state_dir), ("default", home.join(".openclaw")));
    }

    #[test]
    fn a_profile_has_its_own_folder() {
        let (_dir, home) = home_with(".openclaw-work");
        let wanted = Wanted { home: Some(home), profile: Some("work".into()), ..Wanted::default() };
        assert_eq!(Deployment::find(&wanted).unwrap().name, "work");
        let bad = Wanted { profile: Some("../x".into()), ..wanted };
        assert!(matches!(Deployment::find(&bad), Err(DiscoverError::BadProfile(_))));
    }

    #[test]
    fn a_missing_configuration_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = Wanted { home: Some(dir.path().into()), ..Wanted::default() };
        let error = Deployment::find(&wanted).unwrap_err().to_string();
        assert!(error.contains(".openclaw/openclaw.json") && error.contains("openclaw onboard"));
    }
}
