//! A configuration of several files: `$include` as OpenClaw resolves it, and edits that land in
//! the file that holds the key.
//!
//! Included objects merge in order, the including object's own members after them; arrays
//! concatenate. So a key can come from several files. An edit is planned on the documents, and then
//! the merged value is computed anew: an edit whose effect is not exactly the wanted one is refused
//! with the places to look at.

use super::edit::{Edit, EditError, edit};
use super::parse::{Kind, Node, SyntaxError, parse, place};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// OpenClaw's own limit (gateway/config-secrets-env.md).
const MAX_DEPTH: usize = 10;
/// More files than any person keeps; a folder of includes that include each other ends here.
const MAX_FILES: usize = 256;

/// How files are found and read; the pure part knows no file system.
pub trait Resolve {
    /// The file that `target`, named in `from`, means; an error when OpenClaw would refuse it.
    fn include(&self, from: &Path, target: &str) -> Result<PathBuf, String>;
    /// Its text.
    fn read(&self, path: &Path) -> Result<String, String>;
}

/// Why a configuration cannot be read or edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A file cannot be read.
    #[error("cannot read `{path}`: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file is not JSON5.
    #[error("{path}:{error}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        error: SyntaxError,
    },
    /// An include that OpenClaw refuses.
    #[error("{path}: $include `{target}`: {why}")]
    Include {
        /// The including file.
        path: PathBuf,
        /// What it names.
        target: String,
        /// Why not.
        why: String,
    },
    /// The document of a file does not allow the edit.
    #[error("{path}:{error}")]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// Several files make up the key, and no single edit gives the wanted value.
    #[error("`{key}` is made up from {}: edit them by hand", places.join(" and "))]
    ManyPlaces {
        /// The key.
        key: String,
        /// `file:line` of each part.
        places: Vec<String>,
    },
}

/// All files of a configuration.
#[derive(Debug, Clone)]
pub struct Documents {
    main: PathBuf,
    files: BTreeMap<PathBuf, Document>,
}

#[derive(Debug, Clone)]
struct Document {
    text: String,
    root: Node,
    /// Which file each include of this one means.
    targets: BTreeMap<String, PathBuf>,
    /// How many times a file is read in to make this one's value.
    parts: usize,
}

/// A place that contributes to a key.
struct Site<'a> {
    file: &'a Path,
    /// The key inside this file.
    at: Vec<String>,
    node: &'a Node,
}

impl Documents {
    /// Reads a configuration and what it includes.
    pub fn load(main: &Path, resolve: &dyn Resolve) -> Result<Self, PlaceError> {
        let mut documents = Self { main: main.to_owned(), files: BTreeMap::new() };
        documents.read(main, resolve, &mut Vec::new())?;
        Ok(documents)
    }

    /// The main file.
    pub fn main(&self) -> &Path {
        &self.main
    }

