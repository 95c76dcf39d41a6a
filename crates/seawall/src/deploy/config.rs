//! OpenClaw's configuration as OpenClaw reads it: JSON5 with `$include`.
//!
//! Environment references (`${NAME}`) are left as they are: the gateway resolves them. Their names
//! are collected, because only named variables reach the gateway.

use seawall_audit::harden::doc;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// OpenClaw's own limits (gateway/config-secrets-env.md): a larger or deeper file is refused there.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
const MAX_DEPTH: usize = 10;
/// OpenClaw has no limit here. Files that include the next level several times multiply to billions
/// of reads within its depth; a person's configuration is a handful of files.
const MAX_FILES: usize = 256;
/// All files together: what is held in memory.
const MAX_TOTAL: usize = 16 * 1024 * 1024;

/// The configuration with all includes merged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LoadedConfig {
    /// The merged value.
    pub(crate) value: Value,
    /// Every file that was read, the main one first.
    pub(crate) files: Vec<PathBuf>,
    /// Symbolic links by which included files are found.
    pub(crate) links: Vec<PathBuf>,
    /// Names of the environment variables that the values refer to.
    pub(crate) env_names: BTreeSet<String>,
}

/// Why a configuration cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file is not JSON5.
    #[error("{path}:{line}:{column}: not valid JSON5: {why}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// Why.
        why: String,
    },
    /// The file does not hold an object.
    #[error("{path}: the configuration is not an object")]
    NotAnObject {
        /// The file.
        path: PathBuf,
    },
    /// An include that OpenClaw would refuse.
    #[error("{path}: $include `{target}`: {why}")]
    Include {
        /// The including file.
        path: PathBuf,
        /// What it wanted.
        target: String,
        /// Why not.
        why: String,
    },
}

/// Reads a configuration and everything it includes.
pub(crate) fn load(path: &Path, extra_roots: &[PathBuf]) -> Result<LoadedConfig, ConfigError> {
    let root = path.parent().unwrap_or(Path::new("/")).to_owned();
    let mut loader = Loader {
        roots: std::iter::once(root).chain(extra_roots.iter().cloned()).collect(),
        files: Vec::new(),
        links: Vec::new(),
        bytes: 0,
    };
    let value = loader.file(path, &mut Vec::new())?;
    if !value.is_object() {
        return Err(ConfigError::NotAnObject { path: path.to_owned() });
    }
    let mut env_names = BTreeSet::new();
    collect_env(&value, &mut env_names);
    Ok(LoadedConfig { value, files: loader.files, links: loader.links, env_names })
}

struct Loader {
    roots: Vec<PathBuf>,
    files: Vec<PathBuf>,
    links: Vec<PathBuf>,
    bytes: usize,
}

impl Loader {
    fn file(&mut self, path: &Path, open: &mut Vec<PathBuf>) -> Result<Value, ConfigError> {
        let text = read_text(path)
            .map_err(|why| ConfigError::Unreadable { path: path.to_owned(), why })?;
        self.bytes += text.len();
        if self.files.len() >= MAX_FILES || self.bytes > MAX_TOTAL {
            return Err(ConfigError::Unreadable {
                path: path.to_owned(),
                why: format!(
                    "the configuration has more than {MAX_FILES} files or {MAX_TOTAL} bytes with this one"
                ),
            });
        }
        let value = parse(path, &text)?;
        self.files.push(path.to_owned());
        open.push(path.to_owned());
        let resolved = self.resolve(value, path, open);
        open.pop();
        resolved
    }

    fn resolve(
        &mut self,
        value: Value,
        path: &Path,
        open: &mut Vec<PathBuf>,
    ) -> Result<Value, ConfigError> {
        match value {
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.resolve(item, path, open))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Value::Object(mut map) => {
                let include = map.remove("$include");
                let mut siblings = Map::new();
                for (key, value) in map {
                    siblings.insert(key, self.resolve(value, path, open)?);
                }
                let Some(include) = include else { return Ok(Value::Object(siblings)) };
                let mut merged = self.include(&include, path, open)?;
                if !siblings.is_empty() {
                    if !merged.is_object() {
                        return Err(ConfigError::Include {
                            path: path.to_owned(),
                            target: include.to_string(),
                            why: "keys beside it need an included object".into(),
                        });
                    }
                    merge(&mut merged, Value::Object(siblings));
                }
                Ok(merged)
            }
            plain => Ok(plain),
        }
    }

    fn include(
        &mut self,
        include: &Value,
        path: &Path,
        open: &mut Vec<PathBuf>,
    ) -> Result<Value, ConfigError> {
        let fail = |why: &str| ConfigError::Include {
            path: path.to_owned(),
            target: include.to_string(),
            why: why.to_owned(),
        };
        match include {
            Value::String(target) => self.included(target, path, open),
            Value::Array(targets) => {
                let mut merged = Value::Object(Map::new());
                for target in targets {
                    let target = target.as_str().ok_or_else(|| fail("must hold strings only"))?;
                    let part = self.included(target, path, open)?;
                    merge(&mut merged, part);
                }
                Ok(merged)
            }
            _ => Err(fail("must be a string or an array of strings")),
        }
    }

    fn included(
        &mut self,
        target: &str,
        path: &Path,
        open: &mut Vec<PathBuf>,
    ) -> Result<Value, ConfigError> {
        let fail = |why: String| ConfigError::Include {
            path: path.to_owned(),
            target: target.to_owned(),
            why,
        };
        if open.len() > MAX_DEPTH {
            return Err(fail(format!("nested more than {MAX_DEPTH} deep")));
        }
        let joined = path.parent().unwrap_or(Path::new("/")).join(target);
        let real = joined.canonicalize().map_err(|e| fail(e.to_string()))?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            return Err(fail(
                "lies outside the configuration's folder; allow it with OPENCLAW_INCLUDE_ROOTS"
                    .into(),
            ));
        }
        if open.contains(&real) {
            return Err(fail("includes itself".into()));
        }
        for link in super::links::on_the_way(&joined) {
            if !self.links.contains(&link) {
                self.links.push(link);
            }
        }
        self.file(&real, open)
    }
}

