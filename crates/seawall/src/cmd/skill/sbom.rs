//! CycloneDX 1.6: skills, plugins and MCP servers with their hashes.

use super::load::Folder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A skill or plugin as a component.
pub(crate) fn component(folder: &Folder, capabilities: &seawall_scan::Capabilities) -> Value {
    let tree = folder.tree_hash();
    let hash = tree.trim_start_matches("sha256:").to_owned();
    let plugin = folder.files.iter().any(|f| f.path == "openclaw.plugin.json");
    let files: Vec<Value> = folder
        .digests()
        .into_iter()
        .map(|(path, digest)| json!({"type": "file", "name": path, "hashes": [{"alg": "SHA-256", "content": digest}]}))
        .collect();
    json!({
        "type": if plugin { "library" } else { "application" },
        "bom-ref": format!("{}@{hash}", folder.name),
        "name": folder.name,
        "version": version(folder).unwrap_or_else(|| "0".into()),
        "hashes": [{"alg": "SHA-256", "content": hash}],
        "properties": [
            {"name": "seawall:kind", "value": if plugin { "plugin" } else { "skill" }},
            {"name": "seawall:network", "value": capabilities.network.iter().cloned().collect::<Vec<_>>().join(",")},
            {"name": "seawall:programs", "value": capabilities.programs.iter().cloned().collect::<Vec<_>>().join(",")},
        ],
        "components": files,
    })
}

/// The version that a skill states.
pub(crate) fn version(folder: &Folder) -> Option<String> {
    let text = |name: &str| {
        folder
            .files
            .iter()
            .find(|f| f.path == name)
            .map(|f| String::from_utf8_lossy(&f.bytes).into_owned())
    };
    let package = text("package.json")
        .and_then(|t| serde_json::from_str::<Value>(&t).ok())
        .and_then(|j| Some(j.get("version")?.as_str()?.to_owned()));
    package.or_else(|| {
        text("SKILL.md")?.lines().take(60).find_map(|l| {
            l.trim().strip_prefix("version:").map(|v| v.trim().trim_matches(['"', '\'']).to_owned())
        })
    })
}

/// MCP servers of a gateway config (plain JSON): what starts them, pinned by hash.
pub(crate) fn mcp(config: &Value) -> Vec<Value> {
    let servers = config
        .pointer("/mcp/servers")
        .or_else(|| config.get("mcpServers"))
        .and_then(Value::as_object);
    servers
        .into_iter()
        .flatten()
        .map(|(name, server)| {
            // Only what decides what is started or contacted: secrets stay out.
            let pinned = json!({"command": server.get("command"), "args": server.get("args"), "url": server.get("url")});
            let hash = hex::encode(Sha256::digest(pinned.to_string().as_bytes()));
            json!({
                "type": "application",
                "bom-ref": format!("mcp:{name}@{hash}"),
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": hash}],
                "properties": [{"name": "seawall:kind", "value": "mcp-server"}],
            })
        })
        .collect()
}

/// The document.
pub(crate) fn document(components: Vec<Value>, serial: &str, now: &str) -> Value {
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {"timestamp": now, "tools": {"components": [{"type": "application", "name": "seawall", "version": env!("CARGO_PKG_VERSION")}]}},
        "components": components,
    })
}
