//! What stands before everything that goes out: the gate, the rules, the scan, the look-up, the
//! addresses, the event; and what a connection holds of it.

use super::{Connection, MAX_WAITING, Proxy, lock};
use crate::budget::Meter;
use crate::host::{Host, Target};
use crate::identity::Identity;
use crate::policy::Compiled;
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::rhythm::Shape;
use crate::rule::{How, Protocol, Rule};
use crate::scan::{Finding, Look};
use crate::secret::{Place, Secrets};
use futures_util::future::join_all;
use seawall_model::Event;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long observations wait for an event with which they share the way to the disk.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);

/// How often refusals that were only counted are told.
const FOLD_EVERY: Duration = Duration::from_secs(2);

/// Addresses of one look-up that are tried.
const MAX_DIALS: usize = 4;

/// What a connection was allowed and still uses.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) identity: Arc<Identity>,
    pub(crate) target: Target,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) how: HeldHow,
}

#[derive(Debug, Clone)]
pub(crate) enum HeldHow {
    Tunnel,
    Carries(Protocol),
    Request { method: String, path: String, websocket: bool, tls: bool },
}

impl HeldHow {
    pub(crate) fn how(&self) -> How<'_> {
        match self {
            Self::Tunnel => How::Tunnel,
            Self::Carries(protocol) => How::Carries(*protocol),
            Self::Request { method, path, websocket, tls } => {
                How::Request { method, path, websocket: *websocket, tls: *tls }
            }
        }
    }
}

/// What was judged and may be dialled.
pub(crate) struct Admitted {
    /// Name of the rule.
    pub(crate) rule: String,
    /// Whether a rule for the host looks at methods or paths.
    pub(crate) narrow: bool,
    /// Kinds of credentials that may go along.
    pub(crate) carries: Vec<String>,
    /// The judged addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Counts what goes out.
    pub(crate) meter: Option<Meter>,
}

/// Tells what was found, never the thing itself.
pub(crate) fn content_refusal(
    finding: &Finding,
    target: &Target,
    secrets: &Secrets,
    tls: bool,
) -> Refusal {
    let through = match finding.through.as_slice() {
        [] => String::new(),
        encodings => format!(" (in {})", encodings.join(" in ")),
    };
    let why = format!(
        "the request to `{target}` carries a secret of the kind `{}`{through}",
        finding.kind
    );
    if let Some((what, fix)) = secrets.refusal(&finding.kind, &target.host, tls) {
        let why = format!("the request to `{target}` carries {what}{through}");
        return Refusal::new(Cause::Content, why).fix(fix);
    }
    let refusal = Refusal::new(Cause::Content, why);
    if finding.kind.starts_with("canary") {
        return refusal;
    }
    refusal.fix(format!(
        "if this destination is meant to get it, add it to the rule: carries = [\"{}\"]",
        finding.kind
    ))
}

impl Proxy {
    /// Judges a destination, looks it up, judges the addresses, and notes that the connection
    /// holds it. With `known`, the addresses of the connection at hand are judged again instead
    /// of looked up. `content` is what of the request would go out; it is scanned before the
    /// look-up, because a name that is looked up has left already.
    pub(crate) async fn judge(
        &self,
        connection: &Connection,
        identity: &Arc<Identity>,
        target: &Target,
        how: HeldHow,
        known: Option<&[IpAddr]>,
        content: &[(Place, &[u8])],
    ) -> Result<Admitted, Refusal> {
        self.check_gate()?;
        let policy = self.policy();
        let rule = policy.judge(identity, target, how.how())?;
        let admitted = (rule.name.clone(), rule.carries.clone());
        let given = match &target.host {
            Host::Name(name) => rule.given(name).filter(|given| given != name).map(str::to_owned),
            Host::Address(_) => None,
        };
        let tls = matches!(how, HeldHow::Request { tls: true, .. });
        self.scan(rule, identity, target, tls, content)?;
        let shape = self.shape(&how, content);
        // Before the look-up: that goes out too. What a tunnel carries was counted with it.
        let meter = match how {
            HeldHow::Carries(_) => None,
            HeldHow::Tunnel | HeldHow::Request { .. } => {
                let now = Instant::now();
                Some(self.accounts.admit(&policy.budgets, identity, &target.host, now)?)
            }
        };
        let addresses = match known {
            Some(addresses) => addresses.to_vec(),
            None => self.look_up(&policy, identity, target, &admitted.0, given).await?,
        };
        // The policy may have changed during the look-up.
        let policy = if known.is_none() { self.policy() } else { policy };
        let rule = policy.judge(identity, target, how.how())?;
        policy.judge_addresses(identity, rule, target, &addresses)?;
        let held = Held {
            identity: Arc::clone(identity),
            target: target.clone(),
            addresses: addresses.clone(),
            how,
        };
        let how = held.how.clone();
        *lock(&connection.held) = Some(held);
        // From here a reload or a closing gate finds it. One that came in between did not.
        self.check_gate()?;
        let now = self.policy();
        if !Arc::ptr_eq(&policy, &now) {
            let rule = now.judge(identity, target, how.how())?;
            now.judge_addresses(identity, rule, target, &addresses)?;
        }
        if let Some(shape) = shape
            && let Some(seen) = self.rhythm.note(identity, &target.host, shape, Instant::now())
        {
            self.observe(record::pattern(identity, target, seen));
        }
        let (rule, carries) = admitted;
        let narrow = now.narrows(target);
        Ok(Admitted { rule, narrow, carries, addresses, meter })
    }

