//! A container should not have the host's rights.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use super::containers::each;

pub(super) static CHECK: Check = Check {
    id: "container.privileged",
    title: "the container has the host's rights",
    severity: Level::Critical,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1611"],
    cis: &["CIS Docker Benchmark v1.6 5.5"],
    why: "It is the host, with another name.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    for (place, container, certain) in each(facts, out) {
        if container.privileged || container.cap_add.iter().any(|cap| matches!(cap.trim_start_matches("CAP_"), "ALL" | "SYS_ADMIN" | "SYS_PTRACE" | "SYS_MODULE" | "DAC_READ_SEARCH" | "NET_ADMIN")) {
            let hit = out.hit(place, if container.privileged { "privileged".to_owned() } else { format!("added: {}", container.cap_add.join(", ")) });
            let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
            hit.fix(Fix::risky("take the rights away", "what needed them"));
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
        let bad = Container { privileged: true, ..plain.clone() };
        facts.host.compose = crate::Fact::Known(vec![crate::facts::Compose { path: "/c.yml".into(), services: vec![bad] }]);
        assert!(!check(&CHECK, &facts).is_empty());
    }

}
