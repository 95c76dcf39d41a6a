//! Somebody who reaches the gateway should have to prove who they are.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::auth::Auth;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.missing",
    title: "the gateway asks nobody who they are",
    severity: Level::Critical,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049", "AML.T0012"],
    attack: &["T1190", "T1078"],
    cis: &[],
    why: "Whoever reaches the port has every right of the operator: read files, run commands, send messages.",
    openclaw: &["gateway.bind_no_auth", "gateway.loopback_no_auth"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let auth = Auth::of(config);
    let local = bind(config) == "loopback";
    let missing = if local { !auth.exists_locally() } else { !auth.exists() };
    if missing {
        out.hit("gateway.auth", format!("gateway.auth.mode is `{}` and no credential is set; the gateway binds to `{}`", auth.mode, bind(config)))
            .fix(Fix::risky("give the gateway a long random token from its environment", "clients that connect without a token")
                .set("gateway.auth.mode", "token")
                .set("gateway.auth.token", "${OPENCLAW_GATEWAY_TOKEN}")
                .run_on("umask 077 && echo \"OPENCLAW_GATEWAY_TOKEN=$(openssl rand -hex 32)\" >>", facts.place.state_dir.join(".env").display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn no_credential_is_found() {
        for bad in [json!({}), json!({"gateway":{"auth":{"mode":"none"}}}), json!({"gateway":{"bind":"lan","tailscale":{"mode":"serve"}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"gateway":{"auth":{"token":"x"}}}), json!({"gateway":{"tailscale":{"mode":"serve"}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
