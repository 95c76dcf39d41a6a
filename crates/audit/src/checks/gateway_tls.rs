//! Beyond this host, the connection should be encrypted.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.tls",
    title: "clients on the network connect without encryption",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &[],
    attack: &["T1040", "T1557"],
    cis: &["CIS Controls v8 3.10"],
    why: "The token travels in clear text.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let bind = bind(config);
    let tls = config.bool("gateway.tls.enabled") == Some(true);
    // A tailnet encrypts by itself.
    if !matches!(bind, "loopback" | "tailnet") && !tls {
        out.hit("gateway.tls.enabled", format!("off, and the gateway binds to `{bind}`"))
            .fix(Fix::risky("bind to loopback behind a proxy with TLS, or give the gateway a certificate", "clients that use ws:// or http://").set("gateway.tls.enabled", true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn only_beyond_this_host() {
        let bad = json!({"gateway":{"bind":"lan"}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"gateway":{"bind":"lan","tls":{"enabled":true}}}), json!({"gateway":{"bind":"tailnet"}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
