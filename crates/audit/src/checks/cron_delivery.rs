//! Results of scheduled jobs should not leave unseen.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "cron.delivery",
    title: "a scheduled job sends its result away",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(13),
    atlas: &["AML.T0086"],
    attack: &["T1567", "T1053.003"],
    cis: &["CIS Controls v8 13.4"],
    why: "What the run reads goes out with no outward tool call in it.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    for job in state.jobs.iter().filter(|job| job.enabled && !job.managed && !job.delivers.is_empty()) {
        out.hit(format!("job {}", job.id), format!("`{}` delivers to {}", job.name, job.delivers)).severity(if job.delivers.starts_with("webhook") { Level::Medium } else { Level::Low })
            .fix(Fix::risky("look at it, and remove it if it is not yours", "that job").run_on("openclaw automations rm", &job.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn enabled_ones() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.jobs = vec![crate::facts::Job { enabled: true, delivers: "webhook https://x".into(), ..crate::facts::Job::default() }, crate::facts::Job::default()]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
