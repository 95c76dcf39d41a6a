//! The decision engine behind a lock: what the plugin reports becomes observations, sessions are
//! found and made, verdicts come out.
//!
//! The engine itself is pure (`seawall-policy`); here is what it must be told about time, places
//! and the sessions' relations.

use super::approvals::Approvals;
use super::budgets::Budgets;
use super::guard::lock;
use super::heard::Heard;
use super::protocol::Changed;
use super::question;
use super::sessions::{ANYBODY, Sessions};
use crate::home::Home;
use crate::render::Facts;
use crate::settings::Settings;
use seawall_egress::EgressPolicy;
use seawall_model::label::{Confidentiality, Integrity, Label};
use seawall_model::{
    Action, ActionKind, Decision, Effect, Event, Origin, Plane, Requester, Severity, Verdict,
};
use seawall_policy::approvals::queue::Question;
use seawall_policy::sequence::Forget;
use seawall_policy::session::Lineage;
use seawall_policy::trust::{SessionKind, Trust};
use seawall_policy::{Bundle, Deployment, Observation, Places, SessionState};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::sync::Mutex;

mod relations;

use relations::{job_of, named_in, sessions_in};

/// Sessions in memory. The least recently used one is written and goes first.
const MAX_SESSIONS: usize = 512;

/// Questions that are out at one time. OpenClaw waits ten minutes for an answer at most.
const MAX_ASKED: usize = 4096;

/// Deferred calls whose requester is remembered: some for each session that is busy.
const MAX_OUTER: usize = 1024;

/// Allowed calls that start sessions and are remembered: some for each session that is busy.
const MAX_SPAWNING: usize = 1024;

/// How long after an allowed call a new session of the same parent counts as made by it. The
/// gateway may wait for a place among its running agents.
const SPAWN_WITHIN_MS: u64 = 120_000;

/// How long after an allowed call a new schedule counts as made by it.
const SCHEDULE_WITHIN_MS: u64 = 15_000;

/// Longest text of one result that is taken in. The gateway cuts results far below this; what is
/// longer is taken in up to here and the rest is unknown.
const MAX_TEXT: usize = 2 * 1024 * 1024;

/// Steps after which a session is written though its label is the same.
const WRITE_EVERY: u64 = 16;

struct Session {
    state: SessionState,
    used: u64,
    /// Label and step as they were written last.
    written: (Option<Label>, u64),
    /// Who spoke last in a session of a person's. The gateway names nobody when it goes on by
    /// itself, as after a command in the background.
    spoke: Option<Requester>,
}

struct Table {
    sessions: HashMap<String, Session>,
    kept: Sessions,
    clock: u64,
    /// Sessions that were allowed to schedule something a moment ago.
    scheduling: Vec<(String, Lineage, u64)>,
    /// Sessions that were allowed to start another a moment ago, newest last: the gateway does not
    /// say in whose name when it has done so.
    spawning: VecDeque<(String, Lineage, u64)>,
    /// Requesters of deferred calls, by the outer call's id: the gateway tells of none with the
    /// inner one.
    outer: VecDeque<(String, Origin)>,
    /// Calls that a person was asked about.
    asked: HashMap<String, Asked>,
    /// What people said a moment ago.
    heard: Heard,
    /// Files that are not what their place says: every session sees the workspace as the others
    /// left it. Lent to the session that is decided about.
    files: BTreeMap<String, Label>,
    /// Stands in for files whose label had to be forgotten.
    forgotten: Option<Label>,
    /// Questions that wait for the operator, and answers that hold.
    approvals: Approvals,
    /// What agents and senders used up.
    budgets: Budgets,
}

impl Table {
    /// Remembers what an allowed call may bring into being, for its lineage.
    fn made(&mut self, verdict: &Verdict, key: String, lineage: Lineage, now_ms: u64) {
        let does = |wanted: fn(&Effect) -> bool| verdict.effects.iter().any(wanted);
        if does(|effect| matches!(effect, Effect::Session { op, .. } if op == "spawn")) {
            if self.spawning.len() >= MAX_SPAWNING {
                self.spawning.pop_front();
            }
            self.spawning.push_back((key.clone(), lineage.clone(), now_ms));
        }
        if does(|effect| matches!(effect, Effect::Schedule { .. })) {
            self.scheduling.push((key, lineage, now_ms));
        }
    }

