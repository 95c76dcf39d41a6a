//! The decision: a pure function of the bundle, the session and the action.

use crate::approvals::AskKey;
use crate::budget::Cost;
use crate::bundle::Bundle;
use crate::call::{self, Call, Fault, Item, Surroundings, Via};
use crate::catalogue::{Role, ToolSpec, Verb};
use crate::digest;
use crate::facts::{Facts, Payload, Target, Words};
use crate::hosts;
use crate::influence;
use crate::paths::{self, PathClass};
use crate::sequence::Event;
use crate::session::{Asked, OpenCall, SessionState};
use crate::trust::{SessionKind, Trust};
use seawall_model::label::{Confidentiality, Integrity, Label};
use seawall_model::{Action, ActionKind, Decision, Effect, Permit, Reason, ToolCall, Verdict};
use std::sync::Arc;

/// Most reasons given; the first are the strictest.
const MAX_REASONS: usize = 8;

/// What was decided, with what the daemon needs besides the verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// The answer.
    pub verdict: Verdict,
    /// The questions, when a person is asked.
    pub asks: Vec<AskKey>,
    /// The questions that were answered with yes before, when the call is allowed.
    pub answered: Vec<AskKey>,
    /// Digest of tool and arguments.
    pub digest: String,
}

/// May this happen?
#[must_use]
pub fn decide(bundle: &Bundle, state: &SessionState, action: &Action, now_ms: u64) -> Verdict {
    decide_fully(bundle, state, action, now_ms).verdict
}

/// As [`decide`], with the questions that an ask stands for.
#[must_use]
pub fn decide_fully(
    bundle: &Bundle,
    state: &SessionState,
    action: &Action,
    now_ms: u64,
) -> Decided {
    let call = tool_call(&action.kind);
    let digest = digest::of(&call);
    let judge = Judge::new(bundle, state, action, &digest, now_ms);
    let analysed = judge.analyse(&call);
    let mut found = Found::default();
    judge.call(&analysed, &mut found);
    let (settings, used) = (bundle.settings(), cost(&analysed));
    let sender = state.shared.sender.as_ref();
    for (who, table, counters, limits) in [
        ("session", "budget", Some(&state.counters), &settings.budget),
        ("agent", "agent_budget", Some(&state.shared.agent), &settings.agent_budget),
        ("sender", "sender_budget", sender, &settings.sender_budget),
    ] {
        if let Some((key, limit)) = counters.and_then(|c| c.exceeded(used, limits, now_ms)) {
            found.deny(
                Reason::new("budget", format!("this {who} used up its limit of {limit} ({key})"))
                    .remedy(format!("wait, or raise policy.{table}.{key}")),
            );
        }
    }
    let mut answered = found.answered(&digest, &action.call_id, state, now_ms);
    // A yes must not cover what nobody was shown.
    if found.more || found.asks.len() > MAX_REASONS {
        found.deny(
            Reason::new(
                "ask.too-many",
                format!("the call asks for more than {MAX_REASONS} different things at once"),
            )
            .remedy("split the call"),
        );
    }
    let decision = found.decision();
    if decision != Decision::Allow {
        answered.clear();
    }
    let mut reasons = found.denies;
    let asks = if decision == Decision::Ask {
        reasons = found.asks.iter().map(|(_, r)| r.clone()).collect();
        found.asks.into_iter().map(|(k, _)| k).collect()
    } else {
        Vec::new()
    };
    reasons.truncate(MAX_REASONS);
    let permit = (decision == Decision::Allow).then(|| Permit {
        call_id: action.call_id.clone(),
        digest: digest.clone(),
        bundle: bundle.version().to_owned(),
        expires_ms: now_ms.saturating_add(bundle.settings().permit_seconds * 1000),
    });
    let effects = call::effects(&analysed, &judge.workspace, &bundle.settings().places);
    let verdict = Verdict { decision, reasons, effects, params: None, permit };
    Decided { verdict, asks, answered, digest }
}

