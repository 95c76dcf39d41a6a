//! Paths: resolved as the gateway would, and classified by what they hold.

use serde::{Deserialize, Serialize};

/// What a path holds, from its place and name alone. Ordered by nothing; policies name the
/// classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathClass {
    /// An ordinary file of the agent's workspace.
    Workspace,
    /// A scratch folder.
    Scratch,
    /// The agent's instructions (SOUL.md, AGENTS.md, …).
    Identity,
    /// What later sessions read as their memory.
    Memory,
    /// Skills, and what else is loaded as code or instruction later.
    Skill,
    /// Files of the workspace that a later program run executes on its own (git hooks, …).
    Autorun,
    /// Keys, tokens, password stores, environment files.
    Credential,
    /// OpenClaw's own state: transcripts, sessions, credentials, schedules.
    State,
    /// OpenClaw's configuration.
    Config,
    /// Seawall's own files and sockets.
    Guard,
    /// Start-up files, crontabs, services, authorised keys.
    Persistence,
    /// Programs and libraries of the system, readable by everybody.
    System,
    /// Anything else outside the workspace.
    Outside,
    /// Not known statically.
    Unknown,
}

impl PathClass {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Scratch => "scratch",
            Self::Identity => "identity",
            Self::Memory => "memory",
            Self::Skill => "skill",
            Self::Autorun => "autorun",
            Self::Credential => "credential",
            Self::State => "state",
            Self::Config => "config",
            Self::Guard => "guard",
            Self::Persistence => "persistence",
            Self::System => "system",
            Self::Outside => "outside",
            Self::Unknown => "unknown",
        }
    }
}

/// Where things are on the deployment; facts given from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case", deny_unknown_fields)]
pub struct Places {
    /// Home folder of the gateway's user.
    pub home: String,
    /// Workspace used when an action does not tell its own.
    pub workspace: String,
    /// OpenClaw's state folder.
    pub state_dir: String,
    /// Folder that holds OpenClaw's configuration file.
    pub config_dir: String,
    /// Folders of Seawall itself.
    pub guard_dirs: Vec<String>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            home: "/home/agent".into(),
            workspace: "/home/agent/.openclaw/workspace".into(),
            state_dir: "/home/agent/.openclaw".into(),
            config_dir: "/home/agent/.openclaw".into(),
            guard_dirs: vec!["/run/seawall".into()],
        }
    }
}

/// Longest path looked at; the kernel's own limit.
const MAX_PATH: usize = 4096;

/// Makes a path absolute and removes `.` and `..` lexically, as the gateway does before it
/// compares with its roots. `None` for what no file can be named, and for what the gateway's file
/// tools take for another name than the one that stands there ([`plain`]).
#[must_use]
pub fn resolve(path: &str, cwd: &str, places: &Places) -> Option<String> {
    let path = plain(path)?;
    let joined = if path == "~" {
        places.home.clone()
    } else if let Some(rest) = path.strip_prefix("~/") {
        format!("{}/{rest}", places.home)
    } else if path.starts_with('~') {
        // Another user's home.
        format!("/home/{}", path.trim_start_matches('~'))
    } else if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{cwd}/{path}")
    };
    Some(inside_view(&normalise(&joined), cwd))
}

/// A path that everybody reads alike. OpenClaw's file tools take an `@` off its front, blanks off
/// its ends, decode `%` in `file:` URLs, and try other quotes and blanks where a file is missing;
/// which of them does what changes from tool to tool. A name that needs none of that is all that an
/// honest call has.
fn plain(path: &str) -> Option<&str> {
    let odd = |c: char| c.is_control() || (c.is_whitespace() && c != ' ') || is_format(c);
    if path.len() > MAX_PATH || path.starts_with('@') || path.trim() != path || path.contains(odd) {
        return None;
    }
    let drive = |path: &str| matches!(path.as_bytes(), [a, b':', b'/' | b'\\', ..] if a.is_ascii_alphabetic());
    if drive(path) {
        return None;
    }
    if path.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("file:")) {
        let rest = path.strip_prefix("file://")?;
        return (rest.starts_with('/') && !rest.contains(['%', '\\', '?', '#'])).then_some(rest);
    }
    Some(path)
}

/// Characters that are not seen, or that change the direction in which others are read.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

/// Removes `.`, `..` and doubled slashes.
#[must_use]
pub fn normalise(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut out = String::with_capacity(path.len());
    for part in parts {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// Tool runs see the workspace as `/workspace` (and `/agent`); both names mean the same file.
#[must_use]
pub fn inside_view(path: &str, workspace: &str) -> String {
    for root in ["/workspace", "/agent"] {
        if !below(workspace, root)
            && let Some(rest) = path.strip_prefix(root)
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return format!("{workspace}{rest}");
        }
    }
    path.to_owned()
}

/// Whether `path` is `root` or below it.
#[must_use]
pub fn below(path: &str, root: &str) -> bool {
    !root.is_empty()
        && path
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || root == "/")
}

