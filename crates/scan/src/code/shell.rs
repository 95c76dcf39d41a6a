//! Shell text: words expanded as far as they are constant, pipelines followed from left to right,
//! files remembered between commands.

use super::command;
use super::flow::Flow;
use super::interp::env_value;
use super::value::{HOLE, Labels, Value};
use crate::text::blob;
use tree_sitter::Node;

const MAX_NESTING: usize = 120;

struct Shell<'f, 'a, 's> {
    flow: &'f mut Flow<'a>,
    source: &'s str,
    /// Fills the holes of `source`, one after the other.
    hole: Option<Value>,
    depth: usize,
    /// Inside something that may not run.
    conditional: usize,
}

/// Runs shell text; `holes` is what the unknown parts of it hold.
pub(crate) fn run_text(flow: &mut Flow<'_>, text: &str, holes: Option<&Value>) -> Value {
    // A hole is no shell character: it becomes a variable.
    let prepared =
        if text.contains(HOLE) { text.replace(HOLE, "${__hole}") } else { text.to_owned() };
    run_prepared(flow, prepared, holes, &Value::default()).0
}

/// Runs the text of a file or fence; true when the grammar understood all of it.
pub(crate) fn run_whole(flow: &mut Flow<'_>, text: &str) -> bool {
    run_prepared(flow, text.to_owned(), None, &Value::default()).1
}

fn run_prepared(
    flow: &mut Flow<'_>,
    text: String,
    holes: Option<&Value>,
    stdin: &Value,
) -> (Value, bool) {
    let prepared = brace_words(text);
    let Some(tree) = flow.parse(super::Language::Shell, &prepared) else {
        return (Value::default(), false);
    };
    let hole = holes.map(|h| Value { texts: Vec::new(), ..h.clone() });
    let mut shell = Shell { flow, source: &prepared, hole, depth: 0, conditional: 0 };
    let printed = shell.run(tree.root_node(), stdin);
    (printed, !tree.root_node().has_error())
}

/// `{curl,-s,…}` where a command begins is a command spelt without spaces, which the grammar takes
/// for a group. Lengths stay, so that places do.
fn brace_words(text: String) -> String {
    if !text.contains('{') {
        return text;
    }
    // Pieces of `text` and, between them, what stands in the place of such words.
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices('{') {
        let before = text.get(..at).unwrap_or("").trim_end_matches([' ', '\t']);
        if !before.is_empty() && !before.ends_with(['\n', ';', '|', '&', '(', '`', '!']) {
            continue;
        }
        let rest = text.get(at + 1..).unwrap_or("");
        let Some(end) = rest.find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';'))
        else {
            continue;
        };
        let inner = rest.get(..end).unwrap_or("");
        // A group has a blank after its brace, an object of another language a colon.
        let words = rest.get(end..).is_some_and(|r| r.starts_with('}'))
            && inner
                .split_once(',')
                .is_some_and(|(first, _)| !first.is_empty() && !first.contains([':', '=']));
        if words {
            out.push_str(text.get(done..at).unwrap_or(""));
            out.push(' ');
            out.push_str(&inner.replace(',', " "));
            out.push(' ');
            done = at + end + 2;
        }
    }
    out.push_str(text.get(done..).unwrap_or(""));
    out
}

fn line(node: Node<'_>) -> u32 {
    u32::try_from(node.start_position().row + 1).unwrap_or(u32::MAX)
}

fn children(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).filter(|n| n.kind() != "comment").collect()
}

