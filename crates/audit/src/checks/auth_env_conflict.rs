//! One place should hold the gateway's token.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::auth::Auth;
use crate::openclaw::auth::TOKEN_VAR;
use crate::openclaw::secret::Secret;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.env-conflict",
    title: "the environment and the configuration each hold a token",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1078"],
    cis: &[],
    why: "Which one counts depends on how the gateway was started, so a rotated token may still work.",
    openclaw: &["gateway.env_token_overrides_config"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let auth = Auth::of(config);
    let other = match &auth.token {
        Secret::Plain(_) | Secret::Ref(_) => true,
        Secret::Env(name, _) => name != TOKEN_VAR,
        Secret::Absent => false,
    };
    if auth.mode == "token" && auth.env_token.is_some() && other {
        out.hit("gateway.auth.token", format!("{TOKEN_VAR} is set, and gateway.auth.token has another source"))
            .fix(Fix::safe("take the token from the environment only").set("gateway.auth.token", "${OPENCLAW_GATEWAY_TOKEN}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn two_sources_are_found() {
        let mut facts = given::config(json!({"gateway":{"auth":{"mode":"token","token":"x"}}}));
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::env(&mut facts, TOKEN_VAR, "something");
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
