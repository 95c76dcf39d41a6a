//! Instructions in prose, read with their context.
//!
//! A phrase alone never decides. What is quoted, tabulated, negated or under a heading about
//! attacks is talk about an attack. What is demanded of the agent or the reader counts, and how
//! much it counts depends on what stands beside it.

mod orders;
mod prerequisite;
mod sentence;

use crate::content::{Concept as C, Concepts, Content};
use crate::judge::{Trust, trust};
use crate::markdown::{Block, Document, Kind, sentences};
use crate::purpose::Purpose;
use crate::report::{Capabilities, Findings};
use crate::text::urls::{self, Url};
use crate::text::{Lines, unicode};
use seawall_model::finding::Level;
use std::cell::OnceCell;

/// Most links of one paragraph: an index page, or a crowd to hide in.
const MAX_LINKS: usize = 2_000;
/// Blocks before and after that belong to an instruction.
const WINDOW: usize = 6;

/// Without one of these no sentence of a block comes to anything.
const TRIGGERS: &[C] = &[
    C::Conceal,
    C::Override,
    C::Money,
    C::Send,
    C::MemoryFile,
    C::RemoteFollow,
    C::Weaken,
    C::AskSecret,
    C::Plant,
    C::Erase,
    C::Show,
    C::Integrity,
    C::Obey,
    C::Defer,
    C::Bend,
    C::Lock,
    C::Recurring,
];

pub(crate) struct Prose<'a, 'f> {
    pub(crate) content: &'a Content,
    pub(crate) purpose: &'a Purpose,
    pub(crate) findings: &'f mut Findings<'a>,
    pub(crate) capabilities: &'f mut Capabilities,
    pub(crate) file: &'a str,
    /// Lower-case text of all code of the skill: what is really used.
    pub(crate) code: &'a str,
    /// Names of the skill's own files.
    pub(crate) files: &'a [String],
    /// The whole file is a sample.
    pub(crate) sample: bool,
}

