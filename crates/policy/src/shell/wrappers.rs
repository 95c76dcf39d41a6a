//! Programs that run other programs, and shells and interpreters.

use super::program::{Tally, split_port, told};
use super::special::Call;
use super::state::State;
use super::table::{Role, lookup};
use super::value::{ANY, BELOW, Val, merge};
use super::walk::{Io, Out, Walk};
use super::{Sink, Source};
use seawall_model::Effect;

/// Splits leading options (with values by the table) and `spec.first` operands off; the rest is
/// a command.
fn command_of(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>, tally: &mut Tally) -> Vec<Val> {
    let mut at = 0;
    let mut firsts = call.spec.first.iter();
    let mut options = true;
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        if options && text == "--" {
            options = false;
            at += 1;
            continue;
        }
        if options && text.starts_with('-') && text.len() > 1 {
            let end = option_end(call, at);
            let part = call.args.get(at..end).unwrap_or(&[]);
            walk.arguments(st, call.name, call.spec, part, call.io, tally);
            at = end;
            continue;
        }
        // Options of these programs end at the first operand.
        match firsts.next() {
            Some(role) => {
                walk.role(st, call.name, *role, arg, call.io, tally);
                at += 1;
            }
            None => break,
        }
        if call.name != "flock" {
            options = options && call.spec.first.len() > 1;
        }
    }
    placed(walk, call.name, call.args, at);
    call.args.get(at..).unwrap_or(&[]).to_vec()
}

/// Takes note when it is not known at which argument a wrapped command begins.
fn placed(walk: &mut Walk<'_>, name: &str, args: &[Val], at: usize) {
    if args.iter().take(at).any(Val::spreads) {
        walk.opaque(&format!("file names before the command of `{name}` may be the command"));
    }
}

/// Index behind the option at `at` and its value.
fn option_end(call: &Call<'_>, at: usize) -> usize {
    use super::table::Takes;
    let text = call.args.get(at).map_or("", |a| a.text.as_str());
    if text.contains('=') && text.starts_with("--") {
        return at + 1;
    }
    for opt in &call.spec.opts {
        if opt.takes != Takes::Value {
            continue;
        }
        for name in &opt.names {
            let long = name.starts_with("--") && text.len() > 3 && name.starts_with(text);
            if *name == text || long {
                return at + 2;
            }
            // `-vk 5`: the last letter of a cluster takes the next argument.
            if name.len() == 2
                && !text.starts_with("--")
                && text.ends_with(name.get(1..).unwrap_or(" "))
            {
                let flags = text.get(1..text.len() - 1).unwrap_or("");
                if flags.chars().all(|c| call.spec.flags.contains(c)) {
                    return at + 2;
                }
            }
        }
    }
    at + 1
}

/// `nice`, `timeout`, `nohup` and the like: options, operands, a command.
pub(super) fn wrap(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let command = command_of(walk, st, call, &mut tally);
    if call.name == "nohup" && !command.is_empty() {
        // Without a redirection the output goes here.
        for path in walk.known_paths(st, &Val::known("nohup.out"), "the output of `nohup` in") {
            walk.effect(Effect::Write { path });
        }
    }
    let mut inner = st.clone();
    let out = walk.without_functions(&mut inner, command, call.io);
    let mut from = out.from;
    merge(&mut from, &tally.reads);
    Out { from, text: None }
}

/// Wrappers whose options are not in the table: already opaque; the command is looked for.
pub(super) fn wrap_any(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut out = Out::default();
    for (at, arg) in call.args.iter().enumerate() {
        walk.literal(&arg.text);
        let base = super::path::base_name(&arg.text);
        if arg.is_known() && (lookup(base).is_some() || matches!(base, "eval" | "exec")) {
            let mut inner = st.clone();
            let rest = call.args.get(at..).unwrap_or(&[]).to_vec();
            let next = walk.without_functions(&mut inner, rest, call.io);
            merge(&mut out.from, &next.from);
            return out;
        }
    }
    walk.unknown_program(call.name, call.args, call.io)
}

