//! Programs that talk to the network.

use super::program::{Tally, split_port};
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{ANY, Val, merge};
use super::walk::{Io, Out, Walk, clip};
use super::{Sink, Source};
use seawall_model::Effect;

/// Options of curl that have a value without an effect of its own.
const CURL_SKIP: &[&str] = &[
    "-A",
    "--user-agent",
    "-e",
    "--referer",
    "-m",
    "--max-time",
    "--connect-timeout",
    "--retry",
    "--retry-delay",
    "--retry-max-time",
    "-r",
    "--range",
    "-y",
    "--speed-time",
    "-Y",
    "--speed-limit",
    "-z",
    "--time-cond",
    "--limit-rate",
    "-C",
    "--continue-at",
    "--max-redirs",
    "--ciphers",
    "--tls-max",
    "--interface",
    "--local-port",
    "--max-filesize",
    "--keepalive-time",
    "--proto",
    "--proto-default",
    "--proto-redir",
    "--expect100-timeout",
    "--parallel-max",
    "-w",
    "--write-out",
    "--dns-ipv4-addr",
    "--rate",
    "--create-file-mode",
    "--curves",
    "-t",
    "--telnet-option",
    "--tls13-ciphers",
    "-Q",
    "--quote",
    "--happy-eyeballs-timeout-ms",
    "--noproxy",
];
/// Values that go to the server.
const CURL_SENT: &[&str] = &[
    "-H",
    "--header",
    "-u",
    "--user",
    "--oauth2-bearer",
    "--url-query",
    "--mail-from",
    "--mail-rcpt",
    "--aws-sigv4",
    "-U",
    "--proxy-user",
    "--proxy-header",
    "--data-raw",
    "--form-string",
    "--pass",
    "--request-target",
];
/// Values that go to the server and may name a file with `@`.
const CURL_BODY: &[&str] =
    &["-d", "--data", "--data-binary", "--data-ascii", "--data-urlencode", "--json", "--variable"];
const CURL_READ: &[&str] = &[
    "-T",
    "--upload-file",
    "-E",
    "--cert",
    "--key",
    "--cacert",
    "--capath",
    "--netrc-file",
    "--crlfile",
    "--pubkey",
    "--etag-compare",
    "--hsts",
    "--proxy-cert",
    "--proxy-key",
    "--proxy-cacert",
];
const CURL_WRITE: &[&str] = &[
    "-o",
    "--output",
    "-D",
    "--dump-header",
    "-c",
    "--cookie-jar",
    "--trace",
    "--trace-ascii",
    "--stderr",
    "--etag-save",
    "--libcurl",
    "--alt-svc",
    "--output-dir",
    "--hsts",
];
/// Values that send the request somewhere else or change it in ways that are not followed.
const CURL_OPAQUE: &[&str] = &[
    "-K",
    "--config",
    "-x",
    "--proxy",
    "--preproxy",
    "--socks5",
    "--socks4",
    "--socks4a",
    "--socks5-hostname",
    "--resolve",
    "--connect-to",
    "--doh-url",
    "--unix-socket",
    "--abstract-unix-socket",
    "--dns-servers",
    "--engine",
    "--proxy1.0",
    "-P",
    "--ftp-port",
    "--dns-interface",
    "--random-file",
    "--egd-file",
];
const CURL_FLAGS: &str = "sSfLkvigGIOJNqRZajlnp0123446#h";
const CURL_LONG: &[&str] = &[
    "silent",
    "show-error",
    "fail",
    "fail-with-body",
    "fail-early",
    "location",
    "location-trusted",
    "insecure",
    "verbose",
    "include",
    "head",
    "get",
    "remote-name",
    "remote-name-all",
    "remote-header-name",
    "remote-time",
    "compressed",
    "http1.0",
    "http1.1",
    "http2",
    "http2-prior-knowledge",
    "http3",
    "http3-only",
    "ipv4",
    "ipv6",
    "no-buffer",
    "parallel",
    "parallel-immediate",
    "progress-bar",
    "no-progress-meter",
    "globoff",
    "create-dirs",
    "disable",
    "tcp-nodelay",
    "tlsv1",
    "tlsv1.0",
    "tlsv1.1",
    "tlsv1.2",
    "tlsv1.3",
    "ssl-reqd",
    "ssl",
    "raw",
    "path-as-is",
    "retry-all-errors",
    "retry-connrefused",
    "post301",
    "post302",
    "post303",
    "basic",
    "digest",
    "negotiate",
    "ntlm",
    "anyauth",
    "junk-session-cookies",
    "no-keepalive",
    "no-sessionid",
    "tr-encoding",
    "version",
    "help",
    "manual",
    "list-only",
    "append",
    "netrc",
    "netrc-optional",
    "xattr",
    "styled-output",
    "no-clobber",
    "remove-on-error",
    "next",
    "sasl-ir",
    "ssl-no-revoke",
    "suppress-connect-headers",
    "trace-time",
    "crlf",
    "fail",
];

