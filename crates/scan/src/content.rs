//! Rules, host classes, places and words: data, shipped inside the binary and checked at load.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use seawall_model::finding::Level;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

/// A rule as it is written down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Stable id.
    pub id: String,
    /// Severity where nothing in its surroundings changes it.
    pub severity: Level,
    /// One line.
    pub title: String,
    /// Why it counts.
    pub reason: String,
    /// What to do about it.
    pub fix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    rule: Vec<Rule>,
}

/// Classes a host can belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HostClass {
    Drop,
    MessengerHook,
    Tunnel,
    Paste,
    Shortener,
    FileShare,
    FreeHosting,
    CodeHosting,
    Installer,
    Registry,
    Platform,
    Example,
    Echo,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostFile {
    class: Vec<HostEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostEntry {
    id: HostClass,
    #[expect(dead_code, reason = "read by people: why the class counts")]
    reason: String,
    hosts: Vec<String>,
}

/// A sensitive file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretPath {
    pub(crate) path: String,
    pub(crate) topics: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretEntry {
    label: SecretLabel,
    #[expect(dead_code, reason = "read by people: why the place counts")]
    reason: String,
    entries: Vec<SecretPath>,
}

/// What a sensitive file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SecretLabel {
    Credentials,
    Browser,
    Wallet,
    Personal,
    Dotenv,
}