pub(super) fn env(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut inner = st.clone();
    let mut args: Vec<Val> = call.args.to_vec();
    let mut at = 0;
    let mut options = true;
    let mut budget = 64;
    while let Some(arg) = args.get(at).cloned() {
        budget -= 1;
        if budget == 0 {
            walk.opaque("`env` with very many arguments");
            break;
        }
        let text = arg.text.as_str();
        if options && text.starts_with('-') && text.len() > 1 {
            at += 1;
            let (head, attached) = match text.split_once('=') {
                Some((head, value)) if head.starts_with("--") => (head, Some(value.to_owned())),
                _ => (text, None),
            };
            let short = head.get(..2).unwrap_or("");
            let clustered = head.get(2..).filter(|r| !r.is_empty() && !head.starts_with("--"));
            match (head, short) {
                ("--", _) => options = false,
                (
                    "-i"
                    | "--ignore-environment"
                    | "-0"
                    | "--null"
                    | "-v"
                    | "--debug"
                    | "-"
                    | "-iv",
                    _,
                ) => {}
                ("--unset", _)
                | (_, "-u")
                | ("--chdir", _)
                | (_, "-C")
                | ("--split-string", _)
                | (_, "-S")
                | (_, "-P") => {
                    let value = match attached.or_else(|| clustered.map(str::to_owned)) {
                        Some(value) => Val { text: value, ..arg.clone() },
                        None => {
                            at += 1;
                            args.get(at - 1).cloned().unwrap_or_default()
                        }
                    };
                    if head == "--chdir" || short == "-C" {
                        inner.cwd = walk.paths(&inner, &value).unwrap_or_default();
                    } else if head == "--split-string" || short == "-S" {
                        if !value.is_known() || value.text.contains(['$', '\\']) {
                            walk.opaque("`env -S` with text that is not followed");
                        }
                        // Quotes are removed much as a shell would.
                        let mut notes = Vec::new();
                        let words = super::parse::parse(&value.text, 8, &mut notes, &mut false);
                        let split: Vec<Val> = match words {
                            Ok(_) if !value.text.contains(['\'', '"']) => value
                                .text
                                .split_whitespace()
                                .map(|w| Val { text: w.to_owned(), ..value.clone() })
                                .collect(),
                            _ => {
                                walk.opaque("`env -S` with quotes");
                                Vec::new()
                            }
                        };
                        args.splice(at..at, split);
                    } else if short == "-P" {
                        walk.opaque("`env -P` looks for programs elsewhere");
                    }
                }
                _ if head.starts_with("--") && (head.ends_with("-signal")) => {}
                _ => walk.opaque("an option of `env` is not known"),
            }
            continue;
        }
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                let value = Val { text: value.to_owned(), ..arg.clone() };
                walk.assigned(&mut inner, name, &[value]);
                at += 1;
            }
            _ => break,
        }
    }
    placed(walk, call.name, &args, at);
    let command: Vec<Val> = args.get(at..).unwrap_or(&[]).to_vec();
    if command.is_empty() {
        return Out::from(vec![Source::Env("*".into())]);
    }
    walk.without_functions(&mut inner, command, call.io)
}

pub(super) fn sudo(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    walk.effect(Effect::ConfigChange { target: format!("runs as another user ({})", call.name) });
    let mut at = 0;
    let mut inner = st.clone();
    let mut shell = false;
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        at += 1;
        if text == "--" {
            break;
        }
        if !text.starts_with('-') {
            match text.split_once('=') {
                Some((name, value)) if super::parse::is_name(name) => {
                    let value = Val { text: value.to_owned(), ..arg.clone() };
                    walk.assigned(&mut inner, name, &[value]);
                    continue;
                }
                _ => {
                    at -= 1;
                    break;
                }
            }
        }
        match text {
            "-u" | "-g" | "-h" | "-p" | "-C" | "-r" | "-t" | "-T" | "-U" | "--user" | "--group"
            | "--host" | "--prompt" | "--close-from" | "--role" | "--type"
            | "--command-timeout" | "--other-user" | "-a" => at += 1,
            "-D" | "--chdir" | "-R" | "--chroot" => {
                at += 1;
                inner.cwd.clear();
            }
            "-s" | "--shell" | "-i" | "--login" => shell = true,
            "-e" | "--edit" => walk.opaque("`sudo -e` starts an editor"),
            "-v" | "-k" | "-K" | "-l" | "-n" | "-S" | "-b" | "-E" | "-H" | "-P" | "-A"
            | "--non-interactive" | "--stdin" | "--preserve-env" | "--set-home" | "--list"
            | "--validate" | "--background" => {}
            other if other.starts_with("-u") || other.starts_with("--") => {
                if !other.contains('=') && other.starts_with("--") {
                    walk.opaque("an option of `sudo` is not known");
                }
            }
            other => {
                if other.contains(['s', 'i']) {
                    shell = true;
                }
                if other.ends_with(['u', 'g', 'h', 'p', 'C', 'D', 'R']) {
                    at += 1;
                }
                if other.contains(['e', 'D', 'R']) {
                    walk.opaque("options of `sudo` that are not followed");
                }
            }
        }
    }
    placed(walk, call.name, call.args, at);
    let command: Vec<Val> = call.args.get(at..).unwrap_or(&[]).to_vec();
    if command.is_empty() {
        if shell {
            return stdin_script(walk, st, call);
        }
        return Out::default();
    }
    walk.without_functions(&mut inner, command, call.io)
}

