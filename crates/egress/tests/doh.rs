//! Look-ups over HTTPS (RFC 8484), against a server that speaks TLS and HTTP/2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    unused_imports,
    reason = "a test stops at the first surprise, and shares its helpers with others"
)]

mod common;

use bytes::Bytes;
use common::*;
use rustls::pki_types::PrivateKeyDer;
use seawall_egress::resolve::SystemResolver;
use seawall_egress::{Identity, Resolve};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Requests as they came: method, path, host and content type.
type Asked = Arc<Mutex<Vec<(String, String, String, String)>>>;

struct Server {
    addr: SocketAddr,
    root: tempfile::NamedTempFile,
    asked: Asked,
    handshakes: Arc<AtomicUsize>,
}

/// The answer to a question of type A, 127.0.0.1 for an hour; none of other types.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += usize::from(question[end]) + 1;
    }
    let section = &question[12..end + 5];
    let is_a = section.ends_with(&[0, 1, 0, 1]);
    let mut out = question[..2].to_vec();
    out.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    out.extend(section);
    if is_a {
        out.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 127, 0, 0, 1]);
    }
    out
}

async fn server(name: &str) -> Server {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let mut root = tempfile::NamedTempFile::new().unwrap();
    let text = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&certificate)
    };
    std::io::Write::write_all(
        &mut root,
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").as_bytes(),
    )
    .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (asked, handshakes) = (Asked::default(), Arc::new(AtomicUsize::new(0)));
    let (record, count) = (asked.clone(), handshakes.clone());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (record, count, acceptor) = (record.clone(), count.clone(), acceptor.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    let record = record.clone();
                    tokio::spawn(async move {
                        let (parts, mut body) = request.into_parts();
                        let mut question = Vec::new();
                        while let Some(Ok(data)) = body.data().await {
                            let _ = body.flow_control().release_capacity(data.len());
                            question.extend_from_slice(&data);
                        }
                        let field = |name: &str| {
                            let value = parts.headers.get(name).map(|v| v.to_str().unwrap());
                            value.unwrap_or_default().to_owned()
                        };
                        record.lock().unwrap().push((
                            parts.method.to_string(),
                            parts.uri.path().to_owned(),
                            parts.uri.host().unwrap_or_default().to_owned(),
                            field("content-type"),
                        ));
                        let head = http::Response::builder()
                            .header("content-type", "application/dns-message")
                            .body(())
                            .unwrap();
                        let mut send = respond.send_response(head, false).unwrap();
                        send.send_data(Bytes::from(answer(&question)), true).unwrap();
                    });
                }
            });
        }
    });
    Server { addr, root, asked, handshakes }
}

fn dns(server: &Server, name: &str, roots: bool) -> String {
    let roots = if roots { format!("roots = {:?}\n", server.root.path()) } else { String::new() };
    format!(
        "[dns]\nservers = [\"{}\"]\ntransport = \"https\"\nserver_name = \"{name}\"\n{roots}",
        server.addr
    )
}

#[tokio::test]
async fn names_are_looked_up_over_https() {
    let dns_server = server("dns.test").await;
    let up = upstream(HELLO).await;
    let port = up.addr.port();
    let text = format!(
        "{}[[rules]]\nname = \"site\"\nhosts = [\"site.test\"]\nports = [{port}]\n\
         protocols = [\"http\"]\nprivate = [\"127.0.0.1:{port}\"]\n",
        dns(&dns_server, "dns.test", true)
    );
    let resolver = Arc::new(SystemResolver::new(&policy(&text).dns).unwrap());
    let bench = start_with(&text, resolver, Identity::default()).await;
    let mut client = Client::new(bench.addr).await;
    let request =
        format!("GET http://site.test:{port}/ HTTP/1.1\r\nHost: site.test:{port}\r\n\r\n");
    let answer = client.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let asked = dns_server.asked.lock().unwrap().clone();
    assert!(!asked.is_empty());
    for (method, path, host, kind) in &asked {
        assert_eq!((path.as_str(), host.as_str()), ("/dns-query", "dns.test"));
        assert_eq!((method.as_str(), kind.as_str()), ("POST", "application/dns-message"));
    }
    // Kept: another request asks nobody.
    let answer = client.ask(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(dns_server.asked.lock().unwrap().len(), asked.len());
    let lookup = bench.log.wait_for(|e| e.kind == "egress.answer").await;
    assert_eq!(lookup.detail["addresses"][0], "127.0.0.1");
}

#[tokio::test]
async fn a_server_that_is_not_the_one_that_was_named_is_asked_nothing() {
    let dns_server = server("dns.test").await;
    for (name, roots) in [("other.test", true), ("dns.test", false)] {
        let settings = policy(&dns(&dns_server, name, roots)).dns;
        let resolver = SystemResolver::new(&settings).unwrap();
        let limit = std::time::Duration::from_secs(10);
        let answer = tokio::time::timeout(limit, resolver.resolve("site.test")).await;
        assert!(!matches!(answer, Ok(Ok(_))), "{name} {roots}");
    }
    assert_eq!(dns_server.asked.lock().unwrap().len(), 0);
    assert_eq!(dns_server.handshakes.load(Ordering::SeqCst), 0);
}
