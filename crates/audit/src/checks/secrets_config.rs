//! Credentials should not stand in the configuration.

use crate::facts::Facts;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::openclaw::scope::{self, Scope};
use crate::openclaw::secret::plain;
use crate::openclaw::tools::Policy;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

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
    let read = scope::running(config).iter().any(reads_the_host);
    let (severity, seen) = if read { (CHECK.severity, "clear text") } else { (Level::Low, "clear text; no tool of an agent reads outside of its workspace") };
    for path in plain(&config.value) {
        let key = dotted(&path);
        let variable: String = path.iter().filter(|part| !matches!(part.as_str(), "channels" | "accounts" | "providers" | "models" | "entries" | "config")).map(|part| part.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")).collect::<Vec<_>>().join("_");
        out.hit(key.clone(), seen).severity(severity).fix(Fix::risky("move it to the environment or to a provider", "nothing, once the variable is set").set_at(path, Some(format!("${{{variable}}}").into())).run_on(&format!("printf '%s\\n' '{variable}=...' >>"), facts.place.state_dir.join(".env").display()));
    }
}

/// Whether a tool of an agent may read files of this host outside of its workspace. A tool that
/// nobody listed may do anything.
fn reads_the_host(scope: &Scope<'_>) -> bool {
    if scope.sandbox() == "all" {
        return false;
    }
    let tools = Policy::of(scope);
    let shut_in = scope.tool("fs.workspaceOnly").and_then(Value::as_bool) == Some(true);
    tools.allows("a tool that nobody listed")
        || !tools.left(&["exec", "process"]).is_empty()
        || (!shut_in && !tools.left(&["read", "ls", "view_image"]).is_empty())
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

    #[test]
    fn who_reads_the_file_counts() {
        let level = |tools: Value| {
            let config = json!({"gateway":{"auth":{"token":"abc"}},"tools":tools});
            check(&CHECK, &given::config(config))[0].severity
        };
        assert_eq!(level(json!({"allow":["read","write"],"fs":{"workspaceOnly":true}})), Level::Low);
        for reads in [
            json!({}),
            json!({"allow":["read"]}),
            json!({"fs":{"workspaceOnly":true}}),
            json!({"allow":["read","exec"],"fs":{"workspaceOnly":true}}),
        ] {
            assert_eq!(level(reads.clone()), Level::Medium, "{reads}");
        }
    }

}
