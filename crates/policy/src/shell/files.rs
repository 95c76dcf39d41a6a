//! Programs that work on files and text, where a table is not enough.

use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{NAME, Val, merge};
use super::walk::{Out, Walk};
use super::{Sink, Source, path};
use seawall_model::Effect;

pub(super) fn plain(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Tally {
    let mut tally = Tally::default();
    walk.arguments(st, call.name, call.spec, call.args, call.io, &mut tally);
    tally
}

/// `wc -l` of its input prints one number.
pub(super) fn count(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let tally = plain(walk, st, call);
    let one = tally.operands.is_empty()
        && matches!(call.args, [only] if matches!(only.text.as_str(), "-l" | "-w" | "-c" | "-m"));
    let out = walk.settle(call.spec, tally, call.io);
    if one { Out { from: Vec::new(), text: Some(Val::name()) } } else { out }
}

/// `cat` of a known text is that text.
pub(super) fn cat(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let tally = plain(walk, st, call);
    let same = call.name == "cat" && call.args.is_empty() && call.io.piped;
    let mut out = walk.settle(call.spec, tally, call.io);
    if same {
        out.text.clone_from(&call.io.text);
    }
    out
}

pub(super) fn basename(_walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let from: Vec<Source> = call.args.iter().flat_map(|a| a.from.clone()).collect();
    match call.args {
        [one] if one.is_known() => Out { from, text: Some(Val::known(path::base_name(&one.text))) },
        [one, suffix] if one.is_known() && suffix.is_known() => {
            let base = path::base_name(&one.text);
            Out {
                from,
                text: Some(Val::known(base.strip_suffix(suffix.text.as_str()).unwrap_or(base))),
            }
        }
        _ => Out::from(from),
    }
}

pub(super) fn dirname(_walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let from: Vec<Source> = call.args.iter().flat_map(|a| a.from.clone()).collect();
    match call.args {
        [one] if one.is_known() => {
            let text = one.text.trim_end_matches('/');
            let text = match text.rfind('/') {
                Some(0) => "/",
                Some(at) => text.get(..at).unwrap_or("/"),
                None => ".",
            };
            Out { from, text: Some(Val::known(text)) }
        }
        _ => Out::from(from),
    }
}

/// Options of `cp`, `mv`, `ln` and `install`: operands, the folder of `-t`, the letters given.
struct Moved {
    operands: Vec<Val>,
    target: Option<Val>,
    letters: String,
    no_folder: bool,
}

fn moved(walk: &mut Walk<'_>, call: &Call<'_>) -> Moved {
    let mut out =
        Moved { operands: Vec::new(), target: None, letters: String::new(), no_folder: false };
    let mut at = 0;
    let mut options = true;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if options && arg.starts_unknown() {
            walk.opaque(&format!(
                "an argument of `{}` is not known and may be an option",
                call.name
            ));
        }
        if !options || !text.starts_with('-') || text.len() < 2 {
            out.operands.push(arg.clone());
            continue;
        }
        if text == "--" {
            options = false;
            continue;
        }
        if let Some(long) = text.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v)));
            let is = |full: &str| full.starts_with(name) && name.len() > 2;
            if is("target-directory") {
                out.target = match value {
                    Some(value) => Some(Val { text: value.to_owned(), ..arg.clone() }),
                    None => {
                        at += 1;
                        call.args.get(at - 1).cloned()
                    }
                };
            } else if is("symbolic-link") || is("symbolic") {
                out.letters.push('s');
            } else if is("link") {
                out.letters.push('l');
            } else if is("directory") {
                out.letters.push('d');
            } else if is("strip-program") {
                walk.opaque("`install` runs a program");
                at += usize::from(value.is_none());
            } else if (is("mode") || is("owner") || is("group") || is("suffix")) && value.is_none()
            {
                at += 1;
            } else if is("no-target-directory") {
                out.no_folder = true;
            }
            continue;
        }
        let mut rest = text.get(1..).unwrap_or("");
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            out.letters.push(c);
            let valued = match c {
                't' | 'S' => true,
                'm' | 'o' | 'g' => call.name.contains("install"),
                _ => false,
            };
            if valued {
                let value = if rest.is_empty() {
                    at += 1;
                    call.args.get(at - 1).cloned()
                } else {
                    Some(Val { text: rest.to_owned(), ..arg.clone() })
                };
                if c == 't' {
                    out.target = value;
                }
                rest = "";
            }
        }
        if text.contains('T') {
            out.no_folder = true;
        }
    }
    // Of the matches of a glob only the last one is the target (`cp *`, `cp a b*`).
    let spread = out.operands.last().is_some_and(Val::spreads);
    if out.target.is_none() && spread {
        out.target = out.operands.last().cloned();
    } else if out.target.is_none() && out.operands.len() > 1 {
        out.target = out.operands.pop();
    }
    out
}

