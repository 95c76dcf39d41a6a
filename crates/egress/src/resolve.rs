//! Names to addresses.

use crate::policy::PolicyError;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ServerOrderingStrategy,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A look-up that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` did not resolve: {problem}")]
pub struct ResolveError {
    /// The name.
    pub name: String,
    /// What went wrong.
    pub problem: String,
}

/// The answer of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// All addresses, in the order of preference.
    pub addresses: Vec<IpAddr>,
    /// How long it may be used again.
    pub keep: Duration,
}

/// What [`Resolve::resolve`] returns.
pub type Resolved<'a> = Pin<Box<dyn Future<Output = Result<Answer, ResolveError>> + Send + 'a>>;

/// Looks names up. A look-up is made once per connection; its answer is judged and dialled.
pub trait Resolve: Send + Sync {
    /// All addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a>;
}

/// Where names are looked up: `[dns]` of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Dns {
    /// Addresses of the servers, with a port if it is not the usual one. None are those of the
    /// system (`/etc/resolv.conf`), and `/etc/hosts` counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// How they are spoken to.
    pub transport: Transport,
    /// The name in the servers' certificate; needed with `tls` and `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// A PEM file of the roots by which that certificate is verified, in place of the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roots: Option<PathBuf>,
    /// Longest time in seconds for which an answer is used again, whatever it says itself.
    pub max_ttl_seconds: u64,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            transport: Transport::default(),
            server_name: None,
            roots: None,
            // A rebinding name gains nothing by a short one, since each connection dials what was
            // judged for it; a revoked name should not live on for a day.
            max_ttl_seconds: 300,
        }
    }
}

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// UDP, and TCP for what does not fit: anybody on the way reads and can change it.
    #[default]
    Plain,
    /// DNS over TLS (RFC 7858), port 853.
    Tls,
    /// DNS over HTTPS (RFC 8484), port 443, path `/dns-query`.
    Https,
}

impl Dns {
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks it.
    ///
    /// # Errors
    /// With the field and what is wrong with it.
    pub fn check(&self) -> Result<(), PolicyError> {
        let wrong = |field: &str, problem: &str| {
            Err(PolicyError::Field { field: format!("dns.{field}"), problem: problem.into() })
        };
        for server in &self.servers {
            if self.address(server).is_none() {
                let why = format!("`{server}` is no address like 192.0.2.1 or 192.0.2.1:53");
                return wrong("servers", &why);
            }
        }
        if self.transport == Transport::Plain {
            if self.server_name.is_some() || self.roots.is_some() {
                return wrong("server_name", "and `roots` have an effect with tls and https only");
            }
        } else if self.servers.is_empty() {
            return wrong(
                "servers",
                "is needed with tls and https: their addresses are not looked up",
            );
        } else if self
            .server_name
            .as_deref()
            .is_none_or(|name| rustls::pki_types::ServerName::try_from(name.to_owned()).is_err())
        {
            return wrong(
                "server_name",
                "is needed with tls and https: the name in the certificate",
            );
        }
        if self.max_ttl_seconds > 86_400 {
            return wrong("max_ttl_seconds", "is more than a day");
        }
        Ok(())
    }

    fn address(&self, server: &str) -> Option<SocketAddr> {
        let port = match self.transport {
            Transport::Plain => 53,
            Transport::Tls => 853,
            Transport::Https => 443,
        };
        let ip = server.trim_start_matches('[').trim_end_matches(']');
        server
            .parse()
            .ok()
            .or_else(|| ip.parse().ok().map(|ip: IpAddr| SocketAddr::new(ip, port)))
            .filter(|address: &SocketAddr| address.port() != 0)
    }

    fn name_server(&self, address: SocketAddr) -> NameServerConfig {
        let name: Arc<str> = Arc::from(self.server_name.as_deref().unwrap_or_default());
        let mut connections = match self.transport {
            Transport::Plain => vec![ConnectionConfig::udp(), ConnectionConfig::tcp()],
            Transport::Tls => vec![ConnectionConfig::tls(name)],
            Transport::Https => vec![ConnectionConfig::https(name, None)],
        };
        for connection in &mut connections {
            connection.port = address.port();
        }
        NameServerConfig::new(address.ip(), true, connections)
    }
}

/// The resolver of this host's configuration, or of the policy's.
pub struct SystemResolver {
    inner: hickory_resolver::TokioResolver,
    max_ttl: Duration,
}

impl SystemResolver {
    /// Reads the system's configuration, or takes the policy's.
    ///
    /// # Errors
    /// When it cannot be read or used.
    pub fn new(dns: &Dns) -> Result<Self, ResolveError> {
        let place = if dns.servers.is_empty() { "(system configuration)" } else { "(dns)" };
        let fail = |problem: String| ResolveError { name: place.into(), problem };
        let mut builder = if dns.servers.is_empty() {
            hickory_resolver::TokioResolver::builder_tokio().map_err(|e| fail(e.to_string()))?
        } else {
            let servers = dns.servers.iter().filter_map(|server| dns.address(server));
            let servers = servers.map(|address| dns.name_server(address)).collect();
            let config = ResolverConfig::from_name_servers(servers);
            let provider = TokioRuntimeProvider::default();
            hickory_resolver::TokioResolver::builder_with_config(config, provider)
        };
        if dns.transport != Transport::Plain {
            builder = builder.with_tls_config(tls(dns.roots.as_deref()).map_err(&fail)?);
        }
        let options = builder.options_mut();
        options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
        if !dns.servers.is_empty() {
            options.use_hosts_file = ResolveHosts::Never;
        }
        // Answers are kept here, once, where each look-up is written down.
        options.cache_size = 0;
        let inner = builder.build().map_err(|e| fail(e.to_string()))?;
        Ok(Self { inner, max_ttl: Duration::from_secs(dns.max_ttl_seconds) })
    }
}

