//! The model's resistance to injection should be known and good.

use crate::facts::{Facts, Unknown};
use crate::finding::Fix;
use crate::openclaw::advisories::days_since;
use crate::openclaw::models::{RATES, models};
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "models.rate",
    title: "the model's resistance to prompt injection is not known to be good",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(9),
    atlas: &["AML.T0051"],
    attack: &[],
    cis: &[],
    why: "No model resists always; the ones with low published rates make an attack cost more.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    if let Some(days) = days_since(&RATES.updated, facts.now).filter(|days| *days > RATES.stale_days) {
        out.hit("content/audit/models.toml", format!("the table of rates is {days} days old")).severity(Level::Low).fix(Fix::safe("update Seawall"));
    }
    let Some(config) = out.need(&facts.config) else { return };
    let models: Vec<_> = models(config).into_iter().filter(|model| !model.image).collect();
    if models.is_empty() {
        out.hit("agents.defaults.model", "no model is named: OpenClaw chooses one").fix(Fix::risky("name a model with a low published rate", "costs and habits").set("agents.defaults.model", "anthropic/claude-opus-4-5"));
    }
    for model in models {
        match RATES.worst(&model.id) {
            Some(rate) if rate.percent > RATES.accepted => {
                out.hit(model.key, format!("`{}`: {} % at {} tries ({}; {}, {})", model.id, rate.percent, rate.tries, rate.setting, rate.source, rate.date)).severity(Level::Medium)
                    .fix(Fix::risky("use a model with a lower rate, or keep it away from outside content", "costs and habits"));
            }
            Some(_) => {}
            None => out.blind(&Unknown {
                reason: format!(
                    "no published rate for `{}` in the table of {}",
                    model.id, RATES.updated
                ),
                command: "seawall audit explain models.rate".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn an_old_table_is_said_to_be_old() {
        let mut facts = given::config(json!({"agents":{"defaults":{"model":"anthropic/claude-opus-4-5"}}}));
        assert_eq!(check(&CHECK, &facts), vec![]);
        facts.now = 1_900_000_000;
        assert_eq!(check(&CHECK, &facts).len(), 1);
    }

    #[test]
    fn known_and_unknown() {
        for bad in [json!({}), json!({"agents":{"defaults":{"model":"x/unknown"}}}), json!({"agents":{"defaults":{"model":"anthropic/claude-opus-4-6"}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"agents":{"defaults":{"model":"anthropic/claude-opus-4-5"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
