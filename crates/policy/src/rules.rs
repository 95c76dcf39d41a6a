//! Policies in Cedar: loaded strictly, evaluated so that an error is a deny.
//!
//! Cedar skips a policy whose evaluation fails, so a failing `forbid` would stop forbidding.
//! Here any evaluation error denies, and everything is validated against the schema at load, in
//! strict mode, so that errors should not occur at all.

use crate::facts::{Facts, Words};
use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, EntityId, EntityTypeName, EntityUid,
    Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use rustc_hash::FxHashMap;
use seawall_model::{Decision, Reason};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Arc, LazyLock, Mutex};

const SCHEMA: &str = include_str!("../../../content/policy/cedar/schema.cedarschema");

/// The schema that every policy is validated against.
#[must_use]
pub fn schema_text() -> &'static str {
    SCHEMA
}

/// The same, parsed.
///
/// # Errors
/// Never for the shipped schema: a test loads it.
pub fn schema() -> Result<&'static Schema, String> {
    PARSED_SCHEMA.as_ref().map_err(Clone::clone)
}

/// Something that keeps a policy from being loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{col}: {message}")]
pub struct LoadError {
    /// Name of the source.
    pub file: String,
    /// Line, from 1; 0 when it is not known.
    pub line: usize,
    /// Column, from 1; 0 when it is not known.
    pub col: usize,
    /// What is wrong.
    pub message: String,
}

/// Line and column of a byte offset, from 1.
#[must_use]
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let col = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    (line, col)
}

/// What a rule says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Stable id.
    pub id: String,
    /// Source in which it stands.
    pub file: String,
    /// Whether a person is asked instead of denied.
    pub ask: bool,
    /// Whether it permits.
    pub permits: bool,
    /// Sentence with braces.
    pub reason: String,
    /// What would change it.
    pub remedy: String,
    /// Whether it is one of the shipped rules.
    pub shipped: bool,
    /// Effect, scope and conditions as Cedar writes them in JSON, without the annotations.
    pub form: serde_json::Value,
}

/// One policy text.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A set of rules, ready to be evaluated.
pub struct Rules {
    /// Permits and denying forbids.
    hard: PolicySet,
    /// Asking forbids, beside one permit of everything.
    asks: PolicySet,
    infos: BTreeMap<PolicyId, RuleInfo>,
    /// Answers by facts. The evaluation is a function of the facts alone, so this changes speed
    /// and nothing else. Bounded by [`MEMO`].
    memo: Mutex<FxHashMap<(Facts, String), Arc<Outcome>>>,
    uses: Uses,
}

/// Most remembered answers.
const MEMO: usize = 8192;

/// Which free texts the rules look at; the others need not tell requests apart.
#[derive(Debug, Clone, Copy, Default)]
struct Uses {
    agent: bool,
    target: bool,
    session_key: bool,
    channel: bool,
    sender: bool,
    tool: bool,
    path: bool,
    host: bool,
    program: bool,
}

impl Uses {
    /// Reads off the policies which free texts they can look at. When in doubt, all.
    fn of<'p>(policies: impl Iterator<Item = &'p Policy>) -> Self {
        let mut uses = Self::default();
        for policy in policies {
            let Ok(json) = policy.to_json() else { return Self::all() };
            let part = |name: &str| json.get(name).map(ToString::to_string).unwrap_or_default();
            let conditions = part("conditions");
            let attr = |name: &str| conditions.contains(&format!("\"attr\":\"{name}\""));
            // The context used as a whole, not by an attribute.
            let whole = conditions.matches("{\"Var\":\"context\"}").count()
                != conditions.matches("\"left\":{\"Var\":\"context\"}").count();
            if whole {
                return Self::all();
            }
            uses.agent |= !part("principal").contains("\"All\"")
                || conditions.contains("{\"Var\":\"principal\"}");
            uses.target |= !part("resource").contains("\"All\"")
                || conditions.contains("{\"Var\":\"resource\"}");
            uses.session_key |= attr("session_key");
            uses.channel |= attr("channel");
            uses.sender |= attr("sender");
            uses.tool |= attr("tool");
            uses.path |= attr("path");
            uses.host |= attr("host");
            uses.program |= attr("program");
        }
        uses
    }

    fn all() -> Self {
        Self {
            agent: true,
            target: true,
            session_key: true,
            channel: true,
            sender: true,
            tool: true,
            path: true,
            host: true,
            program: true,
        }
    }
}

