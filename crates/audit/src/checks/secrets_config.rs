//! Credentials should not stand in the configuration.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::openclaw::secret::plain;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "secrets.config",
    title: "a credential stands in the configuration in clear text",
    severity: Level::Medium,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(5),
    atlas: &["AML.T0055", "AML.T0083"],
    attack: &["T1552.001"],
    cis: &["CIS Controls v8 3.11"],
    why: "The agent, every plugin and every backup can read it.",
    openclaw: &["config.secrets.gateway_password_in_config", "config.secrets.hooks_token_in_config"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for path in plain(&config.value) {
        let key = dotted(&path);
        let variable: String = path.iter().filter(|part| !matches!(part.as_str(), "channels" | "accounts" | "providers" | "models" | "entries" | "config")).map(|part| part.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")).collect::<Vec<_>>().join("_");
        out.hit(key.clone(), "clear text").fix(Fix::risky("move it to the environment or to a provider", "nothing, once the variable is set").set_at(path, Some(format!("${{{variable}}}").into())).run(format!("printf '%s\\n' '{variable}=...' >> {}/.env", facts.place.state_dir.display())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn clear_text_only() {
        for bad in [json!({"gateway":{"auth":{"token":"abc"}}}), json!({"models":{"providers":{"x":{"apiKey":"k"}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"gateway":{"auth":{"token":"${T}"}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
