//! What a command line does: the programs that fetch, send, decode, run, install, persist.

use super::flow::Flow;
use super::value::{Act, HOLE, Labels, Value};
use super::{Language, analyse, shell};
use crate::content::PlaceKind;
use crate::text::blob;

/// The base name of a program.
fn base(name: &str) -> &str {
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    name.strip_suffix(".exe").unwrap_or(name)
}

/// Commands in front of a command, with the options that take a value.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("sudo", &["-u", "-g", "-p", "-C", "-h"]),
    ("doas", &["-u", "-C"]),
    ("env", &["-u", "-C", "-S"]),
    ("nohup", &[]),
    ("time", &["-f", "-o"]),
    ("timeout", &["-s", "-k"]),
    ("gtimeout", &["-s", "-k"]),
    ("nice", &["-n"]),
    ("ionice", &["-c", "-n"]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("setsid", &[]),
    ("command", &[]),
    ("builtin", &[]),
    ("exec", &["-a"]),
    ("busybox", &[]),
    ("caffeinate", &["-t", "-w"]),
    ("arch", &[]),
    ("unbuffer", &[]),
    ("then", &[]),
    ("do", &[]),
    ("else", &[]),
    ("start", &[]),
    ("winpty", &[]),
    ("chronic", &[]),
    ("proxychains", &[]),
    ("proxychains4", &[]),
    ("rtk", &[]),
];

/// Interpreters: the option that carries code, and its language.
fn interpreter(name: &str) -> Option<(Language, &'static [&'static str])> {
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

/// Runs a command line and returns what it prints.
pub(crate) fn run(flow: &mut Flow<'_>, argv: &[Value], stdin: &Value, line: u32) -> Value {
    if flow.fuel == 0 {
        return Value::default();
    }
    flow.fuel -= 1;
    let Some((first, rest)) = argv.split_first() else { return stdin.clone() };
    let Some(name) = first.likely().map(str::to_owned) else {
        if first.labels.has(Labels::DOWNLOADED.with(Labels::DECODED)) {
            flow.emit(line, Act::Run { what: first.clone(), name: String::new() });
        }
        return Value::default();
    };
    let program = base(name.trim_matches(['"', '\''])).to_owned();
    if let Some((_, valued)) = WRAPPERS.iter().find(|(w, _)| *w == program) {
        return run(
            flow,
            unwrap(rest, valued, program == "timeout" || program == "gtimeout"),
            stdin,
            line,
        );
    }
    // A file that was stored before is run by its path, or made known by it.
    if (name.contains('/') || name.starts_with('$') || first.labels.has(Labels::DOWNLOADED))
        && let Some(stored) = flow.stored(&name).cloned()
    {
        flow.emit(line, Act::Run { what: stored, name: name.clone() });
    }
    if !program.contains(HOLE) {
        flow.emit(line, Act::Program { name: program.clone() });
    }
    if let Some((language, options)) = interpreter(&program) {
        return interpret(flow, language, options, &program, rest, stdin, line);
    }
    known(flow, &program, rest, stdin, line)
}

/// Arguments after a wrapper's own options.
fn unwrap<'v>(rest: &'v [Value], valued: &[&str], number: bool) -> &'v [Value] {
    let mut at = 0;
    let mut number = number;
    while let Some(text) = rest.get(at).and_then(Value::likely) {
        if text.starts_with('-') {
            at += if valued.contains(&text) { 2 } else { 1 };
        } else if text.contains('=') && !text.starts_with('/') {
            at += 1;
        } else if number && text.starts_with(|c: char| c.is_ascii_digit()) {
            number = false;
            at += 1;
        } else {
            break;
        }
    }
    rest.get(at..).unwrap_or(&[])
}

