//! One request and its answer over a connection to a destination.

use crate::budget::{Meter, Over};
use crate::head::{Framing, RequestHead, parse_response, write_framing};
use crate::host::Target;
use crate::policy::Limits;
use crate::replace::{Replacer, Table};
use crate::scan::Refused;
use crate::transport::{Receiver, Sender};
use crate::wire::{Filter, Input, Redact, RelayError, relay_body};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// A connection to a destination, kept for the next request to the same one.
pub(crate) struct Upstream {
    pub(crate) target: Target,
    pub(crate) address: IpAddr,
    pub(crate) reader: Input<Receiver>,
    pub(crate) writer: Sender,
    /// Counts what goes out through it, for the request or tunnel at hand.
    pub(crate) meter: Option<Meter>,
}

impl Upstream {
    pub(crate) fn new(halves: (Receiver, Sender), target: Target, address: IpAddr) -> Self {
        let (reader, writer) = halves;
        Self { target, address, reader: Input::new(reader), writer, meter: None }
    }
}

/// How an exchange ended.
pub(crate) enum Outcome {
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

impl Outcome {
    /// The body of a request did not arrive, or must not go on.
    pub(crate) fn of_request(error: RelayError) -> Self {
        match error {
            RelayError::From(e) => Self::Failed(format!("the request broke off: {e}")),
            RelayError::To => Self::Failed("the destination closed the connection".into()),
            RelayError::Refused(refused) => Self::Refused(refused),
            RelayError::Over(over) => Self::Over(over),
        }
    }
}

/// Sends a request and passes the answer back. Also says whether a part of an answer has gone to
/// the client.
#[expect(clippy::too_many_arguments, reason = "the parts of one exchange, used once")]
pub(crate) async fn exchange<R, W>(
    reader: &mut Input<R>,
    writer: &mut W,
    upstream: &mut Upstream,
    head: &RequestHead,
    request: Vec<u8>,
    (from, into): (Framing, Framing),
    filter: Option<&mut dyn Filter>,
    redact: Option<&Arc<Table>>,
    limits: &Limits,
) -> (Outcome, bool)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let idle = Duration::from_secs(limits.tunnel_idle_seconds);
    let mut answered = false;
    let (server_reader, server_writer) = (&mut upstream.reader, &mut upstream.writer);
    if from == Framing::None {
        if send(server_writer, &request).await.is_err() {
            return (Outcome::Failed("the destination closed the connection".into()), false);
        }
        let outcome = answer(server_reader, writer, head, redact, limits, &mut answered).await;
        return (outcome, answered);
    }
    let outcome = {
        let upload = relay_body(reader, server_writer, request, from, chunked(into), filter, idle);
        let download = answer(server_reader, writer, head, redact, limits, &mut answered);
        tokio::pin!(upload, download);
        tokio::select! {
        uploaded = &mut upload => match uploaded {
            Ok(()) => download.await,
            // A server may answer and close before it has read all.
            Err(RelayError::To) => match download.await {
                Outcome::Failed(why) => Outcome::Failed(why),
                _ => Outcome::Failed("answered before the request was complete".into()),
            },
            Err(error) => Outcome::of_request(error),
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

/// What goes out of a request: path and fields as they are sent, and how the body is delimited
/// then.
pub(crate) struct Sent<'a> {
    pub(crate) path: &'a str,
    pub(crate) fields: &'a [u8],
    pub(crate) framing: Framing,
    pub(crate) tls: bool,
}

pub(crate) fn request_head(head: &RequestHead, target: &Target, sent: &Sent<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(sent.fields.len() + sent.path.len() + 128);
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(sent.path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
    let default = if sent.tls { 443 } else { 80 };
    let host = if target.port == default { target.host.to_string() } else { target.to_string() };
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(sent.fields);
    write_framing(&mut out, sent.framing);
    if head.websocket {
        out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// TLS keeps what its socket did not take at once until it is flushed.
async fn send<W: AsyncWrite + Unpin>(to: &mut W, bytes: &[u8]) -> std::io::Result<()> {
    to.write_all(bytes).await?;
    to.flush().await
}

/// Passes the answer of a destination back.
async fn answer<R, W>(
    server: &mut Input<R>,
    writer: &mut W,
    request: &RequestHead,
    redact: Option<&Arc<Table>>,
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
        let mut out = match redact {
            Some(table) => table.replace(&head.fields),
            None => head.fields,
        };
        if redact.is_some() && head.encoded && head.framing != Framing::None {
            let why =
                "its answer is compressed although it was asked not to, and could show a secret";
            return Outcome::Failed(why.into());
        }
        // What takes the place of a secret has another length.
        let framing = match (redact, head.framing) {
            (None, framing) | (_, framing @ Framing::None) => framing,
            _ => Framing::Chunked,
        };
        if head.status == 101 {
            if !(request.websocket && head.websocket) {
                return Outcome::Failed("it switched protocols without being asked".into());
            }
            out.extend_from_slice(b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            *answered = true;
            return match send(writer, &out).await {
                Ok(()) => Outcome::Upgraded,
                Err(_) => Outcome::Failed("the client is gone".into()),
            };
        }
        let keep = request.keep_alive && head.framing != Framing::UntilClose;
        let http10 = !request.http11;
        if head.status >= 200 {
            // A client of HTTP/1.0 does not know chunks; the end of the connection ends its body.
            if !(http10 && framing == Framing::Chunked) {
                write_framing(&mut out, framing);
            }
            if !keep {
                out.extend_from_slice(b"Connection: close\r\n");
            }
        }
        out.extend_from_slice(b"\r\n");
        *answered = true;
        if head.status < 200 {
            if send(writer, &out).await.is_err() {
                return Outcome::Failed("the client is gone".into());
            }
            continue;
        }
        let mut filter = redact.map(|table| Redact(Replacer::new(Arc::clone(table))));
        let filter = filter.as_mut().map(|filter| -> &mut dyn Filter { filter });
        let encode = !http10 && chunked(framing);
        let relayed = relay_body(server, writer, out, head.framing, encode, filter, idle).await;
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
