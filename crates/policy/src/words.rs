//! The person's own words: what they ask for, and what they name.
//!
//! Words of the person behind a session carry authority that nothing else has. Two things are
//! read from them: which kinds of act they ask for (`content/policy/intent.toml`, a lexicon of
//! ordinary verbs), and whether they contain a value. Neither is a guess about a text of others:
//! outside content never gets here.

use crate::catalogue::Verb;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Longest part of one message that is kept.
const MAX_MESSAGE: usize = 16 * 1024;
/// Messages whose values are remembered.
const MAX_MESSAGES: usize = 64;
/// Messages whose wishes still count: a wish of long ago does not license an act of now.
const FRESH: usize = 6;

const INTENT: &str = include_str!("../../../content/policy/intent.toml");

/// The lexicon as it stands in its file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lexicon {
    /// Words by act.
    acts: BTreeMap<String, Vec<String>>,
    /// Phrases that hand the choice of a target to the agent.
    selects: Vec<String>,
    /// Phrases that hand the task itself to a document.
    delegates: Vec<String>,
    /// Words by which a person means themselves.
    myself: Vec<String>,
    /// What says where something is to be found.
    finds: Vec<String>,
    /// What names somebody's address.
    addresses: Vec<String>,
    /// Words that turn what follows into its opposite.
    negates: Vec<String>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| toml::from_str(INTENT).unwrap_or_default());

/// Kinds of act that words can ask for, coarser than verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Tell somebody something.
    Send,
    /// Give access.
    Grant,
    /// Take access away.
    Revoke,
    /// Make something new.
    Create,
    /// Change something.
    Change,
    /// Remove something.
    Remove,
    /// Move money.
    Pay,
    /// Publish.
    Post,
}

impl Act {
    /// The act that a verb belongs to.
    #[must_use]
    pub fn of(verb: Verb) -> Option<Self> {
        Some(match verb {
            Verb::Send => Self::Send,
            Verb::Grant => Self::Grant,
            Verb::Revoke => Self::Revoke,
            Verb::Create => Self::Create,
            Verb::Change | Verb::Config => Self::Change,
            Verb::Remove => Self::Remove,
            Verb::Pay => Self::Pay,
            Verb::Post => Self::Post,
            _ => return None,
        })
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Message {
    /// Folded text with a space at both ends.
    text: String,
    acts: u16,
    selects: bool,
    delegates: bool,
    myself: bool,
    /// Which words may be in the text: most values that are looked up are not. Nothing at all says
    /// nothing.
    #[serde(default)]
    sieve: Sieve,
}

/// A set of words that may hold more than was put in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Sieve([u64; 8]);

impl Sieve {
    /// Of the words of a folded text.
    fn of(text: &str) -> Self {
        let mut sieve = Self::default();
        for word in text.split(|c| !joins(c)).filter(|word| !word.is_empty()) {
            let (slot, bit) = Self::place(word);
            if let Some(slot) = sieve.0.get_mut(slot) {
                *slot |= bit;
            }
        }
        sieve
    }

    fn place(word: &str) -> (usize, u64) {
        // FNV-1a: short words, and nothing to gain for who finds two alike.
        let hash = word.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
        });
        ((hash >> 61) as usize, 1 << (hash >> 20 & 63))
    }

    /// Whether [`holds`] may find a value in the text.
    fn may_hold(&self, needle: &str) -> bool {
        let end = needle.find(|c| !joins(c)).unwrap_or(needle.len());
        let word = needle.get(..end).unwrap_or_default();
        // A value that begins or ends with a sign may stand inside of a word.
        let whole = word.chars().next().is_some_and(char::is_alphanumeric)
            && (end < needle.len() || word.chars().next_back().is_some_and(char::is_alphanumeric));
        if !whole || self.0 == [0; 8] {
            return true;
        }
        let (slot, bit) = Self::place(word);
        self.0.get(slot).is_some_and(|slot| slot & bit != 0)
    }
}

/// Whether a character makes a longer word of what stands beside it.
fn joins(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@')
}

