//! What a value may hold, and what was seen to be done with it.

use crate::content::{Content, SecretLabel};
use crate::text::urls::Url;

/// Where data came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Labels(u16);

impl Labels {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const DOWNLOADED: Self = Self(1);
    pub(crate) const DECODED: Self = Self(1 << 1);
    pub(crate) const CREDENTIALS: Self = Self(1 << 2);
    pub(crate) const BROWSER: Self = Self(1 << 3);
    pub(crate) const WALLET: Self = Self(1 << 4);
    pub(crate) const PERSONAL: Self = Self(1 << 5);
    pub(crate) const DOTENV: Self = Self(1 << 6);
    pub(crate) const ENV_ALL: Self = Self(1 << 7);
    pub(crate) const ENV_SECRET: Self = Self(1 << 8);
    pub(crate) const LOCAL_FILE: Self = Self(1 << 9);
    pub(crate) const CAPTURE: Self = Self(1 << 10);
    pub(crate) const TYPED_SECRET: Self = Self(1 << 11);
    pub(crate) const OUTPUT: Self = Self(1 << 12);

    /// Files of secrets, whatever they hold.
    pub(crate) const STRONG: Self =
        Self(Self::CREDENTIALS.0 | Self::BROWSER.0 | Self::WALLET.0 | Self::PERSONAL.0);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) fn of(label: SecretLabel) -> Self {
        match label {
            SecretLabel::Credentials => Self::CREDENTIALS,
            SecretLabel::Browser => Self::BROWSER,
            SecretLabel::Wallet => Self::WALLET,
            SecretLabel::Personal => Self::PERSONAL,
            SecretLabel::Dotenv => Self::DOTENV,
        }
    }
}

/// Stands in constant text for a part that is not known.
pub(crate) const HOLE: char = '\u{FFFC}';
/// Longest constant text that is followed.
pub(crate) const MAX_TEXT: usize = 96 << 10;
const MAX_ALTERNATIVES: usize = 8;
const MAX_SOURCES: usize = 24;
/// The last source of a value that has more than can be kept.
pub(crate) const MORE_SOURCES: &str = "…";

/// What is known of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) labels: Labels,
    /// Texts it may be, with [`HOLE`] for unknown parts.
    pub(crate) texts: Vec<String>,
    /// Names of secrets, files and variables it came from, for the message and for topics.
    pub(crate) sources: Vec<String>,
    /// An open file: its path.
    pub(crate) handle: Option<String>,
    /// Came out of a network library: a session, a connection.
    pub(crate) net: bool,
    /// A list, element by element.
    pub(crate) list: Vec<Value>,
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text: String = text.into();
        let texts = if text.len() <= MAX_TEXT { vec![text] } else { Vec::new() };
        Self { texts, ..Self::default() }
    }

    pub(crate) fn labelled(labels: Labels, source: impl Into<String>) -> Self {
        Self { labels, sources: vec![source.into()], ..Self::default() }
    }

    /// Bytes of text in it.
    pub(crate) fn size(&self) -> usize {
        self.texts.iter().map(String::len).sum::<usize>()
            + self.list.iter().map(Value::size).sum::<usize>()
    }

    /// The one text that it certainly is.
    pub(crate) fn known(&self) -> Option<&str> {
        match self.texts.as_slice() {
            [one] if !one.contains(HOLE) => Some(one),
            _ => None,
        }
    }

    /// The most likely text, holes included.
    pub(crate) fn likely(&self) -> Option<&str> {
        self.texts.first().map(String::as_str)
    }

    pub(crate) fn label(&mut self, labels: Labels, source: &str) {
        self.labels = self.labels.with(labels);
        self.source(source);
    }

    fn source(&mut self, source: &str) {
        if source.is_empty() || self.sources.iter().any(|s| s == source) {
            return;
        }
        match self.sources.len() {
            len if len < MAX_SOURCES => self.sources.push(source.to_owned()),
            MAX_SOURCES => self.sources.push(MORE_SOURCES.to_owned()),
            _ => {}
        }
    }

    /// Takes on labels and sources of `other`, not its text.
    pub(crate) fn taint(&mut self, other: &Value) {
        self.labels = self.labels.with(other.labels);
        for source in &other.sources {
            self.source(source);
        }
    }

    /// May be either.
    pub(crate) fn join(&mut self, other: &Value) {
        self.taint(other);
        for text in &other.texts {
            if self.texts.len() < MAX_ALTERNATIVES && !self.texts.contains(text) {
                self.texts.push(text.clone());
            }
        }
        self.net |= other.net;
        if self.handle.is_none() {
            self.handle.clone_from(&other.handle);
        }
        if self.list.is_empty() {
            self.list.clone_from(&other.list);
        }
    }

    /// Text of parts in a row. Where parts may be several texts, the first of each go together,
    /// then the second of each, and so on.
    pub(crate) fn concat(parts: &[Value], between: &str) -> Self {
        let mut out = Value::default();
        for part in parts {
            out.taint(part);
        }
        let variants = parts.iter().map(|p| p.texts.len()).max().unwrap_or(0);
        for variant in 0..variants.min(MAX_ALTERNATIVES) {
            let mut text = String::new();
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    text.push_str(between);
                }
                match part.texts.get(variant).or(part.texts.first()) {
                    Some(known) if text.len() + known.len() <= MAX_TEXT => text.push_str(known),
                    _ => text.push(HOLE),
                }
            }
            if !out.texts.contains(&text) {
                out.texts.push(text);
            }
        }
        out
    }

    /// Maps its texts.
    pub(crate) fn map(&self, f: impl Fn(&str) -> Option<String>) -> Self {
        let mut out = self.clone();
        out.texts = self.texts.iter().filter_map(|t| f(t)).collect();
        out
    }
}

