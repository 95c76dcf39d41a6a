//! A remote browser should be reached through an encrypted, known way.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "browser.remote",
    title: "a remote browser is driven over an unprotected connection",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &["T1557", "T1185"],
    cis: &["CIS Controls v8 3.10"],
    why: "Whoever is on the way sees and drives every session that is logged in.",
    openclaw: &["browser.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let mut urls: Vec<(String, &str)> = Vec::new();
    if let Some(url) = config.str("browser.cdpUrl") { urls.push(("browser.cdpUrl".into(), url)); }
    for (name, profile) in config.get("browser.profiles").and_then(Value::as_object).into_iter().flatten() {
        if let Some(url) = profile.get("cdpUrl").and_then(Value::as_str) { urls.push((format!("browser.profiles.{name}.cdpUrl"), url)); }
    }
    for (key, url) in urls {
        let Some((scheme, rest)) = url.split_once("://") else { continue };
        let host = rest.split(['/', ':', '?']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
        let local = matches!(host, "127.0.0.1" | "localhost" | "[" | "::1");
        if !local && matches!(scheme, "http" | "ws") {
            out.hit(key, format!("{scheme}:// to {host}")).fix(Fix::risky("use https or wss, or a tunnel", "the browser there"));
        }
    }
    if config.bool("browser.extensionRelay.allowLegacyAuth") == Some(true) {
        out.hit("browser.extensionRelay.allowLegacyAuth", "on").severity(Level::Medium).fix(Fix::risky("switch it off", "old extensions").set("browser.extensionRelay.allowLegacyAuth", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn plain_and_elsewhere() {
        for bad in [json!({"browser":{"cdpUrl":"http://10.0.0.5:9222"}}), json!({"browser":{"profiles":{"x":{"cdpUrl":"ws://box:1/y"}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"browser":{"cdpUrl":"http://127.0.0.1:9222"}}), json!({"browser":{"cdpUrl":"wss://box/y"}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
