//! Nothing of the host's control should be mounted into a sandbox.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::openclaw::paths::sensitive_path;
use crate::openclaw::scope;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "sandbox.binds",
    title: "a sandbox sees folders that control the host",
    severity: Level::Critical,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &["AML.T0053"],
    attack: &["T1611", "T1552.001"],
    cis: &["CIS Docker Benchmark v1.6 5.6"],
    why: "With Docker's socket, system folders or key folders inside, the sandbox is no boundary.",
    openclaw: &["sandbox.bind_mount_non_absolute", "sandbox.dangerous_bind_mount"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for scope in scope::scopes(config) {
        let binds = scope.docker().and_then(|docker| docker.get("binds")).map(strings).unwrap_or_default();
        for bind in &binds {
            let source = bind.split(':').next().unwrap_or_default();
            let path = scope.path("sandbox.docker.binds");
            let rest: Vec<String> = binds.iter().filter(|other| *other != bind).cloned().collect();
            let fix = Fix::risky("take it out", "tasks that use the folder").set_at(path.clone(), Some(rest.into()));
            if !source.starts_with('/') {
                out.hit(path.join("."), format!("`{bind}` has no absolute source")).severity(Level::Medium).title("a mount of a sandbox has no absolute source").fix(fix);
            } else if let Some(what) = sensitive_path(source, &facts.place.home) {
                out.hit(path.join("."), format!("`{bind}` gives it {what}")).fix(fix);
            }
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
    fn sockets_systems_and_keys() {
        for bad in [json!({"agents":{"defaults":{"sandbox":{"docker":{"binds":["/var/run/docker.sock:/s"]}}}}}), json!({"agents":{"defaults":{"sandbox":{"docker":{"binds":["/:/h:ro"]}}}}}), json!({"agents":{"entries":{"a":{"sandbox":{"docker":{"binds":["data:/d"]}}}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"agents":{"defaults":{"sandbox":{"docker":{"binds":["/srv/project:/p:ro"]}}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