/// What the rules say about one item, before reasons are filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Allow, ask or deny.
    pub decision: Decision,
    /// The rules that spoke.
    pub rules: Vec<PolicyId>,
    /// Set when evaluation failed.
    pub error: Option<String>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("rules", &self.infos.len()).finish_non_exhaustive()
    }
}

static PARSED_SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    Schema::from_cedarschema_str(SCHEMA).map(|(s, _)| s).map_err(|e| e.to_string())
});

impl Rules {
    /// Parses and validates policy texts.
    ///
    /// # Errors
    /// All errors of all sources, each with its place.
    pub fn load(sources: &[Source<'_>]) -> Result<Self, Vec<LoadError>> {
        let mut errors = Vec::new();
        let schema = match &*PARSED_SCHEMA {
            Ok(schema) => schema,
            Err(e) => return Err(vec![error("schema", "", 0, e.clone())]),
        };
        let mut all: Vec<(Policy, RuleInfo)> = Vec::new();
        let mut replaced: BTreeSet<String> = BTreeSet::new();
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        for source in sources {
            match PolicySet::from_str(source.text) {
                Ok(set) => {
                    if set.templates().next().is_some() {
                        errors.push(error(
                            source.name,
                            "",
                            0,
                            "templates are not used here".into(),
                        ));
                    }
                    let mut policies: Vec<&Policy> = set.policies().collect();
                    policies.sort_by_key(|p| {
                        p.id()
                            .to_string()
                            .trim_start_matches("policy")
                            .parse::<usize>()
                            .unwrap_or(0)
                    });
                    for policy in policies {
                        read_policy(policy, source, &mut ids, &mut replaced, &mut all, &mut errors);
                    }
                }
                Err(e) => errors.extend(parse_errors(source.name, source.text, &e)),
            }
        }
        for name in &replaced {
            if !ids.contains_key(name) {
                errors.push(error(
                    "@replaces",
                    "",
                    0,
                    format!("there is no rule `{name}` to replace"),
                ));
            }
        }
        let mut hard = PolicySet::new();
        let mut asks = PolicySet::new();
        let mut infos = BTreeMap::new();
        for (policy, info) in all {
            if replaced.contains(&info.id) {
                continue;
            }
            let id = PolicyId::new(&info.id);
            let policy = policy.new_id(id.clone());
            let set = if info.ask { &mut asks } else { &mut hard };
            if let Err(e) = set.add(policy) {
                errors.push(error(&info.file, "", 0, e.to_string()));
            }
            infos.insert(id, info);
        }
        let validator = Validator::new(schema.clone());
        for set in [&hard, &asks] {
            let result = validator.validate(set, ValidationMode::Strict);
            for e in result.validation_errors() {
                let info = infos.get(e.policy_id());
                let file = info.map_or("policy", |i| i.file.as_str());
                let id = info.map_or("", |i| i.id.as_str());
                let text = sources.iter().find(|s| s.name == file).map_or("", |s| s.text);
                let offset = text.find(&format!("@id(\"{id}\")")).unwrap_or(0);
                errors.push(error(file, text, offset, e.to_string()));
            }
        }
        let anything =
            Policy::parse(Some(PolicyId::new("ask.base")), "permit(principal, action, resource);");
        match anything {
            Ok(policy) => {
                if let Err(e) = asks.add(policy) {
                    errors.push(error("ask.base", "", 0, e.to_string()));
                }
            }
            Err(e) => errors.push(error("ask.base", "", 0, e.to_string())),
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let uses = Uses::of(hard.policies().chain(asks.policies()));
        Ok(Self { hard, asks, infos, memo: Mutex::new(FxHashMap::default()), uses })
    }

    /// The rules, by id.
    pub fn infos(&self) -> impl Iterator<Item = &RuleInfo> {
        self.infos.values()
    }

    /// Rules that permit and rules that deny.
    #[must_use]
    pub fn hard(&self) -> &PolicySet {
        &self.hard
    }

    /// Rules that ask.
    pub fn asking(&self) -> impl Iterator<Item = &Policy> {
        self.asks.policies().filter(|p| p.effect() == cedar_policy::Effect::Forbid)
    }

    /// Looks a rule up.
    #[must_use]
    pub fn info(&self, id: &str) -> Option<&RuleInfo> {
        self.infos.get(&PolicyId::new(id))
    }

    /// What the rules say about one item.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts, target: &str) -> Arc<Outcome> {
        let key = self.key(facts, target);
        if let Ok(memo) = self.memo.lock()
            && let Some(outcome) = memo.get(&key)
        {
            return Arc::clone(outcome);
        }
        let outcome = Arc::new(self.evaluate_afresh(facts, target));
        if let Ok(mut memo) = self.memo.lock() {
            if memo.len() >= MEMO {
                memo.clear();
            }
            memo.insert(key, Arc::clone(&outcome));
        }
        outcome
    }

    /// The facts without the free texts that no rule looks at.
    fn key(&self, facts: &Facts, target: &str) -> (Facts, String) {
        let keep = |used: bool, text: &str| if used { text.to_owned() } else { String::new() };
        let facts = Facts {
            agent: keep(self.uses.agent, &facts.agent),
            session_key: keep(self.uses.session_key, &facts.session_key),
            channel: keep(self.uses.channel, &facts.channel),
            sender: keep(self.uses.sender, &facts.sender),
            tool: keep(self.uses.tool, &facts.tool),
            path: keep(self.uses.path, &facts.path),
            host: keep(self.uses.host, &facts.host),
            program: keep(self.uses.program, &facts.program),
            verb: facts.verb,
            trust: facts.trust,
            session: facts.session,
            tool_denied: facts.tool_denied,
            known: facts.known,
            via: facts.via,
            path_class: facts.path_class,
            host_class: facts.host_class,
            sends: facts.sends,
            opaque: facts.opaque,
            sandboxed: facts.sandboxed,
            outside: facts.outside,
            licensed: facts.licensed,
            target: facts.target,
            payload: facts.payload,
            tainted_file: facts.tainted_file,
        };
        (facts, keep(self.uses.target, target))
    }

    fn evaluate_afresh(&self, facts: &Facts, target: &str) -> Outcome {
        let failed = |message: String| Outcome {
            decision: Decision::Deny,
            rules: Vec::new(),
            error: Some(message),
        };
        match self.request(facts, target) {
            Ok(request) => self.judge(&request),
            Err(e) => failed(e),
        }
    }

    /// What the rules say about a request of Cedar's, as it stands.
    #[must_use]
    pub fn judge(&self, request: &Request) -> Outcome {
        let failed = |message: String| Outcome {
            decision: Decision::Deny,
            rules: Vec::new(),
            error: Some(message),
        };
        let entities = Entities::empty();
        let entities = match action_entities() {
            Ok(actions) => actions,
            Err(_) => &entities,
        };
        let authorizer = Authorizer::new();
        let hard = authorizer.is_authorized(request, &self.hard, entities);
        if let Some(e) = hard.diagnostics().errors().next() {
            return failed(e.to_string());
        }
        if hard.decision() == CedarDecision::Deny {
            return Outcome {
                decision: Decision::Deny,
                rules: hard.diagnostics().reason().cloned().collect(),
                error: None,
            };
        }
        let asks = authorizer.is_authorized(request, &self.asks, entities);
        if let Some(e) = asks.diagnostics().errors().next() {
            return failed(e.to_string());
        }
        if asks.decision() == CedarDecision::Deny {
            let mut rules: Vec<PolicyId> = asks.diagnostics().reason().cloned().collect();
            rules.sort();
            return Outcome { decision: Decision::Ask, rules, error: None };
        }
        Outcome { decision: Decision::Allow, rules: Vec::new(), error: None }
    }

    fn request(&self, facts: &Facts, target: &str) -> Result<Request, String> {
        let uid = |kind: &str, id: &str| -> Result<EntityUid, String> {
            let name = EntityTypeName::from_str(kind).map_err(|e| e.to_string())?;
            Ok(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
        };
        let text = |s: &str| RestrictedExpression::new_string(s.to_owned());
        let flag = RestrictedExpression::new_bool;
        let pairs = [
            ("trust", text(facts.trust.as_str())),
            ("session", text(facts.session.as_str())),
            ("session_key", text(&facts.session_key)),
            ("channel", text(&facts.channel)),
            ("sender", text(&facts.sender)),
            ("tool", text(&facts.tool)),
            ("tool_denied", flag(facts.tool_denied)),
            ("known", text(facts.known.as_str())),
            ("via", text(facts.via.as_str())),
            ("path", text(&facts.path)),
            ("path_class", text(facts.path_class.map_or("", |c| c.as_str()))),
            ("host", text(&facts.host)),
            ("host_class", text(facts.host_class.map_or("", |c| c.as_str()))),
            ("program", text(&facts.program)),
            ("sends", flag(facts.sends)),
            ("opaque", flag(facts.opaque)),
            ("sandboxed", flag(facts.sandboxed)),
            ("outside", flag(facts.outside)),
            ("licensed", flag(facts.licensed)),
            ("target", text(facts.target.as_str())),
            ("payload", text(facts.payload.as_str())),
            ("tainted_file", flag(facts.tainted_file)),
        ];
        let context = Context::from_pairs(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)))
            .map_err(|e| e.to_string())?;
        let verb = serde_json::to_value(facts.verb).map_err(|e| e.to_string())?;
        let schema = PARSED_SCHEMA.as_ref().map_err(Clone::clone)?;
        Request::new(
            uid("Seawall::Agent", &facts.agent)?,
            uid("Seawall::Action", verb.as_str().unwrap_or("unknown"))?,
            uid("Seawall::Target", target)?,
            context,
            Some(schema),
        )
        .map_err(|e| e.to_string())
    }