    /// What stands behind a session that `parent` has just started.
    fn spawned_by(&self, parent: &str, now_ms: u64) -> Option<Lineage> {
        let recent = |(key, _, at): &&(String, Lineage, u64)| {
            key == parent && at.saturating_add(SPAWN_WITHIN_MS) > now_ms
        };
        // Which of the calls it was is not told: the one with the least trust counts, the newest
        // of those.
        let candidates = self.spawning.iter().rev().filter(recent).map(|(_, lineage, _)| lineage);
        candidates.min_by_key(|lineage| lineage.trust.unwrap_or_default()).cloned()
    }
}

/// A question that is out.
struct Asked {
    action: Action,
    verdict: Verdict,
    question: Question,
}

/// A decision, and what is written down beside it.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) events: Vec<Event>,
}

/// See the module.
pub(crate) struct Engine {
    bundle: Bundle,
    places: Places,
    /// Tools of MCP servers as the operator approved them.
    offered: Observation,
    table: Mutex<Table>,
}

impl Engine {
    /// Loads the bundle from the settings.
    pub(crate) fn load(
        settings: &Settings,
        facts: &Facts,
        home: &Home,
    ) -> Result<(Self, Option<Event>), String> {
        let places = places(facts, home);
        let bundle = bundle(settings, facts, places.clone())?;
        let kept = Sessions::open(&home.sessions())?;
        kept.prune()?;
        let (approvals, trouble) = Approvals::open(home.approvals());
        let mut known = SessionState::default();
        for (path, label) in kept.files()? {
            known.label_file(&path, label);
        }
        let budgets = Budgets::open(&kept)?;
        let table = Table {
            sessions: HashMap::new(),
            budgets,
            kept,
            clock: 0,
            scheduling: Vec::new(),
            spawning: VecDeque::new(),
            asked: HashMap::new(),
            outer: VecDeque::new(),
            heard: Heard::default(),
            files: known.files,
            forgotten: known.forgotten,
            approvals,
        };
        let offered = Observation::Tools { tools: facts.mcp_tools.clone() };
        Ok((Self { bundle, places, offered, table: Mutex::new(table) }, trouble))
    }

    /// Whether the settings make a bundle.
    pub(crate) fn check(settings: &Settings, facts: &Facts) -> Result<(), String> {
        bundle(settings, facts, Places::default()).map(drop)
    }

    /// Version of the bundle.
    pub(crate) fn version(&self) -> String {
        self.bundle.version().to_owned()
    }

    /// Sessions in memory.
    pub(crate) fn sessions(&self) -> usize {
        lock(&self.table).sessions.len()
    }

