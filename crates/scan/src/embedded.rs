//! Programs inside files that are no scripts: recipes of make and just, `RUN` of a container file,
//! cells of a notebook, commands in settings and workflows. And files whose language shows only in
//! how they are called.

use crate::code::{Language, language_named, language_of};
use regex::Regex;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::LazyLock;

/// Most programs that are taken out of one file.
const MAX_PIECES: usize = 400;
/// Deepest settings that are looked into.
const MAX_NESTING: usize = 24;
/// Most mentions of one file that are looked at for how it is called.
const MAX_MENTIONS: usize = 200;

/// A program inside a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Line of its first line, from 1.
    pub(crate) line: u32,
    pub(crate) language: Language,
    pub(crate) text: String,
    /// It runs when the file is used as what it is; otherwise somebody has to take it up.
    pub(crate) runs: bool,
}

/// What kind of file holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Make,
    Just,
    Container,
    Notebook,
    Json,
    Yaml,
}

/// By the file's name.
pub(crate) fn holder_of(path: &str) -> Option<Holder> {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    Some(match (name.as_str(), ending) {
        ("makefile" | "gnumakefile", _) | (_, "mk" | "make") => Holder::Make,
        ("justfile" | ".justfile", _) | (_, "just") => Holder::Just,
        ("dockerfile" | "containerfile", _) | (_, "dockerfile") => Holder::Container,
        (name, _) if name.starts_with("dockerfile.") => Holder::Container,
        (_, "ipynb") => Holder::Notebook,
        // Read by what they are: their scripts run by rules of their own.
        ("package.json" | "package-lock.json" | "tsconfig.json", _) => return None,
        (_, "json" | "jsonc" | "json5" | "code-workspace") => Holder::Json,
        (_, "yml" | "yaml") => Holder::Yaml,
        _ => return None,
    })
}

/// By the label of a fence.
pub(crate) fn holder_named(label: &str) -> Option<Holder> {
    Some(match label {
        "makefile" | "make" | "mk" => Holder::Make,
        "just" | "justfile" => Holder::Just,
        "dockerfile" | "docker" | "containerfile" => Holder::Container,
        "json" | "jsonc" | "json5" => Holder::Json,
        "yaml" | "yml" => Holder::Yaml,
        _ => return None,
    })
}

/// The programs in a file of that kind.
pub(crate) fn pieces(holder: Holder, text: &str) -> Vec<Piece> {
    let mut out = match holder {
        Holder::Make => lines(text, |line, _| {
            line.strip_prefix('\t')
                .map(|l| {
                    l.trim_start_matches(['@', '-', '+']).replace("$(", "${").replace("$$", "$")
                })
                .or_else(|| assignment(line))
                .map(|l| close_braces(&l))
        }),
        Holder::Just => lines(text, |line, _| {
            line.starts_with([' ', '\t'])
                .then(|| line.trim_start().trim_start_matches('@').to_owned())
        }),
        Holder::Container => lines(text, |line, before| {
            if before.is_some_and(|b| b.trim_end().ends_with('\\')) {
                return Some(line.to_owned());
            }
            let rest =
                line.get(..4).filter(|w| w.eq_ignore_ascii_case("run ")).and(line.get(4..))?;
            let options = rest.split_whitespace().take_while(|w| w.starts_with("--")).count();
            Some(rest.split_whitespace().skip(options).collect::<Vec<_>>().join(" "))
        }),
        Holder::Notebook => notebook(text),
        Holder::Json => json(text),
        Holder::Yaml => yaml(text),
    };
    out.truncate(MAX_PIECES);
    out
}

/// Lines that are commands at their places, the others empty.
fn lines(text: &str, pick: impl Fn(&str, Option<&str>) -> Option<String>) -> Vec<Piece> {
    let mut out = String::with_capacity(text.len());
    let mut before: Option<&str> = None;
    for line in text.lines() {
        match pick(line, before) {
            Some(command) => {
                out.push_str(&command);
                before = Some(line);
            }
            None => before = None,
        }
        out.push('\n');
    }
    if out.trim().is_empty() {
        return Vec::new();
    }
    vec![Piece { line: 1, language: Language::Shell, text: out, runs: true }]
}

