//! Seawall's skill and plugin scanner: bytes in, verdict with evidence out.
//!
//! Pure: no file, network, process or clock. [`Tree`] holds a skill in memory (archives are opened
//! while it is filled), [`scan`] reads it and answers with a [`Report`].
//!
//! The verdict is a conjunction. A finding's severity is decided where it is made, from what the
//! skill declares, what its code does and where its hosts stand; high and critical block, medium
//! warns, the rest informs.
#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

mod archive;
mod binary;
mod clone;
mod code;
mod content;
mod embedded;
mod encoded;
mod fences;
mod judge;
mod manifest;
mod markdown;
mod prose;
mod purpose;
mod report;
mod text;
mod tree;

pub use clone::{Index, Known};
pub use content::{Content, ContentError, Rule, shipped};
pub use report::{Capabilities, Finding, MAX_FINDINGS, Report, Verdict};
pub use tree::{
    File, MAX_DEPTH, MAX_FILE, MAX_FILES, MAX_NESTING, MAX_PATH, MAX_TOTAL, Refusal, Tree,
};

use clone::Kinship;
use code::flow::Flow;
use judge::{Judge, Place};
use manifest::Manifest;
use markdown::{Document, Kind};
use prose::Prose;
use purpose::Purpose;
use report::Findings;
use seawall_model::finding::Level;
use std::collections::HashSet;
use std::sync::LazyLock;

static INDEX: LazyLock<Index> = LazyLock::new(|| Index::shipped().unwrap_or_default());

/// Scans with the shipped rules and index. Data that does not load blocks everything.
#[must_use]
pub fn scan(tree: &Tree) -> Report {
    match shipped() {
        Ok(content) => scan_with(content, &INDEX, tree),
        Err(error) => Report {
            verdict: Verdict::Block,
            capabilities: Capabilities::default(),
            findings: vec![Finding {
                rule: "not-scanned".into(),
                severity: Level::Critical,
                file: String::new(),
                line: 0,
                message: format!("the scanner's own rules do not load: {error}"),
            }],
        },
    }
}

/// A file that is text.
struct Text<'t> {
    path: &'t str,
    text: String,
    document: Option<Document>,
}

fn is_document(path: &str) -> bool {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_lowercase();
    [".md", ".markdown", ".mdx", ".txt", ".rst", ".html", ".htm", ".mdc", ".adoc", ".skill"]
        .iter()
        .any(|e| name.ends_with(e))
        || !name.contains('.')
}

/// A licence says so in its words: a name alone exempts nothing.
fn is_licence(path: &str, text: &str) -> bool {
    let name = path.rsplit(['/', '!']).next().unwrap_or(path).to_ascii_uppercase();
    if name == "REQUIREMENTS.TXT" {
        return true;
    }
    let named = ["LICENSE", "LICENCE", "COPYING", "NOTICE"].iter().any(|n| name.starts_with(n));
    if !named || text.contains("```") || text.contains("~~~") {
        return false;
    }
    let folded = text::unicode::fold(text);
    let words = LICENCE_WORDS.iter().filter(|w| folded.contains(**w)).count();
    // A sentence put into a licence does not make it one: what it says to the agent is read.
    let orders = ["agent", "assistant", "instructions", "curl ", "~/."];
    words >= 3 && !orders.iter().any(|w| folded.contains(w))
}

/// Words of the common licences; each has several of them.
const LICENCE_WORDS: &[&str] = &[
    "copyright",
    "permission is hereby granted",
    "redistribution and use",
    "warranty",
    "warranties",
    "liability",
    "liable",
    "all rights reserved",
    "licensor",
    "licensee",
    "sublicense",
    "apache license",
    "general public license",
    "mozilla public license",
    "derivative works",
    "merchantability",
    "noninfringement",
    "as is",
    "the software",
    "terms and conditions",
];

