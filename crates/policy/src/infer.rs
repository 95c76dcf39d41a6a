//! Tools that nobody declared: classes from name, description and schema.
//!
//! Conservative: a name that says "read" with a schema that takes content is not a reader; what
//! fits no class is unknown, and unknown is treated as able to read secrets and to send.

use crate::catalogue::{Known, Role, ToolSpec, Verb, Yields};
use seawall_model::label::{Confidentiality, Integrity};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most tools offered to one session that are remembered.
const MAX_OFFERS: usize = 1024;
/// Longest description looked at.
const MAX_DESCRIPTION: usize = 4096;

/// A tool as a server offers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Name under which the model calls it.
    pub name: String,
    /// Description.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of its parameters.
    #[serde(default)]
    pub schema: Value,
}

/// Inferred tools of a session.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Offers {
    #[serde(with = "specs")]
    tools: BTreeMap<String, Arc<ToolSpec>>,
}

/// Specifications without their shared pointers.
mod specs {
    use super::{Arc, BTreeMap, Known, ToolSpec};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<String, Arc<ToolSpec>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        map.values().map(AsRef::as_ref).collect::<Vec<&ToolSpec>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, Arc<ToolSpec>>, D::Error> {
        let list = Vec::<ToolSpec>::deserialize(deserializer)?;
        Ok(list
            .into_iter()
            .map(|s| (s.name.clone(), Arc::new(ToolSpec { known: Known::Inferred, ..s })))
            .collect())
    }
}

impl Offers {
    /// Takes an offer in.
    pub fn add(&mut self, offer: &Offer) {
        if self.tools.len() < MAX_OFFERS || self.tools.contains_key(&offer.name) {
            self.tools.insert(offer.name.clone(), Arc::new(infer(offer)));
        }
    }

    /// The inferred specification of a tool.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<ToolSpec>> {
        self.tools.get(name)
    }
}

/// Words of a name: `getUserInfo`, `get_user-info` and `server__get_user` alike.
fn tokens(name: &str) -> Vec<String> {
    let name = name.rsplit("__").next().unwrap_or(name);
    let mut out = vec![String::new()];
    let mut lower = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            out.push(String::new());
            lower = false;
            continue;
        }
        if c.is_uppercase() && lower {
            out.push(String::new());
        }
        lower = c.is_lowercase();
        if let Some(last) = out.last_mut() {
            last.extend(c.to_lowercase());
        }
    }
    out.retain(|t| !t.is_empty());
    out
}

/// First words of tool names, by verb. The first table entry that matches wins.
const NAMES: &[(&[&str], Verb)] = &[
    (
        &[
            "send",
            "reply",
            "forward",
            "notify",
            "email",
            "mail",
            "message",
            "dm",
            "sms",
            "broadcast",
            "announce",
            "tweet",
        ],
        Verb::Send,
    ),
    (
        &[
            "pay", "transfer", "purchase", "buy", "checkout", "donate", "refund", "withdraw",
            "deposit", "trade", "order",
        ],
        Verb::Pay,
    ),
    (
        &["share", "invite", "grant", "authorize", "authorise", "permit", "onboard", "promote"],
        Verb::Grant,
    ),
    (&["revoke", "unshare", "kick", "ban", "block", "expel", "demote"], Verb::Revoke),
    (&["post", "publish", "upload", "submit", "push", "put"], Verb::Post),
    (
        &[
            "delete", "remove", "cancel", "erase", "trash", "archive", "drop", "clear", "destroy",
            "purge", "close", "unpin",
        ],
        Verb::Remove,
    ),
    (
        &[
            "create",
            "add",
            "make",
            "insert",
            "new",
            "book",
            "reserve",
            "register",
            "schedule",
            "open",
            "draft",
            "copy",
            "duplicate",
            "generate",
            "start",
            "rent",
        ],
        Verb::Create,
    ),
    (
        &[
            "update",
            "set",
            "edit",
            "append",
            "modify",
            "rename",
            "move",
            "reschedule",
            "change",
            "mark",
            "replace",
            "patch",
            "write",
            "save",
            "assign",
            "pin",
            "toggle",
            "enable",
            "disable",
            "merge",
            "complete",
            "resolve",
            "adjust",
            "reset",
            "sort",
        ],
        Verb::Change,
    ),
    (&["run", "exec", "execute", "eval", "shell", "spawn", "invoke", "deploy"], Verb::Run),
    (&["fetch", "browse", "visit", "crawl", "scrape", "download", "navigate"], Verb::Fetch),
    (&["search", "find", "query", "lookup", "filter", "match"], Verb::Read),
    (&["list", "enumerate", "ls"], Verb::List),
    (
        &[
            "get",
            "read",
            "view",
            "show",
            "check",
            "count",
            "describe",
            "retrieve",
            "load",
            "peek",
            "inspect",
            "is",
            "has",
            "status",
            "current",
            "calculate",
            "compute",
            "convert",
            "validate",
            "verify",
            "compare",
            "cat",
            "head",
            "tail",
            "stat",
            "summarize",
            "parse",
            "see",
            "who",
            "what",
            "when",
            "info",
            "help",
            "recommend",
        ],
        Verb::Read,
    ),
];