pub(super) fn su(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    walk.effect(Effect::ConfigChange { target: "runs as another user (su)".into() });
    let mut out = Out::default();
    let mut found = false;
    for (at, arg) in call.args.iter().enumerate() {
        let text = arg.text.as_str();
        let value = match text {
            "-c" | "--command" | "--session-command" => call.args.get(at + 1).cloned(),
            _ => text
                .strip_prefix("--command=")
                .or_else(|| text.strip_prefix("-c").filter(|r| !r.is_empty()))
                .or_else(|| text.strip_prefix("-lc"))
                .map(|r| Val { text: r.to_owned(), ..arg.clone() })
                .filter(|v| !v.text.is_empty()),
        };
        if let Some(value) = value {
            found = true;
            let mut inner = st.clone();
            let next = walk.shell_text(&mut inner, &value, call.io, "`su`");
            merge(&mut out.from, &next.from);
            inner.cwd.clear();
            let _ = walk.shell_text(&mut inner, &value, call.io, "`su`");
        }
    }
    if !found {
        walk.opaque("`su` starts a shell");
        return stdin_script(walk, st, call);
    }
    out
}

pub(super) fn xargs(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut at = 0;
    let mut replace: Option<String> = None;
    let mut from = call.io.sources();
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        if !text.starts_with('-') || text.len() < 2 {
            break;
        }
        at += 1;
        match text {
            "--" => break,
            "-I" | "--replace" | "-J" => {
                if text == "--replace" {
                    replace = Some("{}".into());
                } else {
                    replace = call.args.get(at).map(|a| a.text.clone());
                    at += 1;
                }
            }
            "-i" => replace = Some("{}".into()),
            "-a" | "--arg-file" => {
                if let Some(file) = call.args.get(at) {
                    for path in walk.known_paths(st, file, "a file that is read,") {
                        walk.effect(Effect::Read { path: path.clone() });
                        from = vec![Source::File(path)];
                    }
                }
                at += 1;
            }
            "-n" | "-L" | "-P" | "-s" | "-d" | "-E" | "-R" | "-S" | "--max-args"
            | "--max-lines" | "--max-procs" | "--delimiter" | "--max-chars"
            | "--process-slot-var" => at += 1,
            _ => {
                if let Some(rest) =
                    text.strip_prefix("-I").or_else(|| text.strip_prefix("--replace="))
                {
                    replace = Some(rest.to_owned());
                } else if let Some(rest) = text.strip_prefix("-i") {
                    replace = Some(rest.to_owned());
                } else if let Some(rest) =
                    text.strip_prefix("--arg-file=").or_else(|| text.strip_prefix("-a"))
                {
                    let file = Val { text: rest.to_owned(), ..arg.clone() };
                    for path in walk.known_paths(st, &file, "a file that is read,") {
                        walk.effect(Effect::Read { path: path.clone() });
                        from = vec![Source::File(path)];
                    }
                } else if !text.starts_with("--")
                    && text.ends_with(['I', 'n', 'L', 'P', 'd', 's', 'E', 'a'])
                {
                    // `-0n 1`, `-0I {}`: a cluster whose last letter takes the next argument.
                    if text.ends_with('I') {
                        replace = call.args.get(at).map(|a| a.text.clone());
                    }
                    if text.ends_with('a') {
                        walk.opaque("options of `xargs` that are not followed");
                    }
                    at += 1;
                } else if !text.starts_with("--") && text.contains(['I', 'i', 'a', 'J']) {
                    walk.opaque("options of `xargs` that are not followed");
                }
            }
        }
    }
    placed(walk, call.name, call.args, at);
    let mut command: Vec<Val> = call.args.get(at..).unwrap_or(&[]).to_vec();
    if command.is_empty() {
        return Out::from(from); // echo
    }
    // Names from the pipe: known when they are one text of plain words.
    let words: Option<Vec<Val>> =
        call.io.text.as_ref().filter(|t| t.is_known() && !t.text.contains(['\'', '"', '\\'])).map(
            |t| {
                t.text
                    .split_whitespace()
                    .map(|w| Val { text: w.to_owned(), from: from.clone(), many: false })
                    .collect()
            },
        );
    match replace.filter(|r| !r.is_empty()) {
        Some(mark) => {
            let line = call.io.text.as_ref().filter(|t| {
                t.is_known()
                    && t.text.trim_end().lines().count() == 1
                    && !t.text.contains(['\'', '"', '\\'])
            });
            for arg in &mut command {
                if arg.text.contains(&mark) {
                    let with = line.map_or_else(|| ANY.to_string(), |t| t.text.trim().to_owned());
                    arg.text = arg.text.replace(&mark, &with);
                    merge(&mut arg.from, &from);
                }
            }
        }
        None => match words {
            Some(words) => command.extend(words),
            None => command.push(Val { many: true, ..Val::any(from.clone()) }),
        },
    }
    let mut inner = st.clone();
    let io = Io { from: Vec::new(), text: None, piped: true };
    let mut out = walk.without_functions(&mut inner, command, &io);
    out.text = None;
    out
}