    /// Every file and its text.
    pub fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().map(|(path, document)| (path.as_path(), document.text.as_str()))
    }

    /// The merged value, environment references as they are written.
    pub fn value(&self) -> Value {
        self.files
            .get(&self.main)
            .map_or(Value::Null, |document| self.merged(document, &document.root))
    }

    /// `file:line` of what decides a key's value, when it is written anywhere.
    pub fn whereabouts(&self, key: &[String]) -> Option<String> {
        self.sites(key).last().map(|site| self.label(site))
    }

    /// Makes a key's value this one.
    pub fn set(&mut self, key: &[String], value: &Value) -> Result<(), PlaceError> {
        let mut wanted = self.value();
        put(&mut wanted, key, value.clone());
        let sites = self.sites(key);
        let step = match sites.as_slice() {
            [] => self.nearest(key).map(|(site, rest)| {
                (site.file.to_owned(), site.at.iter().chain(rest).cloned().collect())
            }),
            [.., last] => {
                let mut value = value.clone();
                if let (Value::Array(items), true) = (&mut value, sites.len() > 1) {
                    // What the others contribute comes before the last one's own.
                    let others: usize = sites
                        .iter()
                        .take(sites.len() - 1)
                        .map(|site| match &site.node.kind {
                            Kind::Array(items) => items.len(),
                            _ => 0,
                        })
                        .sum();
                    items.drain(..others.min(items.len()));
                }
                let (file, at) = (last.file.to_owned(), last.at.clone());
                return self.apply(vec![(file, Edit::Set(at, value))], key, &wanted);
            }
        };
        let Some((file, at)) = step else {
            return Err(self.many(key));
        };
        self.apply(vec![(file, Edit::Set(at, value.clone()))], key, &wanted)
    }

    /// Takes a key away, wherever it is written.
    pub fn remove(&mut self, key: &[String]) -> Result<(), PlaceError> {
        let mut wanted = self.value();
        if let Some((name, parents)) = key.split_last() {
            let holder = parents.iter().try_fold(&mut wanted, |at, name| at.get_mut(name));
            if let Some(map) = holder.and_then(Value::as_object_mut) {
                map.remove(name);
            }
        }
        let edits = self
            .sites(key)
            .into_iter()
            .filter(|site| !site.at.is_empty())
            .map(|site| (site.file.to_owned(), Edit::Remove(site.at)))
            .collect();
        self.apply(edits, key, &wanted)
    }

    /// Makes the edits if together they give exactly the wanted value.
    fn apply(
        &mut self,
        edits: Vec<(PathBuf, Edit)>,
        key: &[String],
        wanted: &Value,
    ) -> Result<(), PlaceError> {
        let mut next = self.clone();
        for (path, change) in edits {
            let Some(document) = next.files.get_mut(&path) else { continue };
            let text = edit(&document.text, &change)
                .map_err(|error| PlaceError::Edit { path: path.clone(), error })?;
            document.root =
                parse(&text).map_err(|error| PlaceError::Syntax { path: path.clone(), error })?;
            document.text = text;
        }
        if next.value() != *wanted {
            return Err(self.many(key));
        }
        *self = next;
        Ok(())
    }

    fn many(&self, key: &[String]) -> PlaceError {
        // The key itself may be written nowhere: then what is above it is the place.
        let places = (0..=key.len())
            .rev()
            .map(|depth| self.sites(key.get(..depth).unwrap_or_default()))
            .find(|sites| !sites.is_empty())
            .unwrap_or_default();
        PlaceError::ManyPlaces {
            key: key.join("."),
            places: places.iter().map(|site| self.label(site)).collect(),
        }
    }

    fn label(&self, site: &Site<'_>) -> String {
        let text = self.files.get(site.file).map_or("", |document| document.text.as_str());
        format!("{}:{}", site.file.display(), place(text, site.node.span.start).0)
    }

    fn sites(&self, key: &[String]) -> Vec<Site<'_>> {
        let mut out = Vec::new();
        if let Some((path, document)) = self.files.get_key_value(&self.main) {
            self.collect(path, document, &document.root, Vec::new(), key, &mut out);
        }
        out
    }

    /// The place where a key that is written nowhere is to be written, and what remains of it.
    fn nearest<'a>(&self, key: &'a [String]) -> Option<(Site<'_>, &'a [String])> {
        (0..key.len()).rev().find_map(|depth| {
            let site = self.sites(key.get(..depth)?).pop()?;
            Some((site, key.get(depth..)?))
        })
    }

    fn collect<'a>(
        &'a self,
        path: &'a Path,
        document: &'a Document,
        node: &'a Node,
        at: Vec<String>,
        rest: &[String],
        out: &mut Vec<Site<'a>>,
    ) {
        let mut included = false;
        if let Some(member) = node.member("$include") {
            for target in targets(&member.value) {
                if let Some((path, document)) =
                    document.targets.get(&target).and_then(|file| self.files.get_key_value(file))
                {
                    included = true;
                    self.collect(path, document, &document.root, Vec::new(), rest, out);
                }
            }
        }
        let Some((name, rest)) = rest.split_first() else {
            let own = match &node.kind {
                Kind::Object(members) => members.len() > usize::from(included),
                _ => true,
            };
            if own || !included {
                out.push(Site { file: path, at, node });
            }
            return;
        };
        if let Some(member) = node.member(name) {
            let mut at = at;
            at.push(name.clone());
            self.collect(path, document, &member.value, at, rest, out);
        }
    }

    fn read(
        &mut self,
        path: &Path,
        resolve: &dyn Resolve,
        open: &mut Vec<PathBuf>,
    ) -> Result<(), PlaceError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        let text = resolve
            .read(path)
            .map_err(|why| PlaceError::Unreadable { path: path.to_owned(), why })?;
        let root =
            parse(&text).map_err(|error| PlaceError::Syntax { path: path.to_owned(), error })?;
        let mut names = Vec::new();
        includes(&root, &mut names);
        let mut found = BTreeMap::new();
        let mut parts = 1_usize;
        open.push(path.to_owned());
        for target in names {
            let fail = |why: String| PlaceError::Include {
                path: path.to_owned(),
                target: target.clone(),
                why,
            };
            if open.len() > MAX_DEPTH {
                return Err(fail(format!("nested more than {MAX_DEPTH} deep")));
            }
            if self.files.len() > MAX_FILES {
                return Err(fail(format!("more than {MAX_FILES} files")));
            }
            let file = resolve.include(path, &target).map_err(fail)?;
            if open.contains(&file) {
                return Err(PlaceError::Include {
                    path: path.to_owned(),
                    target,
                    why: "includes itself".into(),
                });
            }
            self.read(&file, resolve, open)?;
            // A file that each level includes several times multiplies, though it is read once.
            parts = parts.saturating_add(self.files.get(&file).map_or(0, |file| file.parts));
            if parts > MAX_FILES {
                return Err(fail(format!("more than {MAX_FILES} files")));
            }
            found.insert(target, file);
        }
        open.pop();
        self.files.insert(path.to_owned(), Document { text, root, targets: found, parts });
        Ok(())
    }

    fn merged(&self, document: &Document, node: &Node) -> Value {
        match &node.kind {
            Kind::Leaf(value) => value.clone(),
            Kind::Array(items) => {
                Value::Array(items.iter().map(|item| self.merged(document, &item.value)).collect())
            }
            Kind::Object(members) => {
                let mut own = Map::new();
                for member in members.iter().filter(|member| member.name != "$include") {
                    own.insert(member.name.clone(), self.merged(document, &member.value));
                }
                let Some(include) = node.member("$include") else { return Value::Object(own) };
                let mut parts = targets(&include.value).into_iter().filter_map(|target| {
                    let document = self.files.get(document.targets.get(&target)?)?;
                    Some(self.merged(document, &document.root))
                });
                let mut value = parts.next().unwrap_or(Value::Object(Map::new()));
                parts.for_each(|part| merge(&mut value, part));
                if !own.is_empty() {
                    merge(&mut value, Value::Object(own));
                }
                value
            }
        }
    }
}

