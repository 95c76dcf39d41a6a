//! Tool runs: the sandbox crate's launcher, with tickets that the guard redeems.
//!
//! What is started comes from the guard's order and the operator's configuration alone.

use super::runplan::{RunContext, plan};
use super::{Prepared, appeared, changed, contacts};
use crate::clock::now_ms;
use crate::daemon::protocol::{Changed, Claim, RunOrder};
use seawall_model::{Event, Plane, Severity};
use seawall_sandbox::launch::{Launcher, Tickets};
use seawall_sandbox::{Exit, Jail, JailSpec, Refusal};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{mpsc, oneshot};

/// What stands before the name of an MCP server where a ticket would be.
const MCP: &str = "mcp:";

/// Longest path that an event tells.
const MAX_TARGET: usize = 512;

/// A claim on its way to the guard.
pub(super) struct Claimed {
    pub(super) claim: Claim,
    pub(super) reply: oneshot::Sender<Result<Box<RunOrder>, String>>,
}

/// What the guard has to hear.
pub(super) enum News {
    /// A run with network was started.
    Started {
        run: String,
        session_key: String,
        /// The hosts that it may reach at most.
        only: Option<BTreeSet<String>>,
        listener: OwnedFd,
    },
    /// The kernel refused a run something.
    Refused(Event),
    /// A run that was followed has changed files.
    Changed { session_key: String, workspace: String, changed: Changed },
    /// A run ended.
    Ended { run: String, code: i32, note: Option<String> },
}

/// The configuration that runs are planned with.
#[derive(Clone)]
pub(super) struct Runs(Arc<RwLock<Arc<RunContext>>>);