/// Sentences of a description that belie an innocent name.
const BELIES: &[(&str, Verb)] = &[
    ("sends a message", Verb::Send),
    ("sends an email", Verb::Send),
    ("sends the", Verb::Send),
    ("posts the", Verb::Post),
    ("uploads", Verb::Post),
    ("executes", Verb::Run),
    ("runs a command", Verb::Run),
    ("deletes", Verb::Remove),
    ("removes", Verb::Remove),
    ("creates a", Verb::Create),
    ("updates the", Verb::Change),
    ("transfers", Verb::Pay),
];

/// Infers the class of a tool.
#[must_use]
pub fn infer(offer: &Offer) -> ToolSpec {
    let tokens = tokens(&offer.name);
    let mut end = offer.description.len().min(MAX_DESCRIPTION);
    while !offer.description.is_char_boundary(end) {
        end -= 1;
    }
    let about = offer.description.get(..end).unwrap_or_default().to_lowercase();
    let params = parameters(&offer.schema);
    let mut verb = verb_of_name(&tokens).or_else(|| verb_of_about(&about)).unwrap_or(Verb::Unknown);
    let mut roles = BTreeMap::new();
    for param in &params {
        roles.insert(param.path.clone(), role(param));
    }
    let has = |wanted: Role| roles.values().any(|r| *r == wanted);
    // A reader that takes an address of the web fetches; what puts content there posts.
    if has(Role::Url) {
        verb = match verb {
            Verb::Read | Verb::List | Verb::Fetch | Verb::Search => Verb::Fetch,
            Verb::Create | Verb::Change | Verb::Post | Verb::Remove => Verb::Post,
            other => other,
        };
    }
    if matches!(verb, Verb::Read | Verb::List | Verb::Fetch) {
        if has(Role::Text) || has(Role::Command) || has(Role::Code) {
            verb = Verb::Unknown;
        }
        if let Some((_, worse)) = BELIES.iter().find(|(phrase, _)| about.contains(phrase)) {
            verb = *worse;
        }
    }
    // Adding somebody to something lets them in.
    let people = |words: &[&str]| tokens.iter().any(|t| words.contains(&t.as_str()));
    const PEOPLE: &[&str] = &[
        "user",
        "users",
        "member",
        "members",
        "participant",
        "participants",
        "collaborator",
        "collaborators",
        "attendee",
        "attendees",
        "guest",
        "guests",
        "viewer",
        "editor",
    ];
    if people(PEOPLE) {
        verb = match verb {
            Verb::Create if !people(&["account", "profile", "info"]) => Verb::Grant,
            Verb::Remove => Verb::Revoke,
            other => other,
        };
    }
    if people(&[
        "password",
        "credential",
        "credentials",
        "token",
        "secret",
        "apikey",
        "permission",
        "permissions",
        "role",
        "webhook",
        "settings",
        "config",
        "policy",
    ]) && verb.consequential()
        && verb != Verb::Send
    {
        verb = Verb::Config;
    }
    if verb == Verb::Run && !has(Role::Command) {
        verb = Verb::Unknown;
    }
    // What is acted on must be known as a target, whatever its parameter is called.
    if matches!(verb, Verb::Remove | Verb::Revoke | Verb::Pay | Verb::Grant)
        && !roles.values().any(|r| matches!(r, Role::Object | Role::Recipient | Role::Channel))
    {
        for (param, role) in &mut roles {
            let required = params.iter().any(|p| p.path == *param && p.required);
            if required && matches!(role, Role::Text | Role::Fact | Role::Setting) {
                *role = Role::Object;
            }
        }
    }
    if verb.consequential() {
        // A channel is where a message goes.
        for role in roles.values_mut() {
            if *role == Role::Channel {
                *role = Role::Recipient;
            }
        }
    }
    let directory = matches!(verb, Verb::Read | Verb::List)
        && people(&[
            "contact",
            "contacts",
            "user",
            "users",
            "member",
            "members",
            "people",
            "channels",
            "directory",
            "employees",
            "team",
            "addressbook",
            "friends",
            "colleagues",
            "accounts",
        ])
        && !people(&[
            "message", "messages", "email", "emails", "inbox", "review", "reviews", "post",
            "posts", "comment", "comments", "note", "notes", "file", "files",
        ]);
    let private = people(&[
        "inbox",
        "email",
        "emails",
        "mail",
        "message",
        "messages",
        "contact",
        "contacts",
        "transaction",
        "transactions",
        "account",
        "balance",
        "calendar",
        "file",
        "files",
        "drive",
        "user",
    ]);
    ToolSpec {
        name: offer.name.clone(),
        by: None,
        does: vec![verb],
        ops: BTreeMap::new(),
        params: roles,
        yields: Yields {
            integrity: Integrity::Outside,
            confidentiality: if private {
                Confidentiality::Internal
            } else {
                Confidentiality::Public
            },
            category: category(&offer.name, verb, &tokens),
            directory,
        },
        known: Known::Inferred,
    }
}

