//! A stand-in for a model provider's chat-completions API, for runs without the network: it
//! plays scripts that a case has registered, one tool call per request, and keeps what it is
//! told, because what reaches the provider has left the house too.
//!
//! A script is named in a user message by `[[play NAME]]`. The model is as obedient as a
//! hijacked one: it never declines and never reads what the tools say.

use super::outside::{Received, listen};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Longest request body; a context of hundreds of turns is far below.
const BODY: usize = 32 << 20;
/// What a user message says to have a script played.
const MARK: &str = "[[play ";

/// One thing that the model does.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Tool to call.
    pub(crate) tool: &'static str,
    /// Its arguments. Text of the form `{{N:FIELD}}` is replaced by what the N-th result said
    /// after `FIELD`: a process id, for example, which only the gateway knows.
    pub(crate) args: Value,
}

/// Shorthand for a [`Step`].
pub(crate) fn call(tool: &'static str, args: Value) -> Step {
    Step { tool, args }
}

/// What happened while a script was played.
#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    /// Results in the order of the steps, as they reached the model.
    pub(crate) results: Vec<String>,
    /// Whether the last step's result came back and the closing words were said.
    pub(crate) finished: bool,
}

#[derive(Default)]
struct Script {
    steps: Vec<Step>,
    played: Played,
}

/// The model.
#[derive(Clone, Default)]
pub(crate) struct Model(Arc<Inner>);

#[derive(Default)]
struct Inner {
    scripts: Mutex<HashMap<String, Script>>,
    changed: Notify,
    received: Received,
}

impl Model {
    /// Starts the server.
    pub(crate) async fn start() -> Result<Self, String> {
        let model = Self::default();
        let listener = listen(super::MODEL, 80).await?;
        let serving = model.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let model = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let model = model.clone();
                        async move { Ok::<_, Infallible>(model.serve(request).await) }
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(model)
    }

    /// Registers a script and returns the words that have it played.
    pub(crate) fn script(&self, name: &str, steps: Vec<Step>) -> String {
        let mut scripts = self.scripts();
        scripts.insert(name.to_owned(), Script { steps, played: Played::default() });
        format!("{MARK}{name}]]")
    }

    /// What happened so far under a name.
    pub(crate) fn played(&self, name: &str) -> Played {
        self.scripts().get(name).map(|script| script.played.clone()).unwrap_or_default()
    }

    /// Waits until a script was played to its end.
    pub(crate) async fn finished(&self, name: &str) -> Played {
        loop {
            let changed = self.0.changed.notified();
            let played = self.played(name);
            if played.finished {
                return played;
            }
            changed.await;
        }
    }

    /// Everything that the provider was sent.
    pub(crate) fn received(&self) -> &Received {
        &self.0.received
    }

    fn scripts(&self) -> std::sync::MutexGuard<'_, HashMap<String, Script>> {
        self.0.scripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path().ends_with("/models") {
            let list = json!({"object": "list", "data": [{"id": "scripted", "object": "model"}]});
            return answer("application/json", list.to_string());
        }
        let body = Limited::new(request.into_body(), BODY).collect().await;
        let Some(body) =
            body.ok().and_then(|b| serde_json::from_slice::<Value>(&b.to_bytes()).ok())
        else {
            let mut bad = answer("text/plain", "not a chat completion\n".into());
            *bad.status_mut() = StatusCode::BAD_REQUEST;
            return bad;
        };
        self.0.received.push(body.get("messages").map(Value::to_string).unwrap_or_default());
        let reply = self.reply(&body);
        self.0.changed.notify_waiters();
        if body.get("stream").and_then(Value::as_bool) == Some(true) {
            answer("text/event-stream", stream(&reply))
        } else {
            answer("application/json", whole(&reply).to_string())
        }
    }

    fn reply(&self, body: &Value) -> Reply {
        let messages = body.get("messages").and_then(Value::as_array);
        let messages: &[Value] = messages.map_or(&[], Vec::as_slice);
        let offered = offered(body);
        let Some((at, name)) = directive(messages) else {
            return Reply::Say("Noted.".into());
        };
        let results: Vec<String> = messages
            .iter()
            .skip(at + 1)
            .filter(|message| role(message) == "tool")
            .map(|message| text(message.get("content")))
            .collect();
        let mut scripts = self.scripts();
        let Some(script) = scripts.get_mut(&name) else {
            return Reply::Say(format!("There is no script `{name}`."));
        };
        // The words of a finished script come back where one agent reports to another: they are
        // not to be played again.
        if script.played.finished {
            return Reply::Say("Done before.".into());
        }
        script.played.results.clone_from(&results);
        let Some(step) = script.steps.get(results.len()) else {
            script.played.finished = true;
            return Reply::Say(format!("Done: {name}."));
        };
        let args = fill(&step.args, &results);
        let id = format!("call_{}_{}", name.replace('-', "_"), results.len());
        // Most tools are offered only through one that calls them by name.
        if !offered.iter().any(|tool| tool == step.tool)
            && offered.iter().any(|tool| tool == "tool_call")
        {
            let args = json!({"id": step.tool, "args": args});
            return Reply::Call { id, tool: "tool_call".into(), args };
        }
        Reply::Call { id, tool: step.tool.into(), args }
    }
}

