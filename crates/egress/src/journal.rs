//! An event log as a file of JSON lines, each on disk before its append is done.
//!
//! Events that arrive while the disk is busy are written together: one write and one flush for
//! all of them.

use seawall_model::event::Appended;
use seawall_model::{Event, EventLog, LogError};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use tokio::sync::oneshot;

/// Events that wait for the disk. An append beyond it is refused, and with it what asked for it:
/// a disk that is this far behind is not one to let traffic out on.
const MAX_WAITING: usize = 65_536;

/// Events that share one flush; bounds the memory of a batch.
const MAX_BATCH: usize = 1024;

struct Waiting {
    line: Vec<u8>,
    done: oneshot::Sender<Result<u64, LogError>>,
}

/// An append-only file of events, one JSON object per line.
pub struct Journal {
    queue: Mutex<SyncSender<Waiting>>,
}

impl Journal {
    /// Opens or makes the file, readable by its owner only, and starts its writer.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a file of lines.
    pub fn open(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let sequence = recover(&mut file)?;
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            File::open(folder)?.sync_all()?;
        }
        let (queue, waiting) = sync_channel(MAX_WAITING);
        std::thread::Builder::new()
            .name("egress-journal".into())
            .spawn(move || write_all(file, sequence, &waiting))?;
        Ok(Self { queue: Mutex::new(queue) })
    }
}

/// Counts the lines and cuts off a last one that a crash left incomplete: it was never
/// acknowledged. Leaves the file at its end.
fn recover(file: &mut File) -> io::Result<u64> {
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
    Ok(lines)
}

fn write_all(mut file: File, mut sequence: u64, waiting: &Receiver<Waiting>) {
    let mut batch: Vec<Waiting> = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    while let Ok(first) = waiting.recv() {
        batch.push(first);
        while batch.len() < MAX_BATCH
            && let Ok(next) = waiting.try_recv()
        {
            batch.push(next);
        }
        bytes.clear();
        for entry in &batch {
            bytes.extend_from_slice(&entry.line);
        }
        match append(&mut file, &bytes) {
            Ok(()) => {
                for entry in batch.drain(..) {
                    sequence += 1;
                    let _ = entry.done.send(Ok(sequence));
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

/// All of it on disk, or none of it in the file.
fn append(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    let start = file.stream_position()?;
    let result = file.write_all(bytes).and_then(|()| file.sync_data());
    if result.is_err() {
        // If even this fails, the next start cuts the rest off.
        file.set_len(start).and_then(|()| file.seek(SeekFrom::Start(start)))?;
    }
    result
}

impl EventLog for Journal {
    fn append(&self, event: Event) -> Appended<'_> {
        let enqueued =
            serde_json::to_vec(&event).map_err(|e| LogError(e.to_string())).and_then(|mut line| {
                line.push(b'\n');
                let (done, wait) = oneshot::channel();
                let queue = self.queue.lock().map_err(|_| LogError("its writer is gone".into()))?;
                queue.try_send(Waiting { line, done }).map_err(|e| match e {
                    TrySendError::Full(_) => LogError("too many events wait for the disk".into()),
                    TrySendError::Disconnected(_) => LogError("its writer is gone".into()),
                })?;
                Ok(wait)
            });
        Box::pin(async move {
            match enqueued {
                Ok(wait) => {
                    wait.await.unwrap_or_else(|_| Err(LogError("its writer is gone".into())))
                }
                Err(e) => Err(e),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::Plane;

    fn event(n: u64) -> Event {
        Event::new(n, Plane::Egress, "test", format!("line {n}\nof two"))
    }

    #[tokio::test]
    async fn what_was_acknowledged_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let journal = Journal::open(&path).unwrap();
        let appends = (1..=50).map(|n| journal.append(event(n)));
        let numbers = futures_util::future::join_all(appends).await;
        assert_eq!(numbers.last(), Some(&Ok(50)));
        let text = std::fs::read_to_string(&path).unwrap();
        let events: Vec<Event> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(events.len(), 50);
    }

    #[tokio::test]
    async fn a_line_that_a_crash_cut_is_gone_and_the_numbers_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        std::fs::write(&path, "{}\n{\"timeMs\":").unwrap();
        let journal = Journal::open(&path).unwrap();
        assert_eq!(journal.append(event(1)).await, Ok(2));
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|l| serde_json::from_str::<serde_json::Value>(l).is_ok()));
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_append() {
        // Every write to this device fails with ENOSPC.
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (queue, waiting) = sync_channel(8);
        std::thread::spawn(move || write_all(file, 0, &waiting));
        let journal = Journal { queue: Mutex::new(queue) };
        assert!(journal.append(event(1)).await.is_err());
    }
}