/// Where results come from: the server of an MCP tool, or the kind of source.
fn category(name: &str, verb: Verb, tokens: &[String]) -> String {
    const MAIL: &[&str] =
        &["mail", "mails", "email", "emails", "inbox", "message", "messages", "dm", "chat"];
    if tokens.iter().any(|t| MAIL.contains(&t.as_str())) {
        return "mail".to_owned();
    }
    match name.split_once("__") {
        Some((server, _)) => format!("mcp:{}", crate::call::bounded(server)),
        None if verb == Verb::Fetch => "web".to_owned(),
        None => "tool".to_owned(),
    }
}

fn verb_of_name(tokens: &[String]) -> Option<Verb> {
    let find =
        |token: &str| NAMES.iter().find(|(words, _)| words.contains(&token)).map(|(_, verb)| *verb);
    let first = tokens.first()?;
    if let Some(verb) = find(first) {
        return Some(verb);
    }
    // `email_send`, `calendar-list`: the verb stands behind its object.
    tokens.iter().skip(1).find_map(|t| find(t))
}

/// The first word of a description, as in "Returns the …".
fn verb_of_about(about: &str) -> Option<Verb> {
    let first = about.split(|c: char| !c.is_alphabetic()).find(|w| !w.is_empty())?;
    let stem = first.strip_suffix("es").unwrap_or(first);
    let stem2 = first.strip_suffix('s').unwrap_or(first);
    for candidate in [first, stem2, stem] {
        for (words, verb) in NAMES {
            if words.contains(&candidate) {
                return Some(*verb);
            }
        }
    }
    matches!(stem2, "return" | "give" | "provide" | "display").then_some(Verb::Read)
}

/// One parameter of a schema.
struct Param {
    path: String,
    about: String,
    kind: String,
    format: String,
    choices: bool,
    required: bool,
}

fn parameters(schema: &Value) -> Vec<Param> {
    let mut out = Vec::new();
    gather(schema, "", 0, &mut out);
    out
}

fn gather(schema: &Value, prefix: &str, depth: usize, out: &mut Vec<Param>) {
    if depth > 6 || out.len() > 512 {
        return;
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|r| r.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    for (name, property) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let text = |key: &str| {
            property.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase()
        };
        let mut kind = text("type");
        let mut choices = property.get("enum").is_some() || property.get("$ref").is_some();
        let mut inner = vec![property];
        for key in ["anyOf", "oneOf", "allOf"] {
            inner.extend(property.get(key).and_then(Value::as_array).into_iter().flatten());
        }
        for one in &inner {
            if kind.is_empty() || kind == "null" {
                kind = one.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
            }
            choices |= one.get("enum").is_some();
            gather(one, &path, depth + 1, out);
            if let Some(items) = one.get("items") {
                gather(items, &path, depth + 1, out);
            }
        }
        out.push(Param {
            about: text("description"),
            format: text("format"),
            kind,
            choices,
            required: required.contains(&name.as_str()),
            path,
        });
    }
}

