//! One-shot tickets: what was allowed becomes what may be started, once and soon.
//!
//! A state machine over values: allowed calls are remembered, a request to start is matched with
//! one of them, and the ticket it gets is good for one start.

use super::protocol::{Claim, Granted, RunOrder, RunWhat};
use crate::render::McpServer;
use seawall_model::Origin;
use seawall_model::frame::{RunPurpose, RunRequest};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// How long a ticket is good: the starter runs at once.
const TICKET_FOR_MS: u64 = 15_000;

/// How long a person's answer is waited for: OpenClaw's own longest approval.
const ASKED_FOR_MS: u64 = 600_000;

/// Most allowed calls and most tickets held. A session can have a handful under way; what is
/// older than this many is dropped first and has to be decided again.
const MAX_HELD: usize = 512;

struct AllowedCall {
    session_key: String,
    /// Shell text. None for a file tool's call, which changes something that is held otherwise.
    command: Option<String>,
    granted: Granted,
    until_ms: u64,
}

/// The table.
#[derive(Default)]
pub(crate) struct Tickets {
    allowed: VecDeque<AllowedCall>,
    /// Calls whose answer by a person is awaited.
    asked: VecDeque<AllowedCall>,
    issued: HashMap<String, (RunOrder, u64)>,
    mcp: BTreeMap<String, McpServer>,
    network: bool,
    /// How long an allowed call may wait for its start (`policy.permit_seconds`). OpenClaw prepares
    /// the sandbox between the two, which has taken a few seconds on a cold start.
    allowed_for_ms: u64,
}

impl Tickets {
    /// An empty table for a configuration.
    pub(crate) fn new(
        mcp: BTreeMap<String, McpServer>,
        network: bool,
        allowed_for_ms: u64,
    ) -> Self {
        Self { mcp, network, allowed_for_ms, ..Self::default() }
    }

    /// Remembers that `command` was allowed.
    pub(crate) fn allow(
        &mut self,
        origin: &Origin,
        granted: Granted,
        command: Option<&str>,
        now_ms: u64,
    ) {
        self.allowed.retain(|call| call.until_ms > now_ms);
        if self.allowed.len() >= MAX_HELD {
            self.allowed.pop_front();
        }
        self.allowed.push_back(AllowedCall {
            session_key: origin.session_key.clone(),
            granted,
            command: command.map(str::to_owned),
            until_ms: now_ms.saturating_add(self.allowed_for_ms),
        });
    }

    /// Remembers that `command` may run if a person says yes.
    pub(crate) fn ask(
        &mut self,
        origin: &Origin,
        granted: Granted,
        command: Option<&str>,
        now_ms: u64,
    ) {
        self.asked.retain(|call| call.until_ms > now_ms);
        if self.asked.len() >= MAX_HELD {
            self.asked.pop_front();
        }
        self.asked.push_back(AllowedCall {
            session_key: origin.session_key.clone(),
            granted,
            command: command.map(str::to_owned),
            until_ms: now_ms.saturating_add(ASKED_FOR_MS),
        });
    }

    /// A person answered.
    pub(crate) fn answered(&mut self, call_id: &str, allowed: bool, now_ms: u64) {
        let Some(at) = self.asked.iter().position(|call| call.granted.call_id == call_id) else {
            return;
        };
        let Some(mut call) = self.asked.remove(at) else { return };
        if allowed && call.until_ms > now_ms {
            call.until_ms = now_ms.saturating_add(self.allowed_for_ms);
            self.allowed.push_back(call);
        }
    }

    /// Makes a ticket for a run, when a matching call was allowed. Returns the ticket and the id
    /// of the call it belongs to.
    pub(crate) fn issue(
        &mut self,
        origin: &Origin,
        request: RunRequest,
        ticket: String,
        now_ms: u64,
    ) -> Result<Option<String>, String> {
        let granted = match request.purpose {
            // The worker has no command of its own: it does file operations in the session's sandbox
            // with the rights of a run and no more, and the file tools' calls are decided. What was
            // allowed of held files in this session holds for every worker that starts meanwhile.
            RunPurpose::FileWorker => self.released(&origin.session_key, now_ms),
            // Shell text that nobody decided.
            RunPurpose::Files => {
                return Err("file scripts do not run: file tools use the session's worker".into());
            }
            RunPurpose::Exec => {
                Some(self.take_allowed(&origin.session_key, &request.command, now_ms)?)
            }
        };
        self.issued.retain(|_, (_, until)| *until > now_ms);
        if self.issued.len() >= MAX_HELD {
            return Err("too many runs are waiting to start; wait for some to end".into());
        }
        let call_id = granted.as_ref().map(|granted| granted.call_id.clone());
        let network = self.network
            && request.purpose == RunPurpose::Exec
            && granted.as_ref().is_some_and(|granted| granted.network);
        let order = RunOrder {
            granted,
            run: crate::daemon::random_id(),
            session_key: origin.session_key.clone(),
            network,
            what: RunWhat::Tool(request),
        };
        self.issued.insert(ticket, (order, now_ms.saturating_add(TICKET_FOR_MS)));
        Ok(call_id)
    }

