//! Switches whose name says that they are dangerous should be off.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "config.dangerous-flags",
    title: "a switch that weakens protection is on",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0081"],
    attack: &["T1685"],
    cis: &["CIS Controls v8 4.1"],
    why: "Each was made for a short test; left on, it takes a protection away.",
    openclaw: &["config.insecure_or_dangerous_flags"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let mut paths = Vec::new();
    walk(&config.value, &mut Vec::new(), &mut paths);
    for (key, wanted) in [("tools.exec.applyPatch.workspaceOnly", false), ("tools.fs.workspaceOnly", false), ("hooks.allowRequestSessionKey", true)] {
        if config.bool(key) == Some(wanted) {
            paths.push(key.split('.').map(str::to_owned).collect());
        }
    }
    let suppressions = config.get("security.audit.suppressions").and_then(Value::as_array).map_or(0, Vec::len);
    if suppressions > 0 {
        out.hit("security.audit.suppressions", format!("OpenClaw's own audit keeps silent about {suppressions} kinds of finding")).severity(Level::Low);
    }
    for path in paths {
        let key = dotted(&path);
        out.hit(key.clone(), format!("{key} is set")).fix(Fix::risky("remove it", "what it was switched on for").set_at(path, None));
    }
}

fn walk(value: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                let named = key.starts_with("dangerously") || key == "allowUnsafeExternalContent" || key.starts_with("allowInsecure");
                if named && value == &Value::Bool(true) {
                    out.push(path.clone());
                } else {
                    walk(value, path, out);
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(value, path, out);
                path.pop();
            }
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
    fn by_name_wherever_they_stand() {
        for bad in [json!({"gateway":{"controlUi":{"dangerouslyDisableDeviceAuth":true}}}), json!({"hooks":{"mappings":[{"allowUnsafeExternalContent":true}]}}), json!({"tools":{"fs":{"workspaceOnly":false}}}), json!({"security":{"audit":{"suppressions":[{"checkId":"x"}]}}}), json!({"agents":{"entries":{"a":{"sandbox":{"docker":{"dangerouslyAllowExternalBindSources":true}}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"tools":{"fs":{"workspaceOnly":true}},"x":{"dangerouslyAllowY":false}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
