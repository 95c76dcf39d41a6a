//! A tool call taken apart: its verbs, every argument with its role, and the typed effects.

use crate::catalogue::{Known, Role, ToolSpec, Verb, Yields, role_of};
use crate::paths::{self, PathClass, Places};
use crate::shell;
use seawall_model::{Effect, ToolCall};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Deepest nesting of arguments; OpenClaw's own schemas stay below 10.
pub const MAX_DEPTH: usize = 32;
/// Most leaves of arguments; a plan of ordinary size has some hundred.
pub const MAX_LEAVES: usize = 4096;
/// Most bytes of argument text that are looked at; what is larger counts as not known.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Nested calls (`tool_call` in `tool_call`) beyond this are refused.
const MAX_NESTING: usize = 4;

/// One argument: a leaf of the call's parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Use<'a> {
    /// Dotted parameter path.
    pub param: String,
    /// What it means.
    pub role: Role,
    /// Its text.
    pub text: Cow<'a, str>,
}

/// Where an effect is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// By the tool itself, in the gateway process.
    Tool,
    /// By a command in the sandbox of a tool run.
    Shell,
}

impl Via {
    /// The name used in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Shell => "shell",
        }
    }
}

/// One thing that is judged: a verb with the effect that belongs to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What is done.
    pub verb: Verb,
    /// To what, where that is known.
    pub effect: Option<Effect>,
    /// Where.
    pub via: Via,
}

/// Why a call cannot be allowed whatever the policy says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A parameter that the catalogue does not know, of a call that can send.
    UnknownParam(String),
    /// A parameter that must be absent.
    ForbiddenParam(String),
    /// Arguments beyond the limits.
    Oversize(&'static str),
    /// A path that no file can have.
    BadPath(String),
    /// A nested call that names no tool.
    NoInner,
}

/// A call taken apart.
#[derive(Debug, Clone)]
pub struct Call<'a> {
    /// Canonical tool name.
    pub tool: &'a str,
    /// How the tool is known.
    pub known: Known,
    /// What it does.
    pub verbs: Vec<Verb>,
    /// Every argument that is not a mere setting.
    pub uses: Vec<Use<'a>>,
    /// What is judged.
    pub items: Vec<Item>,
    /// Why it cannot be allowed at all.
    pub faults: Vec<Fault>,
    /// Data that moves within shell text.
    pub flows: Vec<shell::Flow>,
    /// Text that shell commands hand on.
    pub literals: Vec<String>,
    /// Why parts of it are not known statically.
    pub opaque: Vec<String>,
    /// Whether a command asks for another place than the sandbox.
    pub escapes_sandbox: bool,
    /// What its results are.
    pub yields: Yields,
    /// The call inside, for an envelope.
    pub inner: Option<Box<Call<'a>>>,
}

impl<'a> Call<'a> {
    /// Whether data of the session can leave by this call.
    #[must_use]
    pub fn outbound(&self) -> bool {
        self.items.iter().any(|item| {
            matches!(
                item.verb,
                Verb::Send
                    | Verb::Post
                    | Verb::Fetch
                    | Verb::Search
                    | Verb::Browser
                    | Verb::Grant
                    | Verb::Pay
                    | Verb::Unknown
                    | Verb::Node
                    | Verb::Computer
                    | Verb::Create
                    | Verb::Change
                    | Verb::Remove
                    | Verb::Schedule
            )
        })
    }

    /// Arguments of a role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Use<'a>> {
        self.uses.iter().filter(move |u| u.role == role)
    }
}

/// What is needed beside the call itself.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where things are.
    pub places: &'a Places,
    /// The agent's workspace (absolute).
    pub workspace: &'a str,
    /// Finds the specification of a tool.
    pub lookup: &'a dyn Fn(&str) -> Option<std::sync::Arc<ToolSpec>>,
}

/// Takes a tool call apart. Total: anything gives an answer within the limits above.
#[must_use]
pub fn analyse<'a>(call: &'a ToolCall, cx: &Surroundings<'_>) -> Call<'a> {
    analyse_parts(&call.tool, &call.params, &call.derived_paths, cx, 0)
}