fn interpret(
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
fn code_text(flow: &mut Flow<'_>, language: Language, code: &Value, line: u32) -> Value {
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

fn merge(stdin: &Value, rest: &[Value]) -> Value {
    let mut out = stdin.clone();
    out.texts.clear();
    for value in rest {
        out.taint(value);
    }
    out
}

/// Files named in arguments, read.
fn read_all(flow: &mut Flow<'_>, rest: &[Value], stdin: &Value, line: u32) -> Value {
    let mut out = stdin.clone();
    for value in rest {
        out.taint(value);
        if let Some(path) = value.likely().filter(|p| !p.starts_with('-')) {
            let path = path.to_owned();
            if path.contains(['/', '.', '~']) {
                let data = flow.load(line, &path);
                out.taint(&data);
                if out.texts.is_empty() {
                    out.texts.clone_from(&data.texts);
                }
            }
        }
    }
    out
}

fn after<'v>(rest: &'v [Value], names: &[&str]) -> Option<&'v Value> {
    let at = rest.iter().position(|v| v.likely().is_some_and(|t| names.contains(&t)))?;
    rest.get(at + 1)
}

fn joined(rest: &[Value]) -> String {
    rest.iter().map(|v| v.likely().unwrap_or("…")).collect::<Vec<_>>().join(" ")
}

