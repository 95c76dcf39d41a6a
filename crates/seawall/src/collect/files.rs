//! Modes and owners of the deployment's files, and credentials in what the agent can read.

use seawall_audit::facts::{Config, FileEntry, FileKind, Files};
use seawall_egress::scan::Scanner;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files that are looked at, and how deep: a workspace with more is a checkout or a data folder,
/// and the report says where the look stopped.
const MAX_FILES: usize = 20_000;
const MAX_DEPTH: usize = 8;
/// Credentials stand in short files; what is read in all keeps the audit fast.
const MAX_READ: u64 = 128 * 1024;
const MAX_READ_ALL: u64 = 64 * 1024 * 1024;

/// Files that go into every prompt.
const INSTRUCTIONS: &[&str] = &[
    "AGENTS.md",
    "SOUL.md",
    "IDENTITY.md",
    "USER.md",
    "TOOLS.md",
    "MEMORY.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
];

/// The folders that the agents work in.
pub(super) fn workspaces(config: Option<&Config>, state_dir: &Path, home: &Path) -> Vec<PathBuf> {
    let mut out = BTreeSet::from([state_dir.join("workspace")]);
    let entries = fs::read_dir(state_dir).into_iter().flatten().flatten();
    out.extend(
        entries
            .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"workspace-"))
            .map(|entry| entry.path()),
    );
    if let Some(config) = config {
        let agents = config.get("agents");
        let defaults = agents.and_then(|agents| agents.pointer("/defaults/workspace"));
        let entries = agents
            .and_then(|agents| agents.get("entries")?.as_object())
            .into_iter()
            .flat_map(|map| map.values());
        let list = agents.and_then(|agents| agents.get("list")?.as_array()).into_iter().flatten();
        let named = entries.chain(list).filter_map(|agent| agent.get("workspace"));
        out.extend(
            defaults
                .into_iter()
                .chain(named)
                .filter_map(|value| value.as_str())
                .map(|text| crate::deploy::expand(Path::new(text), home)),
        );
    }
    out.into_iter().filter(|path| path.is_dir()).collect()
}

/// Everything that the checks of files look at.
pub(super) fn files(config: Option<&Config>, places: &Places<'_>) -> Files {
    let mut walk = Walk {
        out: Files::default(),
        scanner: Scanner::new(&[]).ok(),
        read: 0,
        seen: BTreeSet::new(),
    };
    walk.named(places.state_link, FileKind::StateDir);
    walk.named(places.config_link, FileKind::Config);
    for include in config.into_iter().flat_map(|config| config.files.iter().skip(1)) {
        walk.named(include, FileKind::Include);
    }
    let state = places.state_dir;
    if let Some(folder) = places.config_link.parent() {
        let name =
            places.config_link.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_FILES) {
            let other = entry.file_name().to_string_lossy().into_owned();
            if other != name && other.starts_with(&name) {
                walk.named(&entry.path(), FileKind::Backup);
            }
        }
    }
    for env in [state.join(".env"), places.home.join(".env")] {
        walk.named(&env, FileKind::Env);
    }
    walk.named(&state.join("credentials"), FileKind::Credentials);
    walk.below(&state.join("credentials"), 2, &|_| FileKind::Credentials);
    for backup in ["backups", "backup"] {
        walk.named(&state.join(backup), FileKind::Backup);
        walk.below(&state.join(backup), 3, &|_| FileKind::Backup);
    }
    for suffix in ["", "-wal", "-shm"] {
        walk.named(&state.join(format!("state/openclaw.sqlite{suffix}")), FileKind::StateDatabase);
    }
    for agent in fs::read_dir(state.join("agents")).into_iter().flatten().flatten().take(MAX_FILES)
    {
        let dir = agent.path();
        for name in [
            "auth-profiles.json",
            "openclaw-agent.sqlite",
            "openclaw-agent.sqlite-wal",
            "openclaw-agent.sqlite-shm",
        ] {
            walk.named(&dir.join("agent").join(name), FileKind::AuthProfiles);
        }
        walk.named(&dir.join("sessions"), FileKind::Sessions);
        walk.below(&dir.join("sessions"), 2, &|_| FileKind::Sessions);
    }
    walk.named(&state.join("logs"), FileKind::Log);
    if let Some(log) = config.and_then(|config| config.str("logging.file")) {
        walk.named(&crate::deploy::expand(Path::new(log), places.home), FileKind::Log);
    }
    for workspace in places.workspaces {
        walk.named(workspace, FileKind::Workspace);
        walk.below(workspace, MAX_DEPTH, &|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if INSTRUCTIONS.contains(&name.as_ref()) {
                FileKind::Instructions
            } else {
                FileKind::WorkspaceFile
            }
        });
    }
    walk.out
}

/// Where to look.
pub(super) struct Places<'a> {
    pub(super) state_dir: &'a Path,
    /// The state folder and the configuration as the deployment names them, symlinks and all.
    pub(super) state_link: &'a Path,
    pub(super) config_link: &'a Path,
    pub(super) home: &'a Path,
    pub(super) workspaces: &'a [PathBuf],
}

struct Walk {
    out: Files,
    scanner: Option<Scanner>,
    read: u64,
    seen: BTreeSet<PathBuf>,
}