const IDENTITY_FILES: &[&str] = &[
    "soul.md",
    "agents.md",
    "identity.md",
    "user.md",
    "boot.md",
    "bootstrap.md",
    "heartbeat.md",
    "tools.md",
    "claude.md",
    "gemini.md",
    ".cursorrules",
];
const SKILL_ROOTS: &[&str] = &["skills", ".agents", ".openclaw", ".claude", "hooks", "plugins"];
const AUTORUN: &[&str] =
    &[".git/hooks", ".git/config", ".githooks", ".husky", ".envrc", ".vscode/tasks.json", ".npmrc"];
const CREDENTIAL_FOLDERS: &[&str] = &[
    ".ssh",
    ".aws",
    ".gnupg",
    ".kube",
    ".azure",
    ".password-store",
    "keyrings",
    "gcloud",
    ".docker",
    ".terraform.d",
    ".1password",
    ".bitwarden",
    ".op",
    "gh",
    ".mozilla",
    "google-chrome",
    "chromium",
    ".thunderbird",
    "secrets",
    ".secrets",
    ".vault",
    "credentials",
];
const CREDENTIAL_FILES: &[&str] = &[
    ".netrc",
    "_netrc",
    ".pgpass",
    ".my.cnf",
    ".git-credentials",
    ".pypirc",
    ".htpasswd",
    ".vault-token",
    ".s3cfg",
    ".boto",
    "shadow",
    "gshadow",
    "sudoers",
    "auth-profiles.json",
    "credentials.json",
    "service-account.json",
    "secrets.json",
    "secrets.yaml",
    "secrets.yml",
    "secrets.toml",
    "secret.key",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "authinfo",
    ".authinfo",
    "kubeconfig",
    "credentials",
    "terraform.tfstate",
    "login.keychain-db",
    "cookies.sqlite",
    "logins.json",
    "key4.db",
];
const CREDENTIAL_SUFFIXES: &[&str] = &[
    ".pem",
    ".key",
    ".p12",
    ".pfx",
    ".kdbx",
    ".jks",
    ".keystore",
    ".ppk",
    ".gpg",
    ".age",
    ".ovpn",
];
const PERSISTENCE_FILES: &[&str] = &[
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_logout",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".kshrc",
    ".inputrc",
    ".vimrc",
    ".xprofile",
    ".xinitrc",
    ".pam_environment",
    "authorized_keys",
    "crontab",
    "rc.local",
    "ld.so.preload",
];
const PERSISTENCE_ROOTS: &[&str] =
    &["/etc", "/var/spool/cron", "/usr/lib/systemd", "/lib/systemd", "/var/spool/at", "/boot"];

/// Classifies an absolute, normalised path.
#[must_use]
pub fn classify(path: &str, workspace: &str, places: &Places) -> PathClass {
    if path.is_empty() {
        return PathClass::Unknown;
    }
    // Names are compared without case: macOS and some mounts do not tell them apart.
    let lower = path.to_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    if places.guard_dirs.iter().any(|dir| below(path, dir)) {
        return PathClass::Guard;
    }
    if is_credential(&lower, name) {
        return PathClass::Credential;
    }
    if below(path, workspace) {
        // Cut before it is lowered: some letters change their length.
        let relative = path.get(workspace.len()..).unwrap_or(path).to_lowercase();
        return in_workspace(relative.trim_start_matches('/'));
    }
    if below(path, &places.config_dir) && (name.contains("openclaw.json") || name == "config") {
        return PathClass::Config;
    }
    if below(path, &places.state_dir) || lower.contains("/.openclaw/") || name == ".openclaw" {
        return if name.starts_with("openclaw.json") {
            PathClass::Config
        } else {
            PathClass::State
        };
    }
    if PERSISTENCE_FILES.contains(&name)
        || lower.contains("/.config/systemd/")
        || lower.contains("/.config/autostart")
        || lower.contains("/launchagents/")
        || lower.contains("/launchdaemons/")
        || lower.contains("/cron.")
        || lower.contains("/.local/bin/")
    {
        return PathClass::Persistence;
    }
    if below(path, "/tmp") || below(path, "/var/tmp") || path == "/dev/null" {
        return PathClass::Scratch;
    }
    if PERSISTENCE_ROOTS.iter().any(|root| below(path, root))
        || ["/usr", "/bin", "/lib", "/lib64", "/sbin", "/opt"].iter().any(|root| below(path, root))
    {
        return PathClass::System;
    }
    PathClass::Outside
}

fn is_credential(lower: &str, name: &str) -> bool {
    if name.starts_with(".env")
        && !matches!(
            name,
            ".env.example" | ".env.sample" | ".env.template" | ".env.dist" | ".envrc"
        )
    {
        return true;
    }
    if lower.starts_with("/proc/")
        && matches!(name, "environ" | "mem" | "maps" | "cmdline" | "auxv" | "fd" | "root")
    {
        return true;
    }
    if lower.starts_with("/proc/") && (lower.contains("/fd/") || lower.contains("/root/")) {
        return true;
    }
    CREDENTIAL_FILES.contains(&name)
        || (name.starts_with("id_") && !name.ends_with(".pub") && lower.contains("/.ssh"))
        || CREDENTIAL_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || lower.split('/').any(|part| CREDENTIAL_FOLDERS.contains(&part))
}

