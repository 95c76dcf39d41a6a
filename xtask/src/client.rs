//! A client of the gateway's WebSocket protocol (version 4), as an operator's program uses it.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

/// How long an answer may take. A turn is not one answer: see [`Client::wait_event`].
const ANSWER: Duration = Duration::from_secs(60);

/// What listeners are told when the connection is over; the gateway sends nothing of that type.
const CLOSED: &str = "closed";

/// A refusal by the gateway or by what stands in front of it.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    /// `FORBIDDEN`, `INVALID_REQUEST`, …
    pub(crate) code: String,
    /// In words.
    pub(crate) message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Value>>>>;

/// A connection after a successful handshake.
pub(crate) struct Client {
    out: mpsc::UnboundedSender<Message>,
    pending: Pending,
    events: broadcast::Sender<Value>,
    next: std::sync::atomic::AtomicU64,
    /// What the gateway said of itself.
    pub(crate) hello: Value,
    /// Reading and writing. The gateway takes a client for there as long as its connection is.
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Client {
    /// Connects and asks for every scope.
    pub(crate) async fn connect(port: u16, token: &str) -> Result<Self, String> {
        Self::connect_as(port, token, &[]).await
    }

    /// The same for a client that can do more than chat.
    pub(crate) async fn connect_as(port: u16, token: &str, caps: &[&str]) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port))
            .await
            .map_err(|e| format!("port {port}: {e}"))?;
        let url = format!("ws://127.0.0.1:{port}/");
        let connecting = tokio_tungstenite::client_async(url, stream);
        let (socket, _) = timeout(ANSWER, connecting)
            .await
            .map_err(|_| "no WebSocket handshake in time".to_owned())?
            .map_err(|e| format!("WebSocket handshake: {e}"))?;
        let (mut write, mut read) = socket.split();
        let (out, mut outgoing) = mpsc::unbounded_channel::<Message>();
        let writing = tokio::spawn(async move {
            while let Some(message) = outgoing.recv().await {
                if write.send(message).await.is_err() {
                    break;
                }
            }
        });
        let pending = Pending::default();
        let (events, mut challenge) = broadcast::channel(1024);
        let (waiting, telling) = (pending.clone(), events.clone());
        let reading = tokio::spawn(async move {
            while let Some(Ok(message)) = read.next().await {
                let Ok(frame) = message.to_text().map(serde_json::from_str::<Value>) else {
                    continue;
                };
                let Ok(frame) = frame else { continue };
                if frame.get("type").and_then(Value::as_str) == Some("res") {
                    let id = frame.get("id").and_then(Value::as_str).unwrap_or_default();
                    if let Some(asker) = lock(&waiting).remove(id) {
                        let _ = asker.send(frame);
                    }
                } else {
                    let _ = telling.send(frame);
                }
            }
            // Whoever still waits learns that nothing will come.
            lock(&waiting).clear();
            let _ = telling.send(json!({ "type": CLOSED }));
        });
        let mut client = Self {
            out,
            pending,
            events,
            next: std::sync::atomic::AtomicU64::new(1),
            hello: Value::Null,
            tasks: [reading, writing],
        };
        timeout(ANSWER, challenge.recv())
            .await
            .map_err(|_| "no challenge from the gateway".to_owned())?
            .map_err(|_| "the connection closed before the challenge".to_owned())?;
        client.hello = client
            .request(
                "connect",
                json!({
                    "minProtocol": 4, "maxProtocol": 4,
                    "client": {"id": "gateway-client", "version": "1.0.0", "platform": "linux",
                               "mode": "backend"},
                    "role": "operator",
                    "scopes": ["operator.admin", "operator.read", "operator.write",
                               "operator.approvals", "operator.pairing"],
                    "caps": caps, "commands": [], "permissions": {},
                    "auth": {"token": token}, "locale": "en-US", "userAgent": "tour",
                }),
            )
            .await
            .map_err(|e| format!("connect: {e}"))?;
        Ok(client)
    }

    /// One request and its answer.
    pub(crate) async fn request(&self, method: &str, params: Value) -> Result<Value, Refused> {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        let (tell, answer) = oneshot::channel();
        lock(&self.pending).insert(id.clone(), tell);
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        let lost = |message: &str| Refused { code: "LOST".into(), message: message.into() };
        self.out
            .send(Message::text(frame.to_string()))
            .map_err(|_| lost("the connection is closed"))?;
        let frame = match timeout(ANSWER, answer).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(_)) => return Err(lost("the connection closed before the answer")),
            Err(_) => return Err(lost("no answer in time")),
        };
        if frame.get("ok").and_then(Value::as_bool) == Some(true) {
            return Ok(frame.get("payload").cloned().unwrap_or(Value::Null));
        }
        let field = |name: &str| {
            let text = frame.pointer(&format!("/error/{name}")).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Err(Refused { code: field("code"), message: field("message") })
    }

    /// Starts to listen to events; what came before is not seen.
    pub(crate) fn events(&self) -> broadcast::Receiver<Value> {
        self.events.subscribe()
    }

    /// Waits for an event.
    pub(crate) async fn wait_event(
        events: &mut broadcast::Receiver<Value>,
        within: Duration,
        mut test: impl FnMut(&Value) -> bool,
    ) -> Result<Value, String> {
        let search = async {
            loop {
                match events.recv().await {
                    Ok(event) if test(&event) => return Ok(event),
                    Ok(event) if event.get("type").and_then(Value::as_str) == Some(CLOSED) => {
                        return Err("the connection closed".to_owned());
                    }
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err("the connection closed".to_owned());
                    }
                }
            }
        };
        timeout(within, search).await.map_err(|_| format!("nothing within {within:?}"))?
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
