//! The writing side: one thread, group commit.

use super::chain::{self, GENESIS, Hash};
use super::{BATCH, CHECKPOINT_EVERY, LogKey, MAX_BODY, SCHEMA};
use rusqlite::{Connection, OpenFlags, params};
use seawall_model::event::Appended;
use seawall_model::{Event, EventLog, LogError, Plane, Severity};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Events that may wait for the disk. Beyond this an appender waits: nothing is dropped, because
/// what is not written is not allowed to happen.
const QUEUE: usize = 4096;

/// Rows after which what has gathered in the write-ahead log is moved into the database. A row
/// writes about six pages: this is close to SQLite's own default of 1,000.
const TIDY_EVERY: u64 = 160;

/// Pages of the write-ahead log at which the writer itself moves them, should the tidying thread
/// not keep up: 64 MiB.
const MOST_PAGES: u32 = 16_384;

/// The log cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// SQLite said no.
    #[error("event log `{path}`: {source}")]
    Sqlite {
        /// The database.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The signing key is missing or unfit.
    #[error("event log key: {0}")]
    Key(String),
    /// The newest row does not fit what is in the database.
    #[error(
        "event log `{path}`: row {seq} does not fit the chain; run `seawall events verify`, and move the file away to start a new log"
    )]
    Broken {
        /// The database.
        path: PathBuf,
        /// The row.
        seq: u64,
    },
}

/// An event and who waits for it.
type Waiting = (Box<Event>, oneshot::Sender<Result<u64, LogError>>);

enum Message {
    Append(Box<Event>, oneshot::Sender<Result<u64, LogError>>),
    Stop,
}

/// The open log. Dropping it writes a checkpoint and waits for the writer.
pub(crate) struct Store {
    queue: mpsc::Sender<Message>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens or creates the log.
    pub(crate) fn open(path: &Path, key: LogKey) -> Result<Self, StoreError> {
        let wrap = |source| StoreError::Sqlite { path: path.to_owned(), source };
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(wrap)?;
        // FULL: a commit returns when the write-ahead log is on the disk, not only in the kernel.
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
                 PRAGMA journal_size_limit = 16777216; PRAGMA cache_size = -512; PRAGMA busy_timeout = 2000;",
            )
            .and_then(|()| connection.execute_batch(SCHEMA))
            .and_then(|()| connection.pragma_update(None, "wal_autocheckpoint", MOST_PAGES))
            .map_err(wrap)?;
        let head = read_head(&connection, path)?;
        let (queue, receiver) = mpsc::channel(QUEUE);
        let tidy = Tidy::start(path)?;
        let tidied = head.seq;
        let writer = Writer { connection, key, head, signed: None, tidied, tidy };
        let writer = thread("event-log", move || writer.run(receiver))?;
        Ok(Self { queue, writer: Mutex::new(Some(writer)) })
    }

    /// Writes what is queued and a checkpoint, then closes. Later appends fail.
    pub(crate) fn close(&self) {
        let writer = self.writer.lock().ok().and_then(|mut slot| slot.take());
        if let Some(writer) = writer {
            let queue = self.queue.clone();
            // A thread of its own, because `blocking_send` may not be called inside a runtime.
            let _ = std::thread::spawn(move || {
                let _ = queue.blocking_send(Message::Stop);
                writer.join()
            })
            .join();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.close();
    }
}

impl EventLog for Store {
    fn append(&self, event: Event) -> Appended<'_> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            self.queue
                .send(Message::Append(Box::new(event), reply))
                .await
                .map_err(|_| LogError("the log is closed".into()))?;
            answer.await.map_err(|_| LogError("the log's writer is gone".into()))?
        })
    }
}

struct Head {
    seq: u64,
    hash: Hash,
}

