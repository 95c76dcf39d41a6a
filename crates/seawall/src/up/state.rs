//! What the supervisor's loop remembers, and what follows from an ended gateway.

use super::gateway::Gateway;
use super::launcher::News;
use super::widens::Given;
use super::{Prepared, Snapshots, output};
use crate::daemon::protocol::RunOrder;
use seawall_model::{PlaneStatus, Protection};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

/// Gateway starts in a row that may end before the plugin reports. Then the fault is in the
/// configuration or the installation, and trying on would only hide it. More than a few, because
/// OpenClaw gives up by itself on a machine that is too busy for its own start-up lease.
const FAILED_STARTS: u32 = 5;

/// Waits between restarts: quick for a crash, slow for a gateway that crashes all the time.
pub(super) struct Backoff(u32);

impl Backoff {
    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let wait = Duration::from_millis(100 << self.0.min(8));
        self.0 += 1;
        wait
    }

    fn reset(&mut self) {
        self.0 = 0;
    }
}

/// What to do after the gateway ended.
pub(super) enum AfterEnd {
    /// Start it again after this wait.
    Restart {
        /// How long.
        wait: Duration,
        /// For the person at the terminal.
        text: String,
    },
    /// It will not start.
    GiveUp(String),
}

/// A snapshot on its way.
pub(super) struct Next {
    pub(super) settings: crate::settings::Settings,
    loaded: crate::deploy::LoadedConfig,
    facts: crate::render::Facts,
    frame: crate::render::Frame,
    pub(super) rendered: crate::render::Rendered,
    /// What becomes of the policy.
    pub(super) policy: Vec<seawall_policy::compare::Change>,
    /// What the gateway and its runs get that they did not have.
    pub(super) gained: Vec<String>,
}

/// See the module.
pub(super) struct State {
    news: UnboundedSender<News>,
    pub(super) prepared: Prepared,
    snapshots: Snapshots,
    began: Instant,
    ids: u64,
    /// Starts of the gateway so far; the number of the running one.
    pub(super) boots: u64,
    failed_starts: u32,
    guard_restarts: u32,
    gateway_backoff: Backoff,
    pub(super) guard_backoff: Backoff,
    pub(super) restart_at: Option<Instant>,
    pub(super) last_stop: Option<String>,
    /// A new snapshot was put in place and has not proven itself.
    applying: bool,
    applying_guard: bool,
    is_alive: bool,
    kernel: PlaneStatus,
    orders: HashMap<u64, oneshot::Sender<Result<Box<RunOrder>, String>>>,
    answers: HashMap<u64, oneshot::Sender<Value>>,
    /// Skills that the gateway that was started last does not see.
    pub(super) held: Vec<seawall_model::Event>,
}

