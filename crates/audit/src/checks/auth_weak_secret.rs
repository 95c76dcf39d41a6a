//! The gateway's token or password should be long and random.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::auth::Auth;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "auth.weak-secret",
    title: "the gateway's secret is weak",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: Some(1),
    atlas: &["AML.T0012"],
    attack: &["T1110"],
    cis: &["CIS Controls v8 5.2"],
    why: "A short or published secret is guessed in minutes.",
    openclaw: &["gateway.token_placeholder_value", "gateway.token_too_short", "gateway.password_placeholder_value", "gateway.password_too_short"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let Some((name, shape)) = Auth::of(config).secret() else { return };
    let key = format!("gateway.auth.{name}");
    let fix = || Fix::risky("replace it with a random one", "clients that hold the old one").run("openssl rand -hex 32");
    if shape.placeholder {
        out.hit(key, format!("the {name} is empty or a published placeholder")).severity(Level::Critical).fix(fix());
    } else if shape.length < 24 {
        out.hit(key, format!("the {name} has {} characters; 24 are the least", shape.length)).severity(Level::Medium).fix(fix());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn short_and_published_ones() {
        for bad in [json!({"gateway":{"auth":{"token":"abc"}}}), json!({"gateway":{"auth":{"token":"undefined"}}}), json!({"gateway":{"auth":{"mode":"password","password":""}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        for good in [json!({"gateway":{"auth":{"token":"0123456789abcdef01234567"}}}), json!({"gateway":{"auth":{"token":"${UNSET}"}}}), json!({"gateway":{"auth":{"token":{"source":"exec","provider":"p","id":"i"}}}})] {
            assert_eq!(check(&CHECK, &given::config(good)), vec![]);
        }
    }

}
