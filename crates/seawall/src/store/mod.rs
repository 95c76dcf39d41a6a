//! The event log: an append-only, hash-chained table in SQLite.
//!
//! One thread owns the writing connection. Events that arrive while a commit waits for the disk
//! are committed together, so that the cost of the disk is shared and an appender still hears
//! "on disk" only when it is true (`synchronous = FULL`).
//!
//! Each row's hash covers its number, its body and the hash before it; signed checkpoints fix the
//! chain in time, so that a rewritten or shortened log does not verify. What the chain cannot
//! show is the loss of the newest rows after the last checkpoint by somebody who can write the
//! database: `seawall events verify` says up to where the signature reaches. Signatures count only
//! when they are by the key whose public half stands beside the log; keep a copy of that file
//! elsewhere to know that it is the same.

mod chain;
mod checkpoint;
mod query;
mod writer;

pub(crate) use checkpoint::LogKey;
pub(crate) use query::{Filter, Reader};
pub(crate) use writer::Store;

/// Rows after which the head is signed again. A signature costs a fraction of a commit.
const CHECKPOINT_EVERY: u64 = 256;

/// Most events in one commit, so that one commit stays well below the plugin's deadline.
const BATCH: usize = 512;

/// Most rows between two checkpoints, and behind the newest, in a log that nobody shortened or
/// wrote anew.
const MAX_UNSIGNED: u64 = CHECKPOINT_EVERY + BATCH as u64;

/// Largest body of one event in bytes. Particulars beyond this are replaced by a note: an
/// attacker chooses what ends up in them.
const MAX_BODY: usize = 64 * 1024;

/// The schema. `body` is the event as JSON and the only thing that is hashed; the other columns
/// repeat parts of it for queries and are checked against it by `verify`.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  plane TEXT NOT NULL,
  kind TEXT NOT NULL,
  severity TEXT NOT NULL,
  decision TEXT,
  agent_id TEXT,
  session_key TEXT,
  call_id TEXT,
  body TEXT NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_kind ON events(kind, seq);
CREATE INDEX IF NOT EXISTS events_session ON events(session_key, seq) WHERE session_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS events_call ON events(call_id) WHERE call_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS checkpoints (
  seq INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  hash BLOB NOT NULL,
  key BLOB NOT NULL,
  signature BLOB NOT NULL
) STRICT;
";
