//! OpenClaw's configuration as OpenClaw understands it: defaults, inheritance, legacy spellings.

pub(crate) mod advisories;
pub(crate) mod auth;
pub(crate) mod channels;
pub(crate) mod installs;
pub(crate) mod interpreters;
pub(crate) mod models;
pub(crate) mod paths;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod tools;

pub use secret::plain as credentials;

use crate::facts::Config;

/// Whether the gateway can be reached from other machines by what its configuration says.
pub(crate) fn exposed(config: &Config) -> bool {
    bind(config) != "loopback"
        || matches!(config.str("gateway.tailscale.mode"), Some("serve" | "funnel"))
}

/// `gateway.bind` with its default.
pub(crate) fn bind(config: &Config) -> &str {
    config.str("gateway.bind").unwrap_or("loopback")
}

/// The gateway's port.
pub(crate) fn port(config: &Config) -> u16 {
    config
        .get("gateway.port")
        .and_then(serde_json::Value::as_u64)
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(18789)
}

/// A key in a form that people can read and look up: the path with dots.
pub(crate) fn dotted(path: &[String]) -> String {
    path.join(".")
}