/// What a place means when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaceKind {
    Persistence,
    Memory,
    Settings,
    Skills,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceEntry {
    kind: PlaceKind,
    #[expect(dead_code, reason = "read by people: why the place counts")]
    reason: String,
    paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathFile {
    secret: Vec<SecretEntry>,
    place: Vec<PlaceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConceptEntry {
    phrases: Vec<String>,
}

/// What a program does with what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ProgramClass {
    Carry,
    OpenDoor,
    Local,
    Print,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramEntry {
    id: ProgramClass,
    #[expect(dead_code, reason = "read by people: why the class counts")]
    reason: String,
    programs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgramFile {
    class: Vec<ProgramEntry>,
}

/// What a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ApiKind {
    Net,
    Exec,
    Shell,
    Eval,
    Load,
    Decode,
    Read,
    Write,
    Env,
    EnvAll,
    FetchTo,
    Personal,
    Delete,
    Unlink,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ApiEntry {
    net: Vec<String>,
    net_modules: Vec<String>,
    net_methods: Vec<String>,
    exec: Vec<String>,
    shell: Vec<String>,
    eval: Vec<String>,
    load: Vec<String>,
    decode: Vec<String>,
    read: Vec<String>,
    write: Vec<String>,
    env: Vec<String>,
    env_all: Vec<String>,
    fetch_to: Vec<String>,
    personal: Vec<String>,
    delete: Vec<String>,
    #[serde(default)]
    unlink: Vec<String>,
}

/// The calls of one language.
#[derive(Debug, Default)]
pub(crate) struct Api {
    names: HashMap<String, ApiKind>,
    pub(crate) net_modules: Vec<String>,
    net_methods: Vec<String>,
}

impl Api {
    /// Looks a resolved name up; `receiver_net` says that the receiver came from a network module.
    pub(crate) fn kind(&self, name: &str, receiver_net: bool) -> Option<ApiKind> {
        if let Some(kind) = self.names.get(name) {
            return Some(*kind);
        }
        let method = name.rfind('.').and_then(|dot| name.get(dot..))?;
        if let Some(kind) = self.names.get(method) {
            return Some(*kind);
        }
        let module = self
            .net_modules
            .iter()
            .any(|m| name.strip_prefix(m.as_str()).is_some_and(|rest| rest.starts_with('.')));
        ((receiver_net || module) && self.net_methods.iter().any(|m| m == method))
            .then_some(ApiKind::Net)
    }

    fn from(entry: ApiEntry) -> Self {
        let mut names = HashMap::new();
        for (kind, list) in [
            (ApiKind::Net, entry.net),
            (ApiKind::Exec, entry.exec),
            (ApiKind::Shell, entry.shell),
            (ApiKind::Eval, entry.eval),
            (ApiKind::Load, entry.load),
            (ApiKind::Decode, entry.decode),
            (ApiKind::Read, entry.read),
            (ApiKind::Write, entry.write),
            (ApiKind::Env, entry.env),
            (ApiKind::EnvAll, entry.env_all),
            (ApiKind::FetchTo, entry.fetch_to),
            (ApiKind::Personal, entry.personal),
            (ApiKind::Delete, entry.delete),
            (ApiKind::Unlink, entry.unlink),
        ] {
            names.extend(list.into_iter().map(|name| (name, kind)));
        }
        Self { names, net_modules: entry.net_modules, net_methods: entry.net_methods }
    }
}

/// Concepts that a piece of prose can express. The order is the bit order of [`Concepts`].
macro_rules! concepts {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// A concept of the lexicon.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub(crate) enum Concept { $($name),+ }
        const CONCEPTS: &[(&str, Concept)] = &[$(($text, Concept::$name)),+];
    };
}

concepts! {
    Necessity = "necessity", Obtain = "obtain", Run = "run", Terminal = "terminal", Paste = "paste",
    Archive = "archive", Passphrase = "passphrase", PlatformName = "platform-name", OsName = "os-name",
    Conceal = "conceal", Override = "override", Send = "send", Sensitive = "sensitive",
    MemoryFile = "memory-file", Write = "write", Recurring = "recurring",
    RemoteFollow = "remote-follow", Fetch = "fetch", Weaken = "weaken",
    ImperativeHard = "imperative-hard", Negation = "negation", AttackTalk = "attack-talk",
    SecurityPurpose = "security-purpose", AskSecret = "ask-secret", Disguise = "disguise",
    PurposeSend = "purpose-send", Money = "money", Integrity = "integrity",
    Plant = "plant", Erase = "erase", Show = "show",
    Obey = "obey", Defer = "defer", Bend = "bend", Recipient = "recipient", Lock = "lock",
}

/// A set of concepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Concepts(u64);

impl Concepts {
    pub(crate) fn has(self, concept: Concept) -> bool {
        self.0 & (1 << concept as u8) != 0
    }

    pub(crate) fn all(self, list: &[Concept]) -> bool {
        list.iter().all(|c| self.has(*c))
    }

    pub(crate) fn any(self, list: &[Concept]) -> bool {
        list.iter().any(|c| self.has(*c))
    }

    pub(crate) fn insert(&mut self, concept: Concept) {
        self.0 |= 1 << concept as u8;
    }

    pub(crate) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One place in a text where a concept is expressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) concept: Concept,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

struct Pattern {
    concept: Concept,
    open: bool,
    bounded: bool,
}

/// All data of the scanner.
pub struct Content {
    rules: BTreeMap<String, Rule>,
    hosts: HashMap<String, Vec<HostClass>>,
    secrets: Vec<(SecretLabel, SecretPath)>,
    places: Vec<(PlaceKind, String)>,
    words: AhoCorasick,
    patterns: Vec<Pattern>,
    api: BTreeMap<String, Api>,
    programs: HashMap<String, Vec<(ProgramClass, Vec<String>)>>,
}

/// The shipped data does not load. Only a change of the data can cause it.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {message}")]
pub struct ContentError {
    file: &'static str,
    message: String,
}

fn parse<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<T, ContentError> {
    toml::from_str(text).map_err(|error| ContentError { file, message: error.to_string() })
}

impl Content {
    /// Loads the data that is inside the binary.
    ///
    /// # Errors
    /// When a file is malformed or names an unknown concept.
    pub fn shipped() -> Result<Self, ContentError> {
        let rules: RuleFile =
            parse("rules.toml", include_str!("../../../content/scan/rules.toml"))?;
        let hosts: HostFile =
            parse("hosts.toml", include_str!("../../../content/scan/hosts.toml"))?;
        let paths: PathFile =
            parse("paths.toml", include_str!("../../../content/scan/paths.toml"))?;
        let words: BTreeMap<String, ConceptEntry> =
            parse("lexicon.toml", include_str!("../../../content/scan/lexicon.toml"))?;
        let api: BTreeMap<String, ApiEntry> =
            parse("api.toml", include_str!("../../../content/scan/api.toml"))?;

        let lists: ProgramFile =
            parse("programs.toml", include_str!("../../../content/scan/programs.toml"))?;
        let mut programs: HashMap<String, Vec<(ProgramClass, Vec<String>)>> = HashMap::new();
        for entry in lists.class {
            for line in entry.programs {
                let mut words = line.split_whitespace().map(str::to_owned);
                let Some(name) = words.next() else { continue };
                programs.entry(name).or_default().push((entry.id, words.collect()));
            }
        }

        let mut by_host: HashMap<String, Vec<HostClass>> = HashMap::new();
        for entry in hosts.class {
            for host in entry.hosts {
                by_host.entry(host.to_ascii_lowercase()).or_default().push(entry.id);
            }
        }
        let (mut phrases, mut patterns) = (Vec::new(), Vec::new());
        for (name, entry) in &words {
            let concept = CONCEPTS
                .iter()
                .find(|(text, _)| text == name)
                .map(|(_, concept)| *concept)
                .ok_or_else(|| ContentError {
                    file: "lexicon.toml",
                    message: format!("unknown concept `{name}`"),
                })?;
            for phrase in &entry.phrases {
                let open = phrase.ends_with('~');
                let text = phrase.trim_end_matches('~').to_lowercase();
                // Scripts without spaces between words have no word boundary to ask for.
                let bounded = text.chars().all(|c| (c as u32) < 0x2E80);
                patterns.push(Pattern { concept, open, bounded });
                phrases.push(text);
            }
        }
        let words = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .build(&phrases)
            .map_err(|error| ContentError { file: "lexicon.toml", message: error.to_string() })?;
        Ok(Self {
            rules: rules.rule.into_iter().map(|rule| (rule.id.clone(), rule)).collect(),
            hosts: by_host,
            secrets: paths
                .secret
                .into_iter()
                .flat_map(|entry| entry.entries.into_iter().map(move |path| (entry.label, path)))
                .collect(),
            places: paths
                .place
                .into_iter()
                .flat_map(|entry| entry.paths.into_iter().map(move |path| (entry.kind, path)))
                .collect(),
            words,
            patterns,
            api: api.into_iter().map(|(name, entry)| (name, Api::from(entry))).collect(),
            programs,
        })
    }

    /// The rule of that id.
    #[must_use]
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.get(id)
    }

    /// All rules, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values()
    }

    /// Severity of a rule. An id without a rule is a defect of ours and counts as high.
    pub(crate) fn severity(&self, id: &str) -> Level {
        self.rules.get(id).map_or(Level::High, |rule| rule.severity)
    }

    /// True when `host` (with the beginning of the path, for entries that have one) is in `class`.
    pub(crate) fn host_is(&self, host: &str, path: &str, class: HostClass) -> bool {
        let classes = |name: &str| self.hosts.get(name).is_some_and(|c| c.contains(&class));
        let host = host.to_ascii_lowercase();
        let first = path.trim_start_matches('/').split(['/', '?']).next().unwrap_or("");
        let second = path.trim_start_matches('/').splitn(3, ['/', '?']).take(2).collect::<Vec<_>>();
        let mut rest = host.as_str();
        loop {
            if classes(rest) {
                return true;
            }
            match rest.find('.') {
                Some(dot) => rest = rest.get(dot + 1..).unwrap_or(""),
                None => break,
            }
        }
        let lower = |part: &str| format!("{host}/{}", part.to_ascii_lowercase());
        classes(&lower(first))
            || classes(&lower(&second.join("/")))
            || classes(&format!("{host}/{first}"))
            || (first.starts_with("bot") && classes(&format!("{host}/bot")))
    }

    /// What reading `path` yields, with the topics that explain it.
    pub(crate) fn secret_at(&self, path: &str) -> Option<(SecretLabel, &SecretPath)> {
        let probe = format!("/{}", path.replace('\\', "/"));
        self.secrets
            .iter()
            .find(|(_, entry)| match_place(&probe, &entry.path))
            .map(|(label, entry)| (*label, entry))
    }

    /// What writing `path` means.
    pub(crate) fn place_at(&self, path: &str) -> Option<PlaceKind> {
        let probe = format!("/{}", path.replace('\\', "/"));
        self.places.iter().find(|(_, place)| match_place(&probe, place)).map(|(kind, _)| *kind)
    }

    /// Is `program`, with the first words of its arguments, in `class`?
    pub(crate) fn program_is(&self, program: &str, args: &[&str], class: ProgramClass) -> bool {
        let Some(entries) = self.programs.get(program) else { return false };
        entries.iter().any(|(id, words)| {
            let mut given = args.iter().filter(|a| !a.starts_with('-')).take(6);
            *id == class && words.iter().all(|w| given.any(|a| a == w))
        })
    }

    pub(crate) fn api(&self, language: &str) -> Option<&Api> {
        self.api.get(language)
    }

    /// Every place in `text` (already folded) where a concept is expressed.
    pub(crate) fn hits(&self, text: &str) -> Vec<Hit> {
        let mut out = Vec::new();
        let bytes = text.as_bytes();
        let wordy = |at: Option<&u8>| at.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        for found in self.words.find_overlapping_iter(text) {
            let Some(pattern) = self.patterns.get(found.pattern().as_usize()) else { continue };
            let (start, end) = (found.start(), found.end());
            if pattern.bounded {
                let first = bytes.get(start).is_some_and(u8::is_ascii_alphanumeric);
                if first && start > 0 && wordy(bytes.get(start - 1)) {
                    continue;
                }
                let last = bytes.get(end.saturating_sub(1)).is_some_and(u8::is_ascii_alphanumeric);
                if last && !pattern.open && wordy(bytes.get(end)) {
                    continue;
                }
            }
            out.push(Hit { concept: pattern.concept, start, end });
        }
        out
    }

    /// The concepts that `text` (already folded) expresses.
    pub(crate) fn concepts(&self, text: &str) -> Concepts {
        let mut set = Concepts::default();
        for hit in self.hits(text) {
            set.insert(hit.concept);
        }
        set
    }
}

