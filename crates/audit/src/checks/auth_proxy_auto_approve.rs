//! New devices should be approved by a person.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.proxy-auto-approve",
    title: "new devices are approved without a person",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0012"],
    attack: &["T1098"],
    cis: &["CIS Controls v8 6.1"],
    why: "A stolen session at the proxy becomes a paired device that outlives it.",
    openclaw: &["gateway.trusted_proxy_device_auto_approve", "gateway.trusted_proxy_device_auto_approve_admin"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let key = "gateway.auth.trustedProxy.deviceAutoApprove";
    if config.bool(&format!("{key}.enabled")) != Some(true) {
        return;
    }
    let scopes = config.strings(&format!("{key}.scopes"));
    let admin = scopes.iter().any(|scope| scope == "operator.admin");
    out.hit(key, format!("scopes given without asking: {}", if scopes.is_empty() { "the default ones".into() } else { scopes.join(", ") }))
        .severity(if admin { Level::Critical } else { Level::Medium })
        .fix(Fix::risky("approve devices by hand", "users who pair a new browser").set(&format!("{key}.enabled"), false));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn administrators_are_worse() {
        let bad = json!({"gateway":{"auth":{"trustedProxy":{"deviceAutoApprove":{"enabled":true}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        let admin = json!({"gateway":{"auth":{"trustedProxy":{"deviceAutoApprove":{"enabled":true,"scopes":["operator.admin"]}}}}});
        assert_eq!(check(&CHECK, &given::config(admin))[0].severity, Level::Critical);
    }

}