fn known(flow: &mut Flow<'_>, program: &str, rest: &[Value], stdin: &Value, line: u32) -> Value {
    let texts: Vec<&str> = rest.iter().map(|v| v.likely().unwrap_or("")).collect();
    let has = |option: &str| texts.contains(&option);
    let first = texts.first().copied().unwrap_or("");
    let all = joined(rest);
    match program {
        "curl" | "wget" | "http" | "https" | "xh" | "aria2c" | "fetch" | "wget2"
        | "lwp-request" => fetch(flow, program, rest, stdin, line),
        "cat" | "head" | "tail" | "less" | "more" | "grep" | "egrep" | "rg" | "sed" | "awk"
        | "cut" | "sort" | "uniq" | "tr" | "tac" | "nl" | "jq" | "yq" | "gzip" | "bzip2" | "xz"
        | "strings" | "fold" | "paste" | "xmllint" | "iconv" | "hexdump" | "od" | "wc" | "bat"
        | "column" | "perl-filter" => {
            let mut out = read_all(flow, rest, stdin, line);
            match program {
                "tr" => {
                    out = stdin.clone();
                    transliterate(&mut out, &texts);
                }
                "cat" | "head" | "tail" => {}
                "wc" => return Value::default(),
                _ => out.texts.clear(),
            }
            out
        }
        "rev" => read_all(flow, rest, stdin, line).map(|t| {
            Some(
                t.lines()
                    .map(|l| l.chars().rev().collect::<String>())
                    .collect::<Vec<_>>()
                    .join("\n"),
            )
        }),
        "tee" => {
            for path in texts.iter().filter(|t| !t.starts_with('-')) {
                flow.store(line, path, stdin);
            }
            stdin.clone()
        }
        "base64" | "gbase64" | "base32" | "uudecode" | "xxd" | "openssl" | "gunzip" | "zcat"
        | "unxz" | "basenc" => decode(flow, program, rest, stdin, line),
        "echo" | "printf" | "print" => {
            let parts: Vec<Value> = rest
                .iter()
                .filter(|v| {
                    !v.likely()
                        .is_some_and(|t| matches!(t, "-n" | "-e" | "-ne" | "-en" | "-r" | "--"))
                })
                .cloned()
                .collect();
            let mut out = Value::concat(&parts, " ");
            if program == "printf" || has("-e") || has("-ne") || has("-en") {
                let dense = out.likely().is_some_and(|t| {
                    t.matches("\\x").count() + t.matches("\\0").count() + t.matches("\\1").count()
                        > 6
                });
                if program == "printf"
                    && let (Some(format), [_, args @ ..]) =
                        (parts.first().and_then(Value::known), parts.as_slice())
                    && format.contains('%')
                    && !args.is_empty()
                {
                    let mut text = Value::concat(args, "");
                    if format.contains("%b") {
                        text = text.map(|t| Some(blob::unescape(t)));
                    }
                    out.texts = text.texts;
                }
                out = out.map(|t| Some(blob::unescape(t)));
                if dense {
                    out.labels = out.labels.with(Labels::DECODED);
                }
            }
            out
        }
        "eval" => {
            let code = Value::concat(rest, " ");
            flow.emit(line, Act::Eval { what: code.clone() });
            code_text(flow, Language::Shell, &code, line)
        }
        "source" | "." => {
            let target = rest.first().cloned().unwrap_or_default();
            let mut what = Value { texts: Vec::new(), ..target.clone() };
            if let Some(stored) = target.likely().and_then(|p| flow.stored(p)).cloned() {
                what.taint(&stored);
            }
            if what.labels.has(Labels::DOWNLOADED.with(Labels::DECODED)) {
                flow.emit(line, Act::Run { what, name: "source".into() });
            }
            Value::default()
        }
        "xargs" | "parallel" => {
            let mut argv =
                unwrap(rest, &["-I", "-n", "-P", "-L", "-d", "-a", "-s", "-E"], false).to_vec();
            argv.push(stdin.clone());
            run(flow, &argv, &Value::default(), line)
        }
        "find" | "fd" => {
            let mut out = Value::labelled(Labels::LOCAL_FILE, "");
            for value in rest.iter().take_while(|v| v.likely() != Some("-exec")) {
                if let Some(text) = value.likely() {
                    let read = super::value::read_path(flow.content, text);
                    out.taint(&read);
                }
            }
            if let Some(at) =
                texts.iter().position(|t| matches!(*t, "-exec" | "-execdir" | "-ok" | "-x"))
            {
                let mut argv: Vec<Value> = rest
                    .get(at + 1..)
                    .unwrap_or(&[])
                    .iter()
                    .filter(|v| !matches!(v.likely(), Some(";" | "+")))
                    .cloned()
                    .collect();
                for value in &mut argv {
                    if value.likely() == Some("{}") {
                        value.taint(&out);
                    }
                }
                return run(flow, &argv, &Value::default(), line);
            }
            if has("-delete") && matches!(first, "~" | "/" | "~/") {
                flow.emit(line, Act::Delete { path: first.to_owned() });
            }
            out
        }
        "env" | "printenv" | "set" | "export" | "declare"
            if rest.iter().all(|v| v.likely().is_some_and(|t| t == "-p")) =>
        {
            Value::labelled(Labels::ENV_ALL, "the whole environment")
        }
        "printenv" => super::interp::env_value(first),
        "security" if first.contains("password") || first.contains("dump-keychain") => {
            flow.emit(line, Act::Secret { name: format!("keychain ({first})") });
            let service =
                after(rest, &["-s", "-l", "-a"]).and_then(Value::likely).unwrap_or("").to_owned();
            // One named entry is how a skill keeps its own key; a dump is everything.
            if first.contains("dump") {
                Value::labelled(Labels::CREDENTIALS, "the keychain")
            } else {
                Value::labelled(Labels::ENV_SECRET, service)
            }
        }
        "secret-tool" | "pass" | "op" | "bw"
            if matches!(first, "lookup" | "show" | "read" | "get" | "search") =>
        {
            Value::labelled(Labels::ENV_SECRET, all)
        }
        "history" | "fc" => Value::labelled(Labels::PERSONAL, "the shell's history"),
        "pbpaste" | "xclip" | "xsel" | "wl-paste" => {
            Value::labelled(Labels::CAPTURE, "the clipboard")
        }
        "screencapture" | "scrot" | "gnome-screenshot" | "import" | "grim" => {
            if let Some(path) = texts.iter().rev().find(|t| !t.starts_with('-') && !t.is_empty()) {
                flow.store(line, path, &Value::labelled(Labels::CAPTURE, "the screen"));
            }
            Value::labelled(Labels::CAPTURE, "the screen")
        }
        "tar" | "zip" | "7z" | "rar" | "ditto" | "gpg" | "cp" | "mv" | "rsync-local"
        | "install" | "ln" => copy(flow, program, rest, stdin, line),
        "scp" | "rsync" | "sftp" | "rclone" | "aws" | "gsutil" | "gcloud" | "az" | "s3cmd"
        | "ftp" | "lftp" | "mail" | "sendmail" | "mutt" | "swaks" | "gh" | "ssh" | "dig"
        | "nslookup" | "host" => transfer(flow, program, rest, stdin, line),
        "nc" | "ncat" | "netcat" | "socat" | "telnet" => {
            let shell = texts.iter().any(|t| {
                matches!(*t, "-e" | "-c" | "--exec" | "--sh-exec")
                    || t.to_ascii_lowercase().starts_with("exec:")
                    || t.to_ascii_lowercase().starts_with("system:")
            });
            if shell || stdin.sources.iter().any(|s| s == "a named pipe") {
                flow.emit(line, Act::ReverseShell { how: format!("{program} {all}") });
            }
            let places: Vec<&Value> = rest.iter().collect();
            flow.net(line, &places, stdin.clone(), !stdin.labels.eq(&Labels::NONE));
            Value::labelled(Labels::DOWNLOADED, crate::judge::SOCKET)
        }
        "chmod" | "chown" => {
            if all.contains("777 /") && all.ends_with(" /")
                || first.contains("+s")
                || first.starts_with("4755")
            {
                flow.emit(line, Act::Weaken { how: format!("{program} {all}") });
            }
            Value::default()
        }
        "xattr"
            if (all.contains("quarantine") || has("-c") || has("-cr") || has("-rc"))
                && texts.iter().any(|t| t.starts_with('-') && t.contains(['d', 'c'])) =>
        {
            flow.emit(
                line,
                Act::Weaken {
                    how: format!("xattr {all}: removes the mark of a downloaded program"),
                },
            );
            Value::default()
        }
        "spctl" if all.contains("disable") => weaken(flow, line, program, &all),
        "csrutil" if all.contains("disable") => weaken(flow, line, program, &all),
        "setenforce" if first == "0" => weaken(flow, line, program, &all),
        "ufw" if first == "disable" => weaken(flow, line, program, &all),
        "iptables" | "nft" if matches!(first, "-F" | "flush") => weaken(flow, line, program, &all),
        "systemctl" | "service" => {
            let security = [
                "ufw",
                "firewalld",
                "apparmor",
                "auditd",
                "fail2ban",
                "clamav",
                "falcon",
                "firewall",
            ]
            .iter()
            .any(|s| all.contains(s));
            if security && (has("stop") || has("disable") || has("mask")) {
                return weaken(flow, line, program, &all);
            }
            if has("enable") {
                flow.emit(line, Act::Persist { how: format!("{program} {all}") });
            }
            Value::default()
        }
        "launchctl" if matches!(first, "load" | "bootstrap" | "enable" | "submit") => {
            flow.emit(line, Act::Persist { how: format!("launchctl {all}") });
            Value::default()
        }
        "crontab" if !matches!(first, "-l" | "-r") => {
            flow.emit(line, Act::Persist { how: "crontab".into() });
            Value::default()
        }
        "crontab" => Value { texts: Vec::new(), ..stdin.clone() },
        "at" | "batch" if !stdin.texts.is_empty() => {
            flow.emit(line, Act::Persist { how: format!("{program} {all}") });
            Value::default()
        }
        "schtasks" if all.to_ascii_lowercase().contains("/create") => {
            flow.emit(line, Act::Persist { how: format!("schtasks {all}") });
            Value::default()
        }
        "reg" if first.eq_ignore_ascii_case("add") => {
            if flow.content.place_at(&all.replace('\\', "/")) == Some(PlaceKind::Persistence) {
                flow.emit(line, Act::Persist { how: format!("reg {all}") });
            }
            Value::default()
        }
        "rm" | "shred" | "srm" | "rmdir" => {
            let deep = program != "rm"
                || texts.iter().any(|t| t.starts_with('-') && t.contains(['r', 'R']));
            for path in texts.iter().filter(|t| !t.starts_with('-') && !t.is_empty()) {
                if deep {
                    flow.emit(line, Act::Delete { path: (*path).to_owned() });
                }
            }
            Value::default()
        }
        "mkfs" | "mkfs.ext4" | "wipefs" => {
            flow.emit(line, Act::Delete { path: "/".into() });
            Value::default()
        }
        "dd" if texts.iter().any(|t| t.starts_with("of=/dev/") && !t.contains("null")) => {
            flow.emit(line, Act::Delete { path: "/".into() });
            Value::default()
        }
        "mkfifo" | "mknod" => {
            flow.store(line, first, &Value::labelled(Labels::NONE, "a named pipe"));
            Value::default()
        }
        "open" | "xdg-open" | "installer" | "hdiutil" | "msiexec" | "rundll32" | "regsvr32"
        | "mshta" | "certutil" | "bitsadmin" | "cscript" | "wscript" => {
            windows_or_open(flow, program, rest, line)
        }
        "pip" | "pip3" | "pipx" | "uv" | "npm" | "npx" | "pnpm" | "yarn" | "bunx" | "brew"
        | "apt" | "apt-get" | "dnf" | "yum" | "pacman" | "apk" | "gem" | "cargo" | "go"
        | "conda" | "choco" | "winget" | "scoop" | "snap" | "poetry" | "uvx" => {
            install(flow, program, rest, line);
            Value::default()
        }
        "git" => {
            if matches!(first, "clone" | "pull" | "fetch" | "submodule") {
                let places: Vec<&Value> = rest.iter().collect();
                flow.net(line, &places, Value::default(), false);
                let target = texts.get(2).filter(|t| !t.starts_with('-')).map(|t| (*t).to_owned());
                let _ = target;
            }
            if first == "config" && all.contains("core.hooksPath") || all.contains("core.fsmonitor")
            {
                flow.emit(line, Act::Persist { how: format!("git {all}") });
            }
            if first == "push" {
                let places: Vec<&Value> = rest.iter().collect();
                flow.net(line, &places, Value::default(), true);
            }
            Value::default()
        }
        "docker" | "podman" => {
            if all.contains("--privileged") || all.contains("-v /:") || all.contains("docker.sock")
            {
                flow.emit(
                    line,
                    Act::Weaken {
                        how: format!("{program} with the host's files or socket inside"),
                    },
                );
            }
            Value::default()
        }
        "openclaw" | "clawdbot" | "moltbot" | "clawhub" => {
            if matches!(
                (first, texts.get(1).copied().unwrap_or("")),
                ("skills" | "plugins", "install" | "add") | ("install", _)
            ) {
                flow.emit(line, Act::SkillInstall { what: all.clone() });
            }
            let loosens = [
                "approvals",
                "sandbox",
                "security",
                "dmPolicy",
                "exec.ask",
                "tools.exec",
                "elevated",
                "allowFrom",
                "bind",
            ]
            .iter()
            .any(|w| all.contains(w));
            if matches!(first, "config") && texts.get(1) == Some(&"set") && loosens {
                return weaken(flow, line, program, &all);
            }
            if first == "cron" && texts.get(1) == Some(&"add") {
                flow.emit(line, Act::Persist { how: "a scheduled job of the gateway".into() });
            }
            Value::default()
        }
        "claude" | "codex" | "gemini" | "cursor-agent" => {
            if [
                "--dangerously-skip-permissions",
                "--dangerously-bypass-approvals-and-sandbox",
                "--yolo",
            ]
            .iter()
            .any(|o| has(o))
            {
                flow.emit(line, Act::Weaken { how: format!("{program} without approvals") });
            }
            if first == "mcp" && texts.get(1) == Some(&"add") {
                flow.emit(line, Act::Write { path: ".mcp.json".into(), data: Value::default() });
            }
            Value::default()
        }
        "zenity" | "kdialog" if all.contains("password") => {
            flow.emit(line, Act::Prompt { how: format!("{program} {all}") });
            Value::labelled(Labels::TYPED_SECRET, "a password box")
        }
        "dscl" if all.contains("authonly") => {
            flow.emit(line, Act::Prompt { how: "tests the user's password".into() });
            Value::default()
        }
        "xmrig" | "minerd" | "cpuminer" | "ethminer" | "nbminer" | "t-rex" => {
            flow.emit(line, Act::Mine { how: program.to_owned() });
            Value::default()
        }
        "read" if has("-s") || has("-sp") || has("-rs") || has("-rsp") => {
            if let Some(name) = texts.last() {
                flow.set(name, Value::labelled(Labels::TYPED_SECRET, "typed"));
            }
            Value::default()
        }
        "read" | "mapfile" | "readarray" => {
            if let Some(name) = texts.last().filter(|n| !n.starts_with('-')) {
                flow.set(name, Value { texts: Vec::new(), ..stdin.clone() });
            }
            Value::default()
        }
        "hostname" | "whoami" | "uname" | "id" | "date" | "pwd" | "ls" | "test" | "[" | "cd"
        | "mkdir" | "touch" | "which" | "sleep" | "true" | "false" | "exit" | "return"
        | "shift" | "local" | "unset" | "trap" => {
            if all.contains("stratum+") {
                flow.emit(line, Act::Mine { how: all });
            }
            Value::default()
        }
        _ => {
            if all.contains("stratum+tcp") || all.contains("stratum+ssl") {
                flow.emit(line, Act::Mine { how: format!("{program} with a mining pool") });
            }
            // An unknown program passes on what it was given, and may contact what it is told to.
            let out = merge(stdin, rest);
            if all.contains("://") {
                let places: Vec<&Value> = rest.iter().collect();
                flow.net(
                    line,
                    &places,
                    Value { labels: out.labels.without(Labels::LOCAL_FILE), ..out.clone() },
                    false,
                );
            }
            out
        }
    }
}