impl<'a> Prose<'a, '_> {
    pub(crate) fn read(&mut self, document: &Document) {
        for (index, block) in document.blocks.iter().enumerate() {
            self.blob(document, index, block);
            if matches!(block.kind, Kind::Code | Kind::Table)
                || block.concepts == Concepts::default()
            {
                continue;
            }
            let sample = self.sample
                || document.sections.get(block.section).is_some_and(|s| s.about_attacks)
                || introduces_sample(document, index);
            self.block(document, index, block, sample);
        }
        self.front(document);
    }

    /// What is to be installed is written so that nobody can read it.
    fn blob(&mut self, document: &Document, index: usize, block: &Block) {
        if block.kind == Kind::Table || block.text.len() < 100 || !unreadable(&block.text) {
            return;
        }
        let from = index.saturating_sub(3);
        let near = document
            .blocks
            .get(from..=index)
            .unwrap_or(&[])
            .iter()
            .fold(Concepts::default(), |a, b| a.union(b.concepts));
        if near.has(C::Obtain) && near.any(&[C::Necessity, C::OsName, C::Run]) {
            let sample = self.sample
                || document.sections.get(block.section).is_some_and(|s| s.about_attacks);
            self.report(
                "encoded-blob",
                Level::Medium,
                sample,
                block.line,
                "what is to be installed is written as numbers or encoded text".into(),
            );
        }
    }

    /// The description is prose that the model reads before anything else.
    fn front(&mut self, document: &Document) {
        if document.front.is_empty() {
            return;
        }
        let folded = unicode::fold(&self.purpose.description.clone());
        let concepts = self.content.concepts(&folded);
        let links = urls::find(&document.front, 32);
        let fetched = links
            .iter()
            .any(|u| u.program() && trust(self.content, self.purpose, u) >= Trust::Mentioned);
        if concepts.all(&[C::Necessity, C::Obtain])
            && concepts.any(&[C::Passphrase, C::Archive])
            && concepts.has(C::Run)
        {
            let file = self.file;
            self.findings.add(
                "fake-prerequisite",
                file,
                1,
                "the description itself demands a download that is unpacked and run",
            );
        }
        if concepts.has(C::Override) && !self.purpose.security() {
            let file = self.file;
            self.findings.add(
                "override",
                file,
                1,
                "the description tries to override the agent's instructions",
            );
        }
        if fetched {
            let file = self.file;
            self.findings.add_at(
                "install-metadata",
                Level::Medium,
                file,
                1,
                "the front matter offers a program from an unaccountable place",
            );
        }
    }

    fn report(&mut self, rule: &str, severity: Level, sample: bool, line: u32, message: String) {
        let severity = match (sample, self.purpose.security()) {
            (false, _) => severity,
            (true, true) => Level::Info,
            (true, false) => match severity {
                Level::Critical | Level::High => Level::Medium,
                Level::Medium => Level::Low,
                other => other,
            },
        };
        let file = self.file;
        self.findings.add_at(rule, severity, file, line, message);
    }

    fn block(&mut self, document: &Document, index: usize, block: &Block, sample: bool) {
        let hidden = block.kind == Kind::Comment;
        let window = window(document, index);
        let links = urls::find(&block.text, MAX_LINKS);
        let lines = Lines::of(&block.text);
        let named = OnceCell::new();
        for url in &links {
            let line = block.line + lines.at(url.at) - 1;
            self.link(document, index, block, &named, window, url, line, sample);
        }
        if links.is_empty() {
            self.no_link(document, index, block, window, sample);
        }
        if !hidden && !block.concepts.any(TRIGGERS) {
            return;
        }
        let mut together = Concepts::default();
        for (at, sentence) in sentences(&block.text) {
            let folded = unicode::fold(sentence);
            let hits = self.content.hits(&folded);
            let quotes = Quotes::of(&folded);
            let mut spoken = Concepts::default();
            for hit in &hits {
                if !spoken.has(hit.concept) && !quotes.around(hit.start, hit.end) {
                    spoken.insert(hit.concept);
                }
            }
            if spoken == Concepts::default() {
                continue;
            }
            let line = block.line + lines.at(at) - 1;
            let (from, to) = (
                links.partition_point(|u| u.at < at),
                links.partition_point(|u| u.at < at + sentence.len()),
            );
            let links: Vec<&Url> = links.get(from..to).unwrap_or(&[]).iter().collect();
            self.sentence(sentence, spoken, block, window, &links, line, sample, hidden);
            self.orders(document, index, sentence, spoken, &links, line, sample);
            if !spoken.has(C::Negation) {
                together = together.union(spoken);
            }
        }
        self.spread(block, together, &links, &lines, sample);
    }

    /// One act told in several sentences: what is taken in one, where it goes in the next. Weaker
    /// than one sentence that says both, so it only warns.
    fn spread(
        &mut self,
        block: &Block,
        together: Concepts,
        links: &[Url],
        lines: &Lines,
        sample: bool,
    ) {
        if !together.all(&[C::Send, C::Sensitive])
            || !together.any(&[C::Recurring, C::Conceal, C::ImperativeHard])
            || together.has(C::AttackTalk)
            || self.purpose.has(C::PurposeSend)
        {
            return;
        }
        let pressed = together.any(&[C::Recurring, C::Conceal]);
        let recipient = links.iter().find(|u| {
            let trust = trust(self.content, self.purpose, u);
            let fictive = trust == Trust::Nobody && crate::judge::fictive(u);
            if pressed { trust >= Trust::Stranger || fictive } else { fictive }
        });
        if let Some(url) = recipient {
            let line = block.line + lines.at(url.at) - 1;
            let host = url.host.clone();
            self.report(
                "send-out",
                Level::Medium,
                sample,
                line,
                format!("private data is taken here, and something is sent to {host} each time"),
            );
        }
    }
}