/// Scans with the given rules and index.
#[must_use]
pub fn scan_with(content: &Content, index: &Index, tree: &Tree) -> Report {
    let mut findings = Findings::new(content);
    let mut capabilities = Capabilities::default();
    refusals(tree, &mut findings);

    let mut texts: Vec<Text<'_>> = Vec::new();
    for file in &tree.files {
        let known = binary::known(&file.bytes);
        let readings = text::odd::readings(&file.path, &file.bytes);
        if let Some(odd) = readings.odd {
            findings.add("odd-text", &file.path, 0, odd);
        }
        if readings.texts.is_empty() || known {
            binary::look(&file.path, &file.bytes, &mut findings, &mut capabilities);
        }
        for text in readings.texts {
            let script = code::language_of(&file.path, &text).is_some()
                || embedded::holder_of(&file.path).is_some();
            let document = (!script && is_document(&file.path) && !is_licence(&file.path, &text))
                .then(|| markdown::parse(content, &text));
            texts.push(Text { path: &file.path, text, document });
        }
    }
    let known: Vec<(&str, &str)> = texts.iter().map(|t| (t.path, t.text.as_str())).collect();
    let called = embedded::called(&known);
    let roots = purposes(content, tree, &texts);
    let code = used_code(&texts);
    let files: Vec<String> = tree
        .files
        .iter()
        .map(|f| f.path.rsplit(['/', '!']).next().unwrap_or("").to_lowercase())
        .collect();
    for text in &texts {
        let purpose = purpose_of(&roots, text.path);
        if let Some(language) = called.get(text.path) {
            Script { content, purpose, file: text.path, language: *language, called: true }.read(
                &text.text,
                sample_file(&roots, &texts, text.path),
                &mut findings,
                &mut capabilities,
            );
        }
        surface(content, purpose, text, sample_file(&roots, &texts, text.path), &mut findings);
        if let Some(document) = &text.document {
            if document.cut {
                findings.add("not-scanned", text.path, 0, "has more paragraphs than are read");
            }
            let sample = sample_file(&roots, &texts, text.path);
            // What a security tool holds as a sample is judged as part of that tool.
            let purpose = if sample { purpose_of(&roots, "") } else { purpose };
            Prose {
                content,
                purpose,
                findings: &mut findings,
                capabilities: &mut capabilities,
                file: text.path,
                code: &code,
                files: &files,
                sample,
            }
            .read(document);
            fences::fences(
                content,
                purpose,
                text.path,
                document,
                sample,
                &mut findings,
                &mut capabilities,
            );
            if !document.front.is_empty() {
                Manifest {
                    content,
                    purpose,
                    findings: &mut findings,
                    capabilities: &mut capabilities,
                    file: text.path,
                }
                .front(&document.front);
            }
        } else if let Some(language) = code::language_of(text.path, &text.text) {
            let sample = sample_file(&roots, &texts, text.path);
            Script { content, purpose, file: text.path, language, called: false }.read(
                &text.text,
                sample,
                &mut findings,
                &mut capabilities,
            );
        } else {
            Manifest {
                content,
                purpose,
                findings: &mut findings,
                capabilities: &mut capabilities,
                file: text.path,
            }
            .read(&text.text);
            let sample = sample_file(&roots, &texts, text.path);
            if let Some(holder) = embedded::holder_of(text.path) {
                for piece in embedded::pieces(holder, &text.text) {
                    let mut flow = Flow::new(content, piece.line.saturating_sub(1));
                    code::analyse(&mut flow, piece.language, &piece.text);
                    Judge {
                        content,
                        purpose,
                        findings: &mut findings,
                        capabilities: &mut capabilities,
                        file: text.path,
                        place: if piece.runs { Place::Script } else { Place::Document },
                        sample,
                    }
                    .judge(&mut flow);
                }
            }
        }
    }
    kinship(index, tree, &roots, &texts, &mut findings);
    let findings = findings.finish();
    let verdict = Verdict::of(&findings);
    Report { verdict, capabilities, findings }
}

/// A file that runs.
struct Script<'a> {
    content: &'a Content,
    purpose: &'a Purpose,
    file: &'a str,
    language: code::Language,
    /// Only how it is called says that it runs.
    called: bool,
}

impl<'a> Script<'a> {
    fn read(
        &self,
        text: &str,
        sample: bool,
        findings: &mut Findings<'a>,
        capabilities: &mut Capabilities,
    ) {
        if let Some(sign) = code::obfuscated(self.language, text) {
            findings.add("obfuscated-code", self.file, 0, sign);
        }
        if self.language == code::Language::Other && self.called {
            findings.add("not-followed", self.file, 0, "is run, in a language that is not read");
        }
        if code::telling(self.language, text) {
            let mut flow = Flow::new(self.content, 0);
            code::analyse(&mut flow, self.language, text);
            Judge {
                content: self.content,
                purpose: self.purpose,
                findings,
                capabilities,
                file: self.file,
                place: Place::Script,
                sample,
            }
            .judge(&mut flow);
        }
    }
}