/// `NAME = value` of make.
fn assignment(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let name = name.trim_end_matches([':', '?', '+', ' ']);
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    plain.then(|| format!("{name}='{}'", value.trim().replace('\'', "")))
}

/// `${NAME)` that came from `$(NAME)`: only a single name is a variable of make.
fn close_braces(line: &str) -> String {
    static VARIABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\)").ok());
    match VARIABLE.as_ref() {
        Some(variable) => {
            let named = variable.replace_all(line, "$${$1}").into_owned();
            // What is left is a function of make or a command of the shell.
            if named.matches("${").count() > named.matches('}').count() {
                named.replace("${shell ", "$(").replace("${", "$(")
            } else {
                named
            }
        }
        None => line.to_owned(),
    }
}

fn notebook(text: &str) -> Vec<Piece> {
    let Ok(book) = serde_json::from_str::<Json>(text) else { return Vec::new() };
    let cells = book.get("cells").and_then(Json::as_array);
    let mut out = Vec::new();
    let (mut python, mut shell) = (String::new(), String::new());
    for cell in cells.into_iter().flatten().take(2_000) {
        if cell.get("cell_type").and_then(Json::as_str) != Some("code") {
            continue;
        }
        let source = match cell.get("source") {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => parts.iter().filter_map(Json::as_str).collect(),
            _ => continue,
        };
        let all_shell = ["%%bash", "%%sh", "%%script bash"].iter().any(|m| source.starts_with(m));
        for line in source.lines() {
            let command = line.trim_start().strip_prefix(['!', '%']);
            match command {
                Some(_) if line.trim_start().starts_with("%%") => {}
                Some(command) => shell.push_str(command.trim_start_matches("sx ")),
                None if all_shell => shell.push_str(line),
                None => python.push_str(line),
            }
            python.push('\n');
            shell.push('\n');
        }
    }
    for (language, text) in [(Language::Python, python), (Language::Shell, shell)] {
        if !text.trim().is_empty() {
            out.push(Piece { line: 1, language, text, runs: true });
        }
    }
    out
}

/// Keys whose text is a command.
fn is_command_key(key: &str) -> bool {
    matches!(
        key.to_ascii_lowercase().as_str(),
        "command"
            | "cmd"
            | "run"
            | "script"
            | "exec"
            | "shell"
            | "shellcommand"
            | "before_script"
            | "after_script"
            | "postcreatecommand"
            | "poststartcommand"
            | "initializecommand"
            | "onstart"
            | "entrypoint"
            | "preinstall"
            | "postinstall"
            | "install"
            | "prepare"
            | "execstart"
            | "execstartpre"
    )
}

fn json(text: &str) -> Vec<Piece> {
    let Ok(value) = serde_json::from_str::<Json>(text) else { return Vec::new() };
    let mut found = Vec::new();
    collect(&value, 0, &mut found);
    found
        .into_iter()
        .map(|command| {
            let head: String = command.chars().take(24).collect();
            let at = text.find(head.trim()).unwrap_or(0);
            Piece {
                line: crate::text::line_of(text, at),
                language: Language::Shell,
                text: command,
                runs: false,
            }
        })
        .collect()
}

fn collect(value: &Json, depth: usize, out: &mut Vec<String>) {
    if depth > MAX_NESTING || out.len() >= MAX_PIECES {
        return;
    }
    match value {
        Json::Object(map) => {
            for (key, value) in map {
                match value {
                    Json::String(text) if is_command_key(key) => {
                        let words = map.get("args").and_then(Json::as_array);
                        let words: Vec<String> = words
                            .into_iter()
                            .flatten()
                            .filter_map(Json::as_str)
                            .map(|w| format!("'{}'", w.replace('\'', "'\\''")))
                            .collect();
                        out.push(format!("{text} {}", words.join(" ")).trim_end().to_owned());
                    }
                    Json::Array(parts)
                        if is_command_key(key) && parts.iter().all(Json::is_string) =>
                    {
                        let parts: Vec<&str> = parts.iter().filter_map(Json::as_str).collect();
                        // A list is a command and its words, or commands in a row.
                        let words = parts.first().is_some_and(|p| !p.contains(' '));
                        out.push(parts.join(if words { " " } else { "\n" }));
                    }
                    other => collect(other, depth + 1, out),
                }
            }
        }
        Json::Array(list) => list.iter().for_each(|v| collect(v, depth + 1, out)),
        _ => {}
    }
}

