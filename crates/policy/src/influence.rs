//! Where the targets of a call come from, and what its payload carries.

use crate::call::{self, Call, Via};
use crate::catalogue::{Role, Verb};
use crate::facts::{Payload, Target};
use crate::paths::{self, PathClass, Places};
use crate::provenance::{atoms, decode, key, secrets};
use crate::session::SessionState;
use crate::settings::Settings;
use crate::shell;
use seawall_model::label::Confidentiality;
use std::borrow::Cow;
use std::cell::OnceCell;

/// The targets of a call.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    /// Where the least believed one comes from.
    pub origin: Target,
    /// Those that come from there, for the reason; a long list ends with how many more there are.
    pub shown: String,
    /// All that are neither the person's, nor the policy's, nor of this conversation. Equal for
    /// two calls only when they reach the same ones.
    pub all: String,
}

/// Most targets named in a reason.
const MAX_SHOWN: usize = 4;
/// Longest text that stands for all targets; of a longer one the hash tells it from others.
const MAX_ALL: usize = 400;

/// The targets of a call.
#[must_use]
pub fn target(call: &Call<'_>, verb: Verb, state: &SessionState, settings: &Settings) -> Reached {
    let mut worst: (Target, Vec<&str>) = (Target::None, Vec::new());
    let mut all = std::collections::BTreeSet::new();
    let mut any = false;
    for u in &call.uses {
        let counts = match u.role {
            Role::Recipient | Role::Session => true,
            Role::Object => verb != Verb::Fetch,
            Role::Url => true,
            _ => false,
        };
        if !counts || u.text.trim().is_empty() {
            continue;
        }
        any = true;
        for part in parts(&u.text, u.role) {
            // To put oneself on one's own appointment addresses nobody else.
            if matches!(verb, Verb::Create | Verb::Change)
                && settings.owner.iter().any(|o| key(o) == key(part))
            {
                continue;
            }
            let origin = origin(part, u.role, &u.param, call.tool, state, settings);
            if origin > worst.0 {
                worst = (origin, Vec::new());
            }
            if origin == worst.0 && !worst.1.contains(&part) {
                worst.1.push(part);
            }
            if origin > Target::Policy {
                all.insert(part);
            }
        }
    }
    if !any && matches!(verb, Verb::Send | Verb::Reply) {
        return Reached { origin: Target::Current, ..Reached::default() };
    }
    let mut shown =
        worst.1.iter().take(MAX_SHOWN).map(|t| call::bounded(t)).collect::<Vec<_>>().join(", ");
    if let Some(more) = worst.1.len().checked_sub(MAX_SHOWN).filter(|n| *n > 0) {
        shown = format!("{shown} and {more} more");
    }
    let mut all = all.into_iter().collect::<Vec<_>>().join(", ");
    if all.len() > MAX_ALL {
        all = format!("{} … {}", call::bounded(&all), blake3::hash(all.as_bytes()).to_hex());
    }
    Reached { origin: worst.0, shown, all }
}

/// A list in one string is several targets.
fn parts(text: &str, role: Role) -> impl Iterator<Item = &str> {
    let splits = role == Role::Recipient;
    text.split(move |c: char| splits && matches!(c, ',' | ';'))
        .map(str::trim)
        .filter(|p| !p.is_empty())
}

/// Where one target comes from.
#[must_use]
pub fn origin(
    value: &str,
    role: Role,
    param: &str,
    tool: &str,
    state: &SessionState,
    settings: &Settings,
) -> Target {
    let folded = key(value);
    if role == Role::Recipient || role == Role::Session {
        let current = state
            .conversations
            .iter()
            .any(|(channel, id)| key(id) == folded || key(&format!("{channel}:{id}")) == folded);
        if current || (role == Role::Session && folded == "current") {
            return Target::Current;
        }
    }
    let own = settings.owner.iter().any(|o| key(o) == folded);
    if own && state.words.myself() {
        return Target::User;
    }
    if named(&folded, role, state) {
        return Target::User;
    }
    if settings.listed_recipients.iter().any(|r| key(r) == folded) {
        return Target::Policy;
    }
    if role == Role::Url {
        return url_origin(value, &folded, state);
    }
    let found = state.memory.origin(value);
    match found {
        // A short number is the id of many things; it must belong to the kind of thing that is
        // acted on.
        Target::Record if is_short_number(&folded) && !state.memory.kin(value, param, tool) => {
            Target::Selected
        }
        Target::Selected | Target::Directory if own => Target::Record,
        // An object that a search for the person's words found is the one they mean; whom it
        // mentions is another matter.
        Target::Selected
            if role == Role::Object
                && state.memory.found(value)
                && (!is_short_number(&folded) || state.memory.kin(value, param, tool)) =>
        {
            Target::Record
        }
        found => found,
    }
}

