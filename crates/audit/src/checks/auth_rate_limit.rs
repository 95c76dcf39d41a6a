//! Guessing should be slowed down.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::bind;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;
use serde_json::json;

pub(super) static CHECK: Check = Check {
    id: "auth.rate-limit",
    title: "guesses at the gateway's secret are not limited",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0012"],
    attack: &["T1110"],
    cis: &[],
    why: "From another machine, thousands of guesses a second are possible.",
    openclaw: &["gateway.auth_no_rate_limit"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let proxy = config.str("gateway.auth.mode") == Some("trusted-proxy");
    let limited = config.get("gateway.auth.rateLimit").is_some_and(|limit| !limit.is_null() && limit != &Value::Bool(false));
    if bind(config) != "loopback" && !proxy && !limited {
        out.hit("gateway.auth.rateLimit", "the gateway is reachable from other machines and sets no limit")
            .fix(Fix::safe("lock an address out after ten failures").set("gateway.auth.rateLimit", json!({ "maxAttempts": 10, "windowMs": 60_000, "lockoutMs": 300_000 })));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn only_when_reachable() {
        let bad = json!({"gateway":{"bind":"lan"}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"gateway":{"bind":"lan","auth":{"rateLimit":{"maxAttempts":5}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
