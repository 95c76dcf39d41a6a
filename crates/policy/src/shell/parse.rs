//! Text to syntax tree: commands.
//!
//! A recursive descent over bytes without backtracking over nested constructs: its time is
//! linear in the length of the text times the nesting depth, and both have a limit. What it does
//! not understand is an error, and an error makes the text opaque.

use super::ast::{AndOr, Command, Kind, List, Pipeline, Word};
use std::cell::OnceCell;
use std::rc::Rc;

/// Why a text could not be read.
pub(super) type Fault = String;
pub(super) type Parsed<T> = Result<T, Fault>;

/// Reads a whole text.
///
/// `notes` receives the places that shells are known to read in different ways.
///
/// `limited` becomes true when a part was left out because of a limit.
pub(super) fn parse(
    text: &str,
    depth: usize,
    notes: &mut Vec<String>,
    limited: &mut bool,
) -> Parsed<List> {
    if let Some(bad) = text.bytes().find(|b| b.is_ascii_control() && !b"\n\t\r\x1b".contains(b)) {
        return Err(format!("holds the control character 0x{bad:02x}"));
    }
    let mut parser = Parser::new(text, depth);
    let list = parser.list(Stop::End);
    *limited |= parser.limited;
    notes.append(&mut parser.notes);
    list
}

/// A here-document whose body comes after the end of the line.
pub(super) struct Pending {
    pub(super) delimiter: String,
    pub(super) tabs: bool,
    pub(super) quoted: bool,
    pub(super) body: Rc<OnceCell<Word>>,
}

/// What ends a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    End,
    Paren,
    Brace,
    CaseArm,
    Words(&'static [&'static str]),
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) depth: usize,
    pub(super) notes: Vec<String>,
    pub(super) pending: Vec<Pending>,
    /// Here-documents that were already waiting when a substitution began.
    held: usize,
    /// Substitutions around the current place.
    inside: usize,
    /// `[[` is an ordinary word: the reading of a shell that does not know it.
    plain_test: bool,
    /// Something was given up because of a limit, even if another reading of it was found.
    pub(super) limited: bool,
    /// Steps left; constructs that are read twice are charged twice.
    steps: usize,
}