    /// A call is over. True when it was allowed as a command and never asked for its run; what was
    /// allowed ends with it.
    pub(crate) fn over(&mut self, session_key: &str, call_id: &str) -> bool {
        let at = self.allowed.iter().position(|call| {
            call.command.is_some()
                && call.session_key == session_key
                && call.granted.call_id == call_id
        });
        at.and_then(|at| self.allowed.remove(at)).is_some()
    }

    /// Held files that file tools of a session may change now.
    fn released(&mut self, session_key: &str, now_ms: u64) -> Option<Granted> {
        self.allowed.retain(|call| call.until_ms > now_ms);
        let mut files = self
            .allowed
            .iter()
            .filter(|call| call.command.is_none() && call.session_key == session_key);
        let first = files.next()?.granted.clone();
        Some(files.fold(first, |mut all, call| {
            all.changes.extend(call.granted.changes.iter().cloned());
            all
        }))
    }

    fn take_allowed(
        &mut self,
        session_key: &str,
        command: &str,
        now_ms: u64,
    ) -> Result<Granted, String> {
        self.allowed.retain(|call| call.until_ms > now_ms);
        let at = self
            .allowed
            .iter()
            .rposition(|call| {
                call.session_key == session_key && call.command.as_deref() == Some(command)
            })
            .ok_or("this command was not allowed in this session; see `seawall events query --kind decision`")?;
        self.allowed
            .remove(at)
            .map(|call| call.granted)
            .ok_or_else(|| "this command was not allowed".into())
    }