pub(super) fn parallel(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    walk.opaque("`parallel` makes commands from its input");
    // The command up to `:::`, with an unknown argument, as shell text.
    let words: Vec<&Val> = call
        .args
        .iter()
        .take_while(|a| !a.text.starts_with(":::"))
        .skip_while(|a| a.text.starts_with('-'))
        .collect();
    let mut text = Val::default();
    for word in words {
        text.push(word);
        text.text.push(' ');
    }
    text.text.push(ANY);
    for arg in call.args {
        walk.literal(&arg.text);
    }
    let mut inner = st.clone();
    walk.shell_text(&mut inner, &text, call.io, "`parallel`")
}

pub(super) fn find(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut roots: Vec<Val> = Vec::new();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        match text {
            "-H" | "-L" | "-P" => at += 1,
            "-D" => at += 2,
            _ if text.starts_with("-O") => at += 1,
            _ if text.starts_with('-') || matches!(text, "(" | "!" | ")") => break,
            _ => {
                if arg.starts_unknown() {
                    walk.opaque("an argument of `find` is not known and may be an action");
                }
                roots.push(arg.clone());
                at += 1;
            }
        }
    }
    if roots.is_empty() {
        roots.push(Val::known("."));
    }
    let mut folders = Vec::new();
    for root in &roots {
        for path in walk.known_paths(st, root, "a folder that is searched,") {
            walk.effect(Effect::List { path: path.clone() });
            folders.push(path);
        }
    }
    let below = |root: &Val, dir: bool| {
        let text = if dir {
            format!("./{}", super::value::GLOB)
        } else {
            format!("{}/{BELOW}", root.text)
        };
        Val { text, ..root.clone() }
    };
    let mut out = Out::default();
    let mut tally = Tally::default();
    while let Some(arg) = call.args.get(at) {
        at += 1;
        let text = arg.text.as_str();
        walk.literal(text);
        match text {
            "-delete" => {
                for path in folders.clone() {
                    super::special::written(walk, &path);
                    walk.effect(Effect::Delete { path });
                }
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let end = call
                    .args
                    .iter()
                    .enumerate()
                    .skip(at)
                    .find(|(n, a)| {
                        a.text == ";"
                            || (a.text == "+"
                                && call
                                    .args
                                    .get(n.saturating_sub(1))
                                    .is_some_and(|p| p.text == "{}"))
                    })
                    .map_or(call.args.len(), |(n, _)| n);
                let command: Vec<Val> = call.args.get(at..end).unwrap_or(&[]).to_vec();
                at = end + 1;
                let dir = text.ends_with("dir");
                for root in &roots {
                    let found = below(root, dir);
                    let filled: Vec<Val> = command
                        .iter()
                        .map(|arg| {
                            if !arg.text.contains("{}") {
                                return arg.clone();
                            }
                            let mut arg = arg.clone();
                            if arg.text == "{}" {
                                return found.clone();
                            }
                            // Inside other text the name may be read as anything.
                            arg.text = arg.text.replace("{}", &found.text);
                            arg
                        })
                        .collect();
                    let mut inner = st.clone();
                    if dir {
                        // Somewhere below the root.
                        inner.cwd.clone_from(&folders);
                    }
                    let next = walk.without_functions(
                        &mut inner,
                        filled,
                        &Io { piped: true, ..Io::default() },
                    );
                    merge(&mut out.from, &next.from);
                }
            }
            "-fprint" | "-fprint0" | "-fls" | "-fprintf" => {
                if let Some(file) = call.args.get(at) {
                    walk.role(st, "find", Role::Write, file, call.io, &mut tally);
                }
                at += if text == "-fprintf" { 2 } else { 1 };
            }
            "-files0-from" => {
                if let Some(file) = call.args.get(at) {
                    walk.role(st, "find", Role::Read, file, call.io, &mut tally);
                }
                walk.opaque("`find` in folders that a file names");
                at += 1;
            }
            "-newer" | "-anewer" | "-cnewer" | "-samefile" => {
                if let Some(file) = call.args.get(at) {
                    walk.role(st, "find", Role::List, file, call.io, &mut tally);
                }
                at += 1;
            }
            _ if arg.has_any() || arg.many => {
                let before = at
                    .checked_sub(2)
                    .and_then(|n| call.args.get(n))
                    .map_or("", |a| a.text.as_str());
                let value = before.starts_with('-')
                    && (before.contains("name")
                        || before.contains("path")
                        || before.contains("regex")
                        || before.contains("time")
                        || before.contains("min")
                        || before == "-size"
                        || before == "-user"
                        || before == "-type"
                        || before.contains("depth"));
                if !value {
                    walk.opaque("an argument of `find` is not known and may be an action");
                }
            }
            _ => {}
        }
    }
    out
}

