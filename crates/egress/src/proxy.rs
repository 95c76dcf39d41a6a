//! The proxy as a whole: policy, gate, who is connected and what each connection holds.
//!
//! Invariants: nothing is dialled that [`Compiled::judge`] and [`Compiled::judge_addresses`] did
//! not allow under the policy in force; nothing is sent before its event is on disk; a
//! connection that holds what the policy in force does not allow is cut.

mod admit;

use crate::budget::Accounts;
use crate::connection;
use crate::host::Target;
use crate::identity::{Identity, Zone};
use crate::intercept::{Authority, Interception};
use crate::names::Names;
use crate::policy::{Compiled, EgressPolicy, PolicyError};
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::resolve::{Answers, Dns, Resolve};
use crate::rhythm::Rhythm;
use crate::scan::{Canary, Holds, Scanner, ScannerError};
use crate::secret::Secrets;
use crate::throttle::Throttle;
use arc_swap::{ArcSwap, ArcSwapOption};
use base64::Engine as _;
use seawall_model::{Event, EventLog};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use admit::Held;
pub(crate) use admit::{HeldHow, content_refusal};

/// Observations that wait for the log. Beyond it they are counted and dropped: a client that is
/// refused a thousand times a second must not hold memory for it.
const MAX_WAITING: usize = 4096;

/// The forward proxy.
pub struct Proxy {
    policy: ArcSwap<Compiled>,
    resolver: Arc<dyn Resolve>,
    log: Arc<dyn EventLog>,
    /// Why the gate is closed; none when it is open.
    closed: ArcSwapOption<String>,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    counts: Mutex<HashMap<Arc<Identity>, usize>>,
    grants: Mutex<HashMap<String, Grant>>,
    scanner: ArcSwap<Scanner>,
    /// What the scanner was given from outside.
    canaries: Mutex<Vec<Canary>>,
    secrets: ArcSwap<Secrets>,
    accounts: Accounts,
    pub(crate) answers: Answers,
    pub(crate) names: Names,
    pub(crate) rhythm: Rhythm,
    pub(crate) throttle: Throttle,
    /// Connections for which there are descriptors: each may hold two.
    room: usize,
    /// What sessions hold closely, if somebody keeps account of it.
    sessions: OnceLock<Arc<dyn Sessions>>,
    /// The policy's own decoys.
    decoys: Mutex<Vec<Canary>>,
    dns: Dns,
    /// Made when the first policy that needs it is loaded; its authority stays for the start.
    interception: ArcSwapOption<Interception>,
    next_id: AtomicU64,
    /// Observations that wait for the log.
    waiting: Mutex<Vec<Event>>,
    observed: Arc<Notify>,
    observing: AtomicBool,
    lost: AtomicU64,
}

/// Who knows what sessions have read and must not send on.
pub trait Sessions: Send + Sync {
    /// What the session of a client holds; none if it is not known or holds nothing.
    fn of(&self, identity: &Identity) -> Option<Arc<dyn Holds>>;
}

/// SHA-256 of a secret, and whose it is.
type Grant = ([u8; 32], Arc<Identity>);

/// Whether anything may pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// By the policy.
    Open,
    /// Nothing; every connection is cut.
    Closed {
        /// Told to clients and written to the log.
        reason: String,
    },
}

struct Listener {
    identity: Option<Arc<Identity>>,
    revoked: AtomicBool,
    notify: Notify,
}

/// A client connection.
pub(crate) struct Connection {
    pub(crate) id: u64,
    identity: Mutex<Option<Arc<Identity>>>,
    held: Mutex<Option<Held>>,
    abort: OnceLock<AbortHandle>,
}

/// A lock whose holder panicked still guards consistent data here: every critical section is a
/// single insertion, removal or read.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// What ends it when it has to be cut.
    pub(crate) fn aborts(&self, handle: AbortHandle) {
        let _ = self.abort.set(handle);
    }
}

