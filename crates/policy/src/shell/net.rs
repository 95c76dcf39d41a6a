//! Programs that talk to the network.

use super::curl::{answered, body_file};
use super::program::{Tally, split_port};
use super::special::Call;
use super::state::State;
use super::table::Role;
use super::value::{ANY, Val, merge};
use super::walk::{Io, Out, Walk, clip};
use super::{Sink, Source};
use seawall_model::Effect;

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

pub(super) fn server(walk: &mut Walk<'_>, _st: &mut State, call: &Call<'_>) -> Out {
    let port = call.args.iter().find_map(|a| a.text.parse().ok());
    walk.effect(Effect::Listen { port });
    walk.opaque(&format!("`{}` serves what its settings say", call.name));
    walk.unknown_program(call.name, call.args, call.io)
}
