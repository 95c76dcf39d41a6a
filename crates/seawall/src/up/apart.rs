//! Folders that must not hold one another: what the agent works in, and what decides about it.

use super::Prepared;
use crate::deploy;
use crate::render::Facts;
use crate::settings::Settings;
use std::path::{Path, PathBuf};

/// What no run may see: OpenClaw's state folder with its keys and transcripts, each file of its
/// configuration, and Seawall's own folder.
pub(super) fn private(prepared: &Prepared, files: &[PathBuf]) -> Vec<PathBuf> {
    let deployment = &prepared.deployment;
    let mut paths = vec![
        deployment.state_dir.clone(),
        deployment.config_path.clone(),
        prepared.home.dir().to_owned(),
    ];
    paths.extend(files.iter().cloned());
    // Where they are reached; what is not there yet, where it will be.
    let mut real: Vec<PathBuf> = paths.iter().map(|path| settled(path)).collect();
    real.sort();
    real.dedup();
    real
}

/// Checks the folders that a configuration opens.
///
/// A workspace or an opened folder that holds the state folder would give every run the operator's
/// keys, and the configuration to write.
pub(super) fn check(prepared: &Prepared, facts: &Facts, settings: &Settings) -> Result<(), String> {
    let bundle = crate::daemon::bundle_of(settings, facts)?;
    let policy = bundle.settings();
    let own = settled(prepared.home.dir());
    let private = private(prepared, &prepared.loaded.files);
    let opened = policy.read_folders.iter().chain(&policy.write_folders);
    let folders = facts
        .workspaces
        .values()
        .map(|dir| ("workspace", dir.as_path()))
        .chain(settings.gateway.read_write.iter().map(|dir| ("gateway.read_write", dir.as_path())))
        .chain(opened.map(|dir| ("folder of the policy", Path::new(dir))));
    for (what, dir) in folders {
        let real = settled(dir);
        if let Some(inside) = held_in(&real, &private) {
            return Err(format!(
                "the {what} `{}` holds `{}`, which no run may see or change; use a folder of its own",
                dir.display(),
                inside.display()
            ));
        }
        if real.starts_with(&own) {
            return Err(format!("the {what} `{}` lies in Seawall's own folder", dir.display()));
        }
    }
    let read = settings.gateway.read_only.iter().chain(&facts.read_only);
    for dir in read {
        let real = settled(dir);
        if own.starts_with(&real) || real.starts_with(&own) {
            return Err(format!(
                "`{}` cannot be given to the gateway: Seawall's own folder is in it, or it in that",
                dir.display()
            ));
        }
    }
    Ok(())
}

/// A workspace that is found by a link in a folder that the gateway writes is wherever the gateway
/// says.
pub(super) fn reached(facts: &Facts, writable: &[PathBuf]) -> Result<(), String> {
    for dir in facts.workspaces.values() {
        for link in deploy::on_the_way(dir) {
            if let Some(above) = writable.iter().find(|above| link.starts_with(above)) {
                return Err(format!(
                    "`{}`, by which the workspace `{}` is found, is a symbolic link in `{}`, where the gateway could put another in its place; name the folder itself in `agents.defaults.workspace` or the agent's `workspace`",
                    link.display(),
                    dir.display(),
                    above.display()
                ));
            }
        }
    }
    Ok(())
}

/// The first of the paths that is `folder` or lies in it.
pub(super) fn held_in<'p>(folder: &Path, paths: &'p [PathBuf]) -> Option<&'p Path> {
    paths.iter().map(PathBuf::as_path).find(|path| path.starts_with(folder))
}

/// A path with every link on the way resolved; what does not exist yet stays as it is.
pub(super) fn settled(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (above.canonicalize(), path.strip_prefix(above)) {
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_itself_and_what_is_below() {
        let private = [PathBuf::from("/home/a/proj/.openclaw"), PathBuf::from("/etc/oc.json")];
        for bad in ["/home/a/proj", "/home/a/proj/.openclaw", "/etc", "/"] {
            assert!(held_in(Path::new(bad), &private).is_some(), "{bad}");
        }
        for good in ["/home/a/proj/.openclaw/workspace", "/home/a/pro", "/home/a/other"] {
            assert_eq!(held_in(Path::new(good), &private), None, "{good}");
        }
    }

    #[test]
    fn a_link_of_the_gateways_leads_to_no_workspace() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("state")).unwrap();
        std::fs::create_dir_all(top.join("victim")).unwrap();
        symlink(top.join("victim"), top.join("state/workspace-work")).unwrap();
        symlink(top.join("victim"), top.join("mine")).unwrap();
        let facts = |at: &str| Facts {
            workspaces: [("work".to_owned(), top.join(at))].into(),
            ..Facts::default()
        };
        let writable = [top.join("state")];
        let why = reached(&facts("state/workspace-work"), &writable).unwrap_err();
        assert!(why.contains("state/workspace-work`, by which"), "{why}");
        // The operator's own link, and a folder that is there or not.
        for good in ["mine", "victim", "state/workspace-new"] {
            assert_eq!(reached(&facts(good), &writable), Ok(()), "{good}");
        }
    }
}