/// Every action is judged as a tool call: those that are none as the one they amount to.
fn tool_call(kind: &ActionKind) -> std::borrow::Cow<'_, ToolCall> {
    use std::borrow::Cow;
    let made = |tool: &str, params: serde_json::Value| {
        Cow::Owned(ToolCall { tool: tool.to_owned(), params, derived_paths: Vec::new() })
    };
    match kind {
        ActionKind::ToolCall(call) => Cow::Borrowed(call),
        ActionKind::MessageOut { channel, to, text } => made(
            "message",
            serde_json::json!({"action": "send", "channel": channel, "target": to, "message": text}),
        ),
        ActionKind::Install { what, name, source } => made(
            "plugins",
            serde_json::json!({"action": "install", "packageName": name, "source": what, "query": source}),
        ),
    }
}

/// The tool that an action is judged as.
pub(crate) fn tool_name(kind: &ActionKind) -> &str {
    match kind {
        ActionKind::ToolCall(call) => &call.tool,
        ActionKind::MessageOut { .. } => "message",
        ActionKind::Install { .. } => "plugins",
    }
}

/// What one call uses of the budget.
fn cost(call: &Call<'_>) -> Cost {
    let mut cost = Cost::default();
    for item in &call.items {
        match item.verb {
            Verb::Spawn => cost.spawns += 1,
            Verb::Send | Verb::Post | Verb::Grant | Verb::Pay | Verb::Schedule => cost.sends += 1,
            _ => {}
        }
    }
    if cost.sends > 0 {
        cost.bytes = call.uses.iter().map(|u| u.text.len() as u64).sum();
    }
    // A call inside is counted when it is made.
    cost
}

/// What was found against a call.
#[derive(Debug, Default)]
struct Found {
    denies: Vec<Reason>,
    asks: Vec<(AskKey, Reason)>,
    /// There were more questions than are kept.
    more: bool,
}

impl Found {
    fn deny(&mut self, reason: Reason) {
        if !self.denies.contains(&reason) && self.denies.len() < 64 {
            self.denies.push(reason);
        }
    }

    fn ask(&mut self, key: AskKey, reason: Reason) {
        if self.asks.iter().any(|(k, _)| *k == key) {
            return;
        }
        if self.asks.len() < 64 {
            self.asks.push((key, reason));
        } else {
            self.more = true;
        }
    }

    /// Leaves out what a person has answered already, and returns it.
    ///
    /// The same question about another call was asked before and not answered with yes: asking
    /// again would train the person to say yes, so it is a no until they speak.
    fn answered(
        &mut self,
        digest: &str,
        call_id: &str,
        state: &SessionState,
        now_ms: u64,
    ) -> Vec<AskKey> {
        let mut answered = Vec::new();
        self.asks.retain(|(key, _)| {
            let covered = [&state.grants, &state.given]
                .iter()
                .any(|grants| grants.covers(key, digest, now_ms));
            if covered {
                answered.push(key.clone());
            }
            !covered
        });
        let again =
            |key: &AskKey| state.asked.iter().any(|a| a.key == *key && a.call_id != call_id);
        if self.asks.iter().any(|(key, _)| again(key)) {
            for (_, reason) in std::mem::take(&mut self.asks) {
                self.deny(Reason {
                    text: format!("{} (asked before in this turn, and not allowed)", reason.text),
                    ..reason
                });
            }
        }
        answered
    }

    fn decision(&self) -> Decision {
        if !self.denies.is_empty() {
            Decision::Deny
        } else if !self.asks.is_empty() {
            Decision::Ask
        } else {
            Decision::Allow
        }
    }
}

/// One action in its surroundings.
struct Judge<'a> {
    bundle: &'a Bundle,
    state: &'a SessionState,
    action: &'a Action,
    trust: Trust,
    kind: SessionKind,
    workspace: String,
    now_ms: u64,
    hosts: std::borrow::Cow<'a, [String]>,
    /// Digest of tool and arguments.
    digest: &'a str,
}

