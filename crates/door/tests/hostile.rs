//! Clients that do not keep to the rules. The gateway is a stand-in here: it has to record exactly
//! what reaches it, and some tests need it to be silent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit,
    reason = "a test or an example stops at the first surprise"
)]

mod common;

use common::{Client, Lab};
use futures_util::{SinkExt as _, StreamExt as _};
use seawall_door::{BoxFuture, Connect, DoorConfig, Role};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

/// Records what each HTTP connection sent, and answers 200.
async fn http_gateway() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let record = Arc::clone(&record);
            tokio::spawn(async move {
                let mut got = Vec::new();
                let mut buf = [0u8; 4096];
                while let Ok(Ok(n)) =
                    tokio::time::timeout(Duration::from_millis(200), stream.read(&mut buf)).await
                {
                    if n == 0 {
                        break;
                    }
                    got.extend_from_slice(&buf[..n]);
                }
                record.lock().expect("no panic").push(String::from_utf8_lossy(&got).into_owned());
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nset-cookie: a=b\r\n\r\nok")
                    .await
                    .ok();
            });
        }
    });
    (address, seen)
}

/// Speaks just enough of the protocol: lets everybody in and echoes requests back.
async fn ws_gateway() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Ok(mut ws) = tokio_tungstenite::accept_async(stream).await else { return };
                let challenge = json!({"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1}});
                ws.send(Message::text(challenge.to_string())).await.ok();
                while let Some(Ok(Message::Text(text))) = ws.next().await {
                    let frame: serde_json::Value = serde_json::from_str(&text).expect("JSON");
                    let answer = json!({"type":"res","id":frame["id"],"ok":true,"payload":{"raw":text.as_str(),"features":{"methods":["health","terminal.open"]},"auth":{"deviceToken":"x"}}});
                    ws.send(Message::text(answer.to_string())).await.ok();
                }
            });
        }
    });
    address
}

async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the door listens");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await.ok();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_request_in_a_request_never_reaches_the_gateway() {
    let (gateway, seen) = http_gateway().await;
    let lab = Lab::new(gateway, DoorConfig::default()).await;
    let host = lab.address;
    let smuggled = "GET /tools/invoke HTTP/1.1\r\nhost: x\r\n\r\n";
    for request in [
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}",
            5 + smuggled.len()
        ),
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ntransfer-encoding: xchunked\r\n\r\n{smuggled}"
        ),
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\ncontent-length: 45\r\n\r\n{smuggled}"
        ),
        format!(
            "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length : 45\r\n\r\n{smuggled}"
        ),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nx: a\nGET /tools/invoke HTTP/1.1\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nhost: {host}\r\nhost: evil\r\nconnection: close\r\n\r\n"),
        format!("GET http://evil/ HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"),
        "GET / HTTP/1.1\r\nconnection: close\r\n\r\n".to_owned(),
    ] {
        raw(host, &request).await;
    }
    for request in seen.lock().expect("no panic").iter() {
        assert!(!request.contains("/tools/invoke"), "{request}");
        assert_eq!(request.matches("HTTP/1.1").count(), 1, "{request}");
    }
}

