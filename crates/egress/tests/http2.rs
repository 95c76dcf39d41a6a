//! HTTP/2 inside TLS that the proxy opens: the same rules, request by request.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a failing test should stop at once"
)]

mod common;
use bytes::Bytes;
use common::tls::*;
use common::*;
use h2::client::SendRequest;
use http::Request;
use std::sync::atomic::Ordering;

fn token() -> String {
    format!("glpat-{}", "q1W2e3R4t5".repeat(3))
}

async fn client(bench: &Bench, port: u16) -> SendRequest<Bytes> {
    let mut config = trusting(bench);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let client = TlsClient::new(bench, port, "up.test", config).await.unwrap();
    let (send, connection) = h2::client::handshake(client.stream).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Status and body; an error is a stream that was reset or a connection that is gone.
async fn ask(
    send: &SendRequest<Bytes>,
    request: Request<()>,
    body: &[&[u8]],
) -> Result<(u16, String), h2::Error> {
    let mut send = send.clone().ready().await?;
    let (answer, mut stream) = send.send_request(request, body.is_empty())?;
    for (n, piece) in body.iter().enumerate() {
        let piece = Bytes::copy_from_slice(piece);
        if stream.send_data(piece, n + 1 == body.len()).is_err() {
            break;
        }
    }
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), answer);
    let answer = answer.await.expect("no answer")?;
    let status = answer.status().as_u16();
    let (mut body, mut out) = (answer.into_body(), Vec::new());
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        out.extend(data);
    }
    Ok((status, String::from_utf8_lossy(&out).into_owned()))
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("https://up.test{path}")).body(()).unwrap()
}

fn post(path: &str) -> Request<()> {
    Request::post(format!("https://up.test{path}")).body(()).unwrap()
}

fn echo(request: &str) -> Vec<u8> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    match request.split(' ').nth(1).unwrap() {
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec()
        }
        "/short" => {
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nabc".to_vec()
        }
        "/hints" => [&b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"[..], HELLO].concat(),
        "/large" => {
            [&b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"[..], &[b'z'; 1_000_000]]
                .concat()
        }
        _ => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        }
    }
}

#[tokio::test]
async fn each_stream_is_judged_and_scanned() {
    let up = tls_upstream("up.test", echo).await;
    let port = up.addr.port();
    let bench =
        start(&opened(&up, "paths = [\"/open\", \"/chunked\", \"/large\", \"/hints\"]\n")).await;
    let h2 = client(&bench, port).await;
    let (status, body) = ask(&h2, get("/closed"), &[]).await.unwrap();
    assert!(status == 403 && body.contains("but not this path"), "{status} {body}");
    assert_eq!(up.accepted(), 0);
    assert_eq!(ask(&h2, get("/open"), &[]).await.unwrap(), (200, String::new()));
    assert_eq!(ask(&h2, get("/chunked"), &[]).await.unwrap(), (200, "abc".into()));
    assert_eq!(ask(&h2, get("/hints"), &[]).await.unwrap(), (200, "hello".into()));
    assert_eq!(ask(&h2, get("/large"), &[]).await.unwrap().1.len(), 1_000_000);
    assert_eq!(up.accepted(), 1, "the connection was not kept");
    // Bodies in pieces, with and without a length.
    assert_eq!(ask(&h2, post("/open"), &[b"one ", b"", b"two"]).await.unwrap().0, 200);
    let mut sized = post("/open");
    sized.headers_mut().insert("content-length", "8".parse().unwrap());
    assert_eq!(ask(&h2, sized, &[b"one ", b"four"]).await.unwrap(), (200, "one four".into()));
    // A credential in the path, in a field, and over two frames of a body.
    let (status, body) = ask(&h2, get(&format!("/open?q={}", token())), &[]).await.unwrap();
    assert!(status == 403 && body.contains("`gitlab`"), "{status} {body}");
    let mut field = get("/open");
    field.headers_mut().insert("x-note", token().parse().unwrap());
    assert_eq!(ask(&h2, field, &[]).await.unwrap().0, 403);
    let text = token();
    let (head, tail) = text.as_bytes().split_at(12);
    let (status, body) = ask(&h2, post("/open"), &[head, tail, b" more"]).await.unwrap();
    assert!(status == 403 && body.contains("`gitlab`"), "{status} {body}");
    assert!(!up.seen.lock().unwrap().windows(10).any(|w| w == b"q1W2e3R4t5"));
    // The same connection still serves.
    assert_eq!(ask(&h2, get("/open"), &[]).await.unwrap().0, 200);
    bench.log.wait_for(|e| e.kind == "egress.allowed" && e.summary.starts_with("GET")).await;
}