pub(super) fn busybox(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    match call.args.first().map(|a| a.text.as_str()) {
        None | Some("--list" | "--help" | "--list-full") => Out::default(),
        Some("--install") => {
            walk.opaque("`busybox --install` makes programs");
            Out::default()
        }
        Some(_) => {
            // Applets are dispatched inside; the options are nearly those of the full programs.
            if call.args.first().is_some_and(|a| {
                matches!(
                    a.text.as_str(),
                    "httpd" | "telnetd" | "ftpd" | "tcpsvd" | "udpsvd" | "inetd"
                )
            }) {
                walk.effect(Effect::Listen { port: None });
                walk.opaque("`busybox` as a server");
            }
            walk.without_functions(&mut st.clone(), call.args.to_vec(), call.io)
        }
    }
}

pub(super) fn watch(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let command = command_of(walk, st, call, &mut tally);
    let text = super::expand::spaced(&command);
    let mut inner = st.clone();
    walk.shell_text(&mut inner, &text, call.io, "`watch`")
}

pub(super) fn ssh(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut at = 0;
    let mut port = None;
    let mut host = None;
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        at += 1;
        walk.literal(text);
        if text.starts_with('-') && text.len() > 1 {
            let letter = text.get(1..2).unwrap_or("");
            let takes = "BbcDEeFIiJLlmOoPpQRSWw".contains(letter);
            if takes {
                let value = match text.get(2..).filter(|r| !r.is_empty()) {
                    Some(rest) => Val { text: rest.to_owned(), ..arg.clone() },
                    None => {
                        at += 1;
                        call.args.get(at - 1).cloned().unwrap_or_default()
                    }
                };
                match letter {
                    "p" => port = value.text.parse().ok(),
                    "i" => walk.role(st, "ssh", Role::Read, &value, call.io, &mut tally),
                    "E" => walk.role(st, "ssh", Role::Write, &value, call.io, &mut tally),
                    "F" => {
                        walk.role(st, "ssh", Role::Read, &value, call.io, &mut tally);
                        walk.opaque("`ssh -F` obeys a file");
                    }
                    "o" => walk.opaque("an option of `ssh -o` can run programs"),
                    "J" | "W" => walk.role(st, "ssh", Role::Host, &value, call.io, &mut tally),
                    "L" | "R" | "D" => {
                        walk.effect(Effect::Listen { port: None });
                        walk.opaque("`ssh` forwards connections");
                    }
                    "S" | "I" => walk.opaque("an option of `ssh` names a socket or library"),
                    _ => {}
                }
            }
            continue;
        }
        if arg.starts_unknown() {
            walk.opaque("an argument of `ssh` is not known and may be an option");
        }
        host = Some(arg.clone());
        break;
    }
    let Some(host) = host else { return Out::default() };
    let name = host.text.trim_start_matches("ssh://").rsplit('@').next().unwrap_or("").to_owned();
    let (name, in_name) = split_port(name.trim_end_matches('/'));
    let rest = call.args.get(at..).unwrap_or(&[]);
    let mut sent = if call.io.piped { call.io.from.clone() } else { vec![Source::Stdin] };
    for arg in rest {
        merge(&mut sent, &arg.from);
        walk.literal(&arg.text);
    }
    let host = walk.request(&name, port.or(in_name).or(Some(22)), None, true, &sent);
    if !rest.is_empty() {
        walk.opaque("runs commands on another machine");
    }
    let _ = st;
    Out::from(vec![Source::Host(host)])
}