    /// Exchanges a claim for its order. A ticket is gone afterwards.
    pub(crate) fn redeem(&mut self, claim: &Claim, now_ms: u64) -> Result<RunOrder, String> {
        match claim {
            Claim::Ticket(ticket) => match self.issued.remove(ticket) {
                Some((order, until)) if until > now_ms => Ok(order),
                Some(_) => Err("the ticket has expired; the call must be made again".into()),
                None => {
                    Err("unknown ticket: a run is started once, by a call that was allowed".into())
                }
            },
            Claim::Mcp(name) => {
                let server = self.mcp.get(name).ok_or_else(|| {
                    format!("MCP server `{name}` is not configured; run `seawall config apply` after adding it")
                })?;
                Ok(RunOrder {
                    run: crate::daemon::random_id(),
                    session_key: format!("mcp:{name}"),
                    network: self.network,
                    granted: None,
                    what: RunWhat::Mcp { name: name.clone(), server: server.clone() },
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(session: &str) -> Origin {
        Origin { session_key: session.into(), ..Origin::default() }
    }

    const ALLOWED_FOR_MS: u64 = 60_000;

    fn granted(call_id: &str) -> Granted {
        Granted { call_id: call_id.into(), ..Granted::default() }
    }

    #[test]
    fn an_allowed_command_that_never_asked_is_told_when_its_call_is_over() {
        let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
        let s = origin("s");
        for id in ["sandboxed", "elsewhere"] {
            tickets.allow(&s, granted(id), Some(id), 0);
        }
        let asked = request(RunPurpose::Exec, "sandboxed");
        tickets.issue(&s, asked, "t".into(), 1).expect("was allowed");
        assert!(!tickets.over("s", "sandboxed"));
        assert!(!tickets.over("other", "elsewhere"));
        assert!(tickets.over("s", "elsewhere"));
        assert!(!tickets.over("s", "elsewhere"));
        let late = request(RunPurpose::Exec, "elsewhere");
        assert!(tickets.issue(&s, late, "t".into(), 2).is_err(), "it ended with its call");
    }

    fn request(purpose: RunPurpose, command: &str) -> RunRequest {
        RunRequest {
            purpose,
            command: command.into(),
            args: vec![],
            workdir: "/workspace".into(),
            env: BTreeMap::new(),
            workspace_dir: "/ws".into(),
            agent_workspace_dir: "/ws".into(),
            workspace_access: "rw".into(),
            read_only_mounts: vec![],
            settings: serde_json::Value::Null,
        }
    }

    #[test]
    fn an_allowed_command_starts_once() {
        let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
        tickets.allow(&origin("a"), granted("c1"), Some("ls"), 0);
        let exec = || request(RunPurpose::Exec, "ls");
        assert_eq!(tickets.issue(&origin("a"), exec(), "t".into(), 1), Ok(Some("c1".into())));
        assert!(tickets.issue(&origin("a"), exec(), "u".into(), 2).is_err());
        let claim = Claim::Ticket("t".into());
        assert!(tickets.redeem(&claim, 3).is_ok());
        assert!(tickets.redeem(&claim, 4).is_err());
    }

    #[test]
    fn another_command_session_or_time_does_not_start() {
        let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
        tickets.allow(&origin("a"), granted("c1"), Some("ls"), 0);
        let mut try_issue = |session: &str, command: &str, now| {
            tickets.issue(&origin(session), request(RunPurpose::Exec, command), "t".into(), now)
        };
        assert!(try_issue("b", "ls", 1).is_err());
        assert!(try_issue("a", "ls ", 1).is_err());
        assert!(try_issue("a", "ls", ALLOWED_FOR_MS).is_err());
    }

    #[test]
    fn a_held_file_is_released_to_the_workers_of_its_session_for_a_while() {
        let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
        let soul = Granted { changes: ["SOUL.md".to_owned()].into(), ..granted("c1") };
        tickets.ask(&origin("a"), soul, None, 0);
        let released = |tickets: &mut Tickets, session: &str, now| {
            let ticket = format!("{session}{now}");
            let worker = request(RunPurpose::FileWorker, "");
            tickets.issue(&origin(session), worker, ticket.clone(), now).unwrap();
            let order = tickets.redeem(&Claim::Ticket(ticket), now).unwrap();
            order.granted.map(|granted| granted.changes.contains("SOUL.md"))
        };
        assert_eq!(released(&mut tickets, "a", 1), None, "nobody has answered");
        tickets.answered("c1", true, 2);
        assert_eq!(released(&mut tickets, "a", 3), Some(true));
        assert_eq!(released(&mut tickets, "b", 4), None);
        assert_eq!(released(&mut tickets, "a", 5 + ALLOWED_FOR_MS), None);
        // No command starts on it.
        tickets.allow(&origin("a"), granted("c2"), None, 0);
        assert!(tickets.issue(&origin("a"), request(RunPurpose::Exec, ""), "t".into(), 1).is_err());
    }

    #[test]
    fn an_asked_command_starts_after_a_yes_only() {
        for (answer, starts) in [(None, false), (Some(false), false), (Some(true), true)] {
            let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
            tickets.ask(&origin("a"), granted("c1"), Some("ls"), 0);
            if let Some(allowed) = answer {
                tickets.answered("c1", allowed, 1);
            }
            let issued =
                tickets.issue(&origin("a"), request(RunPurpose::Exec, "ls"), "t".into(), 2);
            assert_eq!(issued.is_ok(), starts, "{answer:?}");
        }
    }

    #[test]
    fn a_ticket_expires() {
        let mut tickets = Tickets::new(BTreeMap::new(), false, ALLOWED_FOR_MS);
        tickets.issue(&origin("a"), request(RunPurpose::FileWorker, ""), "t".into(), 0).unwrap();
        assert!(tickets.redeem(&Claim::Ticket("t".into()), TICKET_FOR_MS).is_err());
    }

    #[test]
    fn an_mcp_server_runs_as_configured_or_not_at_all() {
        let server =
            McpServer { command: "x".into(), args: vec![], env: BTreeMap::new(), cwd: None };
        let mut tickets =
            Tickets::new(BTreeMap::from([("lab".to_owned(), server)]), false, ALLOWED_FOR_MS);
        assert!(tickets.redeem(&Claim::Mcp("lab".into()), 0).is_ok());
        assert!(tickets.redeem(&Claim::Mcp("other".into()), 0).is_err());
    }
}
