//! Placeholders on the way out, secrets on the way back, and nothing anywhere else.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::large_futures,
    reason = "a failing test should stop at once"
)]

mod common;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::tls::*;
use common::*;
use std::io::Write as _;

const PLACEHOLDER: &str = "swph_api_00112233445566778899aabbccddeeff";
const VALUE: &str = "t0p+s3cr3t/value=";

struct Value(tempfile::NamedTempFile);

/// A file of the value, readable by its owner only.
fn value() -> Value {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{VALUE}").unwrap();
    Value(file)
}

impl Value {
    fn secret(&self, fields: &str) -> String {
        let path = self.0.path().display();
        format!(
            "[[secrets]]\nname = \"api\"\nplaceholder = \"{PLACEHOLDER}\"\nhosts = [\"up.test\"]\nfile = \"{path}\"\n{fields}"
        )
    }
}

const ALL: &str = "places = [\"headers\", \"url\", \"body\"]\n";

/// Answers with what it was sent, in a body and a field.
fn echo(request: &str) -> Vec<u8> {
    let line = request.lines().next().unwrap_or_default();
    let shown = format!("{request}\n{}\n", STANDARD.encode(format!("x{request}")));
    format!("HTTP/1.1 200 OK\r\nX-Echo: {line}\r\nContent-Length: {}\r\n\r\n{shown}", shown.len())
        .into_bytes()
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: up.test\r\n{fields}\r\n")
}

fn post(body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: up.test\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn the_value_arrives_and_comes_back_as_the_placeholder() {
    let up = tls_upstream("up.test", echo).await;
    let port = up.addr.port();
    let value = value();
    let bench = start(&format!("{}{}", opened(&up, ""), value.secret(ALL))).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let basic = STANDARD.encode(format!("user:{PLACEHOLDER}"));
    let encoded = "t0p%2Bs3cr3t%2Fvalue%3D";
    let long = format!("{}{PLACEHOLDER}", "y ".repeat(600 * 1024));
    for (request, arrives) in [
        (
            get("/", &format!("Authorization: Bearer {PLACEHOLDER}\r\n")),
            format!("Bearer {VALUE}\r\n"),
        ),
        (
            get("/", &format!("Authorization: Basic {basic}\r\n")),
            format!("Basic {}\r\n", STANDARD.encode(format!("user:{VALUE}"))),
        ),
        (get(&format!("/v1?key={PLACEHOLDER}"), ""), format!("GET /v1?key={encoded} HTTP")),
        (
            post(&format!("{{\"key\": \"{PLACEHOLDER}\"}}")),
            format!("Content-Length: 28\r\n\r\n{{\"key\": \"{VALUE}\"}}"),
        ),
        // Longer than what is gathered: in chunks.
        (post(&long), format!("{VALUE}\r\n0\r\n\r\n")),
    ] {
        up.seen.lock().unwrap().clear();
        let answer = client.ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let seen = up.seen();
        assert!(seen.contains(&arrives), "{}", &seen[..seen.len().min(600)]);
        assert!(!seen.contains(PLACEHOLDER));
        for form in [VALUE, encoded, &STANDARD.encode(VALUE)[..20]] {
            assert!(!answer.contains(form), "{form}");
        }
        assert!(answer.contains(PLACEHOLDER));
        let base64 = answer.lines().find(|l| l.len() > 40 && !l.contains(' ')).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&STANDARD.decode(base64).unwrap_or_default()).contains(VALUE)
        );
    }
    for event in bench.log.events() {
        let text = serde_json::to_string(&event).unwrap();
        assert!(!text.contains("s3cr3t") && !text.contains(PLACEHOLDER));
    }
}

#[tokio::test]
async fn a_chunked_body_is_swapped_over_any_cut() {
    let up = tls_upstream("up.test", |_| HELLO.to_vec()).await;
    let port = up.addr.port();
    let value = value();
    let bench = start(&format!("{}{}", opened(&up, ""), value.secret(ALL))).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let body = format!("a {PLACEHOLDER} b");
    for cut in [1, 7, body.len() / 2] {
        up.seen.lock().unwrap().clear();
        let chunks: String = body
            .as_bytes()
            .chunks(cut)
            .map(|c| format!("{:x}\r\n{}\r\n", c.len(), String::from_utf8_lossy(c)))
            .collect();
        let head = "POST / HTTP/1.1\r\nHost: up.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(client.ask(format!("{head}{chunks}0\r\n\r\n")).await.contains("hello"));
        let seen = up.seen();
        let data: String =
            seen.split("\r\n\r\n").nth(1).unwrap().split("\r\n").skip(1).step_by(2).collect();
        assert_eq!(data, format!("a {VALUE} b"), "{seen}");
    }
}

