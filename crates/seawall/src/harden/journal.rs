//! What was done, what it was done to, and how to undo it: written and durable before it is done.
//!
//! One folder for each run, private: `journal` (a line of JSON for each record, each with the hash
//! of the line before it) and `blobs` (bytes of files before and after, named by their hash). A last
//! line that is cut off was never written. Anything else that does not fit is damage, and damage
//! stops everything with its place.

use super::fault;
use super::files::{State, hash};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a run changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Unix time in milliseconds.
    pub(crate) at_ms: u64,
    /// What it is, for people: the profile, the findings.
    pub(crate) title: String,
    /// The configuration it is about.
    pub(crate) config: PathBuf,
    /// The state folder.
    pub(crate) state_dir: PathBuf,
    /// The SSH session it was made in, when a confirmation has to come from another one.
    #[serde(default)]
    pub(crate) session: Option<String>,
    /// Its steps, in order.
    pub(crate) steps: Vec<Step>,
}

/// One step: a path goes from one state to another, or a command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// A path.
    Path {
        /// Which, absolute.
        path: PathBuf,
        /// What it is.
        before: State,
        /// What it will be.
        after: State,
    },
    /// A command without a shell. It must be harmless to run twice.
    Command {
        /// Program and arguments.
        run: Vec<String>,
        /// What undoes it.
        undo: Vec<String>,
    },
}

/// A record of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Record {
    /// First: everything that is going to happen.
    Begin(Run),
    /// This step is about to be done.
    Doing(usize),
    /// It is done.
    Done(usize),
    /// All steps are done and checked. `confirm_by`: undone at that time unless confirmed.
    Committed {
        /// Unix time in milliseconds.
        confirm_by: Option<u64>,
    },
    /// Somebody who is still connected says that all is well.
    Confirmed,
    /// The run is being undone, and why.
    Undoing(String),
    /// It is undone, entirely.
    Undone,
    /// These could not be restored: they were changed by somebody else in between.
    Stuck(Vec<PathBuf>),
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was interrupted.
    Open,
    /// It is in force.
    InForce,
    /// It is in force until then, unless confirmed.
    Waiting(u64),
    /// It was undone.
    Undone,
    /// It could not be undone entirely.
    Stuck(Vec<PathBuf>),
}

/// The journal of one run.
pub(crate) struct Journal {
    dir: PathBuf,
    records: Vec<Record>,
    last: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    prev: String,
    record: Record,
}

impl Journal {
    /// Starts a journal with everything that a rollback needs, durable on return.
    pub(crate) fn begin(base: &Path, run: Run, blobs: &[Vec<u8>]) -> Result<Self, String> {
        let id = next_id(base, run.at_ms)?;
        let dir = base.join(&id);
        let say =
            |e: std::io::Error| format!("cannot write the journal in `{}`: {e}", dir.display());
        private_dir(&dir).map_err(say)?;
        private_dir(&dir.join("blobs")).map_err(say)?;
        for bytes in blobs {
            let path = dir.join("blobs").join(hash(bytes));
            if !path.exists() {
                let mut file = private_file(&path).map_err(say)?;
                file.write_all(bytes).and_then(|()| file.sync_all()).map_err(say)?;
                fault::point("kept bytes");
            }
        }
        sync_dir(&dir.join("blobs")).and_then(|()| sync_dir(&dir)).map_err(say)?;
        let mut journal = Self { dir, records: Vec::new(), last: String::new() };
        journal.add(Record::Begin(run))?;
        sync_dir(&journal.dir).and_then(|()| sync_dir(base)).map_err(|e| e.to_string())?;
        Ok(journal)
    }

    /// Adds a record; it is durable when this returns.
    pub(crate) fn add(&mut self, record: Record) -> Result<(), String> {
        let path = self.dir.join("journal");
        let say = |e: std::io::Error| format!("cannot write `{}`: {e}", path.display());
        let line = Line { prev: self.last.clone(), record };
        let mut text = serde_json::to_string(&line).map_err(|e| e.to_string())?;
        let own = hash(text.as_bytes());
        text.push('\n');
        let mut file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(say)?;
        let (first, rest) = text.as_bytes().split_at(text.len() / 2);
        file.write_all(first).map_err(say)?;
        fault::point("wrote half a record");
        file.write_all(rest).and_then(|()| file.sync_all()).map_err(say)?;
        fault::point("wrote a record");
        self.records.push(line.record);
        self.last = own;
        Ok(())
    }