    /// What a request or tunnel looks like to [`crate::rhythm`].
    fn shape(&self, how: &HeldHow, content: &[(Place, &[u8])]) -> Option<Shape> {
        match how {
            HeldHow::Carries(_) => None,
            HeldHow::Tunnel => Some(Shape { path: 0, payload: 0, bytes: 0 }),
            HeldHow::Request { path, .. } => {
                let mut urls = content.iter().filter(|(place, _)| *place == Place::Url);
                let (_, url) = urls.next_back()?;
                Some(Shape {
                    // The last bit keeps it apart from a tunnel's.
                    path: self.rhythm.hash(path.as_bytes()) | 1,
                    payload: self.rhythm.hash(url),
                    bytes: url.len() as u64,
                })
            }
        }
    }

    fn scan(
        &self,
        rule: &Rule,
        identity: &Identity,
        target: &Target,
        tls: bool,
        content: &[(Place, &[u8])],
    ) -> Result<(), Refusal> {
        let scanner = self.scanner.load();
        let secrets = self.secrets.load();
        let bound = secrets.bound(identity, &target.host, tls);
        let held = if content.is_empty() { None } else { self.held_by(identity) };
        let holds = held.as_deref();
        let found = |(place, part): &(Place, &[u8])| {
            if bound.is_empty() {
                return scanner.look(part, Look { carries: &rule.carries, holds });
            }
            let look = |part: &[u8], own: Vec<String>| {
                let carries: Vec<String> = rule.carries.iter().cloned().chain(own).collect();
                scanner.look(part, Look { carries: &carries, holds })
            };
            if *place == Place::Headers {
                let mut lines = part.split_inclusive(|b| *b == b'\n');
                return lines.find_map(|line| look(line, bound.carries_in(line)));
            }
            look(part, bound.carries(*place))
        };
        let name = target.host.name();
        let in_name = name.and_then(|name| scanner.scan(name.as_bytes(), &rule.carries));
        match in_name.or_else(|| content.iter().find_map(found)) {
            None => Ok(()),
            Some(finding) => Err(content_refusal(&finding, target, &secrets, tls).rule(&rule.name)),
        }
    }

    pub(crate) fn release(&self, connection: &Connection) {
        *lock(&connection.held) = None;
    }

    fn check_gate(&self) -> Result<(), Refusal> {
        match self.closed.load().as_deref() {
            None => Ok(()),
            Some(reason) => {
                Err(Refusal::new(Cause::Closed, format!("the gate is closed: {reason}"))
                    .fix("see `seawall status`"))
            }
        }
    }

    /// The addresses of a destination: its own, pinned, kept, or looked up. `given` is what the
    /// rule gives of a name that it does not give in full.
    async fn look_up(
        &self,
        policy: &Compiled,
        identity: &Identity,
        target: &Target,
        rule: &str,
        given: Option<String>,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let name = match &target.host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        if let Some(pinned) = policy.pinned(name) {
            return Ok(pinned.to_vec());
        }
        let begun = Instant::now();
        if let Some(kept) = self.answers.get(name, begun) {
            return Ok(kept);
        }
        if let Some(given) = given {
            self.names.judge(identity, name, &given, begun).map_err(|carries| {
                let why = format!("`{name}` is not looked up: {}", carries.as_str());
                Refusal::new(Cause::Names, why).rule(rule).fix(format!(
                    "if its clients need such names, set `many_names = true` in the rule `{rule}`"
                ))
            })?;
        }
        // The question goes out too.
        self.record(record::lookup(identity, name, rule)).await?;
        let limit = Duration::from_secs(policy.limits.resolve_seconds);
        match timeout(limit, self.resolver.resolve(name)).await {
            Ok(Ok(answer)) => {
                self.answers.keep(name, &answer, Instant::now());
                self.observe(record::answer(identity, name, &answer, begun.elapsed()));
                Ok(answer.addresses)
            }
            Ok(Err(e)) => Err(Refusal::new(Cause::Unreachable, e.to_string())),
            Err(_) => Err(Refusal::new(
                Cause::Unreachable,
                format!("`{name}` did not resolve within {} s", limit.as_secs()),
            )),
        }
    }

