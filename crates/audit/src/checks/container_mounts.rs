//! A container should see its own state and workspace only.

use crate::facts::Facts;
use crate::facts::Container;
use crate::finding::Fix;
use crate::openclaw::paths::sensitive_path;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use super::containers::each;

pub(super) static CHECK: Check = Check {
    id: "container.mounts",
    title: "the container sees keys or control of the host",
    severity: Level::Critical,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1552.001", "T1611"],
    cis: &["CIS Docker Benchmark v1.6 5.6"],
    why: "The agent reads the keys, or starts containers of its own as root.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    for (place, container, certain) in each(facts, out) {
        if !bad(container, facts).is_empty() {
            let hit = out.hit(place, bad(container, facts).join("; "));
            let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
            hit.fix(Fix::risky("mount single folders", "tasks that use them"));
        }
    }
}

/// Mounts that give away more than a project.
fn bad(container: &Container, facts: &Facts) -> Vec<String> {
    container
        .mounts
        .iter()
        .filter_map(|mount| {
            let what = sensitive_path(&mount.source, &facts.place.home)?;
            // OpenClaw's own folders may lie in a home folder.
            let own = mount.source.contains(".openclaw");
            (!own).then(|| format!("`{}` gives it {what}", mount.source))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn containers_and_compose_files() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        let plain = Container { openclaw: true, user: "1000".into(), read_only: true, security: vec!["no-new-privileges".into()], ..Default::default() };
        facts.host.containers = crate::Fact::Known(vec![plain.clone(), Container { openclaw: false, privileged: true, network: "host".into(), ..Default::default() }]);
        facts.host.compose = crate::Fact::Known(vec![]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        let bad = Container { mounts: vec![crate::facts::Mount { source: "/var/run/docker.sock".into(), target: "/s".into(), writable: true }], ..plain.clone() };
        facts.host.compose = crate::Fact::Known(vec![crate::facts::Compose { path: "/c.yml".into(), services: vec![bad], ..Default::default() }]);
        assert!(!check(&CHECK, &facts).is_empty());
    }

}
