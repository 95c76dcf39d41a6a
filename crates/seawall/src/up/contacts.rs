//! A run that uses an approved skill reaches the hosts that the skill was approved with, and no
//! others, whatever the session could reach. It narrows and never widens: the rules of egress and the
//! verdict on the call hold as for any run.
//!
//! Which skills a command uses is read from the paths in its text, without following it: a command
//! that hides the path keeps what its session has, and no more.

use crate::cmd::skill::Lock;
use crate::daemon::protocol::{RunOrder, RunWhat};
use seawall_model::frame::RunPurpose;
use std::collections::BTreeSet;

/// Folders of skills are called so everywhere: in workspaces, in OpenClaw's state, in the copies that
/// it makes for sandboxes.
const FOLDER: &str = "skills";

/// Whether the lockfile has to be looked at.
pub(super) fn may_use(order: &RunOrder) -> bool {
    matches!(&order.what, RunWhat::Tool(request)
        if request.purpose == RunPurpose::Exec
            && (request.command.contains(FOLDER) || request.workdir.contains(FOLDER)))
}

/// The hosts that a run may reach at most. None: it uses no approved skill.
pub(super) fn of(order: &RunOrder, lock: &Lock) -> Option<BTreeSet<String>> {
    let RunWhat::Tool(request) = &order.what else { return None };
    if request.purpose != RunPurpose::Exec {
        return None;
    }
    let split = |c: char| c.is_whitespace() || "'\"`;|&()<>{}=,:$".contains(c);
    let words = request.command.split(split).chain([request.workdir.as_str()]);
    let parts: BTreeSet<&str> = words.flat_map(|word| word.split('/')).collect();
    if !parts.contains(FOLDER) {
        return None;
    }
    let mut used = lock.approved().filter(|(name, _)| parts.contains(name)).peekable();
    used.peek()?;
    Some(used.flat_map(|(_, entry)| entry.capabilities.network.iter()).map(|h| host(h)).collect())
}

/// A host as egress compares it.
fn host(text: &str) -> String {
    let name = text.rsplit_once(':').map_or(text, |(name, port)| {
        if port.bytes().all(|b| b.is_ascii_digit()) { name } else { text }
    });
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use seawall_model::frame::RunRequest;
    use std::collections::BTreeMap;

    fn order(command: &str, workdir: &str) -> RunOrder {
        let request = RunRequest {
            purpose: RunPurpose::Exec,
            command: command.into(),
            args: vec![],
            workdir: workdir.into(),
            env: BTreeMap::new(),
            workspace_dir: "/ws".into(),
            agent_workspace_dir: "/ws".into(),
            workspace_access: "rw".into(),
            read_only_mounts: vec![],
            settings: serde_json::Value::Null,
        };
        RunOrder {
            run: "r".into(),
            session_key: "s".into(),
            what: RunWhat::Tool(request),
            network: true,
            granted: None,
        }
    }

    fn lock() -> Lock {
        let skill = |status: &str, hosts: &[&str]| {
            serde_json::json!({"status": status, "tree": "x", "files": {}, "verdict": "allow", "by": "a",
                "at": 0, "capabilities": {"network": hosts}})
        };
        serde_json::from_value(serde_json::json!({"version": 1, "skills": {
            "weather": skill("approved", &["api.weather.example:443", "Geo.example"]),
            "notes": skill("approved", &[]),
            "bad": skill("denied", &["x.example"]),
        }}))
        .unwrap()
    }

    #[test]
    fn a_run_of_a_skill_reaches_what_the_skill_was_approved_with() {
        let lock = lock();
        let hosts = |command: &str, workdir: &str| {
            of(&order(command, workdir), &lock).map(|hosts| hosts.into_iter().collect::<Vec<_>>())
        };
        let weather = Some(vec!["api.weather.example".to_owned(), "geo.example".to_owned()]);
        for command in [
            "sh skills/weather/run.sh Paris",
            "cd '/workspace/skills/weather' && ./run.sh",
            "cd skills; cd weather; ./run.sh",
            "X=1 python3 \"$HOME/.openclaw/skills/weather/get.py\"",
            "node /workspace/.openclaw/sandbox-skills/skills/weather/x.js | tee a",
        ] {
            assert_eq!(hosts(command, "/workspace"), weather, "{command}");
        }
        assert_eq!(hosts("./run.sh", "/workspace/skills/weather"), weather);
        // Nothing was approved for it: nothing is reached.
        assert_eq!(hosts("sh skills/notes/add.sh", "/workspace"), Some(vec![]));
        for other in
            ["curl https://weather/x", "cat weather/report", "sh skills/bad/x.sh", "ls skills"]
        {
            assert_eq!(hosts(other, "/workspace"), None, "{other}");
        }
    }
}
