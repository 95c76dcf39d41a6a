//! OpenClaw's state database. It lies in a folder that is the gateway's: `SQLite` never works there,
//! only on a private copy.

use rusqlite::{Connection, OpenFlags, Row};
use seawall_audit::facts::{Device, Fact, Job, Pending, State};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Rows of one table that are looked at.
const MAX_ROWS: usize = 20_000;
/// Bytes of the database, and of its log of changes, that are copied.
const MAX_BYTES: u64 = 512 << 20;
/// How often a copy is begun again when the gateway writes meanwhile.
const ATTEMPTS: usize = 5;

/// How long reading may take in all. The file is the gateway's: its tables may be views that never
/// end.
const WITHIN: Duration = Duration::from_secs(5);

/// Reads the database. `None`: there is none yet.
pub(crate) fn state(state_dir: &Path) -> Fact<Option<State>> {
    let path = state_dir.join("state/openclaw.sqlite");
    match fs::symlink_metadata(&path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Fact::Known(None),
        Ok(_) => {}
        Err(e) => return Fact::unknown(format!("`{}`: {e}", path.display()), "sudo seawall audit"),
    }
    match read(&path, state_dir) {
        Ok(state) => Fact::Known(Some(state)),
        Err(e) => Fact::unknown(format!("`{}`: {e}", path.display()), "openclaw doctor"),
    }
}

fn read(path: &Path, state_dir: &Path) -> Result<State, String> {
    let (dir, plain) = copy(path).map_err(|e| e.to_string())?;
    let connection = open(&dir.path().join(COPY), plain).map_err(|e| e.to_string())?;
    query(&connection, state_dir).map_err(|e| e.to_string())
}

