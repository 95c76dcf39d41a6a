//! What the tests of the proxy share: a log in memory, an upstream that says what it saw, and a
//! client that speaks raw bytes.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod tls;

use seawall_egress::{EgressPolicy, Identity, Proxy, Resolve, StaticResolver};
use seawall_model::event::Appended;
use seawall_model::{Event, EventLog, LogError};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

#[derive(Default)]
pub(crate) struct MemoryLog {
    events: Mutex<Vec<Event>>,
    changed: Notify,
    pub(crate) full: std::sync::atomic::AtomicBool,
}

impl MemoryLog {
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }

    pub(crate) fn kinds(&self) -> Vec<String> {
        self.events().into_iter().map(|e| e.kind).collect()
    }

    /// Waits for an event that satisfies the condition.
    pub(crate) async fn wait_for(&self, condition: impl Fn(&Event) -> bool) -> Event {
        let search = async {
            loop {
                let changed = self.changed.notified();
                if let Some(event) = self.events().into_iter().find(|e| condition(e)) {
                    return event;
                }
                changed.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), search)
            .await
            .expect("no such event")
    }
}

impl EventLog for MemoryLog {
    fn append(&self, event: Event) -> Appended<'_> {
        Box::pin(async move {
            if self.full.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(LogError("no space left on device".into()));
            }
            let n = {
                let mut events = self.events.lock().unwrap();
                events.push(event);
                events.len() as u64
            };
            self.changed.notify_waiters();
            // Another task may run before the append is done, as with a real disk.
            tokio::task::yield_now().await;
            Ok(n)
        })
    }
}

pub(crate) struct Bench {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) addr: SocketAddr,
}

pub(crate) fn policy(text: &str) -> EgressPolicy {
    EgressPolicy::from_toml(text).unwrap_or_else(|e| panic!("{e}"))
}

pub(crate) async fn start(text: &str) -> Bench {
    start_with(text, Arc::new(StaticResolver(HashMap::new())), Identity::default()).await
}

pub(crate) async fn start_with(
    text: &str,
    resolver: Arc<dyn Resolve>,
    identity: Identity,
) -> Bench {
    let log = Arc::new(MemoryLog::default());
    let proxy = Proxy::new(&policy(text), resolver, log.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(proxy.clone().serve(listener, identity));
    Bench { proxy, log, addr }
}

/// A policy that allows the loopback upstream at `port`, by the name `up.test` and by address.
pub(crate) fn allow(port: u16, protocols: &str) -> String {
    format!(
        "[hosts]\n\"up.test\" = [\"127.0.0.1\"]\n\
         [[rules]]\nname = \"up\"\nhosts = [\"up.test\", \"127.0.0.1\"]\nports = [{port}]\n\
         protocols = [{protocols}]\nprivate = [\"127.0.0.1:{port}\"]\n"
    )
}

/// An upstream that answers each request with a body and keeps what it got, raw.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
    pub(crate) accepted: Arc<std::sync::atomic::AtomicUsize>,
}

impl Upstream {
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// Answers `respond` once for each request head (and Content-Length body) that arrives.
pub(crate) async fn upstream(respond: &'static [u8]) -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let (record, count) = (seen.clone(), accepted.clone());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let record = record.clone();
            tokio::spawn(async move {
                let mut buffer = Vec::new();
                while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
                    while let Some(len) = complete(&buffer) {
                        record.lock().unwrap().extend(buffer.drain(..len));
                        if stream.write_all(respond).await.is_err() {
                            return;
                        }
                    }
                }
                record.lock().unwrap().extend(buffer);
            });
        }
    });
    Upstream { addr, seen, accepted }
}

fn complete(buffer: &[u8]) -> Option<usize> {
    let head = buffer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
    if text.contains("transfer-encoding: chunked") {
        let end = buffer[head..].windows(5).position(|w| w == b"0\r\n\r\n")?;
        return Some(head + end + 5);
    }
    let body = text
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .map_or(0, |v| v.trim().parse::<usize>().unwrap());
    (buffer.len() >= head + body).then_some(head + body)
}

pub(crate) const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(addr).await.unwrap() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads a head and its Content-Length body.
    pub(crate) async fn response(&mut self) -> String {
        let mut out = Vec::new();
        let read = async {
            while !out.ends_with(b"\r\n\r\n") {
                match self.stream.read_u8().await {
                    Ok(byte) => out.push(byte),
                    Err(_) => return,
                }
            }
            let text = String::from_utf8_lossy(&out).to_ascii_lowercase();
            let body = text
                .lines()
                .find_map(|l| l.strip_prefix("content-length:"))
                .map_or(0, |v| v.trim().parse::<usize>().unwrap());
            let mut rest = vec![0; body];
            if self.stream.read_exact(&mut rest).await.is_ok() {
                out.extend(rest);
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("no response");
        String::from_utf8_lossy(&out).into_owned()
    }

    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.send(bytes).await;
        self.response().await
    }

    /// What comes until the connection closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let read = self.stream.read_to_end(&mut out);
        let _ = tokio::time::timeout(std::time::Duration::from_secs(20), read)
            .await
            .expect("the connection stays open");
        out
    }
}

pub(crate) async fn ask(addr: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    Client::new(addr).await.ask(bytes).await
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