pub(super) fn curl(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut urls: Vec<Val> = Vec::new();
    let mut sent: Vec<Source> = Vec::new();
    let mut sends = false;
    let mut named = false;
    let mut at = 0;
    while let Some(arg) = call.args.get(at).cloned() {
        at += 1;
        walk.literal(&arg.text);
        if arg.starts_unknown() {
            walk.opaque("an argument of `curl` is not known and may be an option");
        }
        let text = arg.text.as_str();
        if !text.starts_with('-') || text == "-" {
            urls.push(arg);
            continue;
        }
        // `--name value`, `-nvalue`, clusters.
        let mut pieces: Vec<(String, Option<Val>)> = Vec::new();
        if text.starts_with("--") {
            pieces.push((text.to_owned(), None));
        } else {
            let mut rest = text.get(1..).unwrap_or("");
            while let Some(c) = rest.chars().next() {
                rest = rest.get(c.len_utf8()..).unwrap_or("");
                let short = format!("-{c}");
                if takes(&short) {
                    let value =
                        (!rest.is_empty()).then(|| Val { text: rest.to_owned(), ..arg.clone() });
                    pieces.push((short, value));
                    rest = "";
                } else {
                    pieces.push((short, None));
                }
            }
        }
        for (name, attached) in pieces {
            let name = full(&name);
            let value = if takes(&name) {
                attached.or_else(|| {
                    at += 1;
                    call.args.get(at - 1).cloned()
                })
            } else {
                None
            };
            let name = name.as_str();
            let Some(value) = value else {
                match name {
                    "-I" | "--head" => {}
                    "-O"
                    | "--remote-name"
                    | "--remote-name-all"
                    | "-J"
                    | "--remote-header-name" => {
                        named = true;
                    }
                    "-n" | "--netrc" | "--netrc-optional" => {
                        let path = super::path::normalise(walk.cx.home, ".netrc");
                        walk.effect(Effect::Read { path: path.clone() });
                        merge(&mut sent, &[Source::File(path)]);
                    }
                    _ if name.len() == 2 && CURL_FLAGS.contains(name.get(1..).unwrap_or(" ")) => {}
                    _ if name.starts_with("--") => {
                        let long = name.trim_start_matches("--");
                        let long = long.strip_prefix("no-").unwrap_or(long);
                        if !CURL_LONG.contains(&long) {
                            walk.opaque("an option of `curl` is not known");
                        }
                    }
                    _ => walk.opaque("an option of `curl` is not known"),
                }
                continue;
            };
            walk.literal(&value.text);
            merge(&mut tally.args, &value.from);
            if name == "--url" {
                urls.push(value);
            } else if matches!(name, "-X" | "--request") {
                sends |= !matches!(value.text.as_str(), "GET" | "HEAD");
            } else if CURL_SENT.contains(&name) {
                sends |= !matches!(name, "-H" | "--header")
                    || !value.from.is_empty()
                    || !value.is_known();
                merge(&mut sent, &value.from);
                merge(&mut sent, &[Source::Text(clip(&value.text))]);
                if matches!(name, "-H" | "--header")
                    && let Some(file) = value.text.strip_prefix('@')
                {
                    sends = true;
                    body_file(walk, st, call, file, &value, &mut sent);
                }
            } else if CURL_BODY.contains(&name) {
                sends = true;
                let file = match name {
                    "--data-urlencode" | "--variable" => {
                        // `name@file`; an `=` before it makes all of it text.
                        value.text.split_once('@').filter(|(n, _)| !n.contains('=')).map(|(_, f)| f)
                    }
                    _ => value.text.strip_prefix('@'),
                };
                match file {
                    Some(file) => {
                        let file = file.to_owned();
                        body_file(walk, st, call, &file, &value, &mut sent);
                    }
                    None => {
                        if value.text.starts_with(ANY) {
                            walk.opaque("a body of `curl` is not known and may name a file");
                        }
                        merge(&mut sent, &value.from);
                        merge(&mut sent, &[Source::Text(clip(&value.text))]);
                    }
                }
            } else if matches!(name, "-F" | "--form") {
                sends = true;
                merge(&mut sent, &value.from);
                let content = value.text.split_once('=').map_or("", |(_, c)| c);
                if let Some(files) = content.strip_prefix(['@', '<']) {
                    for file in files.split(';').next().unwrap_or("").split(',') {
                        body_file(walk, st, call, file.trim_matches('"'), &value, &mut sent);
                    }
                } else {
                    if !value.is_known() && content.starts_with(ANY) {
                        walk.opaque("a form of `curl` is not known and may name a file");
                    }
                    merge(&mut sent, &[Source::Text(clip(&value.text))]);
                }
                if value.text.contains(";headers=@") || value.text.contains("=(") {
                    walk.opaque("a form of `curl` that is not followed");
                }
            } else if matches!(name, "-b" | "--cookie") {
                if value.text.contains('=') {
                    sends = true;
                    merge(&mut sent, &value.from);
                } else {
                    body_file(walk, st, call, &value.text.clone(), &value, &mut sent);
                }
            } else if matches!(name, "-T" | "--upload-file") {
                sends = true;
                if value.text == "-" || value.text == "." {
                    let from = call.io.sources();
                    merge(&mut sent, &from);
                } else {
                    let value =
                        Val { text: value.text.trim_matches(['{', '}']).to_owned(), ..value };
                    for part in value.text.split(',') {
                        body_file(walk, st, call, part, &value, &mut sent);
                    }
                }
            } else if CURL_OPAQUE.contains(&name) {
                walk.opaque(&format!("`curl {name}` changes where requests go or what they hold"));
                if matches!(name, "-K" | "--config") {
                    walk.role(st, "curl", Role::Read, &value, call.io, &mut tally);
                } else if matches!(
                    name,
                    "-x" | "--proxy"
                        | "--preproxy"
                        | "--socks5"
                        | "--socks5-hostname"
                        | "--doh-url"
                ) {
                    walk.url(&value, true, &[], &mut tally);
                } else if matches!(name, "--resolve" | "--connect-to") {
                    let place = value
                        .text
                        .rsplit(':')
                        .nth(usize::from(name != "--resolve"))
                        .unwrap_or("")
                        .to_owned();
                    walk.request(&place, None, None, true, &value.from);
                }
            } else if CURL_WRITE.contains(&name) {
                if value.text != "-" {
                    walk.role(st, "curl", Role::Write, &value, call.io, &mut tally);
                }
            } else if CURL_READ.contains(&name) {
                let file = value.text.split(':').next().unwrap_or("").to_owned();
                let value = Val { text: file, ..value };
                walk.role(st, "curl", Role::Read, &value, call.io, &mut tally);
            }
        }
    }
    for url in &urls {
        merge(&mut tally.args, &url.from);
        walk.url(url, sends, &sent, &mut tally);
        if named {
            let path = url.text.split(['?', '#']).next().unwrap_or("");
            let base = super::path::base_name(path).to_owned();
            let value =
                if base.is_empty() || url.has_any() { Val::known(".") } else { Val::known(base) };
            walk.role(st, "curl", Role::Write, &value, call.io, &mut tally);
        }
    }
    if named {
        // A header of the answer may choose the name.
        walk.role(st, "curl", Role::Write, &Val::known("."), call.io, &mut tally);
    }
    answered(walk, call, tally)
}

