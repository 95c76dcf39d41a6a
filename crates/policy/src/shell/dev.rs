//! Version control, packages, builds.

use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{Val, merge};
use super::walk::{Out, Walk};
use super::{Sink, Source};
use seawall_model::Effect;

/// Reads the repository only, and runs nothing unless its own settings say so.
const GIT_READS: &[&str] = &[
    "status",
    "log",
    "diff",
    "show",
    "blame",
    "annotate",
    "shortlog",
    "describe",
    "rev-parse",
    "rev-list",
    "ls-files",
    "ls-tree",
    "cat-file",
    "name-rev",
    "merge-base",
    "reflog",
    "grep",
    "whatchanged",
    "count-objects",
    "var",
    "version",
    "help",
    "for-each-ref",
    "show-ref",
    "diff-tree",
    "diff-index",
    "diff-files",
    "cherry",
    "range-diff",
    "check-ignore",
    "check-attr",
    "symbolic-ref",
    "verify-commit",
    "verify-tag",
];
/// Changes the repository and the work tree.
const GIT_WRITES: &[&str] = &[
    "add",
    "commit",
    "checkout",
    "switch",
    "restore",
    "reset",
    "rm",
    "mv",
    "merge",
    "rebase",
    "cherry-pick",
    "revert",
    "stash",
    "tag",
    "branch",
    "init",
    "clean",
    "apply",
    "am",
    "gc",
    "prune",
    "notes",
    "update-index",
    "write-tree",
    "read-tree",
    "update-ref",
    "worktree",
    "sparse-checkout",
    "format-patch",
    "archive",
    "bundle",
    "fsck",
    "repack",
    "pack-refs",
    "hash-object",
    "mktree",
    "commit-tree",
    "replace",
    "rerere",
    "bisect",
    "filter-branch",
    "checkout-index",
    "maintenance",
];
const GIT_REMOTE: &[&str] = &[
    "push",
    "pull",
    "fetch",
    "clone",
    "ls-remote",
    "submodule",
    "remote",
    "send-email",
    "request-pull",
    "svn",
    "p4",
    "fetch-pack",
    "send-pack",
    "http-fetch",
    "http-push",
    "lfs",
    "subtree",
    "credential",
    "daemon",
    "instaweb",
    "http-backend",
    "upload-pack",
    "receive-pack",
    "shell",
    "difftool",
    "mergetool",
    "gui",
    "citool",
    "web--browse",
    "imap-send",
    "cvsserver",
];