impl<'a> Judge<'a> {
    fn new(
        bundle: &'a Bundle,
        state: &'a SessionState,
        action: &'a Action,
        digest: &'a str,
        now_ms: u64,
    ) -> Self {
        let places = &bundle.settings().places;
        let workspace = action
            .origin
            .workspace
            .as_deref()
            .filter(|w| w.starts_with('/') && *w != "/")
            .map_or_else(|| places.workspace.clone(), paths::normalise);
        Self {
            trust: bundle.trust(state, &action.origin),
            kind: SessionKind::of(&action.origin.session_key),
            hosts: bundle.listed_hosts(&action.origin, &state.makers),
            bundle,
            state,
            action,
            workspace,
            now_ms,
            digest,
        }
    }

    fn analyse<'c>(&self, call: &'c ToolCall) -> Call<'c> {
        let lookup = |name: &str| lookup(self.bundle, self.state, name);
        let cx = Surroundings {
            places: &self.bundle.settings().places,
            workspace: &self.workspace,
            lookup: &lookup,
        };
        call::analyse(call, &cx)
    }

    /// Judges a call and the one inside it.
    fn call(&self, call: &Call<'_>, found: &mut Found) {
        for fault in &call.faults {
            found.deny(fault_reason(fault, call.tool));
        }
        let known = influence::Known::default();
        for item in &call.items {
            if !self.is_ordinary_file(item) {
                self.item(call, item, &known, found);
            }
        }
        if let Some(inner) = &call.inner {
            let mut inside = Found::default();
            self.call(inner, &mut inside);
            // The envelope is refused when its content would be. A question is left to the call
            // inside, which is judged when it is made: otherwise it would be asked twice.
            for reason in inside.denies {
                found.deny(reason);
            }
        }
    }

    /// Shell text names what a path could mean wherever it is; a path that is an ordinary file of
    /// this workspace means nothing more, and is judged as a file beside it.
    fn is_ordinary_file(&self, item: &Item) -> bool {
        let (Via::Shell, Some(effect)) = (item.via, &item.effect) else { return false };
        let (Effect::Install { target }
        | Effect::ConfigChange { target }
        | Effect::MemoryWrite { target }
        | Effect::Schedule { target }) = effect
        else {
            return false;
        };
        let Some(path) = target.find('/').and_then(|at| target.get(at..)) else { return false };
        paths::below(path, &self.workspace)
            && self.path_class(path, Verb::Write) == PathClass::Workspace
    }

    fn item(&self, call: &Call<'_>, item: &Item, known: &influence::Known, found: &mut Found) {
        let (mut facts, mut words, target) = self.facts(call, item);
        (facts.payload, words.why) = self.payload(call, item, &facts.host, known);
        let outcome = self.bundle.evaluate(&facts, &target);
        // A yes is about all whom the call reaches: it is another question with one more.
        let asked = match words.targets.as_str() {
            "" => target.clone(),
            all if facts.path.is_empty() && facts.host.is_empty() => all.to_owned(),
            all => format!("{target}, {all}"),
        };
        // Without a target a yes is about this very call; and to fetch is not to send.
        let asked = if words.aimless {
            format!("{asked} {}", self.digest)
        } else if facts.sends && !facts.host.is_empty() {
            format!("{asked} (data goes there)")
        } else {
            asked
        };
        let event = Event::before(&facts);
        for (rule, reason) in
            self.bundle.sequences().completed(&self.state.sequences, event, self.now_ms)
        {
            match rule.decision.decision() {
                Decision::Ask => found.ask(self.key(&reason, &facts, &asked), reason),
                _ => found.deny(reason),
            }
        }
        match outcome.decision {
            Decision::Allow => {}
            Decision::Ask => {
                let reasons = self.bundle.rules().reasons(&outcome, &facts, &words);
                for reason in reasons {
                    found.ask(self.key(&reason, &facts, &asked), reason);
                }
            }
            Decision::Rewrite | Decision::Deny => {
                for reason in self.bundle.rules().reasons(&outcome, &facts, &words) {
                    found.deny(reason);
                }
            }
        }
    }

    /// What exactly is asked.
    fn key(&self, reason: &Reason, facts: &Facts, target: &str) -> AskKey {
        AskKey {
            rule: reason.rule.clone(),
            tool: if reason.rule == "influence.unlicensed" {
                String::new()
            } else {
                facts.tool.clone()
            },
            agent: facts.agent.clone(),
            // Whether the person asked for such an act is not a question about its target.
            target: if reason.rule == "influence.unlicensed" {
                facts.verb.words().to_owned()
            } else {
                target.to_owned()
            },
        }
    }

    /// The facts of one item but for its payload, the words for its reasons, and its target as a
    /// text.
    fn facts(&self, call: &Call<'_>, item: &Item) -> (Facts, Words, String) {
        let settings = self.bundle.settings();
        let origin = &self.action.origin;
        let requester = origin.requester.as_ref();
        let (mut path, mut host, mut program) = (String::new(), String::new(), String::new());
        let (mut path_class, mut host_class) = (None, None);
        let (mut sends, mut opaque) = (false, false);
        let mut words = Words::default();
        match &item.effect {
            Some(
                Effect::Read { path: p }
                | Effect::Write { path: p }
                | Effect::Delete { path: p }
                | Effect::List { path: p },
            ) => {
                path_class = Some(self.path_class(p, item.verb));
                path = p.clone();
            }
            Some(Effect::Request { host: h, sends: s, url, .. }) => {
                host_class = Some(self.host_class(h));
                host = h.clone();
                sends = *s || url.as_deref().is_some_and(|u| u.contains('?'));
            }
            Some(Effect::Run { program: p }) => {
                program = p.rsplit('/').next().unwrap_or(p).to_lowercase();
                // `npx openclaw`, `openclaw.mjs`
                for control in ["openclaw", "clawhub"] {
                    if program.starts_with(control) {
                        control.clone_into(&mut program);
                    }
                }
            }
            Some(Effect::Opaque { .. }) => opaque = true,
            Some(Effect::Drive { what }) => words.what.clone_from(what),
            Some(
                Effect::MemoryWrite { target }
                | Effect::ConfigChange { target }
                | Effect::Install { target }
                | Effect::Schedule { target },
            ) if item.via == Via::Shell => path.clone_from(target),
            _ => {}
        }
        let reached = influence::target(call, item.verb, self.state, settings);
        let mut target = reached.origin;
        words.target = reached.shown;
        if item.via == Via::Tool {
            words.targets = reached.all;
        }
        if item.via == Via::Shell {
            target = if host.is_empty() {
                Target::None
            } else {
                influence::origin(&host, Role::Url, "", call.tool, self.state, settings)
            };
        }
        target = self.selection(call, item.verb, target);
        let file_label = (!path.is_empty()).then(|| self.state.file_label(&path)).flatten();
        // A build tool may look for packages. The sandbox gives it no network, so it is judged as
        // the program that it is; a program that exists to reach the network is judged as that.
        let verb = if item.via == Via::Shell
            && item.verb == Verb::Fetch
            && host.is_empty()
            && !call.escapes_sandbox
            && !runs_network_client(call)
        {
            opaque = true;
            host_class = None;
            Verb::Run
        } else {
            item.verb
        };
        let facts = Facts {
            verb,
            trust: self.trust,
            session: self.kind,
            agent: origin.agent_id.clone(),
            session_key: origin.session_key.clone(),
            channel: requester.and_then(|r| r.channel.clone()).unwrap_or_default(),
            sender: requester.and_then(|r| r.sender_id.clone()).unwrap_or_default(),
            tool: call::bounded(call.tool).to_owned(),
            tool_denied: self.bundle.tool_denied(call.tool, origin, &self.state.makers),
            known: call.known,
            via: item.via,
            path_class,
            host_class,
            program,
            sends,
            opaque,
            sandboxed: !call.escapes_sandbox,
            outside: self.state.is_outside(),
            licensed: self.licensed(call, item.verb, target),
            target,
            payload: Payload::Clean,
            tainted_file: file_label.is_some_and(|l| l.integrity == Integrity::Outside),
            path,
            host,
        };
        let text = [&facts.path, &facts.host, &words.target, &facts.program]
            .into_iter()
            .find(|t| !t.is_empty())
            .map_or_else(|| call::bounded(call.tool).to_owned(), Clone::clone);
        words.aimless = facts.path.is_empty()
            && facts.host.is_empty()
            && words.target.is_empty()
            && facts.program.is_empty();
        (facts, words, text)
    }

    /// What one item carries, with the reason.
    fn payload(
        &self,
        call: &Call<'_>,
        item: &Item,
        host: &str,
        known: &influence::Known,
    ) -> (Payload, String) {
        let settings = self.bundle.settings();
        let cx = influence::Payloads {
            state: self.state,
            settings,
            workspace: &self.workspace,
            places: &settings.places,
            known,
        };
        let (payload, why) = influence::payload(call, item.verb, item.via, host, &cx);
        let sink = payload == Payload::Private
            && matches!(item.verb, Verb::Fetch | Verb::Post | Verb::Search)
            && settings.private_sinks.iter().any(|p| hosts::matches_pattern(host, p));
        (if sink { Payload::Clean } else { payload }, why)
    }

    /// A target that the model picked from a list counts as picked only when the person left the
    /// choice to it, or when what is said is the person's own.
    fn selection(&self, call: &Call<'_>, verb: Verb, target: Target) -> Target {
        if !matches!(target, Target::Selected | Target::Directory) || !self.state.is_outside() {
            return target;
        }
        if !verb.consequential() || self.state.words.selects() || self.own_words(call) {
            return target;
        }
        Target::Unseen
    }

    /// Whether everything that a call says was said by the person.
    fn own_words(&self, call: &Call<'_>) -> bool {
        let mut any = false;
        for u in call.of_role(Role::Text) {
            any = true;
            if !self.state.words.name(&crate::words::fold(&u.text)) {
                return false;
            }
        }
        any
    }

    fn licensed(&self, _call: &Call<'_>, verb: Verb, target: Target) -> bool {
        if self.state.words.license(verb) {
            return true;
        }
        // A document to which the person handed the task may ask for what harms nobody.
        matches!(verb, Verb::Create | Verb::Change | Verb::Send | Verb::Post)
            && self.state.words.delegates()
            && self.state.memory.delegated.license(verb)
            && target <= Target::Record
    }

    fn path_class(&self, path: &str, verb: Verb) -> PathClass {
        let settings = self.bundle.settings();
        let class = paths::classify(path, &self.workspace, &settings.places);
        if matches!(class, PathClass::Outside | PathClass::Persistence | PathClass::State) {
            let writes = matches!(verb, Verb::Write | Verb::Delete);
            // The narrowest folder counts: one that may be read lies as it is in one that may be
            // written.
            let write = settings.write_folders.iter().map(|folder| (folder, true));
            let read = settings.read_folders.iter().map(|folder| (folder, false));
            let listed = write
                .chain(read)
                .filter(|(folder, _)| paths::below(path, folder))
                .max_by_key(|(folder, write)| (folder.len(), *write))
                .is_some_and(|(_, write)| write || !writes);
            if listed && class == PathClass::Outside {
                return PathClass::Workspace;
            }
        }
        class
    }

    fn host_class(&self, host: &str) -> hosts::HostClass {
        let class = hosts::classify(host, &self.hosts);
        let inside = &self.bundle.settings().private_hosts;
        if class == hosts::HostClass::Private
            && inside.iter().any(|p| hosts::matches_pattern(host, p))
        {
            return hosts::HostClass::Listed;
        }
        class
    }
}

