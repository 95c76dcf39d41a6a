//! Archives, opened in memory and bounded: zip (also jar, skill, vsix, docx …), tar, gzip.
//!
//! Deliberately absent: xz, bzip2, 7z, rar. Their presence is a refusal ("could not look
//! inside"), because an installer that unpacks what the scanner cannot is a way around it.

use crate::tree::{MAX_FILES, Refusal, Tree};
use std::io::{Cursor, Read};

/// Office and font containers are zips of markup that no agent runs; their members are looked at
/// all the same.
pub(crate) fn is_archive(path: &str, bytes: &[u8]) -> bool {
    kind(path, bytes).is_some()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    Gzip,
    Closed(&'static str),
}

fn kind(path: &str, bytes: &[u8]) -> Option<Kind> {
    const MAGIC: &[(&[u8], Kind)] = &[
        (b"PK\x03\x04", Kind::Zip),
        (b"PK\x05\x06", Kind::Zip),
        (b"\x1f\x8b", Kind::Gzip),
        (b"\xfd7zXZ\0", Kind::Closed("xz")),
        (b"BZh", Kind::Closed("bzip2")),
        (b"7z\xbc\xaf\x27\x1c", Kind::Closed("7z")),
        (b"Rar!\x1a\x07", Kind::Closed("rar")),
        (b"\x28\xb5\x2f\xfd", Kind::Closed("zstd")),
        (b"xar!", Kind::Closed("xar package")),
        (b"MSCF", Kind::Closed("cabinet")),
    ];
    for (magic, kind) in MAGIC {
        if bytes.starts_with(magic) {
            return Some(*kind);
        }
    }
    if bytes.get(257..262) == Some(b"ustar") {
        return Some(Kind::Tar);
    }
    // A zip may be appended to anything (a polyglot): the end record tells.
    if path.ends_with(".zip") || has_zip_tail(bytes) {
        return Some(Kind::Zip);
    }
    None
}

/// An end-of-central-directory record near the end, pointing at entries.
fn has_zip_tail(bytes: &[u8]) -> bool {
    let from = bytes.len().saturating_sub(22 + 512);
    let Some(tail) = bytes.get(from..) else { return false };
    memchr_record(tail) && bytes.windows(4).take(bytes.len()).any(|w| w == b"PK\x01\x02")
}

fn memchr_record(tail: &[u8]) -> bool {
    tail.windows(4).any(|w| w == b"PK\x05\x06")
}

pub(crate) fn expand(tree: &mut Tree, path: &str, bytes: &[u8], nesting: usize) {
    match kind(path, bytes) {
        Some(Kind::Zip) => zip(tree, path, bytes, nesting),
        Some(Kind::Tar) => tar(tree, path, bytes, nesting),
        Some(Kind::Gzip) => gzip(tree, path, bytes, nesting),
        Some(Kind::Closed(name)) => {
            tree.refuse(path, Refusal::Archive(format!("{name} archives are not opened")));
        }
        None => {}
    }
}

fn zip(tree: &mut Tree, path: &str, bytes: &[u8], nesting: usize) {
    members(tree, path, bytes, nesting, &|raw| Some(member(path, raw)));
}

/// The members of a zip as a skill of its own: see [`Tree::add_members`].
pub(crate) fn unpack(tree: &mut Tree, path: &str, bytes: &[u8], inside: &str) {
    let clean = |name: &str| name.trim_start_matches("./").replace('\\', "/");
    let mut tops = std::collections::BTreeSet::new();
    // What cannot be opened is said below.
    if let Ok(archive) = ::zip::ZipArchive::new(Cursor::new(bytes)) {
        for name in archive.file_names().take(MAX_FILES) {
            let name = name.map(|name| clean(&name)).unwrap_or_default();
            tops.insert(name.split_once('/').map(|(top, _)| top.to_owned()));
        }
    }
    // A file beside the folder, or a second folder: then nothing is above the skill.
    let top = match tops.pop_first() {
        Some(Some(top)) if tops.is_empty() => format!("{top}/"),
        _ => String::new(),
    };
    let inside = match inside.trim_matches('/') {
        "" => top,
        inside => format!("{top}{inside}/"),
    };
    members(tree, path, bytes, 0, &|raw| clean(raw).strip_prefix(&inside).map(str::to_owned));
    if !tree.files.iter().any(|file| file.path.eq_ignore_ascii_case("SKILL.md")) {
        let why = "no SKILL.md is where the skill should be";
        tree.refuse(path, Refusal::Unreadable(why.into()));
    }
}

/// `named`: what a member is called; none when it is left out.
fn members(
    tree: &mut Tree,
    path: &str,
    bytes: &[u8],
    nesting: usize,
    named: &dyn Fn(&str) -> Option<String>,
) {
    let mut archive = match ::zip::ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => return tree.refuse(path, Refusal::Archive(error.to_string())),
    };
    if archive.len() > MAX_FILES {
        return tree.refuse(path, Refusal::TooMany);
    }
    for index in 0..archive.len() {
        let mut entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                tree.refuse(path, Refusal::Archive(error.to_string()));
                continue;
            }
        };
        if entry.is_dir() {
            continue;
        }
        let raw = match entry.name() {
            Ok(raw) => raw.into_owned(),
            Err(error) => {
                tree.refuse(path, Refusal::Archive(error.to_string()));
                continue;
            }
        };
        let Some(name) = named(&raw) else { continue };
        if escapes(&raw) {
            tree.refuse(name.clone(), Refusal::LinkOut);
        }
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        // The declared size is the attacker's: what counts is what comes out.
        match take(&mut entry, tree.room()) {
            Ok(Some(data)) => tree.add_nested(name, data, executable, nesting),
            Ok(None) => return tree.refuse(name, Refusal::TooLarge),
            Err(error) => tree.refuse(name, Refusal::Archive(error.to_string())),
        }
        if tree.files.len() >= MAX_FILES {
            return tree.refuse(path, Refusal::TooMany);
        }
    }
}

