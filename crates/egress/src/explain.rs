//! What the policy says about a URL, step by step, for `seawall egress test`.

use crate::host::{Host, Target};
use crate::identity::Identity;
use crate::policy::Compiled;
use crate::refusal::Refusal;
use crate::rule::{How, Protocol, Rule};
use std::net::IpAddr;

/// A URL as the policy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Host and port.
    pub target: Target,
    /// How a client would get there.
    pub by: By,
}

/// How a client gets to a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// `https:` and `wss:`: a tunnel with TLS in it, and in that a request.
    Tls {
        /// Its method.
        method: String,
        /// Its path, without the query.
        path: String,
        /// Whether it asks for a WebSocket.
        websocket: bool,
    },
    /// `http:` and `ws:`: a request that the proxy sees.
    Request {
        /// Its method.
        method: String,
        /// Its path, without the query.
        path: String,
        /// Whether it asks for a WebSocket.
        websocket: bool,
    },
    /// `tcp:`: a tunnel with something else in it.
    Raw,
}

impl Asked {
    /// Reads a URL of the schemes `http`, `https`, `ws`, `wss` and `tcp`.
    ///
    /// # Errors
    /// With what is wrong with it.
    pub fn parse(url: &str, method: &str) -> Result<Self, String> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| format!("`{url}` is not a URL: write https://host/path"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let scheme = scheme.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "http" | "ws" => Some(80),
            "https" | "wss" => Some(443),
            "tcp" => None,
            _ => return Err(format!("`{scheme}` is not one of http, https, ws, wss, tcp")),
        };
        let target =
            Target::parse(authority, default).map_err(|e| format!("`{authority}`: {e}"))?;
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let by = match scheme.as_str() {
            "tcp" => By::Raw,
            scheme => {
                let method = method.to_owned();
                let path = if path.is_empty() { "/".into() } else { path.into() };
                match scheme {
                    "https" | "wss" => By::Tls { method, path, websocket: scheme == "wss" },
                    _ => By::Request { method, path, websocket: scheme == "ws" },
                }
            }
        };
        Ok(Self { target, by })
    }

    fn how(&self) -> How<'_> {
        match &self.by {
            By::Tls { .. } => How::Carries(match self.target.host {
                Host::Name(_) => Protocol::Tls,
                // No client sends an address as the server name.
                Host::Address(_) => Protocol::TlsWithoutName,
            }),
            By::Raw => How::Carries(Protocol::Raw),
            By::Request { method, path, websocket } => {
                How::Request { method, path, websocket: *websocket, tls: false }
            }
        }
    }
}

impl Compiled {
    /// Judges a URL as far as that goes without a look-up.
    ///
    /// # Errors
    /// When it would be refused.
    pub fn judge_url(&self, identity: &Identity, asked: &Asked) -> Result<&Rule, Refusal> {
        if !matches!(asked.by, By::Request { .. }) {
            self.judge(identity, &asked.target, How::Tunnel)?;
        }
        if let By::Tls { method, path, websocket } = &asked.by
            && self.intercepts(identity, &asked.target).is_some()
        {
            let how = How::Request { method, path, websocket: *websocket, tls: true };
            return self.judge(identity, &asked.target, how);
        }
        self.judge(identity, &asked.target, asked.how())
    }

    /// Addresses that need no look-up: a literal, or the policy's own answer.
    #[must_use]
    pub fn known_addresses(&self, target: &Target) -> Option<Vec<IpAddr>> {
        match &target.host {
            Host::Address(address) => Some(vec![*address]),
            Host::Name(name) => self.pinned(name).map(<[IpAddr]>::to_vec),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EgressPolicy;

    #[test]
    fn verdicts_on_urls() {
        let policy = EgressPolicy::from_toml(
            "[[rules]]\nname = \"api\"\nhosts = [\"api.test\"]\nagents = [\"main\"]\n\
             [[rules]]\nname = \"docs\"\nhosts = [\".docs.test\"]\nports = [80]\n\
             protocols = [\"http\"]\nmethods = [\"GET\"]\n\
             [[rules]]\nname = \"no-gists\"\naction = \"deny\"\nhosts = [\"gist.docs.test\"]\n",
        )
        .unwrap()
        .compile()
        .unwrap();
        let main = Identity { agent: Some("main".into()), ..Identity::default() };
        let verdict = |url: &str, identity: &Identity| {
            let asked = Asked::parse(url, "GET").unwrap();
            match policy.judge_url(identity, &asked) {
                Ok(rule) => rule.name.clone(),
                Err(refusal) => refusal.why,
            }
        };
        let nobody = Identity::default();
        let mut out = String::new();
        for (url, identity) in [
            ("https://api.test/v1", &main),
            ("https://api.test/v1", &nobody),
            ("https://api.test:8443/", &main),
            ("http://api.test/", &main),
            ("wss://api.test/", &main),
            ("tcp://api.test:443", &main),
            ("http://a.docs.test/x?y", &nobody),
            ("ws://a.docs.test/x", &nobody),
            ("https://a.docs.test/", &nobody),
            ("http://gist.docs.test/", &nobody),
            ("https://evil.test/", &main),
            ("http://metadata.google.internal/", &main),
        ] {
            out += &format!("{url} -> {}\n", verdict(url, identity));
        }
        insta::assert_snapshot!(out, @r"
        https://api.test/v1 -> api
        https://api.test/v1 -> the host `api.test` is allowed, but not for a local client
        https://api.test:8443/ -> the host `api.test` is allowed, but not on port 8443 (only 443)
        http://api.test/ -> the host `api.test` is allowed, but not on port 80 (only 443)
        wss://api.test/ -> api
        tcp://api.test:443 -> `api.test:443` is allowed, but not for a protocol that is neither TLS nor HTTP (`raw`)
        http://a.docs.test/x?y -> docs
        ws://a.docs.test/x -> `a.docs.test:80` is allowed, but not for a WebSocket over plain HTTP (`websocket`)
        https://a.docs.test/ -> the host `a.docs.test` is allowed, but not on port 443 (only 80)
        http://gist.docs.test/ -> `gist.docs.test:80` is denied
        https://evil.test/ -> no rule allows the host `evil.test`
        http://metadata.google.internal/ -> `metadata.google.internal` is a cloud metadata service, which no setting allows
        ");
    }
}