fn takes(name: &str) -> bool {
    matches!(
        name,
        "--url" | "-X" | "--request" | "-F" | "--form" | "-b" | "--cookie" | "-T" | "--upload-file"
    ) || CURL_SKIP.contains(&name)
        || CURL_SENT.contains(&name)
        || CURL_BODY.contains(&name)
        || CURL_READ.contains(&name)
        || CURL_WRITE.contains(&name)
        || CURL_OPAQUE.contains(&name)
}

/// curl takes unambiguous beginnings of long options.
fn full(name: &str) -> String {
    if !name.starts_with("--") || takes(name) || CURL_LONG.contains(&name.trim_start_matches("--"))
    {
        return name.to_owned();
    }
    let all = [CURL_SENT, CURL_BODY, CURL_READ, CURL_WRITE, CURL_OPAQUE, CURL_SKIP];
    all.iter()
        .flat_map(|list| list.iter())
        .chain(&["--url", "--request", "--form", "--cookie", "--upload-file"])
        .find(|long| long.starts_with(name))
        .map_or_else(|| name.to_owned(), |long| (*long).to_owned())
}

fn body_file(
    walk: &mut Walk<'_>,
    st: &mut State,
    call: &Call<'_>,
    file: &str,
    value: &Val,
    sent: &mut Vec<Source>,
) {
    if file == "-" || file == "/dev/stdin" {
        let from = call.io.sources();
        merge(sent, &from);
        return;
    }
    let mut tally = Tally::default();
    let value = Val { text: file.to_owned(), ..value.clone() };
    walk.role(st, call.name, Role::Read, &value, call.io, &mut tally);
    merge(sent, &tally.reads);
}

/// Output of a client: the answers, written to files where the options say so.
fn answered(walk: &mut Walk<'_>, call: &Call<'_>, tally: Tally) -> Out {
    let _ = call;
    let mut from: Vec<Source> = tally.hosts.iter().map(|h| Source::Host(h.clone())).collect();
    merge(&mut from, &tally.reads);
    merge(&mut from, &tally.args);
    for sink in &tally.writes {
        walk.flow(&from, sink);
    }
    Out::from(from)
}