pub(super) fn container(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    for arg in call.args {
        walk.literal(&arg.text);
    }
    let sub = call.args.iter().find(|a| !a.text.starts_with('-')).map_or("", |a| a.text.as_str());
    if matches!(
        sub,
        "ps" | "images"
            | "version"
            | "info"
            | "inspect"
            | "logs"
            | "stats"
            | "top"
            | "port"
            | "diff"
    ) && call.args.first().is_some_and(|a| a.text == sub)
    {
        return Out::from(vec![Source::Program(call.name.to_owned())]);
    }
    walk.opaque(&format!("`{} {sub}` runs programs outside this confinement", call.name));
    // Bind mounts give the container the host's files.
    let mut tally = Tally::default();
    for (at, arg) in call.args.iter().enumerate() {
        let text = arg.text.as_str();
        let mount = match text {
            "-v" | "--volume" | "--mount" => call.args.get(at + 1).map(|a| a.text.clone()),
            _ => text
                .strip_prefix("--volume=")
                .or_else(|| text.strip_prefix("--mount="))
                .or_else(|| text.strip_prefix("-v"))
                .map(str::to_owned),
        };
        if let Some(mount) = mount {
            let source = mount
                .split(',')
                .find_map(|p| p.strip_prefix("source=").or_else(|| p.strip_prefix("src=")))
                .map_or_else(|| mount.split(':').next().unwrap_or("").to_owned(), str::to_owned);
            if source.starts_with(['/', '.', '~']) {
                let value = Val { text: source, ..arg.clone() };
                walk.role(st, call.name, Role::ReadWrite, &value, call.io, &mut tally);
            }
        }
    }
    if matches!(sub, "pull" | "push" | "login" | "run" | "build" | "create") {
        walk.effect(Effect::Request {
            host: String::new(),
            port: None,
            url: None,
            sends: sub == "push" || sub == "login",
        });
    }
    walk.unknown_program(call.name, call.args, call.io)
}

