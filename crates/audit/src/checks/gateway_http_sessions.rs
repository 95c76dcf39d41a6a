//! HTTP clients choose the session that they write into.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "gateway.http-sessions",
    title: "HTTP clients choose their session",
    severity: Level::Info,
    confidence: Confidence::Medium,
    audience: Audience::Team,
    item: None,
    atlas: &["AML.T0080"],
    attack: &["T1565.001"],
    cis: &[],
    why: "A client can put words into the memory of any session.",
    openclaw: &["gateway.http.session_key_override_enabled"],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let on: Vec<&str> = ["chatCompletions", "responses"].into_iter().filter(|name| config.bool(&format!("gateway.http.endpoints.{name}.enabled")) == Some(true)).collect();
    if !on.is_empty() {
        out.hit("gateway.http.endpoints", format!("{} take a session key from the request", on.join(" and ")))
            .fix(Fix::risky("switch off what nobody uses", "programs that use the endpoint").set(&format!("gateway.http.endpoints.{}.enabled", on.first().unwrap_or(&"responses")), false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn enabled_endpoints() {
        let bad = json!({"gateway":{"http":{"endpoints":{"responses":{"enabled":true}}}}});
assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
