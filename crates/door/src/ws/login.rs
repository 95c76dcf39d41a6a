//! The login: the door answers the client's `connect` before the gateway hears of it, and then makes
//! a `connect` of its own.
//!
//! The client's device key stays here. The gateway pairs devices with itself and would hand out a
//! credential of its own that outlives the door's token; without a device it takes the identity and
//! scopes that the door states, for this connection only.

use super::{Client, GatewayStream, Visitor, gateway_side, refuse};
use crate::door::{Denied, Door};
use crate::frame::{Request, refusal};
use crate::http1::FULL;
use crate::judge::printable;
use crate::record;
use crate::token::Principal;
use crate::upstream::{self, Caller};
use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// The gateway answers `connect` at once, except while it starts.
const GATEWAY_LOGIN: Duration = Duration::from_secs(30);

/// Fields of `connect` that go on. Absent are the credentials (`auth`, `device`), everything that only
/// nodes and workers declare, and whatever a later version adds: a client's declaration that nobody
/// here knows is not made in the door's name.
const PASSED: [&str; 6] =
    ["minProtocol", "maxProtocol", "caps", "modelCatalog", "locale", "userAgent"];

/// Fields of `connect.client` that go on.
const CLIENT: [&str; 10] = [
    "id",
    "displayName",
    "version",
    "buildId",
    "platform",
    "deviceFamily",
    "modelIdentifier",
    "timeZone",
    "mode",
    "instanceId",
];

/// Lets a client in, or tells it why not.
pub(super) async fn login(
    door: &Arc<Door>,
    client: &mut Client,
    visitor: &Visitor,
) -> Option<(Principal, GatewayStream)> {
    let limit = Duration::from_secs(door.config.login_seconds);
    let source = visitor.peer.source;
    let first = async {
        let challenge = json!({
            "type": "event", "event": "connect.challenge",
            "payload": { "nonce": uuid::Uuid::new_v4().to_string(), "ts": record::now_ms(), "capabilities": ["model-catalog-snapshot"] },
        });
        client.send(challenge.to_string().into()).await.ok()?;
        loop {
            match client.next().await?.ok()? {
                Message::Text(text) => return Some(text),
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Binary(_) | Message::Close(_) | Message::Frame(_) => return None,
            }
        }
    };
    let text = match tokio::time::timeout(limit, first).await {
        Ok(Some(text)) => text,
        Ok(None) | Err(_) => {
            refuse(client, None, CloseCode::Policy, "no connect request came").await;
            return None;
        }
    };
    let request = match Request::parse(&text) {
        Ok(request) if request.method == "connect" => request,
        Ok(request) => {
            let frame = refusal(
                &request.id,
                "INVALID_REQUEST",
                "the first request has to be `connect`",
                None,
            );
            refuse(client, Some(frame), CloseCode::Policy, "the first request has to be connect")
                .await;
            return None;
        }
        Err(error) => {
            refuse(client, None, CloseCode::Policy, &error.to_string()).await;
            return None;
        }
    };
    let params = request.params.clone().unwrap_or_default();
    let who = match door.authenticate(shown(&params, visitor), source) {
        Ok(who) => who,
        Err(denied) => {
            let (frame, reason) = denied_frame(door, &request.id, denied, visitor);
            refuse(client, Some(frame), CloseCode::Policy, reason).await;
            return None;
        }
    };
    if !visitor.peer.place.known(&who.name) {
        let full = unavailable(&request.id, FULL);
        refuse(client, Some(full), CloseCode::Again, "too many connections").await;
        return None;
    }
    if !matches!(params.get("role"), None | Some(Value::Null))
        && params.get("role") != Some(&json!("operator"))
    {
        let message =
            "Seawall: this door admits operators; nodes and workers can't connect through it.";
        door.record.note(record::refused(Some(&who), source, "connect with another role", message));
        refuse(
            client,
            Some(refusal(&request.id, "FORBIDDEN", message, None)),
            CloseCode::Policy,
            message,
        )
        .await;
        return None;
    }
    let name =
        params.get("client").and_then(|c| c.get("id")).and_then(Value::as_str).unwrap_or("?");
    if let Err(error) = door.record.first(record::login(&who, source, name, "WebSocket")).await {
        let message = format!("Seawall: nobody comes in whom the log does not take: {error}.");
        refuse(
            client,
            Some(unavailable(&request.id, &message)),
            CloseCode::Again,
            "the log is not available",
        )
        .await;
        return None;
    }
    match gateway(door, &request, &params, &who, visitor).await {
        Ok((answer, gateway)) => {
            let sent = tokio::time::timeout(super::SEND_TIMEOUT, client.send(answer.into())).await;
            matches!(sent, Ok(Ok(()))).then_some((who, gateway))
        }
        Err(Failed::Gateway(answer, close)) => {
            refuse(client, Some(answer), close, "the gateway refused the connection").await;
            None
        }
        Err(Failed::Away(why)) => {
            tracing::debug!(why, "the gateway did not take a connection");
            let message = "Seawall: the gateway does not answer. `seawall status` says why.";
            refuse(
                client,
                Some(unavailable(&request.id, message)),
                CloseCode::Again,
                "the gateway does not answer",
            )
            .await;
            None
        }
    }
}

