//! An event log as a file of JSON lines.
//!
//! With [`Flush::Each`] an append is done when its line is on the disk; events that arrive while the disk
//! is busy are written together: one write and one flush for all of them. With [`Flush::Second`] it
//! is done when its line is in the file, which outlives the process but not the machine.

use seawall_model::event::Appended;
use seawall_model::{Event, EventLog, LogError};
use std::fs::{File, OpenOptions};
use std::future::Future;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// Events that wait for the disk. An append beyond it is refused, and with it what asked for it:
/// a disk that is this far behind is not one to let traffic out on.
const MAX_WAITING: usize = 65_536;

/// Events that share one flush; bounds the memory of a batch.
const MAX_BATCH: usize = 1024;

/// When an event counts as written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flush {
    /// Once it is on the disk.
    #[default]
    Each,
    /// Once it is in the file. The disk gets it within a second; if it does not take it, the next
    /// events are refused.
    Second,
}

/// An append-only file of events, one JSON object per line.
pub struct Journal {
    how: How,
}

enum How {
    Each(Arc<Queue>),
    Second(Arc<Mutex<Lines>>),
}

/// A lock whose holder panicked: what it guards is changed in single steps.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> LogError {
    LogError("its writer is gone".into())
}

impl Journal {
    /// Opens or makes the file, readable by its owner only, and starts its writer.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a file of lines.
    pub fn open(path: &Path, flush: Flush) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let (sequence, end) = recover(&mut file)?;
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        Self::start(Lines { file, sequence, end, unflushed: false, failed: None }, flush)
    }

    fn start(lines: Lines, flush: Flush) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("egress-journal".into());
        let how = match flush {
            Flush::Each => {
                let queue = Arc::<Queue>::default();
                let waiting = Arc::clone(&queue);
                thread.spawn(move || waiting.write_all(lines))?;
                How::Each(queue)
            }
            Flush::Second => {
                let second = lines.file.try_clone()?;
                let lines = Arc::new(Mutex::new(lines));
                let shared = Arc::downgrade(&lines);
                thread.spawn(move || {
                    while let Some(lines) = shared.upgrade() {
                        flush_lines(&lines, &second);
                        drop(lines);
                        std::thread::sleep(Duration::from_secs(1));
                    }
                })?;
                How::Second(lines)
            }
        };
        Ok(Self { how })
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        match &self.how {
            How::Each(queue) => {
                lock(&queue.state).closed = true;
                queue.told.notify_one();
            }
            How::Second(lines) => {
                let _ = lock(lines).file.sync_data();
            }
        }
    }
}

/// The file, open at its end.
struct Lines {
    file: File,
    sequence: u64,
    end: u64,
    unflushed: bool,
    /// Why the disk did not take what is in the file.
    failed: Option<LogError>,
}

impl Lines {
    /// All of it in the file, or none of it.
    fn write(&mut self, bytes: &[u8], flush: bool) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        let written = written.and_then(|()| if flush { self.file.sync_data() } else { Ok(()) });
        match written {
            Ok(()) => self.end += bytes.len() as u64,
            // If even this fails, the next start cuts the rest off.
            Err(_) => {
                let end = self.end;
                self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)))?;
            }
        }
        written
    }

    fn append(&mut self, line: &[u8]) -> Result<u64, LogError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        self.write(line, false).map_err(|e| LogError(e.to_string()))?;
        self.unflushed = true;
        self.sequence += 1;
        Ok(self.sequence)
    }
}

fn flush_lines(lines: &Mutex<Lines>, file: &File) {
    {
        let mut lines = lock(lines);
        if !std::mem::take(&mut lines.unflushed) {
            return;
        }
    }
    // Without the lock: appends go on meanwhile.
    let flushed = file.sync_data();
    let mut lines = lock(lines);
    lines.unflushed |= flushed.is_err();
    lines.failed = flushed.err().map(|e| LogError(e.to_string()));
}

struct Waiting {
    line: Vec<u8>,
    done: oneshot::Sender<Result<u64, LogError>>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    /// The writer sleeps.
    idle: bool,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    told: Condvar,
}

impl Queue {
    fn push(&self, line: Vec<u8>) -> Result<oneshot::Receiver<Result<u64, LogError>>, LogError> {
        let (done, wait) = oneshot::channel();
        let mut state = lock(&self.state);
        if state.closed {
            return Err(gone());
        }
        if state.waiting.len() >= MAX_WAITING {
            return Err(LogError("too many events wait for the disk".into()));
        }
        state.waiting.push(Waiting { line, done });
        Ok(wait)
    }

    fn tell(&self) {
        if std::mem::take(&mut lock(&self.state).idle) {
            self.told.notify_one();
        }
    }

