//! The digest that binds a permit to a call: SHA-256 over the tool and its canonical arguments.

use seawall_model::ToolCall;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Digest of a call, in hex. Equal arguments give equal digests whatever the order of their keys.
#[must_use]
pub fn of(call: &ToolCall) -> String {
    let mut hash = Sha256::new();
    hash.update((call.tool.len() as u64).to_le_bytes());
    hash.update(call.tool.as_bytes());
    value(&call.params, &mut hash, 0);
    for path in &call.derived_paths {
        hash.update((path.len() as u64).to_le_bytes());
        hash.update(path.as_bytes());
    }
    hex::encode(hash.finalize())
}

fn value(v: &Value, hash: &mut Sha256, depth: usize) {
    match v {
        Value::Null => hash.update(b"n"),
        Value::Bool(b) => hash.update(if *b { b"t" } else { b"f" }),
        Value::Number(n) => {
            let text = n.to_string();
            hash.update(b"#");
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        Value::String(s) => {
            hash.update(b"s");
            hash.update((s.len() as u64).to_le_bytes());
            hash.update(s);
        }
        // JSON that was parsed is never deeper than the parser's own limit of 128.
        Value::Array(_) | Value::Object(_) if depth > 256 => hash.update(b"!"),
        Value::Array(items) => {
            hash.update(b"[");
            hash.update((items.len() as u64).to_le_bytes());
            for item in items {
                value(item, hash, depth + 1);
            }
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            hash.update(b"{");
            hash.update((keys.len() as u64).to_le_bytes());
            for key in keys {
                hash.update((key.len() as u64).to_le_bytes());
                hash.update(key);
                if let Some(inner) = map.get(key) {
                    value(inner, hash, depth + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(params: Value) -> ToolCall {
        ToolCall { tool: "t".into(), params, derived_paths: vec![] }
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_everything_else_does() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":[1,2]}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        assert_eq!(of(&call(a.clone())), of(&call(b)));
        for other in
            [json!({"a":1,"b":[2,1]}), json!({"a":"1","b":[1,2]}), json!({"a":1,"b":["1,2"]})]
        {
            assert_ne!(of(&call(a.clone())), of(&call(other)));
        }
    }
}
