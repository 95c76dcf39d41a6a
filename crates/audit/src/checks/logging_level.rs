//! Logs should say enough to find out what happened.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "logging.level",
    title: "logs are too thin, or kept where others read them",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(10),
    atlas: &[],
    attack: &["T1685"],
    cis: &["CIS Controls v8 8.2"],
    why: "After an incident there is nothing to look at.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let level = config.str("logging.level").unwrap_or("info");
    if matches!(level, "silent" | "fatal" | "error" | "warn") {
        out.hit("logging.level", format!("`{level}`")).fix(Fix::safe("log more; Seawall's own log has every decision at any level").set("logging.level", "info"));
    }
    if config.bool("logging.audit.enabled") == Some(false) {
        out.hit("logging.audit.enabled", "OpenClaw's own ledger is off").fix(Fix::safe("switch it on").set("logging.audit.enabled", true));
    }
    let file = config.str("logging.file");
    // Beside the state it lasts as long as the state, wherever that is.
    let kept = |file: &str| std::path::Path::new(file).starts_with(&facts.place.state_dir) && !facts.place.state_dir.as_os_str().is_empty();
    if file.is_none_or(|file| (file.starts_with("/tmp/") || file.starts_with("/var/tmp/")) && !kept(file)) {
        out.hit("logging.file", format!("`{}` is cleared at a restart", file.unwrap_or("/tmp/openclaw/..."))).severity(Level::Low)
            .fix(Fix::safe("keep the log in the state folder").set("logging.file", facts.place.state_dir.join("logs/openclaw.log").display().to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn level_ledger_and_place() {
        for bad in [json!({"logging":{"level":"error","file":"/s/l"}}), json!({"logging":{"audit":{"enabled":false},"file":"/s/l"}}), json!({})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"logging":{"level":"debug","file":"/s/l"}});
        assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        let mut beside = given::config(json!({"logging":{"level":"debug","file":"/tmp/x/s/l"}}));
        assert_eq!(check(&CHECK, &beside).len(), 1);
        beside.place.state_dir = "/tmp/x/s".into();
        assert_eq!(check(&CHECK, &beside), vec![]);
    }

}
