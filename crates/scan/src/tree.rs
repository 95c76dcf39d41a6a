//! What is scanned: a list of files in memory, and what the loader could not take.

use crate::archive;

/// Largest file that is read. A skill is text and small scripts; a larger file cannot be judged
/// in the time that an install may wait.
pub const MAX_FILE: u64 = 8 << 20;
/// Largest skill, all files and archive members together: keeps a scan under 80 MiB.
pub const MAX_TOTAL: u64 = 24 << 20;
/// Most files, archive members included. The largest skills seen hold some hundreds.
pub const MAX_FILES: usize = 4_000;
/// Deepest folder: longer chains only serve to exhaust a walker.
pub const MAX_DEPTH: usize = 24;
/// Archives inside archives.
pub const MAX_NESTING: usize = 4;
/// Longest path that is kept.
pub const MAX_PATH: usize = 1_024;

/// One file of a skill.
#[derive(Debug, Clone)]
pub struct File {
    /// Path inside the skill with `/`; `outer.zip!inner` for an archive member.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Has an executable bit.
    pub executable: bool,
}

/// Why something was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Larger than [`MAX_FILE`], or the whole larger than [`MAX_TOTAL`].
    TooLarge,
    /// More than [`MAX_FILES`].
    TooMany,
    /// Deeper than [`MAX_DEPTH`] folders or [`MAX_NESTING`] archives.
    TooDeep,
    /// A link that leads out of the skill.
    LinkOut,
    /// Not a file, folder or link.
    Special,
    /// An archive that is damaged, encrypted or of a kind that is not opened.
    Archive(String),
    /// The system did not let it be read.
    Unreadable(String),
}

/// A skill in memory.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Folder name or slug.
    pub name: String,
    /// Publisher, when the source tells.
    pub publisher: Option<String>,
    /// The files.
    pub files: Vec<File>,
    /// What could not be read, by path. Anything here means that the skill was not fully seen.
    pub refused: Vec<(String, Refusal)>,
    total: u64,
}

impl Tree {
    /// An empty tree.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// True when nothing more may be added.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.files.len() >= MAX_FILES || self.total >= MAX_TOTAL
    }

    /// Records what was not read, bounded.
    pub fn refuse(&mut self, path: impl Into<String>, why: Refusal) {
        if self.refused.len() < 100 {
            self.refused.push((clip(path.into()), why));
        }
    }

    /// Adds a file and, when it is an archive, its members.
    pub fn add(&mut self, path: impl Into<String>, bytes: Vec<u8>, executable: bool) {
        self.add_nested(path.into(), bytes, executable, 0);
    }

    /// Adds the members of a zip as the skill itself: those below its one top folder, if it has one
    /// and no `SKILL.md` beside it, and below `inside` in that.
    pub fn add_members(&mut self, path: &str, bytes: &[u8], inside: &str) {
        archive::unpack(self, path, bytes, inside);
    }

    pub(crate) fn add_nested(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        executable: bool,
        nesting: usize,
    ) {
        let path = clip(path);
        let size = bytes.len() as u64;
        if self.files.len() >= MAX_FILES {
            return self.refuse(path, Refusal::TooMany);
        }
        if size > MAX_FILE || self.total.saturating_add(size) > MAX_TOTAL {
            return self.refuse(path, Refusal::TooLarge);
        }
        self.total = self.total.saturating_add(size);
        if archive::is_archive(&path, &bytes) {
            if nesting >= MAX_NESTING {
                self.refuse(path.clone(), Refusal::TooDeep);
            } else {
                archive::expand(self, &path, &bytes, nesting + 1);
            }
        }
        self.files.push(File { path, bytes, executable });
    }

    /// Bytes that may still be added.
    pub(crate) fn room(&self) -> u64 {
        MAX_TOTAL.saturating_sub(self.total).min(MAX_FILE)
    }
}

fn clip(path: String) -> String {
    let path = path.replace('\\', "/");
    if path.len() <= MAX_PATH { path } else { path.chars().take(MAX_PATH / 4).collect() }
}
