//! TLS on both sides of the proxy: a destination with a certificate, and a client in a tunnel.

use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A destination that speaks TLS.
pub(crate) struct TlsUpstream {
    pub(crate) addr: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
    pub(crate) accepted: Arc<AtomicUsize>,
    /// Its certificate, which is its own root.
    pub(crate) root: tempfile::NamedTempFile,
    pub(crate) der: CertificateDer<'static>,
}

impl TlsUpstream {
    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Answers each request by what `respond` makes of it.
pub(crate) async fn tls_upstream(
    name: &str,
    respond: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> TlsUpstream {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().clone();
    let mut root = tempfile::NamedTempFile::new().unwrap();
    let text = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&der)
    };
    std::io::Write::write_all(
        &mut root,
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n").as_bytes(),
    )
    .unwrap();
    assert_eq!(CertificateDer::from_pem_file(root.path()).unwrap(), der);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der.clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let accepted = Arc::new(AtomicUsize::new(0));
    let (record, count, respond) = (seen.clone(), accepted.clone(), Arc::new(respond));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let (record, acceptor, respond) = (record.clone(), acceptor.clone(), respond.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut buffer = Vec::new();
                while stream.read_buf(&mut buffer).await.is_ok_and(|n| n > 0) {
                    while let Some(len) = complete(&buffer) {
                        let request: Vec<u8> = buffer.drain(..len).collect();
                        record.lock().unwrap().extend(&request);
                        let answer = respond(&String::from_utf8_lossy(&request));
                        if stream.write_all(&answer).await.is_err() || stream.flush().await.is_err()
                        {
                            return;
                        }
                    }
                }
                record.lock().unwrap().extend(buffer);
            });
        }
    });
    TlsUpstream { addr, seen, accepted, root, der }
}

/// A policy whose one rule reaches the destination through opened TLS.
pub(crate) fn opened(up: &TlsUpstream, fields: &str) -> String {
    let port = up.addr.port();
    format!(
        "[hosts]\n\"up.test\" = [\"127.0.0.1\"]\n\"other.test\" = [\"127.0.0.1\"]\n\
         [interception]\nroots = \"{}\"\n\
         [[rules]]\nname = \"up\"\nhosts = [\"up.test\"]\nports = [{port}]\n\
         private = [\"127.0.0.1:{port}\"]\nintercept = true\n{fields}",
        up.root.path().display()
    )
}

/// What a client trusts: the authority of the proxy.
pub(crate) fn trusting(bench: &Bench) -> ClientConfig {
    let pem = bench.proxy.trust().expect("no authority").0;
    trusting_der(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
}

pub(crate) fn trusting_der(root: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A client inside TLS inside a tunnel.
pub(crate) struct TlsClient {
    pub(crate) stream: tokio_rustls::client::TlsStream<TcpStream>,
}

impl TlsClient {
    /// Asks for a tunnel to `up.test`, and for `name` in TLS.
    pub(crate) async fn new(
        bench: &Bench,
        port: u16,
        name: &str,
        config: ClientConfig,
    ) -> Result<Self, String> {
        let mut client = Client::new(bench.addr).await;
        let answer = client
            .ask(format!("CONNECT up.test:{port} HTTP/1.1\r\nHost: up.test:{port}\r\n\r\n"))
            .await;
        if !answer.contains(" 200 ") {
            return Err(answer);
        }
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, client.stream).await;
        stream.map(|stream| Self { stream }).map_err(|e| e.to_string())
    }

    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        if self.stream.write_all(bytes.as_ref()).await.is_err() {
            return String::new();
        }
        let _ = self.stream.flush().await;
        let mut out = Vec::new();
        let read = async {
            while let Ok(n) = self.stream.read_buf(&mut out).await {
                if n == 0 || whole(&out) {
                    break;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), read).await.expect("no response");
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn whole(bytes: &[u8]) -> bool {
    let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
    if head.contains("transfer-encoding: chunked") {
        return bytes.ends_with(b"\r\n0\r\n\r\n");
    }
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length:"))
        .map_or(0, |v| v.trim().parse::<usize>().unwrap());
    bytes.len() >= at + 4 + length
}
