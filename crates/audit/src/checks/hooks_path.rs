//! Hooks should have a path of their own.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "hooks.path",
    title: "hooks take every path",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0049"],
    attack: &["T1190"],
    cis: &[],
    why: "Requests for other endpoints reach the hooks, and the other way round.",
    openclaw: &["hooks.path_root"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    if config.bool("hooks.enabled") == Some(true) && config.str("hooks.path").map(str::trim) == Some("/") {
        out.hit("hooks.path", "`/`").fix(Fix::risky("use a path of their own", "senders that use the old path").set("hooks.path", "/hooks"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn the_root_is_found() {
        let bad = json!({"hooks":{"enabled":true,"path":"/"}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        for good in [json!({"hooks":{"enabled":true,"path":"/hooks"}}), json!({})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
