//! The reading side: queries and verification, on a connection that cannot write.

use super::MAX_UNSIGNED;
use super::chain::{self, GENESIS, Hash};
use super::checkpoint;
use rusqlite::{Connection, OpenFlags, types::Value};
use seawall_model::Event;
use std::path::{Path, PathBuf};

/// Which events to return. An absent field matches all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Only events behind this number.
    pub(crate) after: Option<u64>,
    /// Plane, exactly.
    pub(crate) plane: Option<String>,
    /// Kind, exactly or as a prefix that ends in a dot.
    pub(crate) kind: Option<String>,
    /// Decision, exactly.
    pub(crate) decision: Option<String>,
    /// Session key, exactly.
    pub(crate) session: Option<String>,
    /// Call id, exactly.
    pub(crate) call: Option<String>,
    /// Only events at or after this time (Unix milliseconds).
    pub(crate) since_ms: Option<u64>,
    /// Newest first instead of oldest first.
    pub(crate) newest_first: bool,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Verification {
    /// Rows that were read.
    pub(crate) rows: u64,
    /// Newest row that a signed checkpoint covers.
    pub(crate) signed_to: u64,
    /// The first thing that is wrong.
    pub(crate) fault: Option<String>,
}

/// A read-only view of the log.
pub(crate) struct Reader {
    connection: Connection,
    path: PathBuf,
    /// Public half of the log's key, from the file beside the log.
    key: Option<Vec<u8>>,
}

