//! Parameters against the shapes of `params.toml`.

use super::{Finding, command, printable};
use crate::table::{Class, Field, FieldWord, Scalar, Shape, Table};
use serde_json::{Map, Value};

/// Shapes nest at most this deep in the shipped tables; a table that refers to itself ends here.
const MAX_NESTING: usize = 8;

/// The most consequential thing that the parameters ask for, beyond what the method is.
pub(super) fn judge(
    table: &Table,
    shape: &str,
    params: Option<&Map<String, Value>>,
) -> Option<Finding> {
    let empty = Map::new();
    let mut worst = None;
    object(table, shape, params.unwrap_or(&empty), "", 0, &mut worst);
    worst
}

fn object(
    table: &Table,
    shape: &str,
    object: &Map<String, Value>,
    at: &str,
    depth: usize,
    worst: &mut Option<Finding>,
) {
    let Some(Shape { open, fields, required }) = table.shape(shape).filter(|_| depth < MAX_NESTING)
    else {
        return raise(worst, Class::Never, format!("the shape `{shape}` can't be judged"));
    };
    for (name, why) in required {
        if object.get(name).is_none_or(Value::is_null) {
            raise(worst, Class::Host, format!("`{name}` is not said, and {why}"));
        }
    }
    for (name, value) in object {
        let path =
            if at.is_empty() { printable(name) } else { format!("{at}.{}", printable(name)) };
        match fields.get(name) {
            Some(rule) => field(table, rule, value, &path, depth, worst),
            None if *open => {}
            None => raise(worst, Class::Host, format!("`{path}` {UNKNOWN}")),
        }
    }
}

fn field(
    table: &Table,
    rule: &Field,
    value: &Value,
    path: &str,
    depth: usize,
    worst: &mut Option<Finding>,
) {
    match rule {
        Field::Word(FieldWord::Any) => {}
        Field::Word(FieldWord::Text) => match value {
            Value::Null => {}
            Value::String(text) => {
                if let Some(finding) = command::judge(table, text) {
                    raise(worst, finding.class, finding.what);
                }
            }
            _ => raise(worst, Class::Host, format!("`{path}` is no text")),
        },
        Field::Refuse { refuse, class } => {
            if !value.is_null() {
                raise(worst, *class, format!("`{path}` is set, and {refuse}"));
            }
        }
        Field::Only { only, why, class } => {
            let fits = value.is_null()
                || only.iter().any(|one| match (one, value) {
                    (Scalar::Bool(a), Value::Bool(b)) => a == b,
                    (Scalar::Text(a), Value::String(b)) => a == b,
                    _ => false,
                });
            if !fits {
                raise(worst, *class, format!("`{path}` has a value that is not taken: {why}"));
            }
        }
        Field::Shape { shape } => match value {
            Value::Null | Value::Bool(false) => {}
            Value::Object(inner) => object(table, shape, inner, path, depth + 1, worst),
            Value::Array(list) => {
                for (i, item) in list.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    match item {
                        Value::Object(inner) => {
                            object(table, shape, inner, &path, depth + 1, worst);
                        }
                        _ => raise(worst, Class::Host, format!("`{path}` is no object")),
                    }
                }
            }
            _ => raise(worst, Class::Host, format!("`{path}` is no object")),
        },
    }
}

/// Keeps the more consequential of two findings; among equals the first one that says why.
fn raise(worst: &mut Option<Finding>, class: Class, what: String) {
    let found = Finding { class, what };
    if worst.as_ref().is_none_or(|w| rank(w) < rank(&found)) {
        *worst = Some(found);
    }
}

fn rank(finding: &Finding) -> (Class, bool) {
    (finding.class, !finding.what.ends_with(UNKNOWN))
}

/// How a finding ends that has nothing to say about a field.
const UNKNOWN: &str = "is no parameter that this door knows";
