//! Programs that need no approval should not be able to run others.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::openclaw::interpreters::{interpreter, name};
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "exec.safe-bins",
    title: "a program that can run anything needs no approval",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0050"],
    attack: &["T1059"],
    cis: &["CIS Controls v8 2.7"],
    why: "An interpreter, or jq, sed and awk, read files and run code in their arguments.",
    openclaw: &["tools.exec.safe_bins_interpreter_unprofiled", "tools.exec.safe_bins_broad_behavior"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let exec = |key: &str| if scope.id.is_some() { scope.own(&format!("tools.exec.{key}")) } else { config.get(&format!("tools.exec.{key}")) };
        let bins = exec("safeBins").map(strings).unwrap_or_default();
        let profiled = |bin: &str| [exec("safeBinProfiles"), config.get("tools.exec.safeBinProfiles")].into_iter().flatten().any(|profiles| profiles.get(bin).is_some());
        let risky: Vec<String> = bins.iter().map(|bin| name(bin)).filter(|bin| BROAD.contains(&bin.as_str()) || (interpreter(bin) && !profiled(bin))).collect();
        if !risky.is_empty() {
            let path: Vec<String> = if scope.id.is_some() { scope.path("tools.exec.safeBins") } else { ["tools", "exec", "safeBins"].map(str::to_owned).to_vec() };
            let rest: Vec<String> = bins.into_iter().filter(|bin| !risky.contains(&name(bin))).collect();
            out.hit(path.join("."), format!("no approval for: {}", risky.join(", ")))
                .fix(Fix::risky("take them out", "commands that ran unasked").set_at(path, Some(rest.into())));
        }
    }
}

/// Filters that read files, the environment or run commands whatever their profile.
const BROAD: &[&str] = &["jq", "awk", "gawk", "mawk", "nawk", "sed", "gsed"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn interpreters_and_broad_programs() {
        for bad in [json!({"tools":{"exec":{"safeBins":["/usr/bin/python3.11"]}}}), json!({"tools":{"exec":{"safeBins":["jq"],"safeBinProfiles":{"jq":{}}}}}), json!({"agents":{"entries":{"a":{"tools":{"exec":{"safeBins":["node"]}}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"tools":{"exec":{"safeBins":["cut","wc"]}}}), json!({"tools":{"exec":{"safeBins":["python3"],"safeBinProfiles":{"python3":{}}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
