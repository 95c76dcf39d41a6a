//! Markdown as far as a scanner needs it: what is an instruction, what is quoted, tabulated,
//! commented out, or code. One pass, linear, never fails: whatever is not understood is prose.

use crate::content::{Concept, Concepts, Content};
use crate::text::unicode;

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Running text, a list item or a heading: the agent takes it as instruction.
    Prose,
    /// A table row: usually a listing.
    Table,
    /// A fenced code block.
    Code,
    /// An HTML comment, or HTML that is not displayed.
    Comment,
}

#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// First line, from 1.
    pub(crate) line: u32,
    pub(crate) text: String,
    /// Language of a code block, lower case.
    pub(crate) language: String,
    /// Index into [`Document::sections`].
    pub(crate) section: usize,
    pub(crate) concepts: Concepts,
    /// Folded text of prose, comments and tables.
    pub(crate) folded: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// The heading, or one above it, speaks of attacks, bad examples or detection.
    pub(crate) about_attacks: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    /// The front matter's text, without its fences.
    pub(crate) front: String,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sections: Vec<Section>,
    /// There are more paragraphs than are read.
    pub(crate) cut: bool,
}

/// Most blocks of one file: bounds memory on a file of single-character lines.
const MAX_BLOCKS: usize = 60_000;

struct Builder<'a> {
    content: &'a Content,
    out: Document,
    text: String,
    line: u32,
    quoted: bool,
    item: bool,
    kind: Kind,
    /// For each level, whether the last heading of that level that still holds speaks of attacks.
    above: [Option<bool>; 7],
}

impl Builder<'_> {
    fn flush(&mut self) {
        if self.text.trim().is_empty() {
            self.text.clear();
            return;
        }
        let text = std::mem::take(&mut self.text);
        let kind = self.kind;
        self.push(kind, text, String::new());
    }

    fn push(&mut self, kind: Kind, text: String, language: String) {
        if self.out.blocks.len() >= MAX_BLOCKS {
            self.out.cut = true;
            return;
        }
        let folded = if kind == Kind::Code { String::new() } else { unicode::fold(&text) };
        let concepts = self.content.concepts(&folded);
        self.out.blocks.push(Block {
            kind,
            line: self.line,
            text,
            language,
            section: self.out.sections.len().saturating_sub(1),
            concepts,
            folded,
        });
    }

    fn add(&mut self, number: u32, line: &str, kind: Kind, quoted: bool, item: bool) {
        if self.text.is_empty() {
            (self.line, self.quoted, self.item, self.kind) = (number, quoted, item, kind);
        } else {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }

    fn heading(&mut self, number: u32, title: &str, level: usize) {
        self.flush();
        let concepts = self.content.concepts(&unicode::fold(title));
        let above = self.above.iter().take(level).rev().find_map(|held| *held);
        let about_attacks = concepts.any(&[Concept::AttackTalk]) || above.unwrap_or(false);
        for (at, held) in self.above.iter_mut().enumerate().skip(level) {
            *held = (at == level).then_some(about_attacks);
        }
        self.out.sections.push(Section { title: title.to_owned(), about_attacks });
        self.add(number, title, Kind::Prose, false, false);
        self.flush();
    }
}