fn targets(node: &Node) -> Vec<String> {
    match node.to_value() {
        Value::String(target) => vec![target],
        Value::Array(items) => {
            items.into_iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn includes(node: &Node, out: &mut Vec<String>) {
    match &node.kind {
        Kind::Leaf(_) => {}
        Kind::Array(items) => items.iter().for_each(|item| includes(&item.value, out)),
        Kind::Object(members) => {
            if let Some(member) = node.member("$include") {
                out.extend(targets(&member.value));
            }
            members.iter().for_each(|member| includes(&member.value, out));
        }
    }
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

fn put(root: &mut Value, key: &[String], value: Value) {
    let mut at = root;
    for name in key {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = match at {
            Value::Object(map) => map.entry(name.clone()).or_insert(Value::Null),
            // Made an object just above.
            other => other,
        };
    }
    *at = value;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    struct Files(BTreeMap<PathBuf, String>);

    impl Resolve for Files {
        fn include(&self, from: &Path, target: &str) -> Result<PathBuf, String> {
            let path = from.parent().unwrap().join(target);
            self.0.contains_key(&path).then_some(path).ok_or_else(|| "no such file".into())
        }
        fn read(&self, path: &Path) -> Result<String, String> {
            self.0.get(path).cloned().ok_or_else(|| "no such file".into())
        }
    }

    fn documents(files: &[(&str, &str)]) -> Result<Documents, PlaceError> {
        let map = files
            .iter()
            .map(|(name, text)| (Path::new("/c").join(name), (*text).to_owned()))
            .collect();
        Documents::load(Path::new("/c/openclaw.json"), &Files(map))
    }

    fn key(dotted: &str) -> Vec<String> {
        dotted.split('.').map(str::to_owned).collect()
    }

    fn text<'a>(documents: &'a Documents, name: &str) -> &'a str {
        documents.texts().find(|(path, _)| path.ends_with(name)).unwrap().1
    }

    const SPLIT: &[(&str, &str)] = &[
        (
            "openclaw.json",
            "{ $include: ['a.json5', 'b.json5'], gateway: { $include: 'gw.json5' }, tools: { deny: ['x'] } }",
        ),
        ("a.json5", "{ tools: { deny: ['a'], profile: 'full' }, logging: { level: 'info' } }"),
        ("b.json5", "{ logging: { level: 'debug' } }"),
        ("gw.json5", "{ bind: 'lan' } // mine"),
    ];

    #[test]
    fn includes_that_multiply_end() {
        let names: Vec<String> = (0..9).map(|n| format!("{n}")).collect();
        let texts: Vec<String> = (1..10)
            .map(|next| format!("{{ $include: [{}] }}", format!("'{next}',").repeat(8)))
            .collect();
        let mut files: Vec<(&str, &str)> =
            names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
        files.push(("9", "{}"));
        if let Some(first) = files.first_mut() {
            first.0 = "openclaw.json";
        }
        let error = documents(&files).unwrap_err().to_string();
        assert!(error.contains("more than 256 files"), "{error}");
    }

    #[test]
    fn an_edit_lands_in_the_file_that_holds_the_key() {
        let mut docs = documents(SPLIT).unwrap();
        docs.set(&key("gateway.bind"), &json!("loopback")).unwrap();
        assert_eq!(text(&docs, "gw.json5"), "{ bind: 'loopback' } // mine");
        docs.set(&key("gateway.auth.mode"), &json!("token")).unwrap();
        assert!(
            text(&docs, "gw.json5").contains("auth: { mode: 'token' }"),
            "{}",
            text(&docs, "gw.json5")
        );
        docs.set(&key("logging.level"), &json!("warn")).unwrap();
        assert!(text(&docs, "b.json5").contains("warn") && text(&docs, "a.json5").contains("info"));
        docs.set(&key("tools.profile"), &json!("minimal")).unwrap();
        assert!(text(&docs, "a.json5").contains("minimal"));
        docs.remove(&key("logging.level")).unwrap();
        assert_eq!(docs.value().pointer("/logging/level"), None);
        assert_eq!(docs.whereabouts(&key("gateway.bind")).unwrap(), "/c/gw.json5:1");
    }

    #[test]
    fn an_array_of_several_files_grows_in_the_last_and_is_not_cut_in_the_wrong_one() {
        let mut docs = documents(SPLIT).unwrap();
        docs.set(&key("tools.deny"), &json!(["a", "x", "exec"])).unwrap();
        assert!(text(&docs, "openclaw.json").contains("['x', 'exec']"));
        let before = docs.clone();
        let error = docs.set(&key("tools.deny"), &json!(["exec"])).unwrap_err().to_string();
        assert!(error.contains("/c/a.json5:1 and /c/openclaw.json:1"), "{error}");
        assert!(docs.texts().eq(before.texts()));
    }

    #[test]
    fn a_shared_file_is_not_edited_for_one_of_its_users() {
        let mut docs = documents(&[
            ("openclaw.json", "{ a: { $include: 's.json5' }, b: { $include: 's.json5' } }"),
            ("s.json5", "{ mode: 'off' }"),
        ])
        .unwrap();
        assert!(
            docs.set(&key("a.mode"), &json!("all")).unwrap_err().to_string().contains("s.json5:1")
        );
        assert_eq!(docs.value().pointer("/b/mode"), Some(&json!("off")));
    }

    #[test]
    fn cycles_and_missing_files_are_refused() {
        let cycle = documents(&[
            ("openclaw.json", "{ $include: 'a' }"),
            ("a", "{ $include: 'openclaw.json' }"),
        ]);
        assert!(cycle.unwrap_err().to_string().contains("itself"));
        let lack = documents(&[("openclaw.json", "{ x: { $include: 'b' } }")]);
        assert_eq!(lack.unwrap_err().to_string(), "/c/openclaw.json: $include `b`: no such file");
        let broken = documents(&[("openclaw.json", "{ $include: 'a' }"), ("a", "{ 'x' }")]);
        assert!(broken.unwrap_err().to_string().starts_with("/c/a:1:7:"));
    }
}
