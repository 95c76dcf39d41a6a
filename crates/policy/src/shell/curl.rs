//! `curl`: what it sends, where to, and which files it reads and writes.

use super::Source;
use super::program::Tally;
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{ANY, Val, merge};
use super::walk::{Out, Walk, clip};
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

pub(super) fn body_file(
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
pub(super) fn answered(walk: &mut Walk<'_>, call: &Call<'_>, tally: Tally) -> Out {
    let _ = call;
    let mut from: Vec<Source> = tally.hosts.iter().map(|h| Source::Host(h.clone())).collect();
    merge(&mut from, &tally.reads);
    merge(&mut from, &tally.args);
    for sink in &tally.writes {
        walk.flow(&from, sink);
    }
    Out::from(from)
}