/// `tr FROM TO`, `tr -d SET` on constant text.
fn transliterate(value: &mut Value, texts: &[&str]) {
    let sets: Vec<Vec<char>> =
        texts.iter().filter(|t| !t.starts_with('-') || t.len() == 1).map(|t| set(t)).collect();
    let deletes = texts.iter().any(|t| t.starts_with('-') && t.contains('d'));
    let (from, to) = match sets.as_slice() {
        [from] if deletes => (from, None),
        [from, to] if !deletes && !to.is_empty() => (from, Some(to)),
        // Squeezing and complements: what comes out is not known.
        _ => return value.texts.clear(),
    };
    // Changing case shows the same word; anything else spells another one.
    let plain = to.is_none_or(|to| {
        from.iter().zip(to).all(|(a, b)| a.eq_ignore_ascii_case(b) || !a.is_alphanumeric())
    });
    *value = value.map(|text| {
        Some(
            text.chars()
                .filter_map(|c| match (from.iter().position(|f| *f == c), to) {
                    (None, _) => Some(c),
                    (Some(_), None) => None,
                    // The last character of a short set stands for the rest.
                    (Some(at), Some(to)) => to.get(at).or_else(|| to.last()).copied(),
                })
                .collect(),
        )
    });
    if !plain {
        value.labels = value.labels.with(Labels::DECODED);
    }
}

