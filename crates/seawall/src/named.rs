//! What texts name has to exist: commands, and files that two crates must agree on.

use crate::Cli;
use clap::{CommandFactory, Parser};
use seawall_policy::paths::{PathClass, Places, classify};
use seawall_sandbox::plan::{IDENTITY_FILES, MADE, OBEYED, UNMADE};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn texts(below: &[&str], endings: &[&str]) -> Vec<(PathBuf, String)> {
    let files = below.iter().flat_map(|dir| walkdir::WalkDir::new(root().join(dir)));
    files
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| endings.iter().any(|end| e == *end)))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path, text)
        })
        .collect()
}

/// Follows the words of a command line through the commands as far as they are names of them.
fn exists(line: &str) -> bool {
    let mut at = Cli::command();
    for word in line.split_whitespace().skip(1) {
        let plain = word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        if !plain || word.starts_with('-') || !at.has_subcommands() {
            return true;
        }
        let Some(next) = at.find_subcommand(word) else {
            return at.get_positionals().next().is_some();
        };
        at = next.clone();
    }
    true
}

#[test]
fn a_command_that_a_text_names_exists() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in
        texts(&["crates", "content", "docs", "plugin/src"], &["rs", "toml", "cedar", "md", "ts"])
    {
        for part in text.split('`').skip(1).step_by(2).chain(text.lines()) {
            let line = part.trim_start().trim_start_matches("$ ");
            if line.starts_with("seawall ") && !line.contains('|') {
                seen += 1;
                if !exists(line) {
                    wrong.push(format!("{}: {line}", path.display()));
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_of_a_fix_can_be_given_as_it_stands() {
    let mut seen = 0;
    for (path, text) in texts(&["crates/audit/src/checks"], &["rs"]) {
        let mut before = "";
        for part in text.split("\"seawall ") {
            let given = std::mem::replace(&mut before, part);
            if given.is_empty() {
                continue;
            }
            let mut line = part.split('"').next().unwrap_or_default().replace("{}", "x");
            if given.ends_with("run_on(") {
                // What it is run on is its last argument.
                line.push_str(" x");
            }
            seen += 1;
            let words = std::iter::once("seawall").chain(line.split_whitespace());
            if let Err(e) = Cli::try_parse_from(words)
                && !matches!(e.kind(), clap::error::ErrorKind::DisplayHelp)
            {
                panic!("{}: seawall {line}: {e}", path.display());
            }
        }
    }
    assert!(seen > 10, "only {seen} commands were found");
}

#[test]
fn what_the_kernel_holds_is_not_ordinary_to_the_policy() {
    let places = Places::default();
    let all = IDENTITY_FILES.iter().chain(UNMADE).chain(OBEYED).chain([&MADE.0, &MADE.1]);
    // Git's own are judged as a part of what Git does.
    for name in all.filter(|name| !name.starts_with(".git/")) {
        let path = format!("{}/{name}", places.workspace);
        let class = classify(&path, &places.workspace, &places);
        assert!(!matches!(class, PathClass::Workspace), "{name}: {class:?}");
    }
}