/// The words of a session, newest last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    messages: Vec<Message>,
    /// Sentences that say where somebody's address is to be found.
    pointing: Vec<Message>,
}

/// Lower case, white space folded; what values are compared in.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = true;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            if !space {
                out.push(' ');
            }
            space = true;
        } else {
            // Invisible characters would make equal things different.
            if matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}') {
                continue;
            }
            let c = match c {
                '\u{2018}' | '\u{2019}' => '\'',
                '\u{201c}' | '\u{201d}' => '"',
                c => c,
            };
            out.extend(c.to_lowercase());
            space = false;
        }
    }
    if out.ends_with(' ') {
        out.pop();
    }
    out
}

/// The sentences of a folded text.
fn sentences(folded: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(folded);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = [". ", "! ", "? ", "; "].iter().filter_map(|mark| text.find(mark)).min();
        rest = end.and_then(|at| text.get(at + 2..));
        Some(end.and_then(|at| text.get(..at)).unwrap_or(text))
    })
}

/// Puts the space behind a full stop that hasty writers leave out ("on example.org.They said"), so
/// that the address before it is read as the person meant it.
fn spaced(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '.' && before.is_alphanumeric() && chars.peek().is_some_and(|n| n.is_uppercase()) {
            out.push(' ');
        }
        before = c;
    }
    out
}

/// A text without what it forbids: from a word that negates to the end of its clause. Whoever says
/// "never write to bob" names an act and a target, and asks for neither. What is left out by
/// mistake costs a question.
fn wishes(folded: &str) -> String {
    // Behind these the same words are a wish after all ("don't forget to write to bob").
    const FULFILS: &[&str] =
        &["forget", "only", "hesitate", "later than", "more than", "less than", "fail to"];
    let mut out = String::with_capacity(folded.len());
    let mut rest = folded;
    while let Some((at, len)) = negation(rest) {
        let (before, behind) =
            (rest.get(..at).unwrap_or_default(), rest.get(at + len..).unwrap_or_default());
        let fulfils = FULFILS.iter().any(|word| behind.trim_start().starts_with(word));
        out.push_str(before);
        let end = if fulfils { 0 } else { clause_end(behind) };
        if fulfils {
            out.push_str(rest.get(at..at + len).unwrap_or_default());
        } else {
            // What stands on either side must not become one.
            out.push_str(" . ");
        }
        rest = behind.get(end..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A text without what it quotes: whoever asks whether "send it to bob" is spam does not ask for it.
/// Names count in quotation marks as well; they are looked for in the whole text.
fn unquoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\'']) {
        let (before, mark) =
            (rest.get(..at).unwrap_or_default(), rest.get(at..=at).unwrap_or_default());
        let inside = rest.get(at + 1..).unwrap_or_default();
        let joined = |c: char| c.is_alphanumeric();
        // An apostrophe stands in a word, or behind one.
        let opens = !before.ends_with(joined) && inside.starts_with(|c: char| !c.is_whitespace());
        let end = inside
            .match_indices(mark)
            .map(|(end, _)| end)
            .find(|end| !inside.get(end + 1..).unwrap_or_default().starts_with(joined));
        out.push_str(before);
        match end.filter(|_| opens) {
            Some(end) => {
                out.push_str(" . ");
                rest = inside.get(end + 1..).unwrap_or_default();
            }
            None => {
                out.push_str(mark);
                rest = inside;
            }
        }
    }
    out.push_str(rest);
    out
}

/// Where the first word that negates stands, and how long it is.
fn negation(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|t| t.find(|c: char| c.is_alphabetic())) {
        let start = from + start;
        let word = text.get(start..).unwrap_or_default();
        let len = word.find(|c: char| !(c.is_alphanumeric() || c == '\'')).unwrap_or(word.len());
        let word = word.get(..len).unwrap_or_default();
        // `not` in an address or a path is a part of a name.
        let alone = !text.get(..start).is_some_and(|t| t.ends_with(['.', '@', '/', '-', '_', '#']))
            && !text.get(start + len..).is_some_and(|t| {
                t.starts_with(['@', '/', '-', '_'])
                    || t.strip_prefix('.').is_some_and(|t| t.starts_with(char::is_alphanumeric))
            });
        if alone
            && (LEXICON.negates.iter().any(|n| n == word)
                || word.ends_with("n't")
                || word.starts_with("n'"))
        {
            return Some((start, len));
        }
        from = start + len.max(1);
    }
    None
}

