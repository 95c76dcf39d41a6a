//! One client connection: its requests in turn, each judged anew.

use crate::budget::{Meter, Over};
use crate::head::{
    Form, Framing, HeadError, RequestHead, parse_request, parse_response, write_framing,
};
use crate::hello::{self, Opening};
use crate::host::Target;
use crate::identity::Identity;
use crate::policy::{Compiled, Limits};
use crate::proxy::{Connection, HeldHow, Proxy, Registered, content_refusal};
use crate::record;
use crate::refusal::{Cause, Refusal};
use crate::rule::{How, Protocol};
use crate::scan::{BodyScanner, Refused};
use crate::socks::{self, SocksError};
use crate::wire::{Filter, Input, Outgoing, RelayError, relay_body, tunnel};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// What a client is told when its CONNECT was allowed.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// A TLS record with the fatal alert `access_denied`: what a TLS client shows as an error of
/// its own instead of a connection that just ends.
const TLS_ACCESS_DENIED: &[u8] = &[0x15, 3, 3, 0, 2, 2, 49];

/// A connection to a destination, kept for the next request to the same one.
struct Upstream {
    target: Target,
    address: IpAddr,
    reader: Input<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// Counts what goes out through it, for the request or tunnel at hand.
    meter: Option<Meter>,
}

impl Upstream {
    fn new(stream: TcpStream, target: Target, address: IpAddr) -> Self {
        let (reader, writer) = stream.into_split();
        Self { target, address, reader: Input::new(reader), writer, meter: None }
    }
}

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

struct Session<'a> {
    proxy: &'a Arc<Proxy>,
    connection: &'a Arc<Connection>,
    /// Of the listener or the tunnel; without one, each request shows its proof.
    identity: Option<Arc<Identity>>,
    /// Who asked last, for the log.
    who: Option<Arc<Identity>>,
    /// The tunnel inside which requests come, if they do.
    inside: Option<Target>,
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
async fn linger<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
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
async fn message<R: AsyncRead + Unpin, T>(
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
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
                    if *host == inside.host && port.is_none_or(|port| port == inside.port) =>
                {
                    Ok(Destination::Request(inside.clone(), path.clone()))
                }
                _ => Err(Refusal::new(
                    Cause::NameMismatch,
                    format!("the `Host` field is not the tunnel's `{inside}`"),
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
        let _ = timeout(Duration::from_secs(5), writer.write_all(&answer)).await;
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let refused = |refusal| End::Refused(refusal, "CONNECT");
        let admitted = self
            .proxy
            .judge(self.connection, identity, target, HeldHow::Tunnel, None, &[])
            .await
            .map_err(refused)?;
        let addresses = &admitted.addresses;
        let event = record::allowed(identity, target, "CONNECT", &admitted.rule, addresses);
        let (recorded, dialled) =
            tokio::join!(self.proxy.record(event), self.proxy.dial(target, addresses));
        recorded.map_err(refused)?;
        let (stream, address) = dialled.map_err(refused)?;
        writer.write_all(granted).await?;
        let mut upstream = Upstream::new(stream, target.clone(), address);
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
                self.inside = Some(target.clone());
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
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
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let refused = |refusal| End::Refused(refusal, "");
        let how = HeldHow::Request {
            method: head.method.clone(),
            path: path.split('?').next().unwrap_or_default().to_owned(),
            websocket: head.websocket,
        };
        let reusable = slot.as_mut().is_some_and(|u| u.target == *target && u.reader.is_quiet());
        let known = slot.as_ref().filter(|_| reusable).map(|u| [u.address]);
        let known = known.as_ref().map(|k| &k[..]);
        let content = [head.method.as_bytes(), path.as_bytes(), &head.fields];
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
                Upstream::new(stream, target.clone(), address)
            }
        };
        let limits = self.proxy.policy().limits.clone();
        let meter = admitted.meter;
        upstream.meter.clone_from(&meter);
        let mut filter = (head.framing != Framing::None).then(|| Outgoing {
            scan: BodyScanner::new(self.proxy.scanner(), admitted.carries),
            meter: meter.clone(),
        });
        let over_budget = |over| match &meter {
            Some(meter) => meter.refusal(identity, over),
            None => Refusal::new(Cause::Budget, "the budget is spent"),
        };
        let request = request_head(head, target, path);
        if let Some(Err(over)) = meter.as_ref().map(|meter| meter.spend(request.len())) {
            return Err(refused(over_budget(over)));
        }
        let filter = filter.as_mut().map(|filter| -> &mut dyn Filter { filter });
        let (outcome, answered) =
            exchange(reader, writer, &mut upstream, head, request, filter, &limits).await;
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
                    Refused::Found(finding) => content_refusal(&finding, target),
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

/// The name in TLS is the name that was asked for, or the rule says otherwise.
fn judge_hello(
    policy: &Compiled,
    identity: &Identity,
    target: &Target,
    hello: &hello::ClientHello,
) -> Result<Protocol, Refusal> {
    let mismatch = |why: String| Refusal::new(Cause::NameMismatch, why);
    if hello.odd_name {
        return Err(mismatch(format!("the server name in TLS to `{target}` is malformed")));
    }
    let protocol = match &hello.server_name {
        Some(name) if *name == target.host => Protocol::Tls,
        Some(name) => {
            return Err(mismatch(format!("the server name in TLS to `{target}` is `{name}`")));
        }
        None => Protocol::TlsWithoutName,
    };
    let rule = policy.judge(identity, target, How::Carries(protocol))?;
    if hello.ech && !rule.ech {
        return Err(mismatch(format!(
            "TLS to `{target}` has Encrypted Client Hello, which can hide another name"
        ))
        .rule(&rule.name)
        .fix(format!(
            "set `ech = true` in the rule `{}`, or turn it off in the client",
            rule.name
        )));
    }
    Ok(protocol)
}

enum Outcome {
    /// Done; the destination takes another request.
    Kept,
    /// Done; the destination has closed.
    Ended,
    /// Done, and the end of the connection is the end of the answer.
    Closed,
    /// Both sides speak WebSocket now.
    Upgraded,
    /// The body of the request must not go on.
    Refused(Refused),
    /// The body of the request does not fit into the budget.
    Over(Over),
    /// It broke off.
    Failed(String),
}

/// Sends a request and passes the answer back. Also says whether a part of an answer has gone to
/// the client.
async fn exchange<R, W>(
    reader: &mut Input<R>,
    writer: &mut W,
    upstream: &mut Upstream,
    head: &RequestHead,
    request: Vec<u8>,
    filter: Option<&mut dyn Filter>,
    limits: &Limits,
) -> (Outcome, bool)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let idle = Duration::from_secs(limits.tunnel_idle_seconds);
    let mut answered = false;
    let (server_reader, server_writer) = (&mut upstream.reader, &mut upstream.writer);
    if head.framing == Framing::None {
        if server_writer.write_all(&request).await.is_err() {
            return (Outcome::Failed("the destination closed the connection".into()), false);
        }
        let outcome = answer(server_reader, writer, head, limits, &mut answered).await;
        return (outcome, answered);
    }
    let outcome = {
        let upload = relay_body(
            reader,
            server_writer,
            request,
            head.framing,
            chunked(head.framing),
            filter,
            idle,
        );
        let download = answer(server_reader, writer, head, limits, &mut answered);
        tokio::pin!(upload, download);
        tokio::select! {
        uploaded = &mut upload => match uploaded {
            Ok(()) => download.await,
            // A server may answer and close before it has read all.
            Err(RelayError::To) => match download.await {
                Outcome::Failed(why) => Outcome::Failed(why),
                _ => Outcome::Failed("answered before the request was complete".into()),
            },
            Err(RelayError::From(e)) => Outcome::Failed(format!("the request broke off: {e}")),
            Err(RelayError::Refused(refused)) => Outcome::Refused(refused),
            Err(RelayError::Over(over)) => Outcome::Over(over),
        },
        early = &mut download => match early {
            Outcome::Failed(why) => Outcome::Failed(why),
            // What the client still sends belongs to a request that is over.
            _ => Outcome::Failed("answered before the request was complete".into()),
        },
        }
    };
    (outcome, answered)
}