fn tls(roots: Option<&Path>) -> Result<rustls::ClientConfig, String> {
    let certificates = match roots {
        Some(path) => rustls::pki_types::CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|e| format!("{}: {e}", path.display()))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut store = rustls::RootCertStore::empty();
    if store.add_parsable_certificates(certificates).0 == 0 {
        return Err("there is no root certificate".into());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a> {
        Box::pin(async move {
            // With its final dot: search domains of this host are not the agent's.
            let fqdn = format!("{name}.");
            let answer = self
                .inner
                .lookup_ip(fqdn)
                .await
                .map_err(|e| ResolveError { name: name.to_owned(), problem: e.to_string() })?;
            let keep = answer.valid_until().saturating_duration_since(Instant::now());
            Ok(Answer { addresses: answer.iter().collect(), keep: keep.min(self.max_ttl) })
        })
    }
}

/// Most names whose answers are kept.
const MAX_KEPT: usize = 4096;

/// Answers that may be used again.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    kept: Mutex<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Answers {
    pub(crate) fn get(&self, name: &str, now: Instant) -> Option<Vec<IpAddr>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(name).filter(|(until, _)| now < *until).map(|(_, addresses)| addresses.clone())
    }

    pub(crate) fn keep(&self, name: &str, answer: &Answer, now: Instant) {
        if answer.keep.is_zero() {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.retain(|_, (until, _)| now < *until);
            if kept.len() >= MAX_KEPT {
                // Names without end are somebody's game; the next look-ups are a bit slower.
                kept.clear();
            }
        }
        kept.insert(name.to_owned(), (now + answer.keep, answer.addresses.clone()));
    }

    pub(crate) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Resolves nothing: for policies whose names are all pinned, and for hosts without DNS.
pub struct NoResolver;

impl Resolve for NoResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a> {
        let error = ResolveError { name: name.to_owned(), problem: "there is no resolver".into() };
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Answers from a table; everything else does not resolve.
pub struct StaticResolver(pub HashMap<String, Vec<IpAddr>>);

impl Resolve for StaticResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a> {
        let answer = self.0.get(name).cloned().ok_or_else(|| ResolveError {
            name: name.to_owned(),
            problem: "not in the table".into(),
        });
        let answer = answer.map(|addresses| Answer { addresses, keep: Duration::ZERO });
        Box::pin(std::future::ready(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let check = |text: &str| {
            toml::from_str::<Dns>(text).map_err(|e| e.to_string()).and_then(|dns| {
                dns.check().map_err(|e| e.to_string())?;
                Ok(dns)
            })
        };
        assert!(check("").unwrap().is_default());
        assert!(check("servers = [\"192.0.2.1\", \"192.0.2.1:5353\", \"[2001:db8::1]\"]").is_ok());
        let tls = "servers = [\"192.0.2.1\"]\ntransport = \"tls\"\nserver_name = \"dns.test\"";
        let dns = check(tls).unwrap();
        assert_eq!(dns.address("192.0.2.1"), Some("192.0.2.1:853".parse().unwrap()));
        for (bad, told) in [
            ("servers = [\"dns.test\"]", "is no address"),
            ("servers = [\"192.0.2.1:0\"]", "is no address"),
            ("transport = \"tls\"", "dns.servers"),
            ("transport = \"https\"\nservers = [\"192.0.2.1\"]", "dns.server_name"),
            ("server_name = \"dns.test\"", "dns.server_name"),
            ("max_ttl_seconds = 100000", "more than a day"),
            ("server = []", "unknown field"),
        ] {
            assert!(check(bad).unwrap_err().contains(told), "{bad}");
        }
    }

    #[test]
    fn answers_are_kept_as_long_as_they_may_be() {
        let (answers, now) = (Answers::default(), Instant::now());
        let addresses: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap()];
        let answer =
            |seconds| Answer { addresses: addresses.clone(), keep: Duration::from_secs(seconds) };
        answers.keep("a.test", &answer(5), now);
        answers.keep("b.test", &answer(0), now);
        assert_eq!(answers.get("a.test", now + Duration::from_secs(4)), Some(addresses.clone()));
        assert_eq!(answers.get("a.test", now + Duration::from_secs(5)), None);
        assert_eq!(answers.get("b.test", now), None);
        for n in 0..3 * MAX_KEPT {
            answers.keep(&format!("h{n}.test"), &answer(60), now);
        }
        assert!(answers.kept.lock().unwrap().len() <= MAX_KEPT);
    }
}