impl Proxy {
    /// A proxy with its gate open.
    ///
    /// # Errors
    /// When the policy is wrong.
    pub fn new(
        policy: &EgressPolicy,
        resolver: Arc<dyn Resolve>,
        log: Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, PolicyError> {
        let secrets = Secrets::load(&policy.secrets)?;
        let scanner = scanner_for(&policy.decoys(), &secrets)?;
        let compiled = policy.compile()?;
        let interception = interception_for(&compiled, policy, None)?;
        Ok(Arc::new(Self {
            policy: ArcSwap::from_pointee(compiled),
            resolver,
            log,
            closed: ArcSwapOption::empty(),
            connections: Mutex::default(),
            listeners: Mutex::default(),
            counts: Mutex::default(),
            grants: Mutex::default(),
            scanner: ArcSwap::from_pointee(scanner),
            canaries: Mutex::default(),
            secrets: ArcSwap::from_pointee(secrets),
            accounts: Accounts::default(),
            answers: Answers::default(),
            names: Names::default(),
            rhythm: Rhythm::default(),
            throttle: Throttle::default(),
            room: room(),
            sessions: OnceLock::new(),
            decoys: Mutex::new(policy.decoys()),
            dns: policy.dns.clone(),
            interception: ArcSwapOption::new(interception),
            next_id: AtomicU64::new(0),
            waiting: Mutex::default(),
            observed: Arc::default(),
            observing: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        }))
    }

    /// Serves a listener whose clients all have one identity: whoever can reach the socket has
    /// it. Ends when the identity is revoked.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        identity: Identity,
    ) -> std::io::Result<()> {
        self.accept(listener, Some(Arc::new(identity))).await
    }

    /// Serves a listener whose clients each show a secret, from the policy's `clients` or from
    /// [`Proxy::grant`].
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve_clients(self: Arc<Self>, listener: TcpListener) -> std::io::Result<()> {
        self.accept(listener, None).await
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        identity: Option<Arc<Identity>>,
    ) -> std::io::Result<()> {
        self.start_observer();
        // Connections that are accepted have it from the listener: a call less for each.
        let _ = rustix::net::sockopt::set_tcp_nodelay(&listener, true);
        let entry =
            Arc::new(Listener { identity, revoked: AtomicBool::new(false), notify: Notify::new() });
        lock(&self.listeners).push(Arc::clone(&entry));
        let result = self.accept_loop(&listener, &entry).await;
        lock(&self.listeners).retain(|other| !Arc::ptr_eq(other, &entry));
        result
    }

    async fn accept_loop(
        self: &Arc<Self>,
        listener: &TcpListener,
        entry: &Arc<Listener>,
    ) -> std::io::Result<()> {
        while !entry.revoked.load(Ordering::Acquire) {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = entry.notify.notified() => continue,
            };
            match accepted {
                Ok((stream, _)) => self.admit_connection(stream, entry),
                // Out of descriptors or memory: connections that end give some back.
                Err(e) if is_exhaustion(&e) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(e) if is_fatal(&e) => return Err(e),
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn admit_connection(self: &Arc<Self>, stream: TcpStream, listener: &Arc<Listener>) {
        if lock(&self.connections).len() >= self.most() {
            let refusal = Refusal::new(Cause::Limit, "too many connections")
                .fix("raise `limits.connections`");
            self.refused(listener.identity.as_deref(), None, "", &refusal);
            return; // The stream closes.
        }
        let guard = self.enter();
        let connection = Arc::clone(&guard.connection);
        if let Some(identity) = &listener.identity
            && let Err(refusal) = self.identify(&connection, identity)
        {
            self.refused(Some(identity), None, "", &refusal);
            return;
        }
        let fixed = listener.identity.clone();
        let task = tokio::spawn(connection::run(guard, stream, fixed));
        connection.aborts(task.abort_handle());
        if listener.revoked.load(Ordering::Acquire) {
            task.abort();
        }
    }

    /// Puts a connection into the table. Whatever way its task ends (done, cut, panicked), dropping
    /// the guard takes it out.
    fn enter(self: &Arc<Self>) -> Registered {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            id,
            identity: Mutex::new(None),
            held: Mutex::new(None),
            abort: OnceLock::new(),
        });
        lock(&self.connections).insert(id, Arc::clone(&connection));
        Registered { proxy: Arc::clone(self), connection }
    }

