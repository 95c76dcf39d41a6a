//! Programs that work on text by a script or an expression of their own.

use super::files::plain;
use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{ANY, NAME, Val, merge};
use super::walk::{Io, Out, Walk};
use super::{Sink, Source};
use seawall_model::Effect;

/// Searches the working directory when it is told to recurse and given no file.
pub(super) fn grep(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = plain(walk, st, call);
    let pattern = tally.given.iter().any(|g| matches!(g.as_str(), "-e" | "-f"));
    let files = call.args.iter().any(|a| a.text == "--files");
    let operands = tally.operands.len() + usize::from(pattern || files);
    let recursive = matches!(call.name, "rg" | "ripgrep" | "ag" | "ack")
        || tally.given.iter().any(|g| matches!(g.as_str(), "-r" | "-R"))
        || call.args.iter().any(|a| {
            a.text == "--directories=recurse" || a.text == "-drecurse" || a.text == "recurse"
        });
    let reads_input = call.io.piped && !call.name.ends_with("grep");
    if recursive && operands < 2 && !reads_input {
        walk.role(st, call.name, Role::Read, &Val::known("."), call.io, &mut tally);
    }
    walk.settle(call.spec, tally, call.io)
}

pub(super) fn sed(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut scripts: Vec<Val> = Vec::new();
    let mut operands = Vec::new();
    let mut in_place = false;
    let mut sandbox = false;
    let mut given = false;
    let mut at = 0;
    let mut options = true;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if options && arg.starts_unknown() {
            walk.opaque("an argument of `sed` is not known and may be an option");
        }
        if !options || !text.starts_with('-') || text.len() < 2 {
            operands.push(arg.clone());
            continue;
        }
        if text == "--" {
            options = false;
            continue;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            let value = |at: &mut usize| match &value {
                Some(value) => Val { text: value.clone(), ..arg.clone() },
                None => {
                    *at += 1;
                    call.args.get(*at - 1).cloned().unwrap_or_default()
                }
            };
            if name.starts_with("ex") {
                scripts.push(value(&mut at));
                given = true;
            } else if name.starts_with("fi") {
                let file = value(&mut at);
                walk.role(st, "sed", Role::Script, &file, call.io, &mut tally);
                given = true;
            } else if name.starts_with("in") {
                in_place = true;
            } else if name.starts_with("sa") {
                sandbox = true;
            } else if name.starts_with("line-l") {
                let _ = value(&mut at);
            }
            continue;
        }
        let mut rest = text.get(1..).unwrap_or("");
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            match c {
                'i' | 'I' => {
                    in_place = true;
                    if rest.contains(['/', '*']) {
                        walk.opaque("`sed -i` keeps a copy elsewhere");
                    }
                    rest = "";
                }
                'e' | 'f' | 'l' => {
                    let value = if rest.is_empty() {
                        at += 1;
                        call.args.get(at - 1).cloned().unwrap_or_default()
                    } else {
                        Val { text: rest.to_owned(), ..arg.clone() }
                    };
                    rest = "";
                    if c == 'e' {
                        scripts.push(value);
                        given = true;
                    } else if c == 'f' {
                        walk.role(st, "sed", Role::Script, &value, call.io, &mut tally);
                        given = true;
                    }
                }
                _ => {}
            }
        }
    }
    if !given && !operands.is_empty() {
        scripts.push(operands.remove(0));
    }
    for script in &scripts {
        walk.literal(&script.text);
        merge(&mut tally.args, &script.from);
        if script.spreads() {
            walk.opaque("a script of `sed` is made of file names");
        }
        if !sandbox {
            sed_script(walk, st, call, script, &mut tally);
        }
    }
    for operand in &operands {
        let role = if in_place { Role::ReadWrite } else { Role::Read };
        walk.role(st, "sed", role, operand, call.io, &mut tally);
        if in_place && operand.is_known() {
            // The copy that replaces the file is made beside it.
            for path in walk.known_paths(st, operand, "a file that is written,") {
                walk.effect(Effect::Write { path });
            }
        }
    }
    walk.settle(call.spec, tally, call.io)
}

