//! The door itself: its parts, and the loop that accepts.

use crate::config::{ConfigError, DoorConfig};
use crate::grant::{Grant, GrantError, Grants};
use crate::judge::{Judgement, judge};
use crate::limit::{Limiter, Wrong};
use crate::origin::Names;
use crate::place::{Place, Places};
use crate::record::{self, Recorder, now_ms};
use crate::routes::Routes;
use crate::table::{Table, TableError};
use crate::token::{DoorTokens, Principal};
use crate::{frame, http1};
use seawall_model::{EventLog, LogError};
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How the door reaches the gateway's port, which exists only in the gateway's namespace.
pub trait Connect: Send + Sync {
    /// A fresh connection.
    fn connect(&self) -> BoxFuture<'_, io::Result<TcpStream>>;

    /// Returns when the gateway may not be used any more: what is open then is cut.
    fn closed(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// A door could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The operator's configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The shipped tables.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// A grant was not given.
#[derive(Debug, thiserror::Error)]
pub enum AllowError {
    /// It can't be.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// It could not be written down.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The only way in to the gateway.
pub struct Door {
    pub(crate) config: DoorConfig,
    pub(crate) connect: Arc<dyn Connect>,
    pub(crate) record: Recorder,
    pub(crate) table: Table,
    pub(crate) routes: Routes,
    places: Arc<Places>,
    tokens: watch::Sender<Arc<DoorTokens>>,
    grants: Mutex<Grants>,
    limiter: Mutex<Limiter>,
    heard: OnceLock<Listener>,
}

/// Is told what clients say to agents, and to which session where they name it.
type Listener = Box<dyn Fn(Option<&str>, &str) + Send + Sync>;

/// Parameters in which a method names the session.
const SESSION: &[&str] = &["sessionKey", "key"];

/// Parameters in which a method carries what somebody says to an agent.
const SAID: &[&str] = &["message", "text", "prompt", "task"];

/// How often connections that found no place are written down, all of them in one event.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// What is known of a connection before anything was read from it.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) source: IpAddr,
    pub(crate) names: Arc<Names>,
    pub(crate) tls: bool,
    pub(crate) place: Arc<Place>,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    /// No token was shown.
    Missing,
    /// It is nobody's.
    Wrong(Wrong),
    /// Too many were nobody's; until then none of the wrong ones is counted or written down.
    Wait(u64),
}

impl Door {
    /// A door without tokens: nobody may come in until [`Door::set_tokens`].
    ///
    /// # Errors
    /// A configuration that can't be used.
    pub fn new(
        config: DoorConfig,
        connect: Arc<dyn Connect>,
        log: Arc<dyn EventLog>,
    ) -> Result<Arc<Self>, DoorError> {
        config.check()?;
        Ok(Arc::new(Self {
            places: Places::new(config.max_connections, config.max_unauthenticated),
            config,
            connect,
            record: Recorder::new(log),
            table: Table::shipped()?,
            routes: Routes::shipped()?,
            tokens: watch::Sender::new(Arc::new(DoorTokens::new())),
            grants: Mutex::new(Grants::default()),
            limiter: Mutex::new(Limiter::default()),
            heard: OnceLock::new(),
        }))
    }

    /// Puts other tokens in force. Connections whose token is gone or changed are closed.
    pub fn set_tokens(&self, tokens: DoorTokens) {
        self.tokens.send_replace(Arc::new(tokens));
    }

    /// Allows one method of class `host` to one token for a time. Written down first.
    ///
    /// # Errors
    /// See [`AllowError`]; then nothing is allowed.
    pub async fn allow(
        &self,
        method: &str,
        token: &str,
        last: Duration,
        by: &str,
    ) -> Result<Grant, AllowError> {
        let now = now_ms();
        let grant = Grant {
            id: uuid::Uuid::now_v7().to_string(),
            method: method.to_owned(),
            token: token.to_owned(),
            until_ms: now.saturating_add(u64::try_from(last.as_millis()).unwrap_or(u64::MAX)),
        };
        // Tried on a copy, so that a grant that can't be written down is never in force.
        self.grants().clone().add(grant.clone(), now, &self.table)?;
        self.record.first(record::granted(&grant, by)).await?;
        self.grants().add(grant.clone(), now, &self.table)?;
        Ok(grant)
    }

    /// Takes all grants of a method away; how many there were.
    pub fn disallow(&self, method: &str) -> usize {
        self.grants().remove(method)
    }

    /// The grants in force.
    #[must_use]
    pub fn allowed(&self) -> Vec<Grant> {
        self.grants().list(now_ms())
    }

    /// Events that could not be written down. Refusals only: what is allowed waits for the log.
    #[must_use]
    pub fn lost_events(&self) -> u64 {
        self.record.lost()
    }

    /// Accepts connections until the future is dropped, which ends them all.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        self.accept(listener, None).await
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// When the listener fails for good.
    pub async fn serve_tls(
        self: Arc<Self>,
        listener: TcpListener,
        tls: TlsAcceptor,
    ) -> io::Result<()> {
        self.accept(listener, Some(tls)).await
    }

    async fn accept(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    ) -> io::Result<()> {
        let names = Arc::new(self.config.names(listener.local_addr()?));
        let mut tasks = JoinSet::new();
        let recording = self.record.run();
        tokio::pin!(recording);
        let mut told = tokio::time::interval(TOLD_EVERY);
        loop {
            let (stream, address) = tokio::select! {
                // Accepting comes last, or a flood of connections would keep the log of itself waiting.
                biased;
                () = &mut recording => continue,
                _ = told.tick() => {
                    let count = self.places.turned_away();
                    if count > 0 {
                        self.record.note(record::crowded(count));
                    }
                    continue;
                }
                Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    // Out of descriptors, or the client left already: neither ends the door.
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
            };
            let source = address.ip().to_canonical();
            let peer = Peer {
                source,
                place: self.places.enter(source),
                names: Arc::clone(&names),
                tls: tls.is_some(),
            };
            let door = Arc::clone(&self);
            let tls = tls.clone();
            tasks.spawn(async move {
                if stream.set_nodelay(true).is_err() {
                    return;
                }
                match tls {
                    None => http1::connection(door, stream, peer).await,
                    Some(tls) => {
                        let limit = Duration::from_secs(door.config.login_seconds);
                        let accepted = tokio::select! {
                            accepted = tokio::time::timeout(limit, tls.accept(stream)) => accepted,
                            () = peer.place.gone() => return,
                        };
                        if let Ok(Ok(stream)) = accepted {
                            http1::connection(door, stream, peer).await;
                        }
                    }
                }
            });
        }
    }

    /// Who shows this token. A wrong one costs its source a wait before the next wrong one.
    pub(crate) fn authenticate(
        &self,
        shown: Option<&str>,
        source: IpAddr,
    ) -> Result<Principal, Denied> {
        let now = now_ms();
        let Some(shown) = shown.filter(|s| !s.is_empty()) else { return Err(Denied::Missing) };
        // The token first: it has 256 bits, so that looking it up gives nothing to who guesses, and
        // whoever has one must not wait for what others behind the same address do.
        if let Some(who) = self.tokens.borrow().authenticate(shown, now) {
            return Ok(who);
        }
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        match limiter.wait_ms(source, now) {
            0 => Err(Denied::Wrong(limiter.wrong(source, now))),
            wait => Err(Denied::Wait(wait)),
        }
    }

    pub(crate) fn still_valid(&self, who: &Principal) -> bool {
        self.tokens.borrow().still_valid(who, now_ms())
    }

    pub(crate) fn token_changes(&self) -> watch::Receiver<Arc<DoorTokens>> {
        self.tokens.subscribe()
    }

    pub(crate) fn judge(&self, who: &Principal, request: &frame::Request) -> Judgement {
        let judgement = judge(&self.table, &self.grants(), who, request, now_ms());
        if let (Judgement::Allow { .. }, Some(heard), Some(params)) =
            (&judgement, self.heard.get(), &request.params)
        {
            let text = |name: &&str| params.get(*name).and_then(serde_json::Value::as_str);
            let session = SESSION.iter().find_map(text);
            for said in SAID.iter().filter_map(text) {
                heard(session, said);
            }
        }
        judgement
    }

    /// Has `listener` told what clients say to agents, before it goes on to the gateway. The first
    /// listener stays.
    pub fn hear(&self, listener: impl Fn(Option<&str>, &str) + Send + Sync + 'static) {
        let _ = self.heard.set(Box::new(listener));
    }

    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
