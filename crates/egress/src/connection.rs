//! One client connection: its requests in turn, each judged anew.

use crate::exchange::{Outcome, Sent, Upstream, exchange, request_head};
use crate::head::{Form, Framing, HeadError, RequestHead, parse_request};
use crate::hello::{self, Opening};
use crate::host::Target;
use crate::identity::Identity;
use crate::policy::{Compiled, Limits};
use crate::proxy::{Connection, HeldHow, Proxy, Registered, content_refusal};
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::replace::Replacer;
use crate::rule::{How, Protocol};
use crate::scan::{BodyScanner, Refused};
use crate::secret::Place;
use crate::socks::{self, SocksError};
use crate::transport::{self, Duplex};
use crate::wire::{Filter, Input, Outgoing, relay_body, tunnel};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest body that is gathered when secrets are put into it. Requests to APIs have a few KiB.
const MAX_GATHERED: u64 = 1024 * 1024;

/// What a client is told when its CONNECT was allowed.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A TLS record with the fatal alert `access_denied`: what a TLS client shows as an error of
/// its own instead of a connection that just ends.
const TLS_ACCESS_DENIED: &[u8] = &[0x15, 3, 3, 0, 2, 2, 49];

/// Whether the client can go on after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

/// Why a connection ends early.
enum End {
    /// Told to the client, then closed.
    Refused(Refusal, &'static str),
    /// The client or the destination is gone.
    Gone,
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// A tunnel in which requests come.
struct Inside {
    target: Target,
    /// Whether they come in TLS that was opened.
    tls: bool,
}

struct Session<'a> {
    proxy: &'a Arc<Proxy>,
    connection: &'a Arc<Connection>,
    /// Of the listener or the tunnel; without one, each request shows its proof.
    identity: Option<Arc<Identity>>,
    /// Who asked last, for the log.
    who: Option<Arc<Identity>>,
    /// The tunnel inside which requests come, if they do.
    inside: Option<Inside>,
    /// The last thing told to the client was a refusal.
    told: bool,
}

pub(crate) async fn run(registered: Registered, stream: TcpStream, fixed: Option<Arc<Identity>>) {
    let _ = stream.set_nodelay(true);
    let (reader, mut writer) = stream.into_split();
    let mut reader = Input::new(reader);
    let mut session = Session {
        proxy: &registered.proxy,
        connection: &registered.connection,
        who: fixed.clone(),
        identity: fixed,
        inside: None,
        told: false,
    };
    let patience = Duration::from_secs(session.proxy.policy().limits.head_seconds);
    match timeout(patience, reader.fill_small()).await {
        Ok(Ok(n)) if n > 0 => {}
        _ => return,
    }
    if reader.bytes().first() == Some(&socks::VERSION) {
        let _ = session.socks(&mut reader, &mut writer, patience).await;
    } else {
        session.requests(&mut reader, &mut writer, None).await;
    }
    if session.told {
        linger(&mut reader, &mut writer).await;
    }
}

/// Closes in order after a refusal: with bytes of the client unread, the kernel would reset the
/// connection and the client might never see the refusal.
async fn linger<R: AsyncRead + Unpin + Send, W: AsyncWrite + Unpin>(
    reader: &mut Input<R>,
    writer: &mut W,
) {
    /// What a client may still send while it has not seen the refusal.
    const MAX_UNREAD: usize = 256 * 1024;
    let _ = timeout(Duration::from_secs(2), async {
        writer.shutdown().await?;
        let mut unread = 0;
        while unread < MAX_UNREAD {
            reader.consume(reader.bytes().len());
            match reader.fill_small().await? {
                0 => break,
                n => unread += n,
            }
        }
        io::Result::Ok(())
    })
    .await;
}

/// Reads until a message is complete, and takes it off the reader.
async fn message<R: AsyncRead + Unpin + Send, T>(
    reader: &mut Input<R>,
    parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, SocksError>,
) -> Result<T, End> {
    loop {
        match parse(reader.bytes()) {
            Ok(Some((parsed, len))) => {
                reader.consume(len);
                return Ok(parsed);
            }
            Ok(None) => {
                if reader.fill_small().await? == 0 {
                    return Err(End::Gone);
                }
            }
            Err(e) => {
                return Err(End::Refused(Refusal::new(Cause::Malformed, e.to_string()), "SOCKS"));
            }
        }
    }
}

impl Session<'_> {
    /// A client of SOCKS5: greeting, proof where one is needed, and one CONNECT.
    async fn socks<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        patience: Duration,
    ) -> Result<(), End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let asked = timeout(patience, async {
            let method = if self.identity.is_some() { 0 } else { 2 };
            if !message(reader, |bytes| socks::greeting(bytes, method)).await? {
                writer.write_all(&socks::NO_METHOD).await?;
                let why = "the client does not offer to show who it is";
                return Err(End::Refused(Refusal::new(Cause::Unidentified, why), "SOCKS"));
            }
            if self.identity.is_none() {
                writer.write_all(&socks::PASSWORD).await?;
                let identity = message(reader, |bytes| {
                    Ok(socks::proof(bytes)?.map(|(user, password, len)| {
                        (self.proxy.authenticate_pair(user, password), len)
                    }))
                })
                .await?;
                let Some(identity) = identity else {
                    writer.write_all(&socks::WRONG).await?;
                    let why = "the client's user or secret is wrong";
                    return Err(End::Refused(Refusal::new(Cause::Unidentified, why), "SOCKS"));
                };
                self.proxy
                    .identify(self.connection, &identity)
                    .map_err(|refusal| End::Refused(refusal, "SOCKS"))?;
                self.who = Some(Arc::clone(&identity));
                self.identity = Some(identity);
                writer.write_all(&socks::WELCOME).await?;
            } else {
                writer.write_all(&socks::NO_PROOF).await?;
            }
            message(reader, socks::request).await
        });
        let target = match asked.await {
            Ok(Ok(target)) => target,
            Ok(Err(End::Refused(refusal, method))) => {
                self.proxy.refused(self.who.as_deref(), None, method, &refusal);
                let _ = writer.write_all(&socks::reply(Some(refusal.cause))).await;
                return Err(End::Gone);
            }
            Ok(Err(gone)) => return Err(gone),
            Err(_) => return Err(End::Gone),
        };
        let identity = self.identity.clone().ok_or(End::Gone)?;
        let granted = socks::reply(None);
        match self.connect(reader, writer, &identity, &target, &granted).await {
            Err(End::Refused(refusal, _)) => {
                self.proxy.refused(Some(&identity), Some(&target), "SOCKS", &refusal);
                self.proxy.release(self.connection);
                let _ = writer.write_all(&socks::reply(Some(refusal.cause))).await;
                Err(End::Gone)
            }
            result => result.map(|_| ()),
        }
    }

    async fn requests<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        mut upstream: Option<Upstream>,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let mut first = true;
        loop {
            let policy = self.proxy.policy();
            let head = match self.read_head(reader, &policy.limits, first).await {
                Ok(Some(head)) => head,
                Ok(None) | Err(End::Gone) => return,
                Err(End::Refused(refusal, method)) => {
                    self.refuse(writer, None, method, &refusal, false).await;
                    return;
                }
            };
            drop(policy);
            first = false;
            reader.consume(head.len);
            match self.request(reader, writer, &head, &mut upstream).await {
                Ok(Next::Request) => {}
                Ok(Next::Close) | Err(_) => return,
            }
        }
    }

    async fn read_head<R: AsyncRead + Unpin>(
        &self,
        reader: &mut Input<R>,
        limits: &Limits,
        first: bool,
    ) -> Result<Option<RequestHead>, End> {
        let malformed =
            |e: HeadError| End::Refused(Refusal::new(Cause::Malformed, e.to_string()), "");
        if reader.bytes().is_empty() && !first {
            let idle = Duration::from_secs(limits.idle_seconds);
            match timeout(idle, reader.fill_small()).await {
                Ok(Ok(n)) if n > 0 => {}
                _ => return Ok(None),
            }
        }
        let mut searched = 0;
        let read = async {
            loop {
                let bytes = reader.bytes();
                // Parsed at the first sight and once its end is there, not at every byte.
                let from = searched.max(3) - 3;
                let ended = bytes
                    .get(from..)
                    .is_some_and(|rest| memchr::memmem::find(rest, b"\r\n\r\n").is_some());
                if (ended || (searched == 0 && !bytes.is_empty()))
                    && let Some(head) = parse_request(bytes).map_err(malformed)?
                {
                    if head.len > limits.head_bytes {
                        return Err(too_long());
                    }
                    return Ok(Some(head));
                }
                searched = bytes.len();
                if searched >= limits.head_bytes {
                    return Err(too_long());
                }
                if reader.fill_small().await? == 0 {
                    return Ok(None);
                }
            }
        };
        match timeout(Duration::from_secs(limits.head_seconds), read).await {
            Ok(result) => result,
            Err(_) => Err(End::Refused(
                Refusal::new(Cause::Malformed, "the request head did not arrive in time")
                    .fix("raise `limits.head_seconds`"),
                "",
            )),
        }
    }

    /// Judges and serves one request.
    async fn request<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        head: &RequestHead,
        upstream: &mut Option<Upstream>,
    ) -> Result<Next, End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        // A body that nobody reads would be taken for the next request.
        let keep = head.keep_alive && head.framing == Framing::None;
        let identity = match self.identify(head) {
            Ok(identity) => identity,
            Err(refusal) => {
                self.refuse(writer, None, &head.method, &refusal, keep).await;
                return Ok(next(keep));
            }
        };
        let (target, path) = match self.destination(head) {
            Ok(Destination::Tunnel(target)) => {
                return match self.connect(reader, writer, &identity, &target, ESTABLISHED).await {
                    Ok(next) => Ok(next),
                    Err(End::Refused(refusal, _)) => {
                        self.refuse(writer, Some(&target), &head.method, &refusal, keep).await;
                        Ok(next(keep))
                    }
                    Err(gone) => Err(gone),
                };
            }
            Ok(Destination::Request(target, path)) => (target, path),
            Err(refusal) => {
                self.refuse(writer, None, &head.method, &refusal, false).await;
                return Ok(Next::Close);
            }
        };
        match self.forward(reader, writer, &identity, head, &target, &path, upstream).await {
            Err(End::Refused(refusal, _)) => {
                self.refuse(writer, Some(&target), &head.method, &refusal, keep).await;
                Ok(next(keep))
            }
            result => result,
        }
    }

    fn identify(&mut self, head: &RequestHead) -> Result<Arc<Identity>, Refusal> {
        if let Some(identity) = &self.identity {
            return Ok(Arc::clone(identity));
        }
        let identity = self.proxy.authenticate(head.credentials.as_deref())?;
        self.proxy.identify(self.connection, &identity)?;
        self.who = Some(Arc::clone(&identity));
        Ok(identity)
    }

    fn destination(&self, head: &RequestHead) -> Result<Destination, Refusal> {
        match (&head.form, &self.inside) {
            (Form::Connect(target), None) => Ok(Destination::Tunnel(target.clone())),
            (Form::Absolute(target, path), None) => {
                Ok(Destination::Request(target.clone(), path.clone()))
            }
            (Form::Origin(path), Some(inside)) => match &head.host {
                Some((host, port))
                    if *host == inside.target.host
                        && port.is_none_or(|port| port == inside.target.port) =>
                {
                    Ok(Destination::Request(inside.target.clone(), path.clone()))
                }
                _ => Err(Refusal::new(
                    Cause::NameMismatch,
                    format!("the `Host` field is not the tunnel's `{}`", inside.target),
                )),
            },
            (Form::Origin(_), None) => Err(Refusal::new(
                Cause::Malformed,
                "this is a forward proxy; the request names no destination",
            )),
            (_, Some(_)) => Err(Refusal::new(Cause::Malformed, "a proxy request inside a tunnel")),
        }
    }

    async fn refuse<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut W,
        target: Option<&Target>,
        method: &str,
        refusal: &Refusal,
        keep: bool,
    ) {
        self.proxy.refused(self.who.as_deref(), target, method, refusal);
        self.proxy.release(self.connection);
        self.told = !keep;
        // Told before it is written down: a refusal lets nothing out.
        let answer = refusal.response(keep, method == "HEAD");
        let send = async { writer.write_all(&answer).await.and(writer.flush().await) };
        let _ = timeout(Duration::from_secs(5), send).await;
    }

    /// A CONNECT: judged, dialled, answered; then what the client sends is judged.
    async fn connect<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        target: &Target,
        granted: &[u8],
    ) -> Result<Next, End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let refused = |refusal| End::Refused(refusal, "CONNECT");
        let admitted = self
            .proxy
            .judge(self.connection, identity, target, HeldHow::Tunnel, None, &[])
            .await
            .map_err(refused)?;
        let addresses = &admitted.addresses;
        let event = record::allowed(identity, target, "CONNECT", &admitted.rule, addresses);
        if self.proxy.policy().intercepts(identity, target).is_some() {
            self.proxy.record(event).await.map_err(refused)?;
            writer.write_all(granted).await?;
            self.opened(reader, writer, identity, target).await;
            return Ok(Next::Close);
        }
        let (recorded, dialled) =
            tokio::join!(self.proxy.record(event), self.proxy.dial(target, addresses));
        recorded.map_err(refused)?;
        let (stream, address) = dialled.map_err(refused)?;
        writer.write_all(granted).await?;
        let mut upstream = Upstream::new(transport::plain(stream), target.clone(), address);
        upstream.meter.clone_from(&admitted.meter);
        // From here the client is inside the tunnel: an HTTP answer of ours would be taken for
        // the destination's.
        let policy = self.proxy.policy();
        if policy.judge(identity, target, How::Carries(Protocol::Raw)).is_ok() {
            self.tunnel(reader, writer, identity, upstream, Protocol::Raw).await;
            return Ok(Next::Close);
        }
        let opening = match self.opening(reader, &policy.limits).await {
            Some(opening) => opening,
            None => return Ok(Next::Close),
        };
        match opening {
            Opening::Tls(hello) => match judge_hello(&policy, identity, target, &hello) {
                Ok(protocol) => self.tunnel(reader, writer, identity, upstream, protocol).await,
                Err(refusal) => {
                    self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
                    let _ = writer.write_all(TLS_ACCESS_DENIED).await;
                }
            },
            Opening::Http => {
                self.inside = Some(Inside { target: target.clone(), tls: false });
                self.identity = Some(Arc::clone(identity));
                Box::pin(self.requests(reader, writer, Some(upstream))).await;
            }
            Opening::Other | Opening::Partial => {
                let refusal = match policy.judge(identity, target, How::Carries(Protocol::Raw)) {
                    Ok(_) => Refusal::new(Cause::Protocol, "the policy changed"),
                    Err(refusal) => refusal,
                };
                self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
            }
        }
        Ok(Next::Close)
    }

    /// [`Self::open`] as one type: what is inside is served by what called it.
    fn opened<'a, R, W>(
        &'a mut self,
        reader: &'a mut Input<R>,
        writer: &'a mut W,
        identity: &'a Arc<Identity>,
        target: &'a Target,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        Box::pin(self.open(reader, writer, identity, target))
    }

    /// Opens the TLS of a tunnel, and serves the requests in it. The destination is dialled for
    /// the first one that is allowed.
    async fn open<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        target: &Target,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let limits = self.proxy.policy().limits.clone();
        let Some(opening) = self.opening(reader, &limits).await else { return };
        self.identity = Some(Arc::clone(identity));
        let refusal = match opening {
            Opening::Tls(hello) => match named(target, &hello) {
                Ok(Some(())) => {
                    self.inside = Some(Inside { target: target.clone(), tls: true });
                    match self.inside_tls(reader, writer, target, &limits).await {
                        Ok(()) => return,
                        Err(refusal) => refusal,
                    }
                }
                Ok(None) => Refusal::new(
                    Cause::NameMismatch,
                    format!("TLS to `{target}` shows no server name, and the rule opens it"),
                ),
                Err(refusal) => {
                    let _ = writer.write_all(TLS_ACCESS_DENIED).await;
                    refusal
                }
            },
            // Judged by the rules for plain requests.
            Opening::Http => {
                self.inside = Some(Inside { target: target.clone(), tls: false });
                Box::pin(self.requests(reader, writer, None)).await;
                return;
            }
            Opening::Other | Opening::Partial => Refusal::new(
                Cause::Protocol,
                format!("`{target}` is opened by a rule, and this is neither TLS nor HTTP"),
            ),
        };
        self.proxy.refused(Some(identity), Some(target), "CONNECT", &refusal);
    }

    async fn inside_tls<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        target: &Target,
        limits: &Limits,
    ) -> Result<(), Refusal>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let Some(interception) = self.proxy.interception() else {
            return Err(Refusal::new(Cause::Protocol, "TLS is not opened by any rule"));
        };
        let accepted = interception.accept(Duplex { reader, writer }, target);
        let patience = Duration::from_secs(limits.head_seconds);
        let stream = timeout(patience, accepted).await.unwrap_or_else(|_| {
            let why = format!("TLS of the client to `{target}` did not begin in time");
            Err(Refusal::new(Cause::Protocol, why))
        })?;
        let (read, write) = tokio::io::split(stream);
        // One type for all that is inside, or it would have no end.
        let mut reader = Input::new(Box::new(read) as Box<dyn AsyncRead + Unpin + Send + '_>);
        let mut writer = Box::new(write) as Box<dyn AsyncWrite + Unpin + Send + '_>;
        Box::pin(self.requests(&mut reader, &mut writer, None)).await;
        if std::mem::take(&mut self.told) {
            linger(&mut reader, &mut writer).await;
        } else {
            let _ = timeout(Duration::from_secs(2), writer.shutdown()).await;
        }
        Ok(())
    }

    /// Waits for enough of the client's first bytes to say what they are.
    async fn opening<R: AsyncRead + Unpin>(
        &self,
        reader: &mut Input<R>,
        limits: &Limits,
    ) -> Option<Opening> {
        let read = async {
            loop {
                match hello::classify(reader.bytes()) {
                    Opening::Partial if reader.bytes().len() > 2 * hello::MAX_HELLO => {
                        return Some(Opening::Other);
                    }
                    Opening::Partial => {
                        if reader.fill_small().await.unwrap_or(0) == 0 {
                            return None;
                        }
                    }
                    opening => return Some(opening),
                }
            }
        };
        timeout(Duration::from_secs(limits.head_seconds), read).await.ok().flatten()
    }

    async fn tunnel<R, W>(
        &self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        upstream: Upstream,
        protocol: Protocol,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        // Another rule than that of the CONNECT may be the one that allows the protocol, and its
        // view of the address counts.
        let how = HeldHow::Carries(protocol);
        let known = [upstream.address];
        let judged = self
            .proxy
            .judge(self.connection, identity, &upstream.target, how, Some(&known), &[])
            .await;
        if let Err(refusal) = judged {
            self.proxy.refused(Some(identity), Some(&upstream.target), "CONNECT", &refusal);
            return;
        }
        self.relay(reader, writer, identity, upstream).await;
    }

    async fn relay<R, W>(
        &self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        upstream: Upstream,
    ) where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let idle = Duration::from_secs(self.proxy.policy().limits.tunnel_idle_seconds);
        let Upstream { target, reader: server, writer: mut server_writer, meter, .. } = upstream;
        let (mut server_reader, back) = server.into_parts();
        let (client_reader, ahead) = reader.take_parts();
        let (traffic, over) = tunnel(
            (client_reader, writer),
            (&mut server_reader, &mut server_writer),
            (ahead, back),
            meter.clone(),
            idle,
        )
        .await;
        if let (Some(over), Some(meter)) = (over, meter) {
            let refusal = meter.refusal(identity, over);
            self.proxy.refused(Some(identity), Some(&target), "tunnel", &refusal);
        }
        self.proxy.observe(record::closed(identity, &target, traffic));
    }

    /// One plain request: judged, written down, sent; the answer is passed back.
    #[expect(clippy::too_many_arguments, reason = "the parts of one request, used once")]
    async fn forward<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        identity: &Arc<Identity>,
        head: &RequestHead,
        target: &Target,
        path: &str,
        slot: &mut Option<Upstream>,
    ) -> Result<Next, End>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let refused = |refusal| End::Refused(refusal, "");
        let tls = self.inside.as_ref().is_some_and(|inside| inside.tls);
        let how = HeldHow::Request {
            method: head.method.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            websocket: head.websocket,
            tls,
        };
        let reusable = slot.as_mut().is_some_and(|u| u.target == *target && u.reader.is_quiet());
        let known = slot.as_ref().filter(|_| reusable).map(|u| [u.address]);
        let known = known.as_ref().map(|k| &k[..]);
        let content = [
            (Place::Url, head.method.as_bytes()),
            (Place::Url, path.as_bytes()),
            (Place::Headers, &head.fields),
        ];
        let admitted = self
            .proxy
            .judge(self.connection, identity, target, how, known, &content)
            .await
            .map_err(refused)?;
        let addresses = &admitted.addresses;
        let event = record::allowed(identity, target, &head.method, &admitted.rule, addresses);
        let mut upstream = match slot.take().filter(|_| reusable) {
            Some(upstream) => {
                self.proxy.record(event).await.map_err(refused)?;
                upstream
            }
            None => {
                let (recorded, dialled) =
                    tokio::join!(self.proxy.record(event), self.proxy.dial(target, addresses));
                recorded.map_err(refused)?;
                let (stream, address) = dialled.map_err(refused)?;
                let halves = if tls {
                    transport::secure(self.proxy.secure(stream, target).await.map_err(refused)?)
                } else {
                    transport::plain(stream)
                };
                Upstream::new(halves, target.clone(), address)
            }
        };
        let limits = self.proxy.policy().limits.clone();
        let meter = admitted.meter;
        upstream.meter.clone_from(&meter);
        let secrets = self.proxy.secrets();
        let bound = secrets.bound(identity, &target.host, tls);
        let mut carries = admitted.carries;
        carries.extend(bound.carries(Place::Body));
        let swapped = if bound.is_empty() { None } else { bound.body(&head.fields) };
        let mut filter = (head.framing != Framing::None).then(|| Outgoing {
            scan: BodyScanner::new(self.proxy.scanner(), carries),
            meter: meter.clone(),
            replace: swapped.clone().map(Replacer::new),
        });
        let over_budget = |over| match &meter {
            Some(meter) => meter.refusal(identity, over),
            None => Refusal::new(Cause::Budget, "the budget is spent"),
        };
        let outgoing_path = bound.url(path);
        let outgoing_fields =
            if bound.is_empty() { head.fields.clone() } else { bound.fields(&head.fields) };
        let mut sent =
            Sent { path: &outgoing_path, fields: &outgoing_fields, framing: head.framing, tls };
        let mut from = head.framing;
        let mut whole = Vec::new();
        let mut early = None;
        // With another text in it the body has another length: a short one is gathered to know
        // it, a long one goes in chunks, which not every server takes.
        match (&swapped, head.framing, filter.as_mut()) {
            (Some(_), Framing::Length(n), Some(filter)) if n <= MAX_GATHERED => {
                let idle = Duration::from_secs(limits.tunnel_idle_seconds);
                let gathered =
                    relay_body(reader, &mut whole, Vec::new(), from, false, Some(filter), idle);
                early = gathered.await.err();
                from = Framing::None;
                sent.framing = Framing::Length(whole.len() as u64);
            }
            (Some(_), Framing::Length(_), _) => sent.framing = Framing::Chunked,
            _ => {}
        }
        let mut request = request_head(head, target, &sent);
        request.append(&mut whole);
        if let Some(Err(over)) = meter.as_ref().map(|meter| meter.spend(request.len())) {
            return Err(refused(over_budget(over)));
        }
        let filter = filter.as_mut().map(|filter| -> &mut dyn Filter { filter });
        let redact = bound.answer();
        let (outcome, answered) = match early {
            Some(error) => (Outcome::of_request(error), false),
            None => {
                let framing = (from, sent.framing);
                let redact = redact.as_ref();
                exchange(
                    reader,
                    writer,
                    &mut upstream,
                    head,
                    request,
                    framing,
                    filter,
                    redact,
                    &limits,
                )
                .await
            }
        };
        match outcome {
            Outcome::Over(over) if !answered => {
                let refusal = over_budget(over);
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
            Outcome::Over(over) => {
                self.proxy.refused(Some(identity), Some(target), &head.method, &over_budget(over));
                Err(End::Gone)
            }
            Outcome::Refused(refused) if !answered => {
                let refusal = match refused {
                    Refused::Found(finding) => content_refusal(&finding, target, &secrets, tls),
                    Refused::Bomb => {
                        Refusal::new(Cause::Content, "the compressed body expands without measure")
                    }
                };
                let refusal = refusal.rule(&admitted.rule);
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
            Outcome::Refused(_) => Err(End::Gone),
            Outcome::Kept => {
                self.proxy.release(self.connection);
                *slot = Some(upstream);
                Ok(next(head.keep_alive))
            }
            Outcome::Ended => {
                self.proxy.release(self.connection);
                Ok(next(head.keep_alive))
            }
            Outcome::Closed => Ok(Next::Close),
            Outcome::Upgraded => {
                self.relay(reader, writer, identity, upstream).await;
                Ok(Next::Close)
            }
            // The head of an answer has gone out: only closing tells the client that it is cut.
            Outcome::Failed(_) if answered => Err(End::Gone),
            Outcome::Failed(why) => {
                let refusal = Refusal::new(Cause::Unreachable, format!("`{target}`: {why}"));
                self.refuse(writer, Some(target), &head.method, &refusal, false).await;
                Ok(Next::Close)
            }
        }
    }
}

