//! From a folder that may be written to the paths in it that one call was authorised to write.
//!
//! The folder is read-only. Where a path has to be made, replaced or removed, the folder above it
//! is writable, since programs replace a file by a new one beside it; everything else that is
//! there is held read-only, one mount each.

use super::host::{Host, Kind};
use super::layout::Grant;
use crate::spec::{Access, within};
use std::collections::BTreeSet;

/// Most entries that are held beside what is written in one run, because each is a mount. A folder
/// with more is writable as a whole.
pub(super) const MOST_HELD: usize = 128;

/// The grants for a folder at `from`, seen at `to`, of which only `paths` (relative, and all below
/// them) may be written. `removes` are those that may be removed themselves.
pub(super) fn narrow(
    host: &dyn Host,
    from: &str,
    to: &str,
    paths: &BTreeSet<String>,
    removes: &BTreeSet<String>,
    budget: &mut usize,
) -> Vec<Grant> {
    // Folders in which names are made and removed, and folders and files all of which is written.
    let (mut units, mut whole) = (BTreeSet::new(), BTreeSet::new());
    for path in paths {
        match reached(host, from, path) {
            Some(there) if there != *path => units.insert(there),
            Some(there) => {
                if removes.contains(path) {
                    units.insert(above(path).to_owned());
                }
                whole.insert(there)
            }
            None => continue,
        };
    }
    let covered = |path: &str, by: &BTreeSet<String>| {
        by.iter().any(|folder| folder != path && (folder.is_empty() || within(path, folder)))
    };
    units.retain(|unit| !whole.contains(unit) && !covered(unit, &whole));
    let at = |name: &str| Grant::ro(&join(from, name)).at(&join(to, name));
    let mut grants = Vec::new();
    if !units.contains("") {
        grants.push(at(""));
    }
    for name in units.iter().chain(&whole) {
        grants.push(Grant { access: Access::Rw, ..at(name) });
    }
    for name in &units {
        let Some(entries) = host.list(&join(from, name), *budget) else { continue };
        for entry in entries {
            let entry = if name.is_empty() { entry } else { format!("{name}/{entry}") };
            let written = paths.contains(&entry) || units.contains(&entry);
            // A link can't be mounted on.
            if !written && host.kind(&join(from, &entry)) != Some(Kind::Link) {
                *budget = budget.saturating_sub(1);
                grants.push(at(&entry).optional());
            }
        }
    }
    grants
}

/// How far a path leads through folders that exist and are no links. None where it is no plain
/// relative path.
fn reached(host: &dyn Host, from: &str, path: &str) -> Option<String> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
    if !path.split('/').all(plain) {
        return None;
    }
    let mut at = String::new();
    for part in path.split('/') {
        let next = if at.is_empty() { part.to_owned() } else { format!("{at}/{part}") };
        if host.kind(&join(from, &next)) != Some(Kind::Folder) {
            break;
        }
        at = next;
    }
    Some(at)
}

fn above(path: &str) -> &str {
    path.rfind('/').and_then(|at| path.get(..at)).unwrap_or_default()
}

fn join(folder: &str, name: &str) -> String {
    if name.is_empty() { folder.to_owned() } else { format!("{folder}/{name}") }
}

