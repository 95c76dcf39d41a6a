//! Invariants: rules that a policy has to keep, read from Cedar texts.

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use seawall_policy::rules::{LoadError, position};
use seawall_policy::{facts, rules};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::str::FromStr;

/// The shipped ones.
pub const SHIPPED: &str = include_str!("../../../content/policy/invariants.cedar");

/// Most invariants of one run; each is a question per verb.
const MAX_INVARIANTS: usize = 256;
/// Largest text read.
const MAX_TEXT: usize = 256 * 1024;

/// The least that has to happen to a request that an invariant matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// A person is asked, or it is denied.
    Ask,
    /// It is denied.
    Deny,
}

/// One statement about every request.
#[derive(Debug, Clone)]
pub struct Invariant {
    /// Its id.
    pub id: String,
    /// Source in which it stands.
    pub file: String,
    /// Why it should hold.
    pub reason: String,
    /// What has to happen.
    pub floor: Floor,
    /// The requests it speaks of, as the permission of just these.
    pub(crate) set: PolicySet,
}

/// Reads invariants.
///
/// # Errors
/// Everything that is wrong with the text, with line and column.
pub fn read(file: &str, text: &str) -> Result<Vec<Invariant>, Vec<LoadError>> {
    let at = |offset: usize, message: String| {
        let (line, col) = position(text, offset);
        LoadError { file: file.to_owned(), line, col, message }
    };
    let whole = |message: String| vec![at(0, message)];
    if text.len() > MAX_TEXT {
        return Err(whole(format!("larger than {MAX_TEXT} bytes")));
    }
    let set = PolicySet::from_str(text).map_err(|e| rules::parse_errors(file, text, &e))?;
    if set.templates().next().is_some() {
        return Err(whole("templates are not used here".to_owned()));
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|p| {
        p.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(0)
    });
    if policies.len() > MAX_INVARIANTS {
        return Err(whole(format!("more than {MAX_INVARIANTS} invariants")));
    }
    let schema = rules::schema().map_err(whole)?;
    let validator = Validator::new(schema.clone());
    let domain = domain().map_err(whole)?;
    let mut errors = Vec::new();
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for policy in policies {
        let note = |name: &str| policy.annotation(name).unwrap_or_default().to_owned();
        let id = note("id");
        let offset = text.find(&format!("@id(\"{id}\")")).unwrap_or(0);
        let before = errors.len();
        let mut fail = |message: String| errors.push(at(offset, message));
        if id.is_empty() {
            fail(format!("`{}` has no @id", policy.id()));
        } else if !seen.insert(id.clone()) {
            fail(format!("`{id}` is here twice"));
        }
        for (name, _) in policy.annotations() {
            if !["id", "ask", "reason"].contains(&name) {
                fail(format!("`{id}`: an invariant has no annotation @{name}"));
            }
        }
        let floor = match policy.annotation("ask") {
            None => Floor::Deny,
            Some("true") => Floor::Ask,
            Some(other) => {
                fail(format!("`{id}`: @ask takes \"true\", not `{other}`"));
                Floor::Deny
            }
        };
        if note("reason").is_empty() {
            fail(format!("`{id}`: an invariant needs a @reason"));
        }
        if policy.effect() == Effect::Permit {
            fail(format!("`{id}`: an invariant says what is not let through: `forbid`"));
        }
        let mut alone = PolicySet::new();
        if let Err(e) = alone.add(policy.clone()) {
            fail(e.to_string());
        }
        for e in validator.validate(&alone, ValidationMode::Strict).validation_errors() {
            fail(e.to_string());
        }
        if errors.len() > before {
            continue;
        }
        match permission(policy, &domain) {
            Ok(set) => {
                out.push(Invariant {
                    id,
                    file: file.to_owned(),
                    reason: note("reason"),
                    floor,
                    set,
                });
            }
            Err(e) => errors.push(at(offset, format!("`{id}`: {e}"))),
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// The same scope and conditions as a permission, for requests whose facts have values that facts
/// can have.
fn permission(policy: &Policy, domain: &[Value]) -> Result<PolicySet, String> {
    let mut form = policy.to_json().map_err(|e| e.to_string())?;
    let map = form.as_object_mut().ok_or("has no form")?;
    map.insert("effect".to_owned(), Value::from("permit"));
    map.remove("annotations");
    if let Some(conditions) = map.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.extend(domain.iter().cloned());
    }
    let id = PolicyId::new("invariant");
    let policy = Policy::from_json(Some(id), form).map_err(|e| e.to_string())?;
    PolicySet::from_policies([policy]).map_err(|e| e.to_string())
}

/// Conditions that say which values facts can have.
fn domain() -> Result<Vec<Value>, String> {
    let each: Vec<String> = facts::domains()
        .iter()
        .map(|(name, values)| format!("{values:?}.contains(context.{name})"))
        .collect();
    let text = format!("permit(principal, action, resource) when {{ {} }};", each.join(" && "));
    let policy = Policy::parse(None, &text).map_err(|e| e.to_string())?;
    let form = policy.to_json().map_err(|e| e.to_string())?;
    Ok(form.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default())
}
