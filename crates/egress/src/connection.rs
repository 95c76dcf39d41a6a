//! One client connection: its requests in turn, each judged anew.

mod forward;
mod http2;
mod tunnel;

use crate::exchange::Upstream;
use crate::head::{Form, Framing, HeadError, RequestHead, parse_request};
use crate::host::Target;
use crate::identity::Identity;
use crate::policy::Limits;
use crate::proxy::{Connection, Proxy, Registered};
use crate::refusal::{Cause, Refusal};
use crate::socks::{self, SocksError};
use crate::wire::Input;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What a client is told when its CONNECT was allowed.
const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

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

    /// Serves requests until the client or a refusal ends it. Gives back the connection to the
    /// destination if another request can go over it.
    async fn requests<R, W>(
        &mut self,
        reader: &mut Input<R>,
        writer: &mut W,
        mut upstream: Option<Upstream>,
    ) -> Option<Upstream>
    where
        R: AsyncRead + Unpin + Send,
        W: AsyncWrite + Unpin + Send,
    {
        let mut first = true;
        loop {
            let policy = self.proxy.policy();
            let head = match self.read_head(reader, &policy.limits, first).await {
                Ok(Some(head)) => head,
                Ok(None) | Err(End::Gone) => return upstream,
                Err(End::Refused(refusal, method)) => {
                    self.refuse(writer, None, method, &refusal, false).await;
                    return upstream;
                }
            };
            drop(policy);
            first = false;
            reader.consume(head.len);
            match self.request(reader, writer, &head, &mut upstream).await {
                Ok(Next::Request) => {}
                Ok(Next::Close) | Err(_) => return upstream,
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
