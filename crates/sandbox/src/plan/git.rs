//! What Git runs or obeys of a folder, later, as whoever works in it outside.
//!
//! Not only `.git/config` and `.git/hooks`: a worktree's or submodule's `.git` is a file that names
//! another folder, and settings name further files, folders of hooks, and programs.

use super::host::{Host, Kind};
use std::collections::BTreeSet;

/// Most names that one repository makes us hold.
const MOST: usize = 32;

/// How far settings that include settings are followed.
const DEPTH: usize = 4;

/// Settings whose value is a program, or a folder of programs.
const PROGRAMS: &[&str] = &[
    "hookspath",
    "fsmonitor",
    "sshcommand",
    "editor",
    "pager",
    "askpass",
    "textconv",
    "command",
    "clean",
    "smudge",
    "process",
    "driver",
    "cmd",
    "path",
    "helper",
    "gitproxy",
    "program",
];

/// Names below `from`, beyond the fixed ones, that are there and must not change; and folders of
/// hooks that are named and not there yet.
pub(super) fn obeyed(host: &dyn Host, from: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut found = BTreeSet::new();
    let mut missing = BTreeSet::new();
    match host.kind(&format!("{from}/.git")) {
        Some(Kind::File) => {
            found.insert(".git".to_owned());
        }
        Some(Kind::Folder) => {
            for file in [".git/config", ".git/config.worktree"] {
                settings(host, from, file, DEPTH, &mut found, &mut missing);
            }
            hooks(host, from, ".git/hooks", &mut found);
        }
        _ => {}
    }
    (found, missing)
}

/// What a file of settings names.
fn settings(
    host: &dyn Host,
    from: &str,
    file: &str,
    depth: usize,
    found: &mut BTreeSet<String>,
    missing: &mut BTreeSet<String>,
) {
    let Some(text) = host.text(&format!("{from}/{file}")) else { return };
    let mut section = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix('[') {
            let (name, after) = rest.split_once(']').unwrap_or((rest, ""));
            section = name.split(['"', ' ', '\t', '.']).next().unwrap_or_default().to_lowercase();
            if after.trim().is_empty() {
                continue;
            }
        }
        let line = line.rsplit(']').next().unwrap_or(line);
        let Some((key, value)) = line.split_once('=') else { continue };
        let (key, value) = (key.trim().to_lowercase(), unquoted(value));
        let including = key == "path" && section.starts_with("include");
        if !including && !PROGRAMS.contains(&key.as_str()) {
            continue;
        }
        let base = if including { parent(file) } else { "" };
        // Of a command the first word is the program, and a script may be any of the others.
        let words: Vec<&str> = if including || key == "hookspath" {
            vec![value.as_str()]
        } else {
            value.split_whitespace().collect()
        };
        for word in words.into_iter().take(8) {
            let Some(name) = inside(from, base, word.trim_start_matches('!')) else { continue };
            if found.len() >= MOST || found.contains(&name) {
                continue;
            }
            match host.kind(&format!("{from}/{name}")) {
                // Of folders only one of hooks: a word of a command can be anything.
                Some(Kind::Folder) if key != "hookspath" => {}
                Some(Kind::File | Kind::Folder) => {
                    found.insert(name.clone());
                    if including && depth > 0 {
                        settings(host, from, &name, depth - 1, found, missing);
                    } else if key == "hookspath" {
                        hooks(host, from, &name, found);
                    }
                }
                None if key == "hookspath" && missing.len() < MOST => {
                    missing.insert(name);
                }
                _ => {}
            }
        }
    }
}

/// Where links in a folder of hooks lead.
fn hooks(host: &dyn Host, from: &str, folder: &str, found: &mut BTreeSet<String>) {
    for name in host.list(&format!("{from}/{folder}"), 128).unwrap_or_default() {
        let path = format!("{from}/{folder}/{name}");
        if host.kind(&path) != Some(Kind::Link) || found.len() >= MOST {
            continue;
        }
        let Ok(real) = host.canonical(&path) else { continue };
        if let Some(name) = real.strip_prefix(from).and_then(|rest| rest.strip_prefix('/')) {
            found.insert(name.to_owned());
        }
    }
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let end: &[char] = if value.starts_with('"') { &['"'] } else { &[';', '#'] };
    let value = value.trim_start_matches('"');
    value.split(end).next().unwrap_or_default().trim().to_owned()
}

