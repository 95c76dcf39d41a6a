//! What is installed should be looked at first.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "skills.install-policy",
    title: "skills and plugins are installed without a look",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010"],
    attack: &["T1195"],
    cis: &["CIS Controls v8 2.5"],
    why: "One command, also the agent's own, brings code from the registry into the gateway.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let command = config.str("security.installPolicy.exec.command").is_some_and(|command| !command.is_empty());
    if config.bool("security.installPolicy.enabled") != Some(true) || !command {
        out.hit("security.installPolicy", "not enabled, or has no command").fix(Fix::safe("let Seawall look at each install").run("seawall up"));
    }
    if config.bool("nodeHost.autoUpdate.enabled") == Some(true) || config.bool("update.auto.enabled") == Some(true) {
        out.hit("update.auto.enabled", "OpenClaw updates itself").severity(Level::Low).title("updates arrive by themselves")
            .fix(Fix::risky("update by hand", "updates that nobody started").set("update.auto.enabled", false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn off_by_default() {
        for bad in [json!({}), json!({"security":{"installPolicy":{"enabled":true,"exec":{"command":"/x"}}},"update":{"auto":{"enabled":true}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"security":{"installPolicy":{"enabled":true,"exec":{"command":"/x"}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