pub(super) fn wget(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut urls = Vec::new();
    let mut sent = Vec::new();
    let mut sends = false;
    let mut to: Option<Val> = None;
    let mut folder = Val::known(".");
    let mut at = 0;
    while let Some(arg) = call.args.get(at).cloned() {
        at += 1;
        walk.literal(&arg.text);
        if arg.starts_unknown() {
            walk.opaque("an argument of `wget` is not known and may be an option");
        }
        let text = arg.text.as_str();
        if !text.starts_with('-') || text == "-" {
            urls.push(arg);
            continue;
        }
        let (mut name, mut value) = match text.split_once('=') {
            Some((name, value)) if text.starts_with("--") => {
                (name.to_owned(), Some(Val { text: value.to_owned(), ..arg.clone() }))
            }
            _ => (text.to_owned(), None),
        };
        if !text.starts_with("--") {
            // The first letter with a value ends the cluster.
            let letters = text.get(1..).unwrap_or("");
            let Some(found) = letters.find(|c| "OoaiPteTwQUlADRIXnYBS".contains(c)) else {
                continue;
            };
            let letter = letters.get(found..=found).unwrap_or("");
            if matches!(letter, "n" | "S") {
                continue; // `-nc`, `-nv`, `-nH`, `-S`
            }
            name = format!("-{letter}");
            let rest = letters.get(found + 1..).unwrap_or("");
            if !rest.is_empty() {
                value = Some(Val { text: rest.to_owned(), ..arg.clone() });
            }
        }
        let valued = matches!(
            name.as_str(),
            "-O" | "-o"
                | "-a"
                | "-i"
                | "-P"
                | "-t"
                | "-e"
                | "-T"
                | "-w"
                | "-Q"
                | "-U"
                | "-l"
                | "-A"
                | "-D"
                | "-R"
                | "-I"
                | "-X"
                | "-Y"
                | "-B"
                | "--output-document"
                | "--output-file"
                | "--append-output"
                | "--input-file"
                | "--directory-prefix"
                | "--post-file"
                | "--post-data"
                | "--body-file"
                | "--body-data"
                | "--method"
                | "--header"
                | "--user-agent"
                | "--execute"
                | "--user"
                | "--password"
                | "--tries"
                | "--timeout"
                | "--load-cookies"
                | "--save-cookies"
                | "--use-askpass"
                | "--config"
                | "--referer"
                | "--ca-certificate"
                | "--certificate"
                | "--private-key"
                | "--level"
                | "--accept"
                | "--reject"
                | "--wait"
                | "--limit-rate"
                | "--rejected-log"
                | "--warc-file"
        );
        if valued && value.is_none() {
            value = call.args.get(at).cloned();
            at += 1;
        }
        let Some(value) = value else {
            if !text.starts_with("--no-")
                && !matches!(
                    text,
                    "--quiet"
                        | "--verbose"
                        | "--continue"
                        | "--timestamping"
                        | "--spider"
                        | "--recursive"
                        | "--mirror"
                        | "--no-parent"
                        | "--page-requisites"
                        | "--convert-links"
                        | "--content-disposition"
                        | "--server-response"
                        | "--show-progress"
                        | "--version"
                        | "--help"
                        | "--https-only"
                        | "--inet4-only"
                        | "--background"
                        | "--debug"
                )
            {
                walk.opaque("an option of `wget` is not known");
            }
            continue;
        };
        walk.literal(&value.text);
        merge(&mut tally.args, &value.from);
        match name.as_str() {
            "-O" | "--output-document" => to = Some(value),
            "-o" | "-a" | "--output-file" | "--append-output" | "--save-cookies"
            | "--rejected-log" | "--warc-file" => {
                walk.role(st, "wget", Role::Write, &value, call.io, &mut tally);
            }
            "-P" | "--directory-prefix" => folder = value,
            "-i" | "--input-file" => {
                walk.role(st, "wget", Role::Read, &value, call.io, &mut tally);
                walk.opaque("`wget -i` fetches what a file names");
                walk.request(&ANY.to_string(), None, None, true, &[]);
            }
            "--post-file" | "--body-file" => {
                sends = true;
                body_file(walk, st, call, &value.text.clone(), &value, &mut sent);
            }
            "--load-cookies" => body_file(walk, st, call, &value.text.clone(), &value, &mut sent),
            "--ca-certificate" | "--certificate" | "--private-key" => {
                walk.role(st, "wget", Role::Read, &value, call.io, &mut tally);
            }
            "--post-data" | "--body-data" | "--user" | "--password" => {
                sends = true;
                merge(&mut sent, &value.from);
                merge(&mut sent, &[Source::Text(clip(&value.text))]);
            }
            "--header" | "-U" | "--user-agent" | "--referer" => {
                sends |= !value.from.is_empty() || !value.is_known();
                merge(&mut sent, &value.from);
            }
            "--method" => sends |= !matches!(value.text.as_str(), "GET" | "HEAD"),
            "-e" | "--execute" | "--use-askpass" | "--config" => {
                walk.opaque("an option of `wget` that runs or obeys something");
            }
            _ if valued => {}
            _ => walk.opaque("an option of `wget` is not known"),
        }
    }
    for url in &urls {
        merge(&mut tally.args, &url.from);
        walk.url(url, sends, &sent, &mut tally);
    }
    match to {
        Some(file) if file.text == "-" => {}
        Some(file) => walk.role(st, "wget", Role::Write, &file, call.io, &mut tally),
        None => {
            // The server chooses names below the folder.
            walk.role(st, "wget", Role::Write, &folder, call.io, &mut tally);
            for url in &urls {
                let path = url.text.split(['?', '#']).next().unwrap_or("");
                let base = super::path::base_name(path.split_once("://").map_or(path, |(_, p)| p));
                if path.matches('/').count() > 2 && !url.has_any() && !base.is_empty() {
                    let value = Val::known(format!("{}/{base}", folder.text));
                    walk.role(st, "wget", Role::Write, &value, call.io, &mut tally);
                }
            }
        }
    }
    answered(walk, call, tally)
}

/// HTTPie.
pub(super) fn http(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut sent = if call.io.piped { call.io.from.clone() } else { Vec::new() };
    let mut url = None;
    for arg in call.args {
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        merge(&mut sent, &arg.from);
        if text.starts_with('-') {
            walk.opaque("an option of `http` is not followed");
        } else if url.is_none() && !text.chars().all(|c| c.is_ascii_uppercase()) {
            url = Some(arg.clone());
        } else if let Some((_, file)) = text.split_once('@').or_else(|| text.split_once("=@")) {
            body_file(walk, st, call, file, arg, &mut sent);
        }
    }
    if let Some(url) = url {
        let text = if url.text.starts_with(':') {
            format!("localhost{}", url.text)
        } else {
            url.text.clone()
        };
        walk.url(&Val { text, ..url }, true, &sent, &mut tally);
    }
    answered(walk, call, tally)
}

