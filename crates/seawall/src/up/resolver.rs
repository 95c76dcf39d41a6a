//! Copies of the files by which the C library looks names up, for the guard.
//!
//! The guard sees neither `/etc` nor the folders of network managers, and a bind of one file would
//! stay with the old one when a manager puts a new one in its place.

use crate::daemon::tokens::write_private;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is copied, links followed.
pub(crate) const FILES: [&str; 7] =
    ["resolv.conf", "hosts", "nsswitch.conf", "gai.conf", "host.conf", "services", "protocols"];

/// How old a copy may be. The C library looks at the file's time before each look-up.
const EVERY: Duration = Duration::from_secs(2);

/// More of one file is not read: the largest, a list of hosts to block, has a few hundred thousand
/// lines.
const MAX_BYTES: u64 = 16 << 20;

/// Makes the copies what the files are now. A file that can't be read has no copy.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    for name in FILES {
        let copy = to.join(name);
        match read(&from.join(name)) {
            Some(text) if std::fs::read(&copy).is_ok_and(|old| old == text) => {}
            Some(text) => write_private(&copy, &text)?,
            None => match std::fs::remove_file(&copy) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("cannot remove `{}`: {e}", copy.display()));
                }
                _ => {}
            },
        }
    }
    Ok(())
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_end(&mut text).ok()?;
    Some(text)
}

/// Keeps the copies current.
pub(super) async fn keep(to: PathBuf) {
    let mut failed = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let to = to.clone();
        let copied = tokio::task::spawn_blocking(move || copy(Path::new("/etc"), &to)).await;
        match copied {
            Ok(Err(why)) if !failed => {
                tracing::warn!("the guard looks names up as before: {why}");
                failed = true;
            }
            Ok(Ok(())) => failed = false,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn copies_follow_links_and_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("etc"), dir.path().join("to"));
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(dir.path().join("stub"), "nameserver 1").unwrap();
        symlink("../stub", from.join("resolv.conf")).unwrap();
        std::fs::write(from.join("hosts"), "a").unwrap();
        std::fs::write(from.join("shadow"), "no").unwrap();
        copy(&from, &to).unwrap();
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(&to)
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(), ["hosts", "resolv.conf"]);
        let copied = || std::fs::read_to_string(to.join("resolv.conf")).unwrap();
        assert_eq!(copied(), "nameserver 1");
        // As a network manager does it: a new file in the old one's place.
        std::fs::write(dir.path().join("new"), "nameserver 2").unwrap();
        std::fs::rename(dir.path().join("new"), dir.path().join("stub")).unwrap();
        std::fs::remove_file(from.join("hosts")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!((copied().as_str(), names()), ("nameserver 2", vec!["resolv.conf".to_owned()]));
    }
}
