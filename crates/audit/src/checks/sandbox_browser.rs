//! The browser of a sandbox should be reached by its agent only.

use crate::facts::Facts;
use crate::facts::Published;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "sandbox.browser",
    title: "the browser of a sandbox can be reached by others",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &[],
    attack: &["T1185"],
    cis: &[],
    why: "Whoever reaches its control port drives the browser with the sessions that are logged in.",
    openclaw: &["sandbox.browser_cdp_bridge_unrestricted", "sandbox.browser_container.*"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let browser = |key: &str| scope.inherited(&format!("sandbox.browser.{key}"));
        if scope.sandbox() == "off" || browser("enabled") != Some(&Value::Bool(true)) {
            continue;
        }
        if browser("network").and_then(Value::as_str).is_some_and(|network| network == "bridge") && browser("cdpSourceRange").is_none() {
            let path = scope.path("sandbox.browser.cdpSourceRange");
            out.hit(path.join("."), "every container on the bridge reaches the control port").fix(Fix::risky("allow the gateway's address only", "other containers that drive the browser").set_at(path, Some("172.17.0.1/32".into())));
        }
        if browser("allowHostControl") == Some(&Value::Bool(true)) {
            let path = scope.path("sandbox.browser.allowHostControl");
            out.hit(path.join("."), "sandboxed sessions drive the browser of this host").severity(Level::High).fix(Fix::risky("switch it off", "tasks that use your browser").set_at(path, Some(false.into())));
        }
    }
    // Containers are looked at only where there is a container engine; the check of containers says
    // when there is one that could not be asked.
    for container in facts.host.containers.known().into_iter().flatten().filter(|container| container.labels.contains_key("openclaw.sandboxBrowser")) {
        if container.ports.iter().any(Published::exposed) {
            out.hit(format!("container {}", container.name), "publishes its control port beyond this host").severity(Level::Critical)
                .fix(Fix::risky("make it again", "the running browser").run("openclaw sandbox recreate --browser --all"));
        }
        if !container.labels.contains_key("openclaw.configHash") {
            out.hit(format!("container {}", container.name), "was made before its settings were recorded").severity(Level::Low)
                .fix(Fix::risky("make it again", "the running browser").run("openclaw sandbox recreate --browser --all"));
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
    fn bridges_and_the_host() {
        for bad in [json!({"agents":{"defaults":{"sandbox":{"mode":"all","browser":{"enabled":true,"network":"bridge"}}}}}), json!({"agents":{"defaults":{"sandbox":{"mode":"all","browser":{"enabled":true,"allowHostControl":true}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"agents":{"defaults":{"sandbox":{"mode":"all","browser":{"enabled":true}}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
