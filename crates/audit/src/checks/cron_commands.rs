//! Scheduled jobs should not run commands of their own.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "cron.commands",
    title: "a scheduled job runs a command on this host",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(4),
    atlas: &["AML.T0053"],
    attack: &["T1053.003"],
    cis: &["CIS Controls v8 4.8"],
    why: "It runs outside every sandbox, with no hook and no approval, also after the session that made it.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    for job in state.jobs.iter().filter(|job| job.enabled && !job.managed) {
        let runs = matches!(job.payload.as_str(), "command" | "script") || job.schedule == "stream" || job.trigger;
        if runs {
            out.hit(format!("job {}", job.id), format!("`{}` ({}, {}): {}", job.name, job.schedule, job.payload, job.runs)).fix(Fix::risky("look at it, and remove it if it is not yours", "that job").run_on("openclaw automations rm", &job.id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use crate::facts::Job;
    use serde_json::json;

    #[test]
    fn commands_streams_and_triggers() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.jobs = vec![Job { enabled: true, payload: "command".into(), ..Job::default() }, Job { enabled: true, schedule: "stream".into(), ..Job::default() }, Job { payload: "command".into(), ..Job::default() }, Job { enabled: true, payload: "agentTurn".into(), ..Job::default() }]);
        assert_eq!(check(&CHECK, &facts).len(), 2);
    }

}