/// Programs whose purpose is to reach the network.
const NETWORK_CLIENTS: &[&str] = &[
    "curl",
    "wget",
    "aria2c",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "ftp",
    "lftp",
    "telnet",
    "openssl",
    "dig",
    "nslookup",
    "host",
    "drill",
    "ping",
    "traceroute",
    "http",
    "https",
    "xh",
    "curlie",
    "mail",
    "sendmail",
    "mutt",
    "msmtp",
    "swaks",
    "rclone",
    "aws",
    "gcloud",
    "az",
    "gsutil",
    "s3cmd",
    "gh",
    "glab",
    "lynx",
    "w3m",
    "links",
    "elinks",
    "axel",
    "httpie",
    "whois",
    "ngrok",
    "cloudflared",
    "tailscale",
    "chisel",
];

fn runs_network_client(call: &Call<'_>) -> bool {
    call.items.iter().any(|item| match &item.effect {
        Some(Effect::Run { program }) => {
            let name = program.rsplit('/').next().unwrap_or(program);
            NETWORK_CLIENTS.contains(&name)
        }
        _ => false,
    })
}

/// The specification of a tool: the catalogue's and the operator's before what a server says of
/// itself.
fn lookup(bundle: &Bundle, state: &SessionState, name: &str) -> Option<Arc<ToolSpec>> {
    bundle.catalogue().get(name).or_else(|| state.offers.get(name)).cloned()
}

