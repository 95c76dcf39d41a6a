//! The gateway should have no special rights, and not gain any.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "process.privileges",
    title: "the gateway has, or may gain, special rights",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1548"],
    cis: &["CIS Controls v8 5.4"],
    why: "A setuid program, or a capability, is a step to root.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(processes) = out.need(&facts.host.processes) else { return };
    for process in processes.iter().filter(|process| process.uid != 0) {
        if process.caps != 0 {
            out.hit(format!("{}[{}]", process.name, process.pid), format!("effective capabilities {:#x}", process.caps)).severity(Level::High).fix(Fix::risky("start it without", "what needed them"));
        } else if !process.no_new_privs {
            out.hit(format!("{}[{}]", process.name, process.pid), "it may gain rights by setuid programs").fix(Fix::risky("set NoNewPrivileges", "sudo in commands of the agent").run("seawall up"));
        }
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
        facts.host.processes = crate::Fact::Known(vec![Process { uid: 1, no_new_privs: true, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.processes = crate::Fact::Known(vec![Process { uid: 1, no_new_privs: false, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
