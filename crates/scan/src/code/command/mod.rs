//! What a command line does: the programs that fetch, send, decode, run, install, persist.

mod files;
mod given;
mod interpreter;
mod text;
mod transfer;

use super::Language;
use super::flow::Flow;
use super::value::{Act, HOLE, Labels, Value};
use crate::content::{PlaceKind, ProgramClass};
use crate::text::blob;
use files::{copy, install, windows_or_open};
pub(crate) use given::user_files;
use given::{GIVEN, carry, cover, guards, log, sensitive_arguments};
use interpreter::{code_text, interpret, interpreter};
use text::{decode, transliterate};
use transfer::{fetch, transfer};

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

/// Runs a command line and returns what it prints.
pub(crate) fn run(flow: &mut Flow<'_>, argv: &[Value], stdin: &Value, line: u32) -> Value {
    if argv.iter().all(|v| v.texts.len() < 2) {
        return run_one(flow, argv, stdin, line);
    }
    // A word that may be one of several: each is tried beside the first of all the others.
    let first: Vec<Value> = argv
        .iter()
        .map(|v| Value { texts: v.texts.iter().take(1).cloned().collect(), ..v.clone() })
        .collect();
    let mut out = run_one(flow, &first, stdin, line);
    let others =
        argv.iter().enumerate().flat_map(|(at, v)| v.texts.iter().skip(1).map(move |t| (at, t)));
    for (at, text) in others.take(MAX_VARIANTS) {
        let mut variant = first.clone();
        if let Some(word) = variant.get_mut(at) {
            word.texts = vec![text.clone()];
        }
        let printed = run_one(flow, &variant, stdin, line);
        out.join(&printed);
    }
    out
}

/// Most readings of one command line besides the first.
const MAX_VARIANTS: usize = 8;

