//! TLS that the proxy opens: what is judged in it, and that nothing goes round it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a failing test should stop at once"
)]

mod common;
use common::tls::*;
use common::*;

fn hello(_: &str) -> Vec<u8> {
    HELLO.to_vec()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: up.test\r\n\r\n")
}

fn token() -> String {
    format!("glpat-{}", "q1W2e3R4t5".repeat(3))
}

#[tokio::test]
async fn requests_in_tls_are_judged_and_scanned() {
    let up = tls_upstream("up.test", hello).await;
    let port = up.addr.port();
    // Without interception the token goes out, and so does every path.
    let text = opened(&up, "").replace("intercept = true\n", "");
    let bench = start(&text).await;
    let mut client =
        TlsClient::new(&bench, port, "up.test", trusting_der(up.der.clone())).await.unwrap();
    assert!(client.ask(get(&format!("/closed?q={}", token()))).await.ends_with("hello"));
    assert!(up.seen().contains(&token()));
    up.seen.lock().unwrap().clear();

    let bench = start(&opened(&up, "paths = [\"/open\"]\nmethods = [\"GET\"]\n")).await;
    let before = up.accepted();
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let answer = client.ask(get("/closed")).await;
    assert!(answer.contains(" 403 ") && answer.contains("but not this path"), "{answer}");
    // The destination has not heard of it.
    assert_eq!(up.accepted(), before);
    assert!(client.ask(get("/open/1")).await.ends_with("hello"));
    assert!(client.ask(get("/open/2")).await.ends_with("hello"));
    assert_eq!(up.accepted(), before + 1, "the connection was not kept");
    let post = "POST /open HTTP/1.1\r\nHost: up.test\r\nContent-Length: 0\r\n\r\n";
    assert!(client.ask(post).await.contains("not with the method POST"));
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let answer = client.ask(get(&format!("/open?q={}", token()))).await;
    assert!(answer.contains(" 403 ") && answer.contains("`gitlab`"), "{answer}");
    assert!(!up.seen().contains("q1W2e3R4t5") && !up.seen().contains("closed"), "{}", up.seen());
    assert!(up.seen().contains(&format!("Host: up.test:{port}\r\n")), "{}", up.seen());
    bench.log.wait_for(|e| e.kind == "egress.allowed" && e.summary.starts_with("GET")).await;

    // A body, over pieces.
    let bench = start(&opened(&up, "")).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let body = format!("{{\"note\": \"{}\"}}", token());
    let post = format!(
        "POST /open HTTP/1.1\r\nHost: up.test\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert!(client.ask(post).await.contains("`gitlab`"));
    assert!(!up.seen().contains("q1W2e3R4t5"));
}

#[tokio::test]
async fn all_names_have_to_be_the_one_that_was_asked_for() {
    let up = tls_upstream("up.test", hello).await;
    let port = up.addr.port();
    let bench = start(&opened(&up, "")).await;
    for name in ["other.test", "127.0.0.1"] {
        let client = TlsClient::new(&bench, port, name, trusting(&bench)).await;
        assert!(client.is_err(), "{name}");
    }
    bench.log.wait_for(|e| e.summary.contains("is `other.test`")).await;
    bench.log.wait_for(|e| e.summary.contains("shows no server name")).await;
    for host in ["other.test", "up.test:80", "up.test.", "127.0.0.1"] {
        let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
        let answer = client.ask(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        let same = host == "up.test.";
        assert_eq!(answer.ends_with("hello"), same, "{host}: {answer}");
    }
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let absolute = "GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n";
    assert!(client.ask(absolute).await.contains("a proxy request inside a tunnel"));
    assert!(!up.seen().contains("other.test"));
}

#[tokio::test]
async fn a_destination_without_a_valid_certificate_gets_nothing() {
    let up = tls_upstream("up.test", hello).await;
    let wrong_name = tls_upstream("else.test", hello).await;
    let unknown = tls_upstream("up.test", hello).await;
    for (destination, roots) in [(&wrong_name, &wrong_name), (&unknown, &up)] {
        let port = destination.addr.port();
        let text = opened(destination, "").replace(
            &destination.root.path().display().to_string(),
            &roots.root.path().display().to_string(),
        );
        let bench = start(&text).await;
        let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
        let answer = client.ask(get("/")).await;
        assert!(answer.contains(" 502 "), "{answer}");
        assert!(answer.contains("X-Seawall-Cause: certificate"), "{answer}");
        assert_eq!(destination.seen(), "");
    }
    // One that speaks no TLS, and one that says nothing.
    let plain = upstream(HELLO).await;
    let port = plain.addr.port();
    let text = format!(
        "[limits]\nconnect_seconds = 1\n{}",
        opened(&up, "").replace(&up.addr.port().to_string(), &port.to_string())
    );
    let bench = start(&text).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let answer = client.ask(get("/")).await;
    assert!(answer.contains(" 502 ") && !plain.seen().contains("GET"), "{answer}");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let text = format!(
        "[limits]\nconnect_seconds = 1\n{}",
        opened(&up, "").replace(&up.addr.port().to_string(), &port.to_string())
    );
    let bench = start(&text).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(get("/")).await.contains("did not begin within 1 s"));
}

#[tokio::test]
async fn no_other_rule_is_a_way_round() {
    let up = tls_upstream("up.test", hello).await;
    let port = up.addr.port();
    let around = format!(
        "[[rules]]\nname = \"around\"\nhosts = [\"*\"]\nports = [{port}]\n\
         protocols = [\"tls\", \"tls_without_name\", \"raw\"]\nprivate = [\"127.0.0.1:{port}\"]\n"
    );
    let text = opened(&up, "paths = [\"/open\"]\n");
    // In front of it and behind it.
    let (hosts, rule) = text.split_at(text.find("[[rules]]").unwrap());
    for text in [format!("{hosts}{rule}{around}"), format!("{hosts}{around}{rule}")] {
        let bench = start(&text).await;
        let direct = TlsClient::new(&bench, port, "up.test", trusting_der(up.der.clone())).await;
        assert!(direct.is_err());
        let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
        assert!(client.ask(get("/closed")).await.contains(" 403 "));
        let mut client = Client::new(bench.addr).await;
        let connect = format!("CONNECT up.test:{port} HTTP/1.1\r\nHost: up.test:{port}\r\n\r\n");
        assert!(client.ask(connect).await.contains(" 200 "));
        client.send("SSH-2.0-x\r\n\r\n").await;
        client.rest().await;
    }
    assert_eq!(up.seen(), "");
    // A tunnel from before the rule is cut when the rule comes.
    let bench = start(&format!("{hosts}{around}")).await;
    let mut client =
        TlsClient::new(&bench, port, "up.test", trusting_der(up.der.clone())).await.unwrap();
    assert!(client.ask(get("/before")).await.ends_with("hello"));
    bench.proxy.reload(&policy(&format!("{hosts}{around}{rule}"))).unwrap();
    assert!(!client.ask(get("/after")).await.ends_with("hello"));
    assert!(!up.seen().contains("/after"));
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(get("/open")).await.ends_with("hello"));
    // A denial holds inside too.
    let deny = "[[rules]]\nname = \"no\"\naction = \"deny\"\nhosts = [\"up.test\"]\npaths = [\"/open/x\"]\n";
    bench.proxy.reload(&policy(&format!("{hosts}{rule}{deny}"))).unwrap();
    assert!(client.ask(get("/open/x")).await.contains("is denied"));
}