/// Takes a Markdown file apart.
pub(crate) fn parse(content: &Content, text: &str) -> Document {
    let mut b = Builder {
        content,
        out: Document::default(),
        text: String::new(),
        line: 1,
        quoted: false,
        item: false,
        kind: Kind::Prose,
        above: [None; 7],
    };
    b.out.sections.push(Section { title: String::new(), about_attacks: false });
    let mut lines = text.lines().zip(1u32..).peekable();
    if lines.peek().is_some_and(|(l, _)| l.trim_end() == "---") {
        let end = text.lines().skip(1).position(|l| matches!(l.trim_end(), "---" | "..."));
        if let Some(end) = end {
            b.out.front = text.lines().skip(1).take(end).collect::<Vec<_>>().join("\n");
            for _ in 0..end + 2 {
                lines.next();
            }
        }
    }
    while let Some((raw, number)) = lines.next() {
        let (line, quoted) = unquote(raw);
        let trimmed = line.trim_start();
        if let Some((fence, info)) = fence(trimmed) {
            b.flush();
            let language = info
                .split(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ',' | ':'))
                .find(|s| !s.is_empty())
                .unwrap_or("")
                .to_ascii_lowercase();
            let mut code = String::new();
            let first = number + 1;
            for (raw, _) in lines.by_ref() {
                let (inner, _) = if quoted { unquote(raw) } else { (raw, false) };
                if closes(inner.trim(), fence) {
                    break;
                }
                code.push_str(inner);
                code.push('\n');
            }
            (b.line, b.quoted, b.item) = (first, quoted, false);
            b.push(Kind::Code, code, language);
            continue;
        }
        if let Some(start) = line.find("<!--") {
            b.flush();
            let before = line.get(..start).unwrap_or("");
            if !before.trim().is_empty() {
                b.add(number, before, Kind::Prose, quoted, false);
                b.flush();
            }
            let mut inner = line.get(start + 4..).unwrap_or("").to_owned();
            let mut closed = inner.contains("-->");
            while !closed {
                let Some((more, _)) = lines.next() else { break };
                closed = more.contains("-->");
                inner.push('\n');
                inner.push_str(more);
            }
            let (comment, after) = inner.split_once("-->").unwrap_or((&inner, ""));
            b.add(number, comment, Kind::Comment, quoted, false);
            b.flush();
            if !after.trim().is_empty() {
                b.add(number, after, Kind::Prose, quoted, false);
            }
            continue;
        }
        if trimmed.is_empty() {
            b.flush();
            continue;
        }
        let hashes = trimmed.bytes().take_while(|c| *c == b'#').count();
        if (1..=6).contains(&hashes) && trimmed.as_bytes().get(hashes).is_none_or(|c| *c == b' ') {
            let title = trimmed.get(hashes..).unwrap_or("").trim().trim_end_matches('#').trim();
            b.heading(number, title, hashes);
            continue;
        }
        // A reference-style comment (`[//]: # (text)`) is not displayed either.
        if trimmed.starts_with("[//]:") || trimmed.starts_with("[comment]:") {
            b.flush();
            b.add(number, trimmed, Kind::Comment, quoted, false);
            b.flush();
            continue;
        }
        let table = trimmed.starts_with('|');
        let item = starts_item(trimmed);
        if table || item || (b.kind == Kind::Table && !b.text.is_empty()) {
            b.flush();
        }
        b.add(number, line, if table { Kind::Table } else { Kind::Prose }, quoted, item);
        if table {
            b.flush();
        }
    }
    b.flush();
    b.out
}

fn unquote(line: &str) -> (&str, bool) {
    let mut rest = line;
    let mut quoted = false;
    while let Some(inner) = rest.trim_start().strip_prefix('>') {
        rest = inner.strip_prefix(' ').unwrap_or(inner);
        quoted = true;
    }
    (rest, quoted)
}

fn fence(line: &str) -> Option<(&str, &str)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let count = line.chars().take_while(|c| *c == mark).count();
    if count < 3 {
        return None;
    }
    let info = line.get(count..)?;
    if mark == '`' && info.contains('`') {
        return None;
    }
    Some((line.get(..count)?, info.trim()))
}

fn closes(line: &str, fence: &str) -> bool {
    line.len() >= fence.len()
        && line.starts_with(fence)
        && line.chars().all(|c| fence.starts_with(c))
}

fn starts_item(line: &str) -> bool {
    if line.starts_with("- ") || line.starts_with("* ") || line.starts_with("+ ") {
        return true;
    }
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    (1..4).contains(&digits)
        && line.get(digits..).is_some_and(|rest| rest.starts_with(". ") || rest.starts_with(") "))
}

/// Code spans (`…`) of a paragraph, with offsets.
pub(crate) fn spans(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|t| t.find('`')).map(|at| from + at) {
        let ticks = text.get(start..).map_or(1, |t| t.bytes().take_while(|b| *b == b'`').count());
        let body = start + ticks;
        let mark = text.get(start..body).unwrap_or("`");
        let Some(len) = text.get(body..).and_then(|t| t.find(mark)) else { break };
        if let Some(span) = text.get(body..body + len) {
            out.push((body, span.trim()));
        }
        from = body + len + ticks;
        if out.len() > 2_000 {
            break;
        }
    }
    out
}

/// Sentences of a paragraph, with offsets. A line break alone ends no sentence.
pub(crate) fn sentences(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut code = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '`' {
            code = !code;
        }
        let next = chars.peek().map(|(_, n)| *n);
        let stop = match c {
            '.' | '!' | '?' => !code && next.is_none_or(char::is_whitespace),
            '。' | '！' | '？' => true,
            '\n' => next == Some('\n'),
            _ => false,
        };
        if stop {
            let end = at + c.len_utf8();
            out.push((start, text.get(start..end).unwrap_or("")));
            start = end;
        }
    }
    if let Some(rest) = text.get(start..).filter(|r| !r.trim().is_empty()) {
        out.push((start, rest));
    }
    out
}
