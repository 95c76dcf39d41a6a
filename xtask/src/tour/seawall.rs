//! What the tour asks of the `seawall` program: a token for its client, and the event log.

use super::target;
use crate::world::HOME;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Where Seawall keeps what it keeps; told to it in `SEAWALL_HOME`.
pub(crate) fn folder() -> PathBuf {
    Path::new(HOME).join(".local/state/seawall")
}

/// What the operator set: one more destination than the model provider's, which is known from
/// the deployment's own configuration.
const SETTINGS: &str = r#"
[gateway]
# A cold start on a busy machine may take minutes.
start_timeout_s = 280

[[egress.rules]]
name = "harbour"
hosts = ["site.test"]
ports = [80]
protocols = ["http"]
reason = "the tides, which the owner reads every morning"

[[tool]]
name = "tides__next_tide"
does = ["read"]
"#;

/// Writes the operator's settings.
pub(crate) fn settle() -> Result<(), String> {
    let dir = folder().join("default");
    let at = |e: std::io::Error| format!("{}: {e}", dir.display());
    fs::create_dir_all(&dir).map_err(at)?;
    fs::write(dir.join("seawall.toml"), SETTINGS).map_err(at)
}

/// The operator's token, as `seawall up` made it at its first start.
pub(crate) fn token() -> Result<String, String> {
    let path = folder().join("default/operator.token");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// One event of the log.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Its place.
    pub(crate) seq: u64,
    /// The event.
    pub(crate) body: Value,
}

impl Event {
    fn text(&self, field: &str) -> &str {
        self.body.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it tells of something that was held back.
    pub(crate) fn refuses(&self) -> bool {
        matches!(self.text("decision"), "deny" | "ask")
    }

    /// Whether it belongs to a case: to its session or one that this started, to a client at the
    /// door, or to a destination of the attacker's. What the gateway does by itself meanwhile
    /// (its catalogue, for example) is nobody's case.
    pub(crate) fn concerns(&self, case: &str) -> bool {
        let session = self.text("sessionKey");
        if !session.is_empty() {
            let name = session.strip_prefix("agent:main:").unwrap_or(session);
            return name.starts_with(case)
                || name.starts_with("cron:")
                || name.starts_with("subagent:");
        }
        let goal = |name: &str| self.body.to_string().contains(name);
        self.plane() == "door"
            || ["attacker.test", "11.0.0.66", "169.254", "2852039166", "metadata."]
                .iter()
                .any(|name| goal(name))
    }

    /// The plane that speaks.
    pub(crate) fn plane(&self) -> &str {
        self.text("plane")
    }

    /// Number, kind and summary.
    pub(crate) fn line(&self) -> String {
        format!("event {} {}: {}", self.seq, self.text("kind"), self.text("summary"))
    }
}

/// Events after a place in the log.
pub(crate) async fn events(after: u64) -> Result<Vec<Event>, String> {
    let mut command = target::seawall();
    command.args(["events", "query", "--json", "--limit", "1000000"]);
    let said = target::output(command).await.map_err(|e| format!("`seawall events`: {e}"))?;
    said.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let body: Value =
                serde_json::from_str(line).map_err(|e| format!("`seawall events`: {e}: {line}"))?;
            let seq = body.get("seq").and_then(Value::as_u64).unwrap_or_default();
            Ok(Event { seq, body })
        })
        .filter(|event| event.as_ref().map_or(true, |event| event.seq > after))
        .collect()
}

/// Whether the log's chain holds.
pub(crate) async fn verify() -> Result<String, String> {
    let mut command = target::seawall();
    command.args(["events", "verify"]);
    target::output(command).await
}