pub(super) fn git(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut here = st.clone();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        let text = arg.text.as_str();
        if !text.starts_with('-') && !arg.starts_unknown() {
            break;
        }
        at += 1;
        if arg.starts_unknown() {
            walk.opaque("an argument of `git` is not known");
        }
        match text {
            "-C" => {
                if let Some(to) = call.args.get(at) {
                    here.cwd = walk.paths(&here, to).unwrap_or_default();
                }
                at += 1;
            }
            "-c" => {
                let value = call.args.get(at).map_or("", |v| v.text.as_str());
                git_setting(walk, value);
                at += 1;
            }
            "--git-dir" | "--work-tree" | "--namespace" | "--super-prefix" | "--exec-path"
            | "--config-env" => {
                walk.opaque("`git` with other folders or settings");
                at += 1;
            }
            "--no-pager"
            | "-p"
            | "-P"
            | "--paginate"
            | "--no-optional-locks"
            | "--version"
            | "--help"
            | "--literal-pathspecs"
            | "--no-replace-objects"
            | "--bare"
            | "--html-path"
            | "--man-path"
            | "--exec-path="
            | "--no-lazy-fetch" => {}
            _ if text.starts_with("--git-dir=")
                || text.starts_with("--work-tree=")
                || text.starts_with("--exec-path=")
                || text.starts_with("--config-env=") =>
            {
                walk.opaque("`git` with other folders or settings");
            }
            _ => {
                if let Some(value) = text.strip_prefix("-c").filter(|v| v.contains('.')) {
                    let value = value.to_owned();
                    git_setting(walk, &value);
                } else {
                    walk.opaque("an option of `git` is not known");
                }
            }
        }
    }
    let Some(sub) = call.args.get(at) else { return Out::default() };
    let sub = sub.text.clone();
    let rest = call.args.get(at + 1..).unwrap_or(&[]);
    let mut from = if call.io.piped { call.io.from.clone() } else { Vec::new() };
    for (n, arg) in rest.iter().enumerate() {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        let text = arg.text.as_str();
        let before = n.checked_sub(1).and_then(|n| rest.get(n)).map_or("", |a| a.text.as_str());
        let message =
            matches!(before, "-m" | "--message" | "-am" | "--author" | "--date") && !arg.many;
        if arg.starts_unknown() && !message {
            walk.opaque("an argument of `git` is not known and may be an option");
        }
        // Options that run programs or write files, in any command.
        const RUNS: &[&str] = &[
            "--upload-pack",
            "--receive-pack",
            "--exec",
            "-x",
            "--extcmd",
            "--open-files-in-pager",
            "-O",
            "--ext-diff",
            "--textconv",
            "--filters",
            "--gpg-sign",
            "-S",
            "--config",
            "--template",
            "--separate-git-dir",
            "--tool",
            "--edit",
            "--interactive",
            "-i",
            "-p",
            "--patch",
            "--strategy",
            "-s",
            "--recurse-submodules",
            "--remote",
        ];
        let head = text.split('=').next().unwrap_or("");
        let runs = RUNS.contains(&head)
            || (head.len() > 4
                && [
                    "--upload-pack",
                    "--receive-pack",
                    "--exec",
                    "--extcmd",
                    "--open-files-in-pager",
                    "--output",
                ]
                .iter()
                .any(|o| o.starts_with(head)));
        let harmless = match head {
            "-S" | "-s" | "-p" | "--patch" | "-i" | "-x" | "-O" => {
                matches!(
                    sub.as_str(),
                    "log"
                        | "diff"
                        | "show"
                        | "status"
                        | "shortlog"
                        | "stash"
                        | "format-patch"
                        | "clean"
                        | "grep"
                        | "merge-base"
                        | "cat-file"
                        | "commit"
                        | "branch"
                        | "tag"
                        | "blame"
                ) && !(head == "-O" && sub == "grep")
                    && !(head == "-S" && sub == "commit")
            }
            _ => false,
        };
        if runs && !harmless {
            walk.opaque(&format!("`git {sub} {head}` can run programs"));
        }
        if let Some(file) =
            text.strip_prefix("--output=").or_else(|| text.strip_prefix("--output-directory="))
        {
            let file = Val { text: file.to_owned(), ..arg.clone() };
            walk.role(&mut here, "git", Role::Write, &file, call.io, &mut tally);
        }
    }
    if here.cwd.is_empty() {
        walk.opaque("`git` in a folder that is not known");
    }
    // The repository is found in this folder or one above it; its folder above is a fact from
    // outside.
    let folders = here.cwd.clone();
    let name = sub.as_str();
    for folder in &folders {
        walk.effect(Effect::Read { path: folder.clone() });
        merge(&mut tally.reads, &[Source::File(folder.clone())]);
    }
    // Operands that may be paths outside.
    for arg in rest.iter().filter(|a| a.text.starts_with(['/', '.', '~'])) {
        let role = if GIT_WRITES.contains(&name) && !matches!(name, "add" | "apply" | "am") {
            Role::ReadWrite
        } else {
            Role::Read
        };
        if arg.is_known() && !arg.text.contains("..")
            || arg.text.starts_with("../")
            || arg.text == ".."
        {
            walk.role(&mut here, "git", role, arg, call.io, &mut tally);
        }
    }
    for pair in rest.windows(2) {
        if let [option, value] = pair {
            let role = match (option.text.as_str(), name) {
                ("-F" | "--file" | "--pathspec-from-file" | "--template", _) => Some(Role::Read),
                (
                    "-o" | "--output" | "--output-directory",
                    "format-patch" | "archive" | "diff" | "log" | "show" | "bugreport",
                ) => Some(Role::Write),
                ("--contents", "blame") | ("-f", "grep") => Some(Role::Read),
                ("--no-index", "diff") => Some(Role::Read),
                _ => None,
            };
            if let Some(role) = role {
                walk.role(&mut here, "git", role, value, call.io, &mut tally);
            }
        }
    }
    if name == "diff" || name == "grep" {
        for arg in rest.iter().filter(|a| {
            !a.text.starts_with('-') && a.is_known() && rest.iter().any(|r| r.text == "--no-index")
        }) {
            walk.role(&mut here, "git", Role::Read, arg, call.io, &mut tally);
        }
    }
    if GIT_READS.contains(&name) {
        if matches!(name, "reflog")
            && rest.first().is_some_and(|a| matches!(a.text.as_str(), "expire" | "delete"))
            || (name == "symbolic-ref" && rest.len() > 1)
        {
            write_repo(walk, &folders);
        }
        // `status` and `diff` refresh the index.
        for folder in &folders {
            walk.effect(Effect::Write { path: super::path::normalise(folder, ".git/index") });
        }
    } else if GIT_WRITES.contains(&name) {
        write_repo(walk, &folders);
        if name == "clean" || name == "rm" {
            for folder in &folders {
                walk.effect(Effect::Delete { path: folder.clone() });
            }
        }
        // Hooks and filters of the repository run.
        let hooked = matches!(
            name,
            "commit"
                | "merge"
                | "rebase"
                | "am"
                | "checkout"
                | "switch"
                | "cherry-pick"
                | "revert"
                | "gc"
                | "worktree"
                | "bisect"
                | "filter-branch"
        );
        if hooked {
            walk.opaque(&format!("`git {name}` runs the hooks of the repository"));
        }
        if matches!(name, "bisect" | "filter-branch" | "rebase" | "submodule") {
            walk.opaque(&format!("`git {name}` can run commands from its arguments"));
        }
        if name == "archive" && rest.iter().any(|a| a.text.starts_with("--remote")) {
            walk.request(&super::value::ANY.to_string(), None, None, true, &from);
        }
    } else if name == "config" {
        let reads = rest.iter().any(|a| {
            matches!(
                a.text.as_str(),
                "--get"
                    | "--list"
                    | "-l"
                    | "--get-all"
                    | "--get-regexp"
                    | "get"
                    | "list"
                    | "--show-origin"
            )
        });
        let plain: Vec<&Val> = rest.iter().filter(|a| !a.text.starts_with('-')).collect();
        if !reads && plain.len() > 1 {
            let key = plain.first().map_or("", |a| a.text.as_str());
            walk.effect(Effect::ConfigChange { target: format!("git {key}") });
            let global = rest.iter().any(|a| matches!(a.text.as_str(), "--global" | "--system"));
            if global {
                let path = super::path::normalise(walk.cx.home, ".gitconfig");
                walk.effect(Effect::Write { path });
            } else {
                for folder in &folders {
                    walk.effect(Effect::Write {
                        path: super::path::normalise(folder, ".git/config"),
                    });
                }
            }
            if !matches!(
                key,
                "user.name"
                    | "user.email"
                    | "init.defaultBranch"
                    | "pull.rebase"
                    | "core.autocrlf"
                    | "color.ui"
            ) {
                walk.opaque("`git config` can make later commands run programs");
            }
        } else if !reads
            && rest
                .iter()
                .any(|a| a.text.starts_with('-') && a.text.contains("edit") || a.text == "-e")
        {
            walk.opaque("`git config` starts an editor");
        }
        for pair in rest.windows(2) {
            if let [option, file] = pair
                && matches!(option.text.as_str(), "-f" | "--file")
            {
                walk.role(&mut here, "git", Role::ReadWrite, file, call.io, &mut tally);
            }
        }
    } else if name == "remote"
        && (rest.is_empty()
            || rest.first().is_some_and(|a| matches!(a.text.as_str(), "-v" | "get-url" | "show")))
    {
        // Prints.
    } else if GIT_REMOTE.contains(&name) {
        remote(walk, &mut here, name, rest, &folders, &mut from, &tally.reads);
    } else {
        walk.opaque(&format!("`git {}` is an alias or not known", super::value::show(name)));
        walk.effect(Effect::Request { host: String::new(), port: None, url: None, sends: true });
    }
    merge(&mut from, &tally.reads);
    for sink in &tally.writes {
        walk.flow(&from, sink);
    }
    Out::from(from)
}

