//! HTTP endpoints should not work without a credential.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::auth::Auth;
use crate::openclaw::exposed;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.http-open",
    title: "HTTP endpoints of the gateway work without a credential",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049"],
    attack: &["T1190"],
    cis: &[],
    why: "A page in a browser on this machine, or any local program, can call them.",
    openclaw: &["gateway.http.no_auth"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let auth = Auth::of(config);
    if auth.exists() {
        return;
    }
    let mut endpoints = vec!["/tools/invoke"];
    for (key, path) in [
        ("gateway.http.endpoints.chatCompletions.enabled", "/v1/chat/completions"),
        ("gateway.http.endpoints.responses.enabled", "/v1/responses"),
        ("plugins.entries.admin-http-rpc.enabled", "/api/v1/admin/rpc"),
    ] {
        if config.bool(key) == Some(true) {
            endpoints.push(path);
        }
    }
    let hit = out.hit("gateway.auth.mode", format!("callable without a credential: {}", endpoints.join(", ")));
    let hit = if exposed(config) { hit.severity(Level::Critical) } else { hit };
    hit.fix(Fix::risky("set a token", "clients that connect without a token").set("gateway.auth.mode", "token"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn open_endpoints_are_named() {
        let bad = json!({"gateway":{"auth":{"mode":"none"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"gateway":{"auth":{"token":"x"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        let open = json!({"gateway":{"auth":{"mode":"none"},"http":{"endpoints":{"responses":{"enabled":true}}}}});
        assert!(check(&CHECK, &given::config(open))[0].evidence.contains("/v1/responses"));
    }

}
