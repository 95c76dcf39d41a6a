//! The hooks' token should be long, and its own.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::secret::Secret;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "hooks.token",
    title: "the hooks' token is weak or shared",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1110", "T1078"],
    cis: &["CIS Controls v8 5.2"],
    why: "Hooks start agents: who has the token gives orders.",
    openclaw: &["hooks.token_too_short", "hooks.token_reuse_gateway_token"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("hooks.enabled") != Some(true) {
        return;
    }
    let token = config.get("hooks.token");
    let fix = || Fix::risky("give hooks a long token of their own", "senders that hold the old one").run("openssl rand -hex 32");
    if let Some(shape) = Secret::at(config, "hooks.token").shape().filter(|shape| shape.length < 24) {
        out.hit("hooks.token", format!("{} characters; 24 are the least", shape.length)).fix(fix());
    }
    for key in ["gateway.auth.token", "gateway.auth.password"] {
        if token.is_some_and(|token| token.as_str() != Some("")) && token == config.get(key) {
            out.hit("hooks.token", format!("the same as {key}")).severity(Level::Critical).title("the hooks' token opens the gateway").fix(fix());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn short_and_shared() {
        for bad in [json!({"hooks":{"enabled":true,"token":"x"}}), json!({"gateway":{"auth":{"token":"${T}"}},"hooks":{"enabled":true,"token":"${T}"}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"hooks":{"token":"x"}}), json!({"hooks":{"enabled":true,"token":"0123456789abcdef0123456789"}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
