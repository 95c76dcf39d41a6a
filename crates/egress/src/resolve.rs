//! Names to addresses.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// A look-up that gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` did not resolve: {problem}")]
pub struct ResolveError {
    /// The name.
    pub name: String,
    /// What went wrong.
    pub problem: String,
}

/// What [`Resolve::resolve`] returns.
pub type Resolved<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, ResolveError>> + Send + 'a>>;

/// Looks names up. A look-up is made once per connection; its answer is judged and dialled.
pub trait Resolve: Send + Sync {
    /// All addresses of a name, in the order of preference.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a>;
}

/// The resolver of this host's configuration (`/etc/resolv.conf`, `/etc/hosts`).
pub struct SystemResolver {
    inner: hickory_resolver::TokioResolver,
}

/// Longest time in seconds for which an answer is kept. A rebinding name gains nothing by a
/// short one, since each connection dials what was judged for it; a revoked name should not live
/// on for a day.
const MAX_TTL_SECONDS: u64 = 300;

impl SystemResolver {
    /// Reads the system's configuration.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn new() -> Result<Self, ResolveError> {
        let fail =
            |problem: String| ResolveError { name: "(system configuration)".into(), problem };
        let mut builder =
            hickory_resolver::TokioResolver::builder_tokio().map_err(|e| fail(e.to_string()))?;
        let options = builder.options_mut();
        let ttl = std::time::Duration::from_secs(MAX_TTL_SECONDS);
        options.positive_max_ttl = Some(ttl);
        options.negative_max_ttl = Some(ttl);
        let inner = builder.build().map_err(|e| fail(e.to_string()))?;
        Ok(Self { inner })
    }
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
            Ok(answer.iter().collect())
        })
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
pub struct StaticResolver(pub std::collections::HashMap<String, Vec<IpAddr>>);

impl Resolve for StaticResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> Resolved<'a> {
        let answer = self.0.get(name).cloned().ok_or_else(|| ResolveError {
            name: name.to_owned(),
            problem: "not in the table".into(),
        });
        Box::pin(std::future::ready(answer))
    }
}
