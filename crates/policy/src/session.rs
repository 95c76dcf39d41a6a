//! What the engine remembers of a session. Bounded; a value that the daemon keeps and persists.

use crate::approvals::Grants;
use crate::budget::Counters;
use crate::infer::Offers;
use crate::provenance::Memory;
use crate::trust::Trust;
use crate::words::Words;
use seawall_model::Origin;
use seawall_model::label::{Confidentiality, Integrity, Label};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most files whose label is remembered by one session. The label of one that is forgotten from
/// then on counts for every file that is not remembered.
pub const MAX_FILES: usize = 4096;
/// Most conversations that count as going on.
const MAX_CONVERSATIONS: usize = 16;
/// Most calls that are open at once; the gateway runs them one after another per session.
const MAX_OPEN: usize = 64;

/// Most sessions in the chain of those that made one. OpenClaw nests far less deep.
const MAX_MAKERS: usize = 16;

/// One session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionState {
    /// Trust that the session has from the session that made it.
    pub lineage: Option<Trust>,
    /// In whose names the sessions acted that made this one, the nearest first.
    pub makers: Vec<Origin>,
    /// Everything the session has seen, joined. `None` as long as it has seen nothing.
    pub label: Option<Label>,
    /// How many observations and decisions there were.
    pub step: u64,
    /// Outside content that was seen: the first few sources, for reasons.
    pub outside: Vec<Seen>,
    /// The person's own words.
    pub words: Words,
    /// What observations contained.
    pub memory: Memory,
    /// Files that are not what their place says, by absolute path.
    pub files: BTreeMap<String, Label>,
    /// What the files were whose label had to be forgotten; it stands in for every other file.
    pub forgotten: Option<Label>,
    /// Whether the files that the next program changes will be told, so that nothing has to stand
    /// in for them.
    #[serde(skip)]
    pub followed: bool,
    /// Paths whose label changed, for whoever keeps them; not part of what is kept.
    #[serde(skip)]
    pub relabelled: Vec<String>,
    /// Conversations that are going on: channel and id.
    pub conversations: Vec<(String, String)>,
    /// Tools offered to the session beside the built-in ones.
    pub offers: Offers,
    /// Rules over sequences: where each stands.
    pub sequences: crate::sequence::Progress,
    /// Limits: what was used.
    pub counters: Counters,
    /// Limits that other sessions use as well; lent for each decision and not part of what is kept.
    #[serde(skip)]
    pub shared: crate::budget::Shared,
    /// Questions that were asked and not answered with yes since the person last spoke.
    pub asked: Vec<Asked>,
    /// Answers that still hold.
    pub grants: Grants,
    /// Answers that are kept elsewhere ([`crate::approvals::Queue`]); set before each decision and
    /// not part of what is kept.
    #[serde(skip)]
    pub given: Grants,
    /// Calls that were allowed and have not reported a result.
    pub open: Vec<OpenCall>,
}

/// Where outside content came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Step at which it was observed.
    pub step: u64,
    /// Tool or channel.
    pub source: String,
    /// Category of the label.
    pub category: String,
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The question.
    pub key: crate::approvals::AskKey,
    /// The call about which it was asked.
    pub call_id: String,
    /// Digest of that call.
    pub digest: String,
}

/// A call that was allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// Its id.
    pub call_id: String,
    /// Label of what it read, to be joined with the label of its result.
    pub label: Option<Label>,
    /// Files that it writes.
    pub writes: Vec<String>,
}

/// What a child session, a scheduled run or a later session inherits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lineage {
    /// Trust of the maker.
    pub trust: Option<Trust>,
    /// Everything the maker had seen.
    pub label: Option<Label>,
    /// Outside sources of the maker.
    pub outside: Vec<Seen>,
    /// The person's own words behind the maker.
    pub words: Words,
    /// In whose name the maker acted, and those that made it.
    pub makers: Vec<Origin>,
}

impl Lineage {
    /// What stands behind something that two may have made: the least of both trusts, all that
    /// either had seen, the limits of both, and a person's words only where both have the same.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.trust = self.trust.min(other.trust);
        self.label = match (self.label, other.label) {
            (Some(one), Some(two)) => Some(one.join(&two)),
            (one, two) => one.or(two),
        };
        for seen in other.outside {
            if !self.outside.contains(&seen) {
                self.outside.push(seen);
            }
        }
        if self.words != other.words {
            self.words = Words::default();
        }
        for maker in other.makers {
            if self.makers.len() < MAX_MAKERS * 2 && !self.makers.contains(&maker) {
                self.makers.push(maker);
            }
        }
        self
    }
}

impl SessionState {
    /// A session that another session made (sub-agent, scheduled run). It starts with what the
    /// maker had seen.
    #[must_use]
    pub fn inherit(lineage: Lineage) -> Self {
        Self {
            lineage: lineage.trust,
            label: lineage.label,
            outside: lineage.outside,
            words: lineage.words,
            makers: lineage.makers,
            ..Self::default()
        }
    }