fn analyse_parts<'a>(
    tool: &'a str,
    params: &'a Value,
    derived: &'a [String],
    cx: &Surroundings<'_>,
    nesting: usize,
) -> Call<'a> {
    let spec = (cx.lookup)(tool);
    let mut call = Call {
        tool,
        known: spec.as_ref().map_or(Known::Not, |s| s.known),
        verbs: Vec::new(),
        uses: Vec::new(),
        items: Vec::new(),
        faults: Vec::new(),
        flows: Vec::new(),
        literals: Vec::new(),
        opaque: Vec::new(),
        escapes_sandbox: false,
        yields: spec.as_ref().map_or_else(Yields::default, |s| s.yields.clone()),
        inner: None,
    };
    call.verbs = verbs_of(spec.as_deref(), params);
    let mut walk = Walk { spec: spec.as_deref(), call: &mut call, text: 0, unknown: Vec::new() };
    walk.value(&mut String::new(), params, 0, None);
    let unknown = walk.unknown;
    for verb in call.verbs.clone() {
        items_of(verb, params, derived, cx, &mut call);
    }
    dedupe(&mut call.items);
    if spec.is_some() && call.outbound() {
        call.faults.extend(unknown.into_iter().map(Fault::UnknownParam));
    }
    if call.verbs.contains(&Verb::Call) {
        nested(params, cx, nesting, &mut call);
    }
    call
}

fn nested<'a>(params: &'a Value, cx: &Surroundings<'_>, nesting: usize, call: &mut Call<'a>) {
    static NONE: Value = Value::Null;
    let id = params.get("id").and_then(Value::as_str);
    let Some(id) = id.filter(|_| nesting < MAX_NESTING) else {
        call.faults.push(Fault::NoInner);
        return;
    };
    // A search result id may carry its source in front of the name.
    let name = id.rsplit(':').next().unwrap_or(id);
    let args = params.get("args").unwrap_or(&NONE);
    call.inner = Some(Box::new(analyse_parts(name, args, &[], cx, nesting + 1)));
}

/// The verbs of a call: those of its operation, where the tool has operations.
fn verbs_of(spec: Option<&ToolSpec>, params: &Value) -> Vec<Verb> {
    let Some(spec) = spec else { return vec![Verb::Unknown] };
    let Some(by) = &spec.by else { return spec.does.clone() };
    let op = params.get(by).and_then(Value::as_str).map(str::trim);
    match op {
        Some(op) => spec
            .ops
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(op))
            .map_or_else(|| vec![Verb::Unknown], |(_, verbs)| verbs.clone()),
        None if !spec.does.is_empty() => spec.does.clone(),
        None => vec![Verb::Unknown],
    }
}

struct Walk<'a, 'c, 's> {
    spec: Option<&'s ToolSpec>,
    call: &'c mut Call<'a>,
    text: usize,
    unknown: Vec<String>,
}

impl<'a> Walk<'a, '_, '_> {
    fn value(&mut self, path: &mut String, value: &'a Value, depth: usize, role: Option<Role>) {
        if depth > MAX_DEPTH {
            self.fault(Fault::Oversize("nesting"));
            return;
        }
        let role = match self.spec {
            Some(spec) if !path.is_empty() => spec.params.get(path.as_str()).copied().or(role),
            _ => role,
        };
        match value {
            Value::Object(map) => {
                if role == Some(Role::CallArgs) {
                    return;
                }
                for (key, inner) in map {
                    let len = path.len();
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(key);
                    self.value(path, inner, depth + 1, role);
                    // Keys of free-form objects carry text as well as values do.
                    if role == Some(Role::Text) {
                        self.leaf(path, Role::Text, Cow::Borrowed(key));
                    }
                    path.truncate(len);
                }
            }
            Value::Array(items) => {
                for inner in items {
                    self.value(path, inner, depth + 1, role);
                }
            }
            Value::Null => {}
            leaf => {
                let role = role.or_else(|| self.spec.and_then(|spec| role_of(spec, path)));
                let text = match leaf {
                    Value::String(s) => Cow::Borrowed(s.as_str()),
                    other => Cow::Owned(other.to_string()),
                };
                match role {
                    Some(Role::CallArgs) => {}
                    Some(Role::Setting) if !leaf.is_string() || !holds_text(&text) => {}
                    Some(Role::Forbidden) => {
                        if !text.is_empty() {
                            self.fault(Fault::ForbiddenParam(path.clone()));
                        }
                    }
                    Some(role) => self.leaf(path, role, text),
                    None => {
                        if self.unknown.len() < 16 {
                            self.unknown.push(path.clone());
                        }
                        self.leaf(path, Role::Text, text);
                    }
                }
            }
        }
    }

