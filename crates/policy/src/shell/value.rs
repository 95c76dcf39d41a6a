//! What is known about a word after expansion.
//!
//! A value is text in which four characters of Unicode's private area stand for what is not
//! known. When the analysed text itself holds one of them it is taken for the unknown, too, so
//! that no input can be mistaken for something known.

use super::Source;

/// Any text at all.
pub(super) const ANY: char = '\u{f8f0}';
/// Text without slash, blank, quote or leading dash that is not `.` or `..`: a number, a date,
/// a random name.
pub(super) const NAME: char = '\u{f8f1}';
/// Part of a file name, from a glob.
pub(super) const GLOB: char = '\u{f8f2}';
/// Any path below the folder so far, without `..`.
pub(super) const BELOW: char = '\u{f8f3}';

/// One field of a command, or the value of a variable.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Val {
    pub text: String,
    /// Where its content comes from, beyond the command line itself.
    pub from: Vec<Source>,
    /// Stands for none or several fields.
    pub many: bool,
}

impl Val {
    pub(super) fn known(text: impl Into<String>) -> Self {
        Self { text: text.into(), from: Vec::new(), many: false }
    }

    pub(super) fn any(from: Vec<Source>) -> Self {
        Self { text: ANY.to_string(), from, many: false }
    }

    pub(super) fn name() -> Self {
        Self::known(NAME)
    }

    /// Nothing in it is unknown.
    pub(super) fn is_known(&self) -> bool {
        !self.many && !self.text.contains([ANY, NAME, GLOB, BELOW])
    }

    /// Holds a part of which nothing is known.
    pub(super) fn has_any(&self) -> bool {
        self.text.contains(ANY)
    }

    /// May stand for another number of fields than one, so that the places of what comes behind
    /// it are not known.
    pub(super) fn spreads(&self) -> bool {
        self.many || self.text.contains([GLOB, BELOW])
    }

    pub(super) fn starts_unknown(&self) -> bool {
        self.many || self.text.starts_with([ANY, GLOB])
    }

    pub(super) fn push(&mut self, other: &Val) {
        // `x=$x$x` doubles with every turn: what grows beyond this is not known any more.
        const MOST: usize = 1 << 17;
        if self.text.len() + other.text.len() > MOST {
            self.text = ANY.to_string();
        } else {
            self.text.push_str(&other.text);
        }
        merge(&mut self.from, &other.from);
        self.many |= other.many;
    }
}

/// Adds sources that are not there yet. Bounded: a value that has more origins than this keeps
/// the first ones and counts as coming from everywhere.
pub(super) fn merge(into: &mut Vec<Source>, more: &[Source]) {
    const MOST: usize = 64;
    for source in more {
        if into.len() >= MOST {
            let everywhere = Source::Program(String::new());
            if !into.contains(&everywhere) {
                into.push(everywhere);
            }
            return;
        }
        if !into.contains(source) {
            into.push(source.clone());
        }
    }
}

/// The text with readable marks in place of the unknown parts.
pub(super) fn show(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(80) {
        match c {
            ANY | NAME => out.push_str("<?>"),
            GLOB => out.push('*'),
            BELOW => out.push_str("**"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Matches a whole text against a pattern in which [`GLOB`] stands for any run of characters.
/// Linear backtracking over the last star only.
pub(super) fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(&GLOB) => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((sp, st)) => {
                    star = Some((sp, st + 1));
                    p = sp + 1;
                    t = st + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == GLOB)
}
