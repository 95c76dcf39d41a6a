//! Scanning happens in a child that has no environment, no folder of its own, no network use and
//! nothing to write: it gets bytes on standard input and answers with a report on standard output.
//!
//! A skill that crashes or stalls the scanner takes the child with it, and is reported as not
//! scanned; it never passes.

use super::load::{Folder, Unread};
use seawall_scan::{Refusal, Report, Tree, scan};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longest time for one skill. The gateway waits 10 s for an install decision.
pub(crate) const DEADLINE: Duration = Duration::from_secs(8);

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
}

/// A running child, started again after a failure.
#[derive(Default)]
pub(crate) struct Scanner {
    child: Option<(Child, BufWriter<ChildStdin>, Receiver<Option<String>>)>,
}

impl Scanner {
    fn start(&mut self) -> Result<(), ScanError> {
        if self.child.is_some() {
            return Ok(());
        }
        let program = std::env::current_exe().map_err(ScanError::Start)?;
        let mut child = Command::new(program)
            .args(["skill", "scan-child"])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ScanError::Start)?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ScanError::Died);
        };
        let (send, receive) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            loop {
                let mut line = String::new();
                // A report is bounded by the number and length of findings; this is ample.
                let ended = match (&mut reader).take(16 << 20).read_line(&mut line) {
                    Ok(0) | Err(_) => true,
                    Ok(_) => false,
                };
                let sent = send.send(if ended { None } else { Some(line) });
                if ended || sent.is_err() {
                    return;
                }
            }
        });
        self.child = Some((child, BufWriter::new(stdin), receive));
        Ok(())
    }

    /// Scans one skill.
    pub(crate) fn scan(&mut self, folder: &Folder) -> Result<Report, ScanError> {
        self.start()?;
        let answer = self.exchange(folder);
        if answer.is_err() {
            self.stop();
        }
        answer
    }

    fn exchange(&mut self, folder: &Folder) -> Result<Report, ScanError> {
        let Some((_, stdin, answers)) = &mut self.child else { return Err(ScanError::Died) };
        let header = Header {
            name: folder.name.clone(),
            publisher: None,
            files: folder
                .files
                .iter()
                .map(|f| (f.path.clone(), f.bytes.len() as u64, f.executable))
                .collect(),
            unread: folder.unread.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|_| ScanError::Died)?;
        let write = |stdin: &mut BufWriter<ChildStdin>| -> std::io::Result<()> {
            writeln!(stdin, "{header}")?;
            for file in &folder.files {
                stdin.write_all(&file.bytes)?;
            }
            stdin.flush()
        };
        // The child reads everything before it looks at anything, so this cannot deadlock.
        write(stdin).map_err(|_| ScanError::Died)?;
        match answers.recv_timeout(DEADLINE) {
            Ok(Some(line)) => serde_json::from_str(&line).map_err(|_| ScanError::Died),
            Ok(None) => Err(ScanError::Died),
            Err(_) => Err(ScanError::Late),
        }
    }

    fn stop(&mut self) {
        if let Some((mut child, _, _)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        if let Some((mut child, stdin, _)) = self.child.take() {
            drop(stdin);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Takes away what the child could misuse, before it reads a byte.
fn confine() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    for (resource, value) in [
        // Bytes written to a file: none. Standard output is a pipe.
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nofile, 16),
        // Address space: thread stacks and mappings are far larger than what is used.
        (Resource::As, 2 << 30),
        (Resource::Cpu, 60),
    ] {
        let _ = setrlimit(resource, limit(value));
    }
}

/// The child's own main.
pub(crate) fn run() -> ExitCode {
    confine();
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
        for (path, bytes, executable) in raw {
            tree.add(path, bytes, executable);
        }
        let report = scan(&tree);
        let Ok(text) = serde_json::to_string(&report) else { return ExitCode::from(3) };
        if writeln!(output, "{text}").and_then(|()| output.flush()).is_err() {
            return ExitCode::from(3);
        }
    }
}
