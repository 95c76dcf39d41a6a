//! Foreign text on a terminal: shown, never obeyed.
//!
//! A skill's author, or an MCP server, chooses names and texts that a person reads before a decision.
//! Escape sequences, line breaks in names, bidirectional overrides and characters that nobody sees
//! are written out.

use std::path::Path;

/// Characters without a look of their own: zero-width ones, directions, fillers, tags, and selectors
/// that can carry text.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e01ef}')
}

/// One line of text, as people see it: whatever a terminal would obey or not show is written out.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Text of several lines; tabs stay.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, text) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        for (number, text) in text.split('\t').enumerate() {
            if number > 0 {
                out.push('\t');
            }
            out.push_str(&line(text));
        }
    }
    out
}

/// A path, as [`line`].
pub(crate) fn path(path: &Path) -> String {
    line(&path.to_string_lossy())
}

/// One word of a command that a person is asked to paste into a shell.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.chars().any(|c| c.is_control() || is_hidden(c)) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    // What cannot be shown is written out in a form that the shell reads back.
    let mut out = String::from("$'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() || is_hidden(c) => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed_and_nothing_is_left_out() {
        assert_eq!(line("a\u{1b}[2K\nallow\u{202e}x"), r"a\u{1b}[2K\u{a}allow\u{202e}x");
        assert_eq!(lines("a\tb\nc\r\u{200b}"), "a\tb\nc\\u{d}\\u{200b}");
        assert_eq!(line("Größe, 大きさ"), "Größe, 大きさ");
    }

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        assert_eq!(word("/a/b-c_1.x"), "/a/b-c_1.x");
        assert_eq!(word(""), "''");
        for text in ["a b", "$(id)", "x;id", "it's", "`id`", "a\nb", "\u{1b}[2K'\\", "-a*"] {
            let said = format!("printf %s {}", word(text));
            let shell = std::process::Command::new("bash").args(["-c", &said]).output();
            let Ok(shell) = shell else { return };
            assert_eq!(String::from_utf8_lossy(&shell.stdout), text, "{said}");
        }
    }
}