/// The characters of a set, ranges written out.
fn set(text: &str) -> Vec<char> {
    let text = match text {
        "[:lower:]" => "a-z",
        "[:upper:]" => "A-Z",
        "[:digit:]" => "0-9",
        "[:space:]" => " \t\r\n",
        other => other,
    };
    let chars: Vec<char> = blob::unescape(text).chars().take(512).collect();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(first) = chars.get(at).copied() {
        match (chars.get(at + 1), chars.get(at + 2)) {
            (Some('-'), Some(last)) if first <= *last && (*last as u32 - first as u32) < 256 => {
                out.extend(first..=*last);
                at += 3;
            }
            _ => {
                out.push(first);
                at += 1;
            }
        }
    }
    out
}

fn weaken(flow: &mut Flow<'_>, line: u32, program: &str, all: &str) -> Value {
    flow.emit(line, Act::Weaken { how: format!("{program} {all}") });
    Value::default()
}

/// curl, wget and their like.
fn fetch(flow: &mut Flow<'_>, program: &str, rest: &[Value], stdin: &Value, line: u32) -> Value {
    const DATA: &[&str] = &[
        "-d",
        "--data",
        "--data-raw",
        "--data-binary",
        "--data-urlencode",
        "-F",
        "--form",
        "--form-string",
        "-T",
        "--upload-file",
        "--post-data",
        "--post-file",
        "--body-data",
        "--body-file",
        "--json",
        "-u",
        "--user",
        "-b",
        "--cookie",
    ];
    const OUTPUT: &[&str] = &["-o", "--output", "-O", "--output-document"];
    const OTHER: &[&str] = &[
        "-H",
        "--header",
        "-X",
        "--request",
        "-A",
        "--user-agent",
        "-e",
        "--referer",
        "-m",
        "--max-time",
        "--connect-timeout",
        "--retry",
        "-w",
        "--write-out",
        "-x",
        "--proxy",
        "--cacert",
        "--cert",
        "--key",
        "-K",
        "--config",
        "--retry-delay",
        "--resolve",
        "-C",
        "-P",
        "--directory-prefix",
        "-D",
    ];
    let mut data = Value::default();
    let mut upload = false;
    let mut output = None;
    let mut remote_name = false;
    let mut places: Vec<&Value> = Vec::new();
    let mut at = 0;
    while let Some(value) = rest.get(at) {
        let text = value.likely().unwrap_or("");
        let option = text.split('=').next().unwrap_or("").to_owned();
        let inline = text.starts_with("--") && text.contains('=');
        let next = if inline {
            Some(value.map(|t| t.split_once('=').map(|(_, v)| v.to_owned())))
        } else {
            rest.get(at + 1).cloned()
        };
        if DATA.contains(&option.as_str())
            || (text.starts_with("-d") && !text.starts_with("--") && text.len() > 2)
        {
            upload |= !matches!(option.as_str(), "-u" | "--user" | "-b" | "--cookie");
            let body = if text.starts_with("-d") && text.len() > 2 && !text.starts_with("--") {
                value.clone()
            } else {
                next.unwrap_or_default()
            };
            data.taint(&body);
            let body_text = body.likely().unwrap_or("").to_owned();
            let file = body_text.rsplit_once('@').map(|(_, p)| {
                p.trim_end_matches(['"', '\'']).split(';').next().unwrap_or("").to_owned()
            });
            let whole =
                matches!(option.as_str(), "-T" | "--upload-file" | "--post-file" | "--body-file");
            let file = if whole {
                Some(body_text)
            } else {
                file.filter(|_| option != "-u" && option != "--user")
            };
            match file.as_deref() {
                Some("-" | ".") => data.taint(stdin),
                Some(path) if !path.is_empty() => {
                    let read = flow.load(line, path);
                    data.taint(&read);
                    data.label(Labels::LOCAL_FILE, path);
                }
                _ => {}
            }
            at += if inline || (text.starts_with("-d") && text.len() > 2 && !text.starts_with("--"))
            {
                1
            } else {
                2
            };
            continue;
        }
        if OUTPUT.contains(&option.as_str()) && !(program == "curl" && option == "-O") {
            output = next.as_ref().and_then(Value::likely).map(str::to_owned);
            at += if inline { 1 } else { 2 };
            continue;
        }
        if text.starts_with('-') && !text.starts_with("--") && text.len() > 1 && program == "curl" {
            // Bundled short options: `-fsSLo FILE`, `-sSO`.
            if text.ends_with('o') {
                output = next.as_ref().and_then(Value::likely).map(str::to_owned);
                at += 2;
                continue;
            }
            remote_name |= text.contains('O');
        }
        if program == "wget"
            && text.starts_with('-')
            && text.contains('O')
            && !text.starts_with("--")
        {
            let attached = text.split_once('O').map(|(_, p)| p).filter(|p| !p.is_empty());
            if let Some(path) = attached {
                output = Some(path.to_owned());
                at += 1;
            } else {
                output = next.as_ref().and_then(Value::likely).map(str::to_owned);
                at += 2;
            }
            continue;
        }
        if OTHER.contains(&option.as_str()) {
            if let Some(next) = &next {
                if matches!(option.as_str(), "-X" | "--request") {
                    upload |= next.likely().is_some_and(|m| matches!(m, "POST" | "PUT" | "PATCH"));
                } else {
                    data.taint(next);
                }
            }
            at += if inline { 1 } else { 2 };
            continue;
        }
        if !text.starts_with('-') {
            places.push(value);
            // Data in the address itself leaves too.
            data.taint(value);
        }
        at += 1;
    }
    if upload && program != "curl" {
        data.taint(stdin);
    }
    if matches!(program, "http" | "https" | "xh") {
        upload |= places.iter().any(|p| p.likely().is_some_and(|t| t.contains('=') || t == "POST"));
        data.taint(stdin);
    }
    flow.net(line, &places, data, upload);
    let address = places
        .iter()
        .filter_map(|p| p.likely())
        .find(|t| t.contains("://") || t.contains('.'))
        .unwrap_or("")
        .to_owned();
    let mut out = Value::labelled(Labels::DOWNLOADED, crate::text::clip(&address, 120));
    let name = address.rsplit('/').next().unwrap_or("").split('?').next().unwrap_or("").to_owned();
    let path = match output {
        Some(path) => Some(path),
        None if remote_name || (program == "wget" || program == "aria2c") => Some(name),
        None => None,
    };
    if let Some(path) = path.filter(|p| p != "-" && p != "/dev/stdout") {
        flow.store(line, &path, &out);
        if path == "/dev/null" {
            out = Value::default();
        }
    }
    out
}