#[tokio::test]
async fn no_header_of_a_client_says_who_it_is() {
    let (gateway, seen) = http_gateway().await;
    let lab = Lab::new(gateway, DoorConfig::default()).await;
    let answer = raw(
        lab.address,
        &format!(
            "GET /control-ui-config.json HTTP/1.1\r\nHost: {}\r\nConnection: close, x-forwarded-user\r\nAuthorization: Bearer {}\r\n\
             X-Forwarded-User: root\r\nX-Forwarded-For: 127.0.0.1\r\nForwarded: for=127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n\
             X-OpenClaw-Scopes: operator.admin\r\nTailscale-User-Login: root\r\nCookie: a=b\r\nX_Forwarded_User: root\r\nAccept: */*\r\n\r\n",
            lab.address,
            lab.token(Role::Viewer)
        ),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("set-cookie"), "{answer}");
    let seen = seen.lock().expect("no panic").join("");
    let mut lines: Vec<&str> = seen.lines().filter(|l| !l.is_empty()).collect();
    lines.sort_unstable();
    let shown = lines.join("\n").replace(&lab.address.to_string(), "HOST");
    insta::assert_snapshot!(shown, @r"
    GET /control-ui-config.json HTTP/1.1
    accept: */*
    connection: close
    host: 127.0.0.1
    x-forwarded-for: 192.0.2.1
    x-forwarded-host: HOST
    x-forwarded-proto: http
    x-forwarded-user: seawall-operator
    x-openclaw-scopes: operator.read
    ");
}

#[tokio::test]
async fn other_sites_and_names_are_turned_away() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    for headers in
        [[("origin", "https://evil.example")], [("origin", "null")], [("host", "evil.example:80")]]
    {
        let error = Client::open(lab.address, &headers).await.expect_err("turned away");
        assert!(error.contains("403") || error.contains("421"), "{headers:?}: {error}");
    }
    let own = format!("http://{}", lab.address);
    assert!(Client::open(lab.address, &[("origin", &own)]).await.is_ok());
}

#[tokio::test]
async fn frames_that_two_parsers_could_read_differently_end_the_connection() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    for frame in [
        Message::text(r#"{"type":"req","id":"9","method":"health","method":"terminal.open"}"#),
        Message::text(
            r#"{"type":"req","id":"9","method":"cron.add","params":{"payload":{"kind":"agentTurn"},"payload":{"kind":"command"}}}"#,
        ),
        Message::text("{"),
        Message::binary(&b"{}"[..]),
    ] {
        let mut client = lab.client(Role::Operator).await.expect("let in");
        client.socket.send(frame).await.expect("sent");
        assert!(client.closes().await);
    }
    lab.until("door.refused", "deny", "a malformed frame").await;
    // What is taken arrives as we wrote it, not as the client did.
    let mut client = lab.client(Role::Operator).await.expect("let in");
    client.socket.send(Message::text("{ \"params\" : {\"a\":\"\\u0041\"}, \"method\":\"health\",\n\"id\":\"7\",\"type\":\"req\"}")).await.expect("sent");
    let answer = client.read().await.expect("an answer");
    let raw = answer["payload"]["raw"].as_str().expect("a frame");
    assert!(raw.contains(r#""params":{"a":"A"}"#) && !raw.contains(' '), "{raw}");
}

#[tokio::test]
async fn connect_is_the_doors_own() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    let mut client = lab.client(Role::Chat).await.expect("let in");
    let raw = client.hello["raw"].as_str().expect("a frame").to_owned();
    assert!(
        !raw.contains("auth") && !raw.contains("seawall_") && !raw.contains("operator.admin"),
        "{raw}"
    );
    assert_eq!(client.hello["features"]["methods"], json!(["health"]));
    assert!(client.hello["auth"].get("deviceToken").is_none());
    assert!(client.call("connect", json!({})).await.is_err());
    assert!(client.call("health", json!({})).await.is_ok());
}

#[tokio::test]
async fn what_is_consequential_waits_for_the_log() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    let mut client = lab.client(Role::Operator).await.expect("let in");
    lab.log.broken.store(true, Ordering::SeqCst);
    let error = client.call("device.pair.approve", json!({})).await.expect_err("not written down");
    assert!(error["message"].as_str().is_some_and(|m| m.contains("the disk is full")), "{error}");
    assert!(client.call("health", json!({})).await.is_ok());
    assert!(lab.client(Role::Operator).await.is_err());
}

#[tokio::test]
async fn guessing_is_slowed_and_seen() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    let mut codes = Vec::new();
    for _ in 0..7 {
        let error =
            Client::connect(lab.address, Some("guess"), &[]).await.err().expect("not let in");
        codes.push(error["details"]["code"].as_str().unwrap_or_default().to_owned());
    }
    assert_eq!(codes.iter().filter(|c| *c == "AUTH_TOKEN_MISMATCH").count(), 5, "{codes:?}");
    assert_eq!(codes.last().map(String::as_str), Some("AUTH_RATE_LIMITED"));
}

#[tokio::test]
async fn a_stranger_can_neither_wait_nor_send_much() {
    let config = DoorConfig { login_seconds: 1, ..DoorConfig::default() };
    let lab = Lab::new(ws_gateway().await, config).await;
    let mut silent = Client::open(lab.address, &[]).await.expect("open");
    let mut closed = false;
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(10), silent.next()).await
    {
        closed = matches!(message, Ok(Message::Close(_)) | Err(_));
        if closed {
            break;
        }
    }
    assert!(closed);
    let mut loud = Client::open(lab.address, &[]).await.expect("open");
    let frame = format!(
        r#"{{"type":"req","id":"1","method":"connect","params":{{"a":"{}"}}}}"#,
        "x".repeat(1 << 20)
    );
    loud.send(Message::text(frame)).await.ok();
    let mut ended = false;
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_secs(10), loud.next()).await {
        ended |= !matches!(message, Ok(Message::Text(_)));
    }
    assert!(ended);
}

#[tokio::test]
async fn wrong_tokens_of_others_do_not_keep_the_owner_out() {
    let lab = Lab::new(ws_gateway().await, DoorConfig::default()).await;
    for _ in 0..20 {
        assert!(Client::connect(lab.address, Some("guess"), &[]).await.is_err());
        assert!(lab.client(Role::Operator).await.is_ok(), "the right token never waits");
    }
}

#[tokio::test]
async fn strangers_do_not_take_the_places_of_those_with_a_token() {
    let config = DoorConfig { max_connections: 4, max_unauthenticated: 4, ..DoorConfig::default() };
    let lab = Lab::new(ws_gateway().await, config).await;
    // Each one shows a sign of life, so that no deadline ends it.
    let probe = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n", lab.address);
    let mut strangers = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(lab.address).await.expect("the door listens");
        stream.write_all(probe.as_bytes()).await.ok();
        strangers.push(stream);
        let waiting = Client::open(lab.address, &[]).await;
        let mut owner = lab.client(Role::Operator).await.expect("the owner comes in");
        assert!(owner.call("health", json!({})).await.is_ok());
        drop(waiting);
    }
    let mut byte = [0];
    let first = tokio::time::timeout(Duration::from_secs(10), strangers[0].read(&mut byte));
    assert!(!matches!(first.await.expect("the oldest made room"), Ok(n) if n > 0));
}

#[tokio::test]
async fn websockets_keep_their_place_and_one_token_takes_half_of_them() {
    let config = DoorConfig { max_connections: 4, ..DoorConfig::default() };
    let lab = Lab::new(ws_gateway().await, config).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        open.push(lab.client(Role::Viewer).await.expect("a place"));
    }
    let error = lab.client(Role::Viewer).await.err().expect("no third place for one token");
    assert!(error["message"].as_str().is_some_and(|m| m.contains("max_connections")), "{error}");
    assert!(lab.client(Role::Operator).await.is_ok());
    drop(open);
    let back = async {
        while lab.client(Role::Viewer).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("the places come back");
}

/// A way to the gateway that can be closed.
struct Closing(SocketAddr, tokio::sync::watch::Receiver<bool>);

impl Connect for Closing {
    fn connect(&self) -> BoxFuture<'_, std::io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(self.0))
    }

    fn closed(&self) -> BoxFuture<'_, ()> {
        let mut closed = self.1.clone();
        Box::pin(async move {
            closed.wait_for(|closed| *closed).await.ok();
        })
    }
}

#[tokio::test]
async fn what_is_open_ends_when_the_door_closes() {
    // A gateway that begins an answer and does not end it, for HTTP.
    let slow = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let slow_at = slow.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = slow.accept().await {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nbegin").await.ok();
            kept.push(stream);
        }
    });
    for gateway in [ws_gateway().await, slow_at] {
        let (close, closed) = tokio::sync::watch::channel(false);
        let lab = Lab::by(Arc::new(Closing(gateway, closed)), DoorConfig::default()).await;
        if gateway == slow_at {
            let mut stream = TcpStream::connect(lab.address).await.expect("the door listens");
            let ask = format!(
                "GET /control-ui-config.json HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
                lab.address,
                lab.token(Role::Viewer)
            );
            stream.write_all(ask.as_bytes()).await.expect("sent");
            let mut got = Vec::new();
            while !got.ends_with(b"begin") {
                assert_ne!(stream.read_buf(&mut got).await.expect("an answer begins"), 0);
            }
            close.send_replace(true);
            let rest = tokio::time::timeout(Duration::from_secs(10), stream.read_buf(&mut got));
            assert!(!matches!(rest.await.expect("it is cut"), Ok(n) if n > 0));
        } else {
            let mut client = lab.client(Role::Operator).await.expect("let in");
            assert!(client.call("health", json!({})).await.is_ok());
            close.send_replace(true);
            assert!(client.closes().await);
        }
    }
}
