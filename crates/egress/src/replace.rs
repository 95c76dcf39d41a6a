//! Replacing texts in a stream, over any cut: placeholders by secrets on the way out, secrets by
//! placeholders on the way back.

use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What is looked for, and what takes its place.
pub struct Table {
    automaton: AhoCorasick,
    pairs: Vec<Pair>,
}

/// A text and its replacement; either may be a secret.
pub struct Pair {
    /// What is looked for; not empty.
    pub from: Zeroizing<Vec<u8>>,
    /// What takes its place.
    pub to: Zeroizing<Vec<u8>>,
}

impl Table {
    /// A table of these pairs; empty texts are left out. None if they do not fit.
    #[must_use]
    pub fn new(pairs: Vec<Pair>) -> Option<Arc<Self>> {
        let pairs: Vec<Pair> = pairs.into_iter().filter(|pair| !pair.from.is_empty()).collect();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(pairs.iter().map(|pair| pair.from.as_slice()))
            .ok()?;
        Some(Arc::new(Self { automaton, pairs }))
    }

    /// Replaces in a text that is there as a whole.
    #[must_use]
    pub fn replace(&self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let done = self.replace_into(bytes, &mut out);
        out.extend_from_slice(bytes.get(done..).unwrap_or_default());
        out
    }

    /// Replaces up to the end of the last match and gives that end.
    fn replace_into(&self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut done = 0;
        for found in self.automaton.find_iter(bytes) {
            out.extend_from_slice(bytes.get(done..found.start()).unwrap_or_default());
            if let Some(pair) = self.pairs.get(found.pattern().as_usize()) {
                out.extend_from_slice(&pair.to);
            }
            done = found.end();
        }
        done
    }

    /// Length of the longest end of the text that one of the patterns could begin with.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let longest = self.pairs.iter().map(|pair| pair.from.len() - 1).max().unwrap_or(0);
        let begins = |n: &usize| {
            let end = bytes.get(bytes.len() - n..).unwrap_or_default();
            self.pairs.iter().any(|pair| pair.from.len() > *n && pair.from.starts_with(end))
        };
        (1..=longest.min(bytes.len())).rev().find(begins).unwrap_or(0)
    }
}

/// Replaces in one stream.
pub struct Replacer {
    table: Arc<Table>,
    held: Zeroizing<Vec<u8>>,
}

impl Replacer {
    /// For a new stream.
    #[must_use]
    pub fn new(table: Arc<Table>) -> Self {
        Self { table, held: Zeroizing::default() }
    }

    /// Takes the next piece and gives what may go on now: not the end that could be the beginning
    /// of something.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.held.len());
        let done = self.table.replace_into(&self.held, &mut out);
        let rest = self.held.get(done..).unwrap_or_default();
        let keep = self.table.open_end(rest);
        let go = rest.len() - keep;
        out.extend_from_slice(rest.get(..go).unwrap_or_default());
        self.held.drain(..done + go);
        out
    }

    /// What was held back, once the stream has ended.
    #[must_use]
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(pairs: &[(&str, &str)]) -> Arc<Table> {
        let pair = |(from, to): &(&str, &str)| Pair {
            from: Zeroizing::new(from.as_bytes().to_vec()),
            to: Zeroizing::new(to.as_bytes().to_vec()),
        };
        Table::new(pairs.iter().map(pair).collect()).unwrap()
    }

    fn in_pieces(table: &Arc<Table>, text: &[u8], cut: usize) -> Vec<u8> {
        let mut replacer = Replacer::new(table.clone());
        let mut out = Vec::new();
        for piece in text.chunks(cut) {
            out.extend(replacer.pass(piece));
        }
        out.extend(replacer.rest());
        out
    }

    #[test]
    fn a_text_over_any_cut_is_replaced() {
        let table = table(&[("swph_a_00", "real"), ("swph_b_11", "")]);
        let text = b"x swph_swph_a_00swph_b_11, swph_a_0";
        for cut in 1..text.len() {
            assert_eq!(in_pieces(&table, text, cut), b"x swph_real, swph_a_0", "{cut}");
        }
    }

    #[test]
    fn only_what_could_go_on_waits() {
        let table = table(&[("secret", "x")]);
        let mut replacer = Replacer::new(table);
        assert_eq!(replacer.pass(b"all of this "), b"all of this ");
        assert_eq!(replacer.pass(b"a sec"), b"a ");
        assert_eq!(replacer.pass(b"ond"), b"second");
    }

    proptest! {
        #[test]
        fn pieces_give_what_the_whole_gives(text in "[ab]{0,60}", cut in 1usize..9) {
            let table = table(&[("aab", "1"), ("bba", "2")]);
            prop_assert_eq!(in_pieces(&table, text.as_bytes(), cut), table.replace(text.as_bytes()));
        }
    }
}
