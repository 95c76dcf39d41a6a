//! Programs that work on files and text, where a table is not enough.

use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{ANY, GLOB, NAME, Val, merge};
use super::walk::{Io, Out, Walk};
use super::{Sink, Source, path};
use seawall_model::Effect;

fn plain(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Tally {
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
    if out.target.is_none() && out.operands.len() > 1 {
        out.target = out.operands.pop();
    } else if out.target.is_none() && out.operands.iter().any(|o| o.many || o.text.contains(GLOB)) {
        // `cp *`: the last match is the target.
        out.target = out.operands.first().cloned();
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
    walk.settle(call.spec, tally, call.io)
}

pub(super) fn tar(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut letters = String::new();
    let mut archive: Option<Val> = None;
    let mut operands: Vec<(Val, Vec<String>)> = Vec::new();
    let mut cwd = st.clone();
    let mut tally = Tally::default();
    let mut at = 0;
    let mut old_style = Vec::new();
    let mut options = true;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if options && arg.starts_unknown() {
            walk.opaque("an argument of `tar` is not known and may be an option");
        }
        if at == 1 && !text.starts_with('-') && arg.is_known() {
            // `tar xzf file`: the letters take their values in order.
            letters.push_str(text);
            old_style = text.chars().filter(|c| "fbCTXFHIKLNgV".contains(*c)).collect();
            for c in old_style.clone() {
                let value = call.args.get(at).cloned().unwrap_or_default();
                at += 1;
                short(walk, &mut cwd, call, c, &value, &mut archive, &mut tally);
            }
            continue;
        }
        if text == "--" {
            options = false;
            continue;
        }
        if !options || !text.starts_with('-') || text.len() < 2 {
            operands.push((arg.clone(), cwd.cwd.clone()));
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
            let is = |full: &str| name.len() > 2 && full.starts_with(name);
            if is("extract") || name == "get" {
                letters.push('x');
            } else if is("create") {
                letters.push('c');
            } else if is("list") {
                letters.push('t');
            } else if is("append") || is("update") || is("concatenate") || is("delete") {
                letters.push('r');
            } else if is("file") {
                archive = Some(value(&mut at));
            } else if is("directory") {
                let to = value(&mut at);
                cwd.cwd = walk.paths(&cwd, &to).unwrap_or_default();
            } else if is("to-command")
                || is("checkpoint-action")
                || is("use-compress-program")
                || is("info-script")
                || is("new-volume-script")
                || is("rsh-command")
                || is("rmt-command")
            {
                let command = value(&mut at);
                let text = command.text.strip_prefix("exec=").unwrap_or(&command.text).to_owned();
                if is("checkpoint-action")
                    && !command.text.starts_with("exec=")
                    && command.is_known()
                {
                    continue;
                }
                walk.opaque(&format!("`tar --{name}` runs a program"));
                let command = Val { text, ..command };
                let _ = walk.shell_text(
                    &mut st.clone(),
                    &command,
                    &Io { piped: true, ..Io::default() },
                    "`tar`",
                );
            } else if is("files-from") || is("exclude-from") {
                let file = value(&mut at);
                walk.role(&mut cwd, "tar", Role::Read, &file, call.io, &mut tally);
                if is("files-from") {
                    walk.opaque("`tar` packs what a file names");
                }
            } else if is("listed-incremental") || is("index-file") || is("volno-file") {
                let file = value(&mut at);
                walk.role(&mut cwd, "tar", Role::ReadWrite, &file, call.io, &mut tally);
            } else if is("absolute-names") {
                letters.push('P');
            } else if is("exclude")
                || is("strip-components")
                || is("transform")
                || is("xform")
                || is("mode")
                || is("owner")
                || is("group")
                || is("mtime")
                || is("checkpoint")
                || is("format")
                || is("newer")
            {
                if !long.contains('=') && !is("checkpoint") {
                    at += 1;
                }
                if (is("transform") || is("xform")) && letters.contains('x') {
                    walk.opaque("`tar` renames what it unpacks");
                }
            } else {
                const KNOWN: &[&str] = &[
                    "gzip",
                    "gunzip",
                    "bzip2",
                    "xz",
                    "zstd",
                    "lzma",
                    "lzip",
                    "auto-compress",
                    "verbose",
                    "verify",
                    "keep-old-files",
                    "overwrite",
                    "preserve-permissions",
                    "same-permissions",
                    "same-owner",
                    "no-same-owner",
                    "no-same-permissions",
                    "to-stdout",
                    "touch",
                    "sort",
                    "numeric-owner",
                    "dereference",
                    "wildcards",
                    "no-recursion",
                    "exclude-vcs",
                    "one-file-system",
                    "totals",
                    "version",
                    "help",
                    "skip-old-files",
                    "recursive-unlink",
                    "warning",
                    "no-wildcards",
                    "anchored",
                    "null",
                    "sparse",
                    "xattrs",
                    "acls",
                    "selinux",
                    "no-xattrs",
                    "hard-dereference",
                    "diff",
                    "compare",
                    "unlink-first",
                    "posix",
                    "quoting-style",
                    "full-time",
                    "no-auto-compress",
                    "ignore-failed-read",
                    "exclude-caches",
                ];
                if !KNOWN.contains(&name) {
                    walk.opaque("an option of `tar` is not known");
                }
                if is("remove-files") {
                    letters.push('D');
                }
            }
            continue;
        }
        let mut rest = text.get(1..).unwrap_or("");
        while let Some(c) = rest.chars().next() {
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            letters.push(c);
            if "fbCTXFHIKLNgV".contains(c) {
                let value = if rest.is_empty() {
                    at += 1;
                    call.args.get(at - 1).cloned().unwrap_or_default()
                } else {
                    Val { text: rest.to_owned(), ..arg.clone() }
                };
                short(walk, &mut cwd, call, c, &value, &mut archive, &mut tally);
                rest = "";
            }
        }
    }
    let _ = old_style;
    if let Some(archive) = &archive
        && (archive.text.contains(':') && !archive.text.contains('/')
            || archive.text.split('/').next().is_some_and(|p| p.contains(':')))
    {
        walk.opaque("`tar` with an archive on another machine");
        walk.request(archive.text.split(':').next().unwrap_or(""), None, None, true, &[]);
    }
    let creates = letters.contains(['c', 'r', 'u', 'A', 'D']);
    let extracts = letters.contains('x');
    if !creates && !extracts && !letters.contains(['t', 'd']) {
        walk.opaque("what `tar` does here is not followed");
    }
    let archive = archive.filter(|a| a.text != "-");
    if creates {
        for (operand, folder) in &operands {
            let mut inner =
                State { cwd: folder.clone(), links: st.links.clone(), ..State::default() };
            walk.role(&mut inner, "tar", Role::Read, operand, call.io, &mut tally);
            if text_contains_remove(call) {
                walk.role(&mut inner, "tar", Role::Delete, operand, call.io, &mut tally);
            }
        }
        if let Some(archive) = &archive {
            walk.role(st, "tar", Role::Write, archive, call.io, &mut tally);
            if letters.contains(['r', 'u', 'A']) {
                walk.role(st, "tar", Role::Read, archive, call.io, &mut tally);
            }
        }
    } else if let Some(archive) = &archive {
        walk.role(st, "tar", Role::Read, archive, call.io, &mut tally);
    }
    let mut out = tally.reads.clone();
    if archive.is_none() && call.io.piped && !creates {
        merge(&mut out, &call.io.from);
    }
    if extracts && !letters.contains('O') {
        if letters.contains('P') {
            walk.opaque("`tar -P` unpacks to the paths that the archive names");
        }
        for folder in cwd.cwd.clone() {
            walk.effect(Effect::Write { path: folder.clone() });
            super::special::written(walk, &folder);
            walk.flow(&out, &Sink::File(folder));
        }
        if cwd.cwd.is_empty() {
            walk.opaque("`tar` unpacks into a folder that is not known");
        }
    }
    for sink in &tally.writes {
        walk.flow(&out, sink);
    }
    Out::from(out)
}

fn text_contains_remove(call: &Call<'_>) -> bool {
    call.args.iter().any(|a| a.text.starts_with("--remove"))
}

fn short(
    walk: &mut Walk<'_>,
    cwd: &mut State,
    call: &Call<'_>,
    letter: char,
    value: &Val,
    archive: &mut Option<Val>,
    tally: &mut Tally,
) {
    match letter {
        'f' => *archive = Some(value.clone()),
        'C' => cwd.cwd = walk.paths(cwd, value).unwrap_or_default(),
        'T' => {
            walk.role(cwd, "tar", Role::Read, value, call.io, tally);
            walk.opaque("`tar` packs what a file names");
        }
        'X' => walk.role(cwd, "tar", Role::Read, value, call.io, tally),
        'g' => walk.role(cwd, "tar", Role::ReadWrite, value, call.io, tally),
        'F' | 'I' => {
            walk.opaque("`tar` runs a program for its archive");
            let _ = walk.shell_text(
                &mut cwd.clone(),
                value,
                &Io { piped: true, ..Io::default() },
                "`tar`",
            );
        }
        _ => {}
    }
}

/// `gzip` and its relatives replace `x` by `x.gz` or the other way around.
pub(super) fn compress(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut letters = String::new();
    let mut tally = Tally::default();
    let mut operands = Vec::new();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque(&format!(
                "an argument of `{}` is not known and may be an option",
                call.name
            ));
        }
        match text {
            "-o" | "--output" => {
                if let Some(value) = call.args.get(at) {
                    walk.role(st, call.name, Role::Write, value, call.io, &mut tally);
                }
                at += 1;
            }
            "-S" | "--suffix" | "-D" | "--output-dir-flat" | "-T" | "--threads" | "-p" | "-b" => {
                at += 1
            }
            "--stdout" | "--to-stdout" => letters.push('c'),
            "--keep" => letters.push('k'),
            "--files" | "--files0" | "--filelist" | "--filter" | "--train" => {
                walk.opaque("files that another file names");
            }
            "-" => {}
            _ if text.starts_with("--files") => walk.opaque("files that another file names"),
            _ if text.starts_with("--") => {}
            _ if text.starts_with('-') => letters.push_str(text),
            _ => operands.push(arg.clone()),
        }
    }
    let stdout = letters.contains('c') || letters.contains('l') || letters.contains('t');
    for operand in operands {
        walk.role(st, call.name, Role::Read, &operand, call.io, &mut tally);
        if stdout {
            continue;
        }
        walk.role(st, call.name, Role::Delete, &operand, call.io, &mut tally);
        // The other name, with or without a suffix.
        const SUFFIXES: &[&str] =
            &[".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".Z", ".lzo", ".br"];
        let stripped = SUFFIXES.iter().find_map(|s| operand.text.strip_suffix(s));
        let mut others = Vec::new();
        match stripped {
            Some(stem) => others.push(stem.to_owned()),
            None => {
                for suffix in SUFFIXES {
                    let fits = match call.name {
                        "gzip" | "pigz" | "gunzip" => *suffix == ".gz",
                        "bzip2" | "pbzip2" | "bunzip2" => *suffix == ".bz2",
                        "xz" | "unxz" => *suffix == ".xz",
                        "zstd" | "unzstd" => *suffix == ".zst",
                        "lz4" => *suffix == ".lz4",
                        "compress" => *suffix == ".Z",
                        "lzma" => *suffix == ".lzma",
                        _ => true,
                    };
                    if fits {
                        others.push(format!("{}{suffix}", operand.text));
                    }
                }
                if operand.text.ends_with(".tgz")
                    || operand.text.ends_with(".tbz")
                    || operand.text.ends_with(".txz")
                {
                    others.push(format!(
                        "{}.tar",
                        operand.text.rsplit_once('.').map_or("", |(s, _)| s)
                    ));
                }
            }
        }
        for other in others {
            let value = Val { text: other, ..operand.clone() };
            walk.role(st, call.name, Role::Write, &value, call.io, &mut tally);
        }
        // `-r` goes into folders.
        if letters.contains('r') {
            walk.role(st, call.name, Role::Write, &operand, call.io, &mut tally);
        }
    }
    walk.settle(call.spec, tally, call.io)
}

/// `unzip`: writes below the folder of `-d`.
pub(super) fn extract(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = plain(walk, st, call);
    let quiet = call.args.iter().any(|a| {
        a.text.starts_with('-')
            && !a.text.starts_with("--")
            && a.text.contains(['l', 'p', 't', 'z', 'c', 'v'])
    });
    if !quiet && !tally.given.iter().any(|g| g == "-d") {
        walk.role(st, call.name, Role::Write, &Val::known("."), call.io, &mut tally);
    }
    if call.args.iter().any(|a| a.text.starts_with('-') && a.text.contains(':')) {
        walk.opaque("`unzip -:` writes outside its folder");
    }
    walk.settle(call.spec, tally, call.io)
}

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
    if script.has_any() || script.many {
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
        if program.has_any() || program.many {
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