pub(super) fn netcat(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut operands = Vec::new();
    let mut listens = false;
    let mut port = None;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        if arg.starts_unknown() {
            walk.opaque("an argument of `nc` is not known and may be an option");
        }
        let text = arg.text.as_str();
        if !text.starts_with('-') || text.len() < 2 {
            operands.push(arg.clone());
            continue;
        }
        let long = text.starts_with("--");
        let (letters, attached) = match text.split_once('=') {
            Some((name, _)) if long => (name, true),
            _ => (text, false),
        };
        match letters {
            "--exec" | "--sh-exec" | "--lua-exec" => {
                run_by(walk, st, call, call.args.get(at));
                at += usize::from(!attached);
                if attached {
                    walk.opaque("`nc` runs a program for its peer");
                }
                continue;
            }
            "--listen" | "--keep-open" => listens = true,
            _ if long => walk.opaque("an option of `nc` is not known"),
            _ => {
                let mut rest = text.get(1..).unwrap_or("");
                while let Some(c) = rest.chars().next() {
                    rest = rest.get(c.len_utf8()..).unwrap_or("");
                    match c {
                        'l' => listens = true,
                        'e' | 'c' | 'p' | 'w' | 'i' | 'q' | 's' | 'x' | 'X' | 'I' | 'O' | 'P'
                        | 'T' | 'V' | 'm' | 'M' | 'o' | 'g' | 'G' | 'W' | 'd'
                            if c != 'd' =>
                        {
                            let value = if rest.is_empty() {
                                at += 1;
                                call.args.get(at - 1).cloned()
                            } else {
                                Some(Val { text: rest.to_owned(), ..arg.clone() })
                            };
                            rest = "";
                            match c {
                                'e' | 'c' => run_by(walk, st, call, value.as_ref()),
                                'p' => port = value.and_then(|v| v.text.parse().ok()),
                                'x' => {
                                    if let Some(value) = value {
                                        let (host, port) = split_port(&value.text);
                                        walk.request(&host, port, None, true, &value.from);
                                    }
                                }
                                'o' => {
                                    if let Some(value) = value {
                                        let mut tally = Tally::default();
                                        walk.role(
                                            st,
                                            "nc",
                                            Role::Write,
                                            &value,
                                            call.io,
                                            &mut tally,
                                        );
                                    }
                                }
                                _ => {}
                            }
                        }
                        'U' => walk.opaque("`nc -U` talks to a local socket"),
                        _ => {}
                    }
                }
            }
        }
    }
    let sent = call.io.sources();
    if listens {
        let port = port.or_else(|| operands.last().and_then(|o| o.text.parse().ok()));
        walk.effect(Effect::Listen { port });
        let host = String::new();
        walk.flow(&sent, &Sink::Host(host.clone()));
        return Out::from(vec![Source::Host(host)]);
    }
    let Some(host) = operands.first() else { return Out::default() };
    let mut sent = sent;
    merge(&mut sent, &host.from);
    let to = operands.get(1).and_then(|p| p.text.parse().ok());
    let host = walk.request(&host.text.clone(), to, None, true, &sent);
    Out::from(vec![Source::Host(host)])
}

/// A program that a network client runs for its peer.
fn run_by(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>, program: Option<&Val>) {
    walk.opaque(&format!("`{}` runs a program for its peer", call.name));
    if let Some(program) = program {
        let io = Io { from: vec![Source::Host(String::new())], text: None, piped: true };
        let mut inner = st.clone();
        let _ = walk.shell_text(&mut inner, program, &io, call.name);
    }
}

pub(super) fn socat(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut hosts = Vec::new();
    let mut from = call.io.sources();
    let mut tally = Tally::default();
    for arg in call.args.iter().filter(|a| !a.text.starts_with('-') || a.text == "-") {
        walk.literal(&arg.text);
        if !arg.is_known() {
            walk.opaque("an address of `socat` is not known");
        }
        let (kind, rest) = arg.text.split_once(':').unwrap_or((arg.text.as_str(), ""));
        let main = rest.split(',').next().unwrap_or("");
        let kind = kind.to_ascii_uppercase();
        if kind.contains("LISTEN") || kind.contains("RECV") {
            walk.effect(Effect::Listen { port: main.parse().ok() });
            hosts.push(String::new());
        } else if kind.starts_with("TCP")
            || kind.starts_with("UDP")
            || kind.starts_with("OPENSSL")
            || kind.starts_with("SSL")
            || kind.starts_with("SCTP")
            || kind.starts_with("IP")
        {
            let (host, port) = split_port(main);
            hosts.push(walk.request(&host, port, None, true, &arg.from));
        } else if matches!(kind.as_str(), "EXEC" | "SYSTEM" | "SHELL") {
            let value =
                Val { text: rest.split(',').next().unwrap_or("").to_owned(), ..arg.clone() };
            run_by(walk, st, call, Some(&value));
        } else if matches!(kind.as_str(), "OPEN" | "FILE" | "CREATE" | "GOPEN") {
            let value = Val { text: main.to_owned(), ..arg.clone() };
            walk.role(st, "socat", Role::ReadWrite, &value, call.io, &mut tally);
        } else if !matches!(kind.as_str(), "-" | "STDIO" | "STDIN" | "STDOUT" | "STDERR") {
            walk.opaque("an address of `socat` is not followed");
        }
    }
    merge(&mut from, &tally.reads);
    for host in &hosts {
        walk.flow(&from, &Sink::Host(host.clone()));
    }
    let mut out: Vec<Source> = hosts.into_iter().map(Source::Host).collect();
    for sink in &tally.writes {
        walk.flow(&out, sink);
    }
    merge(&mut out, &tally.reads);
    Out::from(out)
}

