//! AppleScript by a small tokenizer: strings put together, what is given to the shell, and boxes
//! that ask for a password.

use super::flow::Flow;
use super::shell;
use super::value::{Act, HOLE, Value};
use std::collections::HashMap;

/// Reads AppleScript text.
pub(crate) fn run(flow: &mut Flow<'_>, text: &str) {
    let mut vars: HashMap<String, String> = HashMap::new();
    for (line, number) in text.lines().zip(1u32..).take(20_000) {
        let trimmed = line.trim();
        let lower = trimmed.to_ascii_lowercase();
        if lower.starts_with("--") || lower.starts_with('#') {
            continue;
        }
        if let Some(rest) = lower.strip_prefix("set ")
            && let Some(to) = rest.find(" to ")
        {
            let name = rest.get(..to).unwrap_or("").trim().to_owned();
            let value = trimmed.get(4 + to + 4..).unwrap_or("");
            if vars.len() < 4_000 {
                vars.insert(name, constant(value, &vars));
            }
        }
        if lower.contains("display dialog") && lower.contains("hidden answer") {
            flow.emit(number, Act::Prompt { how: "a dialog with a hidden answer".into() });
        }
        for marker in ["do shell script", "do script", "system.doshellscript", "doshellscript("] {
            if let Some(at) = lower.find(marker) {
                let rest = trimmed.get(at + marker.len()..).unwrap_or("");
                let command = constant(rest, &vars);
                flow.nested(number, |flow| {
                    shell::run_text(flow, &command, Some(&Value::default()))
                });
                if lower.contains("with administrator privileges") && lower.contains(" password ") {
                    flow.emit(
                        number,
                        Act::Prompt {
                            how: "runs as administrator with a password that it holds".into(),
                        },
                    );
                }
            }
        }
        if lower.contains("keystroke") && lower.contains("password") {
            flow.emit(number, Act::Prompt { how: "types a password".into() });
        }
    }
}

/// The text of `"a" & b & "c"`, with holes.
fn constant(text: &str, vars: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let key = word.trim().to_ascii_lowercase();
        if !key.is_empty()
            && !matches!(
                key.as_str(),
                "quoted" | "form" | "of" | "with" | "administrator" | "privileges" | "password"
            )
        {
            match vars.get(&key) {
                Some(value) => out.push_str(value),
                None => out.push(HOLE),
            }
        }
        word.clear();
    };
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                flush(&mut word, &mut out);
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => match chars.next() {
                            Some('n') => out.push('\n'),
                            Some(other) => out.push(other),
                            None => break,
                        },
                        other => out.push(other),
                    }
                    if out.len() > 64 << 10 {
                        return out;
                    }
                }
                // Options after the command are words without `&` in front.
                if chars.clone().find(|c| !c.is_whitespace()).is_none_or(|c| c != '&') {
                    break;
                }
            }
            '&' | '(' | ')' => flush(&mut word, &mut out),
            c if c.is_whitespace() => flush(&mut word, &mut out),
            c => word.push(c),
        }
    }
    flush(&mut word, &mut out);
    out
}