fn fault_reason(fault: &Fault, tool: &str) -> Reason {
    let tool = call::bounded(tool);
    match fault {
        Fault::UnknownParam(name) => Reason::new(
            "call.unknown-parameter",
            format!("`{tool}` has no parameter `{}` that Seawall knows, and what it carries could leave", call::bounded(name)),
        )
        .remedy("leave it out, or declare the tool in a [[tool]] table of the policy"),
        Fault::ForbiddenParam(name) => Reason::new(
            "call.forbidden-parameter",
            format!("`{}` would point `{tool}` at another gateway", call::bounded(name)),
        )
        .remedy("leave it out"),
        Fault::Oversize(what) => Reason::new(
            "call.oversize",
            format!("the arguments of `{tool}` exceed the limit on {what}"),
        )
        .remedy("split the call"),
        Fault::BadPath(path) => {
            let why = format!("`{}` is not a path that is read one way only", call::bounded(path));
            Reason::new("call.bad-path", why)
                .remedy("name the file plainly: no `@` in front, no blanks at the ends, no `%` in a `file:` URL")
        }
        Fault::NoInner => Reason::new(
            "call.no-inner",
            format!("`{tool}` names no tool to call, or is nested too deeply"),
        )
        .remedy("call the tool itself"),
    }
}