/// Commands of a workflow, read by indentation: the text may be a fragment, and what a template
/// puts in is not YAML.
fn yaml(text: &str) -> Vec<Piece> {
    let mut out = Vec::new();
    let all: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(line) = all.get(at) {
        let start = at;
        at += 1;
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let body = body.trim_start_matches("- ");
        let Some((key, value)) = body.split_once(':') else { continue };
        if !is_command_key(key.trim().trim_matches(['"', '\''])) {
            continue;
        }
        let value = value.trim();
        let block = value.is_empty() || matches!(value.trim_end_matches(['-', '+']), "|" | ">");
        let mut command = String::new();
        if !block {
            command.push_str(value.trim_matches(['"', '\'']));
        }
        // What is deeper belongs to it.
        while let Some(next) = all.get(at) {
            let deeper = next.len() - next.trim_start().len() > indent;
            if !next.trim().is_empty() && !deeper {
                break;
            }
            if block {
                command.push('\n');
                let list = value.is_empty();
                let next = next.trim();
                command.push_str(if list { next.trim_start_matches("- ") } else { next });
            }
            at += 1;
            if !block {
                at -= 1;
                break;
            }
        }
        let command = templates(&command);
        if !command.trim().is_empty() && out.len() < MAX_PIECES {
            out.push(Piece {
                line: u32::try_from(start + 1).unwrap_or(u32::MAX),
                language: Language::Shell,
                text: command,
                runs: false,
            });
        }
    }
    out
}

/// `${{ secrets.NAME }}` is that secret, `${{ toJSON(secrets) }}` all of them.
fn templates(command: &str) -> String {
    let mut out = String::with_capacity(command.len());
    let mut rest = command;
    while let Some((before, after)) = rest.split_once("${{") {
        out.push_str(before);
        let Some((inner, after)) = after.split_once("}}") else {
            rest = after;
            break;
        };
        let inner = inner.trim();
        let lower = inner.to_ascii_lowercase();
        if lower.contains("tojson(secrets)") || lower.contains("tojson(env)") {
            out.push_str("$(printenv)");
        } else if let Some(name) = lower.strip_prefix("secrets.") {
            out.push_str("${");
            out.push_str(&name.to_ascii_uppercase());
            out.push('}');
        } else {
            out.push_str("${TEMPLATE}");
        }
        rest = after;
    }
    out.push_str(rest);
    // A block in quotes would keep the command from being one.
    if out.contains("'$(printenv)'") {
        out.replace("'$(printenv)'", "\"$(printenv)\"")
    } else {
        out
    }
}

