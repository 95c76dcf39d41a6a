//! What an operator may set about the door.

use crate::origin::Names;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The part `[door]` of Seawall's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DoorConfig {
    /// Further values of `Host` that the door answers to, with their port where it is not the
    /// scheme's own: the name of a reverse proxy or of the machine in a private network.
    pub hosts: Vec<String>,
    /// Further pages from which a browser may speak to the door, as `scheme://host[:port]`.
    pub origins: Vec<String>,
    /// Connections at a time that have shown a token, from 1 to 4096; half of them of one token.
    pub max_connections: usize,
    /// Connections at a time that have not shown a token yet, from 1 to 1024. Above that the oldest
    /// one is closed.
    pub max_unauthenticated: usize,
    /// Seconds in which a client has to send its token or its HTTP headers, from 1 to 120.
    pub login_seconds: u64,
    /// Seconds without any sign of life after which a WebSocket is closed, from 20 to 3600.
    pub idle_seconds: u64,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            origins: Vec::new(),
            // A browser opens a handful, a CLI one; 256 leaves room for many of both and bounds
            // the memory that frames of 25 MB could take.
            max_connections: 256,
            max_unauthenticated: 64,
            login_seconds: 10,
            idle_seconds: 90,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("door.{key}: {what}")]
pub struct ConfigError {
    /// The key.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
}

impl DoorConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// The first value that can't be used.
    pub fn check(&self) -> Result<(), ConfigError> {
        range("max_connections", self.max_connections as u64, 1, 4096)?;
        range("max_unauthenticated", self.max_unauthenticated as u64, 1, 1024)?;
        range("login_seconds", self.login_seconds, 1, 120)?;
        range("idle_seconds", self.idle_seconds, 20, 3600)?;
        for host in &self.hosts {
            if host.is_empty()
                || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
            {
                return Err(ConfigError {
                    key: "hosts",
                    what: format!(
                        "`{}` is not `name` or `name:port`; wildcards are not taken",
                        host.escape_default()
                    ),
                });
            }
        }
        for origin in &self.origins {
            let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            if !host.is_some_and(|h| {
                !h.is_empty()
                    && h.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
            }) {
                return Err(ConfigError {
                    key: "origins",
                    what: format!(
                        "`{}` is not `scheme://host[:port]`; wildcards and `null` are not taken",
                        origin.escape_default()
                    ),
                });
            }
        }
        Ok(())
    }

    /// The names of a listener under this configuration.
    #[must_use]
    pub fn names(&self, listener: SocketAddr) -> Names {
        Names::new(listener, &self.hosts, &self.origins)
    }
}

fn range(key: &'static str, value: u64, low: u64, high: u64) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(ConfigError { key, what: format!("{value} is not between {low} and {high}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_values_name_their_key() {
        for (text, says) in [
            ("max_connections = 0", "door.max_connections"),
            ("login_seconds = 500", "door.login_seconds"),
            ("hosts = [\"*.example.org\"]", "door.hosts"),
            ("origins = [\"null\"]", "door.origins"),
            ("origins = [\"https://a/b\"]", "door.origins"),
        ] {
            let config: DoorConfig = toml::from_str(text).expect("parses");
            let error = config.check().expect_err(text).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(toml::from_str::<DoorConfig>("token = \"x\"").is_err());
        assert_eq!(DoorConfig::default().check(), Ok(()));
    }
}
