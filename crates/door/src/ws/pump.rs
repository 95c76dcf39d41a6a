//! Frames between a client that is known and the gateway, until one of them leaves.

use super::{Client, GatewayStream, SEND_TIMEOUT, close_frame, stays};
use crate::door::Door;
use crate::frame::{Request, refusal};
use crate::judge::Judgement;
use crate::record;
use crate::token::{DoorTokens, Principal};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Refusals that wait for a client to read them. A client that asks on without reading is closed.
const ANSWERS: usize = 64;

/// What ends a connection: for the log, for the client and for the gateway.
struct End {
    why: &'static str,
    client: Option<CloseFrame>,
}

impl End {
    fn new(why: &'static str, code: CloseCode) -> Self {
        Self { why, client: Some(close_frame(code, why)) }
    }
}

/// Carries frames until the end; why it ended.
pub(super) async fn pump(
    door: &Arc<Door>,
    client: Client,
    gateway: GatewayStream,
    who: &Principal,
    source: IpAddr,
    tokens: watch::Receiver<Arc<DoorTokens>>,
) -> &'static str {
    let (mut to_client, from_client) = client.split();
    let (mut to_gateway, from_gateway) = gateway.split();
    let (answers, queue) = mpsc::channel(ANSWERS);
    let alive = Alive::new();
    let end = tokio::select! {
        end = inbound(door, from_client, &mut to_gateway, answers, who, source, &alive) => end,
        end = outbound(door, from_gateway, &mut to_client, queue, who, tokens, &alive) => end,
        () = door.connect.closed() => End::new("the door closed; `seawall status` says why", CloseCode::Restart),
    };
    let farewell = async {
        if let Some(frame) = end.client {
            to_client.send(Message::Close(Some(frame))).await.ok();
        }
        to_gateway
            .send(Message::Close(Some(close_frame(CloseCode::Normal, "the client left"))))
            .await
            .ok();
    };
    if timeout(SEND_TIMEOUT, farewell).await.is_err() {
        tracing::debug!("a peer was gone before it was told");
    }
    end.why
}

/// When something was last heard from a client.
struct Alive {
    start: Instant,
    last_ms: AtomicU64,
}

impl Alive {
    fn new() -> Self {
        Self { start: Instant::now(), last_ms: AtomicU64::new(0) }
    }

    fn heard(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(now, Ordering::Relaxed);
    }

    fn silent(&self) -> Duration {
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last_ms.load(Ordering::Relaxed)))
    }
}

async fn inbound(
    door: &Arc<Door>,
    mut from: SplitStream<Client>,
    to: &mut SplitSink<GatewayStream, Message>,
    answers: mpsc::Sender<String>,
    who: &Principal,
    source: IpAddr,
    alive: &Alive,
) -> End {
    loop {
        let text = match from.next().await {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                alive.heard();
                continue;
            }
            Some(Ok(Message::Close(_))) | None => return End { why: "it closed", client: None },
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                return End::new("binary frames are not taken", CloseCode::Unsupported);
            }
            Some(Err(_)) => return End { why: "its connection broke", client: None },
        };
        alive.heard();
        let request = match Request::parse(&text) {
            Ok(request) => request,
            Err(error) => {
                let why = error.to_string();
                door.record.note(record::refused(Some(who), source, "a malformed frame", &why));
                return End {
                    why: "it sent a malformed frame",
                    client: Some(close_frame(CloseCode::Policy, &why)),
                };
            }
        };
        drop(text);
        let refused = match decide(door, who, source, &request).await {
            Decided::Send => None,
            Decided::Answer(answer) => Some(answer),
            Decided::Gone => return End::new("the token is no longer valid", CloseCode::Policy),
        };
        match refused {
            Some(answer) => {
                if answers.try_send(answer).is_err() {
                    return End::new(
                        "too many requests without reading the answers",
                        CloseCode::Policy,
                    );
                }
            }
            None => match timeout(SEND_TIMEOUT, to.send(request.render().into())).await {
                Ok(Ok(())) => {}
                _ => return End::new("the gateway is gone", CloseCode::Restart),
            },
        }
    }
}

enum Decided {
    Send,
    Answer(String),
    Gone,
}

async fn decide(door: &Door, who: &Principal, source: IpAddr, request: &Request) -> Decided {
    if !stays(door, who) {
        return Decided::Gone;
    }
    if request.method == "connect" {
        return Decided::Answer(refusal(
            &request.id,
            "INVALID_REQUEST",
            "connect is only taken as the first request",
            None,
        ));
    }
    match door.judge(who, request) {
        Judgement::Refuse { message, class } => {
            door.record.note(record::refused(Some(who), source, &request.method, &message));
            let details = json!({ "code": "SEAWALL_REFUSED", "class": class.map(crate::table::Class::as_str) });
            Decided::Answer(refusal(&request.id, "FORBIDDEN", &message, Some(details)))
        }
        Judgement::Allow { class, record: true, by_grant } => {
            let event =
                record::called(who, source, &request.method, class.as_str(), by_grant.as_deref());
            match door.record.first(event).await {
                Ok(()) => Decided::Send,
                Err(error) => {
                    let message = format!(
                        "Seawall: nothing goes on that can't be written down: {error}. `seawall status` says why."
                    );
                    Decided::Answer(refusal(&request.id, "UNAVAILABLE", &message, None))
                }
            }
        }
        Judgement::Allow { record: false, .. } => Decided::Send,
    }
}

async fn outbound(
    door: &Arc<Door>,
    mut from: SplitStream<GatewayStream>,
    to: &mut SplitSink<Client, Message>,
    mut answers: mpsc::Receiver<String>,
    who: &Principal,
    mut tokens: watch::Receiver<Arc<DoorTokens>>,
    alive: &Alive,
) -> End {
    let idle = Duration::from_secs(door.config.idle_seconds);
    let mut beat = tokio::time::interval(idle / 3);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let message = tokio::select! {
            message = from.next() => match message {
                Some(Ok(Message::Text(text))) => Message::Text(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(frame))) => return End { why: "the gateway closed", client: Some(passed_on(frame)) },
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => return End::new("the gateway sent a binary frame", CloseCode::Error),
                Some(Err(_)) | None => return End::new("the gateway is gone", CloseCode::Restart),
            },
            Some(answer) = answers.recv() => Message::text(answer),
            _ = beat.tick() => {
                if alive.silent() > idle {
                    return End::new("no sign of life", CloseCode::Away);
                }
                if !stays(door, who) {
                    return End::new("the token is no longer valid", CloseCode::Policy);
                }
                Message::Ping(Vec::new().into())
            }
            Ok(()) = tokens.changed() => {
                if !stays(door, who) {
                    return End::new("the token is no longer valid", CloseCode::Policy);
                }
                continue;
            }
        };
        match timeout(SEND_TIMEOUT, to.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return End { why: "its connection broke", client: None },
            Err(_) => return End { why: "it stopped reading", client: None },
        }
    }
}

/// The gateway's close frame, with a code that may be sent.
fn passed_on(frame: Option<CloseFrame>) -> CloseFrame {
    match frame {
        Some(frame) if frame.code.is_allowed() => close_frame(frame.code, &frame.reason),
        _ => close_frame(CloseCode::Away, "the gateway closed"),
    }
}