    fn leaf(&mut self, path: &str, role: Role, text: Cow<'a, str>) {
        if self.call.uses.len() >= MAX_LEAVES {
            self.fault(Fault::Oversize("number of arguments"));
            return;
        }
        self.text += text.len();
        self.call.uses.push(Use { param: path.to_owned(), role, text });
    }

    fn fault(&mut self, fault: Fault) {
        if !self.call.faults.contains(&fault) && self.call.faults.len() < 16 {
            self.call.faults.push(fault);
        }
    }
}

fn dedupe(items: &mut Vec<Item>) {
    let mut out: Vec<Item> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    *items = out;
}

fn push(call: &mut Call<'_>, verb: Verb, effect: Option<Effect>) {
    call.items.push(Item { verb, effect, via: Via::Tool });
}

/// Adds what one verb of the call causes.
fn items_of(
    verb: Verb,
    params: &Value,
    derived: &[String],
    cx: &Surroundings<'_>,
    call: &mut Call<'_>,
) {
    match verb {
        Verb::Read | Verb::MemoryRead => {
            let found = path_items(call, cx, &[Role::ReadPath], verb, |path| Effect::Read { path });
            if !found {
                push(call, verb, None);
            }
        }
        Verb::List => {
            if !path_items(call, cx, &[Role::ListPath], verb, |path| Effect::List { path }) {
                push(call, verb, None);
            }
        }
        Verb::Write => {
            let mut found =
                path_items(call, cx, &[Role::WritePath], verb, |path| Effect::Write { path });
            found |= patch_items(call, derived, cx);
            if !found {
                push(call, verb, None);
            }
        }
        Verb::Delete => {
            if !path_items(call, cx, &[Role::WritePath], verb, |path| Effect::Delete { path }) {
                push(call, verb, None);
            }
        }
        Verb::Fetch | Verb::Post | Verb::Browser => url_items(call, verb),
        Verb::Send => {
            let recipients: Vec<String> =
                call.of_role(Role::Recipient).map(|u| u.text.to_string()).collect();
            let channel = call.of_role(Role::Channel).next().map(|u| u.text.to_string());
            let effect = Effect::Send { channel: channel.unwrap_or_default(), recipients };
            push(call, verb, Some(effect));
        }
        Verb::Run if call.uses.iter().any(|u| u.role == Role::Command) => {
            shell_items(params, cx, call)
        }
        Verb::Run | Verb::Type => {
            let why = "program text that is not shell".to_owned();
            call.opaque.push(why.clone());
            push(call, verb, Some(Effect::Opaque { why }));
        }
        Verb::Schedule => schedule_items(call),
        Verb::MemoryWrite => {
            let target = call.tool.to_owned();
            push(call, verb, Some(Effect::MemoryWrite { target }));
        }
        Verb::Config => {
            let target = call.tool.to_owned();
            push(call, verb, Some(Effect::ConfigChange { target }));
        }
        Verb::Install => {
            let target = object_or_tool(call);
            push(call, verb, Some(Effect::Install { target }));
        }
        Verb::Spawn | Verb::SessionSend | Verb::SessionRead | Verb::SessionStop => {
            let op = match verb {
                Verb::Spawn => "spawn",
                Verb::SessionSend => "send",
                Verb::SessionRead => "read",
                _ => "stop",
            };
            let target =
                call.of_role(Role::Session).next().map(|u| u.text.to_string()).unwrap_or_default();
            push(call, verb, Some(Effect::Session { op: op.to_owned(), target }));
        }
        Verb::Computer | Verb::Node => {
            let what = if verb == Verb::Computer { "computer" } else { "node" };
            push(call, verb, Some(Effect::Drive { what: what.to_owned() }));
        }
        Verb::Listen => push(call, verb, Some(Effect::Listen { port: None })),
        Verb::Pay => {
            let to = call
                .of_role(Role::Recipient)
                .next()
                .map(|u| u.text.to_string())
                .unwrap_or_default();
            push(call, verb, Some(Effect::Pay { to }));
        }
        Verb::Unknown => {
            let why = format!("the tool `{}` is not known", bounded(call.tool));
            call.opaque.push(why.clone());
            push(call, verb, Some(Effect::Opaque { why }));
        }
        Verb::Inspect
        | Verb::Search
        | Verb::Reply
        | Verb::Grant
        | Verb::Revoke
        | Verb::Create
        | Verb::Change
        | Verb::Remove
        | Verb::Present
        | Verb::AskUser
        | Verb::Generate
        | Verb::Call => push(call, verb, None),
    }
    // Files and URLs that a call takes along are read whatever its verb is.
    if !matches!(verb, Verb::Read | Verb::MemoryRead) {
        path_items(call, cx, &[Role::ReadPath], Verb::Read, |path| Effect::Read { path });
    }
    if !matches!(verb, Verb::Write | Verb::Delete) {
        path_items(call, cx, &[Role::WritePath], Verb::Write, |path| Effect::Write { path });
    }
    if !matches!(verb, Verb::Fetch | Verb::Post | Verb::Browser | Verb::Inspect) {
        let urls: Vec<String> = call.of_role(Role::Url).map(|u| u.text.to_string()).collect();
        for url in urls {
            let effect = request(&url, false);
            push(call, Verb::Fetch, Some(effect));
        }
    }
}