/// Of absolute paths those below a folder, relative to it.
pub(super) fn below(paths: &BTreeSet<String>, folder: &str) -> BTreeSet<String> {
    paths
        .iter()
        .filter(|path| within(path, folder))
        .filter_map(|path| path.strip_prefix(folder)?.strip_prefix('/'))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::layout;
    use crate::spec::Mount;
    use std::io;

    /// Folders end with a slash.
    struct Tree(&'static [&'static str]);

    impl Host for Tree {
        fn canonical(&self, path: &str) -> io::Result<String> {
            Ok(path.into())
        }
        fn kind(&self, path: &str) -> Option<Kind> {
            let name = path.strip_prefix("/w/").unwrap_or_default();
            if self.0.contains(&format!("{name}/").as_str()) {
                Some(Kind::Folder)
            } else if self.0.contains(&format!("{name}@").as_str()) {
                Some(Kind::Link)
            } else {
                self.0.contains(&name).then_some(Kind::File)
            }
        }
        fn list(&self, path: &str, most: usize) -> Option<Vec<String>> {
            let folder = format!("{path}/");
            let names: BTreeSet<String> = self
                .0
                .iter()
                .map(|entry| format!("/w/{entry}"))
                .filter_map(|entry| {
                    let rest = entry.strip_prefix(&folder)?;
                    let name = rest.split(['/', '@']).next()?;
                    (!name.is_empty()).then(|| name.to_owned())
                })
                .collect();
            (names.len() <= most).then(|| names.into_iter().collect())
        }
    }

    const TREE: Tree = Tree(&[
        "notes.md",
        "other.md",
        "link@",
        "src/",
        "src/a.c",
        "src/b.c",
        "src/deep/",
        "src/deep/x",
        "build/",
        "build/out",
    ]);

    fn places(paths: &[&str], removes: &[&str], most: usize) -> String {
        let set = |list: &[&str]| list.iter().map(|p| (*p).to_owned()).collect::<BTreeSet<_>>();
        let mut budget = most;
        let grants = narrow(&TREE, "/w", "/workspace", &set(paths), &set(removes), &mut budget);
        let mounts = layout(&grants);
        let line = |mount: &Mount| match mount {
            Mount::Bind { access: Access::Ro, to, .. } => format!("ro {to}"),
            Mount::Bind { to, .. } => format!("rw {to}"),
            other => format!("pin {}", other.to()),
        };
        mounts.iter().map(line).collect::<Vec<_>>().join(", ").replace("/workspace", "W")
    }

    #[test]
    fn a_file_is_written_and_what_lies_beside_it_is_held() {
        assert_eq!(places(&["notes.md"], &[], 99), "rw W, ro W/build, ro W/other.md, ro W/src");
        assert_eq!(places(&["src/a.c"], &[], 99), "ro W, rw W/src, ro W/src/b.c, ro W/src/deep");
        assert_eq!(places(&["src/new/file"], &[], 99), places(&["src/new"], &[], 99));
    }

    #[test]
    fn a_folder_is_written_with_all_below() {
        assert_eq!(places(&["build"], &[], 99), "ro W, rw W/build");
        // To be removed it has to be a name in a folder that may be changed.
        assert_eq!(
            places(&["build"], &["build"], 99),
            "rw W, ro W/notes.md, ro W/other.md, ro W/src"
        );
    }

    #[test]
    fn several_paths_meet() {
        assert_eq!(
            places(&["notes.md", "src/deep/x"], &[], 99),
            "rw W, ro W/build, ro W/other.md, ro W/src, rw W/src/deep"
        );
        assert_eq!(
            places(&["notes.md", "src/a.c"], &[], 99),
            "rw W, ro W/build, ro W/other.md, pin W/src, ro W/src/b.c, ro W/src/deep"
        );
        // What is removed goes with all in it.
        assert_eq!(
            places(&["src", "src/a.c"], &["src"], 99),
            "rw W, ro W/build, ro W/notes.md, ro W/other.md"
        );
    }

    #[test]
    fn a_link_leads_nowhere_and_odd_paths_grant_nothing() {
        assert_eq!(
            places(&["link/x"], &[], 99),
            "rw W, ro W/build, ro W/notes.md, ro W/other.md, ro W/src"
        );
        for odd in ["", "..", "../x", "src/../x", "/etc", "src//a.c", "./src"] {
            assert_eq!(places(&[odd], &[], 99), "ro W", "{odd}");
        }
    }

    #[test]
    fn a_folder_with_too_much_in_it_is_written_as_a_whole() {
        assert_eq!(places(&["src/a.c"], &[], 2), "ro W, rw W/src");
    }
}
