//! The queue of questions on disk, and what the operator says about them.
//!
//! One file in Seawall's own folder, which no jail sees: the whole state is written anew beside it
//! and renamed, before anything follows from it. What cannot be read is set aside and no answer
//! holds: that only narrows.

use seawall_model::{Event, Origin, Plane, Severity};
use seawall_policy::approvals::queue::{Asked, Given, Question, Waiting, Yes};
use seawall_policy::approvals::{AskKey, Grants, Queue, Scope};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Largest file that is read: the queue's own limits keep it far below.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The queue and its file.
pub(crate) struct Approvals {
    queue: Queue,
    path: PathBuf,
}

impl Approvals {
    /// Reads the file. Returns what went wrong, for the log.
    pub(crate) fn open(path: PathBuf) -> (Self, Option<Event>) {
        let (queue, trouble) = match read(&path) {
            Ok(queue) => (queue, None),
            Err(why) => {
                let aside = path.with_extension("json.unreadable");
                let moved = std::fs::rename(&path, &aside);
                let what = match moved {
                    Ok(()) => format!("it is set aside as `{}`", aside.display()),
                    Err(e) => format!("it could not be set aside: {e}"),
                };
                let summary =
                    format!("no standing answer holds: `{}`: {why}; {what}", path.display());
                let event = Event::new(
                    crate::clock::now_ms(),
                    Plane::Engine,
                    "approval.unreadable",
                    summary,
                );
                (Queue::default(), Some(event.severity(Severity::High)))
            }
        };
        (Self { queue, path }, trouble)
    }

    /// Answers that hold in a session.
    pub(crate) fn grants(&self, session: &str, now_ms: u64) -> Grants {
        self.queue.grants(session, now_ms)
    }

    /// Takes a question in. Returns what to tell the caller, and what to write down.
    pub(crate) fn ask(&mut self, question: Question, now_ms: u64) -> (String, Vec<Event>) {
        let (session, tool, why) =
            (question.session.clone(), question.tool.clone(), question.why.clone());
        let mut events = self.expire(now_ms);
        let mut queue = self.queue.clone();
        let asked = queue.ask(question, now_ms);
        if let Asked::New(id) = asked {
            let summary = format!("question {id} waits: {tool}: {why}");
            let event = Event::new(now_ms, Plane::Engine, "approval.asked", summary)
                .severity(Severity::Low)
                .decision("ask")
                .detail(json!({ "id": id, "tool": tool }));
            events.push(of_session(event, &session));
        }
        let told = match asked {
            Asked::New(id) | Asked::Again(id) => format!(
                "it waits for the operator as question {id}: `seawall approvals allow {id}` lets this call through when it is made again"
            ),
            Asked::Refused(id) => {
                format!("the operator said no to this (question {id}); it is not asked again now")
            }
            Asked::Full => {
                "too many questions wait already; see `seawall approvals list`".to_owned()
            }
        };
        if matches!(asked, Asked::New(_)) {
            // A question that is not on disk still was denied: nothing hangs on it.
            if let Err(why) = self.keep(queue) {
                tracing::error!(error = %why, "a question was not written");
            }
        } else {
            // How often it was asked is not worth a write each time.
            self.queue = queue;
        }
        (told, events)
    }

    /// Whether the answers on which a call is allowed still hold, and are counted: a call runs on
    /// one that is for once only after it is gone from the disk.
    pub(crate) fn used(
        &mut self,
        origin: &Origin,
        call_id: &str,
        keys: &[AskKey],
        digest: &str,
        now_ms: u64,
    ) -> Result<Option<Event>, String> {
        let mut queue = self.queue.clone();
        let ids = queue.used(&origin.session_key, keys, digest, now_ms);
        if ids.is_empty() {
            return Ok(None);
        }
        self.keep(queue)?;
        let list: Vec<String> = ids.iter().map(u64::to_string).collect();
        let summary = format!("a call was allowed by answer {}", list.join(", "));
        let mut event = Event::new(now_ms, Plane::Engine, "approval.used", summary)
            .decision("allow")
            .detail(json!({ "ids": ids, "digest": digest, "questions": keys }));
        event.agent_id = Some(origin.agent_id.clone());
        event.call_id = Some(call_id.to_owned());
        Ok(Some(of_session(event, &origin.session_key)))
    }

    /// What the command line asks. Returns the answer and what to write down.
    pub(crate) fn command(&mut self, asked: &Value, now_ms: u64) -> (Value, Vec<Event>) {
        let mut events = self.expire(now_ms);
        let answer = match self.carry_out(asked, now_ms) {
            Ok((value, event)) => {
                events.extend(event);
                value
            }
            Err(why) => json!({ "error": why }),
        };
        (answer, events)
    }