    /// The reasons of an outcome, with their braces filled in.
    #[must_use]
    pub fn reasons(&self, outcome: &Outcome, facts: &Facts, words: &Words) -> Vec<Reason> {
        if let Some(e) = &outcome.error {
            return vec![
                Reason::new("policy.error", format!("a policy could not be evaluated: {e}"))
                    .remedy("seawall policy check"),
            ];
        }
        if outcome.rules.is_empty() && outcome.decision == Decision::Deny {
            return vec![
                Reason::new(
                    "policy.default",
                    format!(
                        "no rule lets a session of this kind ({}, {}) {} with `{}`",
                        facts.trust.as_str(),
                        facts.session.as_str(),
                        facts.verb.words(),
                        crate::call::bounded(&facts.tool)
                    ),
                )
                .remedy("seawall policy explain"),
            ];
        }
        outcome
            .rules
            .iter()
            .filter_map(|id| self.infos.get(id))
            .map(|info| Reason {
                rule: info.id.clone(),
                text: fill(&info.reason, facts, words),
                remedy: fill(&info.remedy, facts, words),
            })
            .collect()
    }
}

/// Entities that put actions into their groups.
fn action_entities() -> Result<&'static Entities, String> {
    static ENTITIES: LazyLock<Result<Entities, String>> = LazyLock::new(|| {
        let schema = PARSED_SCHEMA.as_ref().map_err(Clone::clone)?;
        schema.action_entities().map_err(|e| e.to_string())
    });
    ENTITIES.as_ref().map_err(Clone::clone)
}

