//! Modes and owners of the deployment's files, and credentials in what the agent can read.

use super::reach::{self, Reader};
use seawall_audit::facts::{Config, Cut, FileEntry, FileKind, Files};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of one kind of folder (credentials, backups, one agent's sessions): a folder with more is
/// one that somebody fills.
const MAX_FILES: usize = 5_000;
/// Agents, and copies of the configuration.
const MAX_AGENTS: usize = 5_000;

/// Files that go into every prompt.
pub(super) const INSTRUCTIONS: &[&str] = &[
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
    let reader = Reader::new();
    let mut walk = Walk {
        out: Files::default(),
        reader: &reader,
        seen: HashSet::new(),
        left: 0,
        buffer: Vec::new(),
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
        for entry in walk.listed(folder, FileKind::Backup, MAX_AGENTS) {
            let other = entry.file_name().to_string_lossy().into_owned();
            if other != name && other.starts_with(&name) {
                walk.named(&entry.path(), FileKind::Backup);
            }
        }
    }
    for env in [state.join(".env"), places.home.join(".env")] {
        walk.named(&env, FileKind::Env);
    }
    walk.folder(&state.join("credentials"), 2, FileKind::Credentials);
    for backup in ["backups", "backup"] {
        walk.folder(&state.join(backup), 3, FileKind::Backup);
    }
    for suffix in ["", "-wal", "-shm"] {
        walk.named(&state.join(format!("state/openclaw.sqlite{suffix}")), FileKind::StateDatabase);
    }
    for agent in walk.listed(&state.join("agents"), FileKind::AuthProfiles, MAX_AGENTS) {
        let dir = agent.path();
        for name in [
            "auth-profiles.json",
            "openclaw-agent.sqlite",
            "openclaw-agent.sqlite-wal",
            "openclaw-agent.sqlite-shm",
        ] {
            walk.named(&dir.join("agent").join(name), FileKind::AuthProfiles);
        }
        walk.folder(&dir.join("sessions"), 2, FileKind::Sessions);
    }
    walk.named(&state.join("logs"), FileKind::Log);
    if let Some(log) = config.and_then(|config| config.str("logging.file")) {
        walk.named(&crate::deploy::expand(Path::new(log), places.home), FileKind::Log);
    }
    for workspace in places.workspaces {
        walk.named(workspace, FileKind::Workspace);
        for name in INSTRUCTIONS {
            walk.named(&workspace.join(name), FileKind::Instructions);
        }
    }
    let Walk { mut out, seen, .. } = walk;
    reach::workspaces(places.workspaces, &seen, &reader, &mut out);
    out
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

struct Walk<'a> {
    out: Files,
    reader: &'a Reader,
    seen: HashSet<OsString>,
    /// Files that one folder may still have.
    left: usize,
    buffer: Vec<u8>,
}

impl Walk<'_> {
    /// One path, when it exists.
    fn named(&mut self, path: &Path, kind: FileKind) {
        if self.seen.contains(path.as_os_str()) {
            return;
        }
        let Ok(own) = fs::symlink_metadata(path) else { return };
        let link = own.is_symlink().then(|| fs::canonicalize(path).ok()).flatten();
        let meta = if own.is_symlink() {
            let Ok(meta) = fs::metadata(path) else { return };
            meta
        } else {
            own
        };
        self.seen.insert(path.as_os_str().to_owned());
        let secrets =
            if meta.is_file() && reads(kind) { self.secrets(path, kind) } else { Vec::new() };
        self.out.entries.push(FileEntry {
            path: path.to_owned(),
            kind,
            dir: meta.is_dir(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            link,
            acl: acl(path, meta.mode()),
            secrets,
        });
    }

    /// A folder and everything below it; symlinks are not followed.
    fn folder(&mut self, dir: &Path, depth: usize, kind: FileKind) {
        self.named(dir, kind);
        self.left = MAX_FILES;
        self.below(dir, depth, kind);
    }

    fn below(&mut self, dir: &Path, depth: usize, kind: FileKind) {
        for entry in self.listed(dir, kind, MAX_FILES) {
            let Ok(what) = entry.file_type() else { continue };
            if what.is_dir() {
                if depth > 1 {
                    self.below(&entry.path(), depth - 1, kind);
                } else {
                    self.cut(&entry.path(), kind, "was not looked at: it lies too deep");
                }
            } else if what.is_file() {
                if self.left == 0 {
                    return self.cut(dir, kind, "has too many files: the rest was not looked at");
                }
                self.left -= 1;
                self.named(&entry.path(), kind);
            }
        }
    }

    /// What lies in a folder. One that is not there has nothing.
    fn listed(&mut self, dir: &Path, kind: FileKind, most: usize) -> Vec<fs::DirEntry> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(e) => {
                use std::io::ErrorKind::{NotADirectory, NotFound};
                if !matches!(e.kind(), NotFound | NotADirectory) {
                    self.cut(dir, kind, &format!("could not be read: {e}"));
                }
                return Vec::new();
            }
        };
        let mut all: Vec<fs::DirEntry> = entries.flatten().take(most + 1).collect();
        if all.len() > most {
            all.pop();
            self.cut(dir, kind, "has too many entries: the rest was not looked at");
        }
        all
    }

    fn cut(&mut self, path: &Path, kind: FileKind, why: &str) {
        self.out.cuts.push(Cut { path: path.to_owned(), kind, why: why.to_owned() });
    }

    /// The kinds of credentials in a file.
    fn secrets(&mut self, path: &Path, kind: FileKind) -> Vec<String> {
        let found = match crate::deploy::open_file(path) {
            Ok(mut file) => self.reader.look(path, &mut file, &mut self.buffer),
            Err(e) => reach::Found {
                left: Some(format!("could not be read: {e}")),
                ..reach::Found::default()
            },
        };
        if let Some(why) = found.left {
            self.out.unread.push(Cut { path: path.to_owned(), kind, why });
        }
        found.secrets
    }
}

/// Whether a file of this kind may hold credentials that do not belong there.
fn reads(kind: FileKind) -> bool {
    matches!(kind, FileKind::Env | FileKind::Instructions | FileKind::Log | FileKind::Backup)
}

/// Whether an access control list says more than the mode. Its text form has more than the three
/// entries of the mode: then the extended attribute exists.
pub(super) fn acl(path: &Path, mode: u32) -> bool {
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

    #[test]
    fn a_full_folder_hides_no_other_and_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().canonicalize().unwrap();
        fs::create_dir_all(state.join("credentials")).unwrap();
        fs::create_dir_all(state.join("workspace")).unwrap();
        for n in 0..=MAX_FILES {
            fs::write(state.join(format!("credentials/{n}")), "").unwrap();
        }
        fs::write(state.join("workspace/.env"), "MY_PASSWORD=correct-horse-battery").unwrap();
        let workspaces = workspaces(None, &state, &state);
        let config = state.join("openclaw.json");
        let places = Places {
            state_dir: &state,
            state_link: &state,
            config_link: &config,
            home: &state,
            workspaces: &workspaces,
        };
        let files = files(None, &places);
        assert_eq!(files.cuts.len(), 1, "{:?}", files.cuts);
        assert!(files.cuts.iter().all(|cut| cut.kind == FileKind::Credentials));
        assert!(files.entries.iter().any(|file| !file.secrets.is_empty()));
    }
}
