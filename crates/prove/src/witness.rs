//! A request that breaks an invariant, made as small as it gets.

use crate::invariant::{Floor, Invariant};
use cedar_policy::{
    Authorizer, Context, Decision as CedarDecision, Entities, EntityUid, EvalResult, Request,
    RestrictedExpression,
};
use seawall_model::Decision;
use seawall_policy::{Bundle, facts, rules};
use serde::Serialize;
use std::collections::BTreeMap;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Flag(bool),
}

/// A request that a policy lets through although an invariant matches it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Witness {
    /// Agent.
    pub agent: String,
    /// Verb.
    pub action: String,
    /// What is acted on.
    pub target: String,
    /// What the evaluator that decides in production says to it.
    pub decision: Decision,
    /// Facts that matter: with a plainer value the request would not break the invariant.
    facts: BTreeMap<String, Value>,
    /// Every fact, as it was judged.
    all: BTreeMap<String, Value>,
}

/// What a fact is when nothing is special about the request; the first that still breaks the
/// invariant is taken.
const PLAIN: &[(&str, &[&str])] = &[
    ("trust", &["owner", "listed"]),
    ("session", &["main"]),
    ("session_key", &["", "agent:main:main"]),
    ("known", &["catalogue"]),
    ("via", &["tool"]),
    ("target", &["none", "user"]),
    ("payload", &["clean"]),
];

impl Witness {
    /// Reads the solver's request, confirms it and makes it small.
    pub(crate) fn new(
        bundle: &Bundle,
        invariant: &Invariant,
        request: &Request,
    ) -> Result<Self, String> {
        let id = |uid: Option<&EntityUid>| {
            uid.map(|u| u.id().unescaped().to_owned()).unwrap_or_default()
        };
        let context = request.context().ok_or("the solver's request has no context")?;
        let mut all = BTreeMap::new();
        for (name, _) in context.clone() {
            let value = match context.get(&name) {
                Some(EvalResult::String(text)) => Value::Text(text),
                Some(EvalResult::Bool(flag)) => Value::Flag(flag),
                _ => return Err(format!("the solver's request has no plain `{name}`")),
            };
            all.insert(name, value);
        }
        let mut found = Self {
            agent: id(request.principal()),
            action: id(request.action()),
            target: id(request.resource()),
            decision: Decision::Deny,
            facts: BTreeMap::new(),
            all,
        };
        found.decision = found
            .breaks(bundle, invariant)?
            .ok_or("the solver's request does not break it for the evaluator")?;
        found.shrink(bundle, invariant)?;
        Ok(found)
    }

    /// Gives facts their plain values, one after the other, as long as the invariant stays broken.
    fn shrink(&mut self, bundle: &Bundle, invariant: &Invariant) -> Result<(), String> {
        let names: Vec<String> = self.all.keys().cloned().collect();
        for name in names {
            let plain: Vec<Value> = match self.all.get(&name) {
                Some(Value::Flag(_)) => vec![Value::Flag(name == "sandboxed")],
                _ => PLAIN
                    .iter()
                    .find(|(n, _)| *n == name)
                    .map_or(&[""][..], |(_, values)| values)
                    .iter()
                    .map(|v| Value::Text((*v).to_owned()))
                    .collect(),
            };
            let mut matters = true;
            for value in plain {
                let Some(old) = self.all.insert(name.clone(), value.clone()) else { break };
                if let Some(decision) = self.breaks(bundle, invariant)? {
                    self.decision = decision;
                    matters = false;
                    break;
                }
                self.all.insert(name.clone(), old);
            }
            if matters && let Some(value) = self.all.get(&name) {
                self.facts.insert(name, value.clone());
            }
        }
        for (field, plain) in [(0, "main"), (1, "it")] {
            let mut tried = self.clone();
            let slot = if field == 0 { &mut tried.agent } else { &mut tried.target };
            plain.clone_into(slot);
            if tried.breaks(bundle, invariant)?.is_some() {
                *self = tried;
            }
        }
        Ok(())
    }

    /// What the evaluator says, when that breaks the invariant.
    fn breaks(&self, bundle: &Bundle, invariant: &Invariant) -> Result<Option<Decision>, String> {
        let request = self.request()?;
        let matched = Authorizer::new().is_authorized(&request, &invariant.set, &Entities::empty());
        let schema = rules::schema()?;
        // Groups of actions.
        let matched = if matched.decision() == CedarDecision::Allow {
            matched
        } else {
            let groups = schema.action_entities().map_err(|e| e.to_string())?;
            Authorizer::new().is_authorized(&request, &invariant.set, &groups)
        };
        if matched.decision() != CedarDecision::Allow {
            return Ok(None);
        }
        let decision = bundle.rules().judge(&request).decision;
        let broken = match invariant.floor {
            Floor::Deny => decision != Decision::Deny,
            Floor::Ask => decision == Decision::Allow,
        };
        Ok(broken.then_some(decision))
    }

    fn request(&self) -> Result<Request, String> {
        let uid = |kind: &str, id: &str| -> Result<EntityUid, String> {
            let kind = kind.parse().map_err(|e| format!("{e}"))?;
            Ok(EntityUid::from_type_name_and_id(kind, cedar_policy::EntityId::new(id)))
        };
        let pairs = self.all.iter().map(|(name, value)| {
            let value = match value {
                Value::Text(text) => RestrictedExpression::new_string(text.clone()),
                Value::Flag(flag) => RestrictedExpression::new_bool(*flag),
            };
            (name.clone(), value)
        });
        let context = Context::from_pairs(pairs).map_err(|e| e.to_string())?;
        Request::new(
            uid("Seawall::Agent", &self.agent)?,
            uid("Seawall::Action", &self.action)?,
            uid("Seawall::Target", &self.target)?,
            context,
            Some(rules::schema()?),
        )
        .map_err(|e| e.to_string())
    }

    /// Whether every fact has a value that facts can have.
    #[must_use]
    pub fn is_plausible(&self) -> bool {
        facts::domains().iter().all(|(name, values)| match self.all.get(*name) {
            Some(Value::Text(text)) => values.contains(&text.as_str()),
            _ => false,
        })
    }
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "agent {:?} would {} {:?}", self.agent, self.action, self.target)?;
        for (name, value) in &self.facts {
            match value {
                Value::Text(text) => write!(f, ", {name} {text:?}")?,
                Value::Flag(true) => write!(f, ", {name}")?,
                Value::Flag(false) => write!(f, ", not {name}")?,
            }
        }
        Ok(())
    }
}