impl<'s> Shell<'_, '_, 's> {
    fn text(&self, node: Node<'_>) -> &'s str {
        self.source.get(node.byte_range()).unwrap_or("")
    }

    /// Runs a node and returns what it prints.
    fn run(&mut self, node: Node<'_>, stdin: &Value) -> Value {
        if self.depth > MAX_NESTING {
            self.flow.lose("is nested deeper than is followed");
            return Value::default();
        }
        self.depth += 1;
        let out = self.run_inner(node, stdin);
        self.depth -= 1;
        out
    }

    fn run_inner(&mut self, node: Node<'_>, stdin: &Value) -> Value {
        match node.kind() {
            "command" => self.command(node, stdin),
            "pipeline" => {
                let mut data = stdin.clone();
                for child in children(node) {
                    data = self.run(child, &data);
                }
                data
            }
            "redirected_statement" => self.redirected(node, stdin),
            "variable_assignment" => {
                let name = node.child_by_field_name("name").map_or("", |n| self.text(n)).to_owned();
                let value =
                    node.child_by_field_name("value").map(|n| self.word(n)).unwrap_or_default();
                if name == "HISTFILE"
                    && value.known().is_some_and(|v| v.is_empty() || v == "/dev/null")
                    || name == "HISTSIZE" && value.known() == Some("0")
                {
                    let how = self.text(node).to_owned();
                    self.flow.emit(line(node), super::value::Act::CoverTracks { how });
                }
                let appended = self.text(node).contains("+=");
                let value = match (appended, self.flow.vars.get(&name)) {
                    (true, Some(before)) => Value::concat(&[before.clone(), value], ""),
                    _ => value,
                };
                if self.conditional > 0 {
                    self.flow.maybe(&name, value);
                } else {
                    self.flow.set(&name, value);
                }
                Value::default()
            }
            "unset_command" => {
                if self.text(node).contains("HISTFILE") {
                    let how = self.text(node).to_owned();
                    self.flow.emit(line(node), super::value::Act::CoverTracks { how });
                }
                Value::default()
            }
            "if_statement" | "while_statement" | "case_statement" | "list" => {
                self.conditional += 1;
                let mut out = Value::default();
                for child in children(node) {
                    let printed = self.run(child, stdin);
                    out.join(&printed);
                }
                self.conditional -= 1;
                out
            }
            "for_statement" => {
                let name =
                    node.child_by_field_name("variable").map_or("", |n| self.text(n)).to_owned();
                let mut cursor = node.walk();
                let values: Vec<Node<'_>> =
                    node.children_by_field_name("value", &mut cursor).collect();
                let mut joined = Value::default();
                for value in values {
                    let value = self.word(value);
                    joined.join(&value);
                }
                self.flow.set(&name, joined);
                match node.child_by_field_name("body") {
                    Some(body) => self.run(body, stdin),
                    None => Value::default(),
                }
            }
            "function_definition" => {
                let name = node.child_by_field_name("name").map_or("", |n| self.text(n)).to_owned();
                if let Some(body) = node.child_by_field_name("body") {
                    let text = self.text(body).to_owned();
                    self.flow.define(name, text);
                    // Its body counts even when nothing here calls it.
                    return self.run(body, stdin);
                }
                Value::default()
            }
            "word" | "string" | "raw_string" | "concatenation" | "number" | "test_command"
            | "heredoc_body" | "test_operator" | "regex" => {
                if node.kind() == "test_command" {
                    for child in children(node) {
                        self.expand(child);
                    }
                }
                Value::default()
            }
            _ => {
                let mut out = Value::default();
                for child in children(node) {
                    let printed = self.run(child, stdin);
                    out.join(&printed);
                }
                out
            }
        }
    }

    /// Runs the substitutions inside something that is not itself a word.
    fn expand(&mut self, node: Node<'_>) {
        for child in children(node) {
            if matches!(child.kind(), "command_substitution" | "string" | "concatenation") {
                self.word(child);
            } else {
                self.expand(child);
            }
        }
    }

    fn redirected(&mut self, node: Node<'_>, stdin: &Value) -> Value {
        let mut input = stdin.clone();
        let mut outputs = Vec::new();
        let mut socket = None;
        let mut tail = None;
        let mut cursor = node.walk();
        let redirects: Vec<Node<'_>> =
            node.children_by_field_name("redirect", &mut cursor).collect();
        for redirect in redirects {
            match redirect.kind() {
                "file_redirect" => {
                    let Some(destination) = redirect.child_by_field_name("destination") else {
                        continue;
                    };
                    let target = self.word(destination);
                    let path = target.likely().unwrap_or("").to_owned();
                    if path.contains("/dev/tcp/") || path.contains("/dev/udp/") {
                        socket = Some(path.clone());
                    }
                    let operator = self.text(redirect);
                    let operator = operator
                        .split(|c: char| {
                            c.is_alphanumeric() || matches!(c, '$' | '"' | '/' | '~' | '.')
                        })
                        .next()
                        .unwrap_or("");
                    if operator.contains('<') {
                        let line = line(redirect);
                        let data =
                            if path.is_empty() { target } else { self.flow.load(line, &path) };
                        input.join(&data);
                    } else if !self.text(redirect).starts_with("2>") && !operator.contains("&")
                        || self.text(redirect).starts_with("&>")
                    {
                        outputs.push(path);
                    }
                }
                "herestring_redirect" => {
                    for child in children(redirect) {
                        let value = self.word(child);
                        input.join(&value);
                    }
                }
                "heredoc_redirect" => {
                    let mut text = Value::default();
                    for child in children(redirect) {
                        match child.kind() {
                            "heredoc_body" => text = self.heredoc(child),
                            "file_redirect" => {
                                if let Some(destination) = child.child_by_field_name("destination")
                                {
                                    let target = self.word(destination);
                                    outputs.push(target.likely().unwrap_or("").to_owned());
                                }
                            }
                            "pipeline" | "command" | "list" => tail = Some(child),
                            _ => {}
                        }
                    }
                    input.join(&text);
                }
                _ => {}
            }
        }
        let mut printed = match node.child_by_field_name("body") {
            Some(body) => self.run(body, &input),
            // `> file <<EOF` without a command copies.
            None => input.clone(),
        };
        if let Some(path) = socket {
            let url = path
                .rsplit("/dev/")
                .next()
                .unwrap_or("")
                .replacen("tcp/", "tcp://", 1)
                .replacen("udp/", "tcp://", 1);
            let target = Value::text(url.replacen('/', "\u{0}", 2).replacen('\u{0}', "/", 2));
            let shell = node.child_by_field_name("body").is_some_and(|b| {
                let text = self.text(b);
                text.contains("sh") || text.contains("exec")
            });
            let at = line(node);
            if shell {
                self.flow.emit(at, super::value::Act::ReverseShell { how: path.clone() });
            }
            self.flow.net(at, &[&target], printed.clone(), true);
        }
        if let Some(tail) = tail {
            printed = self.run(tail, &printed);
        }
        let at = line(node);
        for path in outputs {
            if !path.is_empty() {
                self.flow.store(at, &path, &printed);
            }
        }
        printed
    }

    fn heredoc(&mut self, node: Node<'_>) -> Value {
        let mut out = Value::text(self.text(node).to_owned());
        for child in children(node) {
            if matches!(child.kind(), "simple_expansion" | "expansion" | "command_substitution") {
                let value = self.word(child);
                out.taint(&value);
            }
        }
        out
    }

    fn command(&mut self, node: Node<'_>, stdin: &Value) -> Value {
        let mut argv = Vec::new();
        let mut input = stdin.clone();
        for child in children(node) {
            match child.kind() {
                "command_name" => {
                    let value = match child.named_child(0) {
                        Some(name) => self.word(name),
                        None => Value::text(self.text(child)),
                    };
                    argv.push(value);
                }
                "variable_assignment" => {
                    self.run(child, stdin);
                }
                "herestring_redirect" => {
                    for word in children(child) {
                        let value = self.word(word);
                        input.join(&value);
                    }
                }
                "file_redirect" => {}
                _ => {
                    let value = self.word(child);
                    // An unquoted constant variable splits into words.
                    match (child.kind(), value.known()) {
                        ("simple_expansion" | "expansion", Some(text)) if text.contains(' ') => {
                            argv.extend(text.split_whitespace().map(Value::text));
                        }
                        ("word", Some(text))
                            if text.starts_with('{')
                                && text.contains(',')
                                && text.ends_with('}') =>
                        {
                            // `{curl,-s,…}` is a command spelt without spaces.
                            let inner = text.trim_matches(['{', '}']).to_owned();
                            argv.extend(inner.split(',').map(Value::text));
                        }
                        _ => argv.push(value),
                    }
                }
            }
        }
        let at = line(node);
        // A command that may be one of several: each is run.
        let names = argv.first().map(|v| v.texts.clone()).unwrap_or_default();
        if names.len() < 2 {
            return self.invoke(argv, &input, at);
        }
        let mut out = Value::default();
        for name in names {
            let mut argv = argv.clone();
            if let Some(first) = argv.first_mut() {
                first.texts = vec![name];
            }
            let printed = self.invoke(argv, &input, at);
            out.join(&printed);
        }
        out
    }

    /// Runs words that are known as far as they will be.
    fn invoke(&mut self, mut argv: Vec<Value>, input: &Value, at: u32) -> Value {
        if let Some(text) =
            argv.first().and_then(Value::known).filter(|t| t.contains(' ')).map(str::to_owned)
        {
            // `$CMD` with arguments inside.
            let mut split: Vec<Value> = text.split_whitespace().map(Value::text).collect();
            split.extend(argv.drain(1..));
            argv = split;
        }
        if let Some(text) =
            argv.first().and_then(Value::known).filter(|t| t.starts_with('{') && t.contains(','))
        {
            let inner = text.trim_matches(['{', '}']).to_owned();
            let mut split: Vec<Value> = inner.split(',').map(Value::text).collect();
            split.extend(argv.drain(1..));
            argv = split;
        }
        if let Some(body) =
            argv.first().and_then(Value::known).and_then(|n| self.flow.functions.get(n)).cloned()
        {
            for (index, value) in argv.iter().enumerate().skip(1) {
                self.flow.set(&index.to_string(), value.clone());
            }
            let name = argv.first().and_then(Value::known).unwrap_or("").to_owned();
            let run = |flow: &mut Flow<'_>| {
                flow.nested(at, |flow| run_prepared(flow, body, None, input).0)
            };
            // What stands on its input is not known by its name.
            return if *input == Value::default() {
                self.flow.call(&name, run)
            } else {
                run(self.flow)
            };
        }
        command::run(self.flow, &argv, input, at)
    }

