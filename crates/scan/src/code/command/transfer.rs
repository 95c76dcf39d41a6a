//! Programs that fetch and send: `curl`, `wget`, `scp`, `aws s3 cp`, `dig`.

use super::merge;
use crate::code::flow::Flow;
use crate::code::value::{Labels, Value};

/// A file whose content is sent; `-` and `.` are standard input.
fn given(flow: &mut Flow<'_>, line: u32, file: Option<&str>, stdin: &Value, data: &mut Value) {
    match file {
        Some("-" | ".") => data.taint(stdin),
        Some(path) if !path.is_empty() => {
            let read = flow.load(line, path);
            data.taint(&read);
            data.label(Labels::LOCAL_FILE, path);
        }
        _ => {}
    }
}

/// Single letters that take a value, for the programs that bundle them (`-sSLT FILE`, `-d@FILE`).
fn valued(program: &str) -> &'static str {
    match program {
        "curl" => "AbcCdDeEFhHKmoPQrtTuUwxXyYz",
        "wget" | "wget2" => "aeioOPtTwQUBDIARX",
        _ => "",
    }
}

/// Bundled short options written apart, each with its value as a word of its own.
fn spread(program: &str, rest: &[Value]) -> Vec<Value> {
    let letters = valued(program);
    let mut out = Vec::with_capacity(rest.len());
    for value in rest {
        let text = value.likely().unwrap_or("");
        let bundle = !letters.is_empty()
            && text.len() > 2
            && text.starts_with('-')
            && !text.starts_with("--")
            && text.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic);
        if !bundle {
            out.push(value.clone());
            continue;
        }
        for (at, letter) in text.char_indices().skip(1) {
            out.push(Value::text(format!("-{letter}")));
            let end = at + letter.len_utf8();
            if letters.contains(letter) {
                if end < text.len() {
                    out.push(value.map(|t| t.get(end..).map(str::to_owned)));
                }
                break;
            }
        }
    }
    out
}

/// curl, wget and their like.
pub(super) fn fetch(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
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
        "--url-query",
        "-c",
        "--cookie-jar",
        "-E",
        "-r",
        "-t",
        "-U",
        "-y",
        "-Y",
        "-z",
        "-Q",
    ];
    let mut data = Value::default();
    let mut upload = false;
    let mut output = None;
    let mut remote_name = false;
    let mut places: Vec<&Value> = Vec::new();
    let rest = spread(program, rest);
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
        let step = if inline { 1 } else { 2 };
        // One letter means another thing to each program.
        let short = option.len() == 2 && !option.starts_with("--");
        let wget = program.starts_with("wget");
        let takes = match (short, valued(program)) {
            (true, letters) if !letters.is_empty() => {
                option.chars().nth(1).is_some_and(|letter| letters.contains(letter))
            }
            _ => OTHER.contains(&option.as_str()),
        };
        if DATA.contains(&option.as_str()) && !(wget && short) {
            upload |= !matches!(option.as_str(), "-u" | "--user" | "-b" | "--cookie");
            let body = next.unwrap_or_default();
            data.taint(&body);
            let body_text = body.likely().unwrap_or("").to_owned();
            // `name=@file`, `name=<file`, `@file`.
            let file =
                body_text.rsplit_once('@').or_else(|| body_text.split_once("=<")).map(|(_, p)| {
                    p.trim_end_matches(['"', '\'']).split(';').next().unwrap_or("").to_owned()
                });
            let whole =
                matches!(option.as_str(), "-T" | "--upload-file" | "--post-file" | "--body-file");
            let file = if whole {
                Some(body_text)
            } else {
                file.filter(|_| option != "-u" && option != "--user")
            };
            given(flow, line, file.as_deref(), stdin, &mut data);
            at += step;
            continue;
        }
        // wget's `-o` is its log, curl's `-O` takes no name.
        let output_option = match option.as_str() {
            "-O" => program != "curl",
            "-o" => !wget,
            other => OUTPUT.contains(&other),
        };
        if output_option {
            output = next.as_ref().and_then(Value::likely).map(str::to_owned);
            at += step;
            continue;
        }
        remote_name |= program == "curl" && matches!(text, "-O" | "--remote-name" | "-J");
        if takes {
            if let Some(next) = &next {
                if matches!(option.as_str(), "-X" | "--request") {
                    upload |= next.likely().is_some_and(|m| matches!(m, "POST" | "PUT" | "PATCH"));
                } else {
                    data.taint(next);
                }
                // `-H @file`, `--url-query name@file`, `-K file`: what is in the file goes out.
                let named = next.likely().unwrap_or("");
                let file = match option.as_str() {
                    "-H" | "--header" => named.strip_prefix('@'),
                    "--url-query" => named.rsplit_once('@').map(|(_, file)| file),
                    "-K" | "--config" => Some(named),
                    _ => None,
                };
                let file = file.map(str::to_owned);
                given(flow, line, file.as_deref(), stdin, &mut data);
            }
            at += step;
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
    if matches!(program, "http" | "https" | "xh" | "xhs" | "httpie") {
        let items: Vec<String> =
            places.iter().filter_map(|p| p.likely()).map(str::to_owned).collect();
        for item in &items {
            upload |= item.contains('=') || item.contains('@') || item == "POST" || item == "PUT";
            // `name@file`, `name=@file`, `@file`.
            let file = item.rsplit_once('@').map(|(_, file)| file.to_owned());
            let file = file.filter(|_| !item.contains("://"));
            given(flow, line, file.as_deref(), stdin, &mut data);
        }
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

pub(super) fn transfer(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
    // `-i KEY` says who logs in: the key stays here.
    let own = |at: usize| {
        at > 0
            && rest
                .get(at - 1)
                .and_then(Value::likely)
                .is_some_and(|o| matches!(o, "-i" | "-F" | "-o"))
    };
    let rest: Vec<Value> = rest
        .iter()
        .enumerate()
        .filter(|(at, _)| !(matches!(program, "ssh" | "scp" | "sftp") && own(*at)))
        .map(|(_, v)| v.clone())
        .collect();
    let rest = rest.as_slice();
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