/// The paths that come to be when `source` is put at `target`: the target itself, and the name
/// inside it when it may be a folder.
fn places(
    walk: &mut Walk<'_>,
    st: &State,
    moved: &Moved,
    source: &Val,
    target: &Val,
) -> Vec<String> {
    let bases = walk.known_paths(st, target, "a file that is written,");
    let mut out = Vec::new();
    let folder = moved.operands.len() > 1
        || target.text.ends_with('/')
        || matches!(target.text.as_str(), "." | "..")
        || bases.iter().any(|b| {
            b == walk.cx.home
                || b == walk.cx.workspace
                || st.cwd.contains(b)
                || b == "/"
                || b == "/tmp"
        });
    let base = path::base_name(&source.text).to_owned();
    for at in bases {
        if !target.is_known() {
            // The folder that holds the target.
            out.push(at);
            continue;
        }
        if !moved.no_folder {
            let known = source.is_known() && !matches!(base.as_str(), "" | "." | "..");
            if known {
                out.push(path::normalise(&at, &base));
            }
            if folder && known {
                continue;
            }
        }
        out.push(at);
    }
    out
}

fn put(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>, read: Role) -> Out {
    let moved = moved(walk, call);
    let links = moved.letters.contains(['s', 'l']) && call.name.ends_with("cp");
    if call.name.contains("install") && moved.letters.contains('d') {
        let mut tally = Tally::default();
        for operand in moved.operands.iter().chain(&moved.target) {
            walk.role(st, call.name, Role::Write, operand, call.io, &mut tally);
        }
        return Out::silent();
    }
    let Some(target) = moved.target.clone() else { return Out::default() };
    for source in &moved.operands {
        let mut tally = Tally::default();
        walk.role(st, call.name, read, source, call.io, &mut tally);
        for at in places(walk, st, &moved, source, &target) {
            walk.effect(Effect::Write { path: at.clone() });
            super::special::written(walk, &at);
            walk.flow(&tally.reads, &Sink::File(at.clone()));
            if links || moved.letters.contains(['a', 'd', 'P', 'R', 'r']) {
                for source in &tally.reads {
                    if let (true, Source::File(file)) = (links, source) {
                        let file = file.clone();
                        walk.link(st, at.clone(), &file);
                    }
                }
            }
            // A folder that moved takes its links along.
            let moved_links: Vec<(String, String)> = st
                .links
                .iter()
                .filter_map(|(link, to)| {
                    tally.reads.iter().find_map(|s| match s {
                        Source::File(file) => link
                            .strip_prefix(file.as_str())
                            .map(|rest| (format!("{at}{rest}"), to.clone())),
                        _ => None,
                    })
                })
                .collect();
            st.links.extend(moved_links);
        }
    }
    Out::silent()
}

pub(super) fn copy(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    put(walk, st, call, Role::Read)
}

pub(super) fn rename(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    put(walk, st, call, Role::Move)
}

pub(super) fn install_file(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    put(walk, st, call, Role::Read)
}

pub(super) fn link(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let moved = moved(walk, call);
    let target = match &moved.target {
        Some(target) => target.clone(),
        None => Val::known("."),
    };
    for source in &moved.operands {
        if !source.is_known() {
            walk.opaque("makes a link to a file that is not known");
        }
        for at in places(walk, st, &moved, source, &target) {
            walk.effect(Effect::Write { path: at.clone() });
            super::special::written(walk, &at);
            if source.is_known() {
                if moved.letters.contains('s') {
                    // The target of a symbolic link is relative to the link.
                    walk.link(st, at, &source.text);
                } else {
                    for to in walk.known_paths(st, source, "a file that is linked,") {
                        walk.link(st, at.clone(), &to);
                    }
                }
            }
        }
    }
    Out::silent()
}

pub(super) fn chmod(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    // A mode such as `-x` looks like an option.
    let args: Vec<Val> = call
        .args
        .iter()
        .map(|arg| {
            let mode = arg
                .text
                .strip_prefix('-')
                .is_some_and(|m| !m.is_empty() && m.chars().all(|c| "rwxXst".contains(c)));
            if mode { Val::known("a-mode") } else { arg.clone() }
        })
        .collect();
    let set = args.iter().any(|a| {
        a.text.contains("+s")
            || a.text.contains("=s")
            || a.text.contains("+rws")
            || (a.text.len() == 4
                && a.text.bytes().all(|b| b.is_ascii_digit())
                && !a.text.starts_with('0'))
    });
    if set {
        walk.effect(Effect::ConfigChange { target: "gives a program its owner's rights".into() });
    }
    let mut tally = Tally::default();
    walk.arguments(st, call.name, call.spec, &args, call.io, &mut tally);
    Out::silent()
}

pub(super) fn dd(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    for arg in call.args {
        walk.literal(&arg.text);
        let (name, value) = arg.text.split_once('=').unwrap_or(("", ""));
        let value = Val { text: value.to_owned(), ..arg.clone() };
        match name {
            "if" => walk.role(st, "dd", Role::Read, &value, call.io, &mut tally),
            "of" => walk.role(st, "dd", Role::Write, &value, call.io, &mut tally),
            _ if arg.starts_unknown() => walk.opaque("an argument of `dd` is not known"),
            _ => {}
        }
    }
    walk.settle(call.spec, tally, call.io)
}

