//! What the gateway's configuration has to say so that it takes the door's word and nobody else's.

use crate::token::ALL_SCOPES;
use serde_json::{Value, json};

/// The identity under which the gateway knows whoever came through the door. One for all tokens: the
/// door caps the scopes of each connection, so the gateway's configuration need not change when a
/// token is made or revoked.
pub const IDENTITY: &str = "seawall-operator";

/// The origin that browsers have in the gateway's eyes, whatever name the door answers to. The real
/// one is checked by the door.
pub const ORIGIN: &str = "http://door.seawall.invalid";

/// Where clients come from in the gateway's eyes: a documentation address, because the gateway takes
/// a loopback client behind a proxy for a mistake and refuses it.
pub const CLIENT_ADDRESS: &str = "192.0.2.1";

/// The part of the gateway's configuration that belongs to the door, to be merged over the user's:
/// each value replaces the user's own at the same place, lists included.
///
/// The gateway takes `x-forwarded-user` from any process that reaches its port on loopback, so the
/// port may exist only in a network namespace that the door alone reaches into.
#[must_use]
pub fn gateway_config() -> Value {
    json!({
        "gateway": {
            "mode": "local",
            "bind": "loopback",
            "trustedProxies": ["127.0.0.1"],
            "allowRealIpFallback": false,
            "auth": {
                "mode": "trusted-proxy",
                "allowTailscale": false,
                "identityScopes": { IDENTITY: ALL_SCOPES },
                "trustedProxy": {
                    "userHeader": "x-forwarded-user",
                    "requiredHeaders": ["x-forwarded-proto", "x-forwarded-host"],
                    "allowUsers": [IDENTITY],
                    "allowLoopback": true,
                    "deviceAutoApprove": { "enabled": false }
                }
            },
            "controlUi": { "allowedOrigins": [ORIGIN], "basePath": "" },
            "terminal": { "enabled": false }
        }
    })
}
