//! OpenClaw's secret store is not encrypted.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "secrets.store",
    title: "OpenClaw's secret store holds credentials in clear text",
    severity: Level::Low,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0055"],
    attack: &["T1552.001"],
    cis: &["CIS Controls v8 3.11"],
    why: "Whoever reads the state database, or a backup of it, reads them.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(Some(state)) = out.need(&facts.state) else { return };
    if !state.stored_secrets.is_empty() {
        out.hit("state/openclaw.sqlite", format!("{} entries: {}", state.stored_secrets.len(), state.stored_secrets.iter().take(10).cloned().collect::<Vec<_>>().join(", "))).fix(Fix::risky("use a provider that asks a vault (`secrets.providers`)", "nothing, once the provider answers"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn entries() {
        let mut facts = given::config(json!({}));
        facts.now = 1_000_000_000;
        given::state(&mut facts, |_| {});
        assert_eq!(check(&CHECK, &facts), vec![]);
        given::state(&mut facts, |state| state.stored_secrets = vec!["A".into()]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

}