fn object_or_tool(call: &Call<'_>) -> String {
    call.of_role(Role::Object)
        .next()
        .map_or_else(|| call.tool.to_owned(), |u| bounded(&u.text).to_owned())
}

/// The first part of a text that an outsider chose, for reasons.
#[must_use]
pub fn bounded(text: &str) -> &str {
    let mut end = text.len().min(120);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn path_items(
    call: &mut Call<'_>,
    cx: &Surroundings<'_>,
    roles: &[Role],
    verb: Verb,
    make: impl Fn(String) -> Effect,
) -> bool {
    let texts: Vec<String> = call
        .uses
        .iter()
        .filter(|u| roles.contains(&u.role) && !u.text.is_empty())
        .map(|u| u.text.to_string())
        .collect();
    for text in &texts {
        if is_url(text) {
            let effect = request(text, false);
            push(call, Verb::Fetch, Some(effect));
            continue;
        }
        if text.starts_with("data:") {
            continue;
        }
        match paths::resolve(text, cx.workspace, cx.places) {
            Some(path) => {
                let item = Item { verb, effect: Some(make(path)), via: Via::Tool };
                if !call.items.contains(&item) {
                    call.items.push(item);
                }
            }
            None => call.faults.push(Fault::BadPath(bounded(text).to_owned())),
        }
    }
    !texts.is_empty()
}

/// The files that a patch names, and those that the gateway derived from it.
fn patch_items(call: &mut Call<'_>, derived: &[String], cx: &Surroundings<'_>) -> bool {
    const HEADS: &[(&str, bool)] = &[
        ("*** Add File:", false),
        ("*** Update File:", false),
        ("*** Move to:", false),
        ("*** Delete File:", true),
    ];
    let mut named: Vec<(String, bool)> = derived.iter().map(|p| (p.clone(), false)).collect();
    let mut is_patch = false;
    for patch in call.of_role(Role::Patch) {
        is_patch = true;
        for line in patch.text.lines() {
            let line = line.trim();
            for (head, deletes) in HEADS {
                if let Some(path) = line.strip_prefix(head) {
                    named.push((path.trim().to_owned(), *deletes));
                }
            }
        }
    }
    for (path, deletes) in &named {
        match paths::resolve(path, cx.workspace, cx.places) {
            Some(path) if *deletes => push(call, Verb::Delete, Some(Effect::Delete { path })),
            Some(path) => push(call, Verb::Write, Some(Effect::Write { path })),
            None => call.faults.push(Fault::BadPath(bounded(path).to_owned())),
        }
    }
    if is_patch && named.is_empty() {
        let why = "a patch that names no file".to_owned();
        call.opaque.push(why.clone());
        push(call, Verb::Unknown, Some(Effect::Opaque { why }));
    }
    is_patch
}

fn is_url(text: &str) -> bool {
    let head = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    head.starts_with("http://") || head.starts_with("https://") || text.starts_with("//")
}

fn url_items(call: &mut Call<'_>, verb: Verb) {
    let sends = verb == Verb::Post;
    let urls: Vec<String> = call
        .of_role(Role::Url)
        .filter(|u| !u.text.is_empty())
        .map(|u| u.text.to_string())
        .collect();
    if verb == Verb::Browser {
        push(call, verb, Some(Effect::Drive { what: "browser".to_owned() }));
        return;
    }
    if urls.is_empty() {
        push(
            call,
            verb,
            Some(Effect::Request { host: String::new(), port: None, url: None, sends }),
        );
    }
    for url in urls {
        let effect = request(&url, sends);
        push(call, verb, Some(effect));
    }
}

/// The request that a URL means. What does not parse has no host, which no list can hold.
#[must_use]
pub fn request(text: &str, sends: bool) -> Effect {
    let trimmed = text.trim();
    let parsed = match url::Url::parse(trimmed) {
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            url::Url::parse(&format!("https://{}", trimmed.trim_start_matches('/')))
        }
        // `host:8080/path` reads as a scheme named after the host.
        Ok(url) if url.cannot_be_a_base() && trimmed.contains('.') => {
            url::Url::parse(&format!("https://{trimmed}"))
        }
        other => other,
    };
    match parsed {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "ws" | "wss") => {
            let credentials = !url.username().is_empty() || url.password().is_some();
            Effect::Request {
                host: url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase(),
                port: url.port_or_known_default(),
                sends: sends || credentials,
                url: Some(trimmed.to_owned()),
            }
        }
        _ => Effect::Request {
            host: String::new(),
            port: None,
            url: Some(trimmed.to_owned()),
            sends: true,
        },
    }
}