/// Look-ups: what stands in a name leaves with it.
pub(super) fn dns(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut out = Vec::new();
    let mut tally = Tally::default();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        let text = arg.text.as_str();
        walk.literal(text);
        match text {
            "-f" => {
                if let Some(file) = call.args.get(at) {
                    walk.role(st, call.name, Role::Read, file, call.io, &mut tally);
                    walk.request(&ANY.to_string(), Some(53), None, true, &tally.reads.clone());
                }
                at += 1;
                continue;
            }
            "-t" | "-c" | "-p" | "-b" | "-k" | "-y" | "-W" | "-R" | "-N" | "-m" | "-x" | "-q" => {
                if text == "-x" {
                    continue;
                }
                at += 1;
                continue;
            }
            _ => {}
        }
        if text.starts_with(['-', '+'])
            || matches!(
                text,
                "A" | "AAAA" | "MX" | "TXT" | "NS" | "ANY" | "SOA" | "CNAME" | "PTR" | "SRV" | "IN"
            )
        {
            continue;
        }
        let name = text.trim_start_matches('@');
        let host = walk.request(name, Some(53), None, true, &arg.from);
        out.push(Source::Host(host));
    }
    if call.args.is_empty() || call.args.iter().any(|a| a.text == "-") {
        let from = call.io.sources();
        walk.request(&ANY.to_string(), Some(53), None, true, &from);
    }
    Out::from(out)
}

pub(super) fn openssl(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let sub = call.args.first().map_or("", |a| a.text.as_str());
    let mut at = 1;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        let text = arg.text.as_str();
        walk.literal(text);
        if arg.starts_unknown() {
            walk.opaque("an argument of `openssl` is not known");
        }
        let value = call.args.get(at).cloned();
        match text {
            "-connect" | "-proxy" | "-host" => {
                if let Some(value) = value {
                    let (host, port) = split_port(&value.text);
                    let mut from = call.io.sources();
                    merge(&mut from, &value.from);
                    let host = walk.request(&host, port, None, true, &from);
                    tally.hosts.push(host);
                }
                at += 1;
            }
            "-in" | "-inkey" | "-key" | "-cert" | "-CAfile" | "-CApath" | "-CA" | "-CAkey"
            | "-certfile" | "-kfile" | "-extfile" | "-rand" | "-sess_in" | "-verify_file"
            | "-peerkey" | "-signature" | "-untrusted" | "-trusted" => {
                if let Some(value) = value {
                    walk.role(st, "openssl", Role::Read, &value, call.io, &mut tally);
                }
                at += 1;
            }
            "-out" | "-keyout" | "-writerand" | "-sess_out" | "-keylogfile" | "-CAserial"
            | "-msgfile" => {
                if let Some(value) = value {
                    walk.role(st, "openssl", Role::Write, &value, call.io, &mut tally);
                }
                at += 1;
            }
            "-accept" | "-port" if sub == "s_server" || sub == "ocsp" => {
                walk.effect(Effect::Listen { port: value.and_then(|v| v.text.parse().ok()) });
                at += 1;
            }
            "-engine" | "-provider" | "-provider-path" | "-config" | "-pass" | "-passin"
            | "-passout" | "-url" => {
                match value.as_ref().map(|v| v.text.as_str()) {
                    Some(v) if v.starts_with("file:") => {
                        let file = Val {
                            text: v.trim_start_matches("file:").to_owned(),
                            ..Val::default()
                        };
                        walk.role(st, "openssl", Role::Read, &file, call.io, &mut tally);
                    }
                    Some(v)
                        if text.starts_with("-pass")
                            && (v.starts_with("pass:")
                                || v.starts_with("env:")
                                || v == "stdin") => {}
                    _ => walk.opaque("an option of `openssl` that loads or asks something else"),
                }
                at += 1;
            }
            "-subj" | "-days" | "-newkey" | "-md" | "-servername" | "-name" | "-iter" | "-K"
            | "-iv" | "-S" | "-k" | "-addext" | "-pkeyopt" | "-algorithm" | "-startdate"
            | "-cipher" | "-starttls" | "-set_serial" | "-inform" | "-outform" | "-alpn" => at += 1,
            _ if text.starts_with('-') => {}
            _ => {
                let files = matches!(
                    sub,
                    "dgst" | "md5" | "sha1" | "sha256" | "sha512" | "verify" | "rand"
                );
                if files && text.parse::<u32>().is_err() {
                    walk.role(st, "openssl", Role::Read, arg, call.io, &mut tally);
                }
            }
        }
    }
    if matches!(sub, "" | "s_server" | "ca" | "engine" | "cms" | "smime" | "ts" | "tsget") {
        walk.opaque("this command of `openssl` is not followed");
    }
    let spec = call.spec;
    walk.settle(spec, tally, call.io)
}