fn query(connection: &Connection, state_dir: &Path) -> rusqlite::Result<State> {
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    let interrupt = connection.get_interrupt_handle();
    // Ends with this function, or interrupts what is running.
    let (_reading, read) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if read.recv_timeout(WITHIN) == Err(mpsc::RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let mut state = State::default();
    rows(
        connection,
        "SELECT device_id, COALESCE(operator_label, display_name, client_id, ''), roles_json, COALESCE(approved_scopes_json, scopes_json), COALESCE(approved_via, ''), COALESCE(remote_ip, ''), approved_at_ms, COALESCE(last_seen_at_ms, 0) FROM device_pairing_paired",
        |row| {
            state.devices.push(Device {
                id: row.get(0)?,
                name: row.get(1)?,
                roles: list(row.get(2)?),
                scopes: list(row.get(3)?),
                via: row.get(4)?,
                remote: row.get(5)?,
                approved: row.get::<_, i64>(6)? / 1000,
                seen: row.get::<_, i64>(7)? / 1000,
            });
            Ok(())
        },
    )?;
    rows(
        connection,
        "SELECT request_id, COALESCE(display_name, client_id, ''), COALESCE(remote_ip, ''), scopes_json, ts FROM device_pairing_pending",
        |row| {
            state.pending.push(Pending {
                id: row.get(0)?,
                name: row.get(1)?,
                from: row.get(2)?,
                scopes: list(row.get(3)?),
                since: row.get::<_, i64>(4)? / 1000,
            });
            Ok(())
        },
    )?;
    rows(
        connection,
        "SELECT request_id, channel_key || '/' || account_id, COALESCE(meta_json, '') FROM channel_pairing_requests",
        |row| {
            let meta: String = row.get(2)?;
            let meta: Value = serde_json::from_str(&meta).unwrap_or_default();
            let id: String = row.get(0)?;
            let name = ["username", "name", "displayName"]
                .iter()
                .find_map(|key| meta.get(key)?.as_str())
                .unwrap_or(&id)
                .to_owned();
            state.senders_pending.push(Pending {
                id: id.clone(),
                name,
                from: row.get(1)?,
                ..Pending::default()
            });
            Ok(())
        },
    )?;
    rows(
        connection,
        "SELECT channel_key || '/' || account_id, entry FROM channel_pairing_allow_entries ORDER BY sort_order",
        |row| {
            state.senders.entry(row.get(0)?).or_default().push(row.get(1)?);
            Ok(())
        },
    )?;
    rows(
        connection,
        "SELECT job_id, name, enabled, payload_kind, job_json FROM cron_jobs",
        |row| {
            let json: String = row.get(4)?;
            state.jobs.push(job(
                row.get(0)?,
                row.get(1)?,
                row.get::<_, i64>(2)? != 0,
                row.get(3)?,
                &serde_json::from_str(&json).unwrap_or_default(),
            ));
            Ok(())
        },
    )?;
    rows(connection, "SELECT raw_json FROM exec_approvals_config LIMIT 1", |row| {
        let json: String = row.get(0)?;
        state.approvals = serde_json::from_str(&json).ok();
        Ok(())
    })?;
    rows(
        connection,
        "SELECT state_key, value_json FROM config_machine_state WHERE state_key IN ('plugins.installedIndex', 'hooks.internal.installs')",
        |row| {
            let (key, json): (String, String) = (row.get(0)?, row.get(1)?);
            let value: Value = serde_json::from_str(&json).unwrap_or_default();
            if key == "hooks.internal.installs" {
                state.hook_installs = installs(&value, state_dir, "hooks");
            } else {
                state.plugin_installs = value
                    .pointer("/index/installRecords")
                    .map(|records| installs(records, state_dir, "extensions"))
                    .unwrap_or_default();
                state.plugin_ids = value
                    .pointer("/index/plugins")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(|plugin| plugin.get("pluginId")?.as_str().map(str::to_owned))
                    .collect();
            }
            Ok(())
        },
    )?;
    rows(connection, "SELECT name FROM secret_store_entries WHERE deleted_at_ms IS NULL", |row| {
        state.stored_secrets.push(row.get(0)?);
        Ok(())
    })?;
    rows(connection, "SELECT expires_at_ms FROM device_pairing_join_codes", |row| {
        let expires: i64 = row.get::<_, Option<i64>>(0)?.unwrap_or(i64::MAX);
        state.join_codes += usize::from(expires / 1000 > jiff::Timestamp::now().as_second());
        Ok(())
    })?;
    Ok(state)
}

const COPY: &str = "copy.sqlite";

/// Opens one of the two files of the database: a regular file that is no link, and nothing that
/// waits.
fn source(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if about.len() > MAX_BYTES {
        return Err(io::Error::other(format!("larger than {MAX_BYTES} bytes")));
    }
    Ok(file)
}

/// Copies the database, and the log of changes of a gateway that runs, into a folder of its own.
/// The second says that there are no such changes.
fn copy(path: &Path) -> io::Result<(tempfile::TempDir, bool)> {
    let dir = tempfile::Builder::new().prefix("seawall-state-").tempdir()?;
    let mut database = source(path)?;
    for _ in 0..ATTEMPTS {
        let before = stamp(&database)?;
        let log = match source(&path.with_extension("sqlite-wal")) {
            Ok(file) => Some(file).filter(|file| file.metadata().is_ok_and(|m| m.len() > 0)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(io::Error::new(e.kind(), format!("its `-wal`: {e}"))),
        };
        let begun = log.as_ref().map(salts).transpose()?;
        database.rewind()?;
        let mut to = File::create(dir.path().join(COPY))?;
        io::copy(&mut (&database).take(MAX_BYTES), &mut to)?;
        if let Some(log) = &log {
            let mut to = File::create(dir.path().join(format!("{COPY}-wal")))?;
            io::copy(&mut log.take(MAX_BYTES), &mut to)?;
        }
        // Changes that went from the log into the database meanwhile would be half of each.
        if stamp(&database)? == before && log.as_ref().map(salts).transpose()? == begun {
            return Ok((dir, log.is_none()));
        }
        let _ = fs::remove_file(dir.path().join(format!("{COPY}-wal")));
    }
    Err(io::Error::other("the gateway writes to it all the time"))
}

/// What changes when a file is written to.
fn stamp(file: &File) -> io::Result<(u64, i64, i64)> {
    let about = file.metadata()?;
    Ok((about.len(), about.mtime(), about.mtime_nsec()))
}

/// The head of a log of changes: another one each time the log starts over.
fn salts(file: &File) -> io::Result<[u8; 32]> {
    let mut head = [0; 32];
    let _ = file.read_at(&mut head, 0)?;
    Ok(head)
}

/// Opens the copy.
fn open(path: &Path, plain: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let text = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let uri = if plain { format!("file:{text}?immutable=1") } else { format!("file:{text}") };
    Connection::open_with_flags(uri, flags)
}

/// Runs a query; a table that this release does not have holds nothing.
fn rows(
    connection: &Connection,
    query: &str,
    mut each: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    let mut statement = match connection.prepare(query) {
        Ok(statement) => statement,
        Err(e) if e.to_string().contains("no such table") => return Ok(()),
        Err(e) => return Err(e),
    };
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        each(row)?;
        count += 1;
        if count >= MAX_ROWS {
            break;
        }
    }
    Ok(())
}

fn list(json: Option<String>) -> Vec<String> {
    json.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn job(id: String, name: String, enabled: bool, payload: String, json: &Value) -> Job {
    let text = |pointer: &str| {
        json.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let shown = |pointer: &str| {
        json.pointer(pointer).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let runs = [
        "/payload/command",
        "/payload/script",
        "/payload/argv",
        "/schedule/command",
        "/trigger/script",
    ]
    .iter()
    .find_map(|pointer| shown(pointer))
    .unwrap_or_default();
    let delivers = match text("/delivery/mode").as_str() {
        "" | "none" => String::new(),
        mode => format!("{mode} {}", text("/delivery/to")).trim().to_owned(),
    };
    Job {
        enabled,
        payload,
        schedule: text("/schedule/kind"),
        runs: runs.chars().take(160).collect(),
        delivers,
        trigger: json.get("trigger").is_some_and(|trigger| !trigger.is_null()),
        managed: text("/description").starts_with("[managed-by=")
            || ["heartbeat:", "skill-collection-review:"]
                .iter()
                .any(|prefix| text("/declarationKey").starts_with(prefix)),
        id,
        name,
    }
}

/// Install records, with the version that is on disk.
fn installs(records: &Value, state_dir: &Path, folder: &str) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    for (id, record) in records.as_object().into_iter().flatten().take(MAX_ROWS) {
        let mut record = record.clone();
        let path = record
            .get("installPath")
            .and_then(Value::as_str)
            .map_or_else(|| state_dir.join(folder).join(id), Into::into);
        if let Some(version) = super::content::package_version(&path)
            && let Some(map) = record.as_object_mut()
        {
            map.insert("installedVersion".into(), version.into());
        }
        out.insert(id.clone(), record);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_without_an_end_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        std::fs::create_dir(&root).unwrap();
        let connection = Connection::open(root.join("openclaw.sqlite")).unwrap();
        connection
            .execute_batch(
                "CREATE VIEW secret_store_entries AS
                 WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r)
                 SELECT x AS name, NULL AS deleted_at_ms FROM r WHERE x < 0;",
            )
            .unwrap();
        let Fact::Unknown(unknown) = state(dir.path()) else { panic!("it was read") };
        assert!(unknown.reason.contains("interrupted"), "{}", unknown.reason);
    }

    #[test]
    fn a_database_is_read_and_not_touched() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        std::fs::create_dir(&root).unwrap();
        assert_eq!(state(dir.path()), Fact::Known(None));
        let path = root.join("openclaw.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE cron_jobs (job_id TEXT, name TEXT, enabled INTEGER, payload_kind TEXT, job_json TEXT); INSERT INTO cron_jobs VALUES ('1', 'n', 1, 'command', '{\"payload\":{\"command\":\"id\"},\"schedule\":{\"kind\":\"cron\"},\"delivery\":{\"mode\":\"webhook\",\"to\":\"https://x\"}}');").unwrap();
        drop(connection);
        let before = std::fs::read_dir(&root).unwrap().count();
        let Fact::Known(Some(read)) = state(dir.path()) else { panic!() };
        assert_eq!(
            (read.jobs[0].runs.as_str(), read.jobs[0].delivers.as_str()),
            ("id", "webhook https://x")
        );
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), before);
    }

    #[test]
    fn a_running_gateways_folder_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        fs::create_dir(&root).unwrap();
        let path = root.join("openclaw.sqlite");
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE secret_store_entries (name TEXT, deleted_at_ms INTEGER);
                 INSERT INTO secret_store_entries VALUES ('in the log', NULL);",
            )
            .unwrap();
        // What another process of the gateway's user left: the two files, and a trap for the third.
        let lab = tempfile::tempdir().unwrap();
        let other = lab.path().join("state");
        fs::create_dir(&other).unwrap();
        for name in ["openclaw.sqlite", "openclaw.sqlite-wal"] {
            fs::copy(root.join(name), other.join(name)).unwrap();
        }
        let victim = lab.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        fs::hard_link(&victim, other.join("openclaw.sqlite-shm")).unwrap();
        let Fact::Known(Some(read)) = state(lab.path()) else { panic!("it was not read") };
        assert_eq!(read.stored_secrets, ["in the log"]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        fs::remove_file(other.join("openclaw.sqlite-shm")).unwrap();
        assert!(state(lab.path()).known().is_some());
        assert_eq!(fs::read_dir(&other).unwrap().count(), 2);
    }

    #[test]
    fn what_waits_or_leads_elsewhere_is_could_not_check() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("state");
        fs::create_dir(&root).unwrap();
        let path = root.join("openclaw.sqlite");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(state(dir.path()).known().is_none());
        fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
        let log = root.join("openclaw.sqlite-wal");
        mknodat(CWD, &log, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert!(state(dir.path()).known().is_none());
        fs::remove_file(&log).unwrap();
        assert!(state(dir.path()).known().is_some());
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        assert!(state(dir.path()).known().is_none());
    }

    #[test]
    fn garbage_is_could_not_check() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        std::fs::write(
            dir.path().join("state/openclaw.sqlite"),
            "not a database, but long enough to look like one",
        )
        .unwrap();
        assert!(state(dir.path()).known().is_none());
    }
}