fn read_head(connection: &Connection, path: &Path) -> Result<Head, StoreError> {
    let wrap = |source| StoreError::Sqlite { path: path.to_owned(), source };
    let mut statement = connection
        .prepare("SELECT seq, body, hash FROM events ORDER BY seq DESC LIMIT 2")
        .map_err(wrap)?;
    let rows: Vec<(u64, String, Vec<u8>)> = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?, row.get(2)?)))
        .and_then(Iterator::collect)
        .map_err(wrap)?;
    let Some((seq, body, hash)) = rows.first() else {
        return Ok(Head { seq: 0, hash: GENESIS });
    };
    let broken = || StoreError::Broken { path: path.to_owned(), seq: *seq };
    let hash: Hash = hash.as_slice().try_into().map_err(|_| broken())?;
    let prev: Hash = match rows.get(1) {
        Some((_, _, prev)) => prev.as_slice().try_into().map_err(|_| broken())?,
        None => GENESIS,
    };
    if chain::link(&prev, *seq, body.as_bytes()) != hash {
        return Err(broken());
    }
    Ok(Head { seq: *seq, hash })
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(work)
        .map_err(|e| StoreError::Key(format!("cannot start the thread `{name}` of the log: {e}")))
}

/// Moves what is committed from the write-ahead log into the database, on a connection of its own:
/// it waits for the disk several times, and no decision should wait with it.
struct Tidy {
    due: std::sync::mpsc::SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Tidy {
    fn start(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| StoreError::Sqlite { path: path.to_owned(), source })?;
        let (due, told) = std::sync::mpsc::sync_channel(1);
        let tidy = move || {
            for () in told {
                // PASSIVE waits for nobody and stops nobody. What it could not do is done the next
                // time, or by the writer.
                let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
                if let Err(e) = done {
                    tracing::warn!(error = %e, "the write-ahead log was not tidied");
                }
            }
        };
        let thread = thread("event-log-tidy", tidy)?;
        Ok(Self { due, thread })
    }

    fn end(self) {
        drop(self.due);
        let _ = self.thread.join();
    }
}

struct Writer {
    connection: Connection,
    key: LogKey,
    head: Head,
    /// Row of the newest checkpoint of this run.
    signed: Option<u64>,
    /// Newest row when the write-ahead log was tidied last.
    tidied: u64,
    tidy: Tidy,
}

impl Writer {
    fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(64);
        let mut stop = false;
        while !stop {
            match queue.blocking_recv() {
                Some(Message::Append(event, reply)) => batch.push((event, reply)),
                Some(Message::Stop) | None => stop = true,
            }
            while batch.len() < BATCH && !stop {
                match queue.try_recv() {
                    Ok(Message::Append(event, reply)) => batch.push((event, reply)),
                    Ok(Message::Stop) => stop = true,
                    Err(_) => break,
                }
            }
            if !batch.is_empty() {
                self.commit(&mut batch);
            }
            if self.head.seq >= self.tidied + TIDY_EVERY {
                self.tidied = self.head.seq;
                // Full: it has been told already.
                let _ = self.tidy.due.try_send(());
            }
            if stop && self.head.seq > self.signed.unwrap_or(0) {
                match checkpoint(&self.connection, &self.key, &self.head) {
                    Ok(()) => self.signed = Some(self.head.seq),
                    Err(e) => tracing::error!(error = %e, "checkpoint not written"),
                }
            }
        }
        self.tidy.end();
    }

    fn commit(&mut self, batch: &mut Vec<Waiting>) {
        let mut head = Head { seq: self.head.seq, hash: self.head.hash };
        let first = head.seq + 1;
        let written = self.write(batch.iter().map(|(event, _)| &**event), &mut head);
        match written {
            Ok(signed) => {
                self.head = head;
                if signed {
                    self.signed = Some(self.head.seq);
                }
                for (seq, (_, reply)) in (first..).zip(batch.drain(..)) {
                    let _ = reply.send(Ok(seq));
                }
            }
            Err(e) => {
                let error = LogError(e.to_string());
                tracing::error!(error = %e, "event log write failed");
                for (_, reply) in batch.drain(..) {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn write<'a>(
        &mut self,
        events: impl Iterator<Item = &'a Event>,
        head: &mut Head,
    ) -> Result<bool, rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events(seq,time_ms,plane,kind,severity,decision,agent_id,session_key,call_id,body,hash)
                 VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
            )?;
            for event in events {
                let body = body(event);
                head.seq += 1;
                head.hash = chain::link(&head.hash, head.seq, body.as_bytes());
                insert.execute(params![
                    head.seq.cast_signed(),
                    event.time_ms.cast_signed(),
                    event.plane.as_str(),
                    event.kind,
                    severity(event.severity),
                    event.decision,
                    event.agent_id,
                    event.session_key,
                    event.call_id,
                    body,
                    head.hash.as_slice(),
                ])?;
            }
        }
        // With the first events of a run: no moment at which it is killed leaves a log that nobody
        // signed. In the same commit as the events: the disk is waited for once.
        let due = self.signed.is_none_or(|at| head.seq >= at + CHECKPOINT_EVERY);
        if due {
            checkpoint(&transaction, &self.key, head)?;
        }
        transaction.commit().map(|()| due)
    }
}