fn chunked(framing: Framing) -> bool {
    framing == Framing::Chunked
}

fn request_head(head: &RequestHead, target: &Target, path: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.fields.len() + path.len() + 128);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    let host = if target.port == 80 { target.host.to_string() } else { target.to_string() };
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&head.fields);
    write_framing(&mut out, head.framing);
    if head.websocket {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// Passes the answer of a destination back.
async fn answer<R, W>(
    server: &mut Input<R>,
    writer: &mut W,
    request: &RequestHead,
    limits: &Limits,
    answered: &mut bool,
) -> Outcome
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let idle = Duration::from_secs(limits.tunnel_idle_seconds);
    // Some servers send a 100 or 103 each second while they work.
    const MAX_INTERIM: usize = 64;
    for _ in 0..MAX_INTERIM {
        let head = loop {
            let bytes = server.bytes();
            if !bytes.is_empty() {
                match parse_response(bytes, &request.method) {
                    Ok(Some(head)) => break head,
                    Ok(None) if bytes.len() >= limits.head_bytes => {
                        return Outcome::Failed("the head of its answer is too long".into());
                    }
                    Ok(None) => {}
                    Err(e) => return Outcome::Failed(format!("its answer is malformed: {e}")),
                }
            }
            match timeout(idle, server.fill_small()).await {
                Err(_) => return Outcome::Failed("it did not answer in time".into()),
                Ok(Ok(n)) if n > 0 => {}
                Ok(_) => return Outcome::Failed("it closed without an answer".into()),
            }
        };
        server.consume(head.len);
        let mut out = head.fields;
        if head.status == 101 {
            if !(request.websocket && head.websocket) {
                return Outcome::Failed("it switched protocols without being asked".into());
            }
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            *answered = true;
            return match writer.write_all(&out).await {
                Ok(()) => Outcome::Upgraded,
                Err(_) => Outcome::Failed("the client is gone".into()),
            };
        }
        let keep = request.keep_alive && head.framing != Framing::UntilClose;
        let http10 = !request.http11;
        if head.status >= 200 {
            // A client of HTTP/1.0 does not know chunks; the end of the connection ends its body.
            if !(http10 && head.framing == Framing::Chunked) {
                write_framing(&mut out, head.framing);
            }
            if !keep {
                out.extend_from_slice(b"Connection: close\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        *answered = true;
        if head.status < 200 {
            if writer.write_all(&out).await.is_err() {
                return Outcome::Failed("the client is gone".into());
            }
            continue;
        }
        let relayed = relay_body(
            server,
            writer,
            out,
            head.framing,
            !http10 && chunked(head.framing),
            None,
            idle,
        )
        .await;
        return match relayed {
            Ok(()) if keep && head.keep_alive && server.bytes().is_empty() => Outcome::Kept,
            Ok(()) if !keep => Outcome::Closed,
            Ok(()) => Outcome::Ended,
            Err(RelayError::From(e)) => Outcome::Failed(format!("its answer broke off: {e}")),
            Err(RelayError::To | RelayError::Refused(_) | RelayError::Over(_)) => {
                Outcome::Failed("the client is gone".into())
            }
        };
    }
    Outcome::Failed("it sent interim answers without end".into())
}
