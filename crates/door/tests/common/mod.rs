//! What the tests of the door share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

use futures_util::{SinkExt as _, StreamExt as _};
use seawall_door::{BoxFuture, Connect, Door, DoorConfig, DoorTokens, Role};
use seawall_model::event::Appended;
use seawall_model::{Event, EventLog, LogError};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A log in memory that can be made to fail.
#[derive(Default)]
pub struct Memory {
    pub events: Mutex<Vec<Event>>,
    pub broken: AtomicBool,
    pub more: Notify,
}

impl Memory {
    pub fn has(&self, kind: &str, decision: &str, summary: &str) -> bool {
        self.events.lock().expect("no panic").iter().any(|e| {
            e.kind == kind && e.decision.as_deref() == Some(decision) && e.summary.contains(summary)
        })
    }
}

impl EventLog for Memory {
    fn append(&self, event: Event) -> Appended<'_> {
        Box::pin(async move {
            if self.broken.load(Ordering::SeqCst) {
                return Err(LogError("the disk is full".into()));
            }
            let mut events = self.events.lock().expect("no panic");
            events.push(event);
            self.more.notify_one();
            Ok(events.len() as u64)
        })
    }
}

struct Plain(SocketAddr);

impl Connect for Plain {
    fn connect(&self) -> BoxFuture<'_, std::io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(self.0))
    }
}

/// A door in front of an address, with a token of each role.
pub struct Lab {
    pub door: Arc<Door>,
    pub log: Arc<Memory>,
    pub address: SocketAddr,
    pub tokens: DoorTokens,
    secrets: Vec<(Role, String)>,
}

impl Lab {
    pub async fn new(gateway: SocketAddr, config: DoorConfig) -> Self {
        Self::by(Arc::new(Plain(gateway)), config).await
    }

    pub async fn by(way: Arc<dyn Connect>, config: DoorConfig) -> Self {
        let log = Arc::new(Memory::default());
        let door = Door::new(config, way, Arc::clone(&log) as Arc<dyn EventLog>)
            .expect("a usable configuration");
        let mut tokens = DoorTokens::new();
        let mut secrets = Vec::new();
        for (n, role) in [Role::Viewer, Role::Chat, Role::Operator].into_iter().enumerate() {
            let entropy = [n as u8 + 1; 32];
            let token = tokens.create(role.as_str(), role, None, None, 1, &entropy).expect("valid");
            secrets.push((role, token.expose_secret().to_owned()));
        }
        door.set_tokens(tokens.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(Arc::clone(&door).serve(listener));
        Self { door, log, address, tokens, secrets }
    }

    pub fn token(&self, role: Role) -> &str {
        self.secrets.iter().find(|(r, _)| *r == role).map(|(_, s)| s.as_str()).expect("made")
    }

    pub async fn client(&self, role: Role) -> Result<Client, Value> {
        Client::connect(self.address, Some(self.token(role)), &[]).await
    }

    /// Waits until an event is there that nothing waited for.
    pub async fn until(&self, kind: &str, decision: &str, summary: &str) {
        let found = async {
            while !self.log.has(kind, decision, summary) {
                self.log.more.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), found).await.expect("the event comes");
    }
}

/// A client of the gateway's protocol.
pub struct Client {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub hello: Value,
    next: u64,
}

impl Client {
    pub async fn open(
        address: SocketAddr,
        headers: &[(&'static str, &str)],
    ) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, String> {
        let mut request = format!("ws://{address}/").into_client_request().expect("an address");
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        tokio_tungstenite::connect_async(request).await.map(|(s, _)| s).map_err(|e| e.to_string())
    }

    /// The answer to `connect`: a client, or the error.
    pub async fn connect(
        address: SocketAddr,
        token: Option<&str>,
        headers: &[(&'static str, &str)],
    ) -> Result<Self, Value> {
        let socket = Self::open(address, headers).await.map_err(Value::from)?;
        let mut client = Self { socket, hello: Value::Null, next: 0 };
        let challenge = client.read().await.ok_or("closed before the challenge")?;
        assert_eq!(challenge["event"], "connect.challenge");
        let mut params = json!({
            "minProtocol": 4, "maxProtocol": 4,
            "client": { "id": "cli", "version": "1", "platform": "linux", "mode": "cli" },
            "role": "operator", "scopes": ["operator.admin"], "caps": [],
        });
        if let Some(token) = token {
            params["auth"] = json!({ "token": token });
        }
        let answer = client.call("connect", params).await;
        client.hello = answer?;
        Ok(client)
    }

    /// The payload of an answer, or its error.
    pub async fn call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.next += 1;
        let id = self.next.to_string();
        let frame = json!({ "type": "req", "id": id, "method": method, "params": params });
        self.socket
            .send(Message::text(frame.to_string()))
            .await
            .map_err(|e| Value::from(e.to_string()))?;
        while let Some(frame) = self.read().await {
            if frame["id"] == id.as_str() {
                return if frame["ok"] == true {
                    Ok(frame["payload"].clone())
                } else {
                    Err(frame["error"].clone())
                };
            }
        }
        Err("closed".into())
    }

    /// The next frame, or `None` at the end.
    pub async fn read(&mut self) -> Option<Value> {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(60), self.socket.next());
            match next.await.expect("something comes")? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Whether the other side closes.
    pub async fn closes(&mut self) -> bool {
        while self.read().await.is_some() {}
        true
    }
}