fn write_repo(walk: &mut Walk<'_>, folders: &[String]) {
    for folder in folders {
        walk.effect(Effect::Write { path: folder.clone() });
    }
}

fn git_setting(walk: &mut Walk<'_>, setting: &str) {
    let key = setting.split('=').next().unwrap_or("").to_ascii_lowercase();
    const HARMLESS: &[&str] = &[
        "user.name",
        "user.email",
        "color.ui",
        "core.quotepath",
        "advice.detachedhead",
        "init.defaultbranch",
        "commit.gpgsign",
        "core.autocrlf",
        "gc.auto",
        "diff.renames",
    ];
    if !HARMLESS.contains(&key.as_str()) {
        walk.opaque(&format!("`git -c {}` can run programs", super::value::show(&key)));
    }
}

fn remote(
    walk: &mut Walk<'_>,
    here: &mut State,
    name: &str,
    rest: &[Val],
    folders: &[String],
    from: &mut Vec<Source>,
    reads: &[Source],
) {
    let mut asked = false;
    let sends = matches!(
        name,
        "push" | "send-email" | "request-pull" | "svn" | "send-pack" | "http-push" | "imap-send"
    );
    let mut sent = from.clone();
    if sends {
        merge(&mut sent, reads);
    }
    for arg in rest.iter().filter(|a| !a.text.starts_with('-')) {
        let text = arg.text.as_str();
        if text.starts_with("ext::") || text.contains("::") {
            walk.opaque("`git` with a transport that runs programs");
        }
        let host = if let Some((scheme, tail)) = text.split_once("://") {
            if scheme == "file" {
                continue;
            }
            let place = tail.split('/').next().unwrap_or("");
            Some(super::program::split_port(place.rsplit('@').next().unwrap_or("")).0)
        } else {
            text.split_once(':')
                .filter(|(place, _)| !place.contains('/') && place.contains(['@', '.']))
                .map(|(place, _)| place.rsplit('@').next().unwrap_or("").to_owned())
        };
        if let Some(host) = host {
            asked = true;
            let url = arg.is_known().then(|| super::walk::clip(text));
            let source = if sends { sent.clone() } else { arg.from.clone() };
            let host = walk.request(&host, None, url, sends, &source);
            merge(from, &[Source::Host(host.clone())]);
            if matches!(name, "clone" | "submodule" | "subtree") {
                for folder in folders {
                    walk.flow(&[Source::Host(host.clone())], &Sink::File(folder.clone()));
                }
            }
        } else if name == "clone" {
            let mut tally = Tally::default();
            walk.role(here, "git", Role::ReadWrite, arg, &super::walk::Io::default(), &mut tally);
        }
    }
    if name == "remote" {
        write_repo(walk, folders);
        walk.effect(Effect::ConfigChange { target: "git remotes".into() });
        return;
    }
    if !asked {
        // A remote by its name: where it leads is in the repository.
        walk.effect(Effect::Request { host: String::new(), port: None, url: None, sends: true });
        walk.opaque(&format!("`git {name}` goes where the repository's settings say"));
        walk.flow(&sent, &Sink::Host(String::new()));
    }
    write_repo(walk, folders);
    if matches!(name, "pull" | "clone" | "submodule" | "push" | "lfs" | "subtree") {
        walk.opaque(&format!("`git {name}` runs hooks and filters"));
    }
    if matches!(name, "daemon" | "instaweb" | "http-backend") {
        walk.effect(Effect::Listen { port: None });
    }
    if matches!(
        name,
        "difftool"
            | "mergetool"
            | "credential"
            | "send-email"
            | "gui"
            | "citool"
            | "web--browse"
            | "shell"
            | "svn"
            | "p4"
    ) {
        walk.opaque(&format!("`git {name}` runs other programs"));
    }
}

