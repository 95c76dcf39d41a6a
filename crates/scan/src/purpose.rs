//! What a skill says it is for: name, description, topics, declared hosts, requirements.

use crate::content::{Concept, Concepts, Content, HostClass};
use crate::markdown::Document;
use crate::text::{unicode, urls};
use std::collections::{BTreeMap, BTreeSet};

/// The declared purpose.
#[derive(Debug, Clone, Default)]
pub(crate) struct Purpose {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Lower-case words of name, description, folder and headings.
    words: BTreeSet<String>,
    /// Words of name and description only.
    core: BTreeSet<String>,
    concepts: Concepts,
    /// Hosts in the front matter.
    homepage: BTreeSet<String>,
    /// How often each registered name occurs in the skill's own documents.
    mentions: BTreeMap<String, u32>,
    /// Programs named in `requires`.
    pub(crate) requires: BTreeSet<String>,
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() >= 2).map(str::to_lowercase)
}

impl Purpose {
    /// Reads it from `SKILL.md` and the folder's name.
    pub(crate) fn read(content: &Content, folder: &str, document: Option<&Document>) -> Self {
        let mut out = Self { name: folder.to_owned(), ..Self::default() };
        out.core.extend(words(folder));
        let Some(document) = document else { return out };
        let front = front_matter(&document.front);
        if let Some(name) = front.get("name").filter(|n| !n.is_empty()) {
            out.name.clone_from(name);
        }
        out.description = front.get("description").cloned().unwrap_or_default();
        if out.description.is_empty() {
            // Without front matter the first heading and paragraph say what it is.
            // Addresses are what is to be judged: they declare nothing.
            let first: Vec<&str> = document
                .blocks
                .iter()
                .filter(|b| b.kind == crate::markdown::Kind::Prose)
                .take(2)
                .map(|b| b.text.as_str())
                .collect();
            out.description = first
                .join(". ")
                .split_whitespace()
                .filter(|w| !w.contains("://"))
                .take(60)
                .collect::<Vec<_>>()
                .join(" ");
        }
        let stated = format!("{} {}", out.name, out.description);
        out.core.extend(words(&stated));
        out.words.clone_from(&out.core);
        for section in &document.sections {
            out.words.extend(words(&section.title));
        }
        out.concepts = content.concepts(&unicode::fold(&stated.replace(['-', '_'], " ")));
        for url in urls::find(&document.front, 64) {
            // What is to be fetched and run is to be judged: it declares nothing.
            let key = document.front.get(..url.at).unwrap_or("").trim_end_matches([' ', '"', '\'']);
            let key = key.trim_end_matches(':').trim_end_matches(['"', '\'']);
            if url.program() || key.ends_with("url") || key.ends_with("download") {
                continue;
            }
            out.homepage.insert(urls::registered(&url.host).to_owned());
        }
        if let Some(at) = document.front.find("bins") {
            let list = document.front.get(at..).unwrap_or("");
            let list = list.split([']', '}']).next().unwrap_or("");
            out.requires.extend(
                list.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
                    .filter(|w| w.len() > 1 && *w != "bins" && *w != "anyBins")
                    .map(str::to_owned),
            );
        }
        out
    }

    /// Counts the hosts of one document of the skill.
    pub(crate) fn count_hosts(&mut self, text: &str) {
        for url in urls::find(text, 2_000) {
            *self.mentions.entry(urls::registered(&url.host).to_owned()).or_default() += 1;
        }
    }

    pub(crate) fn has(&self, concept: Concept) -> bool {
        self.concepts.has(concept)
    }

    /// Its own subject is security: it talks about attacks, and tests for them.
    pub(crate) fn security(&self) -> bool {
        self.concepts.any(&[Concept::SecurityPurpose, Concept::AttackTalk])
    }

    /// One of `topics` is in its name or description.
    pub(crate) fn about(&self, topics: &[String]) -> bool {
        topics.iter().any(|topic| self.mentions_word(topic))
    }

    fn mentions_word(&self, word: &str) -> bool {
        self.core.iter().any(|w| {
            w == word
                || (word.len() >= 4 && w.starts_with(word))
                || (w.len() >= 5 && word.starts_with(w.as_str()))
        })
    }

    /// The host belongs to what it says it is: named in the front matter, or part of its name,
    /// description or headings.
    pub(crate) fn declares(&self, content: &Content, host: &str, path: &str) -> bool {
        if urls::local(host) || content.host_is(host, path, HostClass::Example) {
            return true;
        }
        let registered = urls::registered(host);
        if self.homepage.contains(registered) {
            return true;
        }
        let label = registered.split('.').next().unwrap_or("");
        let free = content.host_is(host, path, HostClass::FreeHosting);
        // Under a free host anybody can take any name: a match of names proves nothing.
        !free && related(label, &self.words)
    }

    /// The skill's documents speak of the host more than once: it is part of how it works.
    pub(crate) fn mentioned(&self, host: &str) -> u32 {
        self.mentions.get(urls::registered(host)).copied().unwrap_or(0)
    }
}

/// A host's label and a set of words have something in common.
fn related(label: &str, words: &BTreeSet<String>) -> bool {
    const EMPTY: &[&str] = &[
        "the", "and", "for", "use", "with", "you", "your", "from", "api", "app", "data", "file",
        "files", "code", "tool", "tools", "skill", "skills", "agent", "agents", "user", "users",
        "when", "this", "that", "via", "get", "web", "com", "dev", "net", "org", "cli", "run",
        "using", "open", "openclaw", "clawdbot", "auto", "test", "server", "local", "service",
        "install", "setup", "secure", "cloud",
    ];
    let parts: Vec<&str> = label.split('-').collect();
    words.iter().any(|word| {
        word.len() >= 3
            && !EMPTY.contains(&word.as_str())
            && (label == word
                || parts.contains(&word.as_str())
                || (word.len() >= 4 && label.contains(word.as_str()))
                || (label.len() >= 4 && word.contains(label)))
    })
}

/// The top-level scalar keys of YAML front matter, folded blocks joined. Not a YAML parser on
/// purpose: it reads what the gateway shows to people, and never fails.
pub(crate) fn front_matter(text: &str) -> BTreeMap<String, String> {
    let mut out: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t']);
        if !indented && let Some((key, value)) = line.split_once(':') {
            let key = key.trim().trim_matches('"').to_ascii_lowercase();
            let value = value.trim();
            let block = matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+");
            let value = if block { "" } else { value.trim_matches(['"', '\'']) };
            out.insert(key.clone(), value.to_owned());
            current = Some(key);
            continue;
        }
        if let Some(value) = current.as_ref().and_then(|key| out.get_mut(key))
            && value.len() < 8_192
        {
            if !value.is_empty() {
                value.push(' ');
            }
            value.push_str(line.trim());
        }
    }
    out
}
