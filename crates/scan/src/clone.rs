//! Near-duplicates of known skills, and names that imitate them.
//!
//! The index holds no text: for each known skill a sketch of its `SKILL.md` (the smallest hashes
//! of its five-word shingles), its hosts, its name. It is data, and can be exchanged.

use crate::text::{unicode, urls};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Hashes kept of a skill.
const SKETCH: usize = 96;
/// Words of a shingle.
const WIDTH: usize = 5;

/// A known skill.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// Its slug.
    pub name: String,
    /// Who publishes it.
    pub publisher: String,
    /// SHA-256 of its `SKILL.md`.
    pub digest: String,
    /// The smallest shingle hashes, ascending.
    pub sketch: Vec<u32>,
    /// Hosts that it names.
    pub hosts: BTreeSet<String>,
}

/// The index of known skills.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// The skills.
    pub known: Vec<Known>,
}

/// What the index says about a skill.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kinship {
    /// The very file.
    Same,
    /// Almost the file; the hosts are new.
    Changed {
        of: String,
        share: u32,
        hosts: Vec<String>,
    },
    /// Another skill under a name that imitates.
    Imitates {
        of: String,
    },
    None,
}

impl Index {
    /// The index that is inside the binary.
    ///
    /// # Errors
    /// When the data is malformed.
    pub fn shipped() -> Result<Self, serde_json::Error> {
        serde_json::from_str(include_str!("../../../content/scan/index.json"))
    }

    /// Adds a skill.
    pub fn learn(&mut self, name: &str, publisher: &str, text: &str) {
        self.known.push(Known {
            name: name.to_owned(),
            publisher: publisher.to_owned(),
            digest: digest(text),
            sketch: sketch(text),
            hosts: hosts(text),
        });
    }

    pub(crate) fn kinship(&self, name: &str, text: &str) -> Kinship {
        let own = digest(text);
        if self.known.iter().any(|k| k.digest == own) {
            return Kinship::Same;
        }
        let mine = sketch(text);
        let best =
            self.known.iter().map(|k| (share(&mine, &k.sketch), k)).max_by(|a, b| a.0.cmp(&b.0));
        if let Some((share, known)) = best.filter(|(share, _)| *share >= 60) {
            let added: Vec<String> = hosts(text).difference(&known.hosts).cloned().collect();
            return Kinship::Changed { of: known.name.clone(), share, hosts: added };
        }
        let lower = name.to_lowercase();
        let folded = unicode::fold(name);
        for known in &self.known {
            if known.name.len() < 5 || known.name == lower {
                continue;
            }
            let homoglyph = folded == known.name && lower != known.name;
            let swapped = lower != known.name
                && lower.replace(['-', '_', '.'], "") == known.name.replace(['-', '_', '.'], "");
            if homoglyph || swapped || (known.name.len() >= 7 && distance_one(&lower, &known.name))
            {
                return Kinship::Imitates { of: known.name.clone() };
            }
        }
        Kinship::None
    }
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

fn hosts(text: &str) -> BTreeSet<String> {
    urls::find(text, 400).into_iter().map(|u| urls::registered(&u.host).to_owned()).collect()
}

fn sketch(text: &str) -> Vec<u32> {
    let folded = unicode::fold(text.get(..text.len().min(256 << 10)).unwrap_or(text));
    let words: Vec<&str> =
        folded.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect();
    let mut all: Vec<u32> = words.windows(WIDTH).map(hash).collect();
    all.sort_unstable();
    all.dedup();
    all.truncate(SKETCH);
    all
}

/// FNV-1a over the words of a shingle: stable between versions, which a shipped index needs.
fn hash(words: &[&str]) -> u32 {
    let mut state = 0x811c_9dc5u32;
    for word in words {
        for b in word.bytes().chain(std::iter::once(b' ')) {
            state = (state ^ u32::from(b)).wrapping_mul(0x0100_0193);
        }
    }
    // Mixes the high bits in: FNV's own low bits are regular.
    state ^= state >> 15;
    state.wrapping_mul(0x2c1b_3c6d) ^ (state >> 13)
}

/// Share of shingles in common, in percent, estimated from the two bottom sketches.
fn share(a: &[u32], b: &[u32]) -> u32 {
    if a.len() < 16 || b.len() < 16 {
        return 0;
    }
    let mut union: Vec<u32> = a.iter().chain(b).copied().collect();
    union.sort_unstable();
    union.dedup();
    union.truncate(SKETCH);
    let both =
        union.iter().filter(|h| a.binary_search(h).is_ok() && b.binary_search(h).is_ok()).count();
    u32::try_from(both * 100 / union.len().max(1)).unwrap_or(0)
}

/// One letter added, dropped, changed, or two neighbours swapped.
fn distance_one(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if long.len() - short.len() > 1 || a == b {
        return false;
    }
    let start = short.iter().zip(long.iter()).take_while(|(x, y)| x == y).count();
    let rest = |v: &[char], from: usize| v.get(from..).unwrap_or(&[]).to_vec();
    if short.len() < long.len() {
        return rest(short, start) == rest(long, start + 1);
    }
    let swapped = short.get(start) == long.get(start + 1)
        && short.get(start + 1) == long.get(start)
        && rest(short, start + 2) == rest(long, start + 2);
    rest(short, start + 1) == rest(long, start + 1) || swapped
}
