//! WebSocket: the client's side of a connection, from the upgrade to the close.

mod gate;
mod login;
mod pump;

use crate::door::{Door, Peer};
use crate::http1::{bearer, single};
use crate::token::Principal;
use crate::upstream::Body;
use crate::{frame, record};
use gate::Gate;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use secrecy::SecretString;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

/// Bytes that a client may send before it has shown a token: a `connect` frame has about a thousand.
const LOGIN_BYTES: usize = 64 * 1024;

/// Longest time that one frame may take to reach a peer that has stopped reading.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest frame of the gateway: a page of history with its images.
const MAX_GATEWAY_FRAME: usize = 64 * 1024 * 1024;

pub(crate) type Client = WebSocketStream<Gate<TokioIo<Upgraded>>>;

/// What an upgrade request said about its client.
pub(crate) struct Visitor {
    pub(crate) peer: Peer,
    pub(crate) host: String,
    pub(crate) origin: bool,
    pub(crate) bearer: Option<SecretString>,
}

/// Answers an upgrade request and serves what comes of it.
pub(crate) fn upgrade(
    door: &Arc<Door>,
    peer: &Peer,
    mut request: Request<Incoming>,
    host: String,
    origin: bool,
) -> Result<Response<Body>, &'static str> {
    let headers = request.headers();
    let lists = |name, word: &str| {
        single(headers, name)
            .is_some_and(|v| v.split(',').any(|w| w.trim().eq_ignore_ascii_case(word)))
    };
    if request.method() != Method::GET
        || !single(headers, &header::UPGRADE).is_some_and(|u| u.eq_ignore_ascii_case("websocket"))
        || !lists(&header::CONNECTION, "upgrade")
        || single(headers, &header::SEC_WEBSOCKET_VERSION) != Some("13")
    {
        return Err("Seawall: the only upgrade that is taken here is WebSocket, version 13.");
    }
    // The gateway has other WebSocket addresses (workers, desktops); they are for nodes.
    if request.uri().path() != "/" {
        return Err("Seawall: WebSocket is taken at `/` only.");
    }
    let Some(key) = single(headers, &header::SEC_WEBSOCKET_KEY).filter(|k| k.len() == 24) else {
        return Err("Seawall: the WebSocket key is malformed.");
    };
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes()))
        .map_err(|_| "Seawall: the WebSocket key is malformed.")?;
    let visitor = Visitor {
        peer: peer.clone(),
        host,
        origin,
        bearer: bearer(headers).map(SecretString::from),
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let door = Arc::clone(door);
    tokio::spawn(async move {
        let limit = Duration::from_secs(door.config.login_seconds);
        let Ok(Ok(stream)) = tokio::time::timeout(limit, upgraded).await else { return };
        let (gate, open) = Gate::new(TokioIo::new(stream), LOGIN_BYTES);
        let config = WebSocketConfig::default()
            .max_message_size(Some(frame::MAX_FRAME))
            .max_frame_size(Some(frame::MAX_FRAME))
            .accept_unmasked_frames(false);
        let client = WebSocketStream::from_raw_socket(gate, Role::Server, Some(config)).await;
        serve(&door, client, &visitor, &open).await;
    });
    let mut response =
        Response::new(Empty::new().map_err(|never: Infallible| match never {}).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

async fn serve(door: &Arc<Door>, mut client: Client, visitor: &Visitor, open: &gate::Opener) {
    // Watched from before the login, so that a token that goes away meanwhile is not missed.
    let tokens = door.token_changes();
    let login = tokio::select! {
        login = login::login(door, &mut client, visitor) => login,
        () = visitor.peer.place.gone() => None,
    };
    let Some((who, gateway)) = login else { return };
    open.open();
    let why = pump::pump(door, client, gateway, &who, visitor.peer.source, tokens).await;
    door.record.note(record::left(&who, visitor.peer.source, why));
}

/// Sends an answer and the end of the connection; what is lost on the way is lost.
async fn refuse(client: &mut Client, frame: Option<String>, code: CloseCode, reason: &str) {
    let farewell = async {
        use futures_util::SinkExt as _;
        if let Some(frame) = frame {
            client.send(frame.into()).await?;
        }
        client.close(Some(close_frame(code, reason))).await
    };
    if !matches!(tokio::time::timeout(SEND_TIMEOUT, farewell).await, Ok(Ok(()))) {
        tracing::debug!("a client was gone before it was told why");
    }
}

/// A close frame; its reason has room for 123 bytes.
fn close_frame(code: CloseCode, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(120);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code, reason: reason.get(..end).unwrap_or_default().into() }
}

/// Whether somebody may stay.
fn stays(door: &Door, who: &Principal) -> bool {
    door.still_valid(who)
}

type GatewayStream = WebSocketStream<tokio::net::TcpStream>;

/// The configuration of the gateway's side.
fn gateway_side() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_GATEWAY_FRAME))
        .max_frame_size(Some(MAX_GATEWAY_FRAME))
}
