//! Programs that fetch and send: `curl`, `wget`, `scp`, `aws s3 cp`, `dig`.

use super::merge;
use crate::code::flow::Flow;
use crate::code::value::{Labels, Value};

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

pub(super) fn transfer(
    flow: &mut Flow<'_>,
    program: &str,
    rest: &[Value],
    stdin: &Value,
    line: u32,
) -> Value {
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
