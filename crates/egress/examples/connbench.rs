//! A load of connections or requests through a proxy on loopback; `bench/egress/run` uses it.
//!
//! `connbench MODE PROXY TARGET PATH CLIENTS SECONDS`, addresses with ports. Modes: `connect-setup`, a connection with a CONNECT
//! and one GET in it; `connect-reuse` and `bulk`, one tunnel for each client; `plain-new` and `plain-keep`, GETs in absolute
//! form; `direct-new`, `direct-keep`, `direct-bulk`, the same without a proxy.

#![allow(clippy::print_stdout, clippy::indexing_slicing, reason = "a measurement, run by hand")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

type Done<T> = Result<T, Box<dyn Error>>;

struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Conn {
    async fn open(to: SocketAddr) -> Done<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(8192) })
    }

    async fn more(&mut self) -> Done<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("closed".into()),
            _ => Ok(()),
        }
    }

    /// Status, length of the body if it is told, whether it is chunked, and whether the connection
    /// ends.
    async fn head(&mut self) -> Done<(u16, Option<u64>, bool, bool)> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|s| s.parse().ok()).ok_or("no status")?;
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let length = field("content-length:").and_then(|v| v.parse().ok());
        let chunked = field("transfer-encoding:").is_some_and(|v| v.contains("chunked"));
        Ok((status, length, chunked, field("connection:") == Some("close")))
    }

    async fn ask(&mut self, request: &[u8]) -> Done<(u16, u64, bool)> {
        self.stream.write_all(request).await?;
        let (status, length, chunked, close) = self.head().await?;
        let mut got = 0;
        match (length, chunked) {
            (_, true) => {
                while !self.buffer.ends_with(b"0\r\n\r\n") {
                    self.more().await?;
                }
                got = self.buffer.len() as u64;
                self.buffer.clear();
            }
            (Some(length), _) => {
                while got + (self.buffer.len() as u64) < length {
                    got += self.buffer.len() as u64;
                    self.buffer.clear();
                    self.buffer.reserve(64 * 1024);
                    self.more().await?;
                }
                self.buffer.clear();
                got = length;
            }
            (None, false) => {
                while self.more().await.is_ok() {
                    got += self.buffer.len() as u64;
                    self.buffer.clear();
                }
            }
        }
        Ok((status, got, close || (length.is_none() && !chunked)))
    }
}

struct Load {
    mode: String,
    proxy: SocketAddr,
    target: SocketAddr,
    path: String,
    until: Instant,
    bytes: AtomicU64,
    unexpected: AtomicU64,
    errors: AtomicU64,
}

impl Load {
    async fn connect(&self) -> Done<Conn> {
        let mut conn = Conn::open(self.proxy).await?;
        let target = self.target;
        let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        conn.stream.write_all(request.as_bytes()).await?;
        match conn.head().await?.0 {
            200 => Ok(conn),
            status => Err(format!("status {status}").into()),
        }
    }

    async fn once(&self, kept: &mut Option<Conn>) -> Done<u16> {
        let (target, path) = (self.target, &self.path);
        let origin = format!("GET {path} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let absolute = format!("GET http://{target}{path} HTTP/1.1\r\nHost: {target}\r\n\r\n");
        let (mut conn, request) = match (self.mode.as_str(), kept.take()) {
            ("plain-keep", Some(conn)) => (conn, absolute),
            (_, Some(conn)) => (conn, origin),
            ("connect-setup" | "connect-reuse" | "bulk", None) => (self.connect().await?, origin),
            ("plain-new" | "plain-keep", None) => (Conn::open(self.proxy).await?, absolute),
            _ => (Conn::open(target).await?, origin),
        };
        let (status, bytes, close) = conn.ask(request.as_bytes()).await?;
        self.bytes.fetch_add(bytes, Relaxed);
        if !close && !self.mode.ends_with("-new") && self.mode != "connect-setup" {
            *kept = Some(conn);
        }
        Ok(status)
    }

    async fn client(&self) -> Vec<f64> {
        let (mut times, mut kept) = (Vec::new(), None);
        while Instant::now() < self.until {
            let begun = Instant::now();
            match self.once(&mut kept).await {
                Ok(200) => times.push(begun.elapsed().as_secs_f64() * 1e3),
                Ok(_) => drop(self.unexpected.fetch_add(1, Relaxed)),
                Err(_) => drop(self.errors.fetch_add(1, Relaxed)),
            }
        }
        times
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done<()> {
    let words: Vec<String> = std::env::args().collect();
    let [_, mode, proxy, target, path, clients, seconds] = words.as_slice() else {
        return Err("usage: connbench MODE PROXY TARGET PATH CLIENTS SECONDS".into());
    };
    let (proxy, target): (SocketAddr, SocketAddr) = (proxy.parse()?, target.parse()?);
    if !(proxy.ip().is_loopback() && target.ip().is_loopback()) {
        return Err("loopback only".into());
    }
    let begun = Instant::now();
    let load = Load {
        mode: mode.clone(),
        proxy,
        target,
        path: path.clone(),
        until: begun + Duration::from_secs_f64(seconds.parse()?),
        bytes: AtomicU64::new(0),
        unexpected: AtomicU64::new(0),
        errors: AtomicU64::new(0),
    };
    let clients: usize = clients.parse()?;
    let all = futures_util::future::join_all((0..clients).map(|_| load.client())).await;
    let took = begun.elapsed().as_secs_f64();
    let mut times: Vec<f64> = all.into_iter().flatten().collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied();
    println!(
        "ok={} rps={:.1} p50_ms={:.3} p99_ms={:.3} MBps={:.1} unexpected={} errors={}",
        times.len(),
        times.len() as f64 / took,
        at(50).unwrap_or_default(),
        at(99).unwrap_or_default(),
        load.bytes.load(Relaxed) as f64 / took / 1e6,
        load.unexpected.load(Relaxed),
        load.errors.load(Relaxed)
    );
    Ok(())
}
