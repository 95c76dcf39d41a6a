//! A parser of JSON5 that knows where everything is.
//!
//! General JSONC parsers take documents that JSON5 refuses (`{a-b: 1}`) and refuse some that it
//! takes (`'\"'`). An audit and an edit need the very tree that OpenClaw sees, so this follows the
//! JSON5 grammar to the letter; a differential test compares it with the `json5` package that
//! OpenClaw uses. What a Rust string or a JSON number cannot hold (a lone surrogate, `Infinity`) is
//! refused with its place rather than changed.

use serde_json::{Map, Number, Value};
use std::ops::Range;

/// Deeper nesting is refused: the parser recurses, and no configuration comes near it.
const MAX_DEPTH: usize = 256;

/// A value and its bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value's bytes, without the space and the comments around it.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// Kinds of value.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `true`, `false`, a number or a string.
    Leaf(Value),
    /// Items, and for each whether and where a comma follows.
    Array(Vec<Item>),
    /// Members in the order of the document; a name may occur twice, and the last one counts.
    Object(Vec<Member>),
}

/// An item of an array.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The value.
    pub value: Node,
    /// Where the comma behind it is.
    pub comma: Option<usize>,
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// The name, decoded.
    pub name: String,
    /// The name's bytes, with its quotes.
    pub name_span: Range<usize>,
    /// The value.
    pub value: Node,
    /// Where the comma behind it is.
    pub comma: Option<usize>,
}

/// Where and why a document is not JSON5.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {why}")]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Why.
    pub why: String,
}

impl Node {
    /// The plain value.
    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Leaf(value) => value.clone(),
            Kind::Array(items) => {
                Value::Array(items.iter().map(|item| item.value.to_value()).collect())
            }
            Kind::Object(members) => {
                let mut map = Map::new();
                for member in members {
                    map.insert(member.name.clone(), member.value.to_value());
                }
                Value::Object(map)
            }
        }
    }

    /// The member that counts for a name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        match &self.kind {
            Kind::Object(members) => members.iter().rev().find(|member| member.name == name),
            _ => None,
        }
    }

    /// The node at a path of names.
    pub fn at<S: AsRef<str>>(&self, path: &[S]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.member(name.as_ref()).map(|m| &m.value))
    }
}

/// Parses a document.
pub fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser { text, at: 0 };
    let node = parser.skip().and_then(|()| parser.value(0)).and_then(|node| {
        parser.skip()?;
        match parser.peek() {
            None => Ok(node),
            Some(c) => Err(format!("expected the end of the document, found `{c}`")),
        }
    });
    node.map_err(|why| {
        let (line, column) = place(text, parser.at);
        SyntaxError { line, column, why }
    })
}

/// Line and column of a byte, both from 1.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before.get(start..).map_or(0, |l| l.chars().count()) + 1)
}

/// Characters that JSON5 skips between tokens.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\u{b}' | '\u{c}' | ' ' | '\u{a0}' | '\u{feff}' | '\u{1680}')
        || matches!(c, '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
        || is_newline(c)
}

