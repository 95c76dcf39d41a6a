//! TLS that the proxy opens where a rule says `intercept`: the certificate authority of this
//! start, and both handshakes.
//!
//! The authority's key exists in memory only and ends with the process. To the client the proxy
//! shows a certificate for the name that was asked for; the destination is verified by the
//! system's roots under the same name. Clients speak HTTP/2 or HTTP/1.1, destinations HTTP/1.1.

use crate::host::{Host, Target};
use crate::policy::PolicyError;
use crate::refusal::{Cause, Refusal};
use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Certificates that are kept. A rule for a whole domain lets a client ask for names without end;
/// one more costs a signature.
const MAX_LEAVES: usize = 1024;

/// Sessions that clients can resume.
const MAX_SESSIONS: usize = 4096;

const DAY: Duration = Duration::from_secs(86_400);

/// How long a leaf is valid, and after what time another one is made.
const LEAF_DAYS: u32 = 30;
const LEAF_FRESH: Duration = Duration::from_secs(7 * 86_400);

/// How long the authority is valid; its key is gone with the process in any case.
const AUTHORITY_DAYS: u32 = 2 * 365;

/// What is spoken with clients, and with destinations: their answers are read in one form only.
const ALPN_CLIENT: [&[u8]; 2] = [b"h2", b"http/1.1"];
const ALPN_DESTINATION: &[u8] = b"http/1.1";

/// It could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS interception: {0}")]
pub struct InterceptError(String);

fn failed(e: impl std::fmt::Display) -> InterceptError {
    InterceptError(e.to_string())
}

/// The certificate authority of one start.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    leaf_pair: KeyPair,
    leaf_key: Arc<dyn SigningKey>,
    leaves: Mutex<Leaves>,
}

#[derive(Default)]
struct Leaves {
    made: HashMap<String, (Instant, Arc<CertifiedKey>)>,
    order: VecDeque<String>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    /// Makes an authority with new keys.
    ///
    /// # Errors
    /// When the keys cannot be made.
    pub fn new() -> Result<Self, InterceptError> {
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        // A name of its own for each start: clients that remember an older one look for the right
        // key.
        let id: String =
            params.key_identifier(&key).iter().take(4).map(|b| format!("{b:02x}")).collect();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, format!("Seawall egress {id}"));
        params.distinguished_name = name;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        validity(&mut params, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).map_err(failed)?.der().clone();
        let leaf_pair = KeyPair::generate().map_err(failed)?;
        let leaf_der = PrivateKeyDer::try_from(leaf_pair.serialize_der()).map_err(failed)?;
        let leaf_key = aws_lc_rs::sign::any_ecdsa_type(&leaf_der).map_err(failed)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            leaf_pair,
            leaf_key,
            leaves: Mutex::default(),
        })
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem(&self.certificate)
    }

    /// The certificate for a name, from the cache or made now.
    fn leaf(&self, name: &str, now: Instant) -> Option<Arc<CertifiedKey>> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, leaf)) = leaves.made.get(name)
            && now.saturating_duration_since(*made) < LEAF_FRESH
        {
            return Some(Arc::clone(leaf));
        }
        let leaf = Arc::new(self.sign(name)?);
        if leaves.made.insert(name.to_owned(), (now, Arc::clone(&leaf))).is_none() {
            leaves.order.push_back(name.to_owned());
        }
        while leaves.order.len() > MAX_LEAVES
            && let Some(oldest) = leaves.order.pop_front()
        {
            leaves.made.remove(&oldest);
        }
        Some(leaf)
    }

    fn sign(&self, name: &str) -> Option<CertifiedKey> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).ok()?;
        let mut subject = DistinguishedName::new();
        // The field holds 64 characters; the name that counts is the alternative one.
        subject.push(DnType::CommonName, name.get(..64).unwrap_or(name));
        params.distinguished_name = subject;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        validity(&mut params, LEAF_DAYS);
        let leaf = params.signed_by(&self.leaf_pair, &self.issuer).ok()?;
        Some(CertifiedKey::new(vec![leaf.der().clone()], Arc::clone(&self.leaf_key)))
    }
}

impl ResolvesServerCert for Authority {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name()?, Instant::now())
    }
}

/// From a day ago, for clients whose clock is behind.
fn validity(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + now;
    params.not_before = now - DAY;
    params.not_after = now + DAY * days;
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(std::str::from_utf8(line).unwrap_or_default());
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}

/// Both sides of intercepted connections.
pub(crate) struct Interception {
    authority: Arc<Authority>,
    server: TlsAcceptor,
    client: TlsConnector,
    roots: Vec<CertificateDer<'static>>,
}