    /// What a word expands to.
    fn word(&mut self, node: Node<'_>) -> Value {
        if self.depth > MAX_NESTING {
            return Value::default();
        }
        self.depth += 1;
        let out = self.word_inner(node);
        self.depth -= 1;
        out
    }

    fn word_inner(&mut self, node: Node<'_>) -> Value {
        match node.kind() {
            "word" | "number" | "special_variable_name" | "extglob_pattern" => {
                Value::text(self.text(node).replace('\\', ""))
            }
            "raw_string" => Value::text(self.text(node).trim_matches('\'').to_owned()),
            "ansi_c_string" => {
                let text = self.text(node);
                let inner =
                    text.strip_prefix("$'").and_then(|t| t.strip_suffix('\'')).unwrap_or(text);
                let mut value = Value::text(blob::unescape(inner));
                if inner.matches("\\x").count() + inner.matches("\\0").count() > 4 {
                    value.labels = Labels::DECODED;
                }
                value
            }
            "string" | "translated_string" => {
                let mut parts = Vec::new();
                let mut at = node.start_byte() + 1;
                for child in children(node) {
                    let between = self.source.get(at..child.start_byte()).unwrap_or("");
                    if !between.is_empty() {
                        parts.push(Value::text(between.replace("\\\"", "\"")));
                    }
                    at = child.end_byte();
                    parts.push(match child.kind() {
                        "string_content" => {
                            Value::text(self.text(child).replace("\\\"", "\"").replace("\\$", "$"))
                        }
                        _ => self.word(child),
                    });
                }
                let rest = self.source.get(at..node.end_byte().saturating_sub(1)).unwrap_or("");
                if !rest.is_empty() {
                    parts.push(Value::text(rest));
                }
                match parts.len() {
                    0 => Value::text(""),
                    1 => parts.pop().unwrap_or_default(),
                    _ => Value::concat(&parts, ""),
                }
            }
            "concatenation" => {
                let parts: Vec<Value> = children(node).into_iter().map(|n| self.word(n)).collect();
                if parts.is_empty() {
                    Value::text(self.text(node))
                } else {
                    Value::concat(&parts, "")
                }
            }
            "simple_expansion" | "expansion" => {
                let name =
                    children(node).into_iter().next().map_or("", |n| self.text(n)).to_owned();
                self.variable(&name, self.text(node))
            }
            "command_substitution" | "process_substitution" => {
                let mut out = Value::default();
                for child in children(node) {
                    let printed = self.run(child, &Value::default());
                    out.join(&printed);
                }
                out.texts.iter_mut().for_each(|t| {
                    let end = t.trim_end().len();
                    t.truncate(end);
                });
                out
            }
            "array" => {
                let list: Vec<Value> = children(node).into_iter().map(|n| self.word(n)).collect();
                Value::concat(&list, " ")
            }
            _ => Value::text(self.text(node)),
        }
    }