/// Work that project files define: reads and writes below here, runs anything.
pub(super) fn project(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    here(walk, st);
    for (n, arg) in call.args.iter().enumerate() {
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        let before =
            n.checked_sub(1).and_then(|n| call.args.get(n)).map_or("", |a| a.text.as_str());
        if before == "-C"
            || before == "-f"
            || before == "--directory"
            || before == "-o"
            || text.starts_with(['/', '.', '~'])
        {
            let mut tally = Tally::default();
            walk.role(st, call.name, Role::ReadWrite, arg, call.io, &mut tally);
        }
    }
    walk.unknown_program(call.name, call.args, call.io)
}

fn here(walk: &mut Walk<'_>, st: &State) {
    for folder in st.cwd.clone() {
        walk.effect(Effect::Read { path: folder.clone() });
        walk.effect(Effect::Write { path: folder });
    }
}

pub(super) fn npm(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let words: Vec<&Val> = call.args.iter().filter(|a| !a.text.starts_with('-')).collect();
    let sub = words.first().map_or("", |a| a.text.as_str());
    let runner = matches!(call.name, "npx" | "pnpx" | "bunx");
    if matches!(sub, "ls" | "list" | "root" | "prefix" | "bin") && !runner
        || call.args.len() == 1
            && call.args.iter().any(|a| matches!(a.text.as_str(), "-v" | "--version"))
    {
        for folder in st.cwd.clone() {
            walk.effect(Effect::Read { path: folder });
        }
        return Out::from(vec![Source::Program(call.name.to_owned())]);
    }
    here(walk, st);
    let mut from = Vec::new();
    for arg in call.args {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
    }
    let installs = runner
        || matches!(
            sub,
            "install"
                | "i"
                | "in"
                | "add"
                | "ci"
                | "update"
                | "up"
                | "upgrade"
                | "create"
                | "init"
                | "exec"
                | "x"
                | "dlx"
                | "link"
                | "rebuild"
                | "global"
                | ""
        );
    if installs {
        let target = words
            .iter()
            .skip(usize::from(!runner))
            .map(|w| super::program::told(w))
            .collect::<Vec<_>>()
            .join(" ");
        walk.effect(Effect::Install {
            target: format!("{} {target}", call.name).trim_end().to_owned(),
        });
    }
    let publishes =
        matches!(sub, "publish" | "login" | "token" | "deprecate" | "owner" | "access" | "adduser");
    if installs
        || publishes
        || matches!(
            sub,
            "view" | "search" | "audit" | "outdated" | "info" | "ping" | "whoami" | "pack" | "fund"
        )
    {
        let registry = call.args.iter().any(|a| {
            a.text.starts_with("--registry") || a.text.contains("://") || a.text.contains("git+")
        });
        let host = if registry { String::new() } else { "registry.npmjs.org".to_owned() };
        walk.effect(Effect::Request {
            host: host.clone(),
            port: Some(443),
            url: None,
            sends: publishes || !from.is_empty(),
        });
        if publishes {
            for folder in st.cwd.clone() {
                merge(&mut from, &[Source::File(folder)]);
            }
        }
        walk.flow(&from, &Sink::Host(host));
    }
    walk.opaque(&format!(
        "`{} {}` runs scripts of packages or of the project",
        call.name,
        super::value::show(sub)
    ));
    walk.unknown_program(call.name, call.args, call.io)
}