/// Where a clause ends: at a mark, or at a word that begins another.
fn clause_end(text: &str) -> usize {
    let mark = |(at, c): (usize, char)| {
        let next = text.get(at + c.len_utf8()..).and_then(|t| t.chars().next());
        let ends = next.is_none_or(|n| n == ' ' || matches!(n, '"' | '\''));
        (matches!(c, ',' | ';' | '!' | '?' | '.' | ':' | ')') && ends).then_some(at)
    };
    let marked = text.char_indices().find_map(mark).unwrap_or(text.len());
    [" but ", " instead ", " aber ", " sondern ", " mais ", " pero "]
        .iter()
        .filter_map(|word| text.find(word))
        .fold(marked, usize::min)
}

/// Whether `hay` (folded) holds `needle` (folded) not as a part of a longer word, address or
/// number.
#[must_use]
pub fn holds(hay: &str, needle: &str) -> bool {
    if needle.is_empty() {
        return false;
    }
    let mut from = 0;
    while let Some(at) = hay.get(from..).and_then(|h| h.find(needle)) {
        let start = from + at;
        let end = start + needle.len();
        let before = hay.get(..start).and_then(|h| h.chars().next_back());
        let mut after = hay.get(end..).unwrap_or_default().chars();
        let (next, then) = (after.next(), after.next());
        // `a.com` is not named by `evil-a.com` nor by `a.com.evil`; a full stop at the end is
        // punctuation.
        let starts = needle.chars().next().is_some_and(char::is_alphanumeric);
        let ends = needle.chars().next_back().is_some_and(char::is_alphanumeric);
        let open = before.is_none_or(|c| !(starts && (joins(c) || matches!(c, '-' | '.' | '/'))));
        let close = next.is_none_or(|c| {
            !(ends
                && (joins(c)
                    || (matches!(c, '.' | '-' | '/') && then.is_some_and(char::is_alphanumeric))))
        });
        if open && close {
            return true;
        }
        from = start + needle.chars().next().map_or(1, char::len_utf8);
    }
    false
}

/// Words behind which a word that is a noun as well is one: "the email", "by text".
const BEFORE_NOUNS: &[&str] = &[
    "the",
    "a",
    "an",
    "my",
    "his",
    "her",
    "their",
    "our",
    "your",
    "this",
    "that",
    "these",
    "those",
    "of",
    "in",
    "from",
    "via",
    "by",
    "any",
    "each",
    "every",
    "all",
    "new",
    "last",
    "latest",
    "unread",
    "received",
    "sent",
    "direct",
    "other",
    "no",
    "which",
    "what",
    "first",
    "next",
    "recent",
    "following",
    "per",
    "with",
    "or",
    "s",
    "'s",
];
/// Words that ask the agent to answer the person, and not to write to others, before "me".
const TOLD: &[&str] =
    &["tell", "inform", "notify", "ask", "remind", "answer", "respond", "let know"];

/// Whether a text asks for an act by a phrase: as a verb, and not merely for an answer.
fn asks_for(hay: &str, phrase: &str) -> bool {
    let mut from = 0;
    while let Some(at) = hay.get(from..).and_then(|h| h.find(phrase)) {
        let start = from + at;
        let end = start + phrase.len();
        from = end;
        // Look at the phrase with one word on either side.
        let before = hay.get(..start).unwrap_or_default().trim_end();
        let after = hay.get(end..).unwrap_or_default();
        if !holds_at(hay, start, end) {
            continue;
        }
        let previous =
            before.rsplit(|c: char| !c.is_alphanumeric() && c != '\'').next().unwrap_or_default();
        let following =
            after.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let noun = BEFORE_NOUNS.contains(&previous) && before.len() + 1 == start;
        let answer = TOLD.contains(&phrase) && matches!(following, "me" | "us" | "myself");
        if !noun && !answer {
            return true;
        }
    }
    false
}

