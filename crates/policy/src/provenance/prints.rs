//! Fingerprints of text: winnowing over normalised characters, so that a passage is recognised
//! in another layout, case or punctuation, and as a part of another text.

use super::decode::untag;
use unicode_normalization::UnicodeNormalization as _;
use unicode_security::confusable_detection::skeleton;

/// Characters in one gram.
const GRAM: usize = 12;
/// Grams of which the smallest hash is kept. Any shared passage of `GRAM + WINDOW - 1` = 19
/// normalised characters is found.
const WINDOW: usize = 8;

/// Fingerprints of a text.
#[must_use]
pub fn of(text: &str) -> Vec<u64> {
    if text.is_ascii() {
        winnow(&plain(text), |b| u64::from(*b))
    } else {
        let mut chars: Vec<u32> = Vec::with_capacity(text.len());
        for c in text.chars() {
            letters(c, &mut chars);
        }
        winnow(&chars, |c| u64::from(*c))
    }
}

/// Letters and digits of a text in ASCII, small.
fn plain(text: &str) -> Vec<u8> {
    let mut kept = vec![0; text.len()];
    let mut len = 0;
    for byte in text.bytes() {
        if let Some(slot) = kept.get_mut(len) {
            *slot = byte.to_ascii_lowercase();
        }
        len += usize::from(byte.is_ascii_alphanumeric());
    }
    kept.truncate(len);
    kept
}

/// A character as it is compared: small, and plain where another merely looks like it.
fn letters(c: char, out: &mut Vec<u32>) {
    if c.is_ascii() {
        if c.is_ascii_alphanumeric() {
            out.push(u32::from(c.to_ascii_lowercase()));
        }
        return;
    }
    for c in std::iter::once(untag(c)).nfkc() {
        if !c.is_alphanumeric() {
            continue;
        }
        let like = |text: &str| skeleton(text).next().filter(char::is_ascii_alphanumeric);
        // One character that looks like one of ASCII; a letter with a mark is another letter.
        let plain = if c.is_ascii() {
            Some(c)
        } else {
            let mut buffer = [0u8; 4];
            let text: &str = c.encode_utf8(&mut buffer);
            like(text).filter(|_| skeleton(text).count() == 1)
        };
        match plain {
            Some(c) => out.push(u32::from(c.to_ascii_lowercase())),
            None => out.extend(c.to_lowercase().map(u32::from)),
        }
    }
}

/// The smallest hash of every window of grams, each kept once in a row.
fn winnow<C>(chars: &[C], number: impl Fn(&C) -> u64) -> Vec<u64> {
    // Rolling polynomial hash modulo 2^64, mixed before comparison.
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    if chars.len() < GRAM {
        return Vec::new();
    }
    let top = (0..GRAM).fold(1u64, |p, _| p.wrapping_mul(BASE));
    let numbers = || chars.iter().map(|c| number(c).wrapping_add(1));
    let (first, later) = chars.split_at(GRAM);
    let mut hash = first
        .iter()
        .fold(0u64, |h, c| h.wrapping_mul(BASE).wrapping_add(number(c).wrapping_add(1)));
    let mut least = Vec::with_capacity(later.len() + 1);
    least.push(mix(hash));
    for (new, old) in numbers().skip(GRAM).zip(numbers()) {
        let changed = new.wrapping_sub(old.wrapping_mul(top));
        hash = hash.wrapping_mul(BASE).wrapping_add(changed);
        least.push(mix(hash));
    }
    // The least of two, of four, of eight neighbours.
    const { assert!(WINDOW == 8) };
    if least.len() < WINDOW {
        return least.into_iter().min().into_iter().collect();
    }
    for step in [1, 2, 4] {
        let further = least.get(step..).unwrap_or_default();
        least = least.iter().zip(further).map(|(one, other)| *one.min(other)).collect();
    }
    least.dedup();
    least
}

fn mix(mut h: u64) -> u64 {
    h ^= h >> 33;
    h = h.wrapping_mul(0xff51_afd7_ed55_8ccd);
    h ^= h >> 33;
    h = h.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ h >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_passage_is_found_wherever_it_is_put(
            head in "[a-z ]{0,80}", passage in "[a-zA-Z0-9]{19,60}", tail in "[a-z ]{0,80}"
        ) {
            let source = of(&passage);
            let spaced: String = passage.chars().flat_map(|c| [c, ' ']).collect();
            let carrier = of(&format!("{head}{}{tail}", spaced.to_uppercase()));
            // With the whole passage as the source, at least one print is shared.
            prop_assert!(source.iter().any(|p| carrier.contains(p)));
        }
    }

    #[test]
    fn letters_that_look_alike_are_alike() {
        let plain = of("the heron took the copper lantern over");
        // Cyrillic е, о and а, full-width t.
        let alike = of("thе hеrоn took thе cоppеr lаntern over");
        let wide = of("\u{ff54}he heron \u{ff54}ook \u{ff54}he copper lan\u{ff54}ern over");
        assert_eq!(plain, alike);
        assert_eq!(plain, wide);
        // A letter with a mark is one of its own.
        assert_ne!(of("größenordnungen und übermaß"), of("großenordnungen und ubermaß"));
    }

    #[test]
    fn a_short_text_has_none() {
        assert!(of("too short").is_empty());
    }
}