    /// Reads a journal; a record that was cut off is taken away.
    pub(crate) fn open(dir: &Path) -> Result<Option<Self>, String> {
        let path = dir.join("journal");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(format!("cannot read `{}`: {e}", path.display())),
        };
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut journal = Self { dir: dir.to_owned(), records: Vec::new(), last: String::new() };
        for (at, line) in text.get(..whole).unwrap_or("").lines().enumerate() {
            let damaged = |why: &str| format!("{}:{}: {why}", path.display(), at + 1);
            let parsed: Line =
                serde_json::from_str(line).map_err(|_| damaged("the journal is damaged"))?;
            if parsed.prev != journal.last {
                return Err(damaged("the journal was changed: a record does not follow the last"));
            }
            journal.last = hash(line.as_bytes());
            journal.records.push(parsed.record);
        }
        if whole < text.len() {
            let file = OpenOptions::new().write(true).open(&path).map_err(|e| e.to_string())?;
            file.set_len(whole as u64).and_then(|()| file.sync_all()).map_err(|e| e.to_string())?;
        }
        // Without its first record nothing was done.
        Ok((!journal.records.is_empty()).then_some(journal))
    }

    /// All journals, oldest first.
    pub(crate) fn all(base: &Path) -> Result<Vec<Self>, String> {
        let entries = match fs::read_dir(base) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(format!("cannot read `{}`: {e}", base.display())),
        };
        let mut dirs: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.is_dir())
            .collect();
        dirs.sort();
        dirs.iter().filter_map(|dir| Self::open(dir).transpose()).collect()
    }

    /// The id under which people name it.
    pub(crate) fn id(&self) -> String {
        self.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// What it was to change.
    pub(crate) fn run(&self) -> Result<&Run, String> {
        match self.records.first() {
            Some(Record::Begin(run)) => Ok(run),
            _ => Err(format!("{}: the journal does not begin", self.dir.display())),
        }
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Standing {
        let mut standing = Standing::Open;
        for record in &self.records {
            match record {
                Record::Begin(_) | Record::Doing(_) | Record::Done(_) => {}
                Record::Committed { confirm_by: Some(by) } => standing = Standing::Waiting(*by),
                Record::Committed { confirm_by: None } | Record::Confirmed => {
                    standing = Standing::InForce;
                }
                Record::Undoing(_) => standing = Standing::Open,
                Record::Undone => standing = Standing::Undone,
                Record::Stuck(paths) => standing = Standing::Stuck(paths.clone()),
            }
        }
        standing
    }

    /// Whether a step may have been begun.
    pub(crate) fn touched(&self, step: usize) -> bool {
        self.records.contains(&Record::Doing(step))
    }

    /// Why it was undone, when it was.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.records.iter().rev().find_map(|record| match record {
            Record::Undoing(why) => Some(why.as_str()),
            _ => None,
        })
    }

    /// Kept bytes, checked against their name.
    pub(crate) fn blob(&self, name: &str) -> Result<Vec<u8>, String> {
        let path = self.dir.join("blobs").join(name);
        let bytes =
            fs::read(&path).map_err(|e| format!("cannot read `{}`: {e}", path.display()))?;
        if hash(&bytes) == name {
            Ok(bytes)
        } else {
            Err(format!("`{}` is damaged: it is not what was kept", path.display()))
        }
    }

    /// Takes the whole run off the disk.
    pub(crate) fn forget(self) -> Result<(), String> {
        fs::remove_dir_all(&self.dir).map_err(|e| format!("{}: {e}", self.dir.display()))
    }
}

/// Ids sort by time and are short enough to type: the day and a number.
fn next_id(base: &Path, at_ms: u64) -> Result<String, String> {
    let stamp = i64::try_from(at_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .ok_or("the clock is out of range")?;
    let day = stamp.strftime("%Y%m%d").to_string();
    let taken: Vec<String> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        // The lock lies beside them.
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .collect();
    (1..10_000)
        .map(|number| format!("{day}-{number:04}"))
        // After everything that is there: a clock that goes back must not turn the order around.
        .find(|id| taken.iter().all(|other| other < id))
        .or_else(|| {
            let last = taken.iter().max()?;
            let (day, number) = last.split_once('-')?;
            Some(format!("{day}-{:04}", number.parse::<u32>().ok()?.checked_add(1)?))
        })
        .ok_or_else(|| format!("no free id in `{}`", base.display()))
}

/// Makes a folder that only its owner can enter.
pub(crate) fn private_dir(dir: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}
