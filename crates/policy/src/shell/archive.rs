//! Programs that pack and unpack.

use super::Sink;
use super::files::plain;
use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{Val, merge};
use super::walk::{Io, Out, Walk};
use seawall_model::Effect;

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