fn read_policy(
    policy: &Policy,
    source: &Source<'_>,
    ids: &mut BTreeMap<String, String>,
    replaced: &mut BTreeSet<String>,
    all: &mut Vec<(Policy, RuleInfo)>,
    errors: &mut Vec<LoadError>,
) {
    const KNOWN: &[&str] = &["id", "ask", "reason", "remedy", "replaces"];
    let note = |name: &str| policy.annotation(name).unwrap_or_default().to_owned();
    let id = note("id");
    let offset = source.text.find(&format!("@id(\"{id}\")")).unwrap_or(0);
    let mut fail = |message: String| errors.push(error(source.name, source.text, offset, message));
    if id.is_empty() {
        fail(format!("the policy `{}` has no @id", policy.id()));
        return;
    }
    for (name, _) in policy.annotations() {
        if !KNOWN.contains(&name) {
            fail(format!("`{id}`: there is no annotation @{name}"));
        }
    }
    if let Some(other) = ids.insert(id.clone(), source.name.to_owned()) {
        fail(format!("`{id}` is also in {other}"));
    }
    let permits = policy.effect() == cedar_policy::Effect::Permit;
    let ask = match policy.annotation("ask") {
        None => false,
        Some("true") => true,
        Some(other) => {
            fail(format!("`{id}`: @ask takes \"true\", not `{other}`"));
            false
        }
    };
    if permits && ask {
        fail(format!("`{id}`: a permit cannot ask"));
    }
    if !permits && note("reason").is_empty() {
        fail(format!("`{id}`: a forbid needs a @reason"));
    }
    let replaces = note("replaces");
    if !replaces.is_empty() {
        replaced.insert(replaces);
    }
    let mut form = match policy.to_json() {
        Ok(form) => form,
        Err(e) => {
            fail(format!("`{id}`: {e}"));
            return;
        }
    };
    if let Some(map) = form.as_object_mut() {
        map.remove("annotations");
    }
    all.push((
        policy.clone(),
        RuleInfo {
            id,
            file: source.name.to_owned(),
            ask,
            permits,
            reason: note("reason"),
            remedy: note("remedy"),
            shipped: crate::bundle::is_shipped(source.text),
            form,
        },
    ));
}