impl Interception {
    /// With the roots of the system, or those in a file, and with the authority that is there
    /// already, if one is.
    pub(crate) fn new(
        authority: Option<Arc<Authority>>,
        roots: Option<&Path>,
    ) -> Result<Self, PolicyError> {
        let wrong =
            |problem: String| PolicyError::Field { field: "interception.roots".into(), problem };
        let roots = read_roots(roots).map_err(wrong)?;
        let mut store = RootCertStore::empty();
        // The system's own may hold a few that are no use; none at all is an error.
        let (added, _) = store.add_parsable_certificates(roots.iter().cloned());
        if added == 0 {
            return Err(wrong("there is no root certificate in it".into()));
        }
        let internal = |e: &dyn std::fmt::Display| PolicyError::Field {
            field: "interception".into(),
            problem: e.to_string(),
        };
        let authority = match authority {
            Some(authority) => authority,
            None => Arc::new(Authority::new().map_err(|e| internal(&e))?),
        };
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| internal(&e))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&authority) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = ALPN_CLIENT.map(<[u8]>::to_vec).to_vec();
        server.session_storage = ServerSessionMemoryCache::new(MAX_SESSIONS);
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| internal(&e))?
            .with_root_certificates(store)
            .with_no_client_auth();
        client.alpn_protocols = vec![ALPN_DESTINATION.to_vec()];
        Ok(Self {
            authority,
            server: TlsAcceptor::from(Arc::new(server)),
            client: TlsConnector::from(Arc::new(client)),
            roots,
        })
    }

    pub(crate) fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// The roots with the authority's certificate in front, PEM: for programs whose setting takes
    /// the place of the system's roots.
    pub(crate) fn bundle(&self) -> String {
        let mut out = self.authority.pem();
        out.extend(self.roots.iter().map(|root| pem(root)));
        out
    }

    /// The handshake with a client that asked for this destination.
    pub(crate) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        target: &Target,
    ) -> Result<tokio_rustls::server::TlsStream<S>, Refusal> {
        let stream = self.server.accept(stream).await.map_err(|e| {
            Refusal::new(Cause::Protocol, format!("TLS of the client to `{target}`: {e}"))
                .fix("give the client the proxy's certificate (docs/egress.md, Interception)")
        })?;
        // The name that rustls read is the one that was judged.
        let named = stream.get_ref().1.server_name().and_then(|name| Host::parse(name).ok());
        if named.as_ref() == Some(&target.host) {
            Ok(stream)
        } else {
            Err(Refusal::new(
                Cause::NameMismatch,
                format!("the server name in TLS to `{target}` is another one"),
            ))
        }
    }

    /// The handshake with the destination, over a connection to an address that was judged.
    pub(crate) async fn connect(
        &self,
        stream: TcpStream,
        target: &Target,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Refusal> {
        let name = ServerName::try_from(target.host.to_string()).map_err(|e| {
            Refusal::new(Cause::NameMismatch, format!("`{target}` has no name for TLS: {e}"))
        })?;
        self.client.connect(name, stream).await.map_err(|e| {
            let invalid = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
            match invalid {
                Some(rustls::Error::InvalidCertificate(why)) => Refusal::new(
                    Cause::Certificate,
                    format!("the certificate of `{target}` is not valid: {why}"),
                ),
                _ => Refusal::new(Cause::Unreachable, format!("TLS to `{target}`: {e}")),
            }
        })
    }
}

fn read_roots(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, String> {
    match file {
        Some(path) => {
            let fail = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
            CertificateDer::pem_file_iter(path)
                .map_err(|e| fail(&e))?
                .collect::<Result<_, _>>()
                .map_err(|e| fail(&e))
        }
        None => Ok(rustls_native_certs::load_native_certs().certs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_cached_bounded_and_made_anew_in_time() {
        let authority = Authority::new().unwrap();
        let now = Instant::now();
        let first = authority.leaf("a.test", now).unwrap();
        assert!(Arc::ptr_eq(&first, &authority.leaf("a.test", now).unwrap()));
        assert!(!Arc::ptr_eq(&first, &authority.leaf("a.test", now + 8 * DAY).unwrap()));
        for n in 0..MAX_LEAVES + 10 {
            authority.leaf(&format!("h{n}.test"), now).unwrap();
        }
        let leaves = authority.leaves.lock().unwrap();
        assert_eq!((leaves.made.len(), leaves.order.len()), (MAX_LEAVES, MAX_LEAVES));
        assert!(!leaves.made.contains_key("a.test"));
    }

    #[test]
    fn a_name_that_is_not_one_gets_no_certificate() {
        let authority = Authority::new().unwrap();
        assert!(authority.leaf("ä.test", Instant::now()).is_none());
    }

    #[test]
    fn two_starts_share_nothing() {
        assert_ne!(Authority::new().unwrap().pem(), Authority::new().unwrap().pem());
    }
}
