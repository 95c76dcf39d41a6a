//! Text to syntax tree: simple commands with their assignments and redirections.

use super::ast::{Arg, Assign, Assigned, Command, Kind, Redirect, RedirectOp, Simple, Target};
use super::parse::{Parsed, Parser, Pending, is_name};
use std::cell::OnceCell;
use std::rc::Rc;

impl Parser<'_> {
    pub(super) fn simple(&mut self, from: usize) -> Parsed<Command> {
        let mut simple = Simple::default();
        let mut redirects = Vec::new();
        // Commands whose arguments may be assignments with `( … )`.
        let mut declares = false;
        loop {
            self.step(1)?;
            self.blanks();
            let before = self.at;
            if let Some(redirect) = self.redirect()? {
                if redirect.op == RedirectOp::Both {
                    simple.splits.push(simple.words.len());
                }
                redirects.push(redirect);
                continue;
            }
            if (simple.words.is_empty() || declares)
                && let Some(assign) = self.assign(declares)?
            {
                if simple.words.is_empty() {
                    simple.assigns.push(assign);
                } else {
                    simple.words.push(Arg::Assign(assign));
                }
                continue;
            }
            let Some(word) = self.word()? else { break };
            if simple.words.is_empty() {
                let name = self.slice(before, self.at);
                declares = matches!(
                    name,
                    "declare" | "typeset" | "local" | "export" | "readonly" | "alias" | "eval"
                );
                self.blanks();
                if self.peek() == Some(b'(')
                    && simple.assigns.is_empty()
                    && redirects.is_empty()
                    && before == from
                {
                    self.at += 1;
                    self.blanks();
                    if !self.take(b')') {
                        return Err(self.unexpected());
                    }
                    let name = name.to_owned();
                    let kind = self.function(name, false)?;
                    return Ok(Command { kind, redirects: Vec::new() });
                }
            }
            simple.words.push(Arg::Word(word));
        }
        if simple.words.is_empty() && simple.assigns.is_empty() && redirects.is_empty() {
            return Err(self.unexpected());
        }
        let words = simple.words.len();
        simple.splits.retain(|at| *at < words && *at > 0);
        Ok(Command { kind: Kind::Simple(simple), redirects })
    }

    /// `name=value`, `name+=value`, `name[index]=value`.
    fn assign(&mut self, argument: bool) -> Parsed<Option<Assign>> {
        self.join();
        let from = self.at;
        let mut to = from;
        let mut name = String::new();
        loop {
            match self.byte(to) {
                Some(b) if b == b'_' || b.is_ascii_alphanumeric() => {
                    name.push(char::from(b));
                    to += 1;
                }
                Some(b'\\') if self.byte(to + 1) == Some(b'\n') => to += 2,
                _ => break,
            }
        }
        if !is_name(&name) {
            return Ok(None);
        }
        self.at = to;
        let index = if self.byte(to) == Some(b'[') && !argument {
            self.at += 1;
            match self.attempt(Self::bracketed) {
                Some(index) => Some(index),
                None => {
                    self.at = from;
                    return Ok(None);
                }
            }
        } else {
            None
        };
        let append = self.byte(self.at) == Some(b'+') && self.byte(self.at + 1) == Some(b'=');
        if append {
            self.at += 1;
        }
        if self.byte(self.at) != Some(b'=') {
            self.at = from;
            return Ok(None);
        }
        self.at += 1;
        if self.peek() == Some(b'(') {
            self.at += 1;
            let mut words = Vec::new();
            loop {
                self.linebreak()?;
                if self.take(b')') {
                    break;
                }
                words.push(self.word()?.ok_or_else(|| self.unexpected())?);
            }
            return Ok(Some(Assign { name, index, append, value: Assigned::Array(words) }));
        }
        let word = self.word()?.unwrap_or_default();
        Ok(Some(Assign { name, index, append, value: Assigned::Scalar(word) }))
    }

    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        self.join();
        let from = self.at;
        let mut to = from;
        let mut named = None;
        if self.byte(to) == Some(b'{') {
            let mut end = to + 1;
            while self.byte(end).is_some_and(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                end += 1;
            }
            if self.byte(end) == Some(b'}')
                && matches!(self.byte(end + 1), Some(b'<' | b'>'))
                && is_name(self.slice(to + 1, end))
            {
                named = Some(self.slice(to + 1, end).to_owned());
                to = end + 1;
            }
        } else {
            while self.byte(to).is_some_and(|b| b.is_ascii_digit()) {
                to += 1;
            }
        }
        let operator = self.byte(to);
        let both = operator == Some(b'&') && to == from && self.byte(to + 1) == Some(b'>');
        if !both && !matches!(operator, Some(b'<' | b'>')) {
            return Ok(None);
        }
        if !both && to == from && self.byte(to + 1) == Some(b'(') {
            return Ok(None); // process substitution
        }
        let fd = if named.is_none() && to > from {
            Some(self.slice(from, to).parse().map_err(|_| "has an absurd descriptor")?)
        } else {
            None
        };
        self.at = to;
        let rest = self.text.get(to..).unwrap_or("");
        let (len, op) = if both {
            (if rest.starts_with("&>>") { 3 } else { 2 }, RedirectOp::Both)
        } else if rest.starts_with("<<<") {
            (3, RedirectOp::HereString)
        } else if rest.starts_with("<<") {
            (if rest.starts_with("<<-") { 3 } else { 2 }, RedirectOp::HereDoc)
        } else if rest.starts_with("<&") {
            (2, RedirectOp::DupIn)
        } else if rest.starts_with("<>") {
            (2, RedirectOp::ReadWrite)
        } else if rest.starts_with('<') {
            (1, RedirectOp::Read)
        } else if rest.starts_with(">&") {
            (2, RedirectOp::DupOut)
        } else if rest.starts_with(">>") || rest.starts_with(">|") {
            (2, RedirectOp::Write)
        } else {
            (1, RedirectOp::Write)
        };
        if rest.get(1..).is_some_and(|r| r.starts_with("\\\n")) {
            return Err("splits an operator over lines".into());
        }
        self.at += len;
        let tabs = rest.starts_with("<<-");
        self.blanks();
        if op == RedirectOp::HereDoc {
            let (delimiter, quoted) = self.delimiter()?;
            let body = Rc::new(OnceCell::new());
            self.pending.push(Pending { delimiter, tabs, quoted, body: Rc::clone(&body) });
            return Ok(Some(Redirect { fd, named, op, target: Target::Body(body) }));
        }
        let word = self.word()?.ok_or_else(|| self.unexpected())?;
        Ok(Some(Redirect { fd, named, op, target: Target::Word(word) }))
    }

    /// The word after `<<` with its quotes removed, and whether it had any.
    fn delimiter(&mut self) -> Parsed<(String, bool)> {
        let mut text = String::new();
        let mut quoted = false;
        loop {
            match self.peek() {
                None
                | Some(b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')') => {
                    break;
                }
                Some(quote @ (b'\'' | b'"')) => {
                    quoted = true;
                    self.at += 1;
                    let from = self.at;
                    while self.byte(self.at).is_some_and(|b| b != quote) {
                        if matches!(self.byte(self.at), Some(b'\\' | b'$' | b'`' | b'\n')) {
                            return Err("has an odd here-document delimiter".into());
                        }
                        self.at += 1;
                    }
                    if self.byte(self.at).is_none() {
                        return Err("has an unclosed quote".into());
                    }
                    text.push_str(self.slice(from, self.at));
                    self.at += 1;
                }
                Some(b'\\') => {
                    quoted = true;
                    self.at += 1;
                    self.char_into(&mut text);
                }
                Some(b'$' | b'`') => return Err("has an odd here-document delimiter".into()),
                Some(_) => self.char_into(&mut text),
            }
        }
        if text.is_empty() && !quoted {
            return Err(self.unexpected());
        }
        Ok((text, quoted))
    }
}