impl State {
    pub(super) fn new(
        prepared: Prepared,
        snapshots: Snapshots,
        kernel: PlaneStatus,
        news: UnboundedSender<News>,
    ) -> Self {
        Self {
            news,
            kernel,
            prepared,
            snapshots,
            began: Instant::now(),
            ids: 0,
            boots: 0,
            failed_starts: 0,
            guard_restarts: 0,
            gateway_backoff: Backoff(0),
            guard_backoff: Backoff(0),
            restart_at: None,
            last_stop: None,
            applying: false,
            applying_guard: false,
            is_alive: false,
            orders: HashMap::new(),
            answers: HashMap::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn start_gateway(&mut self) -> Result<Gateway, String> {
        self.boots += 1;
        self.is_alive = false;
        self.held = super::skills::ready(&self.prepared)?;
        Gateway::start(&self.prepared, self.boots, self.news.clone())
    }

    /// The plugin reports: this start was a good one.
    pub(super) fn alive(&mut self) {
        self.is_alive = true;
        self.failed_starts = 0;
        self.applying = false;
        self.gateway_backoff.reset();
        self.guard_backoff.reset();
    }

    pub(super) fn gateway_ended(&mut self, how: &str) -> AfterEnd {
        let asked_for = self.applying && self.failed_starts == 0 && self.is_alive;
        self.is_alive = false;
        if asked_for {
            return AfterEnd::Restart {
                wait: Duration::ZERO,
                text: "starting the gateway with the new snapshot".into(),
            };
        }
        self.failed_starts += 1;
        if self.failed_starts < FAILED_STARTS {
            let wait = self.gateway_backoff.next();
            let text =
                format!("the gateway ended ({how}); starting it again in {} ms", wait.as_millis());
            return AfterEnd::Restart { wait, text };
        }
        let tail = output::tail(&self.prepared.home.dir().join("gateway.out"), 12);
        if self.applying {
            self.applying = false;
            self.failed_starts = 0;
            if let Err(why) = self.snapshots.revert() {
                return AfterEnd::GiveUp(format!(
                    "the new configuration does not start, and {why}:\n{tail}"
                ));
            }
            return AfterEnd::Restart {
                wait: Duration::ZERO,
                text: format!(
                    "the new configuration does not start; going back to the one before. The gateway said:\n{tail}"
                ),
            };
        }
        AfterEnd::GiveUp(format!(
            "the gateway ended {FAILED_STARTS} times in a row before its plugin reported ({how}); its last output:\n{tail}"
        ))
    }

    /// Renders a later edit of the user's configuration. Changes nothing.
    pub(super) fn next_snapshot(&self) -> Result<Next, String> {
        let home = &self.prepared.home;
        let settings = crate::settings::Settings::load(&home.settings())?;
        let deployment = &self.prepared.deployment;
        let loaded = crate::deploy::load(&deployment.config_path, &deployment.include_roots)
            .map_err(|e| e.to_string())?;
        let (facts, frame, rendered) = super::render_for(deployment, &loaded, &settings);
        if facts.public_port != self.prepared.facts.public_port {
            return Err(format!(
                "`gateway.port` changed from {} to {}: that needs `seawall up` to be started again",
                self.prepared.facts.public_port, facts.public_port
            ));
        }
        crate::daemon::check_settings(&settings, &facts)?;
        super::gateway::check_plan(&self.prepared, &facts, &settings)?;
        let policy = super::widens::changes(
            (&self.prepared.settings, &self.prepared.facts),
            (&settings, &facts),
        )?;
        let running = &self.prepared;
        let gained = super::widens::gained(
            Given { settings: &running.settings, facts: &running.facts, loaded: &running.loaded },
            Given { settings: &settings, facts: &facts, loaded: &loaded },
        );
        Ok(Next { settings, loaded, facts, frame, rendered, policy, gained })
    }

    /// Whether the next configuration differs in nothing that the gateway, a run or a plane was
    /// started with: the policy alone, which the guard reads anew without the gateway's noticing.
    pub(super) fn only_policy(&self, next: &Next) -> bool {
        let now = &self.prepared;
        next.rendered.config == now.rendered.config
            && next.facts == now.facts
            && super::widens::same_beside_policy(&next.settings, &now.settings)
    }

    /// Takes the next policy over. The snapshot stays: it is the same.
    pub(super) fn adopt(&mut self, next: Next) -> Value {
        let changes = serde_json::to_value(&next.rendered.changes).unwrap_or(Value::Null);
        self.prepared.settings = next.settings;
        self.applying_guard = true;
        changes
    }

    /// Puts a checked snapshot in place and returns what differs from the user's configuration.
    pub(super) fn install(&mut self, next: Next) -> Result<Value, String> {
        self.snapshots.install(&next.rendered, &next.facts)?;
        let changes = serde_json::to_value(&next.rendered.changes).unwrap_or(Value::Null);
        self.prepared.settings = next.settings;
        self.prepared.facts = next.facts;
        self.prepared.frame = next.frame;
        self.prepared.loaded = next.loaded;
        self.prepared.rendered = next.rendered;
        super::widens::taken(&self.prepared.home);
        self.applying = true;
        self.applying_guard = true;
        self.failed_starts = 0;
        Ok(changes)
    }

    /// Drops what waits for a guard that is gone; says whether it was told to stop.
    pub(super) fn forget_guard(&mut self) -> bool {
        for (_, reply) in self.orders.drain() {
            let _ = reply.send(Err("the guard was restarted; the call must be made again".into()));
        }
        self.answers.clear();
        let expected = std::mem::take(&mut self.applying_guard);
        if !expected {
            self.guard_restarts += 1;
        }
        expected
    }

    pub(super) fn wait_for_order(
        &mut self,
        reply: oneshot::Sender<Result<Box<RunOrder>, String>>,
    ) -> u64 {
        self.ids += 1;
        self.orders.retain(|_, reply| !reply.is_closed());
        self.orders.insert(self.ids, reply);
        self.ids
    }

    pub(super) fn redeemed(&mut self, id: u64, order: Result<Box<RunOrder>, String>) {
        if let Some(reply) = self.orders.remove(&id) {
            let _ = reply.send(order);
        }
    }

    pub(super) fn wait_for_answer(&mut self, reply: oneshot::Sender<Value>) -> u64 {
        self.ids += 1;
        self.answers.retain(|_, reply| !reply.is_closed());
        self.answers.insert(self.ids, reply);
        self.ids
    }

    pub(super) fn answered(&mut self, id: u64, value: Value) {
        if let Some(reply) = self.answers.remove(&id) {
            let _ = reply.send(value);
        }
    }

    /// What the self-test saw, and what the running gateway's jail lacks.
    fn kernel_now(&self, gateway: Option<&Gateway>) -> PlaneStatus {
        let mut kernel = self.kernel.clone();
        let missing = gateway.map(Gateway::missing).unwrap_or_default();
        if !missing.is_empty() {
            kernel.protection = kernel.protection.min(Protection::Partial);
            kernel.evidence.splice(0..0, missing);
        }
        kernel
    }

    pub(super) fn status(&self, gateway: Option<&Gateway>, guard_pid: Option<u32>) -> Value {
        json!({
            "deployment": self.prepared.deployment.name,
            "stateDir": self.prepared.deployment.state_dir,
            "config": self.prepared.deployment.config_path,
            "openclaw": self.prepared.runtime.version,
            "node": self.prepared.runtime.node_version,
            "port": self.prepared.facts.public_port,
            "upSeconds": self.began.elapsed().as_secs(),
            "guard": { "pid": guard_pid, "restarts": self.guard_restarts },
            "gateway": gateway.map(Gateway::facts),
            "gatewayStarts": self.boots,
            "ready": self.is_alive,
            "lastStop": self.last_stop,
            "kernel": self.kernel_now(gateway),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_are_bounded() {
        let mut backoff = Backoff(0);
        let waits: Vec<_> = (0..12).map(|_| backoff.next().as_millis()).collect();
        assert_eq!((waits[0], waits[1], waits[11]), (100, 200, 25_600));
    }
}
