//! What the launcher and the guard need to know from the user's configuration.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A loopback service of the host that the user's configuration names as a model provider. It is
/// offered to the gateway at the same address inside its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Forward {
    /// Port, the same on both sides.
    pub(crate) port: u16,
    /// Who named it.
    pub(crate) why: String,
}

/// A stdio MCP server as the user configured it. The gateway does not see this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct McpServer {
    /// Program.
    pub(crate) command: String,
    /// Arguments.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Environment, as configured.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// Working directory.
    #[serde(default)]
    pub(crate) cwd: Option<String>,
}

/// A destination that the configuration needs: a provider's or a channel's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Need {
    /// Hosts, in the form of egress rules.
    pub(crate) hosts: Vec<String>,
    /// Port.
    pub(crate) port: u16,
    /// Whether it is spoken to over TLS.
    pub(crate) tls: bool,
    /// The key that names it.
    pub(crate) why: String,
}

impl Need {
    /// The egress rule that lets the gateway, and nothing else, reach it.
    pub(crate) fn rule(&self) -> serde_json::Value {
        let name: String = format!("configured: {}", self.why).chars().take(64).collect();
        serde_json::json!({
            "name": name,
            "hosts": self.hosts,
            "ports": [self.port.to_string()],
            "protocols": [if self.tls { "tls" } else { "http" }],
            "zones": ["gateway"],
            // The model and its own key go there: a scan could only break turns.
            "carries": if self.tls { vec![] } else { vec!["*"] },
            "reason": "named in the OpenClaw configuration",
        })
    }
}

/// Shipped table of what providers and channels need.
const NEEDS: &str = include_str!("../../../../content/egress/needs.toml");

#[derive(Deserialize)]
struct Needs {
    providers: BTreeMap<String, Vec<String>>,
    channels: BTreeMap<String, Vec<String>>,
}

/// Facts about a configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// The port that users and clients know; the door listens there.
    pub(crate) public_port: u16,
    /// Home folder that `~` means.
    pub(crate) home: PathBuf,
    /// OpenClaw's state folder.
    pub(crate) state_dir: PathBuf,
    /// Folder of the user's configuration file.
    pub(crate) config_dir: PathBuf,
    /// Workspace folders of all agents, by agent id; the empty id stands for the default.
    pub(crate) workspaces: BTreeMap<String, PathBuf>,
    /// Folders that the gateway must be able to read: plugins, extra skills.
    pub(crate) read_only: BTreeSet<PathBuf>,
    /// Those of them that hold skills.
    #[serde(default)]
    pub(crate) skill_dirs: BTreeSet<PathBuf>,
    /// Loopback services of the host that providers use.
    pub(crate) forwards: BTreeSet<Forward>,
    /// Other destinations that the configuration names.
    pub(crate) needs: BTreeSet<Need>,
    /// Stdio MCP servers.
    pub(crate) mcp: BTreeMap<String, McpServer>,
    /// Their tools, as the operator approved them (`seawall skill tools --approve`): what the engine
    /// may infer from. What a server says of itself otherwise is not believed.
    #[serde(default)]
    pub(crate) mcp_tools: Vec<seawall_policy::infer::Offer>,
}

/// OpenClaw's default port.
const DEFAULT_PORT: u16 = 18789;

impl Facts {
    /// Reads the facts out of a merged configuration.
    pub(crate) fn of(config: &Value, home: &Path, state_dir: &Path, config_dir: &Path) -> Self {
        let path = |text: &str| crate::deploy::expand(Path::new(text), home);
        let port = config
            .pointer("/gateway/port")
            .and_then(Value::as_u64)
            .and_then(|port| u16::try_from(port).ok());
        let mut facts = Self {
            public_port: port.unwrap_or(DEFAULT_PORT),
            home: home.to_owned(),
            state_dir: state_dir.to_owned(),
            config_dir: config_dir.to_owned(),
            ..Self::default()
        };
        let default = config
            .pointer("/agents/defaults/workspace")
            .and_then(Value::as_str)
            .map_or_else(|| state_dir.join("workspace"), path);
        for (id, entry) in object(config.pointer("/agents/entries")) {
            let own = entry.get("workspace").and_then(Value::as_str).map(path);
            // OpenClaw gives further agents a folder of their own beside the default one.
            let dir = own.unwrap_or_else(|| {
                if id == "main" {
                    default.clone()
                } else {
                    state_dir.join(format!("workspace-{id}"))
                }
            });
            facts.workspaces.insert(id.clone(), dir);
        }
        facts.workspaces.insert(String::new(), default);
        for pointer in ["/plugins/load/paths", "/skills/load/extraDirs"] {
            let items = config.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
            let folders: Vec<PathBuf> = items.filter_map(Value::as_str).map(path).collect();
            if pointer.starts_with("/skills") {
                facts.skill_dirs.extend(folders.iter().cloned());
            }
            facts.read_only.extend(folders);
        }
        for (name, provider) in object(config.pointer("/models/providers")) {
            let Some(url) = provider.get("baseUrl").and_then(Value::as_str) else { continue };
            let why = format!("models.providers.{name}.baseUrl");
            if let Some(port) = loopback_port(url) {
                facts.forwards.insert(Forward { port, why });
            } else if let Some((host, port, tls)) = destination(url) {
                facts.needs.insert(Need { hosts: vec![host], port, tls, why });
            }
        }
        facts.known_needs(config);
        for (name, server) in object(config.pointer("/mcp/servers")) {
            if server.get("command").is_some()
                && let Ok(server) = serde_json::from_value(server.clone())
            {
                facts.mcp.insert(name.clone(), server);
            }
        }
        facts
    }
}