fn decode(flow: &mut Flow<'_>, program: &str, rest: &[Value], stdin: &Value, line: u32) -> Value {
    let texts: Vec<&str> = rest.iter().map(|v| v.likely().unwrap_or("")).collect();
    let decodes = match program {
        "xxd" => texts.iter().any(|t| t.starts_with('-') && t.contains('r')),
        "openssl" => {
            texts.contains(&"-d")
                && (texts.contains(&"enc")
                    || texts.contains(&"base64")
                    || texts.iter().any(|t| t.starts_with("aes")))
                || texts.contains(&"-decrypt")
        }
        "uudecode" | "gunzip" | "zcat" | "unxz" => true,
        _ => texts.iter().any(|t| matches!(*t, "-d" | "-D" | "--decode" | "-di" | "-id")),
    };
    let files: Vec<Value> =
        rest.iter().filter(|v| v.likely().is_some_and(|t| !t.starts_with('-'))).cloned().collect();
    let input =
        if program == "openssl" { stdin.clone() } else { read_all(flow, &files, stdin, line) };
    if !decodes {
        return Value { texts: Vec::new(), ..input };
    }
    let mut out = input.map(blob::decode_any);
    if program != "gunzip" && program != "zcat" {
        out.labels = out.labels.with(Labels::DECODED);
    }
    if let Some(path) = after(rest, &["-o", "-out"]).and_then(Value::likely).map(str::to_owned) {
        flow.store(line, &path, &out);
    }
    out
}

