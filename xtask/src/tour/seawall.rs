//! What the tour asks of the `seawall` program: a token for its client, and the event log.

use super::target;
use serde_json::Value;

/// A token for an operator's client.
pub(crate) async fn token() -> Result<String, String> {
    let mut command = target::seawall();
    command.args(["token", "create", "--name", "tour", "--role", "operator"]);
    let said = target::output(command).await.map_err(|e| format!("`seawall token`: {e}"))?;
    let token = said.split_whitespace().last().unwrap_or_default().to_owned();
    if token.is_empty() { Err("`seawall token` printed no token".into()) } else { Ok(token) }
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
    command.args(["events", "query", "--json", "--after", &after.to_string()]);
    let said = target::output(command).await.map_err(|e| format!("`seawall events`: {e}"))?;
    said.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let body: Value =
                serde_json::from_str(line).map_err(|e| format!("`seawall events`: {e}: {line}"))?;
            let seq = body.get("seq").and_then(Value::as_u64).unwrap_or_default();
            Ok(Event { seq, body })
        })
        .collect()
}

/// Whether the log's chain holds.
pub(crate) async fn verify() -> Result<String, String> {
    let mut command = target::seawall();
    command.args(["events", "verify"]);
    target::output(command).await
}