    fn carry_out(&mut self, asked: &Value, now_ms: u64) -> Result<(Value, Option<Event>), String> {
        let text = |key: &str| asked.get(key).and_then(Value::as_str);
        let id = || asked.get("id").and_then(Value::as_u64).ok_or("which one?".to_owned());
        let said = |kind: &str, id: u64, summary: String| {
            Event::new(now_ms, Plane::Engine, kind, summary)
                .severity(Severity::Medium)
                .detail(json!({ "id": id }))
        };
        let mut queue = self.queue.clone();
        match text("cmd").unwrap_or_default() {
            "approvals.list" => {
                let value =
                    json!({ "nowMs": now_ms, "waiting": queue.waiting(), "given": queue.given() });
                Ok((value, None))
            }
            "approvals.allow" => {
                let id = id()?;
                let scope: Scope = serde_json::from_value(
                    asked.get("scope").cloned().unwrap_or_else(|| json!("once")),
                )
                .map_err(|_| "a scope is once, session or standing")?;
                let for_ms = asked
                    .get("seconds")
                    .and_then(Value::as_u64)
                    .map(|seconds| seconds.saturating_mul(1000));
                let yes = Yes { scope, for_ms, sessions: text("sessions").map(str::to_owned) };
                let given = queue.allow(id, &yes, now_ms)?;
                self.keep(queue)?;
                let word = scope_word(given.scope);
                let event = said(
                    "approval.allowed",
                    id,
                    format!("the operator allowed question {id} ({word}): {}", given.why),
                )
                .decision("allow")
                .detail(json!({ "id": id, "scope": word, "sessions": given.sessions, "expiresMs": given.expires_ms }));
                Ok((json!({ "ok": true, "given": given }), Some(event)))
            }
            "approvals.deny" => {
                let id = id()?;
                let waiting = queue.deny(id, now_ms)?;
                self.keep(queue)?;
                let event = said(
                    "approval.denied",
                    id,
                    format!("the operator denied question {id}: {}", waiting.why),
                )
                .decision("deny");
                Ok((json!({ "ok": true }), Some(of_session(event, &waiting.session))))
            }
            "approvals.revoke" => {
                let id = id()?;
                queue.revoke(id)?;
                self.keep(queue)?;
                let event =
                    said("approval.revoked", id, format!("the operator took answer {id} back"));
                Ok((json!({ "ok": true }), Some(event)))
            }
            _ => Err("the guard does not know this question".into()),
        }
    }

    /// Forgets what is over. Returns an event for each question that nobody answered.
    fn expire(&mut self, now_ms: u64) -> Vec<Event> {
        if !self.queue.has_expired(now_ms) {
            return Vec::new();
        }
        let mut queue = self.queue.clone();
        let gone = queue.expire(now_ms);
        if let Err(why) = self.keep(queue) {
            tracing::error!(error = %why, "expired questions were not written");
            return Vec::new();
        }
        gone.iter().map(|waiting| expired(waiting, now_ms)).collect()
    }

    /// Writes the new state; only then does it hold.
    fn keep(&mut self, queue: Queue) -> Result<(), String> {
        if queue == self.queue {
            return Ok(());
        }
        write(&self.path, &queue).map_err(|e| format!("`{}`: {e}", self.path.display()))?;
        self.queue = queue;
        Ok(())
    }
}

/// Whether a question of the command line is for the queue.
pub(crate) fn is_ours(cmd: &str) -> bool {
    cmd.starts_with("approvals.")
}

/// The name of a scope, as the command line has it.
pub(crate) fn scope_word(scope: Scope) -> &'static str {
    match scope {
        Scope::Once => "once",
        Scope::Session => "session",
        Scope::Standing => "standing",
    }
}

/// What the command line reads.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Listed {
    pub(crate) now_ms: u64,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) given: Vec<Given>,
}

fn expired(waiting: &Waiting, now_ms: u64) -> Event {
    let summary = format!("nobody answered question {}: {}", waiting.id, waiting.why);
    let event = Event::new(now_ms, Plane::Engine, "approval.expired", summary)
        .decision("deny")
        .detail(json!({ "id": waiting.id }));
    of_session(event, &waiting.session)
}

fn of_session(mut event: Event, session: &str) -> Event {
    event.session_key = Some(session.to_owned());
    event
}

