//! Which names this door answers to, and from which pages.
//!
//! A page of any site can open a WebSocket to a loopback port, and can make its own name resolve to
//! 127.0.0.1. Neither works when `Host` has to be one of our names and `Origin`, where a browser sends
//! one, has to be ours too.

use std::net::SocketAddr;

/// The names and origins that are let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Names {
    /// The names of a listener: for loopback its three usual ones, otherwise its address; and what
    /// the operator added.
    #[must_use]
    pub fn new(listener: SocketAddr, extra_hosts: &[String], extra_origins: &[String]) -> Self {
        let port = listener.port();
        let mut hosts = Vec::new();
        if listener.ip().is_loopback() || listener.ip().is_unspecified() {
            for name in ["127.0.0.1", "localhost", "[::1]"] {
                hosts.push(format!("{name}:{port}"));
            }
        }
        if !listener.ip().is_unspecified() {
            hosts.push(listener.to_string());
        }
        hosts.extend(extra_hosts.iter().map(|h| h.to_ascii_lowercase()));
        let mut origins: Vec<String> = hosts
            .iter()
            .flat_map(|host| [format!("http://{host}"), format!("https://{host}")])
            .collect();
        origins.extend(extra_origins.iter().map(|o| o.to_ascii_lowercase()));
        Self { hosts, origins }
    }

    /// Whether a `Host` header is one of ours.
    #[must_use]
    pub fn host(&self, host: &str) -> bool {
        self.hosts.iter().any(|h| h.eq_ignore_ascii_case(host))
    }

    /// Whether an `Origin` header is one of ours. `null` (a sandboxed frame, a file) never is.
    #[must_use]
    pub fn origin(&self, origin: &str) -> bool {
        self.origins.iter().any(|o| o.eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names() {
        let names = Names::new(
            "127.0.0.1:18789".parse().expect("an address"),
            &["claw.example.org".into()],
            &["https://app.example.org".into()],
        );
        for host in ["127.0.0.1:18789", "LOCALHOST:18789", "[::1]:18789", "claw.example.org"] {
            assert!(names.host(host), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:80",
            "evil.example:18789",
            "localhost.evil.example:18789",
            "127.0.0.1:18789.evil.example",
        ] {
            assert!(!names.host(host), "{host}");
        }
        for origin in
            ["http://127.0.0.1:18789", "https://claw.example.org", "https://app.example.org"]
        {
            assert!(names.origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://127.0.0.1:18790",
            "http://127.0.0.1:18789.evil.example",
            "https://evil.example",
            "file://",
        ] {
            assert!(!names.origin(origin), "{origin}");
        }
    }
}