/// The token: where the CLI and the Control UI put it, or in a header.
fn shown<'v>(params: &'v Map<String, Value>, visitor: &'v Visitor) -> Option<&'v str> {
    let auth = params.get("auth");
    let field =
        |name| auth.and_then(|a| a.get(name)).and_then(Value::as_str).filter(|t| !t.is_empty());
    field("token")
        .or_else(|| field("password"))
        .or_else(|| visitor.bearer.as_ref().map(|b| b.expose_secret()))
}

fn denied_frame(
    door: &Door,
    id: &str,
    denied: Denied,
    visitor: &Visitor,
) -> (String, &'static str) {
    let (code, next, message, retry, reason) = match denied {
        Denied::Missing => (
            "AUTH_TOKEN_MISSING",
            "update_auth_configuration",
            "unauthorized: a token of Seawall's door is needed. `seawall token create` makes one; paste it into the settings, or set gateway.remote.token".to_owned(),
            None,
            "unauthorized: token missing",
        ),
        Denied::Wrong(wrong) => {
            let source = visitor.peer.source;
            door.record.note(record::login_refused(source, "WebSocket", "the token is not known", wrong.count, wrong.wait_ms));
            (
                "AUTH_TOKEN_MISMATCH",
                "update_auth_credentials",
                "unauthorized: Seawall's door does not know this token (wrong, revoked or expired). `seawall token list` shows those it knows".to_owned(),
                None,
                "unauthorized: token mismatch",
            )
        }
        Denied::Wait(ms) => (
            "AUTH_RATE_LIMITED",
            "wait_then_retry",
            format!("unauthorized: too many wrong tokens; try again in {} s", ms.div_ceil(1000)),
            Some(ms),
            "unauthorized: too many wrong tokens",
        ),
    };
    let mut details =
        json!({ "code": code, "canRetryWithDeviceToken": false, "recommendedNextStep": next });
    if let (Some(ms), Some(object)) = (retry, details.as_object_mut()) {
        object.insert("retryAfterMs".into(), ms.into());
    }
    (refusal(id, "INVALID_REQUEST", &message, Some(details)), reason)
}

fn unavailable(id: &str, message: &str) -> String {
    json!({
        "type": "res", "id": id, "ok": false,
        "error": { "code": "UNAVAILABLE", "message": message, "retryable": true, "retryAfterMs": 1000 },
    })
    .to_string()
}

enum Failed {
    /// It said no: its answer, and the code to close with.
    Gateway(String, CloseCode),
    /// It said nothing.
    Away(String),
}