/// cp, mv, tar, zip: what goes in comes out under another name.
fn copy(flow: &mut Flow<'_>, program: &str, rest: &[Value], stdin: &Value, line: u32) -> Value {
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

fn transfer(flow: &mut Flow<'_>, program: &str, rest: &[Value], stdin: &Value, line: u32) -> Value {
    let texts: Vec<String> = rest.iter().map(|v| v.likely().unwrap_or("").to_owned()).collect();
    let mut data = merge(stdin, rest);
    let all = texts.join(" ");
    let sends = match program {
        "aws" | "gsutil" | "gcloud" | "az" | "s3cmd" | "rclone" => {
            ["cp", "sync", "put", "mv", "copy", "upload"]
                .iter()
                .any(|w| texts.iter().any(|t| t == w))
        }
        "gh" => all.contains("gist create") || all.contains("release upload"),
        "ssh" => !stdin.labels.eq(&Labels::NONE),
        "dig" | "nslookup" | "host" => !data.labels.eq(&Labels::NONE),
        _ => true,
    };
    if sends {
        for path in texts.iter().filter(|t| {
            !t.starts_with('-')
                && (t.contains('/') || t.contains('~') || t.contains('.'))
                && !t.contains("://")
        }) {
            let read = flow.load(line, path);
            data.taint(&read);
        }
    }
    let hosts: Vec<Value> = texts
        .iter()
        .filter_map(|t| {
            t.split_once('@')
                .map(|(_, h)| h)
                .or(Some(t.as_str()))
                .map(|h| Value::text(h.split(':').next().unwrap_or(h)))
        })
        .filter(|v| {
            matches!(
                program,
                "scp" | "rsync" | "ssh" | "sftp" | "ftp" | "lftp" | "dig" | "nslookup" | "host"
            ) && v.likely().is_some_and(|h| h.contains('.'))
        })
        .collect();
    let places: Vec<&Value> = hosts
        .iter()
        .chain(rest.iter().filter(|v| v.likely().is_some_and(|t| t.contains("://"))))
        .collect();
    if sends || !places.is_empty() {
        flow.net(line, &places, data, sends);
    }
    match program {
        // A name server's answer is text from outside.
        "dig" | "nslookup" | "host" => {
            Value::labelled(Labels::DOWNLOADED, crate::judge::NAME_SERVER)
        }
        _ => Value::default(),
    }
}

fn windows_or_open(flow: &mut Flow<'_>, program: &str, rest: &[Value], line: u32) -> Value {
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

fn install(flow: &mut Flow<'_>, program: &str, rest: &[Value], line: u32) {
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