enum Destination {
    Tunnel(Target),
    Request(Target, String),
}

fn next(keep: bool) -> Next {
    if keep { Next::Request } else { Next::Close }
}

fn too_long() -> End {
    End::Refused(
        Refusal::new(Cause::Malformed, "the request head is too long")
            .fix("raise `limits.head_bytes`"),
        "",
    )
}

/// Whether the name in TLS, if there is one, is the name that was asked for.
fn named(target: &Target, hello: &hello::ClientHello) -> Result<Option<()>, Refusal> {
    let mismatch = |why: String| Refusal::new(Cause::NameMismatch, why);
    if hello.odd_name {
        return Err(mismatch(format!("the server name in TLS to `{target}` is malformed")));
    }
    match &hello.server_name {
        Some(name) if *name == target.host => Ok(Some(())),
        Some(name) => Err(mismatch(format!("the server name in TLS to `{target}` is `{name}`"))),
        None => Ok(None),
    }
}

/// The name in TLS is the name that was asked for, or the rule says otherwise.
fn judge_hello(
    policy: &Compiled,
    identity: &Identity,
    target: &Target,
    hello: &hello::ClientHello,
) -> Result<Protocol, Refusal> {
    let protocol = match named(target, hello)? {
        Some(()) => Protocol::Tls,
        None => Protocol::TlsWithoutName,
    };
    let rule = policy.judge(identity, target, How::Carries(protocol))?;
    if hello.ech && !rule.ech {
        return Err(Refusal::new(
            Cause::NameMismatch,
            format!("TLS to `{target}` has Encrypted Client Hello, which can hide another name"),
        )
        .rule(&rule.name)
        .fix(format!(
            "set `ech = true` in the rule `{}`, or turn it off in the client",
            rule.name
        )));
    }
    Ok(protocol)
}