    /// What this session hands to one that it makes. `origin` is that of the session itself.
    #[must_use]
    pub fn lineage(&self, bundle: &crate::Bundle, origin: &Origin) -> Lineage {
        Lineage {
            trust: Some(bundle.trust(self, origin)),
            label: self.label.clone(),
            outside: self.outside.clone(),
            words: self.words.clone(),
            // The first one and the last ones tell whose limits hold, however long the chain is.
            makers: std::iter::once(origin.clone())
                .chain(self.makers.iter().cloned())
                .enumerate()
                .filter(|(at, _)| *at < MAX_MAKERS || *at == self.makers.len())
                .map(|(_, maker)| maker)
                .collect(),
        }
    }

    /// Whether outside content was seen.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        self.label.as_ref().is_some_and(|l| l.integrity == Integrity::Outside)
    }

    /// The closest-held label seen.
    #[must_use]
    pub fn confidentiality(&self) -> Confidentiality {
        self.label.as_ref().map_or(Confidentiality::Public, |l| l.confidentiality)
    }

    /// Joins a label into what the session has seen.
    pub fn see(&mut self, label: &Label, source: &str) {
        if label.integrity == Integrity::Outside && self.outside.len() < 8 {
            let category = label.categories.iter().next().cloned().unwrap_or_default();
            let source = crate::call::bounded(source).to_owned();
            if !self.outside.iter().any(|s| s.source == source) {
                self.outside.push(Seen { step: self.step, source, category });
            }
        }
        self.label = Some(match &self.label {
            Some(old) => old.join(label),
            None => label.clone(),
        });
    }

    /// Whether what the session writes is marked.
    #[must_use]
    pub fn carries(&self) -> bool {
        self.label.as_ref().is_some_and(|label| {
            label.integrity == Integrity::Outside
                || label.confidentiality >= Confidentiality::Private
        })
    }

    /// A label whose files are not known any more: it stands in for all that have none.
    pub fn forget(&mut self, label: &Label) {
        self.forgotten = Some(match &self.forgotten {
            Some(old) => old.join(label),
            None => label.clone(),
        });
    }

    /// Remembers that a file is not what its place says.
    pub fn label_file(&mut self, path: &str, label: Label) {
        if self.files.len() >= MAX_FILES
            && !self.files.contains_key(path)
            && let Some((_, label)) = self.files.pop_first()
        {
            self.forgotten = Some(match &self.forgotten {
                Some(old) => old.join(&label),
                None => label,
            });
        }
        if self.files.get(path).is_none_or(|old| old.join(&label) != *old) {
            self.relabelled.push(path.to_owned());
        }
        match self.files.get_mut(path) {
            // An overwritten file holds what was written now; a file that was appended to holds
            // both. The tool does not tell which, so both count.
            Some(old) => *old = old.join(&label),
            None => {
                self.files.insert(path.to_owned(), label);
            }
        }
    }

    /// The label of a file, of the folders that it is in, and of what is below a folder.
    #[must_use]
    pub fn file_label(&self, path: &str) -> Option<Label> {
        let mut found = self.files.get(path).or(self.forgotten.as_ref()).cloned();
        // What was moved, unpacked or copied as a folder has no row for each of its files.
        if !self.files.is_empty() {
            let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
            for label in folders.filter_map(|folder| self.files.get(folder)) {
                found = Some(found.map_or_else(|| label.clone(), |f| f.join(label)));
            }
        }
        let below = format!("{}/", path.trim_end_matches('/'));
        for (inner, label) in self.files.range(below.clone()..) {
            if !inner.starts_with(&below) {
                break;
            }
            found = Some(found.map_or_else(|| label.clone(), |f| f.join(label)));
        }
        found
    }

    /// The label of a file that only file tools write: runs find it read-only, so what they may
    /// have done to its folder does not touch it.
    #[must_use]
    pub fn held_label(&self, path: &str) -> Option<Label> {
        self.files.get(path).or(self.forgotten.as_ref()).cloned()
    }

    /// Marks a conversation as going on.
    pub fn converse(&mut self, channel: &str, id: &str) {
        if id.is_empty() {
            return;
        }
        let pair = (channel.to_owned(), id.to_owned());
        self.conversations.retain(|c| *c != pair);
        if self.conversations.len() >= MAX_CONVERSATIONS {
            self.conversations.remove(0);
        }
        self.conversations.push(pair);
    }

    /// Remembers a question.
    pub fn asking(&mut self, asked: Asked) {
        if self.asked.len() >= MAX_OPEN {
            self.asked.remove(0);
        }
        self.asked.push(asked);
    }

    /// Remembers an allowed call until its result comes.
    pub fn opened(&mut self, call: OpenCall) {
        if self.open.len() >= MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push(call);
    }

    /// Takes an allowed call whose result came.
    pub fn closed(&mut self, call_id: &str) -> Option<OpenCall> {
        let at = self.open.iter().position(|c| c.call_id == call_id)?;
        Some(self.open.remove(at))
    }
}