    /// Most connections at one time.
    fn most(&self) -> usize {
        self.policy.load().limits.connections.min(self.room)
    }

    /// A stream inside a connection, with a place in the table of its own.
    pub(crate) fn register(
        self: &Arc<Self>,
        identity: Arc<Identity>,
    ) -> Result<Registered, Refusal> {
        if lock(&self.connections).len() >= self.most() {
            return Err(Refusal::new(Cause::Limit, "too many connections")
                .fix("raise `limits.connections`"));
        }
        let registered = self.enter();
        self.identify(&registered.connection, &identity)?;
        Ok(registered)
    }

    /// Replaces the policy as a whole. Connections that hold what the new one does not allow are
    /// cut.
    ///
    /// # Errors
    /// When the policy is wrong; the one in force stays.
    pub fn reload(&self, policy: &EgressPolicy) -> Result<(), PolicyError> {
        let compiled = Arc::new(policy.compile()?);
        let secrets = Secrets::load(&policy.secrets)?;
        if policy.dns != self.dns {
            return Err(PolicyError::Field {
                field: "dns".into(),
                problem: "cannot change while serving: restart".into(),
            });
        }
        let decoys = policy.decoys();
        let mut canaries = lock(&self.canaries).clone();
        canaries.extend(decoys.iter().cloned());
        let scanner = scanner_for(&canaries, &secrets)?;
        *lock(&self.decoys) = decoys;
        self.answers.clear();
        let authority = self.interception().map(|known| Arc::clone(known.authority()));
        if let Some(interception) = interception_for(&compiled, policy, authority)? {
            self.interception.store(Some(interception));
        }
        self.scanner.store(Arc::new(scanner));
        self.secrets.store(Arc::new(secrets));
        self.policy.store(Arc::clone(&compiled));
        let clients_gone = |identity: &Identity| {
            // A client that is no longer in the policy has no proof any more.
            !compiled.has_identity(identity) && !self.is_granted_or_served(identity)
        };
        let cut = self.cut_where(|connection| {
            let identity = lock(&connection.identity).clone();
            let held = lock(&connection.held).clone();
            identity.is_some_and(|identity| clients_gone(&identity))
                || held.is_some_and(|held| !still_allowed(&compiled, &held))
        });
        self.observe(record::reloaded(policy.rules.len()));
        if cut > 0 {
            self.observe(record::cut(None, cut, "the policy changed"));
        }
        Ok(())
    }

    fn is_granted_or_served(&self, identity: &Identity) -> bool {
        lock(&self.listeners).iter().any(|l| l.identity.as_deref() == Some(identity))
            || lock(&self.grants).values().any(|(_, granted)| **granted == *identity)
    }

    /// Opens or closes the gate. When this returns with the gate closed, nothing new is let
    /// through and every connection has been told to end.
    pub fn gate(&self, gate: Gate) {
        match gate {
            Gate::Open => {
                self.closed.store(None);
                self.observe(record::gate(None));
            }
            Gate::Closed { reason } => {
                self.observe(record::gate(Some(&reason)));
                self.closed.store(Some(Arc::new(reason.clone())));
                let cut = self.cut_where(|_| true);
                if cut > 0 {
                    self.observe(record::cut(None, cut, &reason));
                }
            }
        }
    }

    /// Gives an identity to whoever shows this secret on a shared listener.
    pub fn grant(&self, user: &str, secret: &[u8], identity: Identity) {
        let hash = Sha256::digest(secret).into();
        lock(&self.grants).insert(user.to_owned(), (hash, Arc::new(identity)));
    }

    /// Ends an identity: its listeners stop, its secrets are void, its connections are cut.
    pub fn revoke(&self, identity: &Identity) {
        lock(&self.grants).retain(|_, (_, granted)| **granted != *identity);
        lock(&self.listeners).retain(|listener| {
            let gone = listener.identity.as_deref() == Some(identity);
            if gone {
                listener.revoked.store(true, Ordering::Release);
                listener.notify.notify_one();
            }
            !gone
        });
        let cut = self.cut_where(|c| lock(&c.identity).as_deref() == Some(identity));
        if cut > 0 {
            self.observe(record::cut(Some(identity), cut, "the grant was revoked"));
        }
    }

