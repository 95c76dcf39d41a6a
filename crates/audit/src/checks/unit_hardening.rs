//! The service should be held by its unit.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "unit.hardening",
    title: "the unit leaves the service unconfined",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Production,
    item: Some(7),
    atlas: &[],
    attack: &["T1068", "T1543.002"],
    cis: &["CIS Controls v8 4.1"],
    why: "systemd can take away most of what an attacker needs, at no cost.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(units) = out.need(&facts.host.units) else { return };
    for unit in units {
        let lacks: Vec<&str> = WANTED.iter().filter(|(key, good)| unit.service.get(*key).is_none_or(|value| !good.contains(&value.as_str()))).map(|(key, _)| *key).collect();
        let user = unit.user_manager || unit.service.get("User").is_some_and(|user| user != "root") || unit.service.get("DynamicUser").is_some_and(|value| value == "yes");
        if !user {
            out.hit(unit.path.display().to_string(), "User= is not set: it runs as root").severity(Level::Critical).fix(Fix::risky("give it a user of its own", "files that root owns"));
        }
        if !lacks.is_empty() {
            out.hit(unit.path.display().to_string(), format!("not set: {}", lacks.join(", "))).fix(Fix::risky("add a drop-in with these settings", "paths and calls that they forbid").run("seawall harden host systemd --apply"));
        }
    }
}

/// Settings that OpenClaw works with, and values that count.
const WANTED: &[(&str, &[&str])] = &[
    ("NoNewPrivileges", &["yes", "true", "1"]),
    ("ProtectSystem", &["strict", "full"]),
    ("ProtectHome", &["tmpfs", "read-only", "yes", "true"]),
    ("PrivateTmp", &["yes", "true", "1", "disconnected"]),
    ("ProtectKernelTunables", &["yes", "true", "1"]),
    ("ProtectKernelModules", &["yes", "true", "1"]),
    ("ProtectControlGroups", &["yes", "true", "1", "strict", "private"]),
    ("RestrictSUIDSGID", &["yes", "true", "1"]),
    ("LockPersonality", &["yes", "true", "1"]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn settings_that_are_missing() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        let unit = |pairs: &[(&str, &str)]| crate::Fact::Known(vec![crate::facts::Unit { path: "/u".into(), user_manager: false, service: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect() }]);
        facts.host.units = unit(&[("ExecStart", "openclaw")]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
        let all: Vec<(&str, &str)> = WANTED.iter().map(|(key, good)| (*key, good[0])).chain([("User", "oc")]).collect();
        facts.host.units = unit(&all);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
