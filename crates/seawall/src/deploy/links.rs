//! Symbolic links on the way to a file.
//!
//! A file can be held by a mount, a link to it cannot: whoever can write to the folder of the link
//! puts another in its place, and the next start reads that.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Most links that are followed, as the kernel has it. A way with more cannot be opened.
const MOST: usize = 40;

/// The links that opening `path` goes through, each where it really lies, in order. `path` is
/// absolute; what is not there, and what comes after it, is passed over.
pub(crate) fn on_the_way(path: &Path) -> Vec<PathBuf> {
    let mut links = Vec::new();
    let mut real = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = parts(path);
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) => {
                links.push(next);
                if links.len() >= MOST {
                    break;
                }
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            Err(_) => real = next,
        }
    }
    links
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_link_is_told_where_it_lies() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let at = |name: &str| top.join(name);
        std::fs::create_dir_all(at("state/conf")).unwrap();
        std::fs::create_dir_all(at("dots")).unwrap();
        std::fs::write(at("dots/real.json"), "{}").unwrap();
        symlink(at("dots/real.json"), at("state/openclaw.json")).unwrap();
        symlink("state", at("alias")).unwrap();
        symlink("../alias/openclaw.json", at("dots/round.json")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert_eq!(on_the_way(&at("dots/real.json")), Vec::<PathBuf>::new());
        assert_eq!(on_the_way(&at("state/openclaw.json")), [at("state/openclaw.json")]);
        let round = [at("dots/round.json"), at("alias"), at("state/openclaw.json")];
        assert_eq!(on_the_way(&at("state/conf/../../dots/round.json")), round);
        assert_eq!(on_the_way(&at("alias/none/x")), [at("alias")]);
        assert_eq!(on_the_way(&at("loop")).len(), MOST);
    }
}