/// Forty numbers in a row, or a hundred characters of code without a space that are no address.
fn unreadable(text: &str) -> bool {
    let mut run = 0;
    for part in text.split([',', ';']) {
        let part = part.trim_matches(|c: char| {
            c.is_whitespace() || matches!(c, '\'' | '"' | '[' | ']' | '(' | ')')
        });
        run = if !part.is_empty() && part.len() <= 5 && part.bytes().all(|b| b.is_ascii_digit()) {
            run + 1
        } else {
            0
        };
        if run >= 40 {
            return true;
        }
    }
    text.split_whitespace().any(|token| {
        let token = token.trim_matches(['\'', '"', '`', '=', ';', ',']);
        let classes =
            [u8::is_ascii_lowercase as fn(&u8) -> bool, u8::is_ascii_uppercase, u8::is_ascii_digit]
                .iter()
                .filter(|f| token.bytes().any(|b| f(&b)))
                .count();
        token.len() >= 100
            && classes == 3
            && !token.contains("://")
            && !token.contains("](")
            && token.matches(['/', '.', '_', '|', '{']).count() * 12 < token.len()
    })
}

fn window(document: &Document, index: usize) -> Concepts {
    let from = index.saturating_sub(WINDOW);
    document
        .blocks
        .get(from..(index + WINDOW + 1).min(document.blocks.len()))
        .unwrap_or(&[])
        .iter()
        .filter(|b| b.kind != Kind::Table)
        .fold(Concepts::default(), |acc, b| acc.union(b.concepts))
}

/// The block, its heading or the one before demands something before the skill can be used.
fn is_requirement(document: &Document, index: usize) -> bool {
    let from = index.saturating_sub(3);
    document.blocks.get(from..=index).unwrap_or(&[]).iter().any(|b| b.concepts.has(C::Necessity))
        || document.blocks.get(index).and_then(|b| document.sections.get(b.section)).is_some_and(
            |s| {
                s.title.to_ascii_lowercase().contains("prereq")
                    || s.title.to_ascii_lowercase().contains("require")
            },
        )
}

/// The paragraph before says that what follows is a sample.
fn introduces_sample(document: &Document, index: usize) -> bool {
    let block = document.blocks.get(index);
    let mark = |b: &Block| b.text.contains(['❌', '🚫', '🚩', '⛔']);
    if block.is_some_and(mark) {
        return true;
    }
    index.checked_sub(1).and_then(|at| document.blocks.get(at)).is_some_and(|b| {
        b.kind == Kind::Prose
            && b.text.trim_end().ends_with(':')
            && b.concepts.any(&[C::AttackTalk, C::Negation])
    })
}

/// Quotation marks of one sentence. What stands between them is spoken of, not said.
struct Quotes(Vec<Marks>);

/// Where the marks of one kind are.
struct Marks {
    open: Vec<usize>,
    /// None where the same mark opens and closes.
    close: Option<Vec<usize>>,
}

impl Quotes {
    fn of(folded: &str) -> Self {
        let places = |mark: char| folded.match_indices(mark).map(|(at, _)| at).collect::<Vec<_>>();
        let pairs = [('"', None), ('“', Some('”')), ('«', Some('»')), ('「', Some('」'))];
        let marks = pairs
            .map(|(open, close)| Marks { open: places(open), close: close.map(places) })
            .into_iter();
        Self(marks.filter(|marks| !marks.open.is_empty()).collect())
    }

    /// True when `start..end` stands between a pair of them.
    fn around(&self, start: usize, end: usize) -> bool {
        let before = |list: &[usize]| list.partition_point(|at| *at < start);
        self.0.iter().any(|marks| {
            let inside = match &marks.close {
                None => before(&marks.open) % 2 == 1,
                Some(close) => before(&marks.open) > before(close),
            };
            let close = marks.close.as_ref().unwrap_or(&marks.open);
            inside && close.last().is_some_and(|at| *at >= end)
        })
    }
}