fn schedule_items(call: &mut Call<'_>) {
    let target = object_or_tool(call);
    push(call, Verb::Schedule, Some(Effect::Schedule { target }));
    // A job that starts a program on the host, or whose script calls tools without a model turn.
    if call.uses.iter().any(|u| matches!(u.role, Role::Argv | Role::Code)) {
        call.escapes_sandbox = true;
        let why = "a job that runs a program outside every sandbox".to_owned();
        call.opaque.push(why.clone());
        push(call, Verb::Run, Some(Effect::Opaque { why }));
    }
    let recipients: Vec<String> =
        call.of_role(Role::Recipient).map(|u| u.text.to_string()).collect();
    if !recipients.is_empty() {
        let channel =
            call.of_role(Role::Channel).next().map(|u| u.text.to_string()).unwrap_or_default();
        // A delivery target may be a webhook.
        for to in recipients.iter().filter(|to| is_url(to)).cloned().collect::<Vec<_>>() {
            let effect = request(&to, true);
            push(call, Verb::Post, Some(effect));
        }
        push(call, Verb::Send, Some(Effect::Send { channel, recipients }));
    }
}

fn shell_items(params: &Value, cx: &Surroundings<'_>, call: &mut Call<'_>) {
    let workdir = params.get("workdir").and_then(Value::as_str).unwrap_or_default().trim();
    let cwd = if workdir.is_empty() {
        cx.workspace.to_owned()
    } else {
        paths::resolve(workdir, cx.workspace, cx.places).unwrap_or_else(|| {
            call.faults.push(Fault::BadPath(bounded(workdir).to_owned()));
            "/".to_owned()
        })
    };
    let host = params.get("host").and_then(Value::as_str).unwrap_or("auto").trim();
    call.escapes_sandbox = !matches!(host.to_ascii_lowercase().as_str(), "" | "auto" | "sandbox")
        || params.get("elevated").is_some_and(|v| v != &Value::Bool(false) && !v.is_null())
        || call.tool == "terminal";
    let mut vars = BTreeMap::new();
    if let Some(env) = params.get("env").and_then(Value::as_object) {
        for (name, value) in env.iter().take(256) {
            if let Some(value) = value.as_str() {
                vars.insert(name.clone(), value.to_owned());
            }
        }
    }
    let commands: Vec<String> = call.of_role(Role::Command).map(|u| u.text.to_string()).collect();
    for text in commands {
        let shell = shell::ShellContext {
            cwd: &cwd,
            home: &cx.places.home,
            workspace: cx.workspace,
            vars: &vars,
            limits: shell::Limits::default(),
        };
        let mut analysis = shell::analyze(&text, &shell);
        if let Some(what) = analysis.limited {
            call.faults.push(Fault::Oversize(what));
        }
        analysis.map_paths(|path| paths::inside_view(path, cx.workspace));
        push(call, Verb::Run, None);
        for effect in analysis.effects {
            let verb = verb_of_effect(&effect);
            call.items.push(Item { verb, effect: Some(effect), via: Via::Shell });
        }
        call.flows.extend(analysis.flows);
        call.literals.extend(analysis.literals);
        call.opaque.extend(analysis.opaque);
    }
}

