//! Tailscale should not put the gateway on the internet.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.tailscale",
    title: "Tailscale publishes the gateway",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0049"],
    attack: &["T1133"],
    cis: &["CIS Controls v8 12.2"],
    why: "Funnel puts it on the public internet; Serve shows it to the whole tailnet.",
    openclaw: &["gateway.tailscale_funnel", "gateway.tailscale_serve"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    match config.str("gateway.tailscale.mode") {
        Some("funnel") => {
            out.hit("gateway.tailscale.mode", "`funnel`: the gateway is on the public internet").severity(Level::Critical)
                .fix(Fix::risky("use `serve`, which stays in the tailnet", "clients outside the tailnet").set("gateway.tailscale.mode", "serve"));
        }
        Some("serve") => {
            out.hit("gateway.tailscale.mode", "`serve`: the tailnet reaches the gateway; its access rules decide who");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn funnel_is_worst() {
        let bad = json!({"gateway":{"tailscale":{"mode":"serve"}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({}), json!({"gateway":{"tailscale":{"mode":"off"}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
        let funnel = json!({"gateway":{"tailscale":{"mode":"funnel"}}});
        assert_eq!(check(&CHECK, &given::config(funnel))[0].severity, Level::Critical);
    }

}
