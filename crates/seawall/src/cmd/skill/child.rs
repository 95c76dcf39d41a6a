//! Scanning happens in a child that gets bytes on standard input and answers with a report on
//! standard output, and that nothing else can be got from: no environment, no file of the user's,
//! no network, no program to start, nothing to write ([`super::cell`]).
//!
//! The child reads the bytes and looks at nothing in them: that is done by a copy of it, one for each
//! skill, so that a skill that takes the scanner over answers for no other. A skill that crashes or
//! stalls the scanner is reported as not scanned; it never passes.

use super::cell::{self, Cell, Confinement};
use super::load::{Folder, Unread};
use seawall_scan::{Refusal, Report, Tree, scan};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, BufWriter, PipeReader, PipeWriter, Read as _, Write as _};
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest time for one skill. The gateway waits 10 s for an install decision.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8);

/// Longest answer: a report is bounded by the number and length of findings; this is ample.
const MAX_ANSWER: u64 = 16 << 20;

/// Longest header: names of [`seawall_scan::MAX_FILES`] files at their longest.
const MAX_HEADER: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    publisher: Option<String>,
    /// Path, length, executable.
    files: Vec<(String, u64, bool)>,
    unread: Vec<(String, Unread)>,
    /// The file is an archive that holds the skill, in this folder of it.
    #[serde(default)]
    archive: Option<String>,
}

/// The child did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    #[error("the scanner could not be started: {0}")]
    Start(std::io::Error),
    #[error("the scanner died while it read this skill")]
    Died,
    #[error("the scanner took longer than {} s", DEADLINE.as_secs())]
    Late,
    #[error(
        "the scanner cannot be confined in full here: {0}. Without --confined-only it scans all the same"
    )]
    Unconfined(String),
}

struct Running {
    cell: Cell,
    input: BufWriter<PipeWriter>,
    answers: Receiver<Option<String>>,
}

/// A running child, started again after a failure.
#[derive(Default)]
pub(crate) struct Scanner {
    running: Option<Running>,
    confined_only: bool,
}

impl Scanner {
    /// With `confined_only` it refuses to scan where the child cannot be confined in full.
    pub(crate) fn new(confined_only: bool) -> Self {
        Self { running: None, confined_only }
    }

    fn start(&mut self) -> Result<&mut Running, ScanError> {
        if self.running.is_none() {
            let (theirs, input) = std::io::pipe().map_err(ScanError::Start)?;
            let (output, ours) = std::io::pipe().map_err(ScanError::Start)?;
            let cell = Cell::start(theirs, ours).map_err(ScanError::Start)?;
            if let (true, Confinement::Partial(why)) = (self.confined_only, cell.confinement()) {
                return Err(ScanError::Unconfined(why.clone()));
            }
            self.running =
                Some(Running { cell, input: BufWriter::new(input), answers: read_answers(output) });
        }
        self.running.as_mut().ok_or(ScanError::Died)
    }

    /// What holds the child; known once it has scanned something.
    pub(crate) fn confinement(&self) -> Option<&Confinement> {
        self.running.as_ref().map(|r| r.cell.confinement())
    }

    /// Scans one skill.
    pub(crate) fn scan(&mut self, folder: &Folder) -> Result<Report, ScanError> {
        let answer = self.start().and_then(|running| running.exchange(folder));
        if answer.is_err() {
            // Dropping it kills it.
            self.running = None;
        }
        answer
    }
}

fn read_answers(output: PipeReader) -> Receiver<Option<String>> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(output);
        loop {
            let mut line = String::new();
            let ended = match (&mut reader).take(MAX_ANSWER + 1).read_line(&mut line) {
                Ok(0) | Err(_) => true,
                Ok(_) => false,
            };
            let sent = send.send(if ended { None } else { Some(line) });
            if ended || sent.is_err() {
                return;
            }
        }
    });
    receive
}

impl Running {
    fn exchange(&mut self, folder: &Folder) -> Result<Report, ScanError> {
        let header = Header {
            name: folder.name.clone(),
            publisher: None,
            files: folder
                .files
                .iter()
                .map(|f| (f.path.clone(), f.bytes.len() as u64, f.executable))
                .collect(),
            unread: folder.unread.clone(),
            archive: folder.archive.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|_| ScanError::Died)?;
        let (cell, input, answers) = (&mut self.cell, &mut self.input, &self.answers);
        std::thread::scope(|scope| {
            // A child that does not read must not hold us: it is killed when it is late, and the
            // write fails.
            let write = scope.spawn(move || -> std::io::Result<()> {
                writeln!(input, "{header}")?;
                for file in &folder.files {
                    input.write_all(&file.bytes)?;
                }
                input.flush()
            });
            let answer = answers.recv_timeout(DEADLINE);
            if !matches!(answer, Ok(Some(_))) {
                cell.kill();
            }
            if !matches!(write.join(), Ok(Ok(()))) && answer.is_ok() {
                return Err(ScanError::Died);
            }
            match answer {
                Ok(Some(line)) => serde_json::from_str(&line).map_err(|_| ScanError::Died),
                Ok(None) => Err(ScanError::Died),
                Err(_) => Err(ScanError::Late),
            }
        })
    }
}

/// The child's own main.
pub(crate) fn run() -> ExitCode {
    if cell::limit_self().is_err() {
        return ExitCode::from(3);
    }
    // Without this a copy that was taken over could write into what the next one is made of.
    if seawall_sandbox::harden().is_err() {
        return ExitCode::from(3);
    }
    // Read once, for all copies.
    let _ = seawall_scan::shipped();
    let mut input = BufReader::new(std::io::stdin().lock());
    let mut output = std::io::stdout().lock();
    loop {
        let mut line = String::new();
        match (&mut input).take(MAX_HEADER).read_line(&mut line) {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(_) => return ExitCode::from(3),
        }
        let Ok(header) = serde_json::from_str::<Header>(&line) else { return ExitCode::from(3) };
        let mut tree = Tree::new(header.name);
        tree.publisher = header.publisher;
        for (path, why) in header.unread {
            let why = match why {
                Unread::TooLarge => Refusal::TooLarge,
                Unread::TooMany => Refusal::TooMany,
                Unread::TooDeep => Refusal::TooDeep,
                Unread::LinkOut => Refusal::LinkOut,
                Unread::Special => Refusal::Special,
                Unread::Unreadable => Refusal::Unreadable("the system refused".into()),
            };
            tree.refuse(path, why);
        }
        let mut raw = Vec::with_capacity(header.files.len().min(10_000));
        for (path, length, executable) in header.files {
            let mut bytes = Vec::new();
            if (&mut input).take(length).read_to_end(&mut bytes).is_err()
                || bytes.len() as u64 != length
            {
                return ExitCode::from(3);
            }
            raw.push((path, bytes, executable));
        }
        let text = seawall_sandbox::apart(MAX_ANSWER, || {
            for (path, bytes, executable) in raw {
                match &header.archive {
                    Some(inside) => tree.add_members(&path, &bytes, inside),
                    None => tree.add(path, bytes, executable),
                }
            }
            serde_json::to_vec(&scan(&tree)).unwrap_or_default()
        });
        // One line is one answer: a second one would be taken for that of the next skill.
        let text = text.ok().and_then(|text| String::from_utf8(text).ok());
        let Some(text) = text.filter(|text| !text.is_empty() && !text.contains('\n')) else {
            return ExitCode::from(3);
        };
        if writeln!(output, "{text}").and_then(|()| output.flush()).is_err() {
            return ExitCode::from(3);
        }
    }
}