/// Package managers: install, fetch, run.
pub(super) fn package(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let words: Vec<&Val> = call.args.iter().filter(|a| !a.text.starts_with('-')).collect();
    let sub = words.first().map_or("", |a| a.text.as_str());
    if call.args.len() == 1
        && call
            .args
            .iter()
            .any(|a| matches!(a.text.as_str(), "-v" | "-V" | "--version" | "version" | "--help"))
    {
        return Out::default();
    }
    if call.args.iter().all(Val::is_known)
        && matches!(
            (call.name, sub),
            (
                "pip" | "pip3" | "gem" | "brew" | "dpkg" | "apt" | "apt-cache" | "conda",
                "list" | "show" | "freeze" | "info" | "check"
            ) | ("cargo", "metadata" | "tree" | "locate-project" | "pkgid")
                | ("go", "version" | "env" | "list" | "doc")
        )
    {
        for folder in st.cwd.clone() {
            walk.effect(Effect::Read { path: folder });
        }
        return Out::from(vec![Source::Program(call.name.to_owned())]);
    }
    here(walk, st);
    let mut from = Vec::new();
    for arg in call.args {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        if arg.text.starts_with(['/', '.', '~']) {
            let mut tally = Tally::default();
            walk.role(st, call.name, Role::ReadWrite, arg, call.io, &mut tally);
        }
    }
    let builds = matches!(
        sub,
        "build"
            | "test"
            | "run"
            | "check"
            | "clippy"
            | "fmt"
            | "bench"
            | "doc"
            | "clean"
            | "vet"
            | "mod"
            | "generate"
            | "fix"
            | "exec"
            | "shell"
            | "new"
    );
    if !builds {
        let target = words.iter().map(|w| super::program::told(w)).collect::<Vec<_>>().join(" ");
        walk.effect(Effect::Install {
            target: format!("{} {target}", call.name).trim_end().to_owned(),
        });
    }
    let publishes = matches!(sub, "publish" | "push" | "login" | "upload" | "yank" | "owner");
    walk.effect(Effect::Request {
        host: String::new(),
        port: None,
        url: None,
        sends: publishes || !from.is_empty(),
    });
    if publishes {
        for folder in st.cwd.clone() {
            merge(&mut from, &[Source::File(folder)]);
        }
    }
    walk.flow(&from, &Sink::Host(String::new()));
    walk.opaque(&format!(
        "`{} {}` runs code of packages or of the project",
        call.name,
        super::value::show(sub)
    ));
    walk.unknown_program(call.name, call.args, call.io)
}