/// `[user@]host:path`, `scheme://host/path`; `None` for a local path.
fn remote(text: &str) -> Option<String> {
    if let Some((_, rest)) = text.split_once("://") {
        let place = rest.split('/').next().unwrap_or("");
        return Some(split_port(place.rsplit('@').next().unwrap_or("")).0);
    }
    let colon = text.find(':')?;
    if text.find('/').is_some_and(|slash| slash < colon) {
        return None;
    }
    let place = text.get(..colon).unwrap_or("");
    Some(place.rsplit('@').next().unwrap_or("").to_owned())
}

fn copy(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>, operands: &[Val], tally: &mut Tally) {
    let count = operands.len();
    let mut from = Vec::new();
    let mut hosts = Vec::new();
    for (n, operand) in operands.iter().enumerate() {
        let target = n + 1 == count && count > 1;
        match remote(&operand.text) {
            Some(host) => {
                let sends = if target { from.clone() } else { Default::default() };
                let host = walk.request(&host, Some(22), None, true, &sends);
                hosts.push(host.clone());
                if !target {
                    from.push(Source::Host(host));
                }
            }
            None if target => {
                let mut tally = Tally::default();
                walk.role(st, call.name, Role::Write, operand, call.io, &mut tally);
                for sink in &tally.writes {
                    walk.flow(&from, sink);
                }
                for source in operands.iter().take(n) {
                    let base = super::path::base_name(&source.text);
                    let inside = Val::known(format!("{}/{base}", operand.text));
                    if source.is_known() && operand.is_known() && !base.is_empty() {
                        walk.role(st, call.name, Role::Write, &inside, call.io, &mut tally);
                    }
                }
            }
            None => {
                walk.role(st, call.name, Role::Read, operand, call.io, tally);
                merge(&mut from, &tally.reads);
            }
        }
    }
    tally.hosts.append(&mut hosts);
}

pub(super) fn remote_copy(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut tally = Tally::default();
    let mut operands = Vec::new();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of `scp` is not known and may be an option");
        }
        if text.starts_with('-') && text.len() > 1 {
            let last = text.chars().last().unwrap_or(' ');
            let first = text.chars().nth(1).unwrap_or(' ');
            for c in [first, last] {
                match c {
                    'o' | 'S' | 'F' | 'D' => walk.opaque("an option of `scp` can run programs"),
                    'J' => walk.opaque("an option of `scp` goes through another host"),
                    _ => {}
                }
            }
            if "cDFiJloPSX".contains(last) {
                if last == 'i'
                    && let Some(value) = call.args.get(at)
                {
                    walk.role(st, "scp", Role::Read, value, call.io, &mut tally);
                }
                at += 1;
            }
            continue;
        }
        operands.push(arg.clone());
    }
    let mut tally = Tally::default();
    copy(walk, st, call, &operands, &mut tally);
    Out::default()
}

