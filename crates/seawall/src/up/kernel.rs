//! What this host's kernel must hold before anything is started, and the operator's word for less.

use crate::clock::now_ms;
use crate::settings::{Override, Sandbox};
use seawall_model::{Event, Plane, PlaneStatus, Protection, Severity};
use seawall_sandbox::probe::{LANDLOCK, LIMITS, Mechanism};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// Longest time to the end of an override: one that does not end is a setting.
const LONGEST_MS: u64 = 90 * 24 * 60 * 60 * 1000;

/// How often the time of day is looked at for the end of an override: it can be set, and the
/// machine can sleep.
const LOOK: Duration = Duration::from_secs(30);

/// What was tried at the start, and is good enough.
pub(super) struct Kernel {
    pub(super) status: PlaneStatus,
    overridden: Vec<(Override, String)>,
}

impl Kernel {
    /// For the log: one event for each override without which nothing would have been started.
    pub(super) fn events(&self) -> impl Iterator<Item = Event> {
        self.overridden.iter().map(|(over, seen)| {
            let text = format!(
                "started although {seen}; allowed until {} by the configuration: {}",
                over.until, over.reason
            );
            Event::new(now_ms(), Plane::Kernel, "sandbox.override", text)
                .severity(Severity::High)
                .detail(json!({
                    "mechanism": over.mechanism,
                    "until": over.until,
                    "reason": over.reason,
                    "seen": seen,
                }))
        })
    }

    /// Waits for the first override to end, and says what is not allowed any more. Never returns
    /// where none is needed.
    pub(super) async fn lapsed(&self) -> String {
        let first = self.overridden.iter().min_by_key(|(over, _)| over.until);
        let Some((over, seen)) = first else { return std::future::pending().await };
        loop {
            let left = ends_ms(over).saturating_sub(now_ms());
            if left == 0 {
                return format!("the override of `{}` has ended: {seen}", over.mechanism);
            }
            tokio::time::sleep(Duration::from_millis(left).min(LOOK)).await;
        }
    }
}

fn ends_ms(over: &Override) -> u64 {
    u64::try_from(over.until.as_millisecond()).unwrap_or(0)
}

/// Tries the known ways out of a throw-away jail. Where less is held than has to be, nothing is
/// started.
pub(super) fn probe(scratch: &Path, settings: &Sandbox) -> Result<Kernel, String> {
    judge(&seawall_sandbox::probe::probe(scratch), settings, now_ms())
}

/// What a mechanism must be. Landlock holds what the mounts hold already, and control groups are
/// often not given to an ordinary user: without them a run can use up the machine, but not get
/// out.
fn required(name: &str, settings: &Sandbox) -> Protection {
    let default = match name {
        LANDLOCK | LIMITS => Protection::None,
        _ => Protection::Full,
    };
    // Less, for good, is nobody's to set.
    settings.require.get(name).map_or(default, |wanted| default.max(*wanted))
}

fn word(protection: Protection) -> &'static str {
    match protection {
        Protection::Full => "full",
        Protection::Partial => "partial",
        Protection::None => "none",
    }
}