/// Whether a place in a text is a whole word.
fn holds_at(hay: &str, start: usize, end: usize) -> bool {
    let before = hay.get(..start).and_then(|h| h.chars().next_back());
    let after = hay.get(end..).and_then(|h| h.chars().next());
    let first =
        hay.get(start..end).and_then(|w| w.chars().next()).is_some_and(char::is_alphanumeric);
    let last =
        hay.get(start..end).and_then(|w| w.chars().next_back()).is_some_and(char::is_alphanumeric);
    let joined_before =
        before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-' | '/'));
    let joined_after = after.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '@'));
    !((first && joined_before) || (last && joined_after))
}

impl Words {
    /// Adds a message of the person.
    pub fn add(&mut self, text: &str) {
        let mut end = text.len().min(MAX_MESSAGE);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let folded = wishes(&fold(&spaced(text.get(..end).unwrap_or_default())));
        let asked = unquoted(&folded);
        let mut acts = 0;
        for (name, phrases) in &LEXICON.acts {
            let Ok(act) = serde_json::from_value::<Act>(serde_json::Value::String(name.clone()))
            else {
                continue;
            };
            if phrases.iter().any(|p| asks_for(&asked, p)) {
                acts |= act.bit();
            }
        }
        let any = |phrases: &[String]| phrases.iter().any(|p| holds(&folded, p));
        let message = Message {
            acts,
            selects: any(&LEXICON.selects),
            delegates: any(&LEXICON.delegates),
            myself: any(&LEXICON.myself),
            sieve: Sieve::of(&folded),
            text: folded,
        };
        for sentence in sentences(&message.text) {
            let any = |phrases: &[String]| phrases.iter().any(|p| holds(sentence, p));
            if any(&LEXICON.finds) && any(&LEXICON.addresses) {
                if self.pointing.len() >= FRESH {
                    self.pointing.remove(0);
                }
                self.pointing.push(Message {
                    text: sentence.to_owned(),
                    acts: 0,
                    selects: false,
                    delegates: false,
                    myself: false,
                    sieve: Sieve::of(sentence),
                });
            }
        }
        if self.messages.len() >= MAX_MESSAGES {
            self.messages.remove(0);
        }
        self.messages.push(message);
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn fresh(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().rev().take(FRESH)
    }

    /// Whether recent words ask for this kind of act.
    #[must_use]
    pub fn license(&self, verb: Verb) -> bool {
        Act::of(verb).is_some_and(|act| self.fresh().any(|m| m.acts & act.bit() != 0))
    }

    /// Whether recent words leave the choice of a target to the agent.
    #[must_use]
    pub fn selects(&self) -> bool {
        self.fresh().any(|m| m.selects)
    }

    /// Whether recent words hand the task to a document.
    #[must_use]
    pub fn delegates(&self) -> bool {
        self.fresh().any(|m| m.delegates)
    }

    /// Whether recent words name the person themselves as a target.
    #[must_use]
    pub fn myself(&self) -> bool {
        self.fresh().any(|m| m.myself)
    }

    /// Whether the words contain a value (given folded).
    #[must_use]
    pub fn name(&self, folded: &str) -> bool {
        self.messages.iter().rev().any(|m| m.sieve.may_hold(folded) && holds(&m.text, folded))
    }

    /// Whether the person said that somebody's address stands in what has this name (given folded).
    #[must_use]
    pub fn points_at(&self, folded: &str) -> bool {
        self.pointing.iter().any(|m| m.sieve.may_hold(folded) && holds(&m.text, folded))
    }

    /// The folded texts, newest first.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.messages.iter().rev().map(|m| m.text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        let mut words = Words::default();
        words.add(text);
        words
    }

