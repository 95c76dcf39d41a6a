//! A few plain HTTP requests to the gateway's port.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

const ANSWER: Duration = Duration::from_secs(30);

/// `GET` without credentials; status and text.
pub(crate) async fn get(port: u16, path: &str) -> Result<(u16, String), String> {
    let request = Request::get(path)
        .header("host", format!("127.0.0.1:{port}"))
        .body(Full::new(Bytes::new()))
        .map_err(|e| e.to_string())?;
    send(port, request).await
}

/// `POST` of JSON with a bearer token; status and text.
pub(crate) async fn post(
    port: u16,
    path: &str,
    token: &str,
    body: &str,
) -> Result<(u16, String), String> {
    let request = Request::post(path)
        .header("host", format!("127.0.0.1:{port}"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
        .map_err(|e| e.to_string())?;
    send(port, request).await
}

async fn send(port: u16, request: Request<Full<Bytes>>) -> Result<(u16, String), String> {
    let exchange = async {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|e| e.to_string())?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), 8 << 20).collect().await;
        let body = body.map_err(|e| e.to_string())?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    timeout(ANSWER, exchange).await.map_err(|_| "no answer in time".to_owned())?
}
