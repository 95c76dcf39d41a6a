//! Web tools should not reach the private network.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::channels::accounts;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "tools.private-network",
    title: "web tools reach the private network",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(13),
    atlas: &["AML.T0053"],
    attack: &["T1552.005"],
    cis: &["CIS Controls v8 4.4"],
    why: "A page sends the agent to the cloud's metadata service or to the gateway itself.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for key in ["tools.web.fetch.ssrfPolicy", "browser.ssrfPolicy", "cron.webhookSsrfPolicy"] {
        for switch in ["dangerouslyAllowPrivateNetwork", "allowIpv6UniqueLocalRange", "allowRfc2544BenchmarkRange"] {
            let key = format!("{key}.{switch}");
            if config.bool(&key) == Some(true) {
                out.hit(key.clone(), "switched on").fix(Fix::risky("switch it off and list single hosts", "pages of the private network").set(&key, false));
            }
        }
    }
    for account in accounts(config) {
        if account.settings.get("network").and_then(|network| network.get("dangerouslyAllowPrivateNetwork")) == Some(&Value::Bool(true)) {
            out.hit(account.key("network.dangerouslyAllowPrivateNetwork"), "switched on").fix(Fix::risky("switch it off", "media on the private network").set_at(account.path("network.dangerouslyAllowPrivateNetwork"), None));
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
    fn every_switch() {
        for bad in [json!({"browser":{"ssrfPolicy":{"dangerouslyAllowPrivateNetwork":true}}}), json!({"channels":{"telegram":{"network":{"dangerouslyAllowPrivateNetwork":true}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