fn read(path: &Path) -> Result<Queue, String> {
    let meta = match std::fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Queue::default()),
        Err(e) => return Err(e.to_string()),
    };
    if !meta.is_file() {
        return Err("not a file".into());
    }
    if meta.len() > MAX_FILE {
        return Err("larger than any that Seawall writes".into());
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    serde_json::from_str(&text).map_err(|e| e.to_string())
}

fn write(path: &Path, queue: &Queue) -> std::io::Result<()> {
    let new = path.with_extension("json.new");
    // What is there is a leftover of a guard that was killed.
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec(queue)?)?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn question() -> Question {
        Question {
            keys: vec![AskKey {
                rule: "net.unlisted".into(),
                tool: "web_fetch".into(),
                agent: "main".into(),
                target: "a.example".into(),
            }],
            session: "agent:main:cron:j".into(),
            tool: "web_fetch".into(),
            digest: "d".into(),
            why: "the host is not listed".into(),
            call: "Call: web_fetch".into(),
        }
    }

    fn covered(approvals: &Approvals, now: u64) -> bool {
        approvals.grants("agent:main:cron:j", now).covers(&question().keys[0], "d", now)
    }

    #[test]
    fn an_answer_outlives_the_guard_and_once_is_gone_from_the_disk_before_it_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("approvals.json");
        let (mut first, trouble) = Approvals::open(path.clone());
        assert!(trouble.is_none());
        let (told, events) = first.ask(question(), 10);
        assert!(told.contains("seawall approvals allow 1"), "{told}");
        assert_eq!(events.len(), 1);
        assert!(first.ask(question(), 11).1.is_empty(), "the same question is one");
        let (answer, events) = first.command(&json!({"cmd": "approvals.allow", "id": 1}), 12);
        assert_eq!(answer["ok"], json!(true), "{answer}");
        assert_eq!(events[0].kind, "approval.allowed");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        let (mut second, _) = Approvals::open(path.clone());
        assert!(covered(&second, 13));
        let origin = Origin { session_key: "agent:main:cron:j".into(), ..Origin::default() };
        let used = second.used(&origin, "c", &question().keys, "d", 13).unwrap().unwrap();
        assert_eq!((used.kind.as_str(), &used.detail["ids"]), ("approval.used", &json!([1])));
        assert!(!covered(&Approvals::open(path).0, 14));
    }

    #[test]
    fn an_answer_that_cannot_be_written_down_does_not_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gone/approvals.json");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let (mut approvals, _) = Approvals::open(path.clone());
        approvals.ask(question(), 0);
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        let (answer, events) = approvals.command(&json!({"cmd": "approvals.allow", "id": 1}), 1);
        assert!(answer["error"].is_string(), "{answer}");
        assert!(events.is_empty() && !covered(&approvals, 2));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_set_aside_and_grants_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("approvals.json");
        std::fs::write(&path, "{\"given\": [{}]}").unwrap();
        let (approvals, trouble) = Approvals::open(path.clone());
        assert_eq!(trouble.unwrap().kind, "approval.unreadable");
        assert!(!covered(&approvals, 0) && !path.exists());
        assert!(dir.path().join("approvals.json.unreadable").exists());
    }

    #[test]
    fn what_nobody_answers_expires_and_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (mut approvals, _) = Approvals::open(dir.path().join("approvals.json"));
        approvals.ask(question(), 0);
        let late = seawall_policy::approvals::queue::WAITS_MS;
        let (listed, events) = approvals.command(&json!({"cmd": "approvals.list"}), late);
        assert_eq!(listed["waiting"], json!([]));
        assert_eq!(events[0].kind, "approval.expired");
    }

    #[test]
    fn a_command_that_means_nothing_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mut approvals, _) = Approvals::open(dir.path().join("approvals.json"));
        approvals.ask(question(), 0);
        let before = approvals.queue.clone();
        for bad in [
            json!({"cmd": "approvals.allow"}),
            json!({"cmd": "approvals.allow", "id": 9}),
            json!({"cmd": "approvals.allow", "id": 1, "scope": "forever"}),
            json!({"cmd": "approvals.allow", "id": 1, "scope": "standing"}),
            json!({"cmd": "approvals.allow", "id": 1, "sessions": "*"}),
            json!({"cmd": "approvals.deny", "id": 2}),
            json!({"cmd": "approvals.revoke", "id": 1}),
            json!({"cmd": "approvals.x"}),
        ] {
            let (answer, events) = approvals.command(&bad, 1);
            assert!(answer["error"].is_string() && events.is_empty(), "{bad}: {answer}");
        }
        assert_eq!(approvals.queue, before);
    }
}