impl Runs {
    /// Takes another configuration for the runs that start from now on.
    pub(super) fn renew(&self, prepared: &Prepared) -> Result<(), String> {
        let context = Arc::new(RunContext::of(prepared)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = context;
        Ok(())
    }

    fn context(&self) -> Arc<RunContext> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Orders {
    runs: Runs,
    watch: appeared::Watch,
    claims: mpsc::Sender<Claimed>,
    news: mpsc::UnboundedSender<News>,
    slots: AtomicU32,
    /// Runs that go on, by what was shown for them, oldest first. An MCP server can run more than
    /// once under one name.
    running: Mutex<HashMap<String, Vec<Run>>>,
}

/// A run that goes on.
struct Run {
    id: String,
    session_key: String,
    call_id: Option<String>,
    watched: Option<appeared::Watched>,
    /// Its workspace, as the configuration names it, and how that was.
    before: Option<(String, changed::Before)>,
    only: Option<BTreeSet<String>>,
}

impl Orders {
    fn running(&self) -> MutexGuard<'_, HashMap<String, Vec<Run>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes an event about a run down.
    fn tell(&self, shown: &str, summary: String, mut detail: Value) {
        let running = self.running();
        let Some(run) = running.get(shown).and_then(|runs| runs.last()) else { return };
        if let Some(fields) = detail.as_object_mut() {
            fields.insert("run".into(), run.id.clone().into());
        }
        let mut event = Event::new(now_ms(), Plane::Kernel, "run.held", summary)
            .severity(Severity::Medium)
            .decision("deny")
            .detail(detail);
        event.session_key = Some(run.session_key.clone());
        event.call_id.clone_from(&run.call_id);
        let _ = self.news.send(News::Refused(event));
    }

    fn take(&self, shown: &str) -> Option<Run> {
        let mut running = self.running();
        let runs = running.get_mut(shown)?;
        let run = (!runs.is_empty()).then(|| runs.remove(0));
        if runs.is_empty() {
            running.remove(shown);
        }
        run
    }
}

impl Tickets for Orders {
    fn redeem(&self, shown: &str) -> Result<JailSpec, String> {
        let claim = match shown.strip_prefix(MCP) {
            Some(name) => Claim::Mcp(name.to_owned()),
            None => Claim::Ticket(shown.to_owned()),
        };
        let (reply, answer) = oneshot::channel();
        self.claims
            .blocking_send(Claimed { claim, reply })
            .map_err(|_| "Seawall is stopping".to_owned())?;
        let mut order = answer
            .blocking_recv()
            .map_err(|_| "the guard did not answer; the call must be made again".to_owned())??;
        // What has to be there is made before the plan looks for it.
        let context = self.runs.context();
        let planned = context.resolved(&mut order).and_then(|()| {
            // Approvals change while this runs, and who approves does not tell it.
            let only = if contacts::may_use(&order) {
                contacts::of(&order, &crate::cmd::skill::read_gate_lock()?)
            } else {
                None
            };
            order.network &= only.as_ref().is_none_or(|hosts| !hosts.is_empty());
            let before = changed::before(&order)?;
            let watched = self.watch.begin(&order, context.workspaces())?;
            let slot = self.slots.fetch_add(1, Ordering::Relaxed);
            match plan(&context, &order, slot) {
                Ok(spec) => Ok((spec, watched, before, only)),
                Err(why) => {
                    let said = watched.and_then(|watched| self.watch.end(watched, &order.run));
                    Err(said.map_or(why.clone(), |said| format!("{why}; {said}")))
                }
            }
        });
        match planned {
            Ok((spec, watched, before, only)) => {
                let (call_id, workspace) =
                    order.granted.map(|granted| (granted.call_id, granted.workspace)).unzip();
                let run = Run {
                    id: order.run,
                    session_key: order.session_key,
                    call_id,
                    watched,
                    before: workspace.zip(before),
                    only,
                };
                self.running().entry(shown.to_owned()).or_default().push(run);
                Ok(spec)
            }
            Err(why) => {
                let _ = self.news.send(News::Ended {
                    run: order.run,
                    code: 126,
                    note: Some(why.clone()),
                });
                Err(why)
            }
        }
    }

    fn started(&self, shown: &str, jail: &mut Jail) -> Result<(), String> {
        if let Some(listener) = jail.take_listener("egress") {
            let known = |run: &Run| (run.id.clone(), run.session_key.clone(), run.only.clone());
            let run = self.running().get(shown).and_then(|runs| runs.last()).map(known);
            let (run, session_key, only) = run.ok_or("the run is not known")?;
            let listener = listener.into();
            let _ = self.news.send(News::Started { run, session_key, only, listener });
        }
        Ok(())
    }

    fn refused(&self, shown: &str, refusals: Vec<Refusal>, more: u64) {
        for refusal in refusals {
            let Refusal { action, target, program } = refusal;
            let target: String = target.chars().take(MAX_TARGET).collect();
            self.tell(
                shown,
                format!("the kernel refused `{program}` to {action} `{target}`"),
                json!({ "action": action, "target": target, "program": program }),
            );
        }
        if more > 0 {
            let summary = format!("the kernel refused the run {more} more things");
            self.tell(shown, summary, json!({ "more": more }));
        }
    }

    fn renewed(&self, shown: &str, paths: Vec<String>) {
        let list = paths.join("`, `");
        let summary = format!("`{list}` was replaced outside of the run, and is held again");
        self.tell(shown, summary, json!({ "renewed": paths }));
    }

    fn ended(&self, shown: &str, outcome: Result<Exit, String>, limits: &[String]) {
        let Some(run) = self.take(shown) else { return };
        if let Some((workspace, before)) = run.before {
            let (session_key, changed) = (run.session_key, before.after());
            let _ = self.news.send(News::Changed { session_key, workspace, changed });
        }
        let (code, mut note) = match outcome {
            Ok(exit) => {
                let note = match exit {
                    _ if !limits.is_empty() => Some(seawall_sandbox::launch::met(limits)),
                    Exit::Signal(9) | Exit::Gone => {
                        Some("it was killed, or nobody waited for it any more".to_owned())
                    }
                    _ => None,
                };
                (exit.code(), note)
            }
            Err(why) => (126, Some(why)),
        };
        if let Some(said) = run.watched.and_then(|watched| self.watch.end(watched, &run.id)) {
            note = Some(note.map_or_else(|| said.clone(), |note| format!("{note}; {said}")));
        }
        let _ = self.news.send(News::Ended { run: run.id, code, note });
    }
}

/// Where it is kept what runs that go on may not make.
const UNMADE: &str = "unmade.json";

/// The event of something that was set aside with no run to tell it.
pub(super) fn set_aside(what: String) -> Event {
    Event::new(now_ms(), Plane::Kernel, "run.set_aside", what).severity(Severity::High)
}

/// Serves starters on threads of its own.
pub(super) fn serve(
    socket: &Path,
    prepared: &Prepared,
    claims: mpsc::Sender<Claimed>,
    news: mpsc::UnboundedSender<News>,
) -> Result<Runs, String> {
    let context = RunContext::of(prepared)?;
    let kept = prepared.home.dir().join(UNMADE);
    let (watch, said) = appeared::Watch::at(&kept, context.workspaces());
    for what in said {
        let _ = news.send(News::Refused(set_aside(what)));
    }
    let runs = Runs(Arc::new(RwLock::new(Arc::new(context))));
    let orders: Arc<dyn Tickets> = Arc::new(Orders {
        runs: runs.clone(),
        watch,
        claims,
        news,
        slots: AtomicU32::new(0),
        running: Mutex::default(),
    });
    let launcher = Launcher::bind(socket)
        .map_err(|e| format!("cannot listen on `{}`: {e}", socket.display()))?;
    std::thread::Builder::new()
        .name("launcher".into())
        .spawn(move || {
            if let Err(e) = launcher.serve(&orders) {
                tracing::error!(error = %e, "the launcher failed: no run starts any more");
            }
        })
        .map(|_| runs)
        .map_err(|e| format!("cannot start the launcher: {e}"))
}
