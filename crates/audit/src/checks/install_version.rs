//! Known flaws should be repaired.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::advisories::ADVISORIES;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "install.version",
    title: "the installed OpenClaw has a published flaw",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0049"],
    attack: &["T1190"],
    cis: &["CIS Controls v8 7.4"],
    why: "Published flaws are tried first.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(install) = out.need(&facts.install) else { return };
    for advisory in ADVISORIES.affecting(&install.version) {
        out.hit(format!("openclaw {}", install.version), format!("{}: {} (repaired in {}; {})", advisory.id, advisory.title, advisory.fixed, advisory.url)).severity(advisory.level())
            .fix(Fix::risky("update, and read the release notes first", "what changed since").run(format!("npm install -g openclaw@{}", ADVISORIES.newest())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn older_releases() {
        let mut facts = given::config(json!({}));
        given::version(&mut facts, "2026.9.6");
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::version(&mut facts, "2026.2.2");
        assert!(check(&CHECK, &facts).len() > 5);
    }

}
