//! What is open, at a glance.

use crate::facts::Facts;
use crate::openclaw::bind;
use crate::openclaw::channels::accounts;
use crate::openclaw::channels::open_policies;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "summary",
    title: "what is open",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &[],
    why: "The larger the surface, the more ways there are in.",
    openclaw: &["summary.attack_surface"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let open = open_policies(config).len();
    let on = |key: &str, default: bool| if config.bool(key).unwrap_or(default) { "on" } else { "off" };
    out.hit("openclaw.json", format!("bind {}; {} accounts of channels, {open} open policies; elevated {}; webhooks {}; browser {}; terminal {}; {} agents", bind(config), accounts(config).len(), on("tools.elevated.enabled", true), on("hooks.enabled", false), on("browser.enabled", true), on("gateway.terminal.enabled", true), scope::agents(config).len().max(1)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn always_said() {
        let bad = json!({});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
    }

}
