//! Skills and plugins on disk.

use crate::cmd::skill::places;
use seawall_audit::facts::{Content, Fact, Plugin, Skill};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Skills and folders that are looked at; OpenClaw itself loads fewer.
const MAX_SKILLS: usize = 10_000;
const MAX_FOLDERS: usize = 40_000;
/// A package's own file is a page of text.
const MAX_PACKAGE: u64 = 1024 * 1024;
/// OpenClaw's own limit for this file.
const MAX_REGISTRY: u64 = 16 * 1024 * 1024;

/// `config`: without one, the folders that it would name are not known, and the caller says so.
pub(super) fn content(
    config: Option<&Value>,
    home: &Path,
    state_dir: &Path,
    workspaces: &[PathBuf],
) -> Fact<Content> {
    let mut out = Content {
        mcporter: mcporter(&state_dir.join("skills/config/mcporter.json")),
        plugins: plugins(&state_dir.join("extensions")),
        ..Content::default()
    };
    let mut seen = BTreeSet::new();
    let mut folders = 0;
    let places = places::of(config.unwrap_or(&Value::Null), home, state_dir, workspaces);
    // A plugin's own skills are approved with the plugin.
    for place in places.skills {
        let root = workspaces.iter().map(PathBuf::as_path).chain([state_dir]);
        let root =
            root.filter(|root| place.starts_with(root)).max_by_key(|root| root.as_os_str().len());
        let root = root.unwrap_or(&place);
        let inside = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        // The folder may be reached by links itself.
        let linked = place
            .canonicalize()
            .is_ok_and(|real| real.strip_prefix(&inside).ok() != place.strip_prefix(root).ok());
        let mut queue = vec![(place.clone(), linked)];
        while let Some((dir, linked)) = queue.pop() {
            folders += 1;
            if folders > MAX_FOLDERS || out.skills.len() >= MAX_SKILLS {
                out.truncated = Some(dir);
                break;
            }
            // A link that leads back up would be walked for ever.
            let Ok(about) = fs::metadata(&dir) else { continue };
            if !seen.insert((about.dev(), about.ino())) {
                continue;
            }
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            for entry in entries.flatten() {
                let path = entry.path();
                let name = entry.file_name();
                if name.as_encoded_bytes().starts_with(b".") || name == "node_modules" {
                    continue;
                }
                let Ok(kind) = entry.file_type() else { continue };
                if name == "SKILL.md" {
                    // Only what is reached through a link can lie elsewhere.
                    let real =
                        if kind.is_symlink() || linked { path.canonicalize().ok() } else { None };
                    out.skills.push(Skill {
                        name: dir
                            .file_name()
                            .map(|name| name.to_string_lossy().into_owned())
                            .unwrap_or_default(),
                        escapes: real.filter(|real| !real.starts_with(&inside)),
                        path,
                        approved: false,
                    });
                } else if kind.is_dir() || (kind.is_symlink() && path.is_dir()) {
                    queue.push((path, linked || kind.is_symlink()));
                }
            }
        }
    }
    let folders: Vec<PathBuf> =
        out.skills.iter().filter_map(|skill| skill.path.parent().map(Path::to_owned)).collect();
    for (skill, approved) in out.skills.iter_mut().zip(crate::cmd::skill::approvals(&folders)) {
        skill.approved = approved;
    }
    Fact::Known(out)
}

/// Plugin folders, without what installers leave behind.
fn plugins(folder: &Path) -> Vec<Plugin> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(MAX_SKILLS);
    let mut out: Vec<Plugin> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| {
            name != "node_modules"
                && !name.starts_with('.')
                && !name.ends_with(".bak")
                && !name.contains(".backup-")
                && !name.contains(".disabled")
        })
        .map(|id| Plugin { version: package_version(&folder.join(&id)).unwrap_or_default(), id })
        .collect();
    out.sort_by(|a, b| a.id.cmp(&b.id));
    out
}

/// The version in a package's own file.
pub(super) fn package_version(folder: &Path) -> Option<String> {
    let mut text = String::new();
    let file = crate::deploy::open_file(&folder.join("package.json")).ok()?;
    file.take(MAX_PACKAGE).read_to_string(&mut text).ok()?;
    // What was cut off does not parse.
    let json: Value = serde_json::from_str(&text).ok()?;
    json.get("version")?.as_str().map(str::to_owned)
}

fn mcporter(path: &Path) -> Option<Result<Vec<String>, String>> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
        Err(e) => return Some(Err(e.to_string())),
    };
    if !meta.is_file() {
        return Some(Err("not a file".into()));
    }
    if meta.len() > MAX_REGISTRY {
        return Some(Err("larger than 16 MiB".into()));
    }
    let read = || -> std::io::Result<String> {
        let mut text = String::new();
        crate::deploy::open_file(path)?.take(MAX_REGISTRY).read_to_string(&mut text)?;
        Ok(text)
    };
    let json: Value = match read()
        .map_err(|e| e.to_string())
        .and_then(|text| serde_json::from_str(&text).map_err(|e| e.to_string()))
    {
        Ok(json) => json,
        Err(why) => return Some(Err(why)),
    };
    let servers = json.get("mcpServers").and_then(Value::as_object).into_iter().flatten();
    Some(Ok(servers
        .filter(|(_, server)| server.get("enabled") != Some(&Value::Bool(false)))
        .map(|(name, _)| name.clone())
        .collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_links_and_loops() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let skills = root.join("w/skills");
        fs::create_dir_all(skills.join("a/deep")).unwrap();
        fs::create_dir_all(skills.join("b")).unwrap();
        fs::write(skills.join("a/SKILL.md"), "x").unwrap();
        fs::write(root.join("outside"), "x").unwrap();
        std::os::unix::fs::symlink(root.join("outside"), skills.join("b/SKILL.md")).unwrap();
        std::os::unix::fs::symlink(&skills, skills.join("a/deep/loop")).unwrap();
        let none = root.join("none");
        let Fact::Known(found) = content(None, &none, &none, &[root.join("w")]) else { panic!() };
        let mut names: Vec<_> = found
            .skills
            .iter()
            .map(|skill| (skill.name.clone(), skill.escapes.is_some()))
            .collect();
        names.sort();
        assert_eq!(names, [("a".to_owned(), false), ("b".to_owned(), true)]);
    }

    #[test]
    fn a_broken_registry_is_said_to_be_broken() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.json");
        assert_eq!(mcporter(&path), None);
        fs::write(&path, "{").unwrap();
        assert!(mcporter(&path).unwrap().is_err());
        fs::write(&path, r#"{"mcpServers":{"a":{},"b":{"enabled":false}}}"#).unwrap();
        assert_eq!(mcporter(&path), Some(Ok(vec!["a".into()])));
    }
}
