//! HTTP/2 inside TLS that was opened.
//!
//! Each stream becomes a request of HTTP/1.1 on a pipe, which the same code judges, scans and sends
//! as every other one: there is one reading of a request and one set of rules. What has no form in
//! HTTP/1.1 (trailers, extended CONNECT, server push) does not pass.
//!
//! A stream is a connection of its own to the table of connections, so that a reload or a closing
//! gate cuts it alone; the end of the connection ends all of them.

use super::{Inside, Session};
use crate::chunked::{Decoder, LAST_CHUNK, Step, chunk_head};
use crate::exchange::Upstream;
use crate::head::{Framing, parse_response};
use crate::host::Target;
use crate::identity::Identity;
use crate::policy::Limits;
use crate::proxy::{Proxy, Registered};
use crate::refusal::{Cause, Refusal};
use crate::wire::Input;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Request, Response};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Streams at one time. Browsers are content with 100; a client that wants more opens another
/// connection, which is counted.
const MAX_STREAMS: u32 = 64;

/// Window of one stream and of the connection: what a client may send before it is read.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;

/// Streams that a client opened and took back before they were served; more end the connection.
const MAX_TAKEN_BACK: usize = 20;

/// What waits in the pipe between a stream and its request.
const PIPE: usize = 32 * 1024;

/// Connections to the destination that are kept for the next stream.
const MAX_KEPT: usize = 4;

type Kept = Arc<Mutex<Vec<Upstream>>>;