    fn next(&self, batch: &mut Vec<Waiting>) -> bool {
        let mut state = lock(&self.state);
        while state.waiting.is_empty() {
            if state.closed {
                return false;
            }
            state.idle = true;
            state = self.told.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        let n = state.waiting.len().min(MAX_BATCH);
        batch.extend(state.waiting.drain(..n));
        true
    }

    fn write_all(&self, mut lines: Lines) {
        /// Nobody waits for a writer that is gone.
        struct Closes<'a>(&'a Queue);
        impl Drop for Closes<'_> {
            fn drop(&mut self) {
                let mut state = lock(&self.0.state);
                state.closed = true;
                state.waiting.clear();
            }
        }
        let _closes = Closes(self);
        let mut batch: Vec<Waiting> = Vec::new();
        let mut bytes: Vec<u8> = Vec::new();
        while self.next(&mut batch) {
            bytes.clear();
            for entry in &batch {
                bytes.extend_from_slice(&entry.line);
            }
            match lines.write(&bytes, true) {
                Ok(()) => {
                    for entry in batch.drain(..) {
                        lines.sequence += 1;
                        let _ = entry.done.send(Ok(lines.sequence));
                    }
                }
                Err(e) => {
                    let error = LogError(e.to_string());
                    for entry in batch.drain(..) {
                        let _ = entry.done.send(Err(error.clone()));
                    }
                }
            }
        }
    }
}

/// An event that is queued. The writer is told when it is first waited for, so that events that
/// are queued at once share a flush.
struct Queued<'a> {
    queue: &'a Queue,
    wait: oneshot::Receiver<Result<u64, LogError>>,
    told: bool,
}

impl Future for Queued<'_> {
    type Output = Result<u64, LogError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.told, true) {
            self.queue.tell();
        }
        Pin::new(&mut self.wait).poll(cx).map(|done| done.unwrap_or_else(|_| Err(gone())))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        // Whoever waited is gone; the event is not.
        if !self.told {
            self.queue.tell();
        }
    }
}

/// Counts the lines and cuts off a last one that a crash left incomplete: it was never
/// acknowledged. Leaves the file at its end, and gives the number of lines and that end.
fn recover(file: &mut File) -> io::Result<(u64, u64)> {
    let (mut lines, mut whole, mut at) = (0u64, 0u64, 0u64);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = file.read(&mut buffer)?;
        let read = buffer.get(..n).unwrap_or_default();
        if read.is_empty() {
            break;
        }
        for newline in memchr::memchr_iter(b'\n', read) {
            lines += 1;
            whole = at + newline as u64 + 1;
        }
        at += n as u64;
    }
    if whole < at {
        file.set_len(whole)?;
        file.sync_data()?;
    }
    file.seek(SeekFrom::Start(whole))?;
    Ok((lines, whole))
}

impl EventLog for Journal {
    fn append(&self, event: Event) -> Appended<'_> {
        let line = serde_json::to_vec(&event).map_err(|e| LogError(e.to_string()));
        let line = line.map(|mut line| {
            line.push(b'\n');
            line
        });
        match &self.how {
            How::Second(lines) => {
                Box::pin(std::future::ready(line.and_then(|line| lock(lines).append(&line))))
            }
            How::Each(queue) => match line.and_then(|line| queue.push(line)) {
                Ok(wait) => Box::pin(Queued { queue, wait, told: false }),
                Err(e) => Box::pin(std::future::ready(Err(e))),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::Plane;

    fn event(n: u64) -> Event {
        Event::new(n, Plane::Egress, "test", format!("line {n}\nof two"))
    }

    fn full(flush: Flush) -> Journal {
        // Every write to this device fails with ENOSPC.
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let lines = Lines { file, sequence: 0, end: 0, unflushed: false, failed: None };
        Journal::start(lines, flush).unwrap()
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_in_the_file() {
        for flush in [Flush::Each, Flush::Second] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.jsonl");
            let journal = Journal::open(&path, flush).unwrap();
            let appends = (1..=50).map(|n| journal.append(event(n)));
            let numbers = futures_util::future::join_all(appends).await;
            assert_eq!(numbers.last(), Some(&Ok(50)));
            let text = std::fs::read_to_string(&path).unwrap();
            let events: Vec<Event> =
                text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
            assert_eq!(events.len(), 50);
        }
    }

    #[tokio::test]
    async fn what_nobody_waited_for_is_in_the_file_before_what_somebody_did() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::open(&path, Flush::Each).unwrap();
        drop(journal.append(event(1)));
        let forgotten = journal.append(event(2));
        assert_eq!(journal.append(event(3)).await, Ok(3));
        drop(forgotten);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_gone_and_the_numbers_go_on() {
        for flush in [Flush::Each, Flush::Second] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.jsonl");
            std::fs::write(&path, "{}\n{\"timeMs\":").unwrap();
            let journal = Journal::open(&path, flush).unwrap();
            assert_eq!(journal.append(event(1)).await, Ok(2));
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().count(), 2);
            assert!(text.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
        }
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_append() {
        for flush in [Flush::Each, Flush::Second] {
            assert!(full(flush).append(event(1)).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_disk_that_did_not_take_the_last_events_refuses_the_next() {
        let folder = tempfile::tempdir().unwrap();
        // Without the thread that flushes: what it does is done here.
        let file = File::create(folder.path().join("events.jsonl")).unwrap();
        let lines = Lines { file, sequence: 0, end: 0, unflushed: false, failed: None };
        let lines = &Arc::new(Mutex::new(lines));
        let journal = Journal { how: How::Second(Arc::clone(lines)) };
        assert_eq!(journal.append(event(1)).await, Ok(1));
        // A flush of this fails with EINVAL.
        let (pipe, _other) = std::io::pipe().unwrap();
        flush_lines(lines, &File::from(std::os::fd::OwnedFd::from(pipe)));
        assert!(journal.append(event(2)).await.is_err());
        let file = lock(lines).file.try_clone().unwrap();
        flush_lines(lines, &file);
        assert_eq!(journal.append(event(3)).await, Ok(2));
    }
}