pub(super) fn mktemp(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut folder = Val::known("/tmp");
    let mut template = None;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        match arg.text.as_str() {
            "-p" => {
                folder = call.args.get(at).cloned().unwrap_or_default();
                at += 1;
            }
            "--suffix" => at += 1,
            text => {
                if let Some(value) = text.strip_prefix("--tmpdir=") {
                    folder = Val { text: value.to_owned(), ..arg.clone() };
                } else if !text.starts_with('-') {
                    template = Some(arg.clone());
                }
            }
        }
    }
    let tmp = st.vars.contains_key("TMPDIR") || walk.cx.vars.contains_key("TMPDIR");
    let used = call
        .args
        .iter()
        .any(|a| matches!(a.text.as_str(), "-t" | "-p") || a.text.starts_with("--tmpdir"));
    let text = match template {
        Some(template) if !used => {
            // `X`s become letters and digits.
            let trimmed = template.text.trim_end_matches('X');
            Val { text: format!("{trimmed}{NAME}"), ..template }
        }
        _ if tmp => Val::any(Vec::new()),
        _ => Val { text: format!("{}/{NAME}", folder.text), ..folder },
    };
    let paths = walk.known_paths(st, &text, "a temporary file,");
    for path in paths {
        walk.effect(Effect::Write { path });
    }
    Out { from: Vec::new(), text: Some(text) }
}

/// `split`, `csplit`: many files beside a prefix.
pub(super) fn split(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = plain(walk, st, call);
    let prefix = tally
        .operands
        .get(1)
        .cloned()
        .filter(|_| call.name.ends_with("split") && call.name != "csplit");
    let prefix = prefix.unwrap_or_else(|| Val::known("x"));
    let part = Val { text: format!("{}{NAME}", prefix.text), ..prefix };
    walk.role(st, call.name, Role::Write, &part, call.io, &mut tally);
    if let Some(first) = tally.operands.first().filter(|o| o.spreads()).cloned() {
        // The second match is the prefix.
        walk.role(st, call.name, Role::Write, &first, call.io, &mut tally);
    }
    walk.settle(call.spec, tally, call.io)
}

pub(super) fn date(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut format = None;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        let text = arg.text.as_str();
        match text {
            "-f" | "--file" | "-r" | "--reference" => {
                if let Some(file) = call.args.get(at) {
                    let role = if text.contains('f') && !text.contains("ref") {
                        Role::Read
                    } else {
                        Role::List
                    };
                    walk.role(st, "date", role, file, call.io, &mut tally);
                }
                at += 1;
            }
            "-d" | "--date" | "-v" | "-j" => at += usize::from(text != "-j"),
            "-s" | "--set" => {
                walk.effect(Effect::ConfigChange { target: "the clock".into() });
                at += 1;
            }
            _ if text.starts_with("--file=") || text.starts_with("-f") => {
                let file = Val {
                    text: text.trim_start_matches("--file=").trim_start_matches("-f").to_owned(),
                    ..arg.clone()
                };
                walk.role(st, "date", Role::Read, &file, call.io, &mut tally);
            }
            _ if text.starts_with('+') => format = Some(arg.clone()),
            _ => {}
        }
    }
    let mut from = tally.reads;
    let safe = match &format {
        Some(format) => {
            merge(&mut from, &format.from);
            format.is_known()
                && !format.text.contains(['/', 'D', 'x', 'c', 'n', 't', ' ', '\'', '"'])
                && format.text.contains('%')
                && !format.text.contains("..")
                && !format.text.starts_with("+-")
                && !format.text.starts_with("+.")
        }
        None => false,
    };
    Out { from, text: safe.then(Val::name) }
}

/// Prints a name of the machine or the user.
pub(super) fn name_only(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let _ = st;
    if call.name == "hostname" && call.args.iter().any(|a| !a.text.starts_with('-')) {
        walk.effect(Effect::ConfigChange { target: "the host name".into() });
    }
    let wide = call.args.is_empty() && call.name == "id"
        || call.args.iter().any(|a| a.text == "-I" || a.text == "-Gn" || a.text == "-G");
    Out { from: vec![Source::Program(call.name.to_owned())], text: (!wide).then(Val::name) }
}

/// Prints the environment.
pub(super) fn env_all(_walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let names: Vec<Source> = call
        .args
        .iter()
        .filter(|a| super::parse::is_name(&a.text))
        .map(|a| Source::Env(a.text.clone()))
        .collect();
    let mut from = if names.is_empty() || call.name != "printenv" {
        vec![Source::Env("*".into())]
    } else {
        names
    };
    if call.io.piped {
        merge(&mut from, &call.io.from);
    }
    Out::from(from)
}