const RESERVED: &[&str] = &[
    "if", "then", "elif", "else", "fi", "do", "done", "case", "esac", "while", "until", "for", "{",
    "}", "!", "in", "function", "select", "coproc", "[[", "]]",
];

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, depth: usize) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth,
            notes: Vec::new(),
            pending: Vec::new(),
            held: 0,
            inside: 0,
            plain_test: false,
            limited: false,
            steps: text.len().saturating_mul(16).saturating_add(256),
        }
    }

    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    pub(super) fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or("")
    }

    /// Skips backslash-newline pairs, which shells remove before they look at anything else.
    pub(super) fn join(&mut self) {
        while self.byte(self.at) == Some(b'\\') && self.byte(self.at + 1) == Some(b'\n') {
            self.at += 2;
        }
    }

    pub(super) fn peek(&mut self) -> Option<u8> {
        self.join();
        self.byte(self.at)
    }

    /// The byte after the next one.
    pub(super) fn peek2(&mut self) -> Option<u8> {
        self.join();
        let mut at = self.at + 1;
        while self.byte(at) == Some(b'\\') && self.byte(at + 1) == Some(b'\n') {
            at += 2;
        }
        self.byte(at)
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    pub(super) fn enter(&mut self) -> Parsed<()> {
        self.step(1)?;
        let Some(left) = self.depth.checked_sub(1) else {
            self.limited = true;
            return Err("is nested too deeply".into());
        };
        self.depth = left;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth += 1;
    }

    pub(super) fn step(&mut self, cost: usize) -> Parsed<()> {
        let Some(left) = self.steps.checked_sub(cost) else {
            self.limited = true;
            return Err("is too intricate".into());
        };
        self.steps = left;
        Ok(())
    }

    /// Tries a reading that another one follows if it fails. The steps it took stay spent, which
    /// bounds the sum of all attempts.
    pub(super) fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Option<T> {
        let (at, depth, notes) = (self.at, self.depth, self.notes.len());
        let (held, inside) = (self.held, self.inside);
        let pending = std::mem::take(&mut self.pending);
        self.held += pending.len();
        let result = read(self).ok().filter(|_| self.pending.is_empty());
        self.pending = pending;
        self.held = held;
        self.inside = inside;
        self.depth = depth;
        if result.is_none() {
            self.at = at;
            self.notes.truncate(notes);
        }
        result
    }

    pub(super) fn note(&mut self, note: &str) {
        if self.notes.len() < 16 && !self.notes.iter().any(|n| n == note) {
            self.notes.push(note.to_owned());
        }
    }

    /// Skips blanks and a comment, not newlines.
    pub(super) fn blanks(&mut self) {
        loop {
            match self.peek() {
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'#') => {
                    while self.byte(self.at).is_some_and(|b| b != b'\n') {
                        self.at += 1;
                    }
                    return;
                }
                _ => return,
            }
        }
    }

    /// Takes a newline and the bodies of the here-documents that begin after it.
    fn newline(&mut self) -> Parsed<bool> {
        if self.peek() != Some(b'\n') {
            return Ok(false);
        }
        self.at += 1;
        if self.held > 0 {
            return Err("has a here-document that begins inside an unfinished one".into());
        }
        for pending in std::mem::take(&mut self.pending) {
            self.body(&pending)?;
        }
        Ok(true)
    }

    fn body(&mut self, pending: &Pending) -> Parsed<()> {
        let mut text = String::new();
        let mut continued = false;
        loop {
            if self.at >= self.bytes.len() {
                break;
            }
            let rest = self.text.get(self.at..).unwrap_or("");
            let line = rest.split('\n').next().unwrap_or("");
            let ends = self.at + line.len();
            let shown = if pending.tabs { line.trim_start_matches('\t') } else { line };
            // A delimiter that is followed by the end of a substitution or of a backquote ends
            // the document in some shells only.
            if !continued && shown == pending.delimiter {
                self.at = (ends + 1).min(self.bytes.len());
                return self.finish(pending, &text);
            }
            text.push_str(shown);
            text.push('\n');
            continued =
                !pending.quoted && line.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
            self.step(1)?;
            self.at = (ends + 1).min(self.bytes.len());
        }
        // Shells take the rest of the text when the delimiter is missing, unless the document
        // stands in a substitution, where they differ.
        if self.inside > 0 {
            return Err("has a here-document without its end".into());
        }
        self.finish(pending, &text)
    }

    fn finish(&mut self, pending: &Pending, text: &str) -> Parsed<()> {
        let word = if pending.quoted {
            Word { pieces: vec![super::ast::Piece::Quoted(text.to_owned())] }
        } else {
            let mut inner = Parser::new(text, self.depth);
            let word = inner.heredoc_word()?;
            self.notes.append(&mut inner.notes);
            word
        };
        let _ = pending.body.set(word);
        Ok(())
    }

    /// Skips blanks, comments and newlines.
    pub(super) fn linebreak(&mut self) -> Parsed<()> {
        loop {
            self.blanks();
            if !self.newline()? {
                return Ok(());
            }
        }
    }

    /// The unquoted word that begins here, without taking it; empty when quotes are involved.
    fn bare_word(&mut self) -> &'a str {
        self.join();
        let from = self.at;
        let mut to = from;
        while let Some(b) = self.byte(to) {
            match b {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => break,
                b'\'' | b'"' | b'`' | b'$' => return "",
                b'\\' => {
                    // A keyword split over lines is still a keyword to a shell; it is not worth
                    // more than a refusal (the word is then no command either).
                    return "";
                }
                _ => to += 1,
            }
        }
        self.slice(from, to)
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = self.bare_word() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.keyword(word) { Ok(()) } else { Err(format!("lacks `{word}`")) }
    }

    /// A list inside a substitution: `$( … )` and the like. Stops before the closing byte.
    pub(super) fn inner_list(&mut self, stop: Stop) -> Parsed<List> {
        self.enter()?;
        let (held, outside) = (self.held, self.pending.len());
        self.held += outside;
        self.inside += 1;
        let kept = std::mem::take(&mut self.pending);
        let list = self.list(stop)?;
        if !self.pending.is_empty() {
            return Err("closes a substitution before the body of its here-document".into());
        }
        self.pending = kept;
        self.held = held;
        self.inside -= 1;
        self.leave();
        Ok(list)
    }

    pub(super) fn list(&mut self, stop: Stop) -> Parsed<List> {
        self.enter()?;
        let mut items = Vec::new();
        loop {
            self.linebreak()?;
            if self.stops(stop)? {
                break;
            }
            let mut item = self.and_or()?;
            self.blanks();
            match self.peek() {
                Some(b';') if self.peek2() != Some(b';') && self.peek2() != Some(b'&') => {
                    self.at += 1;
                }
                Some(b'&') if self.peek2() != Some(b'&') => {
                    self.at += 1;
                    item.background = true;
                }
                Some(b'\n') => {}
                _ => {
                    items.push(item);
                    self.blanks();
                    if self.stops(stop)? {
                        break;
                    }
                    return Err(self.unexpected());
                }
            }
            items.push(item);
        }
        self.leave();
        Ok(List { items })
    }

    pub(super) fn unexpected(&self) -> Fault {
        match self.text.get(self.at..).and_then(|t| t.chars().next()) {
            Some(c) => format!("has an unexpected `{}` at byte {}", c.escape_default(), self.at),
            None => "ends too early".into(),
        }
    }

    fn stops(&mut self, stop: Stop) -> Parsed<bool> {
        let next = self.peek();
        Ok(match stop {
            Stop::End => {
                if next.is_none() && !self.pending.is_empty() {
                    // The text ends on the line of the operator: the document is empty.
                    for pending in std::mem::take(&mut self.pending) {
                        self.finish(&pending, "")?;
                    }
                }
                next.is_none()
            }
            Stop::Paren => next == Some(b')'),
            Stop::Brace => self.bare_word() == "}",
            Stop::CaseArm => {
                (next == Some(b';') && matches!(self.peek2(), Some(b';' | b'&')))
                    || self.bare_word() == "esac"
            }
            Stop::Words(words) => {
                let word = self.bare_word();
                words.contains(&word)
            }
        })
    }

    fn and_or(&mut self) -> Parsed<AndOr> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            self.blanks();
            let and = match (self.peek(), self.peek2()) {
                (Some(b'&'), Some(b'&')) => true,
                (Some(b'|'), Some(b'|')) => false,
                _ => break,
            };
            self.at += 1;
            self.join();
            self.at += 1;
            self.linebreak()?;
            rest.push((and, self.pipeline()?));
        }
        Ok(AndOr { first, rest, background: false })
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.blanks();
        loop {
            match self.bare_word() {
                "!" => self.at += 1,
                "time" => {
                    let mark = self.at;
                    self.at += 4;
                    self.blanks();
                    let next = self.bare_word();
                    if next == "-p" {
                        self.at += 2;
                    } else if next.starts_with('-') {
                        // The program `time` with options of its own.
                        self.at = mark;
                        break;
                    }
                }
                _ => break,
            }
            self.blanks();
            if matches!(self.peek(), None | Some(b'\n' | b';' | b'&' | b'|' | b')')) {
                return Ok(Pipeline { commands: Vec::new() });
            }
        }
        let mut commands = vec![self.command()?];
        loop {
            self.blanks();
            if self.peek() == Some(b'|') && self.peek2() != Some(b'|') {
                self.at += 1;
                let _ = self.take(b'&');
                self.linebreak()?;
                while self.keyword("!") {
                    self.blanks();
                }
                commands.push(self.command()?);
            } else {
                return Ok(Pipeline { commands });
            }
        }
    }

    fn command(&mut self) -> Parsed<Command> {
        self.enter()?;
        self.blanks();
        let from = self.at;
        let compound = match self.peek() {
            Some(b'(') => Some(self.paren()?),
            _ => self.reserved()?,
        };
        let kind = match compound {
            Some(kind) => kind,
            None => {
                let command = self.simple(from)?;
                self.leave();
                return Ok(command);
            }
        };
        let mut redirects = Vec::new();
        loop {
            self.blanks();
            match self.redirect()? {
                Some(redirect) => redirects.push(redirect),
                None => break,
            }
        }
        self.leave();
        Ok(Command { kind, redirects })
    }

    fn subshell(&mut self) -> Parsed<Kind> {
        if !self.take(b'(') {
            return Err(self.unexpected());
        }
        let list = self.list(Stop::Paren)?;
        self.at += 1;
        Ok(Kind::Subshell(list))
    }

    fn paren(&mut self) -> Parsed<Kind> {
        if self.peek2() != Some(b'(') {
            return self.subshell();
        }
        let from = self.at;
        self.at += 1;
        self.join();
        self.at += 1;
        if let Some(expression) = self.attempt(|p| p.arithmetic(true)) {
            let to = self.at;
            // The same bytes as nested subshells. The copy starts without waiting
            // here-documents, so one that begins inside is an error and not another reading.
            self.step(to - from)?;
            let mut inner = Parser::new(self.slice(from, to), self.depth);
            inner.steps = self.steps;
            let other = inner.subshell().ok().filter(|_| inner.at == to - from);
            self.limited |= inner.limited;
            let other = other.filter(|_| inner.pending.is_empty()).map(|kind| match kind {
                Kind::Subshell(list) => list,
                _ => List::default(),
            });
            if other.is_none() && self.slice(from, to).contains("<<") {
                self.note("has `((` and `<<` in a text that shells read in two ways");
            }
            self.steps = inner.steps;
            return Ok(Kind::Arith { expression, other });
        }
        self.at = from;
        self.step(16)?;
        self.subshell()
    }

    fn reserved(&mut self) -> Parsed<Option<Kind>> {
        let word = self.bare_word();
        if !RESERVED.contains(&word) {
            return Ok(None);
        }
        let from = self.at;
        if word == "[[" && self.plain_test {
            return Ok(None);
        }
        self.at += word.len();
        Ok(Some(match word {
            "{" => {
                let list = self.list(Stop::Brace)?;
                self.expect("}")?;
                Kind::Group(list)
            }
            "if" => self.if_clause()?,
            "while" | "until" => {
                let condition = self.list(Stop::Words(&["do"]))?;
                let body = self.do_group()?;
                Kind::While { condition, body }
            }
            "for" | "select" => self.for_clause()?,
            "case" => self.case_clause()?,
            "function" => {
                self.blanks();
                let name = self.bare_word().to_owned();
                if name.is_empty() {
                    return Err("defines a function without a plain name".into());
                }
                self.at += name.len();
                self.blanks();
                if self.take(b'(') {
                    self.blanks();
                    if !self.take(b')') {
                        return Err(self.unexpected());
                    }
                }
                self.function(name, true)?
            }
            "coproc" => {
                self.blanks();
                // A name may stand between `coproc` and a compound command.
                let name = self.bare_word();
                if !name.is_empty() && !RESERVED.contains(&name) {
                    let mark = self.at;
                    self.at += name.len();
                    self.blanks();
                    let next = self.bare_word();
                    if self.peek() != Some(b'(') && !RESERVED.contains(&next) {
                        self.at = mark;
                    }
                }
                Kind::Coproc(Box::new(self.command()?))
            }
            "[[" => self.test_clause(from)?,
            other => return Err(format!("has an unexpected `{other}` at byte {from}")),
        }))
    }

    fn if_clause(&mut self) -> Parsed<Kind> {
        let mut arms = Vec::new();
        loop {
            let condition = self.list(Stop::Words(&["then"]))?;
            self.expect("then")?;
            let body = self.list(Stop::Words(&["elif", "else", "fi"]))?;
            arms.push((condition, body));
            if self.keyword("elif") {
                continue;
            }
            let otherwise =
                if self.keyword("else") { Some(self.list(Stop::Words(&["fi"]))?) } else { None };
            self.expect("fi")?;
            return Ok(Kind::If { arms, otherwise });
        }
    }

    fn do_group(&mut self) -> Parsed<List> {
        self.linebreak()?;
        if self.keyword("{") {
            // `for x in y; { … }`, undocumented in bash.
            let list = self.list(Stop::Brace)?;
            self.expect("}")?;
            return Ok(list);
        }
        self.expect("do")?;
        let list = self.list(Stop::Words(&["done"]))?;
        self.expect("done")?;
        Ok(list)
    }

    fn for_clause(&mut self) -> Parsed<Kind> {
        self.blanks();
        if self.peek() == Some(b'(') && self.peek2() == Some(b'(') {
            self.at += 1;
            self.join();
            self.at += 1;
            let expression = self.arithmetic(true)?;
            self.blanks();
            let _ = self.take(b';');
            let body = self.do_group()?;
            return Ok(Kind::ForArith { expression, body });
        }
        let variable = self.bare_word().to_owned();
        if !is_name(&variable) {
            return Err("has a loop without a plain variable".into());
        }
        self.at += variable.len();
        self.linebreak()?;
        let words = if self.keyword("in") {
            let mut words = Vec::new();
            loop {
                self.blanks();
                match self.peek() {
                    Some(b';') => {
                        self.at += 1;
                        break;
                    }
                    Some(b'\n') => break,
                    _ => words.push(self.word()?.ok_or_else(|| self.unexpected())?),
                }
            }
            Some(words)
        } else {
            let _ = self.take(b';');
            None
        };
        let body = self.do_group()?;
        Ok(Kind::For { variable, words, body })
    }

    fn case_clause(&mut self) -> Parsed<Kind> {
        self.blanks();
        let word = self.word()?.ok_or_else(|| self.unexpected())?;
        self.linebreak()?;
        self.expect("in")?;
        let mut arms = Vec::new();
        loop {
            self.linebreak()?;
            if self.keyword("esac") {
                return Ok(Kind::Case { word, arms });
            }
            let _ = self.take(b'(');
            let mut patterns = Vec::new();
            loop {
                self.blanks();
                patterns.push(self.word()?.ok_or_else(|| self.unexpected())?);
                self.blanks();
                if !self.take(b'|') {
                    break;
                }
            }
            if !self.take(b')') {
                return Err(self.unexpected());
            }
            let body = self.list(Stop::CaseArm)?;
            arms.push((patterns, body));
            if self.peek() == Some(b';') {
                self.at += 1;
                while matches!(self.peek(), Some(b';' | b'&')) {
                    self.at += 1;
                }
            }
        }
    }

    pub(super) fn function(&mut self, name: String, keyword: bool) -> Parsed<Kind> {
        self.linebreak()?;
        let body = self.command()?;
        if matches!(body.kind, Kind::Simple(_)) && !keyword {
            // dash takes a simple command as the body, bash does not.
            self.note("a function body without braces is read differently by different shells");
        }
        Ok(Kind::Function { name, body: Rc::new(body), keyword })
    }

    fn test_clause(&mut self, from: usize) -> Parsed<Kind> {
        let mut words = Vec::new();
        loop {
            self.linebreak()?;
            match self.peek() {
                None => return Err("lacks `]]`".into()),
                Some(b'(' | b')' | b'<' | b'>' | b'&' | b'|' | b';') => {
                    self.at += 1;
                    continue;
                }
                _ => {}
            }
            if self.bare_word() == "]]" {
                self.at += 2;
                break;
            }
            words.push(self.word()?.ok_or_else(|| self.unexpected())?);
        }
        let to = self.at;
        self.step(to - from)?;
        let mut inner = Parser::new(self.slice(from, to), self.depth);
        inner.steps = self.steps;
        inner.plain_test = true;
        let other = inner.list(Stop::End).ok();
        self.limited |= inner.limited;
        self.steps = inner.steps;
        Ok(Kind::Test { words, other })
    }

    /// Takes one character as it is.
    pub(super) fn char_into(&mut self, out: &mut String) {
        if let Some(c) = self.text.get(self.at..).and_then(|t| t.chars().next()) {
            out.push(c);
            self.at += c.len_utf8();
        } else {
            self.at += 1;
        }
    }
}

/// Whether a text is a shell variable name.
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_alphabetic())
        && bytes.all(|b| b == b'_' || b.is_ascii_alphanumeric())
}