impl Walk {
    /// One path, when it exists.
    fn named(&mut self, path: &Path, kind: FileKind) {
        if self.seen.contains(path) {
            return;
        }
        let Ok(own) = fs::symlink_metadata(path) else { return };
        let link = own.is_symlink().then(|| fs::canonicalize(path).ok()).flatten();
        let Ok(meta) = fs::metadata(path) else { return };
        self.seen.insert(path.to_owned());
        let secrets = if meta.is_file() && reads(kind, path) {
            self.secrets(path, meta.len())
        } else {
            Vec::new()
        };
        self.out.entries.push(FileEntry {
            path: path.to_owned(),
            kind,
            dir: meta.is_dir(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            link,
            acl: !matches!(kind, FileKind::WorkspaceFile) && acl(path, meta.mode()),
            secrets,
        });
    }

    /// Everything below a folder; symlinks are not followed.
    fn below(&mut self, dir: &Path, depth: usize, kind: &dyn Fn(&Path) -> FileKind) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries.flatten() {
            if self.out.entries.len() >= MAX_FILES || depth == 0 {
                self.out.truncated.get_or_insert_with(|| dir.to_owned());
                return;
            }
            let Ok(what) = entry.file_type() else { continue };
            let name = entry.file_name();
            if what.is_dir() {
                if name != "node_modules" && name != ".git" {
                    self.below(&entry.path(), depth - 1, kind);
                }
            } else if what.is_file() {
                let path = entry.path();
                let kind = kind(&path);
                self.named(&path, kind);
            }
        }
    }

    /// The kinds of credentials in a file.
    fn secrets(&mut self, path: &Path, size: u64) -> Vec<String> {
        let Some(scanner) = &self.scanner else { return Vec::new() };
        if size == 0 || size > MAX_READ || self.read > MAX_READ_ALL {
            return Vec::new();
        }
        let mut bytes = Vec::new();
        if crate::deploy::open_file(path)
            .and_then(|file| file.take(MAX_READ).read_to_end(&mut bytes))
            .is_err()
        {
            return Vec::new();
        }
        self.read += size;
        let mut found = Vec::new();
        // One kind hides the next: ask again without it. Few files hold more than two.
        while let Some(hit) = scanner.scan(&bytes, &found).filter(|_| found.len() < 4) {
            found.push(hit.kind.to_string());
        }
        if found.is_empty() && is_env(path) && assigns(&bytes) {
            found.push("credentials by name".into());
        }
        found
    }
}

/// Whether a file of this kind is worth reading: text that may hold credentials.
fn reads(kind: FileKind, path: &Path) -> bool {
    match kind {
        FileKind::Env | FileKind::Instructions | FileKind::Log | FileKind::Backup => true,
        FileKind::WorkspaceFile => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            let extension = name.rsplit_once('.').map(|(_, extension)| extension);
            match extension {
                None => true,
                Some(extension) => {
                    const TEXT: &[&str] = &[
                        "env",
                        "json",
                        "json5",
                        "jsonc",
                        "toml",
                        "yaml",
                        "yml",
                        "ini",
                        "cfg",
                        "conf",
                        "properties",
                        "md",
                        "txt",
                        "sh",
                        "bash",
                        "py",
                        "js",
                        "ts",
                        "mjs",
                        "rb",
                        "pem",
                        "key",
                        "p8",
                        "netrc",
                        "npmrc",
                        "pypirc",
                        "tfvars",
                        "tfstate",
                        "log",
                        "csv",
                        "xml",
                        "local",
                        "production",
                        "development",
                    ];
                    name.starts_with('.') || TEXT.contains(&extension)
                }
            }
        }
        _ => false,
    }
}

fn is_env(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(".env") || name.ends_with(".env")
}

/// Whether a `.env` file gives a credential's name a value.
fn assigns(bytes: &[u8]) -> bool {
    String::from_utf8_lossy(bytes).lines().any(|line| {
        line.split_once('=').is_some_and(|(name, value)| {
            let value = value.trim().trim_matches(['"', '\'']);
            seawall_audit::facts::names_a_secret(name.trim_start_matches("export ").trim())
                && value.len() >= 8
                && !value.starts_with("${")
        })
    })
}

/// Whether an access control list says more than the mode. Its text form has more than the three
/// entries of the mode: then the extended attribute exists.
fn acl(path: &Path, mode: u32) -> bool {
    // With a list, the group bits are its mask: no bits, nobody gains anything.
    if mode & 0o070 == 0 {
        return false;
    }
    let mut buffer = [0_u8; 1024];
    match rustix::fs::getxattr(path, "system.posix_acl_access", &mut buffer) {
        // Four bytes of version, eight for each entry.
        Ok(size) => size > 4 + 3 * 8,
        Err(rustix::io::Errno::RANGE) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn modes_links_kinds_and_credentials() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            let path = state.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("openclaw.json", "{}", 0o640);
        write("openclaw.json.bak", "{}", 0o644);
        write("workspace/SOUL.md", "be kind", 0o664);
        write("workspace/.env", "MY_PASSWORD=correct-horse-battery", 0o600);
        write("workspace/pic.png", "MY_PASSWORD=correct-horse-battery", 0o600);
        write("agents/main/agent/auth-profiles.json", "{}", 0o600);
        let workspaces = workspaces(None, &state, &state);
        let places = Places {
            state_dir: &state,
            state_link: &state,
            config_link: &state.join("openclaw.json"),
            home: &state,
            workspaces: &workspaces,
        };
        let files = files(None, &places);
        let kind = |name: &str| files.at(&state.join(name)).map(|file| (file.kind, file.mode));
        assert_eq!(kind("openclaw.json"), Some((FileKind::Config, 0o640)));
        assert_eq!(kind("openclaw.json.bak"), Some((FileKind::Backup, 0o644)));
        assert_eq!(kind("workspace/SOUL.md"), Some((FileKind::Instructions, 0o664)));
        assert_eq!(
            kind("agents/main/agent/auth-profiles.json"),
            Some((FileKind::AuthProfiles, 0o600))
        );
        let with: Vec<_> = files
            .entries
            .iter()
            .filter(|file| !file.secrets.is_empty())
            .map(|file| file.path.clone())
            .collect();
        assert_eq!(with, [state.join("workspace/.env")]);
    }
}