/// A look for the commands of a sed script that run programs (`e`, `s///e`) or write files
/// (`w`, `W`, `s///w`) or read them (`r`, `R`). A script that is not understood is opaque.
fn sed_script(
    walk: &mut Walk<'_>,
    st: &mut State,
    call: &Call<'_>,
    script: &Val,
    tally: &mut Tally,
) {
    if script.has_any() || script.spreads() {
        walk.opaque("a script of `sed` is not known");
    }
    let chars: Vec<char> = script.text.chars().collect();
    let mut at = 0;
    let get = |at: usize| chars.get(at).copied();
    let rest_of_line = |at: usize| -> (String, usize) {
        let text: String = chars.iter().skip(at).take_while(|c| **c != '\n').collect();
        let len = text.chars().count();
        (text.trim().to_owned(), at + len)
    };
    // Past a delimited text, with escapes and (for addresses) sets.
    let delimited = |from: usize, end: char| -> Option<usize> {
        let mut at = from;
        let mut set = false;
        while let Some(c) = chars.get(at) {
            match c {
                '\\' => at += 1,
                '[' if !set => {
                    set = true;
                    // `[]…]` and `[^]…]`
                    if chars.get(at + 1) == Some(&'^') {
                        at += 1;
                    }
                    if chars.get(at + 1) == Some(&']') {
                        at += 1;
                    }
                }
                ']' if set => set = false,
                c if *c == end && !set => return Some(at + 1),
                '\n' if end != '\n' => {}
                _ => {}
            }
            at += 1;
        }
        None
    };
    let plain = |at: usize, end: char| -> Option<usize> {
        let mut at = at;
        while let Some(c) = chars.get(at) {
            if *c == '\\' {
                at += 1;
            } else if *c == end {
                return Some(at + 1);
            }
            at += 1;
        }
        None
    };
    let mut file = |walk: &mut Walk<'_>, role: Role, name: &str| {
        let value = Val { text: name.to_owned(), ..Val::default() };
        if name.starts_with(ANY) {
            walk.opaque("a file of a `sed` script is not known");
            return;
        }
        walk.role(st, call.name, role, &value, call.io, tally);
    };
    while let Some(c) = get(at) {
        match c {
            ' ' | '\t' | '\n' | ';' | '{' | '}' | '!' | ',' | '$' | '~' | '+' | '0'..='9' => {
                at += 1
            }
            '#' => at = rest_of_line(at).1,
            '/' => match delimited(at + 1, '/') {
                Some(end) => {
                    at = end;
                    while matches!(get(at), Some('I' | 'M')) {
                        at += 1;
                    }
                }
                None => return walk.opaque("a script of `sed` is not understood"),
            },
            '\\' => match get(at + 1).and_then(|d| delimited(at + 2, d)) {
                Some(end) => at = end,
                None => return walk.opaque("a script of `sed` is not understood"),
            },
            's' | 'y' => {
                let Some(d) = get(at + 1) else {
                    return walk.opaque("a script of `sed` is not understood");
                };
                // Seds differ in whether a set may hold the delimiter.
                let first = delimited(at + 2, d);
                let simple = plain(at + 2, d);
                if first != simple {
                    return walk.opaque("a script of `sed` is read in different ways");
                }
                let Some(end) = first.and_then(|at| plain(at, d)) else {
                    return walk.opaque("a script of `sed` is not understood");
                };
                at = end;
                if c == 's' {
                    while let Some(f) = get(at) {
                        match f {
                            'g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9' => at += 1,
                            'e' => {
                                walk.opaque("a script of `sed` runs what it makes");
                                at += 1;
                            }
                            'w' => {
                                let (name, next) = rest_of_line(at + 1);
                                file(walk, Role::Write, &name);
                                at = next;
                            }
                            _ => break,
                        }
                    }
                }
            }
            'w' | 'W' | 'r' | 'R' => {
                let (name, next) = rest_of_line(at + 1);
                file(walk, if matches!(c, 'w' | 'W') { Role::Write } else { Role::Read }, &name);
                if matches!(c, 'r' | 'R') && name.contains([';', '}']) {
                    walk.opaque("a script of `sed` is read in different ways");
                }
                at = next;
            }
            'e' => {
                let (command, next) = rest_of_line(at + 1);
                walk.opaque("a script of `sed` runs commands");
                let value = Val { text: command, ..script.clone() };
                let _ = walk.shell_text(
                    &mut State { cwd: Vec::new(), ..State::default() },
                    &value,
                    &Io { piped: true, ..Io::default() },
                    "`sed`",
                );
                at = next;
            }
            'a' | 'i' | 'c' => {
                // Text up to the end of the line, or over continued lines.
                let mut next = at + 1;
                while let Some(c) = get(next) {
                    if c == '\\' {
                        next += 1;
                    } else if c == '\n' {
                        break;
                    }
                    next += 1;
                }
                at = next;
            }
            'b' | 't' | 'T' | ':' | 'v' => {
                let label: String =
                    chars.iter().skip(at).take_while(|c| !matches!(c, '\n' | ';' | '}')).collect();
                at += label.chars().count().max(1);
            }
            'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'n' | 'N' | 'p' | 'P' | 'x' | '=' | 'l' | 'q'
            | 'Q' | 'F' | 'z' => at += 1,
            _ => return walk.opaque("a script of `sed` is not understood"),
        }
    }
}

