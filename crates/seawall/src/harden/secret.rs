//! Differences are shown without secrets.
//!
//! The two texts are masked before they are compared, so that a secret is not shown wherever it
//! stands: behind its name, on the line after it, in a URL, among arguments, headers and variables, in
//! a comment. Equal secrets get equal masks: a changed one is still a difference.

use seawall_audit::facts::names_a_secret;
use seawall_egress::scan::Scanner;

/// Words whose values are not shown, wherever they end a name.
const WORDS: [&str; 7] = ["token", "password", "secret", "apikey", "authorization", "key", "pass"];
/// Words that make a name secret wherever they stand in it, between other words.
const PARTS: [&str; 18] = [
    "token",
    "password",
    "passwd",
    "passphrase",
    "secret",
    "credential",
    "credentials",
    "pat",
    "apikey",
    "auth",
    "authorization",
    "pass",
    "cookie",
    "bearer",
    "private",
    "pin",
    "otp",
    "dsn",
];
/// Objects whose every text is one: what programs and servers get with a request or a start.
const WHOLE: [&str; 3] = ["env", "headers", "vars"];

/// Whether a name says that its value is secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.ends_with(word)) || names_a_secret(name)
}

/// The same, for names with more words behind: `FOO_TOKEN_2`, `X-Auth`.
fn names(name: &str) -> bool {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (small && c.is_ascii_uppercase()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric() {
            words.last_mut().map(|word| word.push(c.to_ascii_lowercase())).unwrap_or_default();
        }
        small = c.is_ascii_lowercase();
    }
    // Not the thing, but where it is, how it is asked for, or how many there are.
    const ABOUT: [&str; 8] = ["env", "file", "path", "dir", "mode", "policy", "tokens", "ms"];
    if words.last().is_some_and(|word| ABOUT.contains(&word.as_str())) {
        return false;
    }
    is_secret(name) || words.iter().any(|word| PARTS.contains(&word.as_str()))
}

/// One value of a setting as it is shown.
pub(crate) fn shown(name: &str, value: &str) -> String {
    Mask { scanner: Scanner::new(&[]).ok(), known: Vec::new() }.value(name, value, false)
}

/// The difference of two texts, without secrets.
pub(crate) fn diff(old: &str, new: &str, context: usize, header: Option<(&str, &str)>) -> String {
    let mut mask = Mask { scanner: Scanner::new(&[]).ok(), known: Vec::new() };
    let (old, new) = (mask.text(old), mask.text(new));
    let diff = similar::TextDiff::from_lines(&old, &new);
    let mut shown = diff.unified_diff();
    shown.context_radius(context);
    if let Some((a, b)) = header {
        shown.header(a, b);
    }
    shown.to_string()
}

struct Mask {
    scanner: Option<Scanner>,
    /// Secrets, so that equal ones look equal.
    known: Vec<String>,
}

/// What is open around a value.
struct Open {
    list: bool,
    /// The last key of an object.
    key: String,
    /// Everything in it is hidden.
    hidden: bool,
    /// The last text of a list.
    last: String,
}

impl Mask {
    fn hidden(&mut self, value: &str) -> String {
        let at = self.known.iter().position(|known| known == value).unwrap_or_else(|| {
            self.known.push(value.to_owned());
            self.known.len() - 1
        });
        if at == 0 { "(hidden)".into() } else { format!("(hidden {})", at + 1) }
    }

