//! Client frames: read strictly, written anew.
//!
//! The gateway parses JSON with another parser than ours. Whatever two parsers could read
//! differently (a key twice, `__proto__`, unpaired surrogates, numbers beyond range) is refused, and
//! what goes on is our own serialisation of what was judged.

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::fmt;

/// Largest frame of an authenticated client: what the gateway itself accepts (`policy.maxPayload`),
/// which an attachment of 20 MB in base64 needs.
pub const MAX_FRAME: usize = 26_214_400;

/// Values in one frame. A frame of 25 MB made of `[],[],…` would take a gigabyte once parsed; real
/// ones hold few values, because attachments are single strings.
const MAX_VALUES: usize = 100_000;

/// Depth of a frame: OpenClaw's deepest parameters have about ten levels.
const MAX_DEPTH: usize = 48;

/// Longest id of a request; clients use UUIDs and counters. It is echoed in answers.
const MAX_ID: usize = 128;

/// Longest method name that is looked up.
const MAX_METHOD: usize = 128;

/// A client's request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The client's number for it.
    pub id: String,
    /// What it calls.
    pub method: String,
    /// With what; `None` when the frame has no `params`.
    pub params: Option<Map<String, Value>>,
    /// Fields of the envelope that say nothing about what is called.
    pub envelope: Vec<(&'static str, String)>,
}

/// Fields of the envelope that go on when they are short strings: the trace that the request belongs
/// to, and the profile that the client believes to speak for (a mismatch is the gateway's refusal).
const ENVELOPE: [&str; 2] = ["traceparent", "expectedProfileId"];

/// Why a frame is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Over the limit.
    #[error("the frame is larger than {MAX_FRAME} bytes")]
    TooLarge,
    /// Not JSON, or JSON that two parsers could read differently.
    #[error("the frame is not the JSON that this door takes: {0}")]
    Json(String),
    /// JSON, but no request.
    #[error("the frame is not a request: {0}")]
    Shape(&'static str),
}

impl Request {
    /// Reads a frame.
    ///
    /// # Errors
    /// Anything but a request in the protocol's form.
    pub fn parse(text: &str) -> Result<Self, FrameError> {
        if text.len() > MAX_FRAME {
            return Err(FrameError::TooLarge);
        }
        let Value::Object(mut frame) = strict(text)? else {
            return Err(FrameError::Shape("it is no object"));
        };
        if frame.remove("type") != Some(Value::String("req".into())) {
            return Err(FrameError::Shape("its `type` is not `req`"));
        }
        let id = match frame.remove("id") {
            Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_ID => id,
            _ => return Err(FrameError::Shape("its `id` is not a string of 1 to 128 bytes")),
        };
        let method = match frame.remove("method") {
            Some(Value::String(m)) if !m.is_empty() && m.len() <= MAX_METHOD => m,
            _ => return Err(FrameError::Shape("its `method` is not a string of 1 to 128 bytes")),
        };
        let params = match frame.remove("params") {
            None | Some(Value::Null) => None,
            Some(Value::Object(params)) => Some(params),
            Some(_) => return Err(FrameError::Shape("its `params` are no object")),
        };
        let mut envelope = Vec::new();
        for name in ENVELOPE {
            match frame.remove(name) {
                None => {}
                Some(Value::String(value)) if value.len() <= MAX_ID => envelope.push((name, value)),
                Some(_) => {
                    return Err(FrameError::Shape(
                        "its envelope has a field that is no short string",
                    ));
                }
            }
        }
        if !frame.is_empty() {
            return Err(FrameError::Shape("it has fields that the protocol does not know"));
        }
        Ok(Self { id, method, params, envelope })
    }

    /// The frame that goes to the gateway.
    #[must_use]
    pub fn render(&self) -> String {
        let mut frame = Map::new();
        frame.insert("type".into(), "req".into());
        frame.insert("id".into(), self.id.clone().into());
        frame.insert("method".into(), self.method.clone().into());
        if let Some(params) = &self.params {
            frame.insert("params".into(), Value::Object(params.clone()));
        }
        for (name, value) in &self.envelope {
            frame.insert((*name).into(), value.clone().into());
        }
        Value::Object(frame).to_string()
    }
}