/// Serves the streams of one connection until it ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    proxy: &Arc<Proxy>,
    identity: &Arc<Identity>,
    target: &Target,
    stream: S,
    limits: &Limits,
) {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(PIPE)
        .max_pending_accept_reset_streams(MAX_TAKEN_BACK);
    let patience = Duration::from_secs(limits.head_seconds);
    let handshake = builder.handshake::<_, Bytes>(stream);
    let Ok(Ok(mut connection)) = timeout(patience, handshake).await else { return };
    let idle = Duration::from_secs(limits.idle_seconds);
    let kept: Kept = Arc::default();
    // Dropping it ends what it holds.
    let mut streams = JoinSet::new();
    let mut last = Instant::now();
    loop {
        tokio::select! {
            accepted = connection.accept() => {
                let Some(Ok((request, respond))) = accepted else { return };
                start(&mut streams, proxy, identity, target, request, respond, &kept, limits);
                last = Instant::now();
            }
            Some(_) = streams.join_next() => last = Instant::now(),
            () = sleep_until(last + idle), if streams.is_empty() => {
                connection.graceful_shutdown();
                let closed = poll_fn(|cx| connection.poll_closed(cx));
                let _ = timeout(Duration::from_secs(2), closed).await;
                return;
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "what one stream needs, used once")]
fn start(
    streams: &mut JoinSet<()>,
    proxy: &Arc<Proxy>,
    identity: &Arc<Identity>,
    target: &Target,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    kept: &Kept,
    limits: &Limits,
) {
    let registered = match Proxy::register(proxy, Arc::clone(identity)) {
        Ok(registered) => registered,
        Err(refusal) => {
            proxy.refused(Some(identity), Some(target), request.method().as_str(), &refusal);
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
    };
    let connection = Arc::clone(&registered.connection);
    let task = serve_stream(
        registered,
        Arc::clone(identity),
        target.clone(),
        request,
        respond,
        Arc::clone(kept),
        limits.clone(),
    );
    connection.aborts(streams.spawn(task));
}

/// One stream. As one type: it serves requests, one of which could otherwise hold another one of
/// these.
fn serve_stream(
    registered: Registered,
    identity: Arc<Identity>,
    target: Target,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    kept: Kept,
    limits: Limits,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let method = request.method().as_str().to_owned();
        let (head, framing) = match request_head(&request, &target) {
            Ok(head) => head,
            Err(why) => {
                let refusal = Refusal::new(Cause::Malformed, why);
                registered.proxy.refused(Some(&identity), Some(&target), &method, &refusal);
                let answer = refusal.response(false, method == "HEAD");
                let _ = answer_whole(&answer, &method, &mut respond, &limits).await;
                return;
            }
        };
        let (near, far) = tokio::io::duplex(PIPE);
        let (from_request, to_request) = tokio::io::split(near);
        let served = serve_request(&registered, &identity, &target, far, &kept);
        let upload = upload(head, framing, request.into_body(), to_request);
        let whole = {
            let download = download(from_request, &method, &mut respond, &limits);
            tokio::pin!(served, upload, download);
            let (mut is_served, mut is_up) = (false, false);
            loop {
                tokio::select! {
                    // It may come before the request is complete; the rest of that is nobody's.
                    answered = &mut download => {
                        if answered.is_ok() && !is_served {
                            // Lets the connection to the destination go back to its place.
                            let _ = timeout(Duration::from_secs(2), &mut served).await;
                        }
                        break answered.is_ok();
                    }
                    () = &mut served, if !is_served => is_served = true,
                    sent = &mut upload, if !is_up => {
                        is_up = true;
                        // The client took it back: what was sent is not a whole request.
                        if sent.is_err() {
                            break false;
                        }
                    }
                }
            }
        };
        if !whole {
            respond.send_reset(Reason::INTERNAL_ERROR);
        }
    })
}

/// The request on its pipe, served like any other.
async fn serve_request(
    registered: &Registered,
    identity: &Arc<Identity>,
    target: &Target,
    pipe: DuplexStream,
    kept: &Kept,
) {
    let lock = || kept.lock().unwrap_or_else(PoisonError::into_inner);
    let (reader, writer) = tokio::io::split(pipe);
    let mut reader = Input::new(Box::new(reader) as Box<dyn AsyncRead + Unpin + Send>);
    let mut writer = Box::new(writer) as Box<dyn AsyncWrite + Unpin + Send>;
    let mut session = Session {
        proxy: &registered.proxy,
        connection: &registered.connection,
        who: Some(Arc::clone(identity)),
        identity: Some(Arc::clone(identity)),
        inside: Some(Inside { target: target.clone(), tls: true }),
        told: false,
    };
    let upstream = lock().pop();
    let left = session.requests(&mut reader, &mut writer, upstream).await;
    if let Some(upstream) = left {
        let mut kept = lock();
        if kept.len() < MAX_KEPT {
            kept.push(upstream);
        }
    }
    let _ = writer.shutdown().await;
}

/// The request as HTTP/1.1 writes it, and how its body follows.
fn request_head(
    request: &Request<RecvStream>,
    target: &Target,
) -> Result<(Vec<u8>, Framing), String> {
    let uri = request.uri();
    if request.method() == http::Method::CONNECT {
        return Err("CONNECT inside a tunnel".into());
    }
    if uri.scheme_str().is_some_and(|scheme| scheme != "https") {
        return Err("the scheme of a request in TLS is not `https`".into());
    }
    let path = uri.path_and_query().map_or("", |path| path.as_str());
    if !path.starts_with('/') {
        return Err("the path does not begin with `/`".into());
    }
    let mut hosts = request.headers().get_all(http::header::HOST).iter();
    let host = hosts.next();
    let authority = uri.authority().map(|a| a.as_str().as_bytes());
    let named = match (authority, host.map(HeaderValue::as_bytes)) {
        (Some(authority), Some(host)) if authority != host => {
            return Err(format!("`:authority` and `Host` of a request to `{target}` differ"));
        }
        (Some(named), _) | (None, Some(named)) => named,
        (None, None) => return Err("the request names no host".into()),
    };
    if hosts.next().is_some() {
        return Err("`Host` is there twice".into());
    }
    let mut out = Vec::with_capacity(512);
    for part in [
        request.method().as_str().as_bytes(),
        b" ",
        path.as_bytes(),
        b" HTTP/1.1\r\nHost: ",
        named,
        b"\r\n",
    ] {
        out.extend_from_slice(part);
    }
    let mut length = None;
    for (name, value) in request.headers() {
        if name == http::header::HOST || name == http::header::COOKIE || is_hop(name) {
            continue;
        }
        if name == http::header::CONTENT_LENGTH {
            if length.is_some() {
                return Err("`Content-Length` is there twice".into());
            }
            let text = value.to_str().ok().filter(|v| v.bytes().all(|b| b.is_ascii_digit()));
            length =
                Some(text.and_then(|v| v.parse().ok()).ok_or("`Content-Length` is no number")?);
            continue;
        }
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    // RFC 9113, 8.2.3: the crumbs of a cookie become one field.
    let crumbs: Vec<&[u8]> =
        request.headers().get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if !crumbs.is_empty() {
        out.extend_from_slice(b"Cookie: ");
        out.extend_from_slice(&crumbs.join(&b"; "[..]));
        out.extend_from_slice(b"\r\n");
    }
    if request.body().is_end_stream() && length.is_some_and(|n: u64| n > 0) {
        return Err("the request has a length and no body".into());
    }
    let framing = match (request.body().is_end_stream(), length) {
        (true, _) => Framing::None,
        (false, Some(n)) => Framing::Length(n),
        (false, None) => Framing::Chunked,
    };
    match (framing, length) {
        (Framing::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        (_, Some(n)) => out.extend_from_slice(format!("Content-Length: {n}\r\n").as_bytes()),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    Ok((out, framing))
}

/// Fields that are for one connection of HTTP/1.1 only.
fn is_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" | "te"
    )
}

/// Passes the request on to its pipe. An error is a request that is not whole; a pipe that nobody
/// reads any more is none, because the answer says why.
async fn upload(
    head: Vec<u8>,
    framing: Framing,
    mut body: RecvStream,
    mut pipe: WriteHalf<DuplexStream>,
) -> Result<(), h2::Error> {
    if pipe.write_all(&head).await.is_err() {
        return Ok(());
    }
    while let Some(data) = body.data().await {
        let data = data?;
        let n = data.len();
        if n == 0 {
            continue;
        }
        let written = async {
            if framing != Framing::Chunked {
                return pipe.write_all(&data).await;
            }
            pipe.write_all(&chunk_head(n)).await?;
            pipe.write_all(&data).await?;
            pipe.write_all(b"\r\n").await
        };
        if written.await.is_err() {
            return Ok(());
        }
        body.flow_control().release_capacity(n)?;
    }
    if framing == Framing::Chunked && pipe.write_all(LAST_CHUNK).await.is_err() {
        return Ok(());
    }
    // The end of the pipe tells that no other request follows.
    let _ = pipe.shutdown().await;
    Ok(())
}

/// Passes the answer back to the client. An error is an answer that is not whole.
async fn download<R: AsyncRead + Unpin>(
    pipe: R,
    method: &str,
    respond: &mut SendResponse<Bytes>,
    limits: &Limits,
) -> Result<(), ()> {
    let idle = Duration::from_secs(limits.tunnel_idle_seconds);
    let mut input = Input::new(pipe);
    let (head, fields) = loop {
        match parse_response(input.bytes(), method).map_err(|_| ())? {
            // Interim answers have no place to go.
            Some(head) if head.status < 200 => input.consume(head.len),
            Some(head) => {
                let fields = response(input.bytes(), head.status)?;
                input.consume(head.len);
                break (head, fields);
            }
            None => tokio::select! {
                read = input.fill_small() => {
                    if read.map_err(|_| ())? == 0 {
                        return Err(());
                    }
                }
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(()),
            },
        }
    };
    let ends = matches!(head.framing, Framing::None | Framing::Length(0));
    let mut stream = respond.send_response(fields, ends).map_err(|_| ())?;
    if ends {
        return Ok(());
    }
    let mut decoder = Decoder::default();
    let mut left = match head.framing {
        Framing::Length(n) => Some(n),
        _ => None,
    };
    loop {
        let n = match (&mut left, head.framing) {
            (_, Framing::Chunked) => match decoder.step(input.bytes()).map_err(|_| ())? {
                Step::Done => break,
                Step::Skip(n) => {
                    input.consume(n);
                    if n > 0 {
                        continue;
                    }
                    0
                }
                Step::Data(n) => n,
            },
            (Some(0), _) => break,
            (Some(left), _) => {
                let n = usize::try_from(*left).unwrap_or(usize::MAX).min(input.bytes().len());
                *left -= n as u64;
                n
            }
            (None, _) => input.bytes().len(),
        };
        if n > 0 {
            let data = Bytes::copy_from_slice(input.bytes().get(..n).unwrap_or_default());
            input.consume(n);
            timeout(idle, send(&mut stream, data)).await.map_err(|_| ())??;
            continue;
        }
        if decoder.is_done() {
            break;
        }
        if input.fill(PIPE).await.map_err(|_| ())? == 0 {
            // Only an answer without any framing ends with its connection.
            if head.framing == Framing::UntilClose {
                break;
            }
            return Err(());
        }
    }
    stream.send_data(Bytes::new(), true).map_err(|_| ())
}

/// An answer that is there as a whole.
async fn answer_whole(
    answer: &[u8],
    method: &str,
    respond: &mut SendResponse<Bytes>,
    limits: &Limits,
) -> Result<(), ()> {
    download(answer, method, respond, limits).await
}

async fn send(stream: &mut SendStream<Bytes>, mut data: Bytes) -> Result<(), ()> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let n = poll_fn(|cx| stream.poll_capacity(cx)).await.ok_or(())?.map_err(|_| ())?;
        let piece = data.split_to(n.min(data.len()));
        if !piece.is_empty() {
            stream.send_data(piece, false).map_err(|_| ())?;
        }
    }
    Ok(())
}

/// Status and end-to-end fields of an answer that the proxy itself wrote.
fn response(head: &[u8], status: u16) -> Result<Response<()>, ()> {
    let mut fields = [httparse::EMPTY_HEADER; crate::head::MAX_FIELDS + 8];
    let mut parsed = httparse::Response::new(&mut fields);
    parsed.parse(head).map_err(|_| ())?;
    let mut response = Response::new(());
    *response.status_mut() = http::StatusCode::from_u16(status).map_err(|_| ())?;
    for field in parsed.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| ())?;
        if !is_hop(&name) {
            let value = HeaderValue::from_bytes(field.value).map_err(|_| ())?;
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
