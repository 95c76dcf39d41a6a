//! What a new configuration changes in the policy and gives to the gateway and its runs, and whether
//! a person has to approve it.
//!
//! OpenClaw's own configuration lies where the gateway writes. It is held there, but whoever saves
//! it by renaming takes the hold away until it is put on again, and in that moment the gateway can
//! write into it. So folders, programs, ports and variables are asked for as the policy is.

use super::Prepared;
use crate::deploy::LoadedConfig;
use crate::home::Home;
use crate::render::Facts;
use crate::settings::Settings;
use seawall_model::{Event, Plane, Severity};
use seawall_policy::compare::{self, Change};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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

/// What the gateway and its runs have, as the configuration says it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) settings: &'a Settings,
    pub(super) facts: &'a Facts,
    pub(super) loaded: &'a LoadedConfig,
}

/// What another configuration gives that the running one does not.
pub(super) fn gained(old: Given<'_>, new: Given<'_>) -> Vec<String> {
    let all = |given: Given<'_>| {
        let mut lines = in_facts(given.facts);
        let gateway = &given.settings.gateway;
        let line = |what: &str, path: &Path| format!("the gateway {what} `{}`", path.display());
        lines.extend(gateway.read_only.iter().map(|path| line("reads", path)));
        lines.extend(gateway.read_write.iter().map(|path| line("writes", path)));
        let names = gateway.env.iter().chain(&given.loaded.env_names);
        lines.extend(names.map(|name| format!("the gateway knows the variable `{name}`")));
        lines
    };
    all(new).difference(&all(old)).cloned().collect()
}