/// awk: harmless when the program cannot start, read or write anything of its own.
pub(super) fn awk(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut program: Option<Val> = None;
    let mut operands = Vec::new();
    let mut at = 0;
    let mut options = true;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        merge(&mut tally.args, &arg.from);
        let text = arg.text.as_str();
        if options && program.is_none() && arg.starts_unknown() {
            walk.opaque("an argument of `awk` is not known and may be an option");
        }
        if options && program.is_none() && text.starts_with('-') && text.len() > 1 {
            match text {
                "--" => options = false,
                "-F" | "-v" | "--field-separator" | "--assign" => at += 1,
                "-f" | "--file" => {
                    if let Some(file) = call.args.get(at) {
                        walk.role(st, "awk", Role::Script, file, call.io, &mut tally);
                    }
                    at += 1;
                    program = Some(Val::default());
                }
                _ if text.starts_with("-F")
                    || text.starts_with("-v")
                    || matches!(
                        text,
                        "--posix"
                            | "--traditional"
                            | "--sandbox"
                            | "-S"
                            | "--version"
                            | "--re-interval"
                    ) => {}
                _ => {
                    walk.opaque("an option of `awk` that is not followed");
                    if text.starts_with("-f") {
                        program = Some(Val::default());
                    }
                }
            }
            continue;
        }
        if program.is_none() {
            program = Some(arg.clone());
        } else {
            operands.push(arg.clone());
        }
    }
    if let Some(program) = program {
        if program.has_any() || program.spreads() {
            walk.opaque("a program of `awk` is not known");
        }
        // Strings and regular expressions may hold these, too; that is not told apart.
        let text = &program.text;
        let harms = ["system", "getline", "|", "@", "close", "ENVIRON", "ARGV", "/inet"];
        let output = {
            // `>` behind a print is a redirection; in a comparison it is not.
            let mut rest = text.as_str();
            let mut found = false;
            while let Some(at) = rest.find("print") {
                rest = rest.get(at + 5..).unwrap_or("");
                let end = rest.find([';', '}', '\n']).unwrap_or(rest.len());
                found |= rest.get(..end).is_some_and(|part| part.contains('>'));
            }
            // Without a print nothing is redirected.
            found
        };
        let only_or = !text.replace("||", "").contains('|');
        let harmful = harms.iter().any(|h| text.contains(h) && (*h != "|" || !only_or));
        if harmful || output {
            walk.opaque("a program of `awk` may run commands or open files");
            walk.flow(&tally.args.clone(), &Sink::Program("awk".into()));
        }
    }
    for operand in &operands {
        // `name=value` assigns.
        if operand.text.split_once('=').is_some_and(|(n, _)| super::parse::is_name(n)) {
            continue;
        }
        walk.role(st, "awk", Role::Read, operand, call.io, &mut tally);
    }
    walk.settle(call.spec, tally, call.io)
}