fn role(param: &Param) -> Role {
    let last = param.path.rsplit('.').next().unwrap_or(&param.path);
    let words = tokens(last);
    let is = |list: &[&str]| words.iter().any(|w| list.contains(&w.as_str()));
    if param.kind == "boolean" || param.choices {
        return Role::Setting;
    }
    if is(&["amount", "price", "sum", "value"])
        && matches!(param.kind.as_str(), "number" | "integer")
    {
        return Role::Amount;
    }
    let id =
        words.last().is_some_and(|w| matches!(w.as_str(), "id" | "ids" | "uuid" | "key" | "ref"));
    if matches!(param.kind.as_str(), "number" | "integer") && !id {
        return Role::Setting;
    }
    if param.format == "uri"
        || param.format == "url"
        || is(&["url", "urls", "uri", "link", "href", "endpoint", "website", "webhook", "domain"])
    {
        return Role::Url;
    }
    if is(&["command", "cmd", "shell", "bash"]) {
        return Role::Command;
    }
    if is(&["code", "script", "sql", "program", "expression"]) && !is(&["zip", "country", "postal"])
    {
        return Role::Code;
    }
    if param.format == "email"
        || is(&[
            "recipient",
            "recipients",
            "to",
            "cc",
            "bcc",
            "email",
            "emails",
            "participants",
            "participant",
            "attendees",
            "attendee",
            "invitees",
            "guests",
            "address",
            "addresses",
            "user",
            "users",
            "username",
            "member",
            "members",
            "assignee",
            "phone",
            "iban",
            "payee",
            "beneficiary",
            "destination",
            "target",
            "collaborator",
            "collaborators",
            "receiver",
            "handle",
            "author",
            "account",
        ]) && !id
    {
        return Role::Recipient;
    }
    if is(&["channel", "channels", "room", "chat", "group", "conversation", "thread"]) && !id {
        return Role::Channel;
    }
    if is(&["query", "q", "search", "keyword", "keywords", "term", "pattern", "filter"]) {
        return Role::Query;
    }
    if is(&["path", "filepath", "directory", "dir", "folder"]) || (last == "file" && !id) {
        return Role::ReadPath;
    }
    if id || param.about.starts_with("the id of") || param.about.contains("id of the") {
        return Role::Object;
    }
    if is(&[
        "body",
        "content",
        "text",
        "message",
        "comment",
        "description",
        "data",
        "payload",
        "html",
        "attachments",
        "attachment",
        "blob",
        "bytes",
        "notes",
        "note",
        "subject",
        "caption",
        "reply",
    ]) {
        return Role::Text;
    }
    if is(&[
        "date",
        "time",
        "day",
        "start",
        "end",
        "month",
        "year",
        "location",
        "language",
        "timezone",
        "until",
        "since",
        "before",
        "after",
        "limit",
        "offset",
        "page",
        "sort",
        "order",
        "format",
        "type",
        "name",
        "title",
        "filename",
        "city",
        "hotel",
        "restaurant",
        "company",
        "status",
        "label",
        "tag",
        "currency",
        "country",
        "lang",
    ]) {
        return Role::Fact;
    }
    Role::Fact
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn offer(name: &str, description: &str, schema: Value) -> ToolSpec {
        infer(&Offer { name: name.into(), description: description.into(), schema })
    }

    fn props(names: &[&str]) -> Value {
        let map: serde_json::Map<String, Value> =
            names.iter().map(|n| ((*n).to_owned(), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": map, "required": names})
    }

    #[test]
    fn names_say_what_tools_do() {
        let verb = |n: &str, p: &[&str]| offer(n, "", props(p)).does[0];
        assert_eq!(verb("crm__sendNote", &["recipient", "body"]), Verb::Send);
        assert_eq!(verb("list_tickets", &[]), Verb::List);
        assert_eq!(verb("getTicket", &["ticket_id"]), Verb::Read);
        assert_eq!(verb("get_page", &["url"]), Verb::Fetch);
        assert_eq!(verb("ticket_delete", &["ticket_id"]), Verb::Remove);
        assert_eq!(verb("addMember", &["group", "user"]), Verb::Grant);
        assert_eq!(verb("update_password", &["password"]), Verb::Config);
        assert_eq!(verb("frobnicate", &["x"]), Verb::Unknown);
    }

    #[test]
    fn an_innocent_name_is_not_believed_against_its_schema() {
        assert_eq!(offer("get_status", "", props(&["body"])).does[0], Verb::Unknown);
        assert_eq!(
            offer("check_status", "Checks and sends the report to the log server.", props(&[]))
                .does[0],
            Verb::Send
        );
        assert_eq!(offer("read_all", "", props(&["command"])).does[0], Verb::Unknown);
    }

    #[test]
    fn what_is_acted_on_is_a_target() {
        let spec = offer("remove_thing", "", props(&["thing"]));
        assert_eq!(spec.params["thing"], Role::Object);
    }
}
