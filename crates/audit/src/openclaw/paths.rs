//! Paths that decide over the host or hold its keys.

use std::path::{Component, Path, PathBuf};

/// Folders and sockets of the system (agents/sandboxing.md has the same list).
const SYSTEM: &[&str] = &[
    "/etc",
    "/proc",
    "/sys",
    "/dev",
    "/root",
    "/boot",
    "/run",
    "/var/run",
    "/private/etc",
    "/private/var/run",
    "/var/lib/docker",
];
/// Folders of a home that hold keys.
const KEYS: &[&str] = &[
    ".aws", ".azure", ".cargo", ".config", ".docker", ".gnupg", ".kube", ".netrc", ".npm", ".ssh",
];

/// What a path gives away, when it is, holds, or lies in something that decides over the host.
pub(crate) fn sensitive_path(path: &str, home: &Path) -> Option<String> {
    let path = normal(Path::new(path));
    if path == Path::new("/") {
        return Some("the whole disk".into());
    }
    if path.file_name().is_some_and(|name| {
        name == "docker.sock" || name == "podman.sock" || name == "containerd.sock"
    }) {
        return Some("the container engine's socket".into());
    }
    for system in SYSTEM {
        if path.starts_with(system) || Path::new(system).starts_with(&path) {
            return Some(format!("`{system}`"));
        }
    }
    let mut homes: Vec<PathBuf> = vec![home.to_owned()];
    // `/home/NAME`, whoever NAME is.
    if path.starts_with("/home") {
        homes.extend(
            path.ancestors()
                .filter(|at| at.parent() == Some(Path::new("/home")))
                .map(Path::to_owned),
        );
    }
    for home in homes.iter().filter(|home| home.as_os_str().len() > 1) {
        if home.starts_with(&path) {
            return Some("a whole home folder".into());
        }
        for key in KEYS {
            if path.starts_with(home.join(key)) {
                return Some(format!("`~/{key}`"));
            }
        }
    }
    None
}

/// Without `.`, `..` and repeated slashes; symlinks are not followed.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gives_the_host_away() {
        let home = Path::new("/srv/people/ann");
        for path in [
            "/",
            "/etc/ssh",
            "/srv/x/docker.sock",
            "/var",
            "/srv/people/ann",
            "/srv/people",
            "/srv/people/ann/.ssh/id",
            "/home/bob/.aws",
            "/home/bob",
            "/srv/../etc",
        ] {
            assert!(sensitive_path(path, home).is_some(), "{path}");
        }
        for path in ["/srv/project", "/srv/people/ann/work", "/home/bob/work", "/opt"] {
            assert_eq!(sensitive_path(path, home), None, "{path}");
        }
    }
}
