//! A reverse proxy that vouches for users should be the only way in, and say which users.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.proxy",
    title: "a reverse proxy vouches for users",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0012"],
    attack: &["T1078", "T1090"],
    cis: &[],
    why: "Whoever reaches the gateway from an address of the proxy writes the identity header himself.",
    openclaw: &["gateway.trusted_proxy_auth", "gateway.trusted_proxy_no_allowlist", "gateway.trusted_proxy_allow_loopback"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.str("gateway.auth.mode") != Some("trusted-proxy") {
        return;
    }
    if config.strings("gateway.auth.trustedProxy.allowUsers").is_empty() {
        out.hit("gateway.auth.trustedProxy.allowUsers", "everybody whom the proxy lets in is let in").severity(Level::High)
            .title("every user of the reverse proxy is let in")
            .fix(Fix::risky("name the users", "users who are not named"));
    }
    if config.bool("gateway.auth.trustedProxy.allowLoopback") == Some(true) {
        out.hit("gateway.auth.trustedProxy.allowLoopback", "programs on this host count as the proxy")
            .title("every local program can claim to be any user")
            .fix(Fix::risky("keep the gateway's port where only the proxy reaches it, as `seawall up` does", "a proxy on this host"));
    }
    let required = config.strings("gateway.auth.trustedProxy.requiredHeaders");
    let severity = if required.is_empty() { Level::Medium } else { Level::Info };
    out.hit("gateway.auth.mode", format!("identity comes from the header `{}`; headers that must also be there: {}", config.str("gateway.auth.trustedProxy.userHeader").unwrap_or("(none)"), required.len()))
        .severity(severity);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn everything_that_a_proxy_is_trusted_with() {
        let bad = json!({"gateway":{"auth":{"mode":"trusted-proxy"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"auth":{"mode":"token"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        let tight = json!({"gateway":{"auth":{"mode":"trusted-proxy","trustedProxy":{"userHeader":"u","requiredHeaders":["k"],"allowUsers":["a"]}}}});
        assert!(check(&CHECK, &given::config(tight)).iter().all(|f| f.severity == Level::Info));
    }

}
