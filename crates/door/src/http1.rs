//! HTTP: who asks, for what, and where the answer comes from.

use crate::door::{Denied, Door, Peer};
use crate::frame;
use crate::judge;
use crate::record;
use crate::routes::{Kind, Route};
use crate::token::{Principal, Role};
use crate::upstream::{self, Body, Caller};
use crate::ws;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Headers of one request; browsers send about twenty.
const MAX_HEADERS: usize = 64;

/// Request line and headers together; also the smallest that hyper takes.
const MAX_HEAD: usize = 32 * 1024;

/// What a client with a token is told for whom there is no place.
pub(crate) const FULL: &str = "Seawall: too many connections are open, all together or of this token; close some, or raise `max_connections` in the part [door] of Seawall's configuration.";

/// Serves one connection until it ends.
pub(crate) async fn connection<S>(door: Arc<Door>, stream: S, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let login = Duration::from_secs(door.config.login_seconds);
    let place = Arc::clone(&peer.place);
    let service = service_fn(move |request| {
        let door = Arc::clone(&door);
        let peer = peer.clone();
        async move { Ok::<_, Infallible>(answer(&door, &peer, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(login)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        served = served => if let Err(error) = served {
            tracing::debug!(%error, "a client's connection ended early");
        },
        () = place.gone() => tracing::debug!("a client without a token made room for another"),
    }
}

async fn answer(door: &Arc<Door>, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
    let mut response = match judged(door, peer, request).await {
        Ok(response) => response,
        Err(refusal) => {
            if let Some(why) = refusal.record {
                door.record.note(record::refused(
                    refusal.who.as_deref(),
                    peer.source,
                    &refusal.what,
                    &why,
                ));
            }
            text(refusal.status, &refusal.message)
        }
    };
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Seawall\""));
    }
    response
        .headers_mut()
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    response
}

/// Why a request is not answered by the gateway.
struct Refusal {
    status: StatusCode,
    message: String,
    /// The reason for the log; `None` where another event said it already or nothing is refused.
    record: Option<String>,
    what: String,
    who: Option<Box<Principal>>,
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            status,
            message: message.into(),
            record: None,
            what: String::new(),
            who: None,
        })
    }

    fn recorded(mut self: Box<Self>, what: &str, who: Option<&Principal>) -> Box<Self> {
        self.record = Some(self.message.clone());
        what.clone_into(&mut self.what);
        self.who = who.map(|w| Box::new(w.clone()));
        self
    }
}

async fn judged(
    door: &Arc<Door>,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<Refusal>> {
    let target = request.uri().path_and_query().map_or_else(|| "*".to_owned(), ToString::to_string);
    let what = format!("{} {}", request.method(), target.split('?').next().unwrap_or_default());
    let host = names(peer, &request).map_err(|r| r.recorded(&what, None))?;
    let origin = request.headers().contains_key(header::ORIGIN);
    if request.uri().authority().is_some() || request.method() == Method::CONNECT {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "Seawall: this is no forward proxy.")
            .recorded(&what, None));
    }
    if request.headers().contains_key(header::TRANSFER_ENCODING)
        && request.headers().contains_key(header::CONTENT_LENGTH)
    {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "Seawall: a request has one length, not two.",
        )
        .recorded(&what, None));
    }
    if request.headers().contains_key(header::UPGRADE) {
        return ws::upgrade(door, peer, request, host, origin).map_err(|message| {
            Refusal::new(StatusCode::BAD_REQUEST, message).recorded(&what, None)
        });
    }
    let Route { kind, reason } = door.routes.classify(request.method(), &target);
    let (target, kind) = match kind {
        Kind::Never => {
            return Err(Refusal::new(
                StatusCode::FORBIDDEN,
                format!("Seawall: this address is refused through this door: {reason}"),
            )
            .recorded(&what, None));
        }
        Kind::Unknown if navigates(request.headers()) => ("/".to_owned(), Kind::Static),
        Kind::Unknown => {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "Seawall: there is nothing here."));
        }
        kind => (target, kind),
    };
    let who = identify(door, peer, request.headers(), kind)?;
    let (parts, body) = request.into_parts();
    let body = match kind {
        Kind::Chat if parts.method == Method::POST => {
            turn(door, peer, who.as_ref(), &what, body).await?
        }
        _ => Limited::new(body, frame::MAX_FRAME).boxed(),
    };
    let caller = Caller {
        host: &host,
        tls: peer.tls,
        origin,
        scopes: who.as_ref().map(|w| w.scopes.as_slice()),
    };
    upstream::send(&door.connect, parts.method, &target, &parts.headers, &caller, body)
        .await
        .map_err(|error| {
            tracing::debug!(%error, "the gateway did not answer");
            Refusal::new(
                StatusCode::BAD_GATEWAY,
                "Seawall: the gateway does not answer. `seawall status` says why.",
            )
        })
}