    fn variable(&mut self, name: &str, whole: &str) -> Value {
        if name == "__hole" {
            return self.hole.clone().unwrap_or_default();
        }
        if name == "IFS" {
            return Value::text(" ");
        }
        if let Some(value) = self.flow.vars.get(name) {
            let value = value.clone();
            // `${x:2:5}`, `${x#…}` cut: the text is no longer known, except for slices of constants.
            if whole.starts_with("${") && whole.len() > name.len() + 3 {
                return slice(&value, whole, name);
            }
            return value;
        }
        // `${NAME:-default}`.
        if let Some((_, default)) = whole.split_once(":-") {
            let mut value = env_value(name);
            if value.texts.is_empty() {
                value.texts = Value::text(default.trim_end_matches('}').trim_matches('"')).texts;
            }
            return value;
        }
        env_value(name)
    }
}

/// `${x:from:length}` of a constant.
fn slice(value: &Value, whole: &str, name: &str) -> Value {
    let inner = whole.trim_start_matches("${").trim_end_matches('}');
    let numbers: Vec<usize> = inner
        .strip_prefix(name)
        .unwrap_or("")
        .split(':')
        .skip(1)
        .filter_map(|n| n.trim().parse().ok())
        .collect();
    match numbers.as_slice() {
        [from] => value.map(|t| Some(t.chars().skip(*from).collect())),
        [from, length] => value.map(|t| Some(t.chars().skip(*from).take(*length).collect())),
        _ => Value { texts: value.texts.clone(), ..value.clone() },
    }
}
