//! OpenClaw should not be root in its container.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use super::containers::each;

pub(super) static CHECK: Check = Check {
    id: "container.root",
    title: "OpenClaw runs as root in its container",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1611"],
    cis: &["CIS Docker Benchmark v1.6 4.1"],
    why: "One flaw of the kernel or of a mount away from root on the host.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    for (place, container, certain) in each(facts, out) {
        if container.user.is_empty() || container.user == "root" || container.user == "0" || container.user.starts_with("0:") {
            let hit = out.hit(place, format!("user is `{}`", if container.user.is_empty() { "the image's own" } else { &container.user }));
            let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
            hit.fix(Fix::risky("run it as user 1000, which the image has", "files that root owns"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use crate::facts::Container;
    use serde_json::json;

    #[test]
    fn containers_and_compose_files() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        let plain = Container { openclaw: true, user: "1000".into(), read_only: true, security: vec!["no-new-privileges".into()], ..Default::default() };
        facts.host.containers = crate::Fact::Known(vec![plain.clone(), Container { openclaw: false, privileged: true, network: "host".into(), ..Default::default() }]);
        facts.host.compose = crate::Fact::Known(vec![]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        let bad = Container { user: "0:0".into(), ..plain.clone() };
        facts.host.compose = crate::Fact::Known(vec![crate::facts::Compose { path: "/c.yml".into(), services: vec![bad], ..Default::default() }]);
        assert!(!check(&CHECK, &facts).is_empty());
    }

}