/// `sh` and its relatives.
pub(super) fn shell(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut at = 0;
    let mut text = false;
    let mut from_stdin = false;
    let mut inner = State {
        cwd: st.cwd.clone(),
        vars: st.vars.clone(),
        functions: st.functions.clone(),
        links: st.links.clone(),
        fds: st.fds.clone(),
        ..State::default()
    };
    while let Some(arg) = call.args.get(at) {
        let flag = arg.text.as_str();
        if flag == "--" || flag == "-" {
            at += 1;
            break;
        }
        if !flag.starts_with(['-', '+']) || flag.len() < 2 {
            break;
        }
        at += 1;
        if arg.starts_unknown() {
            walk.opaque("an option of a shell is not known");
        }
        match flag {
            "--login" | "--norc" | "--noprofile" | "--posix" | "--restricted" | "--verbose" => {}
            "--rcfile" | "--init-file" => {
                walk.opaque("a shell with a start-up file");
                at += 1;
            }
            _ if flag.starts_with("--") => walk.opaque("an option of a shell is not known"),
            _ => {
                let letters = flag.get(1..).unwrap_or("");
                if flag.starts_with('-') {
                    text |= letters.contains('c');
                    from_stdin |= letters.contains('s');
                    inner.errexit |= letters.contains('e');
                }
                if letters.contains('i') || letters.contains('l') {
                    walk.opaque("a shell that reads start-up files");
                }
                // `-o option`, `-O option`: one value each.
                at += letters.matches(['o', 'O']).count();
                if letters.contains('O') {
                    walk.opaque("a shell with options that change how text is read");
                }
            }
        }
    }
    if call.args.iter().any(|a| a.many || a.has_any()) && !text {
        walk.opaque("an argument of a shell is not known");
    }
    if text {
        let Some(script) = call.args.get(at) else { return Out::default() };
        // `$0` comes first.
        inner.name = call.args.get(at + 1).map(|v| Val { many: false, ..v.clone() });
        if call.args.get(at + 1).is_some_and(Val::spreads) {
            inner.name = Some(Val::any(Vec::new()));
            inner.args = None;
            return walk.shell_text(&mut inner, script, call.io, &format!("`{} -c`", call.name));
        }
        inner.args = Some(call.args.get(at + 2..).unwrap_or(&[]).to_vec());
        return walk.shell_text(&mut inner, script, call.io, &format!("`{} -c`", call.name));
    }
    match call.args.get(at) {
        Some(file) if !from_stdin => {
            if matches!(file.text.as_str(), "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0") {
                return stdin_script(walk, st, call);
            }
            let mut tally = Tally::default();
            walk.role(st, call.name, Role::Script, file, call.io, &mut tally);
            let mut from = tally.reads;
            merge(&mut from, &file.from);
            walk.flow(&from, &Sink::Program(call.name.to_owned()));
            walk.unknown_program(call.name, call.args, call.io)
        }
        _ => {
            inner.args = Some(call.args.get(at..).unwrap_or(&[]).to_vec());
            match call.io.text.clone().filter(|_| call.io.piped) {
                Some(script) => {
                    let io = Io { from: Vec::new(), text: None, piped: true };
                    walk.shell_text(&mut inner, &script, &io, "a shell")
                }
                None => stdin_script(walk, st, call),
            }
        }
    }
}

/// A program that runs its standard input.
fn stdin_script(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let _ = st;
    if call.io.piped {
        walk.opaque(&format!("`{}` runs text that comes from a pipe or file", call.name));
        walk.flow(&call.io.from, &Sink::Program(call.name.to_owned()));
    } else {
        walk.opaque(&format!("`{}` runs its standard input", call.name));
    }
    Out::from(vec![Source::Program(call.name.to_owned())])
}

/// Interpreters of other languages.
pub(super) fn interpreter(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut from = if call.io.piped { call.io.from.clone() } else { Vec::new() };
    if let [only] = call.args
        && matches!(only.text.as_str(), "--version" | "-v" | "-V" | "--help" | "-h" | "-version")
        && call.name != "lua"
    {
        return Out::default();
    }
    let mut script = false;
    for arg in call.args {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        let text = arg.text.as_str();
        if !text.starts_with('-')
            && !script
            && !text.contains([' ', '\n', '(', ';'])
            && !text.is_empty()
        {
            // The script, or the value of an option: a read either way.
            if let Some(paths) = walk.paths(st, arg) {
                for path in paths {
                    merge(&mut from, &[Source::File(path.clone())]);
                    walk.effect(Effect::Read { path });
                }
            }
            script = true;
        }
    }
    if let Some(text) = &call.io.text {
        let text = text.text.clone();
        walk.literal(&text);
    }
    if call.args.iter().any(|a| a.text == "http.server" || a.text == "SimpleHTTPServer") {
        walk.effect(Effect::Listen {
            port: call.args.iter().find_map(|a| a.text.parse().ok()).or(Some(8000)),
        });
        for path in walk.known_paths(st, &Val::known("."), "the folder that is served,") {
            walk.effect(Effect::Read { path });
        }
    }
    walk.opaque(&format!(
        "`{}` runs code that is not followed ({})",
        call.name,
        call.args.first().map_or_else(|| "from its input".into(), told)
    ));
    walk.flow(&from, &Sink::Program(call.name.to_owned()));
    merge(&mut from, &[Source::Program(call.name.to_owned())]);
    Out::from(from)
}
