//! YAML as JSON, bounded: enough for compose files.

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value};

/// Nodes and depth: a compose file has a few hundred and six.
const MAX_NODES: usize = 50_000;
const MAX_DEPTH: usize = 64;

enum Open {
    Map(Map<String, Value>, Option<String>),
    List(Vec<Value>),
}

/// One document; `None` when it is not YAML, too large, or uses aliases, which can repeat a tree
/// without end.
pub(super) fn parse(text: &str) -> Option<Value> {
    let mut stack: Vec<Open> = Vec::new();
    let mut root = None;
    for (count, event) in Parser::new_from_str(text).enumerate() {
        if count > MAX_NODES || stack.len() > MAX_DEPTH {
            return None;
        }
        match event.ok()?.0 {
            Event::MappingStart(..) => stack.push(Open::Map(Map::new(), None)),
            Event::SequenceStart(..) => stack.push(Open::List(Vec::new())),
            Event::MappingEnd | Event::SequenceEnd => {
                let value = match stack.pop()? {
                    Open::Map(map, _) => Value::Object(map),
                    Open::List(items) => Value::Array(items),
                };
                put(&mut stack, &mut root, value);
            }
            Event::Scalar(value, ..) => {
                if let Some(Open::Map(_, key @ None)) = stack.last_mut() {
                    *key = Some(value.into_owned());
                } else {
                    let value = match value.as_ref() {
                        "true" => Value::Bool(true),
                        "false" => Value::Bool(false),
                        "" | "~" | "null" => Value::Null,
                        text => Value::String(text.to_owned()),
                    };
                    put(&mut stack, &mut root, value);
                }
            }
            Event::Alias(_) => return None,
            _ => {}
        }
    }
    root
}

fn put(stack: &mut [Open], root: &mut Option<Value>, value: Value) {
    match stack.last_mut() {
        Some(Open::Map(map, key)) => {
            map.insert(key.take().unwrap_or_default(), value);
        }
        Some(Open::List(items)) => items.push(value),
        None => *root = Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn maps_lists_and_scalars() {
        assert_eq!(
            parse("a: [1, {b: true}]\nc:\n  d: ~\n"),
            Some(json!({ "a": ["1", { "b": true }], "c": { "d": null } }))
        );
        assert_eq!(parse("a: &x [*x]"), None);
        assert_eq!(parse("a: [b: {"), None);
        assert_eq!(parse(&"[".repeat(1000)), None);
    }
}
