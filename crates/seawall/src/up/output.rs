//! What the gateway prints, kept in a file of bounded size.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Size at which the file is put aside as `.1`. A confined gateway can print without end; two
/// files of this size are what it can take of the disk.
const ROTATE_AT: u64 = 8 * 1024 * 1024;

/// Copies until the other end is closed. Runs on a thread of its own.
pub(super) fn keep(mut from: impl Read, path: PathBuf) -> io::Result<()> {
    let mut file = open(&path)?;
    let mut size = file.metadata()?.len();
    let mut buffer = vec![0u8; 8192];
    loop {
        let n = from.read(&mut buffer)?;
        let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else { return Ok(()) };
        if size > ROTATE_AT {
            std::fs::rename(&path, path.with_extension("out.1"))?;
            file = open(&path)?;
            size = 0;
        }
        file.write_all(part)?;
        size += part.len() as u64;
    }
}

fn open(path: &std::path::Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// The end of the file, for an error message. Control characters are dropped: the gateway chose
/// them.
pub(super) fn tail(path: &std::path::Path, lines: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let start = text.len().saturating_sub(16 * 1024);
    let text = String::from_utf8_lossy(text.get(start..).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    let from = all.len().saturating_sub(lines);
    let kept: Vec<String> = all
        .get(from..)
        .unwrap_or_default()
        .iter()
        .map(|line| line.chars().filter(|c| !c.is_control()).take(300).collect())
        .collect();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_bounded_and_its_tail_is_plain() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.out");
        keep(io::repeat(b'x').take(3 * ROTATE_AT), path.clone()).unwrap();
        let total: u64 = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .sum();
        assert!(total < 3 * ROTATE_AT);
        keep("one\n\u{1b}[31mtwo\n".as_bytes(), dir.path().join("b.out")).unwrap();
        assert_eq!(tail(&dir.path().join("b.out"), 1), "[31mtwo");
    }
}
