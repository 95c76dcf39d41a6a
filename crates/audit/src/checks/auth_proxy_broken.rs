//! Identity from a proxy needs the proxy's address and a header.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.proxy-broken",
    title: "identity from a reverse proxy cannot work as it is set",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1078"],
    cis: &[],
    why: "Every request is refused, which invites a quick fix that trusts too much.",
    openclaw: &["gateway.trusted_proxy_no_proxies", "gateway.trusted_proxy_no_user_header"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.str("gateway.auth.mode") != Some("trusted-proxy") {
        return;
    }
    if config.strings("gateway.trustedProxies").is_empty() {
        out.hit("gateway.trustedProxies", "gateway.auth.mode is `trusted-proxy` and no proxy is listed")
            .fix(Fix::risky("list the proxy's addresses", "nothing: nobody gets in now"));
    }
    if config.str("gateway.auth.trustedProxy.userHeader").is_none_or(str::is_empty) {
        out.hit("gateway.auth.trustedProxy.userHeader", "no header names the user")
            .fix(Fix::risky("name the header that your proxy overwrites", "nothing: nobody gets in now"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn both_are_needed() {
        let bad = json!({"gateway":{"auth":{"mode":"trusted-proxy"},"trustedProxies":["10.0.0.1"]}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"auth":{"mode":"trusted-proxy","trustedProxy":{"userHeader":"u"}},"trustedProxies":["10.0.0.1"]}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
