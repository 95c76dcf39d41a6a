//! A configuration that a newer OpenClaw wrote.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "config.newer",
    title: "a newer OpenClaw than the installed one wrote the configuration",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &["CIS Controls v8 4.1"],
    why: "Settings that the installed release does not know, or means otherwise, do not protect; repaired flaws are back.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let key = "meta.lastTouchedVersion";
    let Some(wrote) = config.str(key) else { return };
    let Some(install) = out.need(&facts.install) else { return };
    if let (Some(wrote_at), Some(installed)) = (numbers(wrote), numbers(&install.version))
        && wrote_at > installed
    {
        out.hit(key, format!("`{wrote}` wrote it, {} is installed", install.version))
            .fix(Fix::risky("install the newer release again, or look through the file", "what the two releases do differently").run_on("npm install -g", format!("openclaw@{}", wrote.trim())));
    }
}

/// `2026.9.6` as numbers; `None` for what is no release, which also keeps it out of a command.
fn numbers(version: &str) -> Option<Vec<u32>> {
    let parts: Vec<u32> = version.trim().split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    (parts.len() == 3).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::facts::{Fact, Install};
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn only_newer_ones() {
        let hits = |wrote: &str| {
            let mut facts = given::config(json!({"meta":{"lastTouchedVersion":wrote}}));
            facts.install = Fact::Known(Install { version: "2026.9.6".into(), ..Install::default() });
            check(&CHECK, &facts).len()
        };
        assert_eq!([hits("2026.10.1"), hits("2027.1.0")], [1, 1]);
        assert_eq!([hits("2026.9.6"), hits("2026.8.30"), hits("x; rm -rf ~"), hits("9.9.9.9")], [0; 4]);
    }
}
