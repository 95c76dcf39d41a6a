//! The door, the egress proxy and the forwards, as the guard runs them.

use super::forward;
use super::guard::lock;
use super::protocol::GatewayUp;
use crate::home::Home;
use crate::render::Facts;
use crate::settings::Settings;
use seawall_door::{BoxFuture, Connect, Door, DoorConfig, DoorTokens};
use seawall_egress::{EgressPolicy, Gate, Identity, Proxy, Sessions, SystemResolver, Zone};
use seawall_model::{EventLog, Plane, PlaneStatus, Protection};
use seawall_sandbox::SocketFactory;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// See the module.
pub(crate) struct Planes {
    proxy: Arc<Proxy>,
    door: Arc<Door>,
    reach: Arc<Reach>,
    open: watch::Sender<bool>,
    log: Arc<dyn EventLog>,
    /// Tasks that live as long as the gateway.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    runs: Mutex<HashMap<String, Identity>>,
    closed_because: Mutex<Option<String>>,
    rules: usize,
    tokens: usize,
}

/// The way to the gateway's port inside its namespace, while there is one and it may be used.
struct Reach {
    target: Mutex<Option<(Arc<SocketFactory>, u16)>>,
    open: watch::Receiver<bool>,
}

impl Connect for Reach {
    fn connect(&self) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move {
            if !*self.open.borrow() {
                return Err(io::Error::other(
                    "the gateway's plugin does not report; see `seawall status`",
                ));
            }
            self.dial().await
        })
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        let mut open = self.open.clone();
        Box::pin(async move {
            // An error means that the planes are gone: closed as well.
            let _ = open.wait_for(|open| !*open).await;
        })
    }
}

impl Reach {
    async fn dial(&self) -> io::Result<TcpStream> {
        let target = self.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((factory, port)) = target else {
            return Err(io::Error::other("the gateway is not running; see `seawall status`"));
        };
        // The jail's first process answers within microseconds, but it is another process.
        let socket = tokio::task::spawn_blocking(move || factory.tcp())
            .await
            .map_err(io::Error::other)??;
        rustix::io::ioctl_fionbio(&socket, true)?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        let stream = socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Planes {
    /// Both proxies, closed.
    pub(crate) async fn new(
        settings: &Settings,
        facts: &Facts,
        home: &Home,
        log: Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, String> {
        let policy = egress_policy(settings, facts)?;
        let resolver = SystemResolver::new(&policy.dns).map_err(|e| e.to_string())?;
        let proxy = Proxy::new(&policy, Arc::new(resolver), Arc::clone(&log))
            .map_err(|e| format!("egress.{e}"))?;
        write_trust(&proxy, home)?;
        let why = "the gateway has not started yet".to_owned();
        proxy.gate(Gate::Closed { reason: why.clone() });
        let (open, watch) = watch::channel(false);
        let reach = Arc::new(Reach { target: Mutex::new(None), open: watch });
        let config = door_config_of(settings)?;
        let door = Door::new(config, Arc::clone(&reach) as Arc<dyn Connect>, Arc::clone(&log))
            .map_err(|e| e.to_string())?;
        let tokens = super::tokens::load(home)?;
        let count = tokens.list().len();
        door.set_tokens(tokens);
        Ok(Arc::new(Self {
            proxy,
            door,
            reach,
            open,
            log,
            tasks: Mutex::default(),
            runs: Mutex::default(),
            closed_because: Mutex::new(Some(why)),
            rules: policy.rules.len(),
            tokens: count,
        }))
    }

    /// The plugin reports: traffic may pass.
    pub(crate) fn open(&self) {
        *lock(&self.closed_because) = None;
        self.proxy.gate(Gate::Open);
        self.open.send_replace(true);
    }

    /// Nothing passes any more.
    pub(crate) fn close(&self, why: &str) {
        *lock(&self.closed_because) = Some(why.to_owned());
        self.open.send_replace(false);
        self.proxy.gate(Gate::Closed { reason: why.to_owned() });
    }

    /// Puts other tokens in force.
    pub(crate) fn set_tokens(&self, tokens: DoorTokens) {
        self.door.set_tokens(tokens);
    }

    /// The door itself, for grants.
    pub(crate) fn door(&self) -> &Arc<Door> {
        &self.door
    }

    /// Also holds back what the sessions of runs know and must not send on.
    pub(crate) fn sessions(&self, sessions: Arc<dyn Sessions>) {
        self.proxy.sessions(sessions);
    }

    /// Serves the door's public port for as long as the guard lives.
    pub(crate) fn serve_door(&self, listener: std::net::TcpListener) -> Result<(), String> {
        let listener = from_std(listener)?;
        let door = Arc::clone(&self.door);
        tokio::spawn(async move {
            if let Err(e) = door.serve(listener).await {
                tracing::error!(error = %e, "the door's listener failed");
            }
        });
        Ok(())
    }

    /// Serves a started gateway: its egress listener, the way to its port, its forwards.
    pub(crate) fn gateway_up(&self, up: &GatewayUp, fds: Vec<OwnedFd>) -> Result<(), String> {
        self.gateway_gone();
        *lock(&self.closed_because) =
            Some("the gateway is starting; its plugin has not reported yet".to_owned());
        let mut fds = fds.into_iter();
        let (Some(egress), Some(factory)) = (fds.next(), fds.next()) else {
            return Err("the supervisor passed no sockets of the gateway".into());
        };
        *lock(&self.reach.target) = Some((Arc::new(SocketFactory::from(factory)), up.port));
        let mut tasks = lock(&self.tasks);
        let proxy = Arc::clone(&self.proxy);
        let egress = from_std(egress.into())?;
        tasks.push(tokio::spawn(async move {
            if let Err(e) = proxy.serve(egress, Identity::gateway()).await {
                tracing::error!(error = %e, "the egress listener failed");
            }
        }));
        for (port, fd) in up.forwards.iter().copied().zip(fds) {
            let listener = from_std(fd.into())?;
            let open = self.open.subscribe();
            let log = Arc::clone(&self.log);
            tasks.push(tokio::spawn(forward::serve(listener, port, open, log)));
        }
        Ok(())
    }

    /// Drops what belonged to a gateway that is gone.
    pub(crate) fn gateway_gone(&self) {
        *lock(&self.reach.target) = None;
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        self.proxy.revoke(&Identity::gateway());
    }

    /// Serves the egress listener of a run under an identity of its own.
    pub(crate) fn run_started(
        &self,
        run: &str,
        session: &str,
        only: Option<BTreeSet<String>>,
        fds: Vec<OwnedFd>,
    ) {
        let Some(listener) = fds.into_iter().next().and_then(|fd| from_std(fd.into()).ok()) else {
            return;
        };
        let identity = Identity {
            zone: Zone::Run,
            agent: session
                .strip_prefix("agent:")
                .and_then(|rest| rest.split(':').next())
                .map(str::to_owned),
            session: Some(session.to_owned()),
            channel: None,
            run: Some(run.to_owned()),
            only,
        };
        lock(&self.runs).insert(run.to_owned(), identity.clone());
        let proxy = Arc::clone(&self.proxy);
        tokio::spawn(async move { proxy.serve(listener, identity).await });
    }

    /// A run is gone, and its grants with it.
    pub(crate) fn run_ended(&self, run: &str) {
        if let Some(identity) = lock(&self.runs).remove(run) {
            self.proxy.revoke(&identity);
        }
    }

    /// What holds now.
    pub(crate) fn status(&self) -> Vec<PlaneStatus> {
        let closed = lock(&self.closed_because).clone();
        let open = format!(
            "open for {} token(s); the gateway's own port exists only in its namespace",
            self.tokens
        );
        let rules =
            format!("open by {} rule(s), {} connection(s)", self.rules, self.proxy.connections());
        vec![
            plane(Plane::Door, closed.as_deref(), open, self.door.lost_events()),
            plane(Plane::Egress, closed.as_deref(), rules, self.proxy.lost()),
        ]
    }
}

/// Puts what the gateway and runs trust where TLS is opened into the run folder, or takes away what
/// an earlier start left there.
fn write_trust(proxy: &Proxy, home: &Home) -> Result<(), String> {
    let (own, bundle) = proxy.trust().unzip();
    for (path, text) in [(home.authority(), own), (home.trusted(), bundle)] {
        let written = match text {
            // A run that starts at this moment reads the old one or the new one.
            Some(text) => {
                let new = path.with_extension("new");
                std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &path))
            }
            None => match std::fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
                _ => Ok(()),
            },
        };
        written.map_err(|e| format!("`{}`: {e}", path.display()))?;
    }
    Ok(())
}