/// `place` within `probe`: at a path boundary on the left; on the right anything may follow what
/// ends with `/`, `*` or `_`, otherwise a boundary.
fn match_place(probe: &str, place: &str) -> bool {
    let open = place.ends_with(['/', '*', '_']) || !place.contains('.');
    let needle = place.trim_end_matches('*');
    let mut from = 0;
    while let Some(at) = probe.get(from..).and_then(|rest| rest.find(needle)) {
        let start = from + at;
        let end = start + needle.len();
        let left = needle.starts_with(['/', '.'])
            && probe.as_bytes().get(start.wrapping_sub(1)) == Some(&b'/')
            || needle.starts_with('/')
            || matches!(
                probe.as_bytes().get(start.wrapping_sub(1)),
                Some(b'/' | b'"' | b'\'' | b'=' | b' ')
            );
        let right = open
            || probe.as_bytes().get(end).is_none_or(|b| {
                !b.is_ascii_alphanumeric() && *b != b'.' && *b != b'-' && *b != b'_'
            });
        if left && right {
            return true;
        }
        from = start + 1;
        while from < probe.len() && !probe.is_char_boundary(from) {
            from += 1;
        }
    }
    false
}

static SHIPPED: LazyLock<Result<Content, ContentError>> = LazyLock::new(Content::shipped);

/// The shipped data, loaded once.
///
/// # Errors
/// See [`Content::shipped`].
pub fn shipped() -> Result<&'static Content, &'static ContentError> {
    SHIPPED.as_ref()
}
