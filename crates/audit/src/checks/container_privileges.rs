//! A container should not gain rights.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use super::containers::each;

pub(super) static CHECK: Check = Check {
    id: "container.privileges",
    title: "programs in the container may gain rights",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1548.001"],
    cis: &["CIS Docker Benchmark v1.6 5.26"],
    why: "A setuid program makes root of a plain user.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    for (place, container, certain) in each(facts, out) {
        if !container.security.iter().any(|option| option.starts_with("no-new-privileges")) || container.security.iter().any(|option| option == "seccomp=unconfined" || option == "apparmor=unconfined") {
            let hit = out.hit(place, format!("security options: {}", if container.security.is_empty() { "none".into() } else { container.security.join(", ") }));
            let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
            hit.fix(Fix::risky("set `no-new-privileges:true` and keep the default filters", "sudo and ping in the container"));
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
        let bad = Container { security: vec![], ..plain.clone() };
        facts.host.compose = crate::Fact::Known(vec![crate::facts::Compose { path: "/c.yml".into(), services: vec![bad], ..Default::default() }]);
        assert!(!check(&CHECK, &facts).is_empty());
    }

}
