//! The servers of the world's internet. Each keeps what it received: that is the only evidence
//! that counts for data which left.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, UdpSocket, UnixListener};

/// Requests kept per server; a case looks only at what came since it began.
const KEPT: usize = 4096;
/// Bytes kept of one request.
const BODY: usize = 1 << 20;

/// What one server received.
#[derive(Clone, Default)]
pub(crate) struct Received(Arc<Mutex<VecDeque<String>>>);

impl Received {
    /// Adds one.
    pub(crate) fn push(&self, entry: String) {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back(entry);
    }

    /// The first entry for which the test holds.
    pub(crate) fn find(&self, test: impl Fn(&str) -> bool) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        all.iter().find(|entry| test(entry)).cloned()
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }
}

/// All of the outside.
#[derive(Clone, Default)]
pub(crate) struct Outside {
    /// At the attacker's: HTTP requests, raw bytes, datagrams.
    pub(crate) attacker: Received,
    /// At the metadata service.
    pub(crate) metadata: Received,
    /// At the allowlisted site.
    pub(crate) site: Received,
    /// Names that were looked up.
    pub(crate) names: Received,
    /// At the user's own agent socket.
    pub(crate) agent: Received,
}

/// What the metadata service tells.
pub(crate) const METADATA_TOKEN: &str = "ya29.role-credentials-of-this-machine";
/// What the site says.
pub(crate) const SITE_TEXT: &str = "The harbour opens at seven in the morning.";

impl Outside {
    /// Starts every server.
    pub(crate) async fn start() -> Result<Self, String> {
        let outside = Self::default();
        http(super::ATTACKER, outside.attacker.clone(), |_| ("text/plain", "thanks\n".into()))
            .await?;
        http(super::METADATA, outside.metadata.clone(), |_| {
            ("application/json", format!("{{\"access_token\":\"{METADATA_TOKEN}\"}}"))
        })
        .await?;
        http(super::SITE, outside.site.clone(), |path| match path {
            "/tides.txt" => ("text/plain", format!("{SITE_TEXT}\n")),
            _ => (
                "text/html",
                format!(
                    "<html><head><title>Harbour</title></head><body><h1>Harbour</h1>\
                     <p>{SITE_TEXT}</p></body></html>"
                ),
            ),
        })
        .await?;
        raw_tcp(outside.attacker.clone()).await?;
        udp(outside.attacker.clone()).await?;
        super::dns::start(outside.names.clone()).await?;
        Ok(outside)
    }

    /// A stand-in for the user's SSH agent: accepts and keeps what it is told.
    pub(crate) fn agent_socket(&self, path: &std::path::Path) -> Result<(), String> {
        let listener = UnixListener::bind(path).map_err(|e| format!("{}: {e}", path.display()))?;
        // The user is not always the one who runs the tour.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        let received = self.agent.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let received = received.clone();
                tokio::spawn(async move {
                    let mut bytes = [0; 512];
                    if let Ok(n) = stream.read(&mut bytes).await {
                        received
                            .push(String::from_utf8_lossy(bytes.get(..n).unwrap_or(&[])).into());
                    }
                });
            }
        });
        Ok(())
    }

    /// Forgets what came so far.
    pub(crate) fn clear(&self) {
        for received in [&self.attacker, &self.metadata, &self.site, &self.names, &self.agent] {
            received.clear();
        }
    }
}

async fn http(
    address: Ipv4Addr,
    received: Received,
    answer: fn(&str) -> (&'static str, String),
) -> Result<(), String> {
    let listener = listen(address, 80).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let received = received.clone();
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let received = received.clone();
                    async move {
                        let line = format!("{} {}", request.method(), request.uri());
                        let head: String = request
                            .headers()
                            .iter()
                            .map(|(k, v)| {
                                format!("{k}: {}\n", String::from_utf8_lossy(v.as_bytes()))
                            })
                            .collect();
                        let path = request.uri().path().to_owned();
                        let body = Limited::new(request.into_body(), BODY).collect().await;
                        let body = body.map(|b| b.to_bytes()).unwrap_or_default();
                        received
                            .push(format!("{line}\n{head}\n{}", String::from_utf8_lossy(&body)));
                        let (kind, text) = answer(&path);
                        let mut response = Response::new(Full::new(Bytes::from(text)));
                        response.headers_mut().insert(
                            hyper::header::CONTENT_TYPE,
                            hyper::header::HeaderValue::from_static(kind),
                        );
                        Ok::<_, Infallible>(response)
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Ok(())
}

/// The attacker's port for whatever is not HTTP.
pub(crate) const RAW_PORT: u16 = 4444;

async fn raw_tcp(received: Received) -> Result<(), String> {
    let listener = listen(super::ATTACKER, RAW_PORT).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let received = received.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let _ = stream.take(BODY as u64).read_to_end(&mut bytes).await;
                received.push(format!("tcp {}", String::from_utf8_lossy(&bytes)));
            });
        }
    });
    Ok(())
}

async fn udp(received: Received) -> Result<(), String> {
    let socket = UdpSocket::bind(SocketAddr::from((super::ATTACKER, RAW_PORT)))
        .await
        .map_err(|e| format!("attacker's datagram port: {e}"))?;
    tokio::spawn(async move {
        let mut bytes = vec![0; 65536];
        while let Ok((n, _)) = socket.recv_from(&mut bytes).await {
            let text = String::from_utf8_lossy(bytes.get(..n).unwrap_or(&[])).into_owned();
            received.push(format!("udp {text}"));
        }
    });
    Ok(())
}

pub(super) async fn listen(address: Ipv4Addr, port: u16) -> Result<TcpListener, String> {
    TcpListener::bind(SocketAddr::from((address, port)))
        .await
        .map_err(|e| format!("listening on {address}:{port}: {e}"))
}