impl Reader {
    /// Opens an existing log.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|e| format!("cannot open the event log `{}`: {e}", path.display()))?;
        connection
            .execute_batch("PRAGMA query_only = ON; PRAGMA busy_timeout = 2000;")
            .map_err(|e| e.to_string())?;
        let key = std::fs::read_to_string(path.with_file_name("log.pub")).ok();
        let key = key.and_then(|text| hex::decode(text.trim()).ok());
        Ok(Self { connection, path: path.to_owned(), key })
    }

    /// Events that match, with their numbers.
    pub(crate) fn rows(&self, filter: &Filter, limit: u32) -> Result<Vec<(u64, Event)>, String> {
        let mut wheres = vec!["seq > ?"];
        let mut values: Vec<Value> = vec![Value::Integer(filter.after.unwrap_or(0).cast_signed())];
        for (clause, value) in [
            ("plane = ?", &filter.plane),
            ("decision = ?", &filter.decision),
            ("session_key = ?", &filter.session),
            ("call_id = ?", &filter.call),
        ] {
            if let Some(value) = value {
                wheres.push(clause);
                values.push(Value::Text(value.clone()));
            }
        }
        if let Some(kind) = &filter.kind {
            if kind.ends_with('.') {
                wheres.push("substr(kind, 1, length(?)) = ?");
                values.push(Value::Text(kind.clone()));
            } else {
                wheres.push("kind = ?");
            }
            values.push(Value::Text(kind.clone()));
        }
        if let Some(since) = filter.since_ms {
            wheres.push("time_ms >= ?");
            values.push(Value::Integer(since.cast_signed()));
        }
        values.push(Value::Integer(i64::from(limit)));
        let order = if filter.newest_first { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT seq, body FROM events WHERE {} ORDER BY seq {order} LIMIT ?",
            wheres.join(" AND ")
        );
        let mut statement = self.connection.prepare(&sql).map_err(|e| self.say(&e))?;
        let rows = statement
            .query_map(rusqlite::params_from_iter(values), |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, String>(1)?))
            })
            .map_err(|e| self.say(&e))?;
        let mut out = Vec::new();
        for row in rows {
            let (seq, body) = row.map_err(|e| self.say(&e))?;
            let event = serde_json::from_str(&body).map_err(|e| {
                format!("row {seq} of `{}` is not an event: {e}", self.path.display())
            })?;
            out.push((seq, event));
        }
        Ok(out)
    }

    /// Number of the newest event; 0 when there is none.
    pub(crate) fn head(&self) -> Result<u64, String> {
        self.connection
            .query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
            .map_err(|e| self.say(&e))
    }

    /// Walks the whole chain and all checkpoints.
    pub(crate) fn verify(&self) -> Result<Verification, String> {
        let mut report = Verification { rows: 0, signed_to: 0, fault: None };
        let mut checkpoints = self.checkpoints()?.into_iter().peekable();
        let mut prev: Hash = GENESIS;
        let mut statement = self
            .connection
            .prepare(
                "SELECT seq, body, hash, plane, kind, decision, agent_id, session_key, call_id, time_ms
                 FROM events ORDER BY seq",
            )
            .map_err(|e| self.say(&e))?;
        let mut rows = statement.query([]).map_err(|e| self.say(&e))?;
        while let Some(row) = rows.next().map_err(|e| self.say(&e))? {
            let seq = row.get::<_, i64>(0).map_err(|e| self.say(&e))?.unsigned_abs();
            let body: String = row.get(1).map_err(|e| self.say(&e))?;
            let hash: Vec<u8> = row.get(2).map_err(|e| self.say(&e))?;
            if seq != report.rows + 1 {
                report.fault = Some(format!("row {} is missing", report.rows + 1));
                return Ok(report);
            }
            let expected = chain::link(&prev, seq, body.as_bytes());
            if hash != expected {
                report.fault = Some(format!("row {seq} was changed: its hash does not fit"));
                return Ok(report);
            }
            if !self.columns_match(row, &body).map_err(|e| self.say(&e))? {
                report.fault =
                    Some(format!("row {seq} was changed: its columns do not fit its body"));
                return Ok(report);
            }
            prev = expected;
            report.rows = seq;
            if seq > report.signed_to.saturating_add(MAX_UNSIGNED) {
                report.fault = Some(format!(
                    "no checkpoint after row {}, where one must be",
                    report.signed_to
                ));
                return Ok(report);
            }
            while let Some(point) = checkpoints.next_if(|point| point.seq == seq) {
                if self.key.as_deref() != Some(point.key.as_slice()) {
                    report.fault = Some(format!(
                        "the checkpoint at row {seq} is signed by another key than the one in `log.pub`"
                    ));
                    return Ok(report);
                }
                if point.hash != expected
                    || !checkpoint::verify(
                        &point.key,
                        seq,
                        point.time_ms,
                        &expected,
                        &point.signature,
                    )
                {
                    report.fault = Some(format!("the checkpoint at row {seq} does not fit"));
                    return Ok(report);
                }
                report.signed_to = seq;
            }
        }
        if report.rows > 0 && report.signed_to == 0 && report.fault.is_none() {
            report.fault = Some("no row is signed".into());
        }
        if let Some(point) = checkpoints.next() {
            report.fault = Some(format!(
                "the log ends at row {}, but a checkpoint was signed at row {}: rows were removed",
                report.rows, point.seq
            ));
        }
        Ok(report)
    }

    fn columns_match(&self, row: &rusqlite::Row<'_>, body: &str) -> Result<bool, rusqlite::Error> {
        let Ok(event) = serde_json::from_str::<Event>(body) else { return Ok(false) };
        Ok(row.get::<_, String>(3)? == event.plane.as_str()
            && row.get::<_, String>(4)? == event.kind
            && row.get::<_, Option<String>>(5)? == event.decision
            && row.get::<_, i64>(9)?.unsigned_abs() == event.time_ms
            // Names that were cut in the body may be longer in their column.
            && begins(row.get(6)?, event.agent_id)
            && begins(row.get(7)?, event.session_key)
            && begins(row.get(8)?, event.call_id))
    }

    fn checkpoints(&self) -> Result<Vec<Checkpoint>, String> {
        let mut statement = self
            .connection
            .prepare("SELECT seq, time_ms, hash, key, signature FROM checkpoints ORDER BY seq")
            .map_err(|e| self.say(&e))?;
        statement
            .query_map([], |row| {
                Ok(Checkpoint {
                    seq: row.get::<_, i64>(0)?.unsigned_abs(),
                    time_ms: row.get::<_, i64>(1)?.unsigned_abs(),
                    hash: row.get(2)?,
                    key: row.get(3)?,
                    signature: row.get(4)?,
                })
            })
            .and_then(Iterator::collect)
            .map_err(|e| self.say(&e))
    }

    fn say(&self, error: &rusqlite::Error) -> String {
        format!("event log `{}`: {error}", self.path.display())
    }
}

struct Checkpoint {
    seq: u64,
    time_ms: u64,
    hash: Vec<u8>,
    key: Vec<u8>,
    signature: Vec<u8>,
}

fn begins(column: Option<String>, in_body: Option<String>) -> bool {
    match (column, in_body) {
        (None, None) => true,
        (Some(column), Some(in_body)) => column.starts_with(&in_body),
        _ => false,
    }
}