fn parent(file: &str) -> &str {
    file.rfind('/').and_then(|at| file.get(..at)).unwrap_or_default()
}

/// A path that settings name, relative to the folder; None where it lies elsewhere.
fn inside(from: &str, base: &str, value: &str) -> Option<String> {
    if value.is_empty() || value.starts_with('~') {
        return None;
    }
    let whole =
        if value.starts_with('/') { value.to_owned() } else { format!("{from}/{base}/{value}") };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let whole = format!("/{}", parts.join("/"));
    let name = whole.strip_prefix(from)?.strip_prefix('/')?;
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    struct Files(&'static [(&'static str, &'static str)]);

    impl Host for Files {
        fn canonical(&self, path: &str) -> io::Result<String> {
            let link = self.0.iter().find(|(name, _)| format!("/w/{name}@") == format!("{path}@"));
            let link = link.and_then(|(_, text)| text.strip_prefix("-> "));
            Ok(link.map_or_else(|| path.to_owned(), |to| format!("/w/{to}")))
        }
        fn kind(&self, path: &str) -> Option<Kind> {
            let name = path.strip_prefix("/w/")?;
            let below = format!("{name}/");
            match self.0.iter().find(|(file, _)| *file == name) {
                Some((_, text)) if text.starts_with("-> ") => Some(Kind::Link),
                Some(_) => Some(Kind::File),
                None => {
                    self.0.iter().any(|(file, _)| file.starts_with(&below)).then_some(Kind::Folder)
                }
            }
        }
        fn list(&self, path: &str, _: usize) -> Option<Vec<String>> {
            let below = format!("{}/", path.strip_prefix("/w/")?);
            Some(
                self.0
                    .iter()
                    .filter_map(|(f, _)| f.strip_prefix(&below))
                    .map(str::to_owned)
                    .collect(),
            )
        }
        fn text(&self, path: &str) -> Option<String> {
            let name = path.strip_prefix("/w/")?;
            self.0.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
        }
    }

    #[test]
    fn what_settings_name_is_found() {
        let host = Files(&[
            (
                ".git/config",
                "[core]\n\thooksPath = .husky\n\tfsmonitor = ./tools/watch.sh -v\n[include] path = ../.gitconfig\n[alias]\n x = y\n[includeIf \"gitdir:~/\"]\n path = \"/w/more.conf\" ; why\n[filter \"z\"]\nclean = sh scripts/clean.sh\n",
            ),
            (".gitconfig", "[core]\nsshCommand = bin/ssh\n[include]\npath=.gitconfig\n"),
            (".husky/pre-commit", "-> scripts/commit.sh"),
            (".git/hooks/pre-push", "-> scripts/push.sh"),
            ("more.conf", "[core]\nhooksPath = later\n"),
            ("tools/watch.sh", ""),
            ("bin/ssh", ""),
            ("scripts/clean.sh", ""),
            ("scripts/commit.sh", ""),
            ("scripts/push.sh", ""),
            ("y", ""),
        ]);
        let (found, missing) = obeyed(&host, "/w");
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            [
                ".gitconfig",
                ".husky",
                "bin/ssh",
                "more.conf",
                "scripts/clean.sh",
                "scripts/commit.sh",
                "scripts/push.sh",
                "tools/watch.sh",
            ]
        );
        assert_eq!(missing.into_iter().collect::<Vec<_>>(), ["later"]);
    }

    #[test]
    fn a_worktree_and_what_lies_elsewhere() {
        let (found, _) = obeyed(&Files(&[(".git", "gitdir: /r/.git/worktrees/w\n")]), "/w");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [".git"]);
        let host = Files(&[(
            ".git/config",
            "[core]\nhooksPath = /etc/hooks\n[include]\npath = ../../../x\npath=~/.g\npath =\n[\n[x",
        )]);
        assert_eq!(obeyed(&host, "/w"), Default::default());
    }
}
