//! Interpreters: what is run by `bash`, `python -c`, `node script.js`, `powershell -enc …`.

use super::known;
use crate::code::flow::Flow;
use crate::code::value::{Act, HOLE, Labels, Value};
use crate::code::{Language, analyse, shell};
use crate::text::blob;

/// Interpreters: the option that carries code, and its language.
pub(super) fn interpreter(name: &str) -> Option<(Language, &'static [&'static str])> {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    Some(match stem {
        "bash" | "sh" | "zsh" | "dash" | "ksh" | "ash" | "fish" => {
            (Language::Shell, &["-c", "-lc", "-ic", "-ec", "-xc", "-cl"])
        }
        "python" | "pypy" | "py" => (Language::Python, &["-c"]),
        "node" | "nodejs" | "bun" | "deno" | "tsx" | "ts-node" => {
            (Language::JavaScript, &["-e", "--eval", "-p", "--print", "eval"])
        }
        "ruby" => (Language::Ruby, &["-e"]),
        "perl" | "php" | "lua" => (Language::Other, &["-e", "-r", "-E"]),
        "osascript" => (Language::AppleScript, &["-e"]),
        "pwsh" | "powershell" => (Language::PowerShell, &["-c", "-command", "-Command", "-C"]),
        "cmd" => (Language::Batch, &["/c", "/C", "/k"]),
        _ => return None,
    })
}

pub(super) fn interpret(
    flow: &mut Flow<'_>,
    language: Language,
    options: &[&str],
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
    let args = rest.iter().enumerate();
    let mut script = None;
    for (at, value) in args {
        let text = value.likely().unwrap_or("");
        let lower = text.to_ascii_lowercase();
        if language == Language::PowerShell
            && lower.starts_with("-e")
            && lower.len() > 1
            && "-encodedcommand".starts_with(&lower)
        {
            if let Some(code) = rest.get(at + 1) {
                let mut decoded =
                    code.map(|t| blob::base64(t).and_then(|b| crate::text::decode(&b)));
                decoded.label(Labels::DECODED, "-EncodedCommand");
                flow.emit(line, Act::Eval { what: decoded.clone() });
                code_text(flow, language, &decoded, line);
            }
            return Value::default();
        }
        let combined = options.contains(&text)
            || (language == Language::Shell
                && text.starts_with('-')
                && !text.starts_with("--")
                && text.ends_with('c'));
        if combined {
            let parts: Vec<Value> = rest.get(at + 1..).unwrap_or(&[]).to_vec();
            let code = match language {
                Language::PowerShell | Language::Batch => Value::concat(&parts, " "),
                _ => parts.first().cloned().unwrap_or_default(),
            };
            // Data put between constant code is data, not the code.
            let mut what = code.clone();
            if code.likely().is_some_and(|t| t.contains(HOLE) && t.trim() != HOLE.to_string()) {
                what.labels = what.labels.without(Labels::DECODED.with(Labels::DOWNLOADED));
            }
            flow.emit(line, Act::Run { what, name: program.to_owned() });
            return code_text(flow, language, &code, line);
        }
        if text.starts_with('-') && text != "-" && !text.is_empty() {
            // `python -m module`: a module is a program of its own.
            if text == "-m" && language == Language::Python {
                let module: Vec<Value> = rest.get(at + 1..).unwrap_or(&[]).to_vec();
                let name = module.first().and_then(Value::likely).unwrap_or("").to_owned();
                if name == "pip" {
                    return known(flow, "pip", module.get(1..).unwrap_or(&[]), stdin, line);
                }
                return Value::default();
            }
            continue;
        }
        if matches!(program, "deno" | "bun") && matches!(text, "run" | "x") {
            continue;
        }
        script = Some(value);
        break;
    }
    match script.filter(|s| s.likely() != Some("-")) {
        Some(script) => {
            let path = script.likely().unwrap_or("").to_owned();
            let mut what = Value {
                labels: script.labels,
                sources: script.sources.clone(),
                ..Value::default()
            };
            if let Some(stored) = flow.stored(&path) {
                what.taint(&stored.clone());
            }
            // `bash <(curl …)`, `bash "$(curl …)"`, `deno run https://…`.
            if path.contains("://") {
                flow.net(line, &[script], Value::default(), false);
                what.label(Labels::DOWNLOADED, &path);
            }
            if what.labels.has(Labels::DOWNLOADED.with(Labels::DECODED)) {
                flow.emit(line, Act::Run { what, name: program.to_owned() });
            }
            if !script.labels.has(Labels::DOWNLOADED)
                && path.contains([' ', ';', '|'])
                && language == Language::Shell
            {
                return code_text(flow, language, &script.clone(), line);
            }
            Value::default()
        }
        None => {
            // Reads its program from standard input.
            if stdin.labels.has(Labels::DOWNLOADED.with(Labels::DECODED)) || !stdin.texts.is_empty()
            {
                flow.emit(line, Act::Run { what: stdin.clone(), name: program.to_owned() });
                return code_text(flow, language, stdin, line);
            }
            Value::default()
        }
    }
}

/// Reads code that is inside a command.
pub(super) fn code_text(flow: &mut Flow<'_>, language: Language, code: &Value, line: u32) -> Value {
    let Some(text) = code.likely().map(str::to_owned) else { return Value::default() };
    flow.nested(line, |flow| {
        if language == Language::Shell {
            shell::run_text(flow, &text, Some(code))
        } else {
            let mut inner = code.clone();
            inner.texts.clear();
            analyse(flow, language, &text);
            // What the outer shell put into the code flows through it unseen.
            Value { labels: inner.labels, ..Value::default() }
        }
    })
}
