//! A sandbox should keep the filters of its container.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "sandbox.confinement",
    title: "a sandbox runs without the container's filters",
    severity: Level::High,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(6),
    atlas: &[],
    attack: &["T1611"],
    cis: &["CIS Docker Benchmark v1.6 5.22"],
    why: "Without seccomp or AppArmor, many more kernel calls can be tried for a way out.",
    openclaw: &["sandbox.dangerous_seccomp_profile", "sandbox.dangerous_apparmor_profile"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let Some(docker) = scope.docker() else { continue };
        for key in ["seccompProfile", "apparmorProfile"] {
            if docker.get(key).and_then(Value::as_str).is_some_and(|profile| profile.trim().eq_ignore_ascii_case("unconfined")) {
                let path = scope.path(&format!("sandbox.docker.{key}"));
                out.hit(path.join("."), "`unconfined`").severity(Level::Critical).fix(Fix::risky("use the default profile", "programs that need more calls").set_at(path, None));
            }
        }
        if scope.sandbox() == "off" {
            continue;
        }
        if docker.get("readOnlyRoot") == Some(&Value::Bool(false)) {
            let path = scope.path("sandbox.docker.readOnlyRoot");
            out.hit(path.join("."), "the root filesystem is writable").severity(Level::Low).fix(Fix::risky("make it read-only", "programs that write outside /tmp and the workspace").set_at(path, Some(true.into())));
        }
        if docker.get("user").and_then(Value::as_str).is_some_and(|user| user == "root" || user == "0" || user.starts_with("0:")) {
            let path = scope.path("sandbox.docker.user");
            out.hit(path.join("."), "runs as root").severity(Level::Medium).fix(Fix::risky("run it as a plain user", "programs that need root").set_at(path, Some("1000:1000".into())));
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
    fn profiles_and_root() {
        for bad in [json!({"agents":{"defaults":{"sandbox":{"docker":{"seccompProfile":"unconfined"}}}}}), json!({"agents":{"defaults":{"sandbox":{"mode":"all","docker":{"user":"0:0"}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"agents":{"defaults":{"sandbox":{"mode":"all","docker":{"user":"1000:1000","readOnlyRoot":true}}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
