//! Logs should leave this host.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "logging.siem",
    title: "logs stay on this host",
    severity: Level::Low,
    confidence: Confidence::Medium,
    audience: Audience::Production,
    item: Some(10),
    atlas: &[],
    attack: &["T1070"],
    cis: &["CIS Controls v8 8.9"],
    why: "Who takes the host takes the traces.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(shippers) = out.need(&facts.host.shippers) else { return };
    let seawall = facts.seawall.known().is_some_and(Option::is_some);
    if shippers.is_empty() {
        let evidence = if seawall { "Seawall keeps a signed log; no program that ships logs away was seen" } else { "no program that ships logs away was seen" };
        out.hit("logs", evidence).severity(if seawall { Level::Low } else { Level::Medium }).confidence(Confidence::Low)
            .fix(Fix::safe("send Seawall's events to your SIEM").run("seawall events --help"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn a_shipper_passes() {
        let mut facts = given::config(json!({}));
        facts.host.shippers = crate::Fact::Known(vec![]);
        assert_eq!(check(&CHECK, &facts).len(), 1);
        facts.host.shippers = crate::Fact::Known(vec!["vector".into()]);
        assert_eq!(check(&CHECK, &facts), vec![]);
    }

}