fn tar(tree: &mut Tree, path: &str, bytes: &[u8], nesting: usize) {
    let mut archive = ::tar::Archive::new(Cursor::new(bytes));
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => return tree.refuse(path, Refusal::Archive(error.to_string())),
    };
    for entry in entries {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => return tree.refuse(path, Refusal::Archive(error.to_string())),
        };
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let raw = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = member(path, &raw);
        if !kind.is_file() || escapes(&raw) {
            let outside = entry
                .link_name_bytes()
                .is_none_or(|target| escapes(&String::from_utf8_lossy(&target)));
            if outside || escapes(&raw) {
                tree.refuse(name.clone(), Refusal::LinkOut);
            }
            if !kind.is_file() {
                continue;
            }
        }
        let executable = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        match take(&mut entry, tree.room()) {
            Ok(Some(data)) => tree.add_nested(name, data, executable, nesting),
            Ok(None) => return tree.refuse(name, Refusal::TooLarge),
            Err(error) => return tree.refuse(name, Refusal::Archive(error.to_string())),
        }
        if tree.files.len() >= MAX_FILES {
            return tree.refuse(path, Refusal::TooMany);
        }
    }
}

fn gzip(tree: &mut Tree, path: &str, bytes: &[u8], nesting: usize) {
    let inner = path
        .strip_suffix(".tgz")
        .map(|stem| format!("{stem}.tar"))
        .or_else(|| path.strip_suffix(".gz").map(str::to_owned))
        .unwrap_or_else(|| format!("{path}.out"));
    let inner = inner.rsplit('/').next().unwrap_or("out").to_owned();
    match take(&mut flate2::read::MultiGzDecoder::new(bytes), tree.room()) {
        Ok(Some(data)) => tree.add_nested(member(path, &inner), data, false, nesting),
        Ok(None) => tree.refuse(path, Refusal::TooLarge),
        Err(error) => tree.refuse(path, Refusal::Archive(error.to_string())),
    }
}

/// Reads at most `room` bytes; `None` when there is more.
fn take(reader: &mut impl Read, room: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut data = Vec::new();
    reader.take(room.saturating_add(1)).read_to_end(&mut data)?;
    Ok((data.len() as u64 <= room).then_some(data))
}

fn member(path: &str, name: &str) -> String {
    format!("{path}!{}", name.trim_start_matches("./"))
}

fn escapes(name: &str) -> bool {
    name.starts_with(['/', '\\'])
        || name.get(1..2) == Some(":")
        || name.split(['/', '\\']).any(|part| part == "..")
}