/// The verb under which an effect of shell text is judged.
#[must_use]
pub fn verb_of_effect(effect: &Effect) -> Verb {
    match effect {
        Effect::Read { .. } => Verb::Read,
        Effect::Write { .. } => Verb::Write,
        Effect::Delete { .. } => Verb::Delete,
        Effect::List { .. } => Verb::List,
        Effect::Run { .. } | Effect::Opaque { .. } => Verb::Run,
        Effect::Request { sends: true, .. } => Verb::Post,
        Effect::Request { .. } => Verb::Fetch,
        Effect::Listen { .. } => Verb::Listen,
        Effect::Send { .. } => Verb::Send,
        Effect::MemoryWrite { .. } => Verb::MemoryWrite,
        Effect::ConfigChange { .. } => Verb::Config,
        Effect::Install { .. } => Verb::Install,
        Effect::Schedule { .. } => Verb::Schedule,
        Effect::Session { op, .. } => match op.as_str() {
            "spawn" => Verb::Spawn,
            "read" => Verb::SessionRead,
            "stop" => Verb::SessionStop,
            _ => Verb::SessionSend,
        },
        Effect::Drive { what } => match what.as_str() {
            "browser" | "canvas" => Verb::Browser,
            "node" => Verb::Node,
            _ => Verb::Computer,
        },
        Effect::Pay { .. } => Verb::Pay,
    }
}

/// The effects as they are reported, with the meaning that a path's place gives them.
#[must_use]
pub fn effects(call: &Call<'_>, workspace: &str, places: &Places) -> Vec<Effect> {
    let mut out: Vec<Effect> = Vec::new();
    for item in &call.items {
        let Some(effect) = &item.effect else { continue };
        if !out.contains(effect) {
            out.push(effect.clone());
        }
        if let Effect::Write { path } | Effect::Delete { path } = effect {
            let target = path.clone();
            let meaning = match paths::classify(path, workspace, places) {
                PathClass::Identity | PathClass::Memory => Some(Effect::MemoryWrite { target }),
                PathClass::Skill | PathClass::Autorun => Some(Effect::Install { target }),
                PathClass::Config | PathClass::Guard => Some(Effect::ConfigChange { target }),
                PathClass::Persistence => Some(Effect::Schedule { target }),
                _ => None,
            };
            if let Some(meaning) = meaning.filter(|m| !out.contains(m)) {
                out.push(meaning);
            }
        }
        if out.len() >= 512 {
            out.push(Effect::Opaque { why: "and more than an event holds".to_owned() });
            break;
        }
    }
    if let Some(inner) = &call.inner {
        for effect in effects(inner, workspace, places) {
            if !out.contains(&effect) {
                out.push(effect);
            }
        }
    }
    out
}

/// Whether the value of a setting is long enough to carry something. The words that settings take
/// are shorter, and what is shorter is not recognised anywhere.
fn holds_text(value: &str) -> bool {
    value.len() > 12
}
