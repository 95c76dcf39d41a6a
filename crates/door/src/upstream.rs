//! The door's own requests to the gateway.

use crate::door::Connect;
use crate::gateway::{CLIENT_ADDRESS, IDENTITY, ORIGIN};
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// The gateway is in the same machine: a connection comes at once or there is no gateway.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A turn over HTTP answers when the model has.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

pub(crate) type Body = BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Headers of a client that go on. Everything else stays here, above all whatever says who the client
/// is or where it comes from: a list of what to remove would miss the next such header.
const PASSED: [HeaderName; 12] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::PRAGMA,
    header::RANGE,
    header::USER_AGENT,
];

/// Headers of the gateway that stay here: they belong to the one connection, or would make the
/// browser keep something of the gateway's for our origin.
const KEPT: [HeaderName; 9] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::SET_COOKIE,
    header::SERVER,
    HeaderName::from_static("keep-alive"),
];

/// Who a request is for, in the gateway's eyes.
pub(crate) struct Caller<'a> {
    /// `Host` of the client, which was found to be one of ours.
    pub(crate) host: &'a str,
    /// Whether the client speaks TLS to us.
    pub(crate) tls: bool,
    /// Whether the client sent an `Origin` (which was found to be one of ours).
    pub(crate) origin: bool,
    /// The scopes of an authenticated client.
    pub(crate) scopes: Option<&'a [String]>,
}

impl Caller<'_> {
    /// The headers that say so.
    pub(crate) fn headers(&self) -> Result<HeaderMap, http::Error> {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static(CLIENT_ADDRESS));
        let proto = if self.tls { "https" } else { "http" };
        headers.insert("x-forwarded-proto", HeaderValue::from_static(proto));
        headers.insert("x-forwarded-host", HeaderValue::from_str(self.host)?);
        if self.origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(ORIGIN));
        }
        if let Some(scopes) = self.scopes {
            headers.insert("x-forwarded-user", HeaderValue::from_static(IDENTITY));
            headers.insert("x-openclaw-scopes", HeaderValue::from_str(&scopes.join(","))?);
        }
        Ok(headers)
    }
}

/// A connection, or an error within the time that a living gateway needs.
pub(crate) async fn connect(to: &dyn Connect) -> io::Result<TcpStream> {
    let stream = tokio::time::timeout(CONNECT_TIMEOUT, to.connect())
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the gateway did not answer"))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends one request over a connection of its own: nothing that one request leaves behind can be
/// read as part of the next.
pub(crate) async fn send(
    to: &Arc<dyn Connect>,
    method: http::Method,
    target: &str,
    from_client: &HeaderMap,
    caller: &Caller<'_>,
    body: Body,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let mut request = Request::builder().method(method).uri(target).body(body)?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1"));
    headers.extend(caller.headers()?);
    for name in PASSED {
        for value in from_client.get_all(&name) {
            headers.append(name.clone(), value.clone());
        }
    }
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let stream = connect(&**to).await?;
    let way = Arc::clone(to);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "the gateway's connection ended early");
            },
            // An answer that is under way ends where it is, and the client sees that it is cut.
            () = way.closed() => tracing::debug!("the door closed"),
        }
    });
    let response = tokio::time::timeout(ANSWER_TIMEOUT, sender.send_request(request))
        .await
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the gateway did not answer"))??;
    Ok(clean(response))
}

fn clean(response: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    for name in KEPT {
        parts.headers.remove(name);
    }
    Response::from_parts(parts, body.map_err(Into::into).boxed())
}