fn judge(mechanisms: &[Mechanism], settings: &Sandbox, now: u64) -> Result<Kernel, String> {
    if let Some(over) = settings.r#override.iter().find(|o| ends_ms(o) > now + LONGEST_MS) {
        return Err(format!(
            "the override of `{}` ends on {}, more than 90 days from now; give it an earlier end",
            over.mechanism, over.until
        ));
    }
    let known = seawall_sandbox::probe::mechanisms();
    let (mut evidence, mut overridden, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for mechanism in mechanisms {
        let first = mechanism.evidence.first().map(String::as_str).unwrap_or_default();
        let seen = format!("{} is {}: {first}", mechanism.name, word(mechanism.protection));
        let wanted = required(&mechanism.name, settings);
        if mechanism.protection >= wanted {
            if mechanism.protection != Protection::Full {
                evidence.push(format!("{}: {first}", mechanism.name));
            }
            continue;
        }
        let of_it = settings
            .r#override
            .iter()
            .filter(|o| o.mechanism == mechanism.name && known.contains(o.mechanism.as_str()));
        match of_it.max_by_key(|o| o.until) {
            Some(over) if ends_ms(over) > now => {
                evidence.push(format!("{seen}; allowed until {}: {}", over.until, over.reason));
                overridden.push((over.clone(), seen));
            }
            over => {
                let ended = over.map(|o| format!("; its override ended on {}", o.until));
                let need = format!("{seen} (has to be {})", word(wanted));
                refused.push(format!("{need}{}", ended.unwrap_or_default()));
            }
        }
    }
    // A jail that cannot be made at all can't be allowed either.
    if mechanisms.is_empty() || !refused.is_empty() {
        let allowed = mechanisms.iter().all(|m| known.contains(m.name.as_str()));
        let how = if allowed && !mechanisms.is_empty() {
            "; [[sandbox.override]] in seawall.toml allows less for a time"
        } else {
            ""
        };
        return Err(format!(
            "this host cannot confine the gateway: {}; see `seawall sandbox probe`{how}",
            refused.join("; ")
        ));
    }
    let held: Vec<&str> = mechanisms
        .iter()
        .filter(|m| m.protection == Protection::Full)
        .map(|m| m.name.as_str())
        .collect();
    evidence.push(format!("tried and held at start: {}", held.join(", ")));
    let worst = mechanisms.iter().map(|m| m.protection).min().unwrap_or(Protection::None);
    // What is missing by default is held by something else; what was overridden is not.
    let protection = if overridden.is_empty() { worst.max(Protection::Partial) } else { worst };
    let status = PlaneStatus { plane: Plane::Kernel, protection, evidence };
    Ok(Kernel { status, overridden })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn all_but(name: &str, protection: Protection) -> Vec<Mechanism> {
        seawall_sandbox::probe::mechanisms()
            .into_iter()
            .map(|known| Mechanism {
                name: known.into(),
                protection: if known == name { protection } else { Protection::Full },
                evidence: vec!["seen".into()],
            })
            .collect()
    }

    fn with(over: &str, from_now_s: i64) -> Sandbox {
        let until =
            jiff::Timestamp::from_millisecond(i64::try_from(NOW).unwrap() + from_now_s * 1000);
        let over =
            Override { mechanism: over.into(), until: until.unwrap(), reason: "new kernel".into() };
        Sandbox { r#override: vec![over], ..Sandbox::default() }
    }

    fn refusal(mechanisms: &[Mechanism], settings: &Sandbox) -> String {
        judge(mechanisms, settings, NOW).map(|_| ()).unwrap_err()
    }

    #[test]
    fn what_may_be_missing_is_told() {
        for (name, protection) in [
            (LANDLOCK, Protection::None),
            (LANDLOCK, Protection::Partial),
            (LIMITS, Protection::None),
        ] {
            let kernel = judge(&all_but(name, protection), &Sandbox::default(), NOW).unwrap();
            assert_eq!(kernel.status.protection, Protection::Partial);
            assert_eq!(kernel.status.evidence.first().unwrap(), &format!("{name}: seen"));
            assert_eq!(kernel.events().count(), 0);
        }
    }

    #[test]
    fn less_than_required_does_not_start() {
        for name in seawall_sandbox::probe::mechanisms() {
            if [LANDLOCK, LIMITS].contains(&name) {
                continue;
            }
            for protection in [Protection::Partial, Protection::None] {
                let error = refusal(&all_but(name, protection), &Sandbox::default());
                assert!(error.contains(name) && error.contains("[[sandbox.override]]"), "{error}");
            }
        }
        let strict = Sandbox {
            require: [(LANDLOCK.to_owned(), Protection::Full)].into(),
            ..Sandbox::default()
        };
        let error = refusal(&all_but(LANDLOCK, Protection::Partial), &strict);
        assert!(error.contains("landlock is partial: seen (has to be full)"), "{error}");
        // Less, for good, is nobody's to set.
        let lax = Sandbox {
            require: [("seccomp".to_owned(), Protection::Partial)].into(),
            ..Sandbox::default()
        };
        assert!(judge(&all_but("seccomp", Protection::Partial), &lax, NOW).is_err());
    }

    #[test]
    fn an_override_is_for_one_mechanism_is_logged_and_ends() {
        let less = all_but("seccomp", Protection::Partial);
        let kernel = judge(&less, &with("seccomp", 60), NOW).unwrap();
        assert_eq!(kernel.status.protection, Protection::Partial);
        let event = kernel.events().next().unwrap();
        assert_eq!((event.kind.as_str(), event.severity), ("sandbox.override", Severity::High));
        assert!(
            event.summary.contains("seccomp is partial") && event.summary.contains("new kernel")
        );
        let none = judge(&all_but("seccomp", Protection::None), &with("seccomp", 60), NOW).unwrap();
        assert_eq!(none.status.protection, Protection::None);

        assert!(refusal(&less, &with("mounts", 60)).contains("seccomp is partial"));
        let ended = refusal(&less, &with("seccomp", 0));
        assert!(ended.contains("its override ended on 2027-01-15"), "{ended}");
        assert!(refusal(&less, &with("seccomp", 91 * 86_400)).contains("90 days"));
    }

    #[test]
    fn a_jail_that_cannot_be_made_is_not_overridden() {
        let no_jail = [Mechanism {
            name: "jail".into(),
            protection: Protection::None,
            evidence: vec!["make namespaces: refused".into()],
        }];
        let error = refusal(&no_jail, &with("jail", 60));
        assert!(error.contains("make namespaces") && !error.contains("override"), "{error}");
        assert!(judge(&[], &Sandbox::default(), NOW).is_err());
    }

    #[tokio::test]
    async fn the_end_of_an_override_is_waited_for() {
        let past = jiff::Timestamp::from_millisecond(1).unwrap();
        let over = Override { mechanism: "seccomp".into(), until: past, reason: "x".into() };
        let status = PlaneStatus {
            plane: Plane::Kernel,
            protection: Protection::Partial,
            evidence: Vec::new(),
        };
        let kernel = Kernel { status, overridden: vec![(over, "seccomp is partial".into())] };
        assert!(kernel.lapsed().await.contains("has ended: seccomp is partial"));
    }
}
