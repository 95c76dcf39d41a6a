//! Plugins that open the gateway should be off until they are needed.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "plugins.powerful",
    title: "a plugin that opens the gateway is on",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1133"],
    cis: &["CIS Controls v8 4.8"],
    why: "It adds a way in, or lets the model use a device, that no other setting shows.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for (id, what) in [("admin-http-rpc", "administration over HTTP"), ("webhooks", "requests from outside that start runs"), ("a2a", "other agents that give orders"), ("file-transfer", "files to and from devices"), ("computer-use", "the desktop"), ("cua-computer", "the desktop"), ("session-share", "sessions that others can read")] {
        let entry = config.get("plugins.entries").and_then(|entries| entries.get(id)?.get("enabled"));
        if entry == Some(&Value::Bool(true)) {
            let key = format!("plugins.entries.{id}.enabled");
            out.hit(key.clone(), what).fix(Fix::risky("switch it off", what).set(&key, false));
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
    fn those_that_are_on() {
        let bad = json!({"plugins":{"entries":{"admin-http-rpc":{"enabled":true}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({"plugins":{"entries":{"openai":{"enabled":true}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