/// Compilers read sources and what they include, and write beside them.
pub(super) fn compiler(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut at = 0;
    let mut output = false;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of a compiler is not known");
        }
        match text {
            "-o" | "--out-dir" | "-d" => {
                output = true;
                if let Some(value) = call.args.get(at) {
                    walk.role(st, call.name, Role::Write, value, call.io, &mut tally);
                }
                at += 1;
            }
            "-I" | "-L" | "-include" | "-isystem" | "-cp" => {
                if let Some(value) = call.args.get(at) {
                    walk.role(st, call.name, Role::Read, value, call.io, &mut tally);
                }
                at += 1;
            }
            _ if text.starts_with("-o") => {
                output = true;
                let value = Val { text: text.get(2..).unwrap_or("").to_owned(), ..arg.clone() };
                walk.role(st, call.name, Role::Write, &value, call.io, &mut tally);
            }
            _ if text.starts_with('-') || text.starts_with('@') => {
                let plain = [
                    "-O",
                    "-W",
                    "-g",
                    "-D",
                    "-U",
                    "-std",
                    "-l",
                    "-c",
                    "-S",
                    "-E",
                    "-m",
                    "-pthread",
                    "-s",
                    "-v",
                    "--version",
                    "-f",
                    "-pedantic",
                    "-ansi",
                    "-w",
                    "-shared",
                    "-static",
                ];
                let runs = [
                    "-fplugin",
                    "-wrapper",
                    "-B",
                    "-specs",
                    "@",
                    "-Wl",
                    "-C",
                    "-fuse-ld",
                    "-load",
                    "-Xclang",
                    "-fpass-plugin",
                    "-processorpath",
                ];
                if runs.iter().any(|r| text.starts_with(r))
                    || !plain.iter().any(|p| text.starts_with(p))
                {
                    walk.opaque("an option of a compiler that can load or run something");
                }
            }
            _ => walk.role(st, call.name, Role::Read, arg, call.io, &mut tally),
        }
    }
    if !output {
        walk.role(st, call.name, Role::Write, &Val::known("."), call.io, &mut tally);
    }
    // `#include "/etc/passwd"`, `include_str!`.
    walk.opaque(&format!("`{}` reads what its sources include", call.name));
    walk.settle(call.spec, tally, call.io)
}