/// Characters that end a line, and with it a `//` comment.
pub(super) fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// Whether a name can be written without quotes. Beyond ASCII it is always quoted.
pub(super) fn is_plain_name(name: &str) -> bool {
    let start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    name.starts_with(start) && name.chars().all(|c| start(c) || c.is_ascii_digit())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// A reason; the place is where the parser stands.
type Parsed<T> = Result<T, String>;

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn unexpected(&self, wanted: &str) -> String {
        match self.peek() {
            None => format!("expected {wanted}, found the end of the document"),
            Some('“' | '”' | '„' | '‘' | '’') => {
                "a typographic quote, as web pages have them: write `\"`".to_owned()
            }
            Some(c) => format!("expected {wanted}, found `{}`", c.escape_debug()),
        }
    }

    fn skip(&mut self) -> Parsed<()> {
        loop {
            if self.eat("//") {
                while self.peek().is_some_and(|c| !is_newline(c)) {
                    self.next();
                }
            } else if self.rest().starts_with("/*") {
                let Some(end) = self.rest().get(2..).and_then(|rest| rest.find("*/")) else {
                    return Err("a comment that does not end".into());
                };
                self.at += end + 4;
            } else if self.peek().is_some_and(is_space) {
                self.next();
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Parsed<Node> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} deep"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"' | '\'') => Kind::Leaf(Value::String(self.string()?)),
            Some('n') if self.eat("null") => Kind::Leaf(Value::Null),
            Some('t') if self.eat("true") => Kind::Leaf(Value::Bool(true)),
            Some('f') if self.eat("false") => Kind::Leaf(Value::Bool(false)),
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'I' | 'N') => {
                Kind::Leaf(Value::Number(self.number()?))
            }
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { span: start..self.at, kind })
    }

    fn comma_or(&mut self, end: char) -> Parsed<Option<usize>> {
        self.skip()?;
        match self.peek() {
            Some(',') => {
                let comma = self.at;
                self.next();
                self.skip()?;
                Ok(Some(comma))
            }
            Some(c) if c == end => Ok(None),
            _ => Err(self.unexpected(&format!("`,` or `{end}`"))),
        }
    }

    fn array(&mut self, depth: usize) -> Parsed<Kind> {
        self.next();
        self.skip()?;
        let mut items = Vec::new();
        while !self.eat("]") {
            let value = self.value(depth + 1)?;
            let comma = self.comma_or(']')?;
            items.push(Item { value, comma });
        }
        Ok(Kind::Array(items))
    }

    fn object(&mut self, depth: usize) -> Parsed<Kind> {
        self.next();
        self.skip()?;
        let mut members = Vec::new();
        while !self.eat("}") {
            let start = self.at;
            let name = match self.peek() {
                Some('"' | '\'') => self.string()?,
                _ => self.name()?,
            };
            let name_span = start..self.at;
            self.skip()?;
            if !self.eat(":") {
                return Err(self.unexpected("`:`"));
            }
            self.skip()?;
            let value = self.value(depth + 1)?;
            let comma = self.comma_or('}')?;
            members.push(Member { name, name_span, value, comma });
        }
        Ok(Kind::Object(members))
    }

    fn name(&mut self) -> Parsed<String> {
        let mut name = String::new();
        loop {
            let from = self.at;
            let c = match self.peek() {
                Some('\\') => {
                    self.next();
                    if !self.eat("u") {
                        return Err(self.unexpected("`u`"));
                    }
                    let code = self.hex(4)?;
                    char::from_u32(code).ok_or_else(|| "not a character of a name".to_owned())?
                }
                Some(c) => {
                    self.next();
                    c
                }
                None => break,
            };
            let start = c == '_' || c == '$' || unicode_ident::is_xid_start(c);
            let joiner = matches!(c, '\u{200c}' | '\u{200d}');
            if !(start || (!name.is_empty() && (joiner || unicode_ident::is_xid_continue(c)))) {
                self.at = from;
                break;
            }
            name.push(c);
        }
        if name.is_empty() || self.peek() == Some('\\') {
            return Err(self.unexpected("a name"));
        }
        Ok(name)
    }

    fn hex(&mut self, digits: usize) -> Parsed<u32> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.peek().and_then(|c| c.to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.unexpected("a hexadecimal digit"))?;
            self.next();
        }
        Ok(code)
    }

    fn string(&mut self) -> Parsed<String> {
        let quote = self.next();
        let mut out = String::new();
        loop {
            let before = self.at;
            match self.next() {
                None => return Err("a string that does not end".into()),
                c if c == quote => return Ok(out),
                Some('\n' | '\r') => {
                    self.at = before;
                    return Err("a string that does not end on its line".into());
                }
                Some('\\') => self.escape(&mut out)?,
                Some(c) => out.push(c),
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Parsed<()> {
        let before = self.at;
        let Some(c) = self.next() else { return Err("a string that does not end".into()) };
        match c {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'v' => out.push('\u{b}'),
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => out.push('\0'),
            '0'..='9' => {
                self.at = before;
                return Err("a number escape, which JSON5 has not".into());
            }
            'x' => {
                let code = self.hex(2)?;
                out.extend(char::from_u32(code));
            }
            'u' => {
                let high = self.hex(4)?;
                let code = if (0xd800..0xdc00).contains(&high) && self.eat("\\u") {
                    let low = self.hex(4)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err("half of a surrogate pair".into());
                    }
                    0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                out.push(char::from_u32(code).ok_or("half of a surrogate pair")?);
            }
            '\r' => {
                self.eat("\n");
            }
            '\n' | '\u{2028}' | '\u{2029}' => {}
            other => out.push(other),
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Number> {
        let negative = self.peek() == Some('-');
        if matches!(self.peek(), Some('+' | '-')) {
            self.next();
        }
        if self.rest().starts_with("Infinity") || self.rest().starts_with("NaN") {
            return Err("a number that JSON cannot hold".into());
        }
        let value = if self.eat("0x") || self.eat("0X") {
            let mut value = f64::from(self.hex(1)?);
            while let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) {
                value = value * 16.0 + f64::from(digit);
                self.next();
            }
            value
        } else {
            self.decimal()?
        };
        let value = if negative { -value } else { value };
        // JSON has one kind of number; whole ones are kept whole, so that `1` and `1.0` are equal.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
            return Ok(Number::from(value as i64));
        }
        Number::from_f64(value).ok_or_else(|| "a number that JSON cannot hold".to_owned())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.next();
        }
        self.at - start
    }

    fn decimal(&mut self) -> Parsed<f64> {
        let start = self.at;
        let whole = if self.eat("0") { 1 } else { self.digits() };
        let fraction = if self.eat(".") { self.digits() } else { 0 };
        if whole + fraction == 0 {
            return Err(self.unexpected("a digit"));
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.next();
            if matches!(self.peek(), Some('+' | '-')) {
                self.next();
            }
            if self.digits() == 0 {
                return Err(self.unexpected("a digit"));
            }
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        text.parse().map_err(|_| format!("`{text}` is not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        parse(text).unwrap().to_value()
    }

    #[test]
    fn json5_is_read() {
        assert_eq!(
            value(
                "\u{feff}{ // c\n a: 'x\\'\\\"', $b_1: [1,], 'c d': +.5, e: 0xfF, f: 5., /**/ g: -1e2, ünï: 'a\\\r\nb', }"
            ),
            json!({"a":"x'\"","$b_1":[1],"c d":0.5,"e":255,"f":5,"g":-100,"ünï":"ab"})
        );
        assert_eq!(value(r#"{ a: 1, a: 2 }"#), json!({"a":2}));
        assert_eq!(value(r#"'\uD83D\uDE00\x41\0\v'"#), json!("😀A\0\u{b}"));
        assert_eq!(value(r#"{ \u0061b: null }"#), json!({"ab":null}));
    }

    #[test]
    fn what_json5_refuses_is_refused_with_its_place() {
        for text in [
            "",
            "{",
            "{a-b: 1}",
            "{1: 2}",
            "[,]",
            "{,}",
            "[1,,2]",
            "{a 1}",
            "{a: 1 b: 2}",
            "01",
            "0x",
            ".",
            "+ 5",
            "1e",
            "'a\nb'",
            r"'\1'",
            r"'\01'",
            "/* x",
            "[1] 2",
            "nullx",
            "'a",
            "Infinity",
            "-NaN",
            r"'\uD800'",
            r"'\uD800\u0041'",
            r"{ \u0031: 1 }",
            "truE",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let error = parse("{\n  a: “x”\n}").unwrap_err();
        assert_eq!((error.line, error.column), (2, 6));
        assert!(error.why.contains("typographic"), "{error}");
        assert!(parse(&"[".repeat(100_000)).unwrap_err().why.contains("deep"));
    }
}
