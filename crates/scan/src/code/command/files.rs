//! Programs that copy, pack, open and install.

use crate::code::flow::Flow;
use crate::code::value::{Act, Labels, Value};

/// cp, mv, tar, zip: what goes in comes out under another name.
pub(super) fn copy(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
    let texts: Vec<String> = rest.iter().map(|v| v.likely().unwrap_or("").to_owned()).collect();
    let plain: Vec<&String> =
        texts.iter().filter(|t| !t.starts_with('-') && !t.is_empty()).collect();
    let (target, sources): (Option<String>, Vec<String>) = match program {
        "tar" => {
            let creates = texts.first().is_some_and(|t| t.trim_start_matches('-').contains('c'));
            let archive = texts
                .iter()
                .position(|t| t.trim_start_matches('-').ends_with('f') && !t.starts_with("--"))
                .and_then(|at| texts.get(at + 1))
                .cloned();
            if !creates {
                // Unpacking: what the archive was, its files are.
                let data = archive.as_deref().and_then(|a| flow.stored(a)).cloned();
                let data = data.unwrap_or_else(|| stdin.clone());
                return Value { texts: Vec::new(), ..data };
            }
            let sources = plain
                .iter()
                .filter(|t| Some(t.as_str()) != archive.as_deref())
                .map(|t| (*t).clone())
                .collect();
            (archive, sources)
        }
        "zip" | "7z" | "rar" => (
            plain.first().map(|t| (*t).clone()),
            plain.iter().skip(1).map(|t| (*t).clone()).collect(),
        ),
        "gpg" => (
            texts
                .iter()
                .position(|t| t == "-o" || t == "--output")
                .and_then(|at| texts.get(at + 1))
                .cloned(),
            plain.iter().map(|t| (*t).clone()).collect(),
        ),
        _ => (
            plain.last().map(|t| (*t).clone()),
            plain.iter().rev().skip(1).map(|t| (*t).clone()).collect(),
        ),
    };
    let mut data = Value { texts: Vec::new(), ..stdin.clone() };
    for source in &sources {
        let read = flow.load(line, source);
        data.taint(&read);
        if sources.len() == 1 && matches!(program, "cp" | "mv") {
            data.texts.clone_from(&read.texts);
        }
    }
    for value in rest {
        data.taint(value);
    }
    if let Some(target) = target.filter(|t| t != "-") {
        flow.store(line, &target, &data);
        if let (Some(name), true) =
            (sources.first().and_then(|s| s.rsplit('/').next()), target.ends_with('/'))
        {
            flow.store(line, &format!("{target}{name}"), &data);
        }
    }
    data
}

pub(super) fn windows_or_open(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    line: u32,
) -> Value {
    let texts: Vec<String> = rest.iter().map(|v| v.likely().unwrap_or("").to_owned()).collect();
    let all = texts.join(" ");
    let remote = all.contains("://") || all.starts_with("\\\\");
    match program {
        "certutil" | "bitsadmin" if remote => {
            let places: Vec<&Value> = rest.iter().collect();
            flow.net(line, &places, Value::default(), false);
            if let Some(path) = texts.last() {
                flow.store(line, path, &Value::labelled(Labels::DOWNLOADED, all.clone()));
            }
        }
        "certutil" if all.contains("-decode") => {
            if let Some(path) = texts.last() {
                flow.store(line, path, &Value::labelled(Labels::DECODED, all.clone()));
            }
        }
        "mshta" | "regsvr32" | "rundll32" | "msiexec" | "cscript" | "wscript" if remote => {
            let places: Vec<&Value> = rest.iter().collect();
            flow.net(line, &places, Value::default(), false);
            flow.emit(
                line,
                Act::Run {
                    what: Value::labelled(Labels::DOWNLOADED, all),
                    name: program.to_owned(),
                },
            );
        }
        _ => {
            for path in texts.iter().filter(|t| !t.starts_with('-')) {
                if let Some(stored) =
                    flow.stored(path).filter(|s| s.labels.has(Labels::DOWNLOADED)).cloned()
                {
                    flow.emit(line, Act::Run { what: stored, name: path.clone() });
                }
            }
        }
    }
    Value::default()
}

pub(super) fn install(flow: &mut Flow<'_>, program: &str, rest: &[Value], line: u32) {
    let texts: Vec<&str> = rest.iter().map(|v| v.likely().unwrap_or("")).collect();
    let verbs = [
        "install",
        "add",
        "i",
        "get",
        "tool",
        "ci",
        "run",
        "exec",
        "dlx",
        "x",
        "-y",
        "--yes",
        "reinstall",
        "upgrade",
        "-S",
        "create",
        "pip",
        "cask",
    ];
    foreign(flow, program, rest, &texts, line);
    let direct = matches!(program, "npx" | "bunx" | "uvx");
    if !direct
        && !texts.iter().any(|t| {
            matches!(*t, "install" | "add" | "i" | "get" | "dlx" | "-S" | "exec" | "x" | "create")
        })
    {
        return;
    }
    for text in
        texts.iter().filter(|t| !t.starts_with('-') && !t.is_empty() && !verbs.contains(t)).take(8)
    {
        if text.contains("://") {
            let place = Value::text(*text);
            flow.net(line, &[&place], Value::default(), false);
        }
        flow.emit(line, Act::Install { what: format!("{program}:{text}") });
        if direct {
            break;
        }
    }
}

/// Packages from somewhere that is no registry of their kind: another index, an address, a tap.
fn foreign(flow: &mut Flow<'_>, program: &str, rest: &[Value], texts: &[&str], line: u32) {
    const INDEX: &[&str] = &[
        "--index-url",
        "--extra-index-url",
        "-i",
        "--registry",
        "--find-links",
        "-f",
        "--index",
        "--default-index",
        "--source",
        "--git",
        "--from",
        "--repository",
    ];
    for (at, text) in texts.iter().enumerate() {
        let (option, inline) = text.split_once('=').unwrap_or((text, ""));
        let place = if INDEX.contains(&option) {
            if inline.is_empty() { texts.get(at + 1).copied().unwrap_or("") } else { inline }
        } else if text.starts_with('-')
            || at > 0 && texts.get(at - 1).is_some_and(|b| INDEX.contains(b))
        {
            continue;
        } else {
            text
        };
        // `go install HOST/path@latest`: the path is the address.
        let go =
            program == "go" && place.contains('@') && place.contains('/') && !place.contains("://");
        let package = place.starts_with("git+")
            || [".tgz", ".tar.gz", ".whl", ".zip", ".git"].iter().any(|e| place.ends_with(e));
        let index = INDEX.contains(&option);
        if !go && !(place.contains("://") && (index || package)) {
            continue;
        }
        let address = place.rsplit_once("git+").map_or(place, |(_, url)| url);
        let address = if go {
            format!("https://{}", address.split('@').next().unwrap_or(""))
        } else {
            address.to_owned()
        };
        let place = Value { texts: vec![address], ..rest.get(at).cloned().unwrap_or_default() };
        flow.emit(line, Act::ForeignPackage { what: format!("{program} {text}"), place });
    }
}