    /// Dials one of the judged addresses.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        addresses: &[IpAddr],
    ) -> Result<(TcpStream, IpAddr), Refusal> {
        let limit = Duration::from_secs(self.policy.load().limits.connect_seconds);
        let unreachable = |why: String| Refusal::new(Cause::Unreachable, why);
        let attempt = async {
            let mut last = None;
            for address in addresses.iter().take(MAX_DIALS) {
                match TcpStream::connect(SocketAddr::new(*address, target.port)).await {
                    Ok(stream) if self.is_own(&stream, target, *address) => {
                        return Err(Refusal::own_address(target, *address));
                    }
                    Ok(stream) => {
                        let _ = stream.set_nodelay(true);
                        return Ok((stream, *address));
                    }
                    Err(e) => last = Some(e),
                }
            }
            let why = last.map_or_else(|| "no address".into(), |e| e.to_string());
            Err(unreachable(format!("`{target}` did not answer: {why}")))
        };
        timeout(limit, attempt).await.unwrap_or_else(|_| {
            Err(unreachable(format!("`{target}` did not answer within {} s", limit.as_secs())))
        })
    }

    /// Whether a connection leads back to this host, by an address that looks like any other: past
    /// the host's firewall, to services that are for itself. Nothing has been sent yet.
    fn is_own(&self, stream: &TcpStream, target: &Target, address: IpAddr) -> bool {
        stream.local_addr().is_ok_and(|local| local.ip() == address)
            && !self.policy().names(target, address)
    }

    /// Writes down what is about to be let through; returns once it is on disk. What was observed
    /// before goes along.
    pub(crate) async fn record(&self, event: Event) -> Result<(), Refusal> {
        let seen = std::mem::take(&mut *lock(&self.waiting));
        let own = if seen.is_empty() {
            self.log.append(event).await
        } else {
            // Queued before its own event is, and before the log is told to write.
            let seen = self.append_seen(seen);
            let own = self.log.append(event);
            tokio::join!(seen, own).1
        };
        match own {
            Ok(_) => Ok(()),
            Err(e) => Err(Refusal::new(Cause::Log, e.to_string())
                .fix("make room on the disk of the event log; nothing passes unrecorded")),
        }
    }

    /// Appends observations. Those of which nobody learns whether they were written are counted.
    fn append_seen(&self, seen: Vec<Event>) -> impl Future<Output = ()> + Send + '_ {
        struct Lost<'a>(&'a AtomicU64, u64);
        impl Lost<'_> {
            fn only(mut self, failed: usize) {
                self.1 = failed as u64;
            }
        }
        impl Drop for Lost<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(self.1, Ordering::Relaxed);
            }
        }
        let lost = Lost(&self.lost, seen.len() as u64);
        let appends = join_all(seen.into_iter().map(|event| self.log.append(event)));
        async move { lost.only(appends.await.iter().filter(|result| result.is_err()).count()) }
    }

    /// Writes what was observed and waits for the log, for a process that is about to end.
    pub async fn settle(&self) {
        let seen = std::mem::take(&mut *lock(&self.waiting));
        self.append_seen(seen).await;
    }

    /// Writes down a refusal without holding the client for it.
    pub(crate) fn refused(
        &self,
        identity: Option<&Identity>,
        target: Option<&Target>,
        method: &str,
        refusal: &Refusal,
    ) {
        if self.throttle.admit(identity, refusal.cause, Instant::now()) {
            self.observe(record::refused(identity, target, method, refusal));
        }
    }

    pub(crate) fn observe(&self, event: Event) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= MAX_WAITING {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.push(event);
        if waiting.len() == 1 {
            self.observed.notify_one();
        }
    }

    pub(super) fn start_observer(self: &Arc<Self>) {
        if self.observing.swap(true, Ordering::Relaxed) {
            return;
        }
        let counting = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(FOLD_EVERY);
            loop {
                tick.tick().await;
                let Some(proxy) = counting.upgrade() else { return };
                for (identity, cause, count) in proxy.throttle.folded() {
                    proxy.observe(record::folded(identity.as_ref(), cause, count));
                }
            }
        });
        let proxy = Arc::downgrade(self);
        let observed = Arc::clone(&self.observed);
        tokio::spawn(async move {
            loop {
                observed.notified().await;
                tokio::time::sleep(OBSERVE_EVERY).await;
                let Some(proxy) = proxy.upgrade() else { return };
                proxy.settle().await;
            }
        });
    }
}