/// `Host` and `Origin`: ours, or nothing goes on.
fn names(peer: &Peer, request: &Request<Incoming>) -> Result<String, Box<Refusal>> {
    let Some(host) = single(request.headers(), &header::HOST).filter(|h| peer.names.host(h)) else {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            "Seawall: this door does not go by that name. Add the name to `hosts` in the part [door] of Seawall's configuration.",
        ));
    };
    if request.headers().contains_key(header::ORIGIN)
        && !single(request.headers(), &header::ORIGIN).is_some_and(|o| peer.names.origin(o))
    {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "Seawall: pages of that origin may not speak to this door. Add it to `origins` in the part [door] of Seawall's configuration.",
        ));
    }
    Ok(host.to_owned())
}

/// Who asks, where the route wants to know.
fn identify(
    door: &Door,
    peer: &Peer,
    headers: &HeaderMap,
    kind: Kind,
) -> Result<Option<Principal>, Box<Refusal>> {
    let least = match kind {
        Kind::Static | Kind::Probe => return Ok(None),
        Kind::Ticket | Kind::Read => Role::Viewer,
        Kind::Chat => Role::Chat,
        Kind::Operator | Kind::Unknown | Kind::Never => Role::Operator,
    };
    let shown = bearer(headers);
    if shown.is_none() && kind == Kind::Ticket {
        return Ok(None);
    }
    let who = door.authenticate(shown, peer.source).map_err(|denied| {
        let (message, status) = match denied {
            Denied::Missing => (
                "Seawall: this needs a token of this door: `Authorization: Bearer TOKEN`."
                    .to_owned(),
                StatusCode::UNAUTHORIZED,
            ),
            Denied::Wrong(wrong) => {
                door.record.note(record::login_refused(
                    peer.source,
                    "HTTP",
                    "the token is not known",
                    wrong.count,
                    wrong.wait_ms,
                ));
                (
                    "Seawall: the token is not known. `seawall token list` shows those that are."
                        .to_owned(),
                    StatusCode::UNAUTHORIZED,
                )
            }
            Denied::Wait(ms) => (
                format!("Seawall: too many wrong tokens; try again in {} s.", ms.div_ceil(1000)),
                StatusCode::TOO_MANY_REQUESTS,
            ),
        };
        Refusal::new(status, message)
    })?;
    if who.role < least {
        let message = format!(
            "Seawall: this needs a token of role {}; `{}` has role {}.",
            least.as_str(),
            who.name,
            who.role.as_str()
        );
        return Err(Refusal::new(StatusCode::FORBIDDEN, message).recorded("HTTP", Some(&who)));
    }
    if !peer.place.known(&who.name) {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, FULL));
    }
    Ok(Some(who))
}

/// A turn over HTTP: its body is read like a frame, for the same reasons.
async fn turn(
    door: &Door,
    peer: &Peer,
    who: Option<&Principal>,
    what: &str,
    body: Incoming,
) -> Result<Body, Box<Refusal>> {
    let bad = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let bytes = Limited::new(body, frame::MAX_FRAME)
        .collect()
        .await
        .map_err(|_| {
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "Seawall: the body is too large.")
        })?
        .to_bytes();
    let text =
        std::str::from_utf8(&bytes).map_err(|_| bad("Seawall: the body is no text.".into()))?;
    if text.is_empty() {
        return Ok(Full::new(Bytes::new()).map_err(|never: Infallible| match never {}).boxed());
    }
    let value = frame::strict(text).map_err(|e| bad(format!("Seawall: {e}")))?;
    let Some(who) = who else { return Err(bad("Seawall: nobody asked.".into())) };
    if let Some(message) = judge::text_refusal(&door.table, who, &value) {
        return Err(Refusal::new(StatusCode::FORBIDDEN, message).recorded(what, Some(who)));
    }
    let event = record::called(who, peer.source, what, "chat", None);
    door.record.first(event).await.map_err(|e| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("Seawall: nothing goes on that can't be written down: {e}."),
        )
    })?;
    Ok(Full::new(Bytes::from(value.to_string()))
        .map_err(|never: Infallible| match never {})
        .boxed())
}

/// The one value of a header that may stand once.
pub(crate) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = single(headers, &header::AUTHORIZATION)?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A browser opening a page, rather than a page asking for data.
fn navigates(headers: &HeaderMap) -> bool {
    single(headers, &header::ACCEPT).is_some_and(|a| a.contains("text/html"))
}

fn text(status: StatusCode, message: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(format!("{message}\n")))
        .map_err(|never: Infallible| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