    /// Sets the strings that must not leave as they stand, for instance the gateway's own token.
    ///
    /// # Errors
    /// When one is too short, or there are too many; the ones in force stay.
    pub fn canaries(&self, canaries: &[Canary]) -> Result<(), ScannerError> {
        let mut kept = lock(&self.canaries);
        let mut all = canaries.to_vec();
        all.extend(lock(&self.decoys).iter().cloned());
        all.extend(self.secrets.load().canaries());
        self.scanner.store(Arc::new(Scanner::new(&all)?));
        *kept = canaries.to_vec();
        Ok(())
    }

    /// Also looks for what the clients' sessions hold. The first call counts.
    pub fn sessions(&self, sessions: Arc<dyn Sessions>) {
        let _ = self.sessions.set(sessions);
    }

    pub(crate) fn held_by(&self, identity: &Identity) -> Option<Arc<dyn Holds>> {
        self.sessions.get().and_then(|sessions| sessions.of(identity))
    }

    pub(crate) fn interception(&self) -> Option<Arc<Interception>> {
        self.interception.load_full()
    }

    /// What clients have to trust where TLS is opened: the certificate of this start's authority,
    /// and the same in front of the roots of the system, both PEM. None if no policy needed it so
    /// far.
    #[must_use]
    pub fn trust(&self) -> Option<(String, String)> {
        self.interception().map(|known| (known.authority().pem(), known.bundle()))
    }

    /// The handshake with a destination that was dialled.
    pub(crate) async fn secure(
        &self,
        stream: TcpStream,
        target: &Target,
    ) -> Result<TlsStream<TcpStream>, Refusal> {
        let Some(interception) = self.interception() else {
            return Err(Refusal::new(Cause::Protocol, "TLS is not opened by any rule"));
        };
        let limit = Duration::from_secs(self.policy.load().limits.connect_seconds);
        timeout(limit, interception.connect(stream, target)).await.unwrap_or_else(|_| {
            let why = format!("TLS to `{target}` did not begin within {} s", limit.as_secs());
            Err(Refusal::new(Cause::Unreachable, why))
        })
    }

    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.load_full()
    }

    pub(crate) fn scanner(&self) -> Arc<Scanner> {
        self.scanner.load_full()
    }

    /// Client connections at this moment.
    #[must_use]
    pub fn connections(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Observations (refusals, closings) that did not get into the log.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    fn cut_where(&self, condition: impl Fn(&Connection) -> bool) -> usize {
        let all: Vec<_> = lock(&self.connections).values().cloned().collect();
        let mut cut = 0;
        for connection in all {
            if condition(&connection) {
                cut += 1;
                if let Some(abort) = connection.abort.get() {
                    abort.abort();
                }
            }
        }
        cut
    }

    pub(crate) fn policy(&self) -> Arc<Compiled> {
        self.policy.load_full()
    }

    /// Who a client is by its credentials.
    pub(crate) fn authenticate(
        &self,
        credentials: Option<&[u8]>,
    ) -> Result<Arc<Identity>, Refusal> {
        let refused = |why: &str| {
            Refusal::new(Cause::Unidentified, why)
                .fix("give the client the user and secret of one of the policy's `clients`")
        };
        let value = credentials.ok_or_else(|| refused("the client shows no proof of who it is"))?;
        let decoded = value
            .split_at_checked(6)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Basic "))
            .and_then(|(_, text)| base64::engine::general_purpose::STANDARD.decode(text).ok())
            .ok_or_else(|| refused("the client's credentials are not of the form Basic"))?;
        let mut parts = decoded.splitn(2, |b| *b == b':');
        let user = parts.next().unwrap_or_default();
        self.authenticate_pair(user, parts.next().unwrap_or_default())
            .ok_or_else(|| refused("the client's user or secret is wrong"))
    }

    /// Who has this user and secret.
    pub(crate) fn authenticate_pair(&self, user: &[u8], secret: &[u8]) -> Option<Arc<Identity>> {
        let user = std::str::from_utf8(user).unwrap_or("");
        let shown: [u8; 32] = Sha256::digest(secret).into();
        let known = lock(&self.grants).get(user).cloned().or_else(|| {
            self.policy.load().client(user).map(|(hash, who)| (*hash, Arc::new(who.clone())))
        });
        // An unknown user costs the same comparison as a known one.
        let (hash, identity) = match known {
            Some((hash, identity)) => (hash, Some(identity)),
            None => ([0; 32], None),
        };
        if bool::from(hash.ct_eq(&shown)) { identity } else { None }
    }

    /// Notes whose connection this is. A connection keeps its identity.
    pub(crate) fn identify(
        &self,
        connection: &Connection,
        identity: &Arc<Identity>,
    ) -> Result<(), Refusal> {
        let mut slot = lock(&connection.identity);
        if let Some(known) = slot.as_ref() {
            return if **known == **identity {
                Ok(())
            } else {
                Err(Refusal::new(Cause::Unidentified, "the connection belongs to another client"))
            };
        }
        let most = self.most();
        let mut counts = lock(&self.counts);
        // One client leaves room for others, and tool runs together leave half to the gateway.
        let share = if identity.zone == Zone::Run { most / 8 } else { most / 4 * 3 };
        let limit = self.policy.load().limits.connections_per_identity.min(share.max(4));
        if identity.zone == Zone::Run {
            let runs = counts.iter().filter(|(who, _)| who.zone == Zone::Run);
            if runs.map(|(_, count)| count).sum::<usize>() >= (most / 2).max(4) {
                return Err(Refusal::new(Cause::Limit, "too many connections of tool runs")
                    .fix("raise `limits.connections` and the limit of open files"));
            }
        }
        let count = counts.entry(Arc::clone(identity)).or_default();
        if *count >= limit {
            return Err(Refusal::new(Cause::Limit, format!("too many connections of {identity}"))
                .fix("raise `limits.connections_per_identity`"));
        }
        *count += 1;
        *slot = Some(Arc::clone(identity));
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its observer sees that it is gone.
        self.observed.notify_one();
    }
}