    /// Decides, and takes the decision into the session. `can_ask`: a person can be asked in this
    /// turn; otherwise the question waits for the operator and the answer is no.
    pub(crate) fn decide(&self, action: &Action, can_ask: bool, now_ms: u64) -> Judged {
        let mut table = lock(&self.table);
        let mut origin = self.placed(&action.origin);
        // The gateway names another requester, or none, with the inner call of a run whose outer one
        // was decided a moment ago.
        if let Some(requester) = outer_requester(&table.outer, &action.call_id, &origin) {
            origin.requester = Some(requester);
        }
        if nobody(&origin) && SessionKind::of(&origin.session_key) == SessionKind::Main {
            let spoke = table.sessions.get(&origin.session_key).and_then(|s| s.spoke.clone());
            origin.requester = spoke.or(origin.requester);
        }
        if !nobody(&origin)
            && matches!(&action.kind, ActionKind::ToolCall(call) if call.tool == "tool_call")
        {
            if table.outer.len() >= MAX_OUTER {
                table.outer.pop_front();
            }
            table.outer.push_back((action.call_id.clone(), origin.clone()));
        }
        let action = Action { origin, ..action.clone() };
        let key = action.origin.session_key.clone();
        let given = table.approvals.grants(&key, now_ms);
        let shared = table.budgets.lend(&action.origin);
        let session = self.lend(&mut table, &key);
        session.state.given = given;
        session.state.shared = shared;
        let decided = seawall_policy::decide_fully(&self.bundle, &session.state, &action, now_ms);
        let question = Question {
            keys: decided.asks,
            session: key.clone(),
            tool: tool_of(&action.kind).to_owned(),
            digest: decided.digest,
            why: decided.verdict.explain(),
            call: question::call(&action),
        };
        let mut verdict = decided.verdict;
        let mut events = Vec::new();
        let fits = can_ask && question::shown(&action, &verdict).is_some();
        if verdict.decision == Decision::Ask && !fits {
            let (told, noted) = table.approvals.ask(question.clone(), now_ms);
            events = noted;
            let why = if can_ask {
                "the call asks for more than one question shows"
            } else {
                "nobody can be asked in this turn"
            };
            deny(&mut verdict, "ask.nobody", format!("{why}: {told}"));
        } else if !decided.answered.is_empty() {
            let (id, digest) = (&action.call_id, &question.digest);
            match table.approvals.used(&action.origin, id, &decided.answered, digest, now_ms) {
                Ok(event) => events.extend(event),
                Err(why) => {
                    let why = format!("the answer that allows it could not be counted: {why}");
                    deny(&mut verdict, "approval.unwritten", why);
                }
            }
        }
        let session = self.session(&mut table, &key);
        session.state.followed = tool_of(&action.kind) == "exec";
        seawall_policy::commit(&self.bundle, &mut session.state, &action, &verdict, now_ms);
        take_back(&mut table, &action.origin, now_ms);
        let session = self.session(&mut table, &key);
        if verdict.decision == Decision::Allow {
            let lineage = session.state.lineage(&self.bundle, &action.origin);
            give_back(&mut table, &key);
            self.wrote(&mut table, &verdict, &action, now_ms);
            table.made(&verdict, key.clone(), lineage, now_ms);
        }
        give_back(&mut table, &key);
        self.keep(&mut table, &action.origin.session_key, now_ms);
        if verdict.decision == Decision::Ask {
            if table.asked.len() >= MAX_ASKED {
                table.asked.clear();
            }
            let asked = Asked { action: action.clone(), verdict: verdict.clone(), question };
            table.asked.insert(action.call_id.clone(), asked);
        }
        Judged { verdict, events }
    }

    /// What the operator says about questions that wait.
    pub(crate) fn approvals(&self, asked: &Value, now_ms: u64) -> (Value, Vec<Event>) {
        lock(&self.table).approvals.command(asked, now_ms)
    }

    /// A person answered: a yes makes the call one that was allowed. Where nobody did (`answered`
    /// is false), the question waits for the operator. Returns what is written down.
    pub(crate) fn answered(
        &self,
        call_id: &str,
        allowed: bool,
        answered: bool,
        now_ms: u64,
    ) -> Vec<Event> {
        let mut table = lock(&self.table);
        let Some(Asked { action, mut verdict, question }) = table.asked.remove(call_id) else {
            return Vec::new();
        };
        if !allowed {
            if answered {
                return Vec::new();
            }
            return table.approvals.ask(question, now_ms).1;
        }
        verdict.decision = Decision::Allow;
        let key = action.origin.session_key.clone();
        {
            let session = self.session(&mut table, &key);
            self.bundle.sequences().forget(&mut session.state.sequences, Forget::Approval);
        }
        let shared = table.budgets.lend(&action.origin);
        let session = self.lend(&mut table, &key);
        session.state.followed = tool_of(&action.kind) == "exec";
        session.state.shared = shared;
        seawall_policy::commit(&self.bundle, &mut session.state, &action, &verdict, now_ms);
        take_back(&mut table, &action.origin, now_ms);
        let session = self.session(&mut table, &key);
        let lineage = session.state.lineage(&self.bundle, &action.origin);
        give_back(&mut table, &key);
        self.wrote(&mut table, &verdict, &action, now_ms);
        table.made(&verdict, key.clone(), lineage, now_ms);
        self.keep(&mut table, &key, now_ms);
        Vec::new()
    }

    /// Whether it matters which files a run of this session changes.
    pub(crate) fn follows(&self, key: &str) -> bool {
        let mut table = lock(&self.table);
        let marked = !table.files.is_empty();
        marked || self.session(&mut table, key).state.carries()
    }