/// Takes a decision into the session: counts it, and remembers an allowed call until its result
/// comes.
pub fn commit(
    bundle: &Bundle,
    state: &mut SessionState,
    action: &Action,
    verdict: &Verdict,
    now_ms: u64,
) {
    state.step = state.step.saturating_add(1);
    if verdict.decision == Decision::Ask {
        let decided = decide_fully(bundle, state, action, now_ms);
        for key in decided.asks {
            let (call_id, digest) = (action.call_id.clone(), decided.digest.clone());
            if !state.asked.iter().any(|a| a.key == key && a.call_id == call_id) {
                state.asking(Asked { key, call_id, digest });
            }
        }
    }
    if verdict.decision != Decision::Allow {
        return;
    }
    let call = tool_call(&action.kind);
    let digest = digest::of(&call);
    state.asked.retain(|a| a.digest != digest && a.call_id != action.call_id);
    state.grants.spend(&digest, now_ms);
    let judge = Judge::new(bundle, state, action, &digest, now_ms);
    let analysed = judge.analyse(&call);
    let cost = cost(&analysed);
    let workspace = judge.workspace.clone();
    let places = &bundle.settings().places;
    let events: Vec<Facts> =
        analysed.items.iter().map(|item| judge.facts(&analysed, item).0).collect();
    // A page that the person's words led to may be mentioned from then on.
    let mut followed = Vec::new();
    for (facts, item) in events.iter().zip(&analysed.items) {
        if let Some(Effect::Request { url: Some(url), .. }) = &item.effect
            && matches!(facts.target, Target::User | Target::Record)
        {
            followed.push(url.clone());
        }
    }
    for url in followed {
        state.memory.follow(&url);
    }
    for facts in &events {
        bundle.sequences().advance(&mut state.sequences, Event::before(facts), now_ms);
    }
    // What the call reads: the label of its result, and of what it writes.
    let mut read: Option<Label> = None;
    let mut writes = Vec::new();
    let mut opaque = false;
    for item in &analysed.items {
        match &item.effect {
            Some(Effect::Read { path }) => {
                let label = label_of_path(path, &workspace, places, state);
                read = Some(read.map_or_else(|| label.clone(), |r: Label| r.join(&label)));
            }
            Some(Effect::Write { path }) if writes.len() < 256 => writes.push(path.clone()),
            // What a command fetches is as much from outside as a page.
            Some(Effect::Request { .. }) if item.via == Via::Shell => {
                let label = Label::new(Integrity::Outside, Confidentiality::Internal).with("web");
                read = Some(read.map_or_else(|| label.clone(), |r: Label| r.join(&label)));
            }
            Some(Effect::Opaque { .. }) => opaque = true,
            _ => {}
        }
    }
    // A program that cannot be seen through may have read everything in the workspace.
    if opaque && let Some(label) = state.file_label(&workspace) {
        read = Some(read.map_or_else(|| label.clone(), |r: Label| r.join(&label)));
    }
    let followed = std::mem::take(&mut state.followed);
    // What the model writes holds what the session has seen.
    let written = match (&state.label, &read) {
        (Some(a), Some(b)) => Some(a.join(b)),
        (Some(a), None) | (None, Some(a)) => Some(a.clone()),
        (None, None) => None,
    };
    let open = OpenCall { call_id: action.call_id.clone(), label: read, writes: writes.clone() };
    state.counters.spend(cost, now_ms);
    state.shared.agent.spend(cost, now_ms);
    if let Some(sender) = &mut state.shared.sender {
        sender.spend(cost, now_ms);
    }
    if let Some(label) = written
        && (label.integrity == Integrity::Outside
            || label.confidentiality >= Confidentiality::Private)
    {
        for path in &writes {
            state.label_file(path, label.clone());
        }
        // It may have written what the session has seen, and what it read, to any file there,
        // unless somebody looks which files it changed.
        if opaque && !followed {
            state.label_file(&workspace, label);
        }
    }
    state.opened(open);
}

/// The label of a file from its place, joined with what was written to it.
#[must_use]
pub fn label_of_path(
    path: &str,
    workspace: &str,
    places: &paths::Places,
    state: &SessionState,
) -> Label {
    let base = match paths::classify(path, workspace, places) {
        PathClass::Credential | PathClass::State | PathClass::Config => {
            Label::new(Integrity::Workspace, Confidentiality::Secret).with("credentials")
        }
        PathClass::Memory | PathClass::Identity => {
            Label::new(Integrity::Workspace, Confidentiality::Private).with("memory")
        }
        PathClass::System => Label::new(Integrity::Workspace, Confidentiality::Public),
        _ => Label::new(Integrity::Workspace, Confidentiality::Internal),
    };
    let held =
        matches!(paths::classify(path, workspace, places), PathClass::Identity | PathClass::Memory);
    match if held { state.held_label(path) } else { state.file_label(path) } {
        Some(label) => base.join(&label),
        None => base,
    }
}
