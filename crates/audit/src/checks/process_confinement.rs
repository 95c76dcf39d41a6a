//! The gateway should be confined by the kernel.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "process.confinement",
    title: "the kernel does not confine the gateway",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(7),
    atlas: &[],
    attack: &["T1611"],
    cis: &[],
    why: "A flaw in one plugin reaches everything that the user reaches.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(processes) = out.need(&facts.host.processes) else { return };
    for process in processes {
        let mut lacks = Vec::new();
        if process.seccomp != 2 {
            lacks.push("no seccomp filter");
        }
        if process.namespaces_known && process.own_namespaces.is_empty() {
            lacks.push("no namespaces of its own");
        }
        if !lacks.is_empty() {
            out.hit(format!("{}[{}]", process.name, process.pid), lacks.join(", ")).fix(Fix::risky("run it under Seawall, or with a hardened unit", "paths and networks that are not granted").run("seawall up"));
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
        facts.host.processes = crate::Fact::Known(vec![Process { seccomp: 2, own_namespaces: vec!["net".into()], namespaces_known: true, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.processes = crate::Fact::Known(vec![Process { namespaces_known: true, ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