/// An answer that says no, in the gateway's own form, so that clients show it.
#[must_use]
pub fn refusal(id: &str, code: &str, message: &str, details: Option<Value>) -> String {
    let mut error = json!({ "code": code, "message": message });
    if let (Some(details), Some(object)) = (details, error.as_object_mut()) {
        object.insert("details".into(), details);
    }
    json!({ "type": "res", "id": id, "ok": false, "error": error }).to_string()
}

/// Reads JSON that every parser reads alike.
///
/// # Errors
/// See the module's text.
pub fn strict(text: &str) -> Result<Value, FrameError> {
    let budget = Cell::new(MAX_VALUES);
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { budget: &budget, depth: 0 }
        .deserialize(&mut reader)
        .map_err(|e| FrameError::Json(e.to_string()))?;
    reader.end().map_err(|e| FrameError::Json(e.to_string()))?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    budget: &'a Cell<usize>,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("more than {MAX_DEPTH} levels")));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let Some(left) = self.budget.get().checked_sub(1) else {
            return Err(de::Error::custom(format_args!("more than {MAX_VALUES} values")));
        };
        self.budget.set(left);
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Value, E> {
        integer(i128::from(n)).map(|()| n.into())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Value, E> {
        integer(i128::from(n)).map(|()| n.into())
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(n)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(Value::String(s.to_owned()))
    }

    fn visit_string<E>(self, s: String) -> Result<Value, E> {
        Ok(Value::String(s))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__proto__" {
                return Err(de::Error::custom("the key `__proto__`"));
            }
            if object.contains_key(&key) {
                return Err(de::Error::custom("a key twice in one object"));
            }
            let value = map.next_value_seed(inner)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

/// JavaScript reads integers beyond 2^53 as their nearest double: another number than ours.
fn integer<E: de::Error>(n: i128) -> Result<(), E> {
    if n.unsigned_abs() > 1 << 53 {
        return Err(E::custom("an integer beyond 2^53"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ambiguous_json_is_refused() {
        let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
        for bad in [
            r#"{"type":"req","id":"1","method":"health","method":"terminal.open"}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"a":{"b":1,"b":2}}}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"__proto__":{}}}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"\u005f_proto__":{}}}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"a":"\ud800"}}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"a":1e999}}"#,
            r#"{"type":"req","id":"1","method":"x","params":{"a":9007199254740993}}"#,
            r#"{"type":"req","id":"1","method":"x"} {"type":"req"}"#,
            "{\"type\":\"req\",\"id\":\"1\",\"method\":\"x\",}",
            &format!(r#"{{"type":"req","id":"1","method":"x","params":{{"a":{deep}}}}}"#),
        ] {
            assert!(matches!(Request::parse(bad), Err(FrameError::Json(_))), "{bad}");
        }
    }

    #[test]
    fn only_requests_are_taken() {
        for bad in [
            "[]",
            "null",
            r#"{"type":"res","id":"1","ok":true}"#,
            r#"{"type":"event","event":"tick"}"#,
            r#"{"type":"req","id":1,"method":"x"}"#,
            r#"{"type":"req","id":"","method":"x"}"#,
            r#"{"type":"req","id":"1","method":"x","params":[]}"#,
            r#"{"type":"req","id":"1","method":"x","traceparent":{}}"#,
            r#"{"type":"req","id":"1","method":"x","auth":{}}"#,
        ] {
            assert!(matches!(Request::parse(bad), Err(FrameError::Shape(_))), "{bad}");
        }
    }

    #[test]
    fn what_a_parsed_frame_may_cost_is_bounded() {
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert!(matches!(strict(&many), Err(FrameError::Json(_))));
        assert_eq!(Request::parse(&" ".repeat(MAX_FRAME + 1)), Err(FrameError::TooLarge));
    }

    proptest! {
        #[test]
        fn what_is_sent_on_reads_as_what_was_judged(id in "[a-z0-9]{1,8}", key in ".{0,12}", text in ".{0,40}", n in any::<i32>()) {
            prop_assume!(key != "__proto__");
            let params = serde_json::json!({ key: { "t": text, "n": n } });
            let request = Request { id, method: "chat.send".into(), params: params.as_object().cloned(), envelope: Vec::new() };
            prop_assert_eq!(Request::parse(&request.render()).expect("our own form"), request);
        }

        #[test]
        fn no_text_panics(text in ".{0,200}") {
            let _ = Request::parse(&text);
        }
    }
}