#[tokio::test]
async fn names_agree_and_nothing_is_smuggled() {
    let up = tls_upstream("up.test", echo).await;
    let port = up.addr.port();
    let bench = start(&opened(&up, "")).await;
    let h2 = client(&bench, port).await;
    for (authority, host, allowed) in [
        ("up.test", None, true),
        ("up.test", Some("up.test"), true),
        ("up.test", Some("other.test"), false),
        ("other.test", None, false),
        ("up.test:1", None, false),
        ("u:p@up.test", None, false),
    ] {
        let mut request = Request::get(format!("https://{authority}/n")).body(()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let answer = ask(&h2, request, &[]).await;
        assert_eq!(
            answer.as_ref().is_ok_and(|(s, _)| *s == 200),
            allowed,
            "{authority} {answer:?}"
        );
    }
    let plain = Request::get("http://up.test/n").body(()).unwrap();
    assert!(ask(&h2, plain, &[]).await.is_ok_and(|(status, _)| status == 400));
    // What looks like HTTP/1.1 in a value is a value, cookies become one, a length is a number.
    let mut crumbs = get("/crumbs");
    crumbs.headers_mut().append("cookie", "a=1".parse().unwrap());
    crumbs.headers_mut().append("cookie", "b=2".parse().unwrap());
    assert_eq!(ask(&h2, crumbs, &[]).await.unwrap().0, 200);
    for (name, value) in
        [("content-length", "x"), ("content-length", "+4"), ("transfer-encoding", "chunked")]
    {
        let mut bad = post("/bad");
        bad.headers_mut().insert(name, value.parse().unwrap());
        let answer = ask(&h2, bad, &[b"abcd"]).await;
        assert!(!answer.is_ok_and(|(status, _)| status == 200), "{name}: {value}");
    }
    let h2 = client(&bench, port).await;
    // A body that looks like another request is a body.
    let inner = b"GET /smuggled HTTP/1.1\r\nHost: up.test\r\n\r\n";
    assert_eq!(ask(&h2, post("/body"), &[inner]).await.unwrap().0, 200);
    let seen = up.seen();
    assert!(seen.contains("Cookie: a=1; b=2\r\n"), "{seen}");
    assert!(!seen.contains("other.test") && !seen.contains("/bad"), "{seen}");
    assert!(seen.contains("\r\nGET /smuggled"), "{seen}");
    assert!(!bench.log.events().iter().any(|e| e.summary.contains("smuggled")));
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let up = tls_upstream("up.test", echo).await;
    let bench = start(&opened(&up, "")).await;
    let h2 = client(&bench, up.addr.port()).await;
    let short = tokio::spawn({
        let h2 = h2.clone();
        async move { ask(&h2, get("/short"), &[]).await }
    });
    // The destination keeps its connection open: the end of the gate ends the wait.
    bench.log.wait_for(|e| e.kind == "egress.allowed" && e.summary.starts_with("GET")).await;
    bench.proxy.gate(seawall_egress::Gate::Closed { reason: "test".into() });
    assert!(short.await.unwrap().is_err());
}

#[tokio::test]
async fn streams_are_bounded_and_end_with_their_connection_or_their_rule() {
    let silent = |_: &str| Vec::new();
    let up = tls_upstream("up.test", silent).await;
    let port = up.addr.port();
    let text = opened(&up, "");
    let bench = start(&format!("[limits]\nconnections_per_identity = 4\n{text}")).await;
    let h2 = client(&bench, port).await;
    let mut waiting = Vec::new();
    for n in 0..3 {
        let h2 = h2.clone();
        waiting.push(tokio::spawn(async move { ask(&h2, get(&format!("/{n}")), &[]).await }));
    }
    let three = || {
        let gets = |e: &&seawall_model::Event| e.summary.starts_with("GET");
        bench.log.events().iter().filter(gets).count() == 3
    };
    bench.log.wait_for(|_| three()).await;
    assert_eq!(bench.proxy.connections(), 4);
    let refused = ask(&h2, get("/one-more"), &[]).await.unwrap_err();
    assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
    // A rule that goes cuts the streams that need it.
    let (rest, _) = text.split_at(text.find("[[rules]]").unwrap());
    bench
        .proxy
        .reload(&policy(&format!("[limits]\nconnections_per_identity = 4\n{rest}")))
        .unwrap();
    for one in waiting {
        assert!(one.await.unwrap().is_err());
    }
    drop(h2);
    // Their places in the table are free again.
    let free = async {
        while bench.proxy.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), free).await.expect("streams stay");
    assert_eq!(up.accepted.load(Ordering::SeqCst), 3);
}