/// Connects to the gateway in the name of a client that is known.
async fn gateway(
    door: &Door,
    request: &Request,
    params: &Map<String, Value>,
    who: &Principal,
    visitor: &Visitor,
) -> Result<(String, GatewayStream), Failed> {
    let away = |error: &dyn std::fmt::Display| Failed::Away(error.to_string());
    let stream = upstream::connect(&*door.connect).await.map_err(|e| away(&e))?;
    let caller = Caller {
        host: &visitor.host,
        tls: visitor.peer.tls,
        origin: visitor.origin,
        scopes: Some(&who.scopes),
    };
    let mut upgrade = "ws://127.0.0.1/".into_client_request().map_err(|e| away(&e))?;
    upgrade.headers_mut().extend(caller.headers().map_err(|e| away(&e))?);
    let handshake = async {
        let (mut gateway, _) =
            tokio_tungstenite::client_async_with_config(upgrade, stream, Some(gateway_side()))
                .await
                .map_err(|e| away(&e))?;
        let mut asked = false;
        while let Some(message) = gateway.next().await {
            let text = match message.map_err(|e| away(&e))? {
                Message::Text(text) => text,
                Message::Close(_) => break,
                _ => continue,
            };
            let frame: Value = serde_json::from_str(&text).map_err(|e| away(&e))?;
            if frame.get("event") == Some(&json!("connect.challenge")) && !asked {
                asked = true;
                let own = Request {
                    id: request.id.clone(),
                    method: "connect".into(),
                    params: Some(own_params(params, who)),
                    envelope: Vec::new(),
                };
                gateway.send(own.render().into()).await.map_err(|e| away(&e))?;
            } else if frame.get("id").and_then(Value::as_str) == Some(&request.id) {
                return answered(door, frame, who).map(|answer| (answer, gateway));
            }
        }
        Err(Failed::Away("it closed the connection".into()))
    };
    tokio::time::timeout(GATEWAY_LOGIN, handshake)
        .await
        .map_err(|_| Failed::Away("it took too long".into()))?
}

/// The `connect` that the door makes: what the client is, and what its token carries.
fn own_params(params: &Map<String, Value>, who: &Principal) -> Map<String, Value> {
    let mut own = Map::new();
    for name in PASSED {
        if let Some(value) = params.get(name) {
            own.insert(name.into(), value.clone());
        }
    }
    let mut client = Map::new();
    if let Some(Value::Object(theirs)) = params.get("client") {
        for name in CLIENT {
            if let Some(value) = theirs.get(name) {
                client.insert(name.into(), value.clone());
            }
        }
    }
    own.insert("client".into(), Value::Object(client));
    own.insert("role".into(), "operator".into());
    own.insert("scopes".into(), json!(who.scopes));
    own
}

/// What the client gets for an answer: without the methods that it would be refused, so that it hides
/// them, and without a credential of the gateway's.
fn answered(door: &Door, mut frame: Value, who: &Principal) -> Result<String, Failed> {
    if frame.get("ok") != Some(&Value::Bool(true)) {
        let again = frame.pointer("/error/code") == Some(&json!("UNAVAILABLE"));
        if let Some(message) = frame.pointer("/error/message").and_then(Value::as_str) {
            tracing::debug!(message = printable(message), "the gateway refused a connection");
        }
        let close = if again { CloseCode::Again } else { CloseCode::Policy };
        return Err(Failed::Gateway(frame.to_string(), close));
    }
    if let Some(Value::Array(methods)) = frame.pointer_mut("/payload/features/methods") {
        methods.retain(|m| {
            m.as_str()
                .and_then(|m| door.table.method(m))
                .is_some_and(|m| m.class <= who.role.class())
        });
    }
    if let Some(Value::Object(auth)) = frame.pointer_mut("/payload/auth") {
        auth.remove("deviceToken");
        auth.remove("deviceTokens");
        // What the client did was to show a token.
        auth.insert("method".into(), "token".into());
    }
    // The Control UI keeps its token for the tab only where the gateway says that it takes tokens.
    if let Some(Value::Object(snapshot)) = frame.pointer_mut("/payload/snapshot") {
        snapshot.insert("authMode".into(), "token".into());
    }
    Ok(frame.to_string())
}