    /// A run of this session changed files: they hold what the session had seen, and what files
    /// with a label in the workspace held.
    pub(crate) fn changed(&self, key: &str, workspace: &str, changed: &Changed, now_ms: u64) {
        let mut table = lock(&self.table);
        let session = self.lend(&mut table, key);
        let own = session.state.carries().then(|| session.state.label.clone()).flatten();
        let label = match (own, session.state.file_label(workspace)) {
            (Some(own), Some(read)) => Some(own.join(&read)),
            (own, read) => own.or(read),
        };
        if let Some(label) = label {
            for path in &changed.paths {
                session.state.label_file(&format!("{workspace}/{path}"), label.clone());
            }
            if changed.more {
                session.state.forget(&label);
            }
        }
        give_back(&mut table, key);
        self.keep(&mut table, key, now_ms);
    }

    /// Takes a result in. Returns the text that the model sees instead, when it must be another.
    pub(crate) fn result(&self, seen: ResultSeen<'_>, now_ms: u64) -> Option<String> {
        let mut table = lock(&self.table);
        let origin = self.placed(seen.origin);
        let key = origin.session_key.clone();
        // What another session said is in the answer of a tool that names it.
        let mut others = Vec::new();
        sessions_in(seen.params, 0, &mut others);
        let mut told = Vec::new();
        for other in others.into_iter().filter(|other| *other != key) {
            let state = &self.session(&mut table, other).state;
            told.extend(state.is_outside().then(|| state.label.clone()).flatten());
        }
        // Those that answer it are known; which of them this tool asked is not always said.
        if seen.tool.starts_with("sessions_") || matches!(seen.tool, "subagents" | "tool_call") {
            // The answer says where it went.
            if matches!(seen.tool, "sessions_send" | "sessions_spawn") {
                for to in named_in(seen.text).filter(|to| *to != key) {
                    self.wrote_to(&mut table, &key, to, now_ms);
                }
            }
            told.extend(self.told_by_another(&mut table, &key));
        }
        for label in told {
            self.session(&mut table, &key).state.see(&label, "another session");
        }
        let workspace = self.workspace_of(&origin);
        let session = self.lend(&mut table, &key);
        // A search names no file: what it finds may come from any.
        if seen.tool.starts_with("memory_") {
            for name in ["MEMORY.md", "memory"] {
                if let Some(label) = session.state.file_label(&format!("{workspace}/{name}")) {
                    session.state.see(&label, "memory");
                }
            }
        }
        let observation = Observation::Result {
            call_id: seen.call_id.to_owned(),
            origin,
            tool: seen.tool.to_owned(),
            params: seen.params.clone(),
            text: bounded(seen.text).to_owned(),
            is_error: seen.is_error,
        };
        seawall_policy::observe(&self.bundle, &mut session.state, &observation, now_ms);
        give_back(&mut table, &key);
        self.keep(&mut table, &key, now_ms);
        None
    }

