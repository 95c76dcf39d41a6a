//! A container should not have the host's rights.

use crate::facts::{Container, Facts};
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
        let seen = rights(container);
        if !seen.is_empty() {
            let hit = out.hit(place, seen.join("; "));
            let hit = if certain { hit } else { hit.confidence(Confidence::Medium) };
            hit.fix(Fix::risky("take the rights away", "what needed them"));
        }
    }
}

/// What of the host a container has besides its files.
fn rights(container: &Container) -> Vec<String> {
    const WIDE: &[&str] = &["ALL", "SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "DAC_READ_SEARCH", "NET_ADMIN", "BPF"];
    // Devices that programs need and that hold nothing.
    const HARMLESS: &[&str] = &["/dev/dri", "/dev/snd", "/dev/video", "/dev/nvidia", "/dev/kfd", "/dev/fuse", "/dev/net/tun", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/tty"];
    let mut seen = Vec::new();
    if container.privileged {
        seen.push("privileged".to_owned());
    }
    if container.cap_add.iter().any(|cap| WIDE.contains(&cap.to_ascii_uppercase().trim_start_matches("CAP_"))) {
        seen.push(format!("added: {}", container.cap_add.join(", ")));
    }
    if container.shares.iter().any(|kind| kind != "uts") {
        seen.push(format!("shares the host's {}", container.shares.join(", ")));
    }
    let devices: Vec<&str> = container.devices.iter().map(String::as_str).filter(|device| !HARMLESS.iter().any(|known| device.starts_with(known))).collect();
    if !devices.is_empty() {
        seen.push(format!("devices: {}", devices.join(", ")));
    }
    seen
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
        let bad = Container { privileged: true, ..plain.clone() };
        facts.host.compose = crate::Fact::Known(vec![crate::facts::Compose { path: "/c.yml".into(), services: vec![bad], ..Default::default() }]);
        assert!(!check(&CHECK, &facts).is_empty());
    }

    #[test]
    fn namespaces_and_devices_of_the_host() {
        let with = |shares: &[&str], devices: &[&str]| {
            let list = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            rights(&Container { shares: list(shares), devices: list(devices), ..Default::default() }).len()
        };
        assert_eq!((with(&["pid"], &[]), with(&[], &["/dev/sda"]), with(&["uts"], &["/dev/dri/card0"])), (1, 1, 0));
    }
}