fn error(file: &str, text: &str, offset: usize, message: String) -> LoadError {
    let (line, col) = if text.is_empty() { (0, 0) } else { position(text, offset) };
    LoadError { file: file.to_owned(), line, col, message }
}

/// Cedar's parse errors with their places.
#[must_use]
pub fn parse_errors(file: &str, text: &str, e: &cedar_policy::ParseErrors) -> Vec<LoadError> {
    use miette::Diagnostic;
    e.iter()
        .map(|one| {
            let offset = one.labels().and_then(|mut l| l.next()).map_or(0, |l| l.offset());
            error(file, text, offset, one.to_string())
        })
        .collect()
}

fn fill(template: &str, facts: &Facts, words: &Words) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        let value = match name {
            "tool" => &facts.tool,
            "path" => &facts.path,
            "host" if facts.host.is_empty() => "an unknown host",
            "host" => &facts.host,
            "program" => &facts.program,
            "target" if words.target.is_empty() => "the target",
            "target" => &words.target,
            "why" => &words.why,
            "what" if words.what.is_empty() => "a device",
            "what" => &words.what,
            "verb" => facts.verb.words(),
            _ => "",
        };
        // Values come from the model: no line breaks, no control characters, bounded.
        out.extend(
            crate::call::bounded(value).chars().map(|c| if c.is_control() { ' ' } else { c }),
        );
        rest = tail;
    }
    out.push_str(rest);
    out
}