    /// The session of a key, with what is known of files; to be given back at the end.
    fn lend<'t>(&self, table: &'t mut Table, key: &str) -> &'t mut Session {
        let (files, forgotten) = (std::mem::take(&mut table.files), table.forgotten.take());
        let session = self.session(table, key);
        // Of a time when each session kept its own.
        let own = std::mem::replace(&mut session.state.files, files);
        let lost = std::mem::replace(&mut session.state.forgotten, forgotten);
        session.state.forgotten = match (session.state.forgotten.take(), lost) {
            (Some(all), Some(lost)) => Some(all.join(&lost)),
            (all, lost) => all.or(lost),
        };
        for (path, label) in own {
            session.state.label_file(&path, label);
        }
        session
    }

    /// The session of a key; a new one starts with what its maker had seen.
    fn session<'t>(&self, table: &'t mut Table, key: &str) -> &'t mut Session {
        table.clock += 1;
        let clock = table.clock;
        if !table.sessions.contains_key(key) {
            if table.sessions.len() >= MAX_SESSIONS {
                self.make_room(table);
            }
            let state = match table.kept.load(key) {
                Ok(Some(state)) => state,
                Ok(None) => {
                    let lineage = match SessionKind::of(key) {
                        SessionKind::Cron => {
                            job_of(key).and_then(|job| table.kept.job(job).ok().flatten())
                        }
                        _ => None,
                    };
                    lineage.map_or_else(SessionState::default, SessionState::inherit)
                }
                Err(why) => {
                    // A past that cannot be read may be any: it counts as the worst.
                    tracing::error!(error = %why, "a session's past cannot be read");
                    let mut state = SessionState::default();
                    state.see(
                        &Label::new(Integrity::Outside, Confidentiality::Secret)
                            .with("unreadable past"),
                        "session",
                    );
                    state
                }
            };
            let written = (state.label.clone(), state.step);
            let mut state = state;
            seawall_policy::observe(&self.bundle, &mut state, &self.offered, 0);
            table
                .sessions
                .insert(key.to_owned(), Session { state, used: clock, written, spoke: None });
        }
        let session = table.sessions.entry(key.to_owned()).or_insert_with(|| Session {
            state: SessionState::default(),
            used: clock,
            written: (None, 0),
            spoke: None,
        });
        session.used = clock;
        session
    }

    /// Writes a session when it has to be.
    fn keep(&self, table: &mut Table, key: &str, now_ms: u64) {
        let Some(session) = table.sessions.get_mut(key) else { return };
        let (label, step) = &session.written;
        if *label == session.state.label && session.state.step < step.saturating_add(WRITE_EVERY) {
            return;
        }
        match table.kept.save(key, &session.state, now_ms) {
            Ok(()) => session.written = (session.state.label.clone(), session.state.step),
            Err(why) => tracing::error!(error = %why, "a session was not written"),
        }
    }

    /// Writes and forgets the session that was used least recently.
    fn make_room(&self, table: &mut Table) {
        let oldest = table
            .sessions
            .iter()
            .min_by_key(|(_, session)| session.used)
            .map(|(key, _)| key.clone());
        if let Some((key, session)) = oldest.and_then(|key| table.sessions.remove_entry(&key)) {
            remember(table.kept.save(&key, &session.state, crate::clock::now_ms()));
        }
    }

    /// Writes every session: at the guard's end.
    pub(crate) fn close(&self) {
        let table = lock(&self.table);
        table.budgets.close(&table.kept);
        for (key, session) in &table.sessions {
            remember(table.kept.save(key, &session.state, crate::clock::now_ms()));
        }
    }

    /// The folder beyond the workspace that the operator opened and that holds a path, and
    /// whether it may be written. The narrowest one counts.
    pub(crate) fn opened(&self, path: &str) -> Option<(&str, bool)> {
        let settings = self.bundle.settings();
        let write = settings.write_folders.iter().map(|folder| (folder.as_str(), true));
        let read = settings.read_folders.iter().map(|folder| (folder.as_str(), false));
        write
            .chain(read)
            .filter(|(folder, _)| Path::new(path).starts_with(folder))
            .max_by_key(|(folder, write)| (folder.len(), *write))
    }

    /// Folders that are opened, with those inside of them that may only be read.
    pub(crate) fn with_read_only(
        &self,
        mut folders: BTreeMap<String, bool>,
    ) -> BTreeMap<String, bool> {
        let written: Vec<String> =
            folders.iter().filter(|(_, write)| **write).map(|(folder, _)| folder.clone()).collect();
        for inner in &self.bundle.settings().read_folders {
            if written.iter().any(|outer| inner != outer && Path::new(inner).starts_with(outer)) {
                folders.insert(inner.clone(), false);
            }
        }
        folders
    }

    /// How closely a session holds what a payload carries.
    pub(crate) fn carries(
        &self,
        session: &str,
        marks: &seawall_policy::provenance::Marks,
    ) -> Option<Confidentiality> {
        let table = lock(&self.table);
        table.sessions.get(session)?.state.memory.carries_marks(marks)
    }

    /// How long an allowed call may wait for its start, in milliseconds.
    pub(crate) fn permit_ms(&self) -> u64 {
        self.bundle.settings().permit_seconds.saturating_mul(1000)
    }

    /// How long a person has to answer, in milliseconds.
    pub(crate) fn ask_ms(&self) -> u64 {
        self.bundle.settings().ask_seconds.saturating_mul(1000)
    }

    /// The workspace against which the effects of a call were told.
    pub(crate) fn workspace_of(&self, origin: &Origin) -> String {
        self.placed(origin).workspace.unwrap_or_default()
    }

    /// Fills in the workspace that the plugin could not tell.
    fn placed(&self, origin: &Origin) -> Origin {
        let mut origin = origin.clone();
        if origin.workspace.as_deref().is_none_or(str::is_empty) {
            origin.workspace = Some(self.places.workspace.clone());
        }
        origin
    }
}

