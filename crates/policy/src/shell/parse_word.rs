//! Text to syntax tree: words, quotes and expansions.

use super::ast::{Param, ParamOp, Piece, Word};
use super::parse::{Parsed, Parser, Stop, is_name};
use std::rc::Rc;

/// Where a run of pieces stands, which decides what quotes mean and what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Inside `"…"`.
    Double,
    /// Body of a here-document with an unquoted delimiter.
    HereDoc,
    /// Inside `$((…))`, `((…))`, `$[…]`, `a[…]`.
    Arithmetic,
    /// Operand of `${…}` outside double quotes, ended by `}` (and `/` or `:` for the first part).
    Operand { slash: bool, double: bool, literal_quotes: bool },
}

impl Parser<'_> {
    /// The word that begins here; `None` when something else begins here.
    pub(super) fn word(&mut self) -> Parsed<Option<Word>> {
        let mut word = Word::default();
        self.step(1)?;
        loop {
            match self.peek() {
                None | Some(b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')') => break,
                Some(b @ (b'<' | b'>')) => {
                    if self.peek2() != Some(b'(') {
                        break;
                    }
                    self.at += 1;
                    self.join();
                    self.at += 1;
                    let list = self.inner_list(Stop::Paren)?;
                    self.at += 1;
                    word.pieces.push(Piece::Process { list: Rc::new(list), output: b == b'>' });
                }
                Some(_) => self.piece(&mut word)?,
            }
        }
        Ok(if word.pieces.is_empty() { None } else { Some(word) })
    }

    /// One piece of unquoted text, or of an unquoted `${…}` operand.
    fn piece(&mut self, word: &mut Word) -> Parsed<()> {
        match self.peek() {
            Some(b'\'') => {
                self.at += 1;
                let text = self.single()?;
                word.pieces.push(Piece::Quoted(text));
            }
            Some(b'"') => {
                self.at += 1;
                self.double(word)?;
            }
            Some(b'\\') => {
                self.at += 1;
                let mut text = String::new();
                if self.at >= self.bytes.len() {
                    text.push('\\');
                } else {
                    self.char_into(&mut text);
                }
                quoted(word, &text);
            }
            Some(b'$') => self.dollar(word, false)?,
            Some(b'`') => self.backquote(word, false)?,
            _ => {
                let mut text = String::new();
                self.char_into(&mut text);
                bare(word, &text);
            }
        }
        Ok(())
    }

    /// Text up to the closing single quote.
    fn single(&mut self) -> Parsed<String> {
        let from = self.at;
        while let Some(b) = self.byte(self.at) {
            if b == b'\'' {
                let text = self.slice(from, self.at).to_owned();
                self.at += 1;
                return Ok(text);
            }
            self.at += 1;
        }
        Err("has an unclosed quote".into())
    }

    fn double(&mut self, word: &mut Word) -> Parsed<()> {
        quoted(word, "");
        self.pieces(word, Mode::Double)?;
        self.at += 1;
        Ok(())
    }

    /// Body of a here-document.
    pub(super) fn heredoc_word(&mut self) -> Parsed<Word> {
        let mut word = Word::default();
        self.pieces(&mut word, Mode::HereDoc)?;
        Ok(word)
    }

    /// Text up to the bracket that closes `name[`; takes the bracket.
    pub(super) fn bracketed(&mut self) -> Parsed<Word> {
        let mut word = Word::default();
        let mut open = 0usize;
        self.enter()?;
        loop {
            match self.peek() {
                None | Some(b'\n') => return Err("has an unclosed bracket".into()),
                Some(b']') if open == 0 => {
                    self.at += 1;
                    self.leave();
                    return Ok(word);
                }
                Some(b @ (b'[' | b']')) => {
                    open = if b == b'[' { open + 1 } else { open.saturating_sub(1) };
                    self.at += 1;
                    quoted(&mut word, if b == b'[' { "[" } else { "]" });
                }
                Some(b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' | b' ' | b'\t') => {
                    return Err("has an odd index".into());
                }
                Some(_) => self.inner_piece(&mut word, Mode::Arithmetic)?,
            }
        }
    }

    /// Text up to `))`; takes it. `command`: for `((` rather than `$((`.
    pub(super) fn arithmetic(&mut self, command: bool) -> Parsed<Word> {
        self.enter()?;
        let mut word = Word::default();
        let mut open = 0usize;
        loop {
            match self.peek() {
                None => return Err("has unfinished arithmetic".into()),
                Some(b'(') => {
                    open += 1;
                    self.at += 1;
                    quoted(&mut word, "(");
                }
                Some(b')') if open > 0 => {
                    open -= 1;
                    self.at += 1;
                    quoted(&mut word, ")");
                }
                Some(b')') => {
                    if self.peek2() != Some(b')') {
                        return Err("is not arithmetic".into());
                    }
                    self.at += 1;
                    self.join();
                    self.at += 1;
                    self.leave();
                    return Ok(word);
                }
                Some(b'#') if command => {
                    // A comment for the other reading, a base (`16#ff`) for this one.
                    self.at += 1;
                    quoted(&mut word, "#");
                }
                Some(_) => self.inner_piece(&mut word, Mode::Arithmetic)?,
            }
        }
    }

    /// Pieces up to the end that the mode implies; does not take the end.
    fn pieces(&mut self, word: &mut Word, mode: Mode) -> Parsed<()> {
        self.enter()?;
        loop {
            match (self.peek(), mode) {
                (None, Mode::HereDoc) => break,
                (None, _) => return Err("has an unclosed quote or brace".into()),
                (Some(b'"'), Mode::Double) => break,
                (Some(b'}'), Mode::Operand { .. }) => break,
                (Some(b'/'), Mode::Operand { slash: true, .. }) => break,
                _ => self.inner_piece(word, mode)?,
            }
        }
        self.leave();
        Ok(())
    }

    fn inner_piece(&mut self, word: &mut Word, mode: Mode) -> Parsed<()> {
        self.step(1)?;
        let in_double = match mode {
            Mode::Double | Mode::HereDoc | Mode::Arithmetic => true,
            Mode::Operand { double, .. } => double,
        };
        match self.peek() {
            Some(b'\'') => match mode {
                Mode::Operand { literal_quotes: false, .. } => return self.piece(word),
                Mode::Operand { .. } => {
                    self.note("a single quote inside a quoted `${…}` is read in different ways");
                    self.at += 1;
                    quoted(word, "'");
                }
                Mode::Arithmetic => return Err("has a quote in arithmetic".into()),
                _ => {
                    self.at += 1;
                    quoted(word, "'");
                }
            },
            Some(b'"') => match mode {
                Mode::HereDoc => {
                    self.at += 1;
                    quoted(word, "\"");
                }
                Mode::Operand { double: true, .. } => {
                    self.note("a double quote inside a quoted `${…}` is read in different ways");
                    self.at += 1;
                    self.double(word)?;
                }
                // The end of a string that holds the arithmetic is found before this.
                _ => {
                    self.at += 1;
                    self.double(word)?;
                }
            },
            Some(b'\\') => {
                self.at += 1;
                let special = match self.byte(self.at) {
                    Some(b'$' | b'`' | b'\\') => true,
                    Some(b'"') => mode != Mode::HereDoc,
                    Some(b'}' | b'/' | b'\'') => matches!(mode, Mode::Operand { .. }),
                    _ => !in_double,
                };
                if special {
                    let mut text = String::new();
                    self.char_into(&mut text);
                    quoted(word, &text);
                } else {
                    quoted(word, "\\");
                }
            }
            Some(b'$') => self.dollar(word, in_double)?,
            Some(b'`') => self.backquote(word, in_double)?,
            _ => {
                let mut text = String::new();
                self.char_into(&mut text);
                if in_double { quoted(word, &text) } else { bare(word, &text) }
            }
        }
        Ok(())
    }

    fn dollar(&mut self, word: &mut Word, in_double: bool) -> Parsed<()> {
        self.at += 1; // `$`
        match self.peek() {
            Some(b'(') => {
                let from = self.at;
                if self.peek2() == Some(b'(') {
                    self.at += 1;
                    self.join();
                    self.at += 1;
                    if let Some(expression) = self.attempt(|p| p.arithmetic(false)) {
                        word.pieces.push(Piece::Arith { expression });
                        return Ok(());
                    }
                    self.step(16)?;
                    self.at = from;
                }
                self.at += 1;
                let list = self.inner_list(Stop::Paren)?;
                self.at += 1;
                word.pieces.push(Piece::Command { list: Rc::new(list), quoted: in_double });
            }
            Some(b'{') => {
                self.at += 1;
                self.braced(word, in_double)?;
            }
            Some(b'[') => {
                let from = self.at;
                self.at += 1;
                match self.attempt(Self::bracketed) {
                    Some(expression) => word.pieces.push(Piece::Arith { expression }),
                    None => {
                        self.at = from;
                        quoted(word, "$");
                    }
                }
            }
            Some(b'\'') if !in_double => {
                self.at += 1;
                self.ansi(word)?;
            }
            Some(b'"') if !in_double => {
                self.at += 1;
                self.double(word)?;
            }
            Some(b) if b == b'_' || b.is_ascii_alphabetic() => {
                let mut name = String::new();
                while let Some(b) = self.peek() {
                    if b != b'_' && !b.is_ascii_alphanumeric() {
                        break;
                    }
                    name.push(char::from(b));
                    self.at += 1;
                }
                param(word, name, None, ParamOp::Plain, in_double);
            }
            Some(b) if b.is_ascii_digit() || b"@*#?-$!".contains(&b) => {
                self.at += 1;
                param(word, char::from(b).to_string(), None, ParamOp::Plain, in_double);
            }
            _ => quoted(word, "$"),
        }
        Ok(())
    }

    fn braced(&mut self, word: &mut Word, in_double: bool) -> Parsed<()> {
        self.enter()?;
        if let Some(b' ' | b'\t' | b'\n' | b'|') = self.peek() {
            // `${ command; }` of recent shells.
            let _ = self.take(b'|');
            let list = self.inner_list(Stop::Brace)?;
            if !self.take(b'}') {
                return Err("has an unclosed brace".into());
            }
            word.pieces.push(Piece::Command { list: Rc::new(list), quoted: in_double });
            self.leave();
            return Ok(());
        }
        let mut op = ParamOp::Plain;
        let first = self.peek();
        if matches!(first, Some(b'#' | b'!')) && !matches!(self.peek2(), Some(b'}') | None) {
            // `${#x}`, `${!x}`; but `${#-x}` and the like are operators on `$#`.
            let next = self.peek2().unwrap_or(0);
            if next == b'_' || next.is_ascii_alphanumeric() || b"@*".contains(&next) {
                self.at += 1;
                op = if first == Some(b'#') { ParamOp::Length } else { ParamOp::Indirect };
            }
        }
        let mut name = String::new();
        while let Some(b) = self.peek() {
            if b != b'_' && !b.is_ascii_alphanumeric() {
                break;
            }
            name.push(char::from(b));
            self.at += 1;
        }
        if name.is_empty() {
            match self.peek() {
                Some(b) if b"@*#?-$!".contains(&b) => {
                    self.at += 1;
                    name.push(char::from(b));
                }
                _ => return Err("has an odd parameter expansion".into()),
            }
        } else if !is_name(&name) && !name.bytes().all(|b| b.is_ascii_digit()) {
            return Err("has an odd parameter expansion".into());
        }
        let mut index = None;
        if self.peek() == Some(b'[') {
            self.at += 1;
            index = Some(self.bracketed()?);
        }
        if op != ParamOp::Plain {
            // `${!prefix*}`, `${!x[@]}`, `${!x:-…}`: whatever follows is part of an expansion of
            // unknown outcome, but substitutions in it run.
            let mut rest = Word::default();
            self.pieces(&mut rest, operand(false, in_double, false))?;
            self.at += 1;
            if rest.pieces.is_empty() || op == ParamOp::Length {
                param(word, name, index, op, in_double);
            } else {
                param(word, name.clone(), index, op, in_double);
                param(word, name, None, ParamOp::Substring(rest), in_double);
            }
            self.leave();
            return Ok(());
        }
        let colon = self.take(b':');
        let next = self.peek();
        if colon && !matches!(next, Some(b'-' | b'=' | b'+' | b'?')) {
            let mut rest = Word::default();
            self.pieces(&mut rest, operand(false, in_double, false))?;
            op = ParamOp::Substring(rest);
        } else if let Some(b @ (b'-' | b'=' | b'+' | b'?')) = next {
            self.at += 1;
            let mut rest = Word::default();
            self.pieces(&mut rest, operand(false, in_double, in_double))?;
            op = match b {
                b'-' => ParamOp::Default(rest),
                b'=' => ParamOp::Assign(rest),
                b'+' => ParamOp::Alternative(rest),
                _ => ParamOp::Error(rest),
            };
        } else if let Some(b @ (b'#' | b'%')) = next {
            self.at += 1;
            let longest = self.take(b);
            let mut pattern = Word::default();
            self.pieces(&mut pattern, operand(false, false, false))?;
            op = ParamOp::Strip { suffix: b == b'%', longest, pattern };
        } else if let Some(b @ (b'^' | b',')) = next {
            self.at += 1;
            let all = self.take(b);
            let mut pattern = Word::default();
            self.pieces(&mut pattern, operand(false, false, false))?;
            op = ParamOp::Case { upper: b == b'^', all, pattern };
        } else if next == Some(b'/') {
            self.at += 1;
            let all = self.take(b'/');
            let mut pattern = Word::default();
            let mut replacement = Word::default();
            self.pieces(&mut pattern, operand(true, false, false))?;
            if self.take(b'/') {
                self.pieces(&mut replacement, operand(false, false, false))?;
            }
            op = ParamOp::Replace { all, pattern, replacement };
        } else if next == Some(b'@') {
            self.at += 1;
            let mut text = String::new();
            self.char_into(&mut text);
            op = ParamOp::Transform(text.chars().next().unwrap_or('?'));
        }
        if !self.take(b'}') {
            return Err("has an odd parameter expansion".into());
        }
        param(word, name, index, op, in_double);
        self.leave();
        Ok(())
    }

    fn backquote(&mut self, word: &mut Word, in_double: bool) -> Parsed<()> {
        self.enter()?;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.byte(self.at) {
                None => return Err("has an unclosed backquote".into()),
                Some(b'`') => break,
                Some(b'\\') => {
                    self.at += 1;
                    match self.byte(self.at) {
                        Some(b'$' | b'`' | b'\\') => self.char_into(&mut text),
                        Some(b'"') if in_double => self.char_into(&mut text),
                        Some(b'\n') => self.at += 1,
                        _ => text.push('\\'),
                    }
                }
                Some(_) => self.char_into(&mut text),
            }
        }
        self.at += 1;
        self.step(text.len())?;
        let mut inner = Parser::new(&text, self.depth);
        let list = inner.list(Stop::End)?;
        self.notes.append(&mut inner.notes);
        word.pieces.push(Piece::Command { list: Rc::new(list), quoted: in_double });
        self.leave();
        Ok(())
    }

    /// `$'…'`.
    fn ansi(&mut self, word: &mut Word) -> Parsed<()> {
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let Some(b) = self.byte(self.at) else {
                return Err("has an unclosed quote".into());
            };
            self.at += 1;
            match b {
                b'\'' => break,
                b'\\' => {
                    let Some(e) = self.byte(self.at) else {
                        return Err("has an unclosed quote".into());
                    };
                    self.at += 1;
                    match e {
                        b'\'' => {
                            // Without `$'…'` the string would end here.
                            self.note("`$'…\\'…'` ends at different places in different shells");
                            bytes.push(b'\'');
                        }
                        b'n' => bytes.push(b'\n'),
                        b't' => bytes.push(b'\t'),
                        b'r' => bytes.push(b'\r'),
                        b'a' => bytes.push(7),
                        b'b' => bytes.push(8),
                        b'e' | b'E' => bytes.push(27),
                        b'f' => bytes.push(12),
                        b'v' => bytes.push(11),
                        b'\\' | b'"' | b'?' => bytes.push(e),
                        b'x' => bytes.push(u8::try_from(self.number(16, 2) & 0xff).unwrap_or(0)),
                        b'u' | b'U' => {
                            let n = self.number(16, if e == b'u' { 4 } else { 8 });
                            let c = char::from_u32(n).unwrap_or('\u{fffd}');
                            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                        }
                        b'0'..=b'7' => {
                            self.at -= 1;
                            bytes.push(u8::try_from(self.number(8, 3) & 0xff).unwrap_or(0));
                        }
                        b'c' => {
                            let c = self.byte(self.at).unwrap_or(0);
                            self.at += 1;
                            bytes.push(c & 0x1f);
                        }
                        other => {
                            bytes.push(b'\\');
                            bytes.push(other);
                        }
                    }
                }
                other => bytes.push(other),
            }
        }
        // A NUL ends the string in bash.
        if let Some(end) = bytes.iter().position(|b| *b == 0) {
            bytes.truncate(end);
        }
        let text = String::from_utf8(bytes).map_err(|_| "holds text that is not UTF-8")?;
        word.pieces.push(Piece::Quoted(text));
        Ok(())
    }

    fn number(&mut self, base: u32, most: usize) -> u32 {
        let mut n = 0u32;
        for _ in 0..most {
            let Some(d) = self.byte(self.at).and_then(|b| char::from(b).to_digit(base)) else {
                break;
            };
            n = n.wrapping_mul(base).wrapping_add(d);
            self.at += 1;
        }
        n
    }
}

fn operand(slash: bool, double: bool, literal_quotes: bool) -> Mode {
    Mode::Operand { slash, double, literal_quotes }
}

fn bare(word: &mut Word, text: &str) {
    if let Some(Piece::Bare(last)) = word.pieces.last_mut() {
        last.push_str(text);
    } else {
        word.pieces.push(Piece::Bare(text.to_owned()));
    }
}

fn quoted(word: &mut Word, text: &str) {
    if let Some(Piece::Quoted(last)) = word.pieces.last_mut() {
        last.push_str(text);
    } else {
        word.pieces.push(Piece::Quoted(text.to_owned()));
    }
}

fn param(word: &mut Word, name: String, index: Option<Word>, op: ParamOp, quoted: bool) {
    word.pieces.push(Piece::Param(Box::new(Param { name, index, op, quoted })));
}
