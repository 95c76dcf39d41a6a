//! Differences are shown without secrets.

/// Words whose values are not shown, wherever they end a name.
const WORDS: [&str; 7] = ["token", "password", "secret", "apikey", "authorization", "key", "pass"];

/// Hides what stands behind a name that says that it is secret, line by line.
pub(crate) fn hide(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

/// Whether a name says that its value is secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.ends_with(word))
}

fn line(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    // `name: "value"`, several on a line perhaps.
    while let Some(colon) = rest.find([':', '=']) {
        let (head, tail) = rest.split_at(colon + 1);
        out.push_str(head);
        rest = tail;
        let name = head.trim_end_matches([':', '=']).trim_end();
        let name = name.trim_end_matches(['"', '\'']);
        let start = name.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let name = start.map_or(name, |at| {
            name.get(at..).unwrap_or("").trim_start_matches(|c: char| !c.is_ascii_alphanumeric())
        });
        let value = rest.trim_start();
        let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            continue;
        };
        if !is_secret(name) {
            // A string that holds a colon is not a name.
            let skip = rest.len() - value.len();
            let end = closing(value, quote).unwrap_or(value.len());
            let (string, after) = rest.split_at((skip + end).min(rest.len()));
            out.push_str(string);
            rest = after;
            continue;
        }
        let end = closing(value, quote).unwrap_or(value.trim_end().len());
        out.push_str(" \"(hidden)\"");
        rest = value.get(end..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// Where a string ends, behind its closing quote.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(at + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_everything_else_is() {
        assert_eq!(
            hide(
                "+  auth: { mode: 'token', token: 'hun:ter\\'2' }, // x\n-\"apiKey\": \"k\"\n  url: 'http://a:b'\n"
            ),
            "+  auth: { mode: 'token', token: \"(hidden)\" }, // x\n-\"apiKey\": \"(hidden)\"\n  url: 'http://a:b'\n"
        );
    }
}
