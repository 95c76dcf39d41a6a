//! Characters written as numbers: `\u0061`, `\x61`, `\141`, `&#97;`, `&#x61;`, `=61`, `0x61,0x62`,
//! `97 98`, `01100001`. A program on the other side turns them back without a second thought.

/// Fewest characters that make a form worth looking at. Dates and version numbers are shorter.
const LEAST: usize = 8;

/// What a text says when its escapes are resolved; none when it has too few of them.
pub(super) fn resolved(text: &str) -> Option<String> {
    let marks = text.bytes().filter(|b| matches!(b, b'\\' | b'&' | b'=')).take(LEAST).count();
    if marks < LEAST {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, 0usize);
    while let Some(c) = rest.chars().next() {
        if let Some((decoded, length)) = escape(rest) {
            out.push(decoded);
            found += 1;
            rest = rest.get(length..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    (found >= LEAST).then_some(out)
}

/// One escape at the beginning, and its length in bytes.
fn escape(text: &str) -> Option<(char, usize)> {
    let number = |skip: usize, most: usize, radix: u32| -> Option<(char, usize)> {
        let digits = text.get(skip..)?;
        let length = digits.bytes().take(most).take_while(|b| (*b as char).is_digit(radix)).count();
        let value = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
        Some((char::from_u32(value)?, skip + length))
    };
    let with_end = |found: Option<(char, usize)>, end: u8| {
        let (c, length) = found?;
        let closed = text.as_bytes().get(length) == Some(&end);
        Some((c, length + usize::from(closed)))
    };
    match text.as_bytes() {
        [b'\\', b'u' | b'U', b'{', ..] => with_end(number(3, 6, 16), b'}'),
        [b'\\', b'u', ..] => exactly(number(2, 4, 16), 6),
        [b'\\', b'U', ..] => exactly(number(2, 8, 16), 10),
        [b'\\', b'x' | b'X', ..] => exactly(number(2, 2, 16), 4),
        [b'\\', b'0'..=b'7', ..] => number(1, 3, 8),
        [b'&', b'#', b'x' | b'X', ..] => with_end(number(3, 6, 16), b';'),
        [b'&', b'#', ..] => with_end(number(2, 7, 10), b';'),
        [b'=', ..] => exactly(number(1, 2, 16), 3),
        _ => None,
    }
}

fn exactly(found: Option<(char, usize)>, length: usize) -> Option<(char, usize)> {
    found.filter(|(_, have)| *have == length)
}

/// The text that a row of numbers spells: decimal, `0x…`, octal with a leading zero or eight binary
/// digits, whatever stands between them. None when there is no such row.
pub(super) fn spelled(text: &str) -> Option<String> {
    // Two digits each.
    if text.bytes().filter(u8::is_ascii_digit).take(2 * LEAST).count() < 2 * LEAST {
        return None;
    }
    let (mut best, mut run) = (String::new(), String::new());
    for token in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|t| !t.is_empty()) {
        match code(token) {
            Some(c) => run.push(c),
            None => {
                if run.len() > best.len() {
                    best = std::mem::take(&mut run);
                }
                run.clear();
            }
        }
    }
    if run.len() > best.len() {
        best = run;
    }
    (best.len() >= LEAST).then_some(best)
}

/// A printable character by its number.
fn code(token: &str) -> Option<char> {
    let value = if let Some(digits) = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X"))
    {
        u8::from_str_radix(digits, 16)
    } else if token.len() == 8 && token.bytes().all(|b| matches!(b, b'0' | b'1')) {
        u8::from_str_radix(token, 2)
    } else if token.len() > 1 && token.starts_with('0') {
        u8::from_str_radix(token, 8)
    } else {
        token.parse()
    };
    value.ok().filter(|b| (0x20..0x7f).contains(b)).map(char::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "heron lantern copper";

    fn each(how: impl Fn(u8) -> String) -> String {
        SECRET.bytes().map(how).collect()
    }

    #[test]
    fn escapes_of_each_kind_are_resolved() {
        for text in [
            each(|b| format!("\\u{b:04x}")),
            each(|b| format!("\\u{{{b:x}}}")),
            each(|b| format!("\\U{b:08x}")),
            each(|b| format!("\\x{b:02X}")),
            each(|b| format!("\\{b:03o}")),
            each(|b| format!("&#{b};")),
            each(|b| format!("&#x{b:x};")),
            each(|b| format!("={b:02X}")),
        ] {
            assert_eq!(resolved(&text).as_deref(), Some(SECRET), "{text}");
            assert!(resolved(&format!("see: {text}!")).is_some_and(|t| t.contains(SECRET)));
        }
        assert_eq!(resolved("a = b, c:\\users\\x, &copy; \\n"), None);
    }

    #[test]
    fn rows_of_numbers_are_spelled() {
        for text in [
            each(|b| format!("{b} ")),
            each(|b| format!("0x{b:02x},")),
            each(|b| format!("{b:08b} ")),
            each(|b| format!("0{b:o};")),
        ] {
            assert_eq!(spelled(&text).as_deref(), Some(SECRET), "{text}");
        }
        assert_eq!(spelled("2026-11-23 10:29, 192.168.1.20, 5 of 7"), None);
    }
}
