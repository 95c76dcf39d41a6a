//! The browser should keep its own protections.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};

pub(super) static CHECK: Check = Check {
    id: "browser.hardening",
    title: "the browser runs without its own protections",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: None,
    atlas: &["AML.T0053"],
    attack: &["T1185", "T1176"],
    cis: &[],
    why: "A page breaks out, or the model reads your own logged-in sessions.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for (key, severity, what) in [("browser.noSandbox", Level::High, "Chromium's sandbox is off"), ("browser.allowSystemProfileImport", Level::High, "your own browser profile may be imported"), ("browser.evaluateEnabled", Level::Low, "the model may run scripts in pages")] {
        if config.bool(key) == Some(true) {
            out.hit(key, what).severity(severity).fix(Fix::risky("switch it off", "tasks that need it").set(key, false));
        }
    }
    for argument in config.strings("browser.extraArgs") {
        if ["--no-sandbox", "--disable-web-security", "--remote-debugging-address", "--ignore-certificate-errors"].iter().any(|bad| argument.starts_with(bad)) {
            out.hit("browser.extraArgs", format!("`{argument}`")).severity(Level::High).fix(Fix::risky("take it out", "pages that need it"));
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
    fn switches_and_arguments() {
        for bad in [json!({"browser":{"noSandbox":true}}), json!({"browser":{"extraArgs":["--no-sandbox"]}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
