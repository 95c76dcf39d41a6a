//! The file worker: file operations of OpenClaw's tools, inside the sandbox of a session.
//!
//! The plugin starts one per session by a ticket and keeps it; an operation is then one round
//! trip on a pipe instead of a new sandbox with a shell in it. The sandbox is the boundary. What
//! is checked here comes on top: a path stays within the mount that it names, whatever symbolic
//! links a tool run left or swaps meanwhile, and what OpenClaw calls read-only is not written.
//!
//! A message, both ways, is a 4-byte number that the answer repeats, two 4-byte lengths (all
//! big-endian), that many bytes of JSON, and that many bytes of data. The plugin speaks first
//! ([`Request::Hello`]), then one operation at a time.

mod ops;
mod paths;

use paths::{Mount, Mounts};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::PathBuf;

/// Version of these messages.
const VERSION: u32 = 1;

/// Longest JSON: a path or two, or the names in a folder.
const MAX_HEAD: usize = 16 * 1024 * 1024;

/// Most data of one operation; OpenClaw's tools work on text.
pub(crate) const MAX_DATA: usize = 64 * 1024 * 1024;

/// Most mounts that a session has (workspace, agent folder, skills, resources).
const MAX_MOUNTS: usize = 256;

/// What the plugin asks for. Paths are absolute, as seen inside the sandbox.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// First message.
    Hello { version: u32, mounts: Vec<MountSpec>, protected: Vec<PathBuf> },
    /// The canonical path, for locking; what does not exist is named under what does.
    Identity { path: PathBuf },
    /// Where a mutation of `path` would land, before it is authorised.
    Pin { path: PathBuf, directory: bool },
    /// Kind, size and time; `missing` when there is nothing.
    Stat { path: PathBuf },
    /// The bytes of a regular file.
    Read { path: PathBuf, max: Option<u64> },
    /// The names in a folder.
    List { path: PathBuf },
    /// Replaces or creates a file, atomically. With the data.
    Write { path: PathBuf, mkdir: bool, pinned: Option<PathBuf> },
    /// Creates a file that must not exist. With the data.
    Create { path: PathBuf, mkdir: bool, pinned: Option<PathBuf> },
    /// Creates a folder and those above it.
    Mkdir { path: PathBuf, pinned: Option<PathBuf> },
    /// Removes a file, a symbolic link, or a folder.
    Remove { path: PathBuf, recursive: bool, force: bool, pinned: Option<PathBuf> },
    /// Moves within the mounts.
    Rename { from: PathBuf, to: PathBuf },
    /// Copies a regular file.
    Copy { from: PathBuf, to: PathBuf, mkdir: bool, pinned: Option<PathBuf> },
}

/// A mount as the plugin names it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MountSpec {
    root: PathBuf,
    writable: bool,
}

/// What an operation brought, beside data.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_path: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtime_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entries: Option<Vec<Entry>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<bool>,
}

/// One name in a folder. A name that is not UTF-8 is shown with replacement characters.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    name: String,
    is_directory: bool,
    is_file: bool,
}

/// Why an operation was not done.
#[derive(Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}")]
pub(crate) struct OpError {
    /// `REFUSED`, or the name of an errno as Node writes it.
    code: &'static str,
    message: String,
}

impl OpError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { code: "REFUSED", message: message.into() }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Reply<'a> {
    Done { ok: bool, answer: &'a Answer },
    Failed { ok: bool, error: &'a OpError },
}

/// Serves until the input ends.
///
/// # Errors
/// When the input is not this protocol or the pipes break; the plugin then starts another worker.
pub(crate) fn serve(input: &mut impl Read, output: &mut impl Write) -> io::Result<()> {
    let Some((id, first, _)) = receive(input)? else { return Ok(()) };
    let mounts = match first {
        Request::Hello { version: VERSION, mounts, protected } if mounts.len() <= MAX_MOUNTS => {
            // A mount that is not there grants nothing.
            let list = mounts.into_iter().filter_map(|m| Mount::open(m.root, m.writable).ok());
            Mounts::new(list.collect(), protected)
        }
        _ => return Err(invalid("the first message is not a hello of this version")),
    };
    send(output, id, &Ok((Answer::default(), Vec::new())))?;
    while let Some((id, request, data)) = receive(input)? {
        send(output, id, &ops::run(&mounts, request, data))?;
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}

fn receive(input: &mut impl Read) -> io::Result<Option<(u32, Request, Vec<u8>)>> {
    let mut first = [0u8; 12];
    match input.read_exact(&mut first) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let [i, j, k, l, a, b, c, d, e, f, g, h] = first;
    let id = u32::from_be_bytes([i, j, k, l]);
    let head = u32::from_be_bytes([a, b, c, d]) as usize;
    let data = u32::from_be_bytes([e, f, g, h]) as usize;
    if head > MAX_HEAD || data > MAX_DATA {
        return Err(invalid("a message above the limit"));
    }
    let head = take(input, head)?;
    let data = take(input, data)?;
    let request = serde_json::from_slice(&head).map_err(|e| invalid(e.to_string()))?;
    Ok(Some((id, request, data)))
}

/// Grows with what arrives, so that a length alone allocates nothing.
fn take(input: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn send(
    output: &mut impl Write,
    id: u32,
    result: &Result<(Answer, Vec<u8>), OpError>,
) -> io::Result<()> {
    let (reply, data): (_, &[u8]) = match result {
        Ok((answer, data)) => (Reply::Done { ok: true, answer }, data),
        Err(error) => (Reply::Failed { ok: false, error }, &[]),
    };
    let head = serde_json::to_vec(&reply)?;
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| invalid("too long"));
    let mut message = Vec::with_capacity(head.len() + 12);
    message.extend_from_slice(&id.to_be_bytes());
    message.extend_from_slice(&length(&head)?.to_be_bytes());
    message.extend_from_slice(&length(data)?.to_be_bytes());
    message.extend_from_slice(&head);
    output.write_all(&message)?;
    output.write_all(data)?;
    output.flush()
}

#[cfg(test)]
mod tests;
