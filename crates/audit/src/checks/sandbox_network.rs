//! A sandbox should have no network of the host's.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "sandbox.network",
    title: "a sandbox shares the network of the host or of another container",
    severity: Level::Critical,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &["AML.T0086"],
    attack: &["T1611", "T1048"],
    cis: &["CIS Docker Benchmark v1.6 5.10"],
    why: "It reaches the gateway's port, databases and metadata services as the host does.",
    openclaw: &["sandbox.dangerous_network_mode"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let Some(mode) = scope.docker().and_then(|docker| docker.get("network")).and_then(Value::as_str) else { continue };
        let mode = mode.trim().to_ascii_lowercase();
        let path = scope.path("sandbox.docker.network");
        let fix = Fix::risky("give it no network", "tasks that use the network").set_at(path.clone(), Some("none".into()));
        if mode == "host" || mode.starts_with("container:") {
            out.hit(path.join("."), format!("`{mode}`")).fix(fix);
        } else if mode != "none" {
            out.hit(path.join("."), format!("`{mode}`: it reaches the network without a filter")).severity(Level::Medium).title("a sandbox reaches the network without a filter").fix(fix);
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
    fn host_others_and_plain() {
        for bad in [json!({"agents":{"defaults":{"sandbox":{"docker":{"network":"Host"}}}}}), json!({"agents":{"defaults":{"sandbox":{"docker":{"network":"container:vpn"}}}}}), json!({"agents":{"defaults":{"sandbox":{"docker":{"network":"bridge"}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({}), json!({"agents":{"defaults":{"sandbox":{"docker":{"network":"none"}}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