enum Reply {
    Say(String),
    Call { id: String, tool: String, args: Value },
}

fn role(message: &Value) -> &str {
    message.get("role").and_then(Value::as_str).unwrap_or_default()
}

fn text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts
            .iter()
            .filter_map(|part| part.get("text").and_then(Value::as_str))
            .collect::<Vec<_>>()
            .join("\n"),
        _ => String::new(),
    }
}

fn offered(body: &Value) -> Vec<String> {
    let tools = body.get("tools").and_then(Value::as_array);
    tools
        .into_iter()
        .flatten()
        .filter_map(|tool| tool.pointer("/function/name").and_then(Value::as_str))
        .map(str::to_owned)
        .collect()
}

/// The last user message that names a script, and the name.
fn directive(messages: &[Value]) -> Option<(usize, String)> {
    messages.iter().enumerate().rev().filter(|(_, m)| role(m) == "user").find_map(|(at, m)| {
        let text = text(m.get("content"));
        let after = text.rsplit_once(MARK)?.1;
        Some((at, after.split_once("]]")?.0.to_owned()))
    })
}

/// Replaces `{{N:FIELD}}` in all texts of a value.
fn fill(args: &Value, results: &[String]) -> Value {
    match args {
        Value::String(text) => Value::String(fill_text(text, results)),
        Value::Array(items) => items.iter().map(|item| fill(item, results)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| (key.clone(), fill(value, results))).collect()
        }
        other => other.clone(),
    }
}

fn fill_text(text: &str, results: &[String]) -> String {
    let Some((before, rest)) = text.split_once("{{") else { return text.to_owned() };
    let Some((hole, after)) = rest.split_once("}}") else { return text.to_owned() };
    let found = hole.split_once(':').and_then(|(n, field)| {
        let result = results.get(n.parse::<usize>().ok()?)?;
        let rest = result.split_once(field)?.1;
        let word = rest.trim_start_matches([' ', ':', '"', '=']);
        Some(word.chars().take_while(|c| c.is_alphanumeric() || "-_".contains(*c)).collect())
    });
    let found: String = found.unwrap_or_default();
    format!("{before}{found}{}", fill_text(after, results))
}

fn answer(kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    let value = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    response
}

fn usage() -> Value {
    json!({"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
}

fn stream(reply: &Reply) -> String {
    let chunk = |delta: Value, finish: Value| {
        json!({
            "id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1,
            "model": "scripted",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        })
    };
    let (delta, finish) = match reply {
        Reply::Say(text) => (json!({"content": text}), "stop"),
        Reply::Call { id, tool, args } => (
            json!({"tool_calls": [{"index": 0, "id": id, "type": "function",
                "function": {"name": tool, "arguments": args.to_string()}}]}),
            "tool_calls",
        ),
    };
    let last = chunk(json!({}), json!(finish));
    let mut tail = last.clone();
    if let Some(fields) = tail.as_object_mut() {
        fields.insert("choices".into(), json!([]));
        fields.insert("usage".into(), usage());
    }
    let first = chunk(json!({"role": "assistant", "content": ""}), Value::Null);
    let mut out = String::new();
    for event in [first, chunk(delta, Value::Null), last, tail] {
        out.push_str(&format!("data: {event}\n\n"));
    }
    out.push_str("data: [DONE]\n\n");
    out
}

fn whole(reply: &Reply) -> Value {
    let (message, finish) = match reply {
        Reply::Say(text) => (json!({"role": "assistant", "content": text}), "stop"),
        Reply::Call { id, tool, args } => (
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": id,
                "type": "function", "function": {"name": tool, "arguments": args.to_string()}}]}),
            "tool_calls",
        ),
    };
    json!({
        "id": "chatcmpl-scripted", "object": "chat.completion", "created": 1, "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Value {
        json!({"role": "user", "content": text})
    }

    #[test]
    fn a_script_is_played_step_by_step_and_only_once() {
        let model = Model::default();
        let words = model.script("a", vec![call("ls", json!({})), call("read", json!({"p": "x"}))]);
        let mut messages = vec![user(&words)];
        for expected in ["ls", "read"] {
            let body = json!({"messages": messages, "tools": [
                {"function": {"name": "ls"}}, {"function": {"name": "tool_call"}}]});
            let Reply::Call { tool, args, .. } = model.reply(&body) else { panic!("a call") };
            // `read` is not offered by its own name.
            let inner = args.get("id").and_then(Value::as_str).unwrap_or(&tool);
            assert_eq!(inner, expected);
            messages.push(json!({"role": "tool", "content": format!("result of {expected}")}));
        }
        let body = json!({"messages": messages});
        assert!(matches!(model.reply(&body), Reply::Say(_)));
        assert_eq!(model.played("a").results, ["result of ls", "result of read"]);
        assert!(model.played("a").finished);
        assert!(matches!(model.reply(&json!({"messages": [user(&words)]})), Reply::Say(_)));
    }

    #[test]
    fn words_of_an_earlier_result_are_filled_in() {
        let args = fill(&json!({"id": "{{0:session}}"}), &["started (session tidy-crab)".into()]);
        assert_eq!(args, json!({"id": "tidy-crab"}));
    }
}
