//! Finding the fixed texts by which credentials are known, all of them in one pass.
//!
//! A vector search for the first bytes of all texts at once passes ordinary text at several bytes for each
//! instruction. Where it would stop too often, because a body is made of such beginnings, an automaton goes on
//! whose cost does not depend on what it reads.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, BuildError, Input, Span};

/// Bytes for each stop of the vector search, and a start, before the automaton takes over.
const EACH_STOP: usize = 64;
const FIRST_STOPS: usize = 64;

pub(super) struct Anchors {
    /// None where the processor has no such instructions, or there are too many texts.
    vectors: Option<Searcher>,
    automaton: AhoCorasick,
    /// Texts of the automaton by their first byte, with their numbers.
    texts: Vec<(Vec<u8>, usize)>,
    numbers: Vec<usize>,
    /// Texts of one byte: too frequent to stop at each.
    bytes: Vec<(u8, usize)>,
}

impl Anchors {
    /// For these texts, which are known by their place in the list.
    pub(super) fn new(texts: &[&[u8]]) -> Result<Self, BuildError> {
        let numbered = || texts.iter().enumerate();
        let bytes = numbered().filter_map(|(n, text)| match text {
            [byte] => Some((*byte, n)),
            _ => None,
        });
        let long: Vec<(&[u8], usize)> =
            numbered().filter(|(_, text)| text.len() > 1).map(|(n, text)| (*text, n)).collect();
        let automaton = AhoCorasick::builder().build(long.iter().map(|(text, _)| text))?;
        let vectors = Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .only_teddy(true)
            .heuristic_pattern_limits(false)
            .builder()
            .extend(long.iter().map(|(text, _)| text))
            .build();
        let mut sorted: Vec<(Vec<u8>, usize)> =
            long.iter().map(|(text, n)| (text.to_vec(), *n)).collect();
        sorted.sort();
        Ok(Self {
            vectors,
            automaton,
            texts: sorted,
            numbers: long.iter().map(|(_, n)| *n).collect(),
            bytes: bytes.collect(),
        })
    }

    /// Calls `check` with the number of a text and where it stands, for each occurrence, until it says
    /// that one is what was looked for.
    pub(super) fn any(
        &self,
        bytes: &[u8],
        mut check: impl FnMut(usize, usize, usize) -> bool,
    ) -> bool {
        for (byte, number) in &self.bytes {
            if memchr::memchr_iter(*byte, bytes).any(|at| check(*number, at, at + 1)) {
                return true;
            }
        }
        let mut at = 0;
        if let Some(vectors) = &self.vectors {
            let mut stops = 0;
            loop {
                let Some(found) = vectors.find_in(bytes, Span::from(at..bytes.len())) else {
                    return false;
                };
                stops += 1;
                if stops * EACH_STOP > found.start() + FIRST_STOPS * EACH_STOP {
                    break;
                }
                let rest = bytes.get(found.start()..).unwrap_or_default();
                let first = rest.get(..1).unwrap_or_default();
                // All that begin here, also inside of each other.
                let from = self.texts.partition_point(|(text, _)| text.as_slice() < first);
                let same =
                    self.texts.iter().skip(from).take_while(|(text, _)| text.starts_with(first));
                for (text, number) in same {
                    if rest.starts_with(text)
                        && check(*number, found.start(), found.start() + text.len())
                    {
                        return true;
                    }
                }
                at = found.start() + 1;
            }
        }
        let rest = Input::new(bytes).span(at..bytes.len());
        self.automaton.find_overlapping_iter(rest).any(|found| {
            let number = self.numbers.get(found.pattern().as_usize());
            number.is_some_and(|number| check(*number, found.start(), found.end()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXTS: [&[u8]; 6] = [b"aba", b"ab", b"ababab", b".", b"bbc", b"cab"];

    fn all(anchors: &Anchors, bytes: &[u8]) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        anchors.any(bytes, |number, start, end| {
            found.push((start, end, number));
            false
        });
        found.sort_unstable();
        found
    }

    fn plain(bytes: &[u8]) -> Vec<(usize, usize, usize)> {
        let mut found = Vec::new();
        for start in 0..bytes.len() {
            for (number, text) in TEXTS.iter().enumerate() {
                if bytes[start..].starts_with(text) {
                    found.push((start, start + text.len(), number));
                }
            }
        }
        found.sort_unstable();
        found
    }

    #[test]
    fn a_text_of_nothing_but_beginnings() {
        let anchors = Anchors::new(&TEXTS).unwrap();
        for n in [1, 500, 3000] {
            let bytes = b"ababc.".repeat(n);
            assert_eq!(all(&anchors, &bytes), plain(&bytes), "{n}");
        }
    }

    proptest! {
        #[test]
        fn every_occurrence_is_found(text in "[abc.x]{0,200}") {
            let mut anchors = Anchors::new(&TEXTS).unwrap();
            prop_assert_eq!(all(&anchors, text.as_bytes()), plain(text.as_bytes()));
            anchors.vectors = None;
            prop_assert_eq!(all(&anchors, text.as_bytes()), plain(text.as_bytes()));
        }
    }
}