fn is_short_number(folded: &str) -> bool {
    folded.len() < 5 && folded.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the person's own words name a value.
fn named(folded: &str, role: Role, state: &SessionState) -> bool {
    if folded.is_empty() {
        return false;
    }
    if is_short_number(folded) {
        // "13" in "on June 13" does not name the object 13.
        return ["id {}", "id '{}'", "id \"{}\"", "#{}", "number {}", "no. {}", "'{}'", "\"{}\""]
            .iter()
            .any(|form| state.words.name(&form.replace("{}", folded)));
    }
    if state.words.name(folded)
        || state.words.name(&format!("@{folded}"))
        || state.words.name(&format!("#{folded}"))
    {
        return true;
    }
    if role == Role::Url {
        // The address of a page on a site that the words name, as long as it carries no data.
        let host = folded.split(['/', '?', '#']).next().unwrap_or_default();
        let bare = !folded.contains(['?', '#']) && folded.len() < 128;
        let site = host.strip_prefix("www.").unwrap_or(host);
        return bare
            && (state.words.name(host)
                || state.words.name(site)
                || state.words.name(&format!("www.{site}"))
                || state.words.texts().any(|t| {
                    atoms::of(t).iter().any(|a| a.kind == atoms::Kind::Link && a.value == folded)
                }));
    }
    false
}

fn url_origin(value: &str, folded: &str, state: &SessionState) -> Target {
    match state.memory.origin(&atoms::link(folded)) {
        Target::Record => Target::Record,
        Target::Selected | Target::Directory => Target::Selected,
        Target::Outside => Target::Outside,
        _ => state.memory.origin(value).max(Target::Unseen),
    }
}

/// What a payload carries, with the reason.
#[must_use]
pub fn payload(
    call: &Call<'_>,
    verb: Verb,
    via: Via,
    host: &str,
    cx: &Payloads<'_>,
) -> (Payload, String) {
    if via == Via::Shell {
        return shell_payload(call, host, cx);
    }
    let outward = matches!(verb, Verb::Send | Verb::Post | Verb::Grant | Verb::Pay)
        || call.of_role(Role::Recipient).next().is_some();
    let known = if outward { &cx.known.outward } else { &cx.known.inward };
    known.get_or_init(|| tool_payload(call, outward, cx)).clone()
}

/// What the arguments of a call carry, seen through.
fn tool_payload(call: &Call<'_>, outward: bool, cx: &Payloads<'_>) -> (Payload, String) {
    let state = cx.state;
    if call.faults.iter().any(|f| matches!(f, call::Fault::Oversize(_))) {
        return (Payload::Unknown, "it is larger than what is looked through".into());
    }
    let mut total = 0usize;
    let mut worst = (Payload::Clean, String::new());
    let mut raise = |p: Payload, why: String| {
        if p > worst.0 {
            worst = (p, why);
        }
    };
    for u in &call.uses {
        if u.role == Role::ReadPath {
            let Some(path) = paths::resolve(&u.text, cx.workspace, cx.places) else { continue };
            match state.file_label(&path).map(|l| l.confidentiality) {
                Some(Confidentiality::Secret) => {
                    raise(
                        Payload::Secret,
                        format!("{} was made from secrets", call::bounded(&path)),
                    );
                }
                Some(Confidentiality::Private) => {
                    raise(
                        Payload::Private,
                        format!("{} was made from private data", call::bounded(&path)),
                    );
                }
                _ => {}
            }
            continue;
        }
        if !matches!(
            u.role,
            Role::Text
                | Role::Query
                | Role::Code
                | Role::Fact
                | Role::Url
                | Role::Argv
                | Role::Recipient
                | Role::Object
                | Role::Session
                | Role::Channel
                | Role::Setting
        ) {
            continue;
        }
        total += u.text.len();
        if total > call::MAX_TEXT {
            raise(Payload::Unknown, "it is larger than what is looked through".into());
            break;
        }
        let text: Cow<'_, str> = u.text.clone();
        if secrets::present(&text) {
            raise(Payload::Secret, format!("`{}` holds a credential", call::bounded(&u.param)));
        }
        let decoded = decode::forms(&text);
        for form in std::iter::once(text.as_ref()).chain(decoded.texts.iter().map(String::as_str)) {
            if let Some(level) = state.memory.carries(form) {
                let what = format!(
                    "`{}` holds text that was read as {}",
                    call::bounded(&u.param),
                    words_of(level)
                );
                raise(
                    if level == Confidentiality::Secret {
                        Payload::Secret
                    } else {
                        Payload::Private
                    },
                    what,
                );
            }
            if form.len() != text.len() && secrets::present(form) {
                raise(
                    Payload::Secret,
                    format!("`{}` holds an encoded credential", call::bounded(&u.param)),
                );
            }
        }
        // A long text backwards is looked at where secrets were read: it costs as much as forwards.
        let backwards = text.len() <= SHORT || state.confidentiality() >= Confidentiality::Secret;
        let held = decoded.backwards.iter().filter(|_| backwards);
        if let Some(level) = held.filter_map(|form| state.memory.carries(form)).max() {
            let what = format!(
                "`{}` holds backwards what was read as {}",
                call::bounded(&u.param),
                words_of(level)
            );
            let secret = level == Confidentiality::Secret;
            raise(if secret { Payload::Secret } else { Payload::Private }, what);
        }
        if outward && matches!(u.role, Role::Text) {
            for form in
                std::iter::once(text.as_ref()).chain(decoded.texts.iter().map(String::as_str))
            {
                if let Some(atom) = foreign(form, state, cx.settings) {
                    raise(Payload::Actionable, format!("it names {}", call::bounded(&atom)));
                }
            }
        }
        if decoded.cut && state.confidentiality() >= Confidentiality::Secret {
            raise(Payload::Unknown, "it holds more encoded text than is looked through".into());
        }
    }
    if state.memory.full
        && outward
        && total > 0
        && state.confidentiality() >= Confidentiality::Private
    {
        raise(
            Payload::Private,
            "this session has read more private text than can be told apart".into(),
        );
    }
    worst
}

/// Texts up to this many bytes are compared backwards as well, whatever was read.
const SHORT: usize = 1024;

/// What is needed to judge a payload.
#[derive(Clone, Copy)]
pub struct Payloads<'a> {
    /// The session.
    pub state: &'a SessionState,
    /// Settings.
    pub settings: &'a Settings,
    /// The agent's workspace.
    pub workspace: &'a str,
    /// Where things are.
    pub places: &'a Places,
    /// What was found before for the same call.
    pub known: &'a Known,
}

