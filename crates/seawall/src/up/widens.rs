//! What a new configuration changes in the policy, and whether a person has to approve it.

use crate::render::Facts;
use crate::settings::Settings;
use seawall_model::{Event, Plane, Severity};
use seawall_policy::compare::{self, Change};
use serde_json::{Value, json};

/// Most changes that are told; a person who sees this many compares the files.
const MAX_TOLD: usize = 100;

/// The differences between the running policy and the next one.
pub(super) fn changes(
    old: (&Settings, &Facts),
    new: (&Settings, &Facts),
) -> Result<Vec<Change>, String> {
    let old = crate::daemon::bundle_of(old.0, old.1)?;
    let new = crate::daemon::bundle_of(new.0, new.1)?;
    Ok(compare::compare(&old, &new))
}

/// Whether two settings are the same but for the policy.
pub(super) fn same_beside_policy(a: &Settings, b: &Settings) -> bool {
    let rest = |settings: &Settings| Settings {
        policy: toml::Table::new(),
        tool: Vec::new(),
        sequence: Vec::new(),
        policy_files: Vec::new(),
        source: crate::settings::Source::default(),
        ..settings.clone()
    };
    rest(a) == rest(b)
}

/// The answer to somebody who asked for changes that widen and did not say that they may.
pub(super) fn refusal(changes: &[Change], widen: bool) -> Option<Value> {
    (!widen && compare::asks(changes)).then(|| {
        json!({
            "ok": false,
            "error": "the new policy allows more than the running one, or may",
            "widens": told(changes),
        })
    })
}

/// What is written down of an applied change; nothing when the policy is the same.
pub(super) fn event(changes: &[Change], now_ms: u64) -> Option<Event> {
    if changes.is_empty() {
        return None;
    }
    let (kind, summary, severity) = if compare::asks(changes) {
        ("policy.widened", "the operator widened the policy", Severity::Medium)
    } else {
        ("policy.narrowed", "the policy changed and is not wider", Severity::Info)
    };
    let event = Event::new(now_ms, Plane::Lifecycle, kind, summary).severity(severity);
    Some(event.detail(json!({ "changes": told(changes) })))
}

fn told(changes: &[Change]) -> Vec<String> {
    changes
        .iter()
        .take(MAX_TOLD)
        .map(|change| format!("{:<8} {}", change.direction.word(), change.what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_policy::PolicyFile;

    fn settings(text: &str) -> Settings {
        let file = PolicyFile { name: "seawall.toml".into(), text: text.into() };
        Settings { policy_files: vec![file], ..Settings::default() }
    }

    fn between(old: &str, new: &str) -> Vec<Change> {
        let facts = Facts::default();
        changes((&settings(old), &facts), (&settings(new), &facts)).unwrap()
    }

    const NONE: &str = "[policy]\n";
    const HOST: &str = "[policy]\nlisted_hosts = [\"docs.example.com\"]\n";

    #[test]
    fn what_only_narrows_is_applied_and_what_widens_is_asked() {
        let narrower = between(HOST, NONE);
        assert_eq!(refusal(&narrower, false), None, "{narrower:?}");
        assert_eq!(event(&narrower, 0).unwrap().kind, "policy.narrowed");
        let wider = between(NONE, HOST);
        let refused = refusal(&wider, false).unwrap();
        assert!(refused["widens"][0].as_str().unwrap().contains("docs.example.com"), "{refused}");
        assert_eq!(refusal(&wider, true), None);
        assert_eq!(event(&wider, 0).unwrap().kind, "policy.widened");
        assert_eq!(event(&between(HOST, HOST), 0), None);
    }

    #[test]
    fn only_the_policy_is_changed_without_the_gateway() {
        let of = |text: &str| Settings { ..toml::from_str::<Settings>(text).unwrap() };
        let (none, host) = (settings(NONE), settings(HOST));
        assert!(same_beside_policy(&none, &host));
        assert!(same_beside_policy(&of(NONE), &of(HOST)));
        let slow = "[guard]\nheartbeat_ms = 4000\n";
        assert!(!same_beside_policy(&of(NONE), &of(slow)));
        assert!(!same_beside_policy(&of(NONE), &of("[egress]\nx = 1\n")));
    }

    #[test]
    fn a_change_of_both_kinds_is_asked() {
        let both = between(HOST, "[policy]\nlisted_hosts = [\"other.example.com\"]\n");
        assert!(refusal(&both, false).is_some());
    }

    #[test]
    fn a_bundle_that_does_not_load_changes_nothing() {
        let (good, bad) = (settings(NONE), settings("[policy]\nnonsense = 1\n"));
        let facts = Facts::default();
        assert!(changes((&good, &facts), (&bad, &facts)).is_err());
    }
}