/// The languages of files that say nothing of it themselves, by how the skill's own text calls
/// them: `python3 tables.txt`, `sh run.dat`, `. env`, `bash < steps`.
pub(crate) fn called<'t>(texts: &[(&'t str, &str)]) -> HashMap<&'t str, Language> {
    static CALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?:^|[\s;&|`"'(\[{=])(python[0-9.]*|pypy3?|bash|sh|zsh|dash|ksh|node|deno run|bun run|bun|tsx|ruby|perl|php|lua|pwsh|powershell|osascript|source|\.)(?:\s+-[A-Za-z-]+)*\s+(?:<\s*)?["']?[^\s"'`;|&<>()]*$"#,
        )
        .ok()
    });
    let mut out = HashMap::new();
    let Some(call) = CALL.as_ref() else { return out };
    for (path, text) in texts {
        if language_of(path, text).is_some_and(|l| l != Language::Other) {
            continue;
        }
        let name = path.rsplit(['/', '!']).next().unwrap_or(path);
        if name.len() < 2 || name.eq_ignore_ascii_case("SKILL.md") {
            continue;
        }
        let mut mentions = 0;
        'texts: for (_, other) in texts {
            for (at, _) in other.match_indices(name) {
                mentions += 1;
                if mentions > MAX_MENTIONS {
                    break 'texts;
                }
                let end = other.as_bytes().get(at + name.len());
                if end.is_some_and(|b| {
                    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/')
                }) {
                    continue;
                }
                let line = other.get(..at).unwrap_or("");
                let line = line.rsplit('\n').next().unwrap_or("");
                let cut = line.len().saturating_sub(200);
                let cut =
                    (cut..=line.len()).find(|c| line.is_char_boundary(*c)).unwrap_or(line.len());
                let Some(found) = call.captures(line.get(cut..).unwrap_or("")) else { continue };
                let program = found.get(1).map_or("", |m| m.as_str());
                let stem = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
                let language = match stem.split(' ').next().unwrap_or("") {
                    "" | "source" => Some(Language::Shell),
                    "pypy" => Some(Language::Python),
                    "deno" | "bun" => Some(Language::TypeScript),
                    "tsx" => Some(Language::TypeScript),
                    word => language_named(word),
                };
                if let Some(language) = language {
                    out.insert(*path, language);
                    break 'texts;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(holder: Holder, text: &str) -> String {
        pieces(holder, text).into_iter().map(|p| p.text).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn recipes_are_shell_at_their_lines() {
        let text = "URL = https://a.example\nall: x\n\t@curl $(URL) -o $$HOME/y\n";
        let out = pieces(Holder::Make, text);
        assert_eq!(out.len(), 1);
        let lines: Vec<&str> = out.first().map(|p| p.text.lines().collect()).unwrap_or_default();
        assert_eq!(lines.get(2), Some(&"curl ${URL} -o $HOME/y"));
        assert_eq!(shell(Holder::Just, "go:\n    @echo hi\n").trim(), "echo hi");
        assert_eq!(
            shell(Holder::Container, "FROM a\nRUN apt update && \\\n  x\nCOPY . .\n").trim(),
            "apt update && \\\n  x"
        );
    }

    #[test]
    fn commands_in_settings_and_workflows() {
        assert_eq!(
            shell(Holder::Json, r#"{"a":[{"command":"sh","args":["-c","echo it"]}],"name":"run"}"#),
            "sh '-c' 'echo it'"
        );
        let text = "steps:\n  - name: a\n    run: |\n      echo ${{ secrets.TOKEN }}\n      ls\n  - run: make\n";
        let out = pieces(Holder::Yaml, text);
        assert_eq!(out.len(), 2);
        assert_eq!(out.first().map(|p| (p.line, p.text.trim())), Some((3, "echo ${TOKEN}\nls")));
        assert_eq!(out.get(1).map(|p| (p.line, p.text.as_str())), Some((6, "make")));
        let book = r##"{"cells":[{"cell_type":"code","source":["import os\n","!ls\n"]},{"cell_type":"markdown","source":["x"]}]}"##;
        let out = pieces(Holder::Notebook, book);
        assert_eq!(out.iter().map(|p| p.text.trim()).collect::<Vec<_>>(), ["import os", "ls"]);
    }

    #[test]
    fn a_file_is_what_it_is_called_with() {
        let texts = [
            (
                "SKILL.md",
                "Run `python3 {baseDir}/tables.txt`, then `bash -e < run.dat` and `cat notes.txt`.",
            ),
            ("tables.txt", "import os"),
            ("run.dat", "ls"),
            ("notes.txt", "ls"),
        ];
        let out = called(&texts);
        assert_eq!(out.get("tables.txt"), Some(&Language::Python));
        assert_eq!(out.get("run.dat"), Some(&Language::Shell));
        assert_eq!(out.get("notes.txt"), None);
    }
}