/// Signs the head of the chain.
fn checkpoint(connection: &Connection, key: &LogKey, head: &Head) -> Result<(), rusqlite::Error> {
    let time_ms = crate::clock::now_ms();
    let signature = key.sign(head.seq, time_ms, &head.hash);
    connection
        .execute(
            "INSERT OR REPLACE INTO checkpoints(seq,time_ms,hash,key,signature) VALUES (?1,?2,?3,?4,?5)",
            params![
                head.seq.cast_signed(),
                time_ms.cast_signed(),
                head.hash.as_slice(),
                key.public().as_slice(),
                signature.as_slice()
            ],
        )
        .map(drop)
}

/// The event as the JSON that is stored and hashed.
fn body(event: &Event) -> String {
    match serde_json::to_string(event) {
        Ok(text) if text.len() <= MAX_BODY => text,
        oversized => {
            let size = oversized.map_or(0, |text| text.len());
            let mut short = event.clone();
            short.summary = short.summary.chars().take(512).collect();
            short.detail =
                serde_json::json!({ "omitted": "particulars were too long", "bytes": size });
            for field in [&mut short.agent_id, &mut short.session_key, &mut short.call_id] {
                *field = field.take().map(|text| text.chars().take(512).collect());
            }
            serde_json::to_string(&short).unwrap_or_else(|_| {
                format!(
                    r#"{{"timeMs":{},"plane":"{}","kind":"log.unserialisable","severity":"high","summary":""}}"#,
                    event.time_ms,
                    Plane::Log.as_str()
                )
            })
        }
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
        Severity::Critical => "critical",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Filter, Reader};
    use super::*;
    use std::sync::Arc;

    fn store(dir: &Path) -> Store {
        let key = LogKey::load_or_create(&dir.join("log.key")).unwrap();
        Store::open(&dir.join("events.db"), key).unwrap()
    }

    fn event(n: usize) -> Event {
        Event::new(n as u64, Plane::Engine, "decision", format!("event {n}"))
    }

    #[tokio::test]
    async fn appends_from_many_tasks_get_one_number_each() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(store(dir.path()));
        let tasks: Vec<_> = (0..200)
            .map(|n| {
                let log = Arc::clone(&log);
                tokio::spawn(async move { log.append(event(n)).await.unwrap() })
            })
            .collect();
        let mut numbers = Vec::new();
        for task in tasks {
            numbers.push(task.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        drop(log);
        let report = Reader::open(&dir.path().join("events.db")).unwrap().verify().unwrap();
        assert_eq!((report.rows, report.signed_to), (200, 200));
        assert_eq!(report.fault, None);
    }

    #[tokio::test]
    async fn a_log_that_is_killed_after_its_first_event_is_signed() {
        let dir = tempfile::tempdir().unwrap();
        let log = store(dir.path());
        log.append(event(1)).await.unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["events.db", "events.db-wal", "log.pub"] {
            std::fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let report = Reader::open(&copy.path().join("events.db")).unwrap().verify().unwrap();
        assert_eq!((report.signed_to, report.fault), (1, None));
    }

    #[tokio::test]
    async fn the_chain_goes_on_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..3 {
            let log = store(dir.path());
            assert_eq!(log.append(event(n)).await.unwrap(), n as u64 + 1);
        }
        assert_eq!(
            Reader::open(&dir.path().join("events.db")).unwrap().verify().unwrap().fault,
            None
        );
    }

    #[tokio::test]
    async fn a_changed_removed_or_reordered_row_is_found() {
        let tamper = [
            "UPDATE events SET body = replace(body, 'event 1', 'event 9') WHERE seq = 2",
            "UPDATE events SET decision = 'allow' WHERE seq = 2",
            "DELETE FROM events WHERE seq = 2",
            "DELETE FROM events WHERE seq = 4",
            "UPDATE events SET hash = zeroblob(32) WHERE seq = 3",
            "UPDATE checkpoints SET hash = zeroblob(32)",
            "UPDATE checkpoints SET key = zeroblob(32)",
            "DELETE FROM checkpoints",
        ];
        for statement in tamper {
            let dir = tempfile::tempdir().unwrap();
            let log = store(dir.path());
            for n in 0..4 {
                log.append(event(n)).await.unwrap();
            }
            drop(log);
            let path = dir.path().join("events.db");
            assert_eq!(Reader::open(&path).unwrap().verify().unwrap().fault, None);
            Connection::open(&path).unwrap().execute(statement, []).unwrap();
            let report = Reader::open(&path).unwrap().verify().unwrap();
            assert!(report.fault.is_some(), "not noticed: {statement}");
        }
    }

    #[tokio::test]
    async fn a_log_that_was_written_anew_by_somebody_else_is_found() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for dir in [&ours, &theirs] {
            let log = store(dir.path());
            log.append(event(1)).await.unwrap();
        }
        std::fs::copy(theirs.path().join("events.db"), ours.path().join("events.db")).unwrap();
        let report = Reader::open(&ours.path().join("events.db")).unwrap().verify().unwrap();
        assert!(report.fault.unwrap().contains("another key"));
    }

    #[tokio::test]
    async fn a_long_log_without_its_later_checkpoints_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(store(dir.path()));
        for n in 0..4 {
            let tasks: Vec<_> = (0..300)
                .map(|m| {
                    let log = Arc::clone(&log);
                    tokio::spawn(async move { log.append(event(n * 300 + m)).await.unwrap() })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
        drop(log);
        let path = dir.path().join("events.db");
        assert_eq!(Reader::open(&path).unwrap().verify().unwrap().fault, None);
        Connection::open(&path)
            .unwrap()
            .execute("DELETE FROM checkpoints WHERE seq > 300", [])
            .unwrap();
        assert!(
            Reader::open(&path).unwrap().verify().unwrap().fault.unwrap().contains("no checkpoint")
        );
    }

    #[tokio::test]
    async fn a_huge_event_is_stored_short() {
        let dir = tempfile::tempdir().unwrap();
        let log = store(dir.path());
        let huge = event(0).detail(serde_json::Value::String("x".repeat(1 << 20)));
        log.append(huge).await.unwrap();
        drop(log);
        let reader = Reader::open(&dir.path().join("events.db")).unwrap();
        let rows = reader.rows(&Filter::default(), 10).unwrap();
        assert!(rows[0].1.detail.to_string().contains("too long"));
        assert_eq!(reader.verify().unwrap().fault, None);
    }
}