/// A closed plane lets nothing through, which is full protection; one whose events were lost holds
/// without being seen to.
fn plane(plane: Plane, closed: Option<&str>, open: String, lost: u64) -> PlaneStatus {
    let mut evidence = vec![closed.map_or(open, |why| format!("closed, nothing passes: {why}"))];
    if lost > 0 {
        evidence.push(format!("{lost} event(s) were lost: the log does not tell of them"));
    }
    let protection = if lost > 0 { Protection::Partial } else { Protection::Full };
    PlaneStatus { plane, protection, evidence }
}

/// The operator's rules, and the hosts that the configured model providers and channels need.
pub(crate) fn egress_policy(settings: &Settings, facts: &Facts) -> Result<EgressPolicy, String> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct File {
        egress: EgressPolicy,
    }
    let mut policy = settings.source.table::<File>()?.egress;
    for need in &facts.needs {
        let rule = serde_json::from_value(need.rule())
            .map_err(|e| format!("a rule for {}: {e}", need.why))?;
        policy.rules.push(rule);
    }
    policy.compile().map_err(|e| format!("{}: egress: {e}", settings.source.name))?;
    Ok(policy)
}

/// Hosts of the operator's own allow rules, in the form of the engine's list. Hosts that only the
/// configuration of providers needs are not among them: the model does not fetch from those.
pub(crate) fn listed_hosts(policy: &EgressPolicy) -> Vec<String> {
    let mut out = Vec::new();
    for rule in
        policy.rules.iter().filter(|rule| rule.action == seawall_egress::rule::RuleAction::Allow)
    {
        if rule.name.starts_with("configured: ") {
            continue;
        }
        for host in &rule.hosts {
            let text = host.to_string();
            if let Some(domain) = text.strip_prefix('.') {
                out.extend([domain.to_owned(), format!("*.{domain}")]);
            } else {
                out.push(text);
            }
        }
    }
    out.retain(|host| host != "*");
    out
}

/// The `[door]` part.
pub(crate) fn door_config_of(settings: &Settings) -> Result<DoorConfig, String> {
    #[derive(Default, serde::Deserialize)]
    #[serde(default)]
    struct File {
        door: DoorConfig,
    }
    let config = settings.source.table::<File>()?.door;
    config.check().map_err(|e| format!("{}: {e}", settings.source.name))?;
    Ok(config)
}

fn from_std(listener: std::net::TcpListener) -> Result<TcpListener, String> {
    listener
        .set_nonblocking(true)
        .and_then(|()| TcpListener::from_std(listener))
        .map_err(|e| e.to_string())
}
