//! A key that OpenClaw does not know protects nothing.

use crate::facts::Facts;
use crate::facts::Unknown;
use crate::finding::Fix;
use crate::openclaw::dotted;
use crate::registry::{Audience, Check, Out};
use seawall_model::finding::{Confidence, Level};
use serde_json::Value;
use std::sync::LazyLock;

pub(super) static CHECK: Check = Check {
    id: "config.unknown-key",
    title: "OpenClaw does not know this key",
    severity: Level::High,
    confidence: Confidence::High,
    audience: Audience::Personal,
    item: None,
    atlas: &[],
    attack: &[],
    cis: &["CIS Controls v8 4.1"],
    why: "The gateway refuses to start, or the line is dropped; either way what it promises does not hold.",
    openclaw: &[],
    run,
};

fn run(facts: &Facts, out: &mut Out<'_>) {
    let Some(config) = out.need(&facts.config) else { return };
    let Some(install) = out.need(&facts.install) else { return };
    if install.version != KNOWN {
        out.blind(&Unknown {
            reason: format!("the list of keys is for OpenClaw {KNOWN}, and {} is installed", install.version),
            command: "openclaw config validate".into(),
        });
        return;
    }
    let mut unknown = Vec::new();
    walk(&config.value, &KEYS, &mut Vec::new(), &mut unknown);
    for path in unknown {
        let key = dotted(&path);
        let intent = INTENTS.iter().find(|(known, _)| *known == key || (known.ends_with('*') && key.starts_with(known.trim_end_matches('*'))));
        let fix = match intent {
            Some((_, instead)) => Fix::safe(format!("remove it; what serves its purpose today: {instead}")),
            None => Fix::safe("remove it"),
        };
        let evidence = match intent {
            Some((_, instead)) => format!("{KNOWN} has no such key; instead: {instead}"),
            None => format!("{KNOWN} has no such key"),
        };
        out.hit(key, evidence).fix(fix.set_at(path, None));
    }
}

/// The release whose keys are listed.
const KNOWN: &str = "2026.9.6";

/// Its keys, from its own schema; see content/audit/keys.mjs.
#[expect(clippy::expect_used, reason = "a file of this repository, and a test reads it")]
static KEYS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../content/audit/keys-2026.9.6.json")).expect("keys")
});

/// Keys that guides and older releases use, and what does their work today.
const INTENTS: &[(&str, &str)] = &[
    ("model", "agents.defaults.model"),
    ("agent.model", "agents.defaults.model"),
    ("skills.autoUpdate", "security.installPolicy, and skills whose files are approved by hash (`seawall skill`)"),
    ("logging.destination", "logging.file, and `seawall events` for a SIEM"),
    ("logging.logPayloads", "logging.audit.messages; payloads hold secrets, `seawall events` keeps them redacted"),
    ("logging.logHeaders", "nothing: headers hold the token"),
    ("logging.redactSensitive", "redaction is always on; logging.redactPatterns adds to it"),
    ("gateway.nodes.denyCommands", "gateway.nodes.commands.deny"),
    ("channels.telegram.requireMention", "channels.telegram.groups.\"*\".requireMention"),
];

/// Reports the highest keys that are not in the tree.
fn walk(value: &Value, known: &Value, path: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) => {
            let Some(tree) = known.as_object().filter(|tree| !tree.is_empty()) else { return };
            for (key, value) in map {
                path.push(key.clone());
                match tree.get(key).or_else(|| tree.get("*")) {
                    Some(below) => walk(value, below, path, out),
                    // An array where the schema has only items: the value has the wrong kind, which
                    // OpenClaw says itself.
                    None if tree.len() == 1 && tree.contains_key("[]") => {}
                    // Below a `**` anything is allowed, beside what is named.
                    None if tree.contains_key("**") => {}
                    None => out.push(path.clone()),
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            let Some(below) = known.get("[]") else { return };
            for (index, value) in items.iter().enumerate() {
                path.push(index.to_string());
                walk(value, below, path, out);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::given;
    use crate::registry::run as check;
    use serde_json::json;

    #[test]
    fn keys_of_the_guide_are_translated() {
        let mut facts = given::config(json!({
            "$schema": "x",
            "model": "anthropic/claude-opus-4-5",
            "skills": { "autoUpdate": false },
            "logging": { "level": "debug", "logPayloads": true },
            "channels": { "telegram": { "requireMention": true, "groups": { "*": { "requireMention": true } } } },
            "agents": { "entries": { "any-name": { "tools": { "allow": ["x"] } } } },
            "mcp": { "servers": { "x": { "env": { "ANY": "y" } } } }
        }));
        given::version(&mut facts, KNOWN);
        let mut keys: Vec<_> = check(&CHECK, &facts).into_iter().map(|f| (f.location, f.evidence.contains("instead"))).collect();
        keys.sort();
        let expected = ["channels.telegram.requireMention", "logging.logPayloads", "model", "skills.autoUpdate"];
        assert_eq!(keys, expected.map(|key| (key.to_owned(), true)));
    }

    #[test]
    fn another_release_is_not_judged() {
        let mut facts = given::config(json!({ "nonsense": 1 }));
        given::version(&mut facts, "2030.1.1");
        assert_eq!(check(&CHECK, &facts)[0].status, crate::Status::CouldNotCheck);
    }

}