fn scanner_for(canaries: &[Canary], secrets: &Secrets) -> Result<Scanner, PolicyError> {
    let mut all = canaries.to_vec();
    all.extend(secrets.canaries());
    Scanner::new(&all)
        .map_err(|e| PolicyError::Field { field: "(scanner)".into(), problem: e.to_string() })
}

fn interception_for(
    compiled: &Compiled,
    policy: &EgressPolicy,
    authority: Option<Arc<Authority>>,
) -> Result<Option<Arc<Interception>>, PolicyError> {
    if !compiled.opens() {
        return Ok(None);
    }
    let roots = policy.interception.roots.as_deref();
    Interception::new(authority, roots).map(|made| Some(Arc::new(made)))
}

fn still_allowed(policy: &Compiled, held: &Held) -> bool {
    policy
        .judge(&held.identity, &held.target, held.how.how())
        .and_then(|rule| {
            policy.judge_addresses(&held.identity, rule, &held.target, &held.addresses)
        })
        .is_ok()
}

/// Descriptors that are for other things: listeners, the log, look-ups, the door.
const RESERVED: u64 = 256;

fn room() -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = descriptors.map_or(u64::MAX, |n| n.saturating_sub(RESERVED) / 2);
    usize::try_from(room).unwrap_or(usize::MAX).max(16)
}

fn is_exhaustion(e: &std::io::Error) -> bool {
    // EMFILE, ENFILE, ENOBUFS, ENOMEM.
    matches!(e.raw_os_error(), Some(24 | 23 | 105 | 12))
}

fn is_fatal(e: &std::io::Error) -> bool {
    // EBADF, EINVAL, ENOTSOCK: the listener is not one any more.
    matches!(e.raw_os_error(), Some(9 | 22 | 88))
}

/// A connection that is in the table; dropping it takes it out.
pub(crate) struct Registered {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) connection: Arc<Connection>,
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock(&self.proxy.connections).remove(&self.connection.id);
        if let Some(identity) = lock(&self.connection.identity).take() {
            let mut counts = lock(&self.proxy.counts);
            if let Some(count) = counts.get_mut(&identity) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(&identity);
                }
            }
        }
    }
}
