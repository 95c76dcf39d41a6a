//! How the gateway tells who is there (gateway/authentication.md, gateway/trusted-proxy-auth.md).

use super::secret::Secret;
use crate::facts::{Config, Shape};

/// What OpenClaw takes as the environment's token and password.
pub(crate) const TOKEN_VAR: &str = "OPENCLAW_GATEWAY_TOKEN";
pub(crate) const PASSWORD_VAR: &str = "OPENCLAW_GATEWAY_PASSWORD";

/// The gateway's authentication, resolved.
#[derive(Debug)]
pub(crate) struct Auth {
    /// `token`, `password`, `none`, `trusted-proxy`.
    pub(crate) mode: String,
    /// Whether the configuration names the mode.
    pub(crate) explicit: bool,
    pub(crate) token: Secret,
    pub(crate) password: Secret,
    /// What the environment has.
    pub(crate) env_token: Option<Shape>,
    pub(crate) env_password: Option<Shape>,
    remote_token: Secret,
    tailscale: bool,
}

impl Auth {
    /// Reads it.
    pub(crate) fn of(config: &Config) -> Self {
        let token = Secret::at(config, "gateway.auth.token");
        let password = Secret::at(config, "gateway.auth.password");
        let set = |name: &str| config.env.get(name).copied().filter(|shape| shape.length > 0);
        let (env_token, env_password) = (set(TOKEN_VAR), set(PASSWORD_VAR));
        let named = config.str("gateway.auth.mode");
        let mode = named.map_or_else(
            || {
                let password_only = password.is_set() && !token.is_set();
                if password_only { "password".to_owned() } else { "token".to_owned() }
            },
            str::to_owned,
        );
        Self {
            tailscale: config.bool("gateway.auth.allowTailscale").unwrap_or(true)
                && config.str("gateway.tailscale.mode") == Some("serve")
                && mode != "password",
            explicit: named.is_some(),
            mode,
            token,
            password,
            env_token,
            env_password,
            remote_token: Secret::at(config, "gateway.remote.token"),
        }
    }

    /// Whether anything proves who a client is.
    pub(crate) fn exists(&self) -> bool {
        let token = self.token.is_set() || self.env_token.is_some() || self.remote_token.is_set();
        let password = self.password.is_set() || self.env_password.is_some();
        match self.mode.as_str() {
            "trusted-proxy" => true,
            "none" => false,
            "password" => password,
            _ if self.explicit => token,
            _ => token || password,
        }
    }

    /// Whether clients on this host are asked who they are.
    pub(crate) fn exists_locally(&self) -> bool {
        self.exists() || self.tailscale
    }

    /// The shape of the secret that counts, with its name and key.
    pub(crate) fn secret(&self) -> Option<(&'static str, Shape)> {
        match self.mode.as_str() {
            "token" => Some(("token", self.token.shape().or(self.env_token)?)),
            "password" => Some(("password", self.password.shape().or(self.env_password)?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn auth(value: serde_json::Value) -> Auth {
        Auth::of(&Config { value: json!({ "gateway": value }), ..Config::default() })
    }

    #[test]
    fn modes_and_their_secrets() {
        assert!(!auth(json!({})).exists());
        assert!(auth(json!({ "auth": { "token": "x" } })).exists());
        assert!(!auth(json!({ "auth": { "mode": "password", "token": "x" } })).exists());
        assert!(!auth(json!({ "auth": { "mode": "none", "token": "x" } })).exists());
        assert!(auth(json!({ "tailscale": { "mode": "serve" } })).exists_locally());
        assert_eq!(auth(json!({ "auth": { "password": "abc" } })).secret().unwrap().0, "password");
    }
}
