//! Whether a caller may make a request: a function of the tables, the caller and the grants.

mod command;
mod shape;

use crate::frame::Request;
use crate::grant::Grants;
use crate::table::{Class, Table};
use crate::token::Principal;
use serde_json::{Map, Value};

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Goes on to the gateway.
    Allow {
        /// As what it was judged.
        class: Class,
        /// It has to be written down before it goes on.
        record: bool,
        /// The grant that made it possible, where one did.
        by_grant: Option<String>,
    },
    /// Is answered by the door.
    Refuse {
        /// As what it was judged; `None` for a method that no table knows.
        class: Option<Class>,
        /// For the caller: what, why, and which command changes it.
        message: String,
    },
}

impl Judgement {
    /// Whether it goes on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Judgement::Allow { .. })
    }
}

/// A field or text that asks for more than its method does, found while judging parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    class: Class,
    what: String,
}

/// Judges one request. `connect` is no request in this sense: the door makes its own.
#[must_use]
pub fn judge(
    table: &Table,
    grants: &Grants,
    who: &Principal,
    request: &Request,
    now_ms: u64,
) -> Judgement {
    let name = &request.method;
    let Some(method) = table.method(name) else {
        return Judgement::Refuse {
            class: None,
            message: format!(
                "Seawall: `{}` is not in the table of methods that this door knows (OpenClaw {}), so it is refused. \
                 A later version of Seawall may know it.",
                printable(name),
                table.tested_with()
            ),
        };
    };
    let shaped = method
        .shape
        .as_deref()
        .and_then(|shape| shape::judge(table, shape, request.params.as_ref()));
    // Not by a list of methods: what one method stores, the gateway may hand to an agent later.
    let said = request
        .params
        .as_ref()
        .filter(|_| method.class > Class::Read)
        .and_then(|params| texts(table, params));
    let finding = match (shaped, said) {
        (Some(shaped), Some(said)) if said.class > shaped.class => Some(said),
        (shaped, said) => shaped.or(said),
    };
    let class = finding.as_ref().map_or(method.class, |f| f.class.max(method.class));
    if class <= who.role.class() {
        return Judgement::Allow {
            class,
            record: class >= Class::Operator && !method.observes,
            by_grant: None,
        };
    }
    // A grant is for people who run the deployment: it never lifts a viewer.
    if class == Class::Host
        && who.role.class() == Class::Operator
        && let Some(grant) = grants.covering(name, &who.name, now_ms)
    {
        return Judgement::Allow { class, record: true, by_grant: Some(grant.id.clone()) };
    }
    let why = match &finding {
        Some(f) if f.class > method.class => f.what.clone(),
        _ => lower_first(&method.reason),
    };
    Judgement::Refuse {
        class: Some(class),
        message: message(name, class, who, &why, method.instead.as_deref()),
    }
}

fn message(name: &str, class: Class, who: &Principal, why: &str, instead: Option<&str>) -> String {
    let why = why.trim_end_matches('.');
    match class {
        Class::Never => format!("Seawall: `{name}` is refused through this door: {why}."),
        Class::Host if who.role.class() == Class::Operator => {
            let instead =
                instead.map(|c| format!("Use `{c}`, or ")).unwrap_or_else(|| "To ".into());
            let allow = if instead.ends_with("or ") { "allow" } else { "allow it, run" };
            if allow == "allow" {
                format!(
                    "Seawall: `{name}` is refused: {why}. {instead}allow it for ten minutes with \
                     `seawall door allow {name} --to {} --for 10m`.",
                    who.name
                )
            } else {
                format!(
                    "Seawall: `{name}` is refused: {why}. To {allow} \
                     `seawall door allow {name} --to {} --for 10m`.",
                    who.name
                )
            }
        }
        Class::Host => format!(
            "Seawall: `{name}` is refused: {why}. Token `{}` has role {}; only an operator's token can be allowed it.",
            who.name,
            who.role.as_str()
        ),
        Class::Read | Class::Chat | Class::Operator => format!(
            "Seawall: `{name}` is refused: it needs a token of role {}, and `{}` has role {} ({why}). \
             An operator makes one with `seawall token create --name NAME --role {}`.",
            class.as_str(),
            who.name,
            who.role.as_str(),
            class.as_str()
        ),
    }
}

/// Why the texts of a turn over HTTP are refused, if they are.
#[must_use]
pub fn text_refusal(table: &Table, who: &Principal, body: &Value) -> Option<String> {
    let mut worst = None;
    text(table, body, false, &mut worst);
    let finding = worst.filter(|f| f.class > who.role.class())?;
    Some(format!("Seawall: the request is refused: {}.", finding.what))
}

/// Names under which the gateway's methods and the OpenAI-compatible interfaces have what somebody
/// writes to an agent, at any depth.
const TEXTS: [&str; 15] = [
    "answer",
    "content",
    "goal",
    "input",
    "instructions",
    "message",
    "objective",
    "prompt",
    "question",
    "reply",
    "task",
    "text",
    "title",
    "tldr",
    "transcript",
];

/// The most consequential command in any string of the parameters.
fn texts(table: &Table, params: &Map<String, Value>) -> Option<Finding> {
    let mut worst = None;
    fields(table, params, false, &mut worst);
    worst
}

fn fields(table: &Table, object: &Map<String, Value>, is_text: bool, worst: &mut Option<Finding>) {
    for (name, value) in object {
        text(table, value, is_text || TEXTS.contains(&name.as_str()), worst);
    }
}

fn text(table: &Table, value: &Value, is_text: bool, worst: &mut Option<Finding>) {
    match value {
        Value::String(said) => {
            let judge = if is_text { command::judge } else { command::judge_any };
            if let Some(finding) = judge(table, said)
                && worst.as_ref().is_none_or(|w| w.class < finding.class)
            {
                *worst = Some(finding);
            }
        }
        Value::Array(list) => list.iter().for_each(|item| text(table, item, is_text, worst)),
        Value::Object(object) => fields(table, object, is_text, worst),
        _ => {}
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// A client's string, short and without control characters, for messages and events.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests;