pub(super) fn jq(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut operands = Vec::new();
    let mut filtered = false;
    let mut raw_args = false;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        merge(&mut tally.args, &arg.from);
        match arg.text.as_str() {
            "--arg" | "--argjson" => at += 2,
            "--slurpfile" | "--rawfile" => {
                if let Some(file) = call.args.get(at + 1) {
                    walk.role(st, "jq", Role::Read, file, call.io, &mut tally);
                }
                at += 2;
            }
            "--indent" => at += 1,
            "--args" | "--jsonargs" => raw_args = true,
            "-L" => {
                walk.opaque("`jq -L` loads modules");
                at += 1;
            }
            "--from-file" | "-f" => {
                if let Some(file) = call.args.get(at) {
                    walk.role(st, "jq", Role::Read, file, call.io, &mut tally);
                }
                filtered = true;
                at += 1;
            }
            text if text.starts_with('-') && text.len() > 1 => {
                if text.contains('f') && !text.starts_with("--") || text.contains('L') {
                    walk.opaque("options of `jq` that are not followed");
                }
            }
            _ => operands.push(arg.clone()),
        }
    }
    for (n, operand) in operands.iter().enumerate() {
        if n == 0 && !filtered {
            if operand.spreads() {
                // The first match is the filter, the others are files.
                walk.role(st, "jq", Role::Read, operand, call.io, &mut tally);
            }
            if operand.text.contains("import")
                || operand.text.contains("include")
                || operand.text.contains("input_filename")
            {
                walk.opaque("a filter of `jq` that loads modules");
            }
            if operand.text.contains("env") {
                merge(&mut tally.args, &[Source::Env("*".into())]);
            }
            continue;
        }
        if !raw_args {
            walk.role(st, "jq", Role::Read, operand, call.io, &mut tally);
        }
    }
    walk.settle(call.spec, tally, call.io)
}

/// Pagers: a filter when their output is not a terminal, a shell when it is.
pub(super) fn pager(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    for arg in call.args {
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of a pager is not known");
        }
        if text.starts_with('+')
            || text.starts_with("-o")
            || text.starts_with("-k")
            || text.starts_with("-O")
            || text.starts_with("--log")
            || text.starts_with("--lesskey")
            || text.starts_with("-t")
            || text.starts_with("-T")
        {
            walk.opaque("an option of a pager that runs or writes something");
        } else if !text.starts_with('-') {
            walk.role(st, call.name, Role::Read, arg, call.io, &mut tally);
        }
    }
    walk.settle(call.spec, tally, call.io)
}

/// Editors run commands from options, files and keys.
pub(super) fn editor(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    for arg in call.args {
        walk.literal(&arg.text);
        if !arg.text.starts_with(['-', '+']) && !arg.text.starts_with(':') {
            walk.role(st, call.name, Role::ReadWrite, arg, call.io, &mut tally);
        }
    }
    walk.opaque(&format!("`{}` is an editor, which can run commands and open any file", call.name));
    walk.settle(call.spec, tally, call.io)
}

/// Calculators; `bc` and `dc` can run commands.
pub(super) fn calc(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    match call.name {
        "dc" | "bc" => {
            for arg in call.args {
                walk.literal(&arg.text);
                if !arg.text.starts_with('-') {
                    walk.role(st, call.name, Role::Read, arg, call.io, &mut tally);
                } else if !matches!(arg.text.as_str(), "-l" | "-q" | "-s" | "-w" | "-lq" | "-ql") {
                    walk.opaque("an option of a calculator is not followed");
                }
            }
            if call.name == "dc" {
                // `!command` in its input.
                let known =
                    call.io.text.as_ref().is_some_and(|t| t.is_known() && !t.text.contains('!'));
                if !known {
                    walk.opaque("`dc` can run commands from its input");
                }
            }
        }
        _ => {
            for arg in call.args {
                merge(&mut tally.args, &arg.from);
            }
        }
    }
    let _ = walk.settle(call.spec, tally, call.io);
    Out { from: Vec::new(), text: Some(Val::known(NAME)) }
}

pub(super) fn sqlite(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let file = call.args.iter().find(|a| !a.text.starts_with('-'));
    if let Some(file) = file
        && file.text != ":memory:"
    {
        walk.role(st, call.name, Role::ReadWrite, file, call.io, &mut tally);
    }
    let mut text = String::new();
    for arg in call.args {
        walk.literal(&arg.text);
        text.push_str(&arg.text.to_ascii_lowercase());
        text.push('\n');
    }
    let harmless = call.args.iter().all(Val::is_known)
        && call.args.len() > 1
        && !call.io.piped
        && ![
            "\n.",
            " .",
            "-cmd",
            "-init",
            "readfile",
            "writefile",
            "load_extension",
            "attach",
            "fts3_tokenizer",
            "edit(",
            "vacuum",
            "pragma",
        ]
        .iter()
        .any(|h| text.contains(h));
    if !harmless {
        walk.opaque(&format!("`{}` can run programs and open other files", call.name));
    }
    walk.settle(call.spec, tally, call.io)
}