impl Facts {
    /// Hosts of OpenClaw's own providers and channels, where the configuration uses them.
    fn known_needs(&mut self, config: &Value) {
        let Ok(needs) = toml::from_str::<Needs>(NEEDS) else { return };
        let mut providers = BTreeSet::new();
        let defaults = config.pointer("/agents/defaults");
        let entries = object(config.pointer("/agents/entries")).map(|(_, entry)| entry);
        for scope in defaults.into_iter().chain(entries) {
            for key in ["model", "utilityModel", "decisionModel"] {
                models(scope.get(key), &mut providers);
            }
            providers.extend(object(scope.get("models")).filter_map(|(name, _)| provider_of(name)));
        }
        providers.extend(
            object(config.pointer("/models/providers"))
                .filter(|(_, provider)| provider.get("baseUrl").is_none())
                .map(|(name, _)| name.clone()),
        );
        let own_url =
            |name: &str| config.pointer(&format!("/models/providers/{name}/baseUrl")).is_some();
        for name in providers.iter().filter(|name| !own_url(name)) {
            if let Some(hosts) = needs.providers.get(name) {
                let why = format!("model provider {name}");
                self.needs.insert(Need { hosts: hosts.clone(), port: 443, tls: true, why });
            }
        }
        for (name, channel) in object(config.pointer("/channels")) {
            let off = channel.get("enabled") == Some(&Value::Bool(false));
            if let Some(hosts) = needs.channels.get(name).filter(|_| !off) {
                let why = format!("channels.{name}");
                self.needs.insert(Need { hosts: hosts.clone(), port: 443, tls: true, why });
            }
        }
    }
}

/// Providers of a model setting: a name, or an object with `primary` and `fallbacks`.
fn models(value: Option<&Value>, out: &mut BTreeSet<String>) {
    match value {
        Some(Value::String(name)) => out.extend(provider_of(name)),
        Some(Value::Array(names)) => names.iter().for_each(|name| models(Some(name), out)),
        Some(Value::Object(map)) => {
            ["primary", "fallbacks"].iter().for_each(|key| models(map.get(*key), out))
        }
        _ => {}
    }
}

/// `anthropic` of `anthropic/claude-…`.
fn provider_of(model: &str) -> Option<String> {
    model.split_once('/').map(|(provider, _)| provider.to_owned())
}

fn destination(url: &str) -> Option<(String, u16, bool)> {
    let url = url::Url::parse(url).ok()?;
    let tls = match url.scheme() {
        "https" | "wss" => true,
        "http" | "ws" => false,
        _ => return None,
    };
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?, tls))
}

fn object(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

/// The port of a URL whose host is a loopback address or `localhost`.
fn loopback_port(url: &str) -> Option<u16> {
    let url = url::Url::parse(url).ok()?;
    let loopback = match url.host()? {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    };
    if loopback { url.port_or_known_default() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn configured_models_and_channels_need_their_hosts() {
        let config = json!({
            "agents": { "defaults": { "model": { "primary": "anthropic/claude", "fallbacks": ["openai/x", "own/y"] } } },
            "models": { "providers": { "openai": { "baseUrl": "http://gateway.corp:8080/v1" } } },
            "channels": { "telegram": {}, "discord": { "enabled": false } }
        });
        let facts = Facts::of(
            &config,
            Path::new("/h"),
            Path::new("/h/.openclaw"),
            Path::new("/h/.openclaw"),
        );
        let mut hosts: Vec<_> = facts.needs.iter().flat_map(|need| need.hosts.clone()).collect();
        hosts.sort();
        assert_eq!(hosts, ["api.anthropic.com", "api.telegram.org", "gateway.corp"]);
    }

    #[test]
    fn workspaces_forwards_and_servers_are_read() {
        let config = json!({
            "gateway": { "port": 19000 },
            "agents": { "defaults": { "workspace": "~/ws" }, "entries": { "main": {}, "b": {}, "c": { "workspace": "/c" } } },
            "models": { "providers": {
                "local": { "baseUrl": "http://127.0.0.1:11434/v1" },
                "six": { "baseUrl": "http://[::1]:99" },
                "far": { "baseUrl": "https://api.example.com" } } },
            "plugins": { "load": { "paths": ["~/p"] } },
            "mcp": { "servers": { "a": { "command": "x", "args": ["y"] }, "b": { "url": "https://m" } } }
        });
        let facts = Facts::of(
            &config,
            Path::new("/h"),
            Path::new("/h/.openclaw"),
            Path::new("/h/.openclaw"),
        );
        assert_eq!(facts.public_port, 19000);
        let dirs: Vec<_> =
            facts.workspaces.values().map(|dir| dir.to_string_lossy().into_owned()).collect();
        assert_eq!(dirs, ["/h/ws", "/h/.openclaw/workspace-b", "/c", "/h/ws"]);
        assert_eq!(facts.forwards.iter().map(|f| f.port).collect::<Vec<_>>(), [99, 11434]);
        assert_eq!(facts.mcp.keys().collect::<Vec<_>>(), ["a"]);
        let needs: Vec<_> =
            facts.needs.iter().map(|need| (need.hosts[0].as_str(), need.port, need.tls)).collect();
        assert_eq!(needs, [("api.example.com", 443, true)]);
        assert!(facts.read_only.contains(Path::new("/h/p")));
    }
}