/// Takes what is known of files back from a session, and keeps what changed. Safe to call again.
fn give_back(table: &mut Table, key: &str) {
    let Some(session) = table.sessions.get_mut(key) else { return };
    if !session.state.files.is_empty() {
        table.files = std::mem::take(&mut session.state.files);
    }
    if session.state.forgotten.is_some() {
        table.forgotten = session.state.forgotten.take();
    }
    for path in std::mem::take(&mut session.state.relabelled) {
        if let Some(label) = table.files.get(&path) {
            remember(table.kept.set_file(&path, label));
        }
    }
}

/// Takes shared counters back from a session.
fn take_back(table: &mut Table, origin: &Origin, now_ms: u64) {
    let Some(session) = table.sessions.get_mut(&origin.session_key) else { return };
    let shared = std::mem::take(&mut session.state.shared);
    table.budgets.take_back(origin, shared, &table.kept, now_ms);
}

/// Whether nobody is named as the requester.
fn nobody(origin: &Origin) -> bool {
    origin
        .requester
        .as_ref()
        .is_none_or(|who| who.sender_id.is_none() && who.sender_is_owner.is_none())
}

/// The requester of the deferred call behind `tool_search_code:OUTER:TOOL:N`, when that call was
/// decided in the same session.
fn outer_requester(
    outer: &VecDeque<(String, Origin)>,
    call_id: &str,
    origin: &Origin,
) -> Option<Requester> {
    let id = call_id.strip_prefix("tool_search_code:")?;
    let known = |(outer, of): &&(String, Origin)| {
        of.session_key == origin.session_key
            && id.strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with(':'))
    };
    outer.iter().rev().find(known).and_then(|(_, of)| of.requester.clone())
}

/// What came back from a tool.
pub(crate) struct ResultSeen<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) origin: &'a Origin,
    pub(crate) tool: &'a str,
    pub(crate) params: &'a Value,
    pub(crate) text: &'a str,
    pub(crate) is_error: bool,
}

/// Makes a verdict a no, with one more reason.
fn deny(verdict: &mut Verdict, rule: &str, why: String) {
    verdict.decision = Decision::Deny;
    verdict.permit = None;
    verdict.reasons.push(seawall_model::Reason::new(rule, why));
}

fn tool_of(kind: &ActionKind) -> &str {
    match kind {
        ActionKind::ToolCall(call) => &call.tool,
        ActionKind::MessageOut { .. } => "message",
        ActionKind::Install { .. } => "install",
    }
}

/// Says when something that should outlive the guard will not.
pub(super) fn remember(outcome: Result<(), String>) {
    if let Err(why) = outcome {
        tracing::error!(error = %why, "not written");
    }
}

fn bounded(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn places(facts: &Facts, home: &Home) -> Places {
    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    Places {
        home: text(&facts.home),
        workspace: facts.workspaces.get("").map(|dir| text(dir)).unwrap_or_default(),
        state_dir: text(&facts.state_dir),
        config_dir: text(&facts.config_dir),
        guard_dirs: vec!["/run/seawall".into(), text(home.dir())],
    }
}

/// The bundle of the settings. The hosts that the egress rules let pass are the ones that may be
/// fetched unasked: one list for both planes.
pub(super) fn bundle(settings: &Settings, facts: &Facts, places: Places) -> Result<Bundle, String> {
    let egress: EgressPolicy = super::planes::egress_policy(settings, facts)?;
    let deployment = Deployment { places, listed_hosts: super::planes::listed_hosts(&egress) };
    Bundle::load_on(&settings.policy_files, &deployment).map_err(|errors| {
        let lines: Vec<String> = errors.iter().take(20).map(ToString::to_string).collect();
        lines.join("\n")
    })
}

#[cfg(test)]
mod tests;