fn run_one(flow: &mut Flow<'_>, argv: &[Value], stdin: &Value, line: u32) -> Value {
    if flow.fuel == 0 {
        flow.lose("runs more commands than are followed");
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
    let alone = || unwrap(rest, &["-u", "-C", "-S"], false).is_empty();
    if program == "env" && alone() {
        return known(flow, "env", &[], stdin, line);
    }
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
        // What is edited in place is written.
        "sed" | "gsed" | "perl" | "ed" | "ex" | "sponge" | "patch" | "truncate" | "crudini"
            if !matches!(program, "sed" | "gsed" | "perl")
                || texts.iter().any(|t| {
                    t.starts_with("-i") || t.starts_with("--in-place") || t.starts_with("-pi")
                }) =>
        {
            for path in texts.iter().filter(|t| !t.starts_with('-') && t.contains(['.', '/'])) {
                if flow.content.place_at(path).is_some() {
                    flow.store(line, path, stdin);
                } else if program == "truncate" && log(path) {
                    flow.emit(line, Act::CoverTracks { how: format!("{program} {all}") });
                }
            }
            Value::default()
        }
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
        "openssl" if has("s_client") => {
            carry(flow, program, &texts, rest, stdin, line);
            Value::default()
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
                    let read = crate::code::value::read_path(flow.content, text);
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
        "printenv" => crate::code::interp::env_value(first),
        "gpg" | "gpg2" if all.contains("--export-secret") => {
            flow.emit(line, Act::Secret { name: "the GnuPG secret keys".into() });
            Value::labelled(Labels::CREDENTIALS, "~/.gnupg")
        }
        "dconf" | "kwallet-query" | "keyctl"
            if matches!(first, "dump" | "-r" | "print" | "pipe") =>
        {
            Value::labelled(Labels::CREDENTIALS, format!("{program} {first}"))
        }
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
        "secret-tool" | "pass" | "op" | "bw" | "lpass" | "gopass" | "vault" | "doppler"
            if matches!(
                first,
                "lookup" | "show" | "read" | "get" | "search" | "item" | "secrets"
            ) && (first != "item" || has("get") || has("list")) =>
        {
            Value::labelled(Labels::ENV_SECRET, all)
        }
        "history" if has("-c") || has("-cw") => cover(flow, line, program, &all),
        "unset" | "export" | "set" if all.contains("HISTFILE") || all.contains("HISTSIZE=0") => {
            cover(flow, line, program, &all)
        }
        "journalctl" if all.contains("--vacuum") => cover(flow, line, program, &all),
        "wevtutil" if matches!(first, "cl" | "clear-log") => cover(flow, line, program, &all),
        "auditctl" if matches!(first, "-D") || all.contains("-e 0") => {
            cover(flow, line, program, &all)
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
                || texts.iter().any(|t| matches!(*t, "777" | "0777" | "a+rwx" | "ugo+rwx"))
                    && texts.last().is_some_and(|t| wide(t))
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
        "iptables" | "ip6tables"
            if texts.contains(&"nat")
                && texts.iter().any(|t| matches!(*t, "REDIRECT" | "DNAT")) =>
        {
            weaken(flow, line, program, &all)
        }
        "iptables" | "ip6tables" | "nft" | "pfctl"
            if texts.iter().any(|t| matches!(*t, "-F" | "--flush" | "flush" | "-X"))
                || program == "pfctl" && has("-d")
                || all.contains("-P INPUT ACCEPT") =>
        {
            weaken(flow, line, program, &all)
        }
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
                "crowdstrike",
                "sentinelone",
                "wazuh",
                "osquery",
                "selinux",
                "rsyslog",
                "iptables",
                "nftables",
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
                if log(path) {
                    flow.emit(line, Act::CoverTracks { how: format!("{program} {path}") });
                } else if deep {
                    flow.emit(line, Act::Delete { path: (*path).to_owned() });
                }
                if user_files(path) {
                    flow.emit(line, Act::Sweep { how: format!("{program} {path}") });
                }
            }
            Value::default()
        }
        "useradd" | "adduser" | "usermod" | "net" | "dscl" | "sysadminctl" | "gpasswd"
            if ["sudo", "wheel", "admin", "root", "/add", "-o -u 0", "docker"]
                .iter()
                .any(|w| all.to_ascii_lowercase().contains(w))
                && !all.contains("authonly") =>
        {
            flow.emit(
                line,
                Act::Persist { how: format!("an account with rights: {program} {all}") },
            );
            Value::default()
        }
        "visudo" => {
            flow.emit(line, Act::Persist { how: format!("sudoers: visudo {all}") });
            Value::default()
        }
        "systemd-run" if all.contains("--on-") => {
            flow.emit(line, Act::Persist { how: format!("systemd-run {all}") });
            Value::default()
        }
        "defaults"
            if first == "write" && (all.contains("loginwindow") || all.contains("LoginHook")) =>
        {
            flow.emit(line, Act::Persist { how: format!("defaults {all}") });
            Value::default()
        }
        "defaults" if first == "write" && all.contains("LSQuarantine") => {
            weaken(flow, line, program, &all)
        }
        "chsh" => {
            flow.emit(line, Act::Persist { how: format!("the login shell: chsh {all}") });
            Value::default()
        }
        "pkill" | "killall" | "taskkill" | "kill" if guards(&all) => {
            weaken(flow, line, program, &all)
        }
        "sc" | "sc.exe" if first.eq_ignore_ascii_case("create") => {
            let driver = all.to_ascii_lowercase().contains("kernel");
            if driver {
                return weaken(flow, line, program, &all);
            }
            flow.emit(line, Act::Persist { how: format!("sc {all}") });
            Value::default()
        }
        "sc" | "net" if matches!(first, "stop" | "delete" | "config") && guards(&all) => {
            weaken(flow, line, program, &all)
        }
        "sysctl" if all.contains("randomize_va_space=0") || all.contains("ptrace_scope=0") => {
            weaken(flow, line, program, &all)
        }
        "insmod" | "modprobe" | "kextload" => weaken(flow, line, program, &all),
        "netsh"
            if all.to_ascii_lowercase().contains("firewall")
                && all.to_ascii_lowercase().contains("off") =>
        {
            weaken(flow, line, program, &all)
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
        "npm" | "pip" | "pip3" | "yarn" | "pnpm"
            if texts.contains(&"config")
                && ["script-shell", "registry", "index-url", "node-options"]
                    .iter()
                    .any(|key| all.contains(key)) =>
        {
            let place = Value::text(all.clone());
            if all.contains("://") {
                flow.emit(line, Act::ForeignPackage { what: format!("{program} {all}"), place });
            } else if all.contains("script-shell") || all.contains("node-options") {
                flow.emit(line, Act::Persist { how: format!("{program} {all}") });
            }
            Value::default()
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
            // `git config alias.x '!…'`, hooks and helpers run with every later git command.
            let runs = [
                "core.hooksPath",
                "core.fsmonitor",
                "core.sshCommand",
                "core.pager",
                "core.editor",
            ]
            .iter()
            .any(|key| all.contains(key))
                || all.contains("alias.") && all.contains('!')
                || all.contains("credential.helper") && all.contains('!');
            if (texts.contains(&"config") || texts.contains(&"-c")) && runs {
                flow.emit(line, Act::Persist { how: format!("git {all}") });
            }
            if texts.iter().any(|t| matches!(*t, "add" | "commit" | "stage")) {
                // What lies in the work tree goes along with the next push.
                let held = flow.sensitive();
                flow.hold("%git", &held);
            }
            if texts.contains(&"push") {
                let places: Vec<&Value> = rest.iter().collect();
                let mut data = read_all(flow, rest, &Value::default(), line);
                if let Some(held) = flow.stored("%git").cloned() {
                    data.taint(&held);
                }
                data.labels = data.labels.without(Labels::LOCAL_FILE);
                flow.net(line, &places, data, true);
            }
            Value::default()
        }
        "docker" | "podman" => {
            let whole = all.contains("--privileged")
                || all.contains("-v /:")
                || all.contains("source=/,")
                || all.contains("--pid=host")
                || all.contains("--cap-add=ALL")
                || all.contains("SYS_ADMIN");
            if whole || all.contains("docker.sock") {
                flow.emit(
                    line,
                    Act::Weaken {
                        how: if whole {
                            format!("{program} with the whole host inside")
                        } else {
                            format!("{program} with the host's files or socket inside")
                        },
                    },
                );
            }
            // `-v ~/.ssh:/x IMAGE`: whoever made the image reads it.
            let mut data = Value::default();
            for text in &texts {
                for path in text.split([':', ',', '=']).filter(|p| p.starts_with(['/', '~', '$'])) {
                    let read = crate::code::value::read_path(flow.content, path);
                    data.taint(&read);
                }
            }
            if matches!(first, "run" | "create") && data.labels.has(Labels::STRONG) {
                flow.emit(line, Act::Give { program: program.to_owned(), data });
            }
            carry(flow, program, &texts, rest, stdin, line);
            Value::default()
        }
        "openclaw" | "clawdbot" | "moltbot" | "clawhub" => {
            if carry(flow, program, &texts, rest, stdin, line) {
                return Value::default();
            }
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
            let mut out = merge(stdin, rest);
            if flow.content.program_is(program, &texts, ProgramClass::Print) {
                let mut out = read_all(flow, rest, stdin, line);
                out.texts.clear();
                return out;
            }
            if carry(flow, program, &texts, rest, stdin, line) {
                return Value::default();
            }
            if flow.content.program_is(program, &texts, ProgramClass::OpenDoor) {
                flow.emit(line, Act::OpenDoor { how: format!("{program} {all}") });
            }
            let named = sensitive_arguments(flow, &texts);
            out.taint(&named);
            if all.contains("://") {
                let places: Vec<&Value> = rest.iter().collect();
                flow.net(
                    line,
                    &places,
                    Value { labels: out.labels.without(Labels::LOCAL_FILE), ..out.clone() },
                    false,
                );
            } else if out.labels.has(GIVEN)
                && !flow.content.program_is(program, &texts, ProgramClass::Local)
                && !program.contains(HOLE)
            {
                flow.emit(line, Act::Give { program: program.to_owned(), data: out.clone() });
            }
            out
        }
    }
}

/// A folder that holds more than the skill: where it is run, above, a home.
fn wide(path: &str) -> bool {
    let path = path.trim_end_matches(['*', '/']);
    matches!(
        path,
        "" | "." | ".." | "~" | "$HOME" | "/home" | "/root" | "/etc" | "/usr" | "/var" | "/opt"
    )
}

fn weaken(flow: &mut Flow<'_>, line: u32, program: &str, all: &str) -> Value {
    flow.emit(line, Act::Weaken { how: format!("{program} {all}") });
    Value::default()
}