/// Opens what has to be a file. A pipe that somebody put in its place would wait for a writer
/// forever.
pub(crate) fn open_file(path: &Path) -> std::io::Result<fs::File> {
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    Ok(file)
}

/// The text of one of the configuration's files.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let file = open_file(path).map_err(|e| e.to_string())?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| e.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("larger than {MAX_BYTES} bytes"));
    }
    Ok(text)
}

/// Parses JSON5 as OpenClaw's parser does, with the one parser for all that reads or edits the
/// configuration: a document that two of them read differently would be a way past the audit.
fn parse(path: &Path, text: &str) -> Result<Value, ConfigError> {
    let node = doc::parse(text).map_err(|e| ConfigError::Syntax {
        path: path.to_owned(),
        line: e.line,
        column: e.column,
        why: e.why,
    })?;
    Ok(node.to_value())
}

/// OpenClaw's merge: objects merge, arrays concatenate, anything else is replaced.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(slot) => merge(slot, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(from)) => into.extend(from),
        (slot, from) => *slot = from,
    }
}

pub(crate) fn collect_env(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            for (at, _) in text.match_indices("${") {
                // `$${NAME}` is OpenClaw's escape for the text itself.
                if text.get(..at).is_some_and(|before| before.ends_with('$')) {
                    continue;
                }
                let Some((name, _)) = text.get(at + 2..).and_then(|rest| rest.split_once('}'))
                else {
                    continue;
                };
                let head = name.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c == '_');
                if head
                    && name
                        .chars()
                        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                {
                    names.insert(name.to_owned());
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect_env(item, names)),
        Value::Object(map) => {
            // A SecretRef to the environment names its variable in `id`.
            if map.get("source").and_then(Value::as_str) == Some("env")
                && let Some(id) = map.get("id").and_then(Value::as_str)
            {
                names.insert(id.to_owned());
            }
            map.values().for_each(|value| collect_env(value, names));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        (dir, root)
    }

    #[test]
    fn json5_is_read_and_a_missing_comma_is_not() {
        let (_dir, root) = folder(&[
            ("a.json", "{ // c\n a: 'x', b: [1,], c: +.5 }"),
            ("b.json", "{\n a: 1\n b: 2 }"),
        ]);
        assert_eq!(
            load(&root.join("a.json"), &[]).unwrap().value,
            json!({"a":"x","b":[1],"c":0.5})
        );
        let error = load(&root.join("b.json"), &[]).unwrap_err().to_string();
        assert!(error.contains("b.json:3:2"), "{error}");
    }

    #[test]
    fn includes_merge_as_openclaw_merges_them() {
        let (_dir, root) = folder(&[
            (
                "openclaw.json",
                r#"{ $include: ["one.json5", "sub/two.json5"], tools: { allow: ["c"] }, x: 3 }"#,
            ),
            ("one.json5", r#"{ tools: { allow: ["a"], deny: ["d"] }, x: 1 }"#),
            ("sub/two.json5", r#"{ tools: { allow: ["b"] }, y: { $include: "./three.json5" } }"#),
            ("sub/three.json5", r#"{ z: "${THE_NAME}", w: "$${NOT_ONE}" }"#),
        ]);
        let loaded = load(&root.join("openclaw.json"), &[]).unwrap();
        assert_eq!(
            loaded.value,
            json!({"tools":{"allow":["a","b","c"],"deny":["d"]},"x":3,"y":{"z":"${THE_NAME}","w":"$${NOT_ONE}"}})
        );
        assert_eq!(loaded.env_names.into_iter().collect::<Vec<_>>(), ["THE_NAME"]);
        assert_eq!(loaded.files.len(), 4);
    }

    #[test]
    fn includes_that_multiply_end() {
        // Ten levels of eight each: a billion reads.
        let level =
            |next: usize| format!("{{ $include: [{}] }}", format!("'{next}.json',").repeat(8));
        let files: Vec<(String, String)> =
            (0..9).map(|n| (format!("{n}.json"), level(n + 1))).collect();
        let mut all: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        all.push(("9.json", "{}"));
        let (_dir, root) = folder(&all);
        let error = load(&root.join("0.json"), &[]).unwrap_err().to_string();
        assert!(error.contains("more than 256 files"), "{error}");
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let (_dir, root) = folder(&[("a.json", "{ $include: 'b' }")]);
        fs::create_dir(root.join("b")).unwrap();
        let error = load(&root.join("a.json"), &[]).unwrap_err().to_string();
        assert!(error.contains("not a file"), "{error}");
    }

    #[test]
    fn includes_that_escape_cycle_or_lack_are_refused() {
        let (_other, outside) = folder(&[("x.json", "{}")]);
        let escape = format!(r#"{{ $include: "{}/x.json" }}"#, outside.display());
        let (_dir, root) = folder(&[
            ("escape.json", &escape),
            ("cycle.json", r#"{ $include: "cycle.json" }"#),
            ("lack.json", r#"{ $include: "nothing.json" }"#),
            ("kind.json", r#"{ $include: 5 }"#),
        ]);
        for (file, word) in [
            ("escape", "outside"),
            ("cycle", "itself"),
            ("lack", "No such file"),
            ("kind", "string"),
        ] {
            let error = load(&root.join(format!("{file}.json")), &[]).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        assert!(load(&root.join("escape.json"), &[outside]).is_ok());
    }
}
