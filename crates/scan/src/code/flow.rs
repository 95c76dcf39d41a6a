//! The state of following data through one skill: variables, files, and what was seen.
//!
//! Over-approximates labels (whatever was mixed with a secret is secret) and under-approximates
//! text (unknown parts are holes). One `Flow` spans all files of a skill that share a language
//! run, so that what one command stores the next may run.

use super::Language;
use super::value::{Act, Event, Labels, Value, read_path};
use crate::content::Content;
use crate::text::urls;
use std::collections::HashMap;
use tree_sitter::Tree;

/// Programs inside programs (`bash -c "python -c '…'"`): deeper ones are opaque.
pub(crate) const MAX_DEPTH: usize = 6;
/// Bytes parsed for one file, with the programs inside it and everything that it calls: thrice the
/// longest code that is read.
const MAX_PARSED: usize = 6 << 20;
/// Most bytes of text in variables, and what functions printed.
const MAX_HELD: usize = 16 << 20;
/// Most functions of the shell.
const MAX_FUNCTIONS: usize = 2_000;
/// Most events of one file.
const MAX_EVENTS: usize = 16_000;
/// Most addresses of one call.
const MAX_HOSTS: usize = 64;
/// Most variables and files followed.
const MAX_ENTRIES: usize = 20_000;

