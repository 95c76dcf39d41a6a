//! Characters that deceive: hidden ones, ones that reorder, ones that look like others.

use unicode_normalization::UnicodeNormalization;

/// What a text hides.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// Text written in tag characters (U+E0000…), decoded.
    pub(crate) tags: String,
    /// Byte offset of the first tag character.
    pub(crate) tags_at: usize,
    /// Zero-width characters between letters, emoji sequences excepted.
    pub(crate) zero_width: usize,
    /// Byte offset of the first of them.
    pub(crate) zero_width_at: usize,
    /// Longest run of invisible characters: a run long enough carries data bit by bit.
    pub(crate) longest_run: usize,
    /// Byte offset of that run.
    pub(crate) run_at: usize,
    /// Bidirectional overrides and isolates.
    pub(crate) bidi: usize,
    /// Byte offset of the first of them.
    pub(crate) bidi_at: usize,
}

fn invisible(c: char) -> bool {
    matches!(c,
        '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{180E}' | '\u{00AD}'
        | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{206A}'..='\u{206F}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{E0000}'..='\u{E007F}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{034F}')
}

/// Looks for hidden text. Cheap for ASCII: only other text is walked.
pub(crate) fn hidden(text: &str) -> Hidden {
    let mut out = Hidden::default();
    if text.is_ascii() {
        return out;
    }
    let (mut run, mut run_at) = (0usize, 0usize);
    let mut previous = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map_or(' ', |(_, c)| *c);
        if matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}') {
            if out.bidi == 0 {
                out.bidi_at = at;
            }
            out.bidi += 1;
        }
        if matches!(c, '\u{E0020}'..='\u{E007E}') {
            // Flags of regions are written in tags after a black flag: short and legitimate.
            if out.tags.is_empty() {
                out.tags_at = at;
            }
            if let Some(plain) = char::from_u32(c as u32 - 0xE0000)
                && out.tags.len() < 4_096
            {
                out.tags.push(plain);
            }
        }
        if invisible(c) {
            if run == 0 {
                run_at = at;
            }
            run += 1;
            if run > out.longest_run {
                (out.longest_run, out.run_at) = (run, run_at);
            }
            let between = previous.is_alphabetic() && next.is_alphabetic();
            // Joiners are part of how several scripts are spelt.
            let spelling =
                matches!(c, '\u{200C}' | '\u{200D}' | '\u{00AD}') && !previous.is_ascii();
            if between && !spelling && !matches!(c, '\u{FE00}'..='\u{FE0F}') && at > 0 {
                if out.zero_width == 0 {
                    out.zero_width_at = at;
                }
                out.zero_width += 1;
            }
        } else {
            run = 0;
            previous = c;
        }
    }
    if out.tags.len() <= 6 {
        out.tags.clear();
    }
    out
}

/// The Latin letter that `c` passes for, among Cyrillic, Greek, Armenian, Cherokee and others.
pub(crate) fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'α' | 'ɑ' => 'a',
        'А' | 'Α' | 'Ꭺ' => 'A',
        'Ь' | 'ƅ' => 'b',
        'В' | 'Β' | 'Ᏼ' => 'B',
        'с' | 'ϲ' | 'ᴄ' => 'c',
        'С' | 'Ϲ' | 'Ꮯ' => 'C',
        'ԁ' | 'ɗ' => 'd',
        'е' | 'ҽ' | 'є' => 'e',
        'Е' | 'Ε' | 'Ꭼ' => 'E',
        'ɡ' | 'ց' => 'g',
        'һ' | 'հ' => 'h',
        'Н' | 'Η' => 'H',
        'і' | 'ι' | 'ı' | 'Ꭵ' => 'i',
        'І' | 'Ι' | 'Ӏ' => 'I',
        'ј' => 'j',
        'Ј' => 'J',
        'к' | 'κ' => 'k',
        'К' | 'Κ' | 'Ꮶ' => 'K',
        'ӏ' | 'ⅼ' => 'l',
        'М' | 'Μ' | 'Ꮇ' => 'M',
        'п' | 'ո' => 'n',
        'Ν' => 'N',
        'о' | 'ο' | 'օ' => 'o',
        'О' | 'Ο' | 'Օ' => 'O',
        'р' | 'ρ' => 'p',
        'Р' | 'Ρ' | 'Ꮲ' => 'P',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' => 's',
        'Ѕ' => 'S',
        'т' | 'τ' => 't',
        'Т' | 'Τ' => 'T',
        'ս' | 'υ' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ѡ' => 'w',
        'х' | 'χ' => 'x',
        'Х' | 'Χ' => 'X',
        'у' | 'γ' => 'y',
        'У' | 'Υ' => 'Y',
        'Ζ' => 'Z',
        _ => return None,
    })
}

/// A word that mixes Latin letters with look-alikes of another script, with its offset.
pub(crate) fn mixed_words(text: &str, max: usize) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    if text.is_ascii() {
        return out;
    }
    let (mut start, mut latin, mut alike, mut other) = (None, 0, 0, 0);
    for (at, c) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        if c.is_alphanumeric() {
            start.get_or_insert(at);
            if c.is_ascii_alphabetic() {
                latin += 1;
            } else if look_alike(c).is_some() {
                alike += 1;
            } else if c.is_alphabetic() {
                other += 1;
            }
            continue;
        }
        if let Some(from) = start.take() {
            // Formulas such as `Δx` have letters of the other script without a Latin twin.
            if latin >= 2 && alike >= 1 && other == 0 && out.len() < max {
                out.push((from, text.get(from..at).unwrap_or("").to_owned()));
            }
        }
        (latin, alike, other) = (0, 0, 0);
    }
    out
}

/// Text as a model reads it: lower case, compatibility forms folded, hidden characters dropped,
/// look-alikes inside mixed words replaced, runs of white space made one.
pub(crate) fn fold(text: &str) -> String {
    if text.is_ascii() {
        let mut out = String::with_capacity(text.len());
        let mut space = false;
        for b in text.bytes() {
            if b.is_ascii_whitespace() {
                if !space {
                    out.push(' ');
                }
                space = true;
            } else {
                out.push(char::from(b.to_ascii_lowercase()));
                space = false;
            }
        }
        return out;
    }
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.nfkc().filter(|c| !invisible(*c)).chain(std::iter::once(' ')) {
        let c = if matches!(c, '\u{2018}' | '\u{2019}' | '\u{02BC}') { '\'' } else { c };
        if c.is_alphanumeric() {
            word.push(c);
            continue;
        }
        flush(&mut word, &mut out);
        if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}

fn flush(word: &mut String, out: &mut String) {
    let latin = word.chars().any(|c| c.is_ascii_alphabetic());
    for c in word.drain(..) {
        let c = if latin { look_alike(c).unwrap_or(c) } else { c };
        out.extend(c.to_lowercase());
    }
}