/// `relative` is lower case, without a leading slash.
fn in_workspace(relative: &str) -> PathClass {
    let first = relative.split('/').next().unwrap_or(relative);
    // Whatever follows: a name below such a file is no ordinary one.
    if IDENTITY_FILES.contains(&first) {
        return PathClass::Identity;
    }
    // Instruction files are read from subfolders as well.
    if relative.ends_with("/agents.md") || relative.ends_with("/claude.md") {
        return PathClass::Identity;
    }
    if first == "memory.md" || first == "memory" || first == "dreams.md" {
        return PathClass::Memory;
    }
    if SKILL_ROOTS.contains(&first) || relative.ends_with("skill.md") {
        return PathClass::Skill;
    }
    if AUTORUN.iter().any(|auto| below(relative, auto) || relative.contains(&format!("/{auto}"))) {
        return PathClass::Autorun;
    }
    PathClass::Workspace
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(path: &str) -> PathClass {
        let places = Places::default();
        let full = resolve(path, &places.workspace, &places).unwrap();
        classify(&full, &places.workspace, &places)
    }

    #[test]
    fn paths_are_resolved_before_they_are_judged() {
        assert_eq!(class("notes/../MEMORY.md"), PathClass::Memory);
        assert_eq!(class("./src//main.rs"), PathClass::Workspace);
        assert_eq!(class("../../.ssh/id_rsa"), PathClass::Credential);
        assert_eq!(class("~/.aws/credentials"), PathClass::Credential);
        assert_eq!(class("/workspace/SOUL.md"), PathClass::Identity);
        assert_eq!(class("SOUL.md/x"), PathClass::Identity);
        assert_eq!(class("BOOT.md"), PathClass::Identity);
        assert_eq!(class("file:///etc/shadow"), PathClass::Credential);
        assert_eq!(class("../openclaw.json"), PathClass::Config);
        assert_eq!(class("../agents/main/agent/openclaw-agent.sqlite"), PathClass::State);
    }

    #[test]
    fn a_name_that_the_gateway_reads_as_another_is_none() {
        let places = Places::default();
        let none = |path: &str| resolve(path, &places.workspace, &places).is_none();
        for path in [
            "@MEMORY.md",
            "@@x",
            " .env",
            ".env ",
            "\u{a0}.env",
            "memory\u{2003}x.md",
            "a\nb",
            "a\tb",
            "so\u{200b}ul.md",
            "file:///workspace/%2eenv",
            "file:///workspace\\x",
            "file://host/x",
            "file:x",
            "FILE:///etc/passwd",
            "C:\\x",
            "c:/x",
        ] {
            assert!(none(path), "{path:?}");
        }
        for path in ["a b.md", "a@b.md", "x%20y", "file:///w/x", "C:x", "über.md", "~/@x", "a:/b"]
        {
            assert_eq!(none(path), path == "a:/b", "{path:?}");
        }
    }

    #[test]
    fn names_are_judged_without_case() {
        assert_eq!(class("soul.MD"), PathClass::Identity);
        assert_eq!(class("Memory/2026-01-01.md"), PathClass::Memory);
        assert_eq!(class("a/.ENV"), PathClass::Credential);
    }

    #[test]
    fn ordinary_files_stay_ordinary() {
        for path in ["a.txt", "docs/memory-model.md", ".env.example", "src/keyboard.rs", "x.pub"] {
            assert_eq!(class(path), PathClass::Workspace, "{path}");
        }
        assert_eq!(class("/tmp/x"), PathClass::Scratch);
        assert_eq!(class("/usr/bin/git"), PathClass::System);
        assert_eq!(class("/srv/data"), PathClass::Outside);
    }

    #[test]
    fn what_is_run_later_is_told_apart() {
        assert_eq!(class(".git/hooks/post-commit"), PathClass::Autorun);
        assert_eq!(class("skills/x/SKILL.md"), PathClass::Skill);
        assert_eq!(class("~/.bashrc"), PathClass::Persistence);
        assert_eq!(class("/proc/1/environ"), PathClass::Credential);
        assert_eq!(class("/run/seawall/guard.sock"), PathClass::Guard);
    }

    #[test]
    fn what_openclaw_would_read_as_another_path_is_none() {
        let places = Places::default();
        for path in [
            "@MEMORY.md",
            "@.env",
            "\u{a0}.env",
            " .env",
            ".env ",
            "a\u{3000}b",
            "a\tb",
            "a\u{200b}b",
            "file:///workspace/%2eenv",
            "FILE:///w/x",
            "file:/w/x",
            "file://host/x",
        ] {
            assert_eq!(resolve(path, "/w", &places), None, "{path:?}");
        }
        for (path, is) in
            [("./@scope/x", "/w/@scope/x"), ("a b@c.md", "/w/a b@c.md"), ("file:///w/x", "/w/x")]
        {
            assert_eq!(resolve(path, "/w", &places).as_deref(), Some(is), "{path}");
        }
    }
}
