//! What comes through hooks is outside content.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "hooks.content",
    title: "content from outside is taken as trusted",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0051.001"],
    attack: &["T1566"],
    cis: &[],
    why: "A mail or a web request gives orders to the agent as if you had written them.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let gmail = config.bool("hooks.gmail.allowUnsafeExternalContent") == Some(true);
    if gmail {
        out.hit("hooks.gmail.allowUnsafeExternalContent", "mail is not marked as outside content")
            .fix(Fix::risky("switch it off", "nothing known").unset("hooks.gmail.allowUnsafeExternalContent"));
    }
    for (index, mapping) in config.get("hooks.mappings").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if mapping.get("allowUnsafeExternalContent") == Some(&Value::Bool(true)) {
            out.hit(format!("hooks.mappings.{index}.allowUnsafeExternalContent"), "the request's text is not marked as outside content")
                .fix(Fix::risky("switch it off", "nothing known").unset(&format!("hooks.mappings.{index}.allowUnsafeExternalContent")));
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
    fn both_places() {
        for bad in [json!({"hooks":{"gmail":{"allowUnsafeExternalContent":true}}}), json!({"hooks":{"mappings":[{"allowUnsafeExternalContent":true}]}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