    /// Masks a text in JSON5, or in lines of `name = value`.
    fn text(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut open: Vec<Open> = Vec::new();
        // The last name or text, which a colon makes a key.
        let mut word = String::new();
        let mut after_colon = false;
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let length = match c {
                '"' | '\'' => string(rest, c),
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
                '#' if open.is_empty() => rest.find('\n').unwrap_or(rest.len()),
                c if bare(c) => rest.find(|c| !bare(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            let (token, tail) = rest.split_at(length);
            let key = tail.trim_start().starts_with(':') && !after_colon && !open.is_empty();
            match c {
                '{' | '[' => {
                    let above = open.last().is_some_and(|open| open.hidden);
                    let name = open.last().filter(|o| !o.list && after_colon);
                    let hidden = above
                        || name.is_some_and(|open| {
                            WHOLE.contains(&open.key.to_ascii_lowercase().as_str())
                                || (c == '[' && names(&open.key))
                        });
                    open.push(Open {
                        list: c == '[',
                        key: String::new(),
                        hidden,
                        last: String::new(),
                    });
                    after_colon = false;
                    out.push(c);
                }
                '}' | ']' => {
                    open.pop();
                    after_colon = false;
                    out.push(c);
                }
                '=' if open.is_empty() && !after_colon => {
                    out.push(c);
                    let end = tail.find('\n').unwrap_or(tail.len());
                    let (line, after) = tail.split_at(end);
                    out.push_str(&self.line(&word, line));
                    rest = after;
                    continue;
                }
                ':' | '=' if !after_colon => {
                    if let Some(open) = open.last_mut() {
                        open.key = word.clone();
                    }
                    after_colon = true;
                    out.push(c);
                }
                ',' | '\n' => {
                    // Outside of any object, a line ends a value; inside, only a comma does.
                    if c == ',' || open.is_empty() {
                        after_colon = false;
                    }
                    out.push(c);
                }
                '"' | '\'' => {
                    let value = token
                        .get(1..token.len().saturating_sub(1))
                        .filter(|_| token.len() > 1)
                        .unwrap_or_default();
                    if key {
                        word = value.to_owned();
                        out.push_str(token);
                    } else {
                        let name = open.last().map_or(word.clone(), |open| {
                            if open.list { String::new() } else { open.key.clone() }
                        });
                        let hide = open.last().is_some_and(|open| {
                            open.hidden
                                || (open.list && flag(&open.last) && !value.starts_with('-'))
                        });
                        let shown = self.value(&name, value, hide);
                        out.push(c);
                        out.push_str(&shown);
                        out.push(c);
                        if let Some(open) = open.last_mut() {
                            open.last = value.to_owned();
                        }
                    }
                }
                '/' | '#' if token.len() > 1 => {
                    let shown = if self.told(token) { self.comment(token) } else { token.into() };
                    out.push_str(&shown);
                }
                c if bare(c) => {
                    if after_colon && open.is_empty() && names(&word) {
                        out.push_str(&self.hidden(token));
                    } else if after_colon {
                        out.push_str(&self.value("", token, false));
                    } else {
                        word = token.to_owned();
                        out.push_str(token);
                    }
                }
                _ => out.push_str(token),
            }
            rest = tail;
        }
        out
    }

    /// What stands behind a name in a file of lines.
    fn line(&mut self, name: &str, line: &str) -> String {
        let value = line.trim();
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let value = quote.map_or(value, |quote| value.trim_matches(quote));
        if names(name) {
            return self.value(name, value, false);
        }
        let words: Vec<String> = value.split(' ').map(|word| self.value("", word, false)).collect();
        match quote {
            Some(quote) => format!("{quote}{}{quote}", words.join(" ")),
            None => words.join(" "),
        }
    }

    /// A text as it is shown.
    fn value(&mut self, name: &str, value: &str, hide: bool) -> String {
        let reference = value.starts_with("${") && value.ends_with('}');
        if value.is_empty() || reference {
            return value.to_owned();
        }
        if hide || names(name) && !word(value) || self.found(value) || random(value) {
            return self.hidden(value);
        }
        // `--token=VALUE`, `?key=VALUE`.
        if let Some((head, tail)) = value.split_once('=')
            && (flag(head) || head.contains('?'))
            && !tail.is_empty()
        {
            return format!("{head}={}", self.hidden(tail));
        }
        // `scheme://user:password@host`.
        if let Some((scheme, tail)) = value.split_once("://")
            && let Some((user, host)) = tail.split_once('@')
            && !user.contains('/')
        {
            return format!("{scheme}://{}@{host}", self.hidden(user));
        }
        value.to_owned()
    }

    /// What the look for credentials in requests finds.
    fn found(&self, value: &str) -> bool {
        value.contains("-----BEGIN")
            || self
                .scanner
                .as_ref()
                .is_some_and(|scanner| scanner.scan(value.as_bytes(), &[]).is_some())
    }

    /// Whether a comment may tell a secret.
    fn told(&self, comment: &str) -> bool {
        self.found(comment)
            || (comment.contains("://") && comment.contains(['@', '?']))
            || comment.split(|c: char| !bare(c)).any(|word| names(word) || random(word))
    }

    /// A comment keeps its marks and its lines.
    fn comment(&mut self, comment: &str) -> String {
        let lines = comment.matches('\n').count();
        let mask = self.hidden(comment);
        if comment.starts_with("/*") {
            format!("/* {mask}{} */", "\n".repeat(lines))
        } else {
            format!("{} {mask}", if comment.starts_with('#') { "#" } else { "//" })
        }
    }
}

/// Letters of names and of values without quotes.
fn bare(c: char) -> bool {
    c.is_alphanumeric() || "_-$.+@%~".contains(c)
}

/// Where a string ends, behind its closing quote, or its text.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// An option whose value is secret.
fn flag(text: &str) -> bool {
    text.starts_with('-') && names(text.trim_start_matches('-'))
}

/// A setting's word behind a name that would be secret: `auth: "token"`, `mode: "password"`.
fn word(value: &str) -> bool {
    const KNOWN: &[&str] = &[
        "token",
        "password",
        "none",
        "off",
        "on",
        "trusted-proxy",
        "true",
        "false",
        "default",
        "basic",
        "bearer",
        "oauth",
        "api-key",
        "key",
        "(hidden)",
    ];
    KNOWN.contains(&value)
}

/// Long, and of letters and digits in no order of a language.
fn random(value: &str) -> bool {
    let digits = value.chars().filter(char::is_ascii_digit).count();
    value.len() >= 24
        && digits >= 4
        && value.chars().any(|c| c.is_ascii_alphabetic())
        && value.chars().all(|c| c.is_ascii_alphanumeric() || "_-+=".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        Mask { scanner: Scanner::new(&[]).ok(), known: Vec::new() }.text(text)
    }

    #[test]
    fn secrets_are_not_shown_wherever_they_stand() {
        for text in [
            "{ token: 'MARK:er\\'2' }",
            "{ token:\n  // c\n  \"MARK\" }",
            "{ webhookUrl: \"https://u:MARK@h/x\" }",
            "{ env: { DATABASE_URL: \"postgres://u:MARK@h/d\", A: 'MARK' } }",
            "{ headers: { \"X-Auth\": 'MARK', Plain: 'MARK' } }",
            "{ cookie: 'MARK', MY_PASSPHRASE: 'MARK', MY_CREDENTIALS: 'MARK' }",
            "{ FOO_TOKEN_2: 'MARK', GITHUB_PAT: 'MARK', myApiKeyOld: 'x', authToken: 'MARK' }",
            "{ text: '-----BEGIN PRIVATE KEY-----\\nMARK' }",
            "{ args: [\"--api-key\", \"MARK\", \"--token=MARK\"] }",
            "{ tokens: { a: 1 }, passwords: [\"x\"], secrets: 1, secret: ['MARK', 'MARK'] }",
            "{ url: 'https://h/x?key=MARK' }",
            "// the old token was MARK\n{ a: 1 }",
            "{ a: 1 /* password: MARK\n */ }",
            "OPENAI_API_KEY=MARK\n",
            "export GATEWAY_TOKEN=\"MARK\"\nA_URL=http://u:MARK@h/x\nRun=/bin/x --token=MARK -v\n",
            "{ note: 'MARK0123456789abcdefghijklmnopq' }",
            "{ broken: { token: 'MARK",
        ] {
            let shown = masked(text);
            assert!(!shown.contains("MARK"), "{text}\n{shown}");
        }
    }

    #[test]
    fn what_is_not_secret_is_shown() {
        for text in [
            "{ auth: { mode: 'token', rateLimit: { maxAttempts: 10 } } }, // as it was\n",
            "{ passEnv: ['HOME'], authMode: 'token', tokenFile: '/run/t', maxTokens: 5 }",
            "{ model: 'anthropic/claude-opus-4-5', url: 'http://a:b', bind: \"loopback\" }",
            "{ tools: { allow: ['read', 'write'], deny: [\"exec\"] }, // the guide's list\n}",
            "{ sandbox: { docker: { image: 'openclaw-sandbox:bookworm-slim', cpus: 1 } } }",
            "{ token: '${OPENCLAW_GATEWAY_TOKEN}', groups: { '*': { requireMention: true } } }",
            "PasswordAuthentication no\nPort 2222\n",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    #[test]
    fn a_changed_secret_is_a_difference() {
        let shown = diff("{ token: 'one' }\n", "{ token: 'two' }\n", 2, Some(("a", "b")));
        assert!(shown.contains("-{ token: '(hidden)' }\n+{ token: '(hidden 2)' }"), "{shown}");
        assert_eq!(diff("{ token: 'one' }\n", "{ token: 'one' }\n", 2, None), "");
    }

    #[test]
    fn no_text_is_too_odd() {
        for text in ["", "\"", "'\\", "/*", "//", "{{{{[[[", "}}]]", "a:", ":", "\u{feff}{é:'ü'}"]
        {
            let _ = masked(text);
        }
    }
}
