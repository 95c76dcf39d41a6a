//! The program behind an MCP server should not change by itself.

use crate::facts::Facts;
use crate::facts::strings;
use crate::finding::Fix;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;

pub(super) static CHECK: Check = Check {
    id: "mcp.unpinned",
    title: "an MCP server runs whatever the registry has today",
    severity: Level::Medium,
    confidence: Confidence::Medium,
    audience: Audience::Personal,
    item: Some(12),
    atlas: &["AML.T0010.001"],
    attack: &["T1195.002"],
    cis: &["CIS Controls v8 2.5"],
    why: "A taken-over package runs with the gateway's rights at the next start.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    for (name, server) in config.get("mcp.servers").and_then(Value::as_object).into_iter().flatten() {
        if server.get("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        let command = server.get("command").and_then(Value::as_str).unwrap_or_default();
        let program = command.rsplit('/').next().unwrap_or_default();
        if !matches!(program, "npx" | "pnpx" | "bunx" | "uvx" | "pipx") {
            continue;
        }
        let arguments = server.get("args").map(strings).unwrap_or_default();
        let package = arguments.iter().find(|argument| !argument.starts_with('-') && *argument != "run");
        if let Some(package) = package.filter(|package| !pinned(package)) {
            out.hit(format!("mcp.servers.{name}.args"), format!("`{program} {package}` names no version"))
                .fix(Fix::risky("name the version that you looked at", "updates of the server come by hand"));
        }
    }
}

/// `name@1.2.3`, `@scope/name@1.2.3`, `name==1.2.3`.
fn pinned(package: &str) -> bool {
    let version = package.split_once("==").map(|(_, version)| version).or_else(|| {
        package.rfind('@').filter(|at| *at > 0).and_then(|at| package.get(at + 1..))
    });
    version.is_some_and(|version| {
        version.trim_start_matches('v').split('.').take(3).filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).count() == 3
            || package.contains("==")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn versions_are_named() {
        for bad in [json!({"mcp":{"servers":{"s":{"command":"npx","args":["-y","@a/b"]}}}}), json!({"mcp":{"servers":{"s":{"command":"/usr/bin/uvx","args":["x@latest"]}}}})] {
            assert!(!check(&CHECK, &given::config(bad.clone())).is_empty(), "{bad}");
        }
        let good = json!({"mcp":{"servers":{"s":{"command":"npx","args":["-y","@a/b@1.2.3"]},"t":{"command":"/opt/x"},"u":{"command":"uvx","args":["x==1.0"]}}}});
assert_eq!(check(&CHECK, &given::config(good)), vec![]);
    }

}