fn refusals(tree: &Tree, findings: &mut Findings<'_>) {
    for (path, why) in &tree.refused {
        let (rule, message) = match why {
            Refusal::TooLarge => (
                "not-scanned",
                format!(
                    "larger than {} MiB, or the skill larger than {} MiB in all",
                    MAX_FILE >> 20,
                    MAX_TOTAL >> 20
                ),
            ),
            Refusal::TooMany => ("not-scanned", format!("more than {MAX_FILES} files")),
            Refusal::TooDeep => ("not-scanned", "nested too deep".to_owned()),
            Refusal::LinkOut => ("link-out", "leads out of the skill".to_owned()),
            Refusal::Special => ("not-scanned", "is neither file nor folder".to_owned()),
            Refusal::Archive(why) => ("closed-archive", why.clone()),
            Refusal::Unreadable(why) => ("not-scanned", format!("could not be read: {why}")),
        };
        findings.add(rule, path, 0, message);
    }
}

/// The folder of a path, `""` for the root.
fn folder(path: &str) -> &str {
    path.rfind(['/', '!']).and_then(|at| path.get(..at)).unwrap_or("")
}

/// Each folder that holds a `SKILL.md` has a purpose of its own; the first entry is the root's.
fn purposes(content: &Content, tree: &Tree, texts: &[Text<'_>]) -> Vec<(String, Purpose)> {
    let named = |name: &str| {
        let mut found: Vec<&Text<'_>> = texts
            .iter()
            .filter(|t| {
                t.document.is_some()
                    && t.path
                        .rsplit(['/', '!'])
                        .next()
                        .is_some_and(|n| n.eq_ignore_ascii_case(name))
            })
            .collect();
        found.sort_by_key(|t| t.path.matches(['/', '!']).count());
        found
    };
    let skills = named("SKILL.md");
    let root = skills
        .first()
        .copied()
        .or_else(|| named("README.md").first().copied())
        .or_else(|| texts.iter().find(|t| t.document.is_some()));
    let mut out = vec![(
        String::new(),
        Purpose::read(content, &tree.name, root.and_then(|t| t.document.as_ref())),
    )];
    for skill in skills.iter().skip(1).take(200) {
        let dir = folder(skill.path);
        let own = Purpose::read(
            content,
            dir.rsplit(['/', '!']).next().unwrap_or(""),
            skill.document.as_ref(),
        );
        out.push((dir.to_owned(), own));
    }
    for (dir, purpose) in &mut out {
        for text in
            texts.iter().filter(|t| t.document.is_some() && t.path.starts_with(dir.as_str()))
        {
            purpose.count_hosts(&text.text);
        }
    }
    out
}

fn purpose_of<'p>(roots: &'p [(String, Purpose)], path: &str) -> &'p Purpose {
    let best = roots
        .iter()
        .filter(|(dir, _)| dir.is_empty() || path.starts_with(dir.as_str()))
        .max_by_key(|(dir, _)| dir.len());
    match best.or_else(|| roots.first()) {
        Some((_, purpose)) => purpose,
        None => {
            static NONE: LazyLock<Purpose> = LazyLock::new(Purpose::default);
            &NONE
        }
    }
}