    #[test]
    fn a_quotation_asks_for_nothing() {
        let w = words(
            "The mail says 'send it to bob@x.example': is that spam? What\u{2019}s Ann's view?",
        );
        assert!(!w.license(Verb::Send));
        assert!(w.name("bob@x.example"));
        let w = words("Send Ann's file to the boss' address, with 'minutes of May' as its subject");
        assert!(w.license(Verb::Send));
        assert!(w.name("minutes of may"));
        assert!(words("don't forget: mail it to \u{201c}ann@x.org").license(Verb::Send));
    }

    #[test]
    fn a_sentence_points_at_what_it_names() {
        let w =
            words("Read a.example. You can find her e-mail on her page: b.example/ann! Thanks.");
        assert!(w.points_at("b.example/ann"));
        assert!(!w.points_at("a.example"));
        assert!(words("his IBAN is in people.txt").points_at("people.txt"));
        for text in [
            "send the report in people.txt to the client",
            "you can find the minutes in people.txt",
            "never use the email address that is in people.txt",
        ] {
            assert!(!words(text).points_at("people.txt"), "{text}");
        }
    }

    #[test]
    fn a_prohibition_is_no_wish() {
        for text in [
            "never kick ada",
            "do not remove ada from the group",
            "Don\u{2019}t delete the file of ada!",
            "answer them, but don't remove ada",
            "bitte nie ada entfernen, und nicht ada entfernen",
        ] {
            let words = words(text);
            assert!(!words.license(Verb::Remove), "{text}");
            assert!(!words.license(Verb::Revoke), "{text}");
            assert!(!words.name("ada"), "{text}");
        }
        for text in [
            "don't forget to delete the file of ada",
            "if you can't find the notes, delete the file of ada",
            "remove not only eve: delete the file of ada",
            "open do-not-reply.md and delete the file of ada",
        ] {
            let words = words(text);
            assert!(words.license(Verb::Remove), "{text}");
            assert!(words.name("ada"), "{text}");
        }
    }

    proptest::proptest! {
        /// The sieve keeps nothing back that is there.
        #[test]
        fn a_sieve_lets_through_what_is_held(
            text in "[a-c_@./ -]{0,24}", needle in "[a-c_@./ -]{1,6}"
        ) {
            let folded = fold(&text);
            if holds(&folded, &needle) {
                proptest::prop_assert!(Sieve::of(&folded).may_hold(&needle));
            }
        }
    }

    #[test]
    fn the_lexicon_loads_and_every_act_is_known() {
        let lexicon: Lexicon = toml::from_str(INTENT).unwrap();
        for name in lexicon.acts.keys() {
            serde_json::from_value::<Act>(serde_json::Value::String(name.clone()))
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        assert!(lexicon.acts.len() >= 8);
    }

    #[test]
    fn words_license_what_they_ask_for() {
        assert!(words("Please send Ann the minutes").license(Verb::Send));
        assert!(!words("What did Ann write?").license(Verb::Send));
        assert!(!words("Tell me when the next class is").license(Verb::Send));
        assert!(!words("It is in the email I received").license(Verb::Send));
        assert!(words("Read the page and email Ann about it").license(Verb::Send));
        assert!(words("cancel tomorrow's meeting").license(Verb::Remove));
        assert!(!words("cancel tomorrow's meeting").license(Verb::Pay));
    }

    #[test]
    fn an_old_wish_does_not_license() {
        let mut w = words("delete the draft");
        for _ in 0..FRESH {
            w.add("what is next");
        }
        assert!(!w.license(Verb::Remove));
        assert!(w.name("draft"));
    }

    #[test]
    fn a_value_is_named_as_a_whole() {
        let w = words("Mail ann@x.org. See https://x.org/a and the file a-b.txt");
        assert!(w.name("ann@x.org"));
        assert!(!w.name("n@x.org"));
        assert!(!w.name("x.org/a/b"));
        assert!(w.name("a-b.txt"));
        assert!(!w.name("b.txt"));
        assert!(!words("go to a.com.evil.net").name("a.com"));
    }
}