/// Something that was seen to be done.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) line: u32,
    pub(crate) act: Act,
}

#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Contacts hosts; `upload` when a body or a file goes out, `hidden` when the address was encoded.
    Net { urls: Vec<Url>, data: Value, upload: bool, hidden: bool },
    /// Runs a program or script whose content is `what`.
    Run { what: Value, name: String },
    /// Runs text as code.
    Eval { what: Value },
    /// Starts a named program.
    Program { name: String },
    /// Reads a file.
    Read { path: String },
    /// Writes a file.
    Write { path: String, data: Value },
    /// Deletes.
    Delete { path: String },
    /// Installs packages.
    Install { what: String },
    /// Arranges to be run again.
    Persist { how: String },
    /// Takes protection away.
    Weaken { how: String },
    /// A shell on a socket.
    ReverseShell { how: String },
    /// Connects its own input and output elsewhere.
    Redirects,
    /// A password box of its own.
    Prompt { how: String },
    /// Fetches secrets from a store of the system.
    Secret { name: String },
    /// Hands sensitive data to a program of which nobody knows what it does with it.
    Give { program: String, data: Value },
    /// Lets machines outside in.
    OpenDoor { how: String },
    /// Removes the traces of what was done.
    CoverTracks { how: String },
    /// Takes packages from somewhere that is no registry of its kind.
    ForeignPackage { what: String, place: Value },
    /// Deletes files that a pattern or a listing finds, not ones that it made.
    Sweep { how: String },
    /// Mines.
    Mine { how: String },
    /// Installs a skill or plugin.
    SkillInstall { what: String },
}

/// The value of reading `path`.
pub(crate) fn read_path(content: &Content, path: &str) -> Value {
    let mut value = Value::labelled(Labels::LOCAL_FILE, "");
    value.sources.clear();
    if let Some((label, _)) = content.secret_at(path) {
        value.label(Labels::of(label), path);
    } else if path.ends_with(".env") || path.contains("/.env") {
        value.label(Labels::DOTENV, path);
    }
    value
}

/// Does the name of a variable say that it holds a secret?
pub(crate) fn secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let parts: Vec<&str> = upper.split('_').collect();
    let last = parts.last().copied().unwrap_or("");
    (upper.contains("API_KEY")
        || upper.contains("APIKEY")
        || upper.contains("SECRET")
        || upper.contains("PASSWORD")
        || upper.contains("PRIVATE_KEY")
        || upper.contains("MNEMONIC"))
        || parts
            .iter()
            .any(|p| matches!(*p, "TOKEN" | "PASSWD" | "PASS" | "CREDENTIALS" | "AUTH" | "COOKIE"))
        || last == "KEY"
}
