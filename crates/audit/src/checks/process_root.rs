//! The gateway should not run as root.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "process.root",
    title: "the gateway runs as root",
    severity: Level::Critical,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &["AML.T0050"],
    attack: &["T1068"],
    cis: &["CIS Controls v8 5.4"],
    why: "Every command of the agent is root's.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(processes) = out.need(&facts.host.processes) else { return };
    for process in processes.iter().filter(|process| process.uid == 0) {
        // Root inside a user namespace is a plain user outside.
        if process.own_namespaces.iter().any(|name| name == "user") {
            continue;
        }
        out.hit(format!("{}[{}]", process.name, process.pid), "effective user is root").fix(Fix::risky("give OpenClaw a user of its own", "files that root owns").run("seawall harden host systemd --user openclaw"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use crate::facts::Process;
    use serde_json::json;

    #[test]
    fn of_each_process() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        facts.host.processes = crate::Fact::Known(vec![Process { uid: 1000, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.processes = crate::Fact::Known(vec![Process { uid: 0, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