#[tokio::test]
async fn a_placeholder_goes_nowhere_else() {
    let up = tls_upstream("up.test", echo).await;
    let port = up.addr.port();
    let value = value();
    let elsewhere = value.secret(ALL).replace("up.test", "elsewhere.test");
    let carried = [
        get("/", &format!("Authorization: Bearer {PLACEHOLDER}\r\n")),
        get(
            "/",
            &format!("Authorization: Basic {}\r\n", STANDARD.encode(format!("u:{PLACEHOLDER}"))),
        ),
        get(&format!("/?k={PLACEHOLDER}"), ""),
        post(PLACEHOLDER),
        // The value itself, should somebody have got hold of it.
        get("/", &format!("X-Key: {VALUE}\r\n")),
        post(&STANDARD.encode(format!("ab{VALUE}"))),
    ];
    // Not even where the rule lets every kind of credential pass.
    for rule in ["", "carries = [\"*\"]\n"] {
        let bench = start(&format!("{}{elsewhere}", opened(&up, rule))).await;
        for request in &carried {
            let mut client =
                TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
            let answer = client.ask(request).await;
            assert!(answer.contains(" 403 "), "{request} {answer}");
            assert!(answer.contains("`api`: it is not bound to this host"), "{answer}");
            assert!(!answer.contains("s3cr3t"), "{answer}");
        }
        bench.log.wait_for(|e| e.kind == "egress.refused" && e.summary.contains("`api`")).await;
    }
    // Bound, but not in this place, or not for this client.
    let bench = start(&format!("{}{}", opened(&up, ""), value.secret(""))).await;
    let note = get("/", &format!("User-Agent: {PLACEHOLDER}\r\n"));
    for request in [&carried[2], &carried[3], &note] {
        let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
        let answer = client.ask(request).await;
        assert!(answer.contains(" 403 ") && answer.contains("`places`"), "{answer}");
    }
    let agents = format!("{ALL}agents = [\"main\"]\n");
    let bench = start(&format!("{}{}", opened(&up, ""), value.secret(&agents))).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(&carried[0]).await.contains(" 403 "));
    assert_eq!(up.seen(), "");
}

#[tokio::test]
async fn plain_http_gets_the_value_only_if_the_operator_says_so() {
    let up = upstream(HELLO).await;
    let port = up.addr.port();
    let value = value();
    let request = format!(
        "GET http://up.test:{port}/ HTTP/1.1\r\nHost: up.test:{port}\r\nX-Api-Key: {PLACEHOLDER}\r\n\r\n"
    );
    let base = allow(port, "\"http\"");
    let bench = start(&format!("{base}{}", value.secret(""))).await;
    let answer = ask(bench.addr, &request).await;
    assert!(answer.contains(" 403 ") && answer.contains("plain HTTP"), "{answer}");
    assert_eq!(up.seen(), "");
    let bench = start(&format!("{base}{}", value.secret("plain_http = true\n"))).await;
    let mut client = Client::new(bench.addr).await;
    client.send(request.replace("X-Api-Key", "Connection: close\r\nX-Api-Key")).await;
    let answer = String::from_utf8(client.rest().await).unwrap();
    assert!(answer.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{answer}");
    assert!(up.seen().contains(&format!("X-Api-Key: {VALUE}\r\n")), "{}", up.seen());
    // HTTP/1.0 knows no chunks.
    let old = request.replace("HTTP/1.1", "HTTP/1.0");
    let mut client = Client::new(bench.addr).await;
    client.send(&old).await;
    assert!(client.rest().await.ends_with(b"\r\n\r\nhello"));
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_pass() {
    let gzip = |_: &str| {
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\n\x1f\x8bxyz"
            .to_vec()
    };
    let up = tls_upstream("up.test", gzip).await;
    let port = up.addr.port();
    let value = value();
    let bench = start(&format!("{}{}", opened(&up, ""), value.secret(""))).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    let fields = "Accept-Encoding: gzip\r\nRange: bytes=0-3\r\n";
    let answer = client.ask(get("/", fields)).await;
    assert!(answer.contains(" 502 ") && answer.contains("compressed"), "{answer}");
    let seen = up.seen();
    assert!(seen.contains("Accept-Encoding: identity\r\n") && !seen.contains("Range:"), "{seen}");
    // Without a secret it is none of the proxy's business.
    let bench = start(&opened(&up, "")).await;
    let mut client = TlsClient::new(&bench, port, "up.test", trusting(&bench)).await.unwrap();
    assert!(client.ask(get("/", fields)).await.starts_with("HTTP/1.1 200 "));
}