pub(crate) struct Flow<'a> {
    pub(crate) content: &'a Content,
    pub(crate) events: Vec<Event>,
    pub(crate) vars: HashMap<String, Value>,
    files: HashMap<String, Value>,
    pub(crate) depth: usize,
    /// Line of the text that contains the code being read, when that is nested.
    fixed_line: Option<u32>,
    /// Added to the lines of a code block inside a document.
    pub(crate) offset: u32,
    /// Function bodies of the shell, by name, kept as text.
    pub(crate) functions: HashMap<String, String>,
    /// Why something was not followed to its end: a limit that honest code does not reach.
    pub(crate) lost: Option<&'static str>,
    /// Work left: every nested analysis and command costs one. Keeps hostile nesting linear.
    pub(crate) fuel: usize,
    /// Bytes that may still be parsed.
    bytes: usize,
    /// Bytes of text that variables hold.
    held: usize,
    /// Changes with everything that a shell function can see: variables, files, functions.
    generation: u64,
    /// What functions printed, by name and generation: called again while nothing has changed, one
    /// does nothing new.
    called: HashMap<(String, u64), Value>,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(content: &'a Content, offset: u32) -> Self {
        Self {
            content,
            events: Vec::new(),
            vars: HashMap::new(),
            files: HashMap::new(),
            depth: 0,
            fixed_line: None,
            offset,
            functions: HashMap::new(),
            lost: None,
            fuel: 20_000,
            bytes: MAX_PARSED,
            held: 0,
            generation: 0,
            called: HashMap::new(),
        }
    }

    /// Work for the next piece of code of the same document: at least `fuel`, and enough to parse
    /// `bytes` with what they hold.
    pub(crate) fn refill(&mut self, fuel: usize, bytes: usize) {
        self.fuel = self.fuel.max(fuel);
        // What was seen so far is judged by where it stood: a function called here acts here.
        self.called.clear();
        self.bytes = self.bytes.max(bytes.saturating_mul(2).saturating_add(fuel));
    }

    /// Defines a shell function.
    pub(crate) fn define(&mut self, name: String, body: String) {
        if self.functions.get(&name) == Some(&body) {
            return;
        }
        if self.functions.len() < MAX_FUNCTIONS {
            self.functions.insert(name, body);
            self.generation += 1;
        } else {
            self.lose("has more functions than are followed");
        }
    }

    /// Calls a shell function through `run`, unless it was called before and nothing has changed.
    pub(crate) fn call(&mut self, name: &str, run: impl FnOnce(&mut Self) -> Value) -> Value {
        let key = (name.to_owned(), self.generation);
        if let Some(printed) = self.called.get(&key) {
            return printed.clone();
        }
        let printed = run(self);
        // What was cut short here may run to its end elsewhere.
        let room = self.held.saturating_add(printed.size()) <= MAX_HELD;
        if self.lost.is_none() && self.called.len() < MAX_ENTRIES && room {
            self.held += printed.size();
            self.called.insert(key, printed.clone());
        }
        printed
    }

    /// A syntax tree, while there is work left.
    pub(crate) fn parse(&mut self, language: Language, text: &str) -> Option<Tree> {
        let tree = if text.len() > self.bytes { None } else { super::parse_with(language, text) };
        self.bytes = self.bytes.saturating_sub(text.len());
        if tree.is_none() {
            self.lose("costs more to read than is spent on it");
        }
        tree
    }

    pub(crate) fn emit(&mut self, line: u32, act: Act) {
        if self.events.len() < MAX_EVENTS {
            let line = self.fixed_line.unwrap_or(line + self.offset);
            self.events.push(Event { line, act });
        } else {
            self.lose("does more than is recorded");
        }
    }

    /// Something is not followed to its end.
    pub(crate) fn lose(&mut self, why: &'static str) {
        self.lost.get_or_insert(why);
    }

    /// Runs `f` one level deeper, with every line reported as `line`.
    pub(crate) fn nested<T: Default>(&mut self, line: u32, f: impl FnOnce(&mut Self) -> T) -> T {
        if self.depth >= MAX_DEPTH || self.fuel == 0 {
            self.lose("holds programs inside programs deeper than is followed");
            return T::default();
        }
        self.fuel -= 1;
        let before = self.fixed_line;
        self.fixed_line.get_or_insert(line + self.offset);
        self.depth += 1;
        let out = f(self);
        self.depth -= 1;
        self.fixed_line = before;
        out
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if self.vars.get(name) == Some(&value) {
            return;
        }
        self.held = self.held.saturating_sub(self.vars.get(name).map_or(0, Value::size));
        if self.held.saturating_add(value.size()) > MAX_HELD {
            self.vars.remove(name);
            self.lose("holds more text than is followed");
        } else if self.vars.len() < MAX_ENTRIES || self.vars.contains_key(name) {
            self.generation += 1;
            self.held += value.size();
            self.vars.insert(name.to_owned(), value);
        } else {
            self.lose("has more variables than are followed");
        }
    }

    /// A variable may get a value: in a branch, after `&&`.
    pub(crate) fn maybe(&mut self, name: &str, value: Value) {
        match self.vars.get_mut(name) {
            Some(held) => {
                let before = held.clone();
                held.join(&value);
                self.generation += u64::from(*held != before);
            }
            None => self.set(name, value),
        }
    }

    /// A file gets data.
    pub(crate) fn store(&mut self, line: u32, path: &str, data: &Value) {
        if path.is_empty() || path == "/dev/null" || path.starts_with("/dev/std") || path == "-" {
            return;
        }
        let key = file_key(path);
        if self.files.len() < MAX_ENTRIES {
            let entry = self.files.entry(key).or_default();
            let before = entry.clone();
            entry.taint(data);
            if entry.texts.is_empty() {
                entry.texts.clone_from(&data.texts);
            }
            self.generation += u64::from(*entry != before);
        } else {
            self.lose("writes more files than are followed");
        }
        self.emit(line, Act::Write { path: path.to_owned(), data: data.clone() });
    }

    /// Labels and sources of every file so far that holds something sensitive.
    pub(crate) fn sensitive(&self) -> Value {
        let mut out = Value::default();
        let held = |v: &&Value| v.labels.has(Labels::STRONG.with(Labels::ENV_ALL));
        for value in self.files.values().filter(held).take(64) {
            out.taint(value);
        }
        out
    }

    /// Keeps data under a name that is no path.
    pub(crate) fn hold(&mut self, name: &str, data: &Value) {
        self.files.entry(name.to_owned()).or_default().taint(data);
    }

    /// What is in a file.
    pub(crate) fn load(&mut self, line: u32, path: &str) -> Value {
        let mut value = read_path(self.content, path);
        if let Some(stored) = self.files.get(&file_key(path)) {
            value.taint(stored);
            value.texts.clone_from(&stored.texts);
        }
        if value.labels.has(Labels::STRONG.with(Labels::DOTENV)) {
            self.emit(line, Act::Read { path: path.to_owned() });
        }
        value
    }

    /// What was stored in a file, without reading it being an act.
    pub(crate) fn stored(&self, path: &str) -> Option<&Value> {
        self.files.get(&file_key(path))
    }

    /// A host is contacted.
    pub(crate) fn net(&mut self, line: u32, places: &[&Value], data: Value, upload: bool) {
        let mut found = Vec::new();
        let hidden = places
            .iter()
            .any(|v| v.labels.has(Labels::DECODED) && v.texts.iter().any(|t| t.contains("://")));
        for value in places {
            for text in &value.texts {
                found.extend(urls::find(text, MAX_HOSTS));
                if !text.contains("://") {
                    found.extend(bare_host(text));
                }
            }
        }
        found.truncate(MAX_HOSTS);
        self.emit(line, Act::Net { urls: found, data, upload, hidden });
    }
}

/// `host/path` or `host:port` without a scheme.
fn bare_host(text: &str) -> Option<urls::Url> {
    let host = text.split(['/', ':', '?']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let plausible = labels.len() >= 2
        && labels
            .iter()
            .all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        && (urls::numeric(host)
            || labels.last().is_some_and(|t| {
                t.len() >= 2 && t.len() <= 12 && t.bytes().all(|b| b.is_ascii_lowercase())
            }))
        && !labels.last().is_some_and(|t| {
            matches!(
                *t,
                "json"
                    | "py"
                    | "js"
                    | "ts"
                    | "sh"
                    | "txt"
                    | "md"
                    | "html"
                    | "csv"
                    | "pdf"
                    | "png"
                    | "jpg"
                    | "mp4"
                    | "mp3"
                    | "yaml"
                    | "yml"
                    | "toml"
                    | "log"
                    | "zip"
                    | "gz"
                    | "tar"
                    | "wav"
                    | "db"
                    | "xml"
                    | "css"
                    | "svg"
            )
        });
    if plausible { urls::parse(&format!("http://{text}"), 0) } else { None }
}

fn file_key(path: &str) -> String {
    path.trim_start_matches("./").replace("${HOME}", "~").replace("$HOME", "~").to_owned()
}