pub(super) fn rsync(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut operands = Vec::new();
    let mut tally = Tally::default();
    let mut deletes = false;
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        let text = arg.text.as_str();
        if arg.starts_unknown() {
            walk.opaque("an argument of `rsync` is not known and may be an option");
        }
        if !text.starts_with('-') || text.len() < 2 {
            operands.push(arg.clone());
            continue;
        }
        let (name, attached) = text.split_once('=').unwrap_or((text, ""));
        let value = if attached.is_empty() {
            call.args.get(at).cloned()
        } else {
            Some(Val { text: attached.to_owned(), ..arg.clone() })
        };
        let mut taken = 0;
        match name {
            "--exclude" | "--include" | "--filter" | "-f" | "--bwlimit" | "--timeout"
            | "--port" | "--chmod" | "--chown" | "--max-size" | "--min-size" | "--info"
            | "--out-format" | "--compress-level" | "--usermap" | "--groupmap" | "-B"
            | "--block-size" | "--suffix" => taken = 1,
            "--exclude-from" | "--include-from" | "--files-from" | "--password-file"
            | "--compare-dest" => {
                if let Some(value) = &value {
                    walk.role(st, "rsync", Role::Read, value, call.io, &mut tally);
                }
                if name == "--files-from" {
                    walk.opaque("`rsync` copies what a file names");
                }
                taken = 1;
            }
            "--log-file" | "--backup-dir" | "--partial-dir" | "-T" | "--temp-dir"
            | "--link-dest" | "--copy-dest" | "--write-batch" => {
                if let Some(value) = &value {
                    walk.role(st, "rsync", Role::ReadWrite, value, call.io, &mut tally);
                }
                taken = 1;
            }
            "-e" | "--rsh" => {
                taken = 1;
                let plain = value.as_ref().is_some_and(|v| v.text == "ssh");
                if !plain {
                    walk.opaque("`rsync -e` runs a program");
                    if let Some(value) = &value {
                        let _ =
                            walk.shell_text(&mut st.clone(), value, &Io::default(), "`rsync -e`");
                    }
                }
            }
            "--rsync-path" | "-M" | "--remote-option" | "--daemon" | "--config"
            | "--read-batch" | "--sockopts" | "--address" | "--early-input" | "--copy-as" => {
                walk.opaque("an option of `rsync` runs or obeys something");
                taken = usize::from(name != "--daemon");
            }
            _ if name.starts_with("--") => {
                deletes |= name.starts_with("--del") || name == "--remove-source-files";
                const KNOWN: &[&str] = &[
                    "--archive",
                    "--verbose",
                    "--recursive",
                    "--delete",
                    "--delete-after",
                    "--delete-before",
                    "--delete-during",
                    "--delete-excluded",
                    "--dry-run",
                    "--progress",
                    "--partial",
                    "--compress",
                    "--checksum",
                    "--update",
                    "--links",
                    "--copy-links",
                    "--perms",
                    "--times",
                    "--owner",
                    "--group",
                    "--human-readable",
                    "--stats",
                    "--ignore-existing",
                    "--existing",
                    "--inplace",
                    "--quiet",
                    "--relative",
                    "--size-only",
                    "--itemize-changes",
                    "--hard-links",
                    "--xattrs",
                    "--acls",
                    "--sparse",
                    "--mkpath",
                    "--numeric-ids",
                    "--safe-links",
                    "--remove-source-files",
                    "--prune-empty-dirs",
                    "--one-file-system",
                    "--whole-file",
                    "--append",
                    "--no-perms",
                    "--no-owner",
                    "--no-group",
                    "--no-times",
                    "--version",
                    "--help",
                    "--cvs-exclude",
                    "--del",
                ];
                if !KNOWN.contains(&name) {
                    walk.opaque("an option of `rsync` is not known");
                }
            }
            _ => {
                // A cluster; `e`, `f`, `M`, `T` and `B` in it take a value.
                if name.ends_with('e') {
                    walk.opaque("`rsync -e` runs a program");
                }
                if name.contains(['M', 'e']) {
                    walk.opaque("an option of `rsync` runs something");
                }
                if name.ends_with(['e', 'f', 'M', 'T', 'B']) {
                    taken = 1;
                }
            }
        }
        if attached.is_empty() {
            at += taken;
        }
    }
    if deletes {
        for operand in &operands {
            if remote(&operand.text).is_none() {
                walk.role(st, "rsync", Role::Delete, operand, call.io, &mut tally);
            }
        }
    }
    let mut tally = Tally::default();
    copy(walk, st, call, &operands, &mut tally);
    Out::from(tally.reads)
}

pub(super) fn mail(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut recipients = Vec::new();
    let mut from = call.io.sources();
    let mut tally = Tally::default();
    let mut at = 0;
    while let Some(arg) = call.args.get(at) {
        at += 1;
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        match arg.text.as_str() {
            "-s" | "-r" | "-f" | "-F" => at += 1,
            "-a" | "-A" | "--attach" | "-i" => {
                if let Some(file) = call.args.get(at).filter(|f| !f.text.starts_with('-')) {
                    walk.role(st, call.name, Role::Read, file, call.io, &mut tally);
                }
            }
            text if text.starts_with('-') => {
                walk.opaque("an option of a mail program is not followed");
            }
            text if text.contains('@') => recipients.push(text.to_owned()),
            _ => {
                walk.role(st, call.name, Role::Read, arg, call.io, &mut tally);
            }
        }
    }
    merge(&mut from, &tally.reads);
    walk.effect(Effect::Send { channel: "mail".into(), recipients });
    walk.effect(Effect::Request { host: String::new(), port: Some(25), url: None, sends: true });
    walk.flow(&from, &Sink::Host(String::new()));
    Out::silent()
}

/// Clients whose command language is not followed: they can send what they can read.
pub(super) fn remote_any(walk: &mut Walk<'_>, st: &mut State, call: &Call<'_>) -> Out {
    let mut from = if call.io.piped { call.io.from.clone() } else { Vec::new() };
    let mut tally = Tally::default();
    let version = call
        .args
        .first()
        .is_some_and(|a| matches!(a.text.as_str(), "--version" | "--help" | "version" | "-V"));
    if version && call.args.len() == 1 {
        return Out::default();
    }
    let mut asked = false;
    for arg in call.args {
        walk.literal(&arg.text);
        merge(&mut from, &arg.from);
        if arg.text.contains("://") {
            walk.url(arg, true, &from.clone(), &mut tally);
            asked = true;
        } else if arg.text.starts_with(['/', '.', '~', '@']) || arg.text.contains("=@") {
            let text = arg.text.rsplit('@').next().unwrap_or("").to_owned();
            let file = Val { text, ..arg.clone() };
            if file.is_known() && file.text.contains(['/', '.']) {
                walk.role(st, call.name, Role::Read, &file, call.io, &mut tally);
            }
        }
    }
    merge(&mut from, &tally.reads);
    walk.opaque(&format!("`{}` talks to the network by its own commands", call.name));
    if !asked {
        walk.effect(Effect::Request { host: String::new(), port: None, url: None, sends: true });
    }
    walk.flow(&from, &Sink::Host(String::new()));
    merge(&mut from, &[Source::Host(String::new())]);
    Out::from(from)
}

pub(super) fn server(walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let port = call.args.iter().find_map(|a| a.text.parse().ok());
    walk.effect(Effect::Listen { port });
    walk.opaque(&format!("`{}` serves what its settings say", call.name));
    walk.unknown_program(call.name, call.args, call.io)
}