/// What the texts of one call carry: the same for each of its items.
#[derive(Debug, Default)]
pub struct Known {
    outward: OnceCell<(Payload, String)>,
    inward: OnceCell<(Payload, String)>,
    literals: OnceCell<(Payload, String)>,
}

fn words_of(level: Confidentiality) -> &'static str {
    match level {
        Confidentiality::Secret => "secret",
        Confidentiality::Private => "private",
        Confidentiality::Internal => "internal",
        Confidentiality::Public => "public",
    }
}

/// A link, account or address that nobody but outsiders named.
fn foreign(text: &str, state: &SessionState, settings: &Settings) -> Option<String> {
    atoms::of(text)
        .into_iter()
        .filter(|a| a.kind.actionable())
        .find(|a| {
            !state.words.name(&a.value)
                && !state.words.name(&format!("www.{}", a.value))
                && !settings.owner.iter().any(|o| key(o) == a.value)
                && state.memory.only_outside(&a.value)
                && !state.words.texts().any(|t| atoms::of(t).iter().any(|b| b.value == a.value))
        })
        .map(|a| a.value)
}

/// Data that a command moves to a host.
fn shell_payload(call: &Call<'_>, host: &str, cx: &Payloads<'_>) -> (Payload, String) {
    let mut worst = (Payload::Clean, String::new());
    let mut raise = |p: Payload, why: String| {
        if p > worst.0 {
            worst = (p, why);
        }
    };
    for flow in &call.flows {
        let to_host = match &flow.to {
            shell::Sink::Host(h) => h == host || h.is_empty() || host.is_empty(),
            // What an unknown program does with its input is not known.
            shell::Sink::Program(_) => true,
            shell::Sink::File(_) => false,
        };
        if !to_host {
            continue;
        }
        match &flow.from {
            shell::Source::File(path) => {
                if paths::classify(path, cx.workspace, cx.places) == PathClass::Credential {
                    raise(Payload::Secret, format!("from {}", call::bounded(path)));
                }
                match cx.state.file_label(path).map(|l| l.confidentiality) {
                    Some(Confidentiality::Secret) => {
                        raise(Payload::Secret, format!("from {}", call::bounded(path)))
                    }
                    Some(Confidentiality::Private) => {
                        raise(Payload::Private, format!("from {}", call::bounded(path)))
                    }
                    _ => {}
                }
            }
            shell::Source::Env(name) => {
                raise(Payload::Private, format!("from the environment (`{}`)", call::bounded(name)))
            }
            shell::Source::Text(text) => {
                if secrets::present(text) {
                    raise(Payload::Secret, "the command holds a credential".into());
                }
                if let Some(level) = cx.state.memory.carries(text) {
                    let p = if level == Confidentiality::Secret {
                        Payload::Secret
                    } else {
                        Payload::Private
                    };
                    raise(
                        p,
                        format!("the command holds text that was read as {}", words_of(level)),
                    );
                }
            }
            _ => {}
        }
    }
    let (payload, why) = cx.known.literals.get_or_init(|| literals(call, cx));
    raise(*payload, why.clone());
    worst
}

/// What the texts of a command carry.
fn literals(call: &Call<'_>, cx: &Payloads<'_>) -> (Payload, String) {
    let mut worst = (Payload::Clean, String::new());
    let mut raise = |p: Payload, why: String| {
        if p > worst.0 {
            worst = (p, why);
        }
    };
    for text in &call.literals {
        if secrets::present(text) {
            raise(Payload::Secret, "the command holds a credential".into());
        }
        for form in std::iter::once(text.as_str())
            .chain(decode::forms(text).texts.iter().map(String::as_str))
        {
            if let Some(level) = cx.state.memory.carries(form) {
                let p = if level == Confidentiality::Secret {
                    Payload::Secret
                } else {
                    Payload::Private
                };
                raise(p, format!("the command holds text that was read as {}", words_of(level)));
            }
        }
    }
    worst
}
