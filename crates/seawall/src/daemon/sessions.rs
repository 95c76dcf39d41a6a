//! Sessions on disk: what a session has seen outlives the guard.
//!
//! A state is written when its label changed, before anything follows from the change, and
//! otherwise every few steps; a guard that is killed loses provenance of the last few steps, never
//! a label. SQLite without waiting for the disk (`synchronous = NORMAL`): that survives the end of
//! the process at any instant, which is what happens; after a loss of power the newest labels can
//! be missing.

use rusqlite::{Connection, OptionalExtension, params};
use seawall_model::label::Label;
use seawall_policy::SessionState;
use seawall_policy::budget::Counters;
use seawall_policy::session::Lineage;
use std::path::Path;

/// Sessions that are kept. The least recently written go first.
const MAX_KEPT: i64 = 4096;

/// Stands for a session that is not named by its key.
pub(super) const ANYBODY: &str = "*";

/// Partners of one session that are told apart. With more, anybody may have written to it.
const MAX_PARTNERS: usize = 32;

/// The table.
pub(super) struct Sessions(Connection);

impl Sessions {
    /// Opens or makes the database.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let open = || {
            let connection = Connection::open(path)?;
            connection.execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;
                 PRAGMA journal_size_limit = 8388608;
                 CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, written INTEGER NOT NULL, state TEXT NOT NULL) STRICT;
                 CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, lineage TEXT NOT NULL) STRICT;
                 CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, label TEXT NOT NULL) STRICT;
                 CREATE TABLE IF NOT EXISTS budgets (name TEXT PRIMARY KEY, used TEXT NOT NULL) STRICT;
                 CREATE TABLE IF NOT EXISTS pairs (a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b)) STRICT;",
            )?;
            Ok::<_, rusqlite::Error>(connection)
        };
        open().map(Self).map_err(|e| format!("sessions `{}`: {e}", path.display()))
    }

    /// A session that was kept. What cannot be read is an error: it is not a session without a
    /// past.
    pub(super) fn load(&self, key: &str) -> Result<Option<SessionState>, String> {
        let text: Option<String> = self
            .0
            .prepare_cached("SELECT state FROM sessions WHERE key = ?1")
            .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
            .map_err(|e| e.to_string())?;
        text.map(|text| serde_json::from_str(&text).map_err(|e| e.to_string())).transpose()
    }

    /// Keeps a session.
    pub(super) fn save(&self, key: &str, state: &SessionState, now_ms: u64) -> Result<(), String> {
        let text = serde_json::to_string(state).map_err(|e| e.to_string())?;
        self.0
            .prepare_cached(
                "INSERT OR REPLACE INTO sessions(key, written, state) VALUES (?1, ?2, ?3)",
            )
            .and_then(|mut statement| statement.execute(params![key, now_ms.cast_signed(), text]))
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// Drops the oldest beyond the limit.
    pub(super) fn prune(&self) -> Result<(), String> {
        self.0
            .execute(
                "DELETE FROM sessions WHERE key NOT IN (SELECT key FROM sessions ORDER BY written DESC LIMIT ?1)",
                [MAX_KEPT],
            )
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// Remembers what a file is.
    pub(super) fn set_file(&self, path: &str, label: &Label) -> Result<(), String> {
        let text = serde_json::to_string(label).map_err(|e| e.to_string())?;
        self.0
            .prepare_cached("INSERT OR REPLACE INTO files(path, label) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute([path, &text]))
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// What files are that are not what their place says.
    pub(super) fn files(&self) -> Result<Vec<(String, Label)>, String> {
        let read = || {
            let mut statement = self.0.prepare("SELECT path, label FROM files ORDER BY rowid")?;
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?
                .collect::<Result<Vec<(String, String)>, _>>()
        };
        read()
            .map_err(|e: rusqlite::Error| e.to_string())?
            .into_iter()
            .map(|(path, text)| {
                let label = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                Ok((path, label))
            })
            .collect()
    }

    /// Remembers that one session writes to another, which may answer.
    pub(super) fn pair(&self, from: &str, to: &str) -> Result<(), String> {
        let to = if self.partners(from)?.len() >= MAX_PARTNERS { ANYBODY } else { to };
        self.0
            .prepare_cached("INSERT OR IGNORE INTO pairs(a, b) VALUES (?1, ?2)")
            .and_then(|mut statement| statement.execute([from, to]))
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// The sessions that have written to a session or that it has written to, among them those that
    /// wrote to anybody.
    pub(super) fn partners(&self, key: &str) -> Result<Vec<String>, String> {
        let read = || {
            let mut statement = self.0.prepare_cached(
                "SELECT b FROM pairs WHERE a = ?1
                 UNION SELECT a FROM pairs WHERE b IN (?1, '*') AND a <> ?1 LIMIT 65",
            )?;
            statement.query_map([key], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()
        };
        let found = read().map_err(|e: rusqlite::Error| e.to_string())?;
        // With more than are looked at, anybody may have written to it.
        Ok(if found.len() > 64 { vec![ANYBODY.to_owned()] } else { found })
    }

    /// Keeps what an agent or a sender used up; none to forget it.
    pub(super) fn set_budget(&self, name: &str, used: Option<&Counters>) -> Result<(), String> {
        match used {
            Some(used) => {
                let text = serde_json::to_string(used).map_err(|e| e.to_string())?;
                self.0.execute(
                    "INSERT OR REPLACE INTO budgets(name, used) VALUES (?1, ?2)",
                    params![name, text],
                )
            }
            None => self.0.execute("DELETE FROM budgets WHERE name = ?1", [name]),
        }
        .map(drop)
        .map_err(|e| e.to_string())
    }

    /// What agents and senders used up.
    pub(super) fn budgets(&self) -> Result<Vec<(String, Counters)>, String> {
        let read = || {
            let mut statement = self.0.prepare("SELECT name, used FROM budgets")?;
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?
                .collect::<Result<Vec<(String, String)>, _>>()
        };
        read()
            .map_err(|e: rusqlite::Error| e.to_string())?
            .into_iter()
            .map(|(name, text)| Ok((name, serde_json::from_str(&text).map_err(|e| e.to_string())?)))
            .collect()
    }

    /// Who made a scheduled job.
    pub(super) fn job(&self, id: &str) -> Result<Option<Lineage>, String> {
        let text: Option<String> = self
            .0
            .prepare_cached("SELECT lineage FROM jobs WHERE id = ?1")
            .and_then(|mut statement| statement.query_row([id], |row| row.get(0)).optional())
            .map_err(|e| e.to_string())?;
        text.map(|text| serde_json::from_str(&text).map_err(|e| e.to_string())).transpose()
    }

    /// Remembers who made a job; none to forget it.
    pub(super) fn set_job(&self, id: &str, lineage: Option<&Lineage>) -> Result<(), String> {
        match lineage {
            Some(lineage) => {
                let text = serde_json::to_string(lineage).map_err(|e| e.to_string())?;
                self.0.execute(
                    "INSERT OR REPLACE INTO jobs(id, lineage) VALUES (?1, ?2)",
                    params![id, text],
                )
            }
            None => self.0.execute("DELETE FROM jobs WHERE id = ?1", [id]),
        }
        .map(drop)
        .map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::label::{Confidentiality, Integrity};

    #[test]
    fn a_label_outlives_the_guard_and_a_broken_row_is_no_clean_session() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sessions.db");
        let mut state = SessionState::default();
        state.see(&Label::new(Integrity::Outside, Confidentiality::Secret).with("web"), "page");
        Sessions::open(&path).unwrap().save("a", &state, 1).unwrap();
        let again = Sessions::open(&path).unwrap();
        assert_eq!(again.load("a").unwrap().unwrap().label, state.label);
        assert!(again.load("b").unwrap().is_none());
        again.0.execute("UPDATE sessions SET state = 'x'", []).unwrap();
        assert!(again.load("a").is_err());
    }
}
