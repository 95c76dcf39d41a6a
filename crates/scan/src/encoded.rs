//! Encoded strings anywhere in text.

use crate::text::blob;

/// Shortest run that can hold a command worth hiding.
const MIN: usize = 20;

/// Words that make decoded text a command.
const COMMANDS: &[&str] = &[
    "curl ",
    "wget ",
    "/bin/sh",
    "/bin/bash",
    "bash -",
    "sh -c",
    "powershell",
    "invoke-",
    "iex",
    "eval(",
    "exec(",
    "import os",
    "import socket",
    "subprocess",
    "child_process",
    "http://",
    "nc -",
    "/dev/tcp",
    "base64 -",
    "python -c",
    "osascript",
    "os.system",
    "certutil",
    "cmd /c",
];

/// The first encoded command in `text`: offset and what it decodes to.
pub(crate) fn command_in(text: &str) -> Option<(usize, String)> {
    for run in blob::runs(text, MIN) {
        let Some(raw) = text.get(run.at..run.end) else { continue };
        // Prose, identifiers and paths decode to noise or not at all; skip the cheap cases.
        if raw.len() > 200_000 || !raw.bytes().any(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        {
            continue;
        }
        for candidate in [raw.to_owned(), raw.chars().rev().collect::<String>()] {
            let Some(mut decoded) = blob::decode_any(&candidate) else { continue };
            // Encoded more than once.
            for _ in 0..3 {
                match blob::decode_any(decoded.trim()).filter(|d| d.len() > 8 && d.is_ascii()) {
                    Some(inner) => decoded = inner,
                    None => break,
                }
            }
            let lower = decoded.to_ascii_lowercase();
            let printable =
                decoded.chars().filter(|c| !c.is_control() || c.is_whitespace()).count() * 10
                    >= decoded.chars().count() * 9;
            if printable && COMMANDS.iter().any(|c| lower.contains(c)) {
                return Some((run.at, decoded));
            }
        }
    }
    None
}