/// All code of the skill in lower case, bounded: where a program is looked for before it is called
/// unused.
fn used_code(texts: &[Text<'_>]) -> String {
    let mut out = String::new();
    for text in texts {
        if out.len() > 1 << 20 {
            break;
        }
        match &text.document {
            Some(document) => {
                for block in &document.blocks {
                    if block.kind == Kind::Code {
                        out.push_str(&block.text.to_ascii_lowercase());
                        out.push('\n');
                    }
                }
            }
            None => {
                out.push_str(&text.text.to_ascii_lowercase());
                out.push('\n');
            }
        }
    }
    out
}

/// Test data of a tool whose own subject is security, and which its `SKILL.md` does not name: a
/// sample to be detected, not code to be run.
fn sample_file(roots: &[(String, Purpose)], texts: &[Text<'_>], path: &str) -> bool {
    let security = roots.first().is_some_and(|(_, p)| p.security());
    if !security || !is_test(path) {
        return false;
    }
    let name = path.rsplit(['/', '!']).next().unwrap_or(path);
    name.eq_ignore_ascii_case("SKILL.md")
        || !texts
            .iter()
            .filter(|t| t.path.eq_ignore_ascii_case("SKILL.md"))
            .any(|t| t.text.contains(name))
}

fn is_test(path: &str) -> bool {
    path.split(['/', '!']).any(|p| {
        let p = p.to_ascii_lowercase();
        matches!(
            p.as_str(),
            "test"
                | "tests"
                | "testdata"
                | "examples"
                | "samples"
                | "evals"
                | "__tests__"
                | "rules"
                | "signatures"
                | "patterns"
                | "payloads"
        ) || p.starts_with("test_")
            || p.starts_with("test-")
            || p.contains("fixture")
            || p.contains(".test.")
            || p.contains("_test.")
    })
}

/// What is in the characters themselves: hidden text, look-alikes, encoded commands.
fn surface(
    content: &Content,
    purpose: &Purpose,
    text: &Text<'_>,
    samples: bool,
    findings: &mut Findings<'_>,
) {
    let body = &text.text;
    let hidden = text::unicode::hidden(body);
    if !hidden.tags.is_empty() {
        let line = text::line_of(body, hidden.tags_at);
        findings.add(
            "hidden-text",
            text.path,
            line,
            format!("tag characters spell “{}”", text::clip(&hidden.tags, 90)),
        );
    } else if hidden.longest_run >= 24 {
        let line = text::line_of(body, hidden.run_at);
        findings.add(
            "hidden-text",
            text.path,
            line,
            format!("{} invisible characters in a row carry data", hidden.longest_run),
        );
    } else if hidden.zero_width >= 3 {
        let line = text::line_of(body, hidden.zero_width_at);
        findings.add_at(
            "hidden-text",
            Level::Medium,
            text.path,
            line,
            format!("{} zero-width characters inside words", hidden.zero_width),
        );
    }
    if hidden.bidi > 0 {
        let code = text.document.is_none();
        let rtl = body.chars().any(|c| matches!(c, '\u{0590}'..='\u{08FF}'));
        let severity = if code {
            Level::High
        } else if rtl {
            Level::Info
        } else {
            Level::Medium
        };
        findings.add_at(
            "bidi",
            severity,
            text.path,
            text::line_of(body, hidden.bidi_at),
            "text is reordered by bidirectional controls",
        );
    }
    for (at, word) in text::unicode::mixed_words(body, 4) {
        let url = body.get(at.saturating_sub(12)..at).is_some_and(|b| b.contains("://"))
            || word.contains('.');
        let severity = if url { Level::High } else { Level::Low };
        findings.add_at(
            "look-alike",
            severity,
            text.path,
            text::line_of(body, at),
            format!("`{word}` mixes letters of two scripts"),
        );
    }
    if let Some((at, decoded)) = encoded::command_in(body) {
        let sample = samples
            || purpose.security()
                && (text
                    .document
                    .as_ref()
                    .is_some_and(|d| about_attacks_at(d, text::line_of(body, at))));
        let severity = if sample { Level::Low } else { content.severity("encoded-command") };
        findings.add_at(
            "encoded-command",
            severity,
            text.path,
            text::line_of(body, at),
            format!("an encoded string is the command `{}`", text::clip(&decoded, 90)),
        );
    }
}

fn about_attacks_at(document: &Document, line: u32) -> bool {
    document
        .blocks
        .iter()
        .take_while(|b| b.line <= line)
        .last()
        .and_then(|b| document.sections.get(b.section))
        .is_some_and(|s| s.about_attacks)
}

fn kinship(
    index: &Index,
    tree: &Tree,
    roots: &[(String, Purpose)],
    texts: &[Text<'_>],
    findings: &mut Findings<'_>,
) {
    let Some(skill) = texts.iter().find(|t| t.path.eq_ignore_ascii_case("SKILL.md")) else {
        return;
    };
    let name = roots.first().map_or(tree.name.as_str(), |(_, p)| p.name.as_str());
    match index.kinship(name, &skill.text) {
        Kinship::Changed { of, share, hosts } if !hosts.is_empty() => {
            // Alone this is a fork; beside another doubt it is how malware travels.
            let doubts: HashSet<&str> = findings
                .list()
                .iter()
                .filter(|f| f.severity == Level::Medium)
                .map(|f| f.rule.as_str())
                .collect();
            let severity = if doubts.is_empty() { Level::Low } else { Level::High };
            findings.add_at(
                "changed-clone",
                severity,
                skill.path,
                0,
                format!(
                    "{share} % of it is the known skill `{of}`; new are the hosts {}",
                    hosts.iter().take(4).cloned().collect::<Vec<_>>().join(", ")
                ),
            );
        }
        Kinship::Imitates { of } => {
            let doubts = findings.list().iter().any(|f| f.severity == Level::Medium);
            let severity = if doubts { Level::High } else { Level::Low };
            findings.add_at(
                "name-squat",
                severity,
                skill.path,
                0,
                format!("the name `{}` imitates the known skill `{of}`", text::clip(name, 60)),
            );
        }
        Kinship::Same | Kinship::Changed { .. } | Kinship::None => {}
    }
}