fn in_facts(facts: &Facts) -> BTreeSet<String> {
    let workspaces = facts.workspaces.values().map(|dir| format!("workspace `{}`", dir.display()));
    let read = facts.read_only.iter().map(|dir| format!("the gateway reads `{}`", dir.display()));
    let ports = facts.forwards.iter().map(|f| format!("the gateway reaches port {}", f.port));
    // Variables by their names alone: the values may be secret.
    let servers = facts.mcp.iter().map(|(name, server)| {
        let names: Vec<&str> = server.env.keys().map(String::as_str).collect();
        let command: Vec<&str> =
            std::iter::once(&server.command).chain(&server.args).map(String::as_str).collect();
        let command = command.join(" ");
        format!("MCP server `{name}` runs `{command}` (variables: {})", names.join(" "))
    });
    workspaces.chain(read).chain(ports).chain(servers).collect()
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
pub(super) fn refusal(changes: &[Change], gained: &[String], widen: bool) -> Option<Value> {
    let policy = compare::asks(changes);
    let error = match (policy, gained.is_empty()) {
        _ if widen => return None,
        (false, true) => return None,
        (true, true) => "the new policy allows more than the running one, or may",
        (_, false) => "the new configuration gives the agent more than the running one",
    };
    Some(json!({ "ok": false, "error": error, "widens": told(changes, gained) }))
}

/// What is written down of an applied change; nothing when the policy is the same.
pub(super) fn event(changes: &[Change], gained: &[String], now_ms: u64) -> Option<Event> {
    if changes.is_empty() && gained.is_empty() {
        return None;
    }
    let (kind, summary, severity) = if compare::asks(changes) || !gained.is_empty() {
        ("policy.widened", "the operator widened the policy", Severity::Medium)
    } else {
        ("policy.narrowed", "the policy changed and is not wider", Severity::Info)
    };
    let event = Event::new(now_ms, Plane::Lifecycle, kind, summary).severity(severity);
    Some(event.detail(json!({ "changes": told(changes, gained) })))
}

fn told(changes: &[Change], gained: &[String]) -> Vec<String> {
    let gained = gained.iter().map(|what| format!("{:<8} {what}", "wider"));
    let changes =
        changes.iter().map(|change| format!("{:<8} {}", change.direction.word(), change.what));
    gained.chain(changes).take(MAX_TOLD).collect()
}

/// Its presence says that the configuration was replaced while the gateway ran, and was not taken
/// by an `apply` since.
fn mark(home: &Home) -> PathBuf {
    home.dir().join("configuration.replaced")
}

/// To be called when the gateway's hold on the configuration had to be put on again.
pub(super) fn replaced(home: &Home) {
    if let Err(e) = std::fs::write(mark(home), "") {
        tracing::error!(error = %e, "the next start will not ask about the configuration");
    }
}

/// To be called when a configuration was taken.
pub(super) fn taken(home: &Home) {
    let _missing = std::fs::remove_file(mark(home));
}

/// Refuses a start with a configuration that was replaced while the gateway ran and gives more than
/// the one it ran with.
pub(crate) fn confirm(prepared: &Prepared, widen: bool) -> Result<(), String> {
    confirmed(&prepared.home, &prepared.facts, widen)
}

fn confirmed(home: &Home, facts: &Facts, widen: bool) -> Result<(), String> {
    if widen || !mark(home).exists() {
        return Ok(());
    }
    let kept = std::fs::read_to_string(home.snapshots().join("facts.json")).unwrap_or_default();
    let Ok(old) = serde_json::from_str::<Facts>(&kept) else { return Ok(()) };
    let (old, new) = (in_facts(&old), in_facts(facts));
    let gained: Vec<&str> = new.difference(&old).map(String::as_str).take(MAX_TOLD).collect();
    if gained.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the configuration was replaced while the gateway ran, and gives the agent more than it had:\n  {}\nif this is what you want: `seawall up --widen`, once",
        gained.join("\n  ")
    ))
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
        assert_eq!(refusal(&narrower, &[], false), None, "{narrower:?}");
        assert_eq!(event(&narrower, &[], 0).unwrap().kind, "policy.narrowed");
        let wider = between(NONE, HOST);
        let refused = refusal(&wider, &[], false).unwrap();
        assert!(refused["widens"][0].as_str().unwrap().contains("docs.example.com"), "{refused}");
        assert_eq!(refusal(&wider, &[], true), None);
        assert_eq!(event(&wider, &[], 0).unwrap().kind, "policy.widened");
        assert_eq!(event(&between(HOST, HOST), &[], 0), None);
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
        assert!(refusal(&both, &[], false).is_some());
    }

    #[test]
    fn a_bundle_that_does_not_load_changes_nothing() {
        let (good, bad) = (settings(NONE), settings("[policy]\nnonsense = 1\n"));
        let facts = Facts::default();
        assert!(changes((&good, &facts), (&bad, &facts)).is_err());
    }

    fn facts(text: &str) -> (Facts, LoadedConfig) {
        let value: Value = serde_json::from_str(text).unwrap();
        let state = Path::new("/home/a/.openclaw");
        let facts = Facts::of(&value, Path::new("/home/a"), state, state);
        let mut loaded = LoadedConfig { value, ..LoadedConfig::default() };
        crate::deploy::collect_env(&loaded.value, &mut loaded.env_names);
        (facts, loaded)
    }

    #[test]
    fn what_the_gateway_may_have_written_into_its_configuration_is_asked() {
        let settings = settings(NONE);
        type Config = (Facts, LoadedConfig);
        let of = |old: &Config, new: &Config| {
            gained(
                Given { settings: &settings, facts: &old.0, loaded: &old.1 },
                Given { settings: &settings, facts: &new.0, loaded: &new.1 },
            )
        };
        let now = facts(r#"{"agents":{"defaults":{"workspace":"/home/a/ws"}}}"#);
        for (text, word) in [
            (r#"{"agents":{"defaults":{"workspace":"/var/spool/cron"}}}"#, "/var/spool/cron"),
            (
                r#"{"agents":{"defaults":{"workspace":"/home/a/ws"},"entries":{"b":{"workspace":"/home/b/.ssh"}}}}"#,
                "/home/b/.ssh",
            ),
            (
                r#"{"agents":{"defaults":{"workspace":"/home/a/ws"}},"plugins":{"load":{"paths":["/root"]}}}"#,
                "reads `/root`",
            ),
            (
                r#"{"agents":{"defaults":{"workspace":"/home/a/ws"}},"mcp":{"servers":{"x":{"command":"/bin/sh","args":["-c","id"]}}}}"#,
                "runs `/bin/sh -c id`",
            ),
            (
                r#"{"agents":{"defaults":{"workspace":"/home/a/ws"}},"x":"${AWS_SECRET_ACCESS_KEY}"}"#,
                "AWS_SECRET_ACCESS_KEY",
            ),
        ] {
            let lines = of(&now, &facts(text));
            assert!(lines.iter().any(|line| line.contains(word)), "{word}: {lines:?}");
            let refused = refusal(&[], &lines, false).unwrap();
            assert!(refused["widens"].to_string().contains("wider"), "{refused}");
            assert_eq!(refusal(&[], &lines, true), None);
            assert_eq!(event(&[], &lines, 0).unwrap().kind, "policy.widened");
            assert_eq!(of(&facts(text), &facts(text)), Vec::<String>::new());
        }
        // Other changes are applied as they were.
        let other = facts(r#"{"agents":{"defaults":{"workspace":"/home/a/ws","model":"m"}}}"#);
        assert_eq!(refusal(&[], &of(&now, &other), false), None);
    }

    #[test]
    fn a_start_asks_after_a_configuration_that_was_replaced_while_the_gateway_ran() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        std::fs::create_dir(home.snapshots()).unwrap();
        let at =
            |dir: &str| facts(&format!(r#"{{"agents":{{"defaults":{{"workspace":"{dir}"}}}}}}"#)).0;
        let (old, new) = (at("/home/a/ws"), at("/root/.config/systemd/user"));
        // The first start, and an ordinary one.
        assert_eq!(confirmed(&home, &new, false), Ok(()));
        let text = serde_json::to_string(&old).unwrap();
        std::fs::write(home.snapshots().join("facts.json"), text).unwrap();
        assert_eq!(confirmed(&home, &new, false), Ok(()));
        replaced(&home);
        assert_eq!(confirmed(&home, &old, false), Ok(()));
        let why = confirmed(&home, &new, false).unwrap_err();
        assert!(why.contains("/root/.config/systemd/user"), "{why}");
        assert_eq!(confirmed(&home, &new, true), Ok(()));
        taken(&home);
        assert_eq!(confirmed(&home, &new, false), Ok(()));
    }
}