#[tokio::test]
async fn clients_choose_between_the_versions_of_http() {
    let up = tls_upstream("up.test", hello).await;
    let port = up.addr.port();
    let bench = start(&opened(&up, "")).await;
    for (offered, chosen) in [
        (&[&b"h2"[..], b"http/1.1"][..], Some(&b"h2"[..])),
        (&[b"http/1.1"], Some(b"http/1.1")),
        (&[b"h2"], Some(b"h2")),
        (&[], None),
    ] {
        let mut config = trusting(&bench);
        config.alpn_protocols = offered.iter().map(|p| p.to_vec()).collect();
        let mut client = TlsClient::new(&bench, port, "up.test", config).await.unwrap();
        assert_eq!(client.stream.get_ref().1.alpn_protocol(), chosen);
        if chosen != Some(b"h2") {
            assert!(client.ask(get("/")).await.ends_with("hello"));
        }
    }
    let mut config = trusting(&bench);
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    assert!(TlsClient::new(&bench, port, "up.test", config).await.is_err());
    let told = |e: &seawall_model::Event| e.summary.starts_with("TLS of the client");
    bench.log.wait_for(told).await;
    // A client that does not trust the authority is told of in the log.
    let client = TlsClient::new(&bench, port, "up.test", trusting_der(up.der.clone())).await;
    assert!(client.is_err());
    bench.log.wait_for(|e| told(e) && e.summary.contains("UnknownCA")).await;
}

#[tokio::test]
async fn a_websocket_in_tls_needs_its_protocol() {
    let switch = |_: &str| {
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframe"
            .to_vec()
    };
    let up = tls_upstream("up.test", switch).await;
    let port = up.addr.port();
    let request = "GET /ws HTTP/1.1\r\nHost: up.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n\r\n";
    let bench = start(&opened(&up, "")).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(request).await.contains("not for a WebSocket inside TLS"));
    let bench = start(&opened(&up, "protocols = [\"tls\", \"websocket\"]\n")).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(request).await.starts_with("HTTP/1.1 101 "));
    client.ask(b"\x81\x90\0\0\0\0client frame\r\n\r\n").await;
    assert!(up.seen().contains("client frame"), "{}", up.seen());
}

#[tokio::test]
async fn a_client_resumes_its_session() {
    let up = tls_upstream("up.test", hello).await;
    let port = up.addr.port();
    let bench = start(&opened(&up, "")).await;
    // One configuration is one memory of sessions.
    let config = trusting(&bench);
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut client = TlsClient::new(&bench, port, "up.test", config.clone()).await.unwrap();
        assert!(client.ask(get("/")).await.ends_with("hello"));
        assert_eq!(client.stream.get_ref().1.handshake_kind(), Some(expected));
    }
}
