//! Credentials should not be in the environment that commands inherit.

use crate::facts::{Facts, Unknown};
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "process.environment",
    title: "credentials are in the gateway's environment",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0055"],
    attack: &["T1552.001"],
    cis: &["CIS Controls v8 3.11"],
    why: "Commands of the agent inherit it: `env` prints the gateway's own token.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(processes) = out.need(&facts.host.processes) else { return };
    for process in processes {
        match &process.secret_env {
            None => out.blind(&Unknown { reason: format!("the environment of {}[{}] belongs to user {}", process.name, process.pid, process.uid), command: "sudo seawall audit".into() }),
            Some(names) if !names.is_empty() => {
                out.hit(format!("{}[{}]", process.name, process.pid), names.join(", ")).fix(Fix::risky("let the gateway ask a provider (`secrets.providers`), as `seawall up` sets it up", "nothing, once the provider answers").run("seawall up"));
            }
            Some(_) => {}
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
        facts.host.processes = crate::Fact::Known(vec![Process { secret_env: Some(vec![]), ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.host.processes = crate::Fact::Known(vec![Process { secret_env: Some(vec!["X_TOKEN".into()]), ..Process::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
