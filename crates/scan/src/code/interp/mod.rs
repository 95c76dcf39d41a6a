//! Follows data through a lowered program.

mod calls;
mod decode;
mod shape;

use super::Language;
use super::flow::Flow;
use super::ir::{Expr, Op, Program, Stmt};
use super::value::{HOLE, Labels, Value};
use crate::content::{Api, ApiKind};
pub(crate) use decode::env_value;
use std::collections::HashMap;

/// Most times that the program is gone through: once to learn what functions return and are given,
/// once to record, and once more when that taught something new.
const PASSES: usize = 3;
/// Most bytes of text in variables: a program that adds to itself line by line would fill memory.
const MAX_HELD: usize = 16 << 20;
/// Expressions deeper than this are opaque.
const MAX_NESTING: usize = 120;

/// Methods that put what they get into their object.
const MUTATORS: &[&str] = &[
    "append",
    "extend",
    "insert",
    "update",
    "add",
    "setdefault",
    "push",
    "unshift",
    "set",
    "put",
    "concat",
    "merge",
    "merge!",
    "<<",
    "field",
    "write",
    "Write",
    "WriteString",
    "assign",
    "attach",
];

struct Interp<'f, 'a, 'p> {
    flow: &'f mut Flow<'a>,
    api: &'a Api,
    language: Language,
    parents: &'p [usize],
    /// Variables by scope.
    vars: Vec<HashMap<String, Value>>,
    /// Something that flows against the order of the text is new in this pass: a parameter, a
    /// result, a property.
    learnt: bool,
    aliases: HashMap<String, String>,
    functions: HashMap<String, (usize, Vec<String>)>,
    record: bool,
    scope: usize,
    line: u32,
    depth: usize,
    /// Bytes of text that variables hold.
    held: usize,
}

/// Runs through `program`.
pub(crate) fn run(flow: &mut Flow<'_>, program: &Program, language: Language) {
    let Some(api) = flow.content.api(language.api()) else { return };
    let mut interp = Interp {
        flow,
        api,
        language,
        parents: &program.parents,
        vars: vec![HashMap::new(); program.parents.len().max(1)],
        learnt: false,
        aliases: HashMap::new(),
        functions: HashMap::new(),
        record: false,
        scope: 0,
        line: 1,
        depth: 0,
        held: 0,
    };
    if let Some(why) = program.cut {
        interp.flow.lose(why);
    }
    for pass in 0..PASSES {
        interp.record = pass > 0;
        interp.learnt = false;
        let before = interp.flow.events.len();
        for stmt in &program.stmts {
            interp.step(stmt);
        }
        if pass > 0 && !interp.learnt {
            break;
        }
        if pass + 1 < PASSES {
            // Seen with too little known: it is gone through once more.
            interp.flow.events.truncate(before);
        }
    }
}

impl Interp<'_, '_, '_> {
    fn step(&mut self, stmt: &Stmt) {
        self.scope = stmt.scope;
        match &stmt.op {
            Op::Alias(local, real) => {
                self.aliases.insert(local.clone(), real.clone());
            }
            Op::Function(name, scope, params) => {
                if !name.is_empty() {
                    self.functions.insert(name.clone(), (*scope, params.clone()));
                }
            }
            Op::Do(value) => {
                self.eval(value);
            }
            Op::Return(value) => {
                let value = self.eval(value);
                self.merge(0, format!("%ret{}", stmt.scope), &value);
            }
            Op::Assign(names, expr) => {
                // `run = os.system`, `run = getattr(os, "sys" + "tem")`.
                // A module that was loaded by name is that module, whatever it is called here.
                let module = matches!(expr, Expr::Call { .. });
                if let (Some(name), Some(real)) = (names.first(), self.callable(expr))
                    && (module || self.api.kind(&real, false).is_some())
                    && names.len() == 1
                    // A variable of that name is itself, not the library.
                    && self.lookup(&real).is_none()
                {
                    self.aliases.insert(name.clone(), real);
                }
                let value = self.eval(expr);
                for name in names {
                    let name = self.resolve(name);
                    if let Some((object, _)) = name.split_once('.').filter(|_| !own(&name)) {
                        // A property taints the object it belongs to.
                        let object = object.to_owned();
                        self.assign(&object, &Value { texts: Vec::new(), ..value.clone() }, true);
                    }
                    self.assign(&name, &value, stmt.conditional);
                }
            }
        }
    }

    fn assign(&mut self, name: &str, value: &Value, join: bool) {
        let scope = self.lookup_scope(name).unwrap_or(self.scope);
        // Properties of an object belong to all its methods.
        let scope = if name.starts_with(['%', '@']) || own(name) { 0 } else { scope };
        let Some(vars) = self.vars.get_mut(scope) else { return };
        let held = match vars.get_mut(name) {
            Some(held) => held,
            None => vars.entry(name.to_owned()).or_default(),
        };
        self.held = self.held.saturating_sub(held.size());
        if join {
            let labels = held.labels;
            held.join(value);
            self.learnt |= held.labels != labels;
        } else {
            held.clone_from(value);
        }
        if self.held.saturating_add(held.size()) > MAX_HELD {
            (held.texts, held.list) = (Vec::new(), Vec::new());
            self.flow.lose("holds more text than is followed");
        }
        self.held = self.held.saturating_add(held.size());
    }

    /// A parameter or result may be this too.
    fn merge(&mut self, scope: usize, name: String, value: &Value) {
        let Some(vars) = self.vars.get_mut(scope) else { return };
        let held = vars.entry(name).or_default();
        let before = (held.labels, held.texts.len(), held.sources.len(), held.list.len());
        held.join(value);
        self.learnt |=
            before != (held.labels, held.texts.len(), held.sources.len(), held.list.len());
    }

    fn lookup_scope(&self, name: &str) -> Option<usize> {
        let mut scope = self.scope;
        for _ in 0..64 {
            if self.vars.get(scope).is_some_and(|vars| vars.contains_key(name)) {
                return Some(scope);
            }
            if scope == 0 {
                return None;
            }
            scope = self.parents.get(scope).copied().unwrap_or(0);
        }
        None
    }

    fn lookup(&self, name: &str) -> Option<&Value> {
        if name.starts_with('%') {
            return self.vars.first()?.get(name);
        }
        let scope = self.lookup_scope(name)?;
        self.vars.get(scope)?.get(name)
    }

    /// The library name behind a dotted name.
    fn resolve(&self, name: &str) -> String {
        let (head, rest) = match name.split_once('.') {
            Some((head, rest)) => (head, Some(rest)),
            None => (name, None),
        };
        match (self.aliases.get(head), rest) {
            (Some(real), Some(rest)) => format!("{real}.{rest}"),
            (Some(real), None) => real.clone(),
            (None, _) => name.to_owned(),
        }
    }

    /// The dotted library name of a callee, through constant look-ups.
    fn callable(&mut self, expr: &Expr) -> Option<String> {
        if self.depth > MAX_NESTING {
            return None;
        }
        self.depth += 1;
        let out = self.callable_inner(expr);
        self.depth -= 1;
        out
    }

    fn callable_inner(&mut self, expr: &Expr) -> Option<String> {
        match expr {
            Expr::Name(name) => Some(self.resolve(name)),
            Expr::Member(base, name) => {
                let base = self.callable(base)?;
                // `self` is the whole world in a browser, and an object of its own elsewhere.
                if base == "self" && self.language != Language::JavaScript {
                    return Some(format!("self.{name}"));
                }
                let full = format!("{}.{name}", strip_global(&base));
                Some(full.trim_start_matches('.').to_owned())
            }
            Expr::Index(base, index) => {
                let base = self.callable(base)?;
                let name = self.eval(index);
                let name = name.known()?;
                Some(join_global(&base, name))
            }
            Expr::Call { callee, args, .. } => {
                let function = self.callable(callee)?;
                match (function.as_str(), args.as_slice()) {
                    ("getattr" | "Reflect.get", [base, name, ..]) => {
                        let base = self.callable(base)?;
                        let name = self.eval(name);
                        Some(join_global(&base, name.known()?))
                    }
                    (
                        "__import__"
                        | "importlib.import_module"
                        | "require"
                        | "import"
                        | "process.getBuiltinModule"
                        | "process.binding",
                        [name, ..],
                    ) => {
                        let name = self.eval(name);
                        Some(name.known()?.trim_start_matches("node:").to_owned())
                    }
                    ("globals" | "vars" | "locals", []) => Some("globalThis".to_owned()),
                    (_, [..]) if function.ends_with(".bind") => {
                        Some(function.trim_end_matches(".bind").to_owned())
                    }
                    _ => None,
                }
            }
            Expr::Many(parts) => match parts.as_slice() {
                [one] => self.callable(one),
                // `(0, eval)(…)`.
                [Expr::Num(_), one] => self.callable(one),
                _ => None,
            },
            _ => None,
        }
    }

    fn eval(&mut self, expr: &Expr) -> Value {
        if self.depth > MAX_NESTING {
            self.flow.lose("is nested deeper than is followed");
            return Value::default();
        }
        self.depth += 1;
        let out = self.eval_inner(expr);
        self.depth -= 1;
        out
    }

    fn eval_inner(&mut self, expr: &Expr) -> Value {
        match expr {
            Expr::Str(text) => Value::text(text.clone()),
            Expr::Num(number) => Value::text(number.to_string()),
            Expr::Name(name) => self.name(name),
            Expr::Member(base, name) => {
                if let Some(full) = self.callable(expr) {
                    if let Some((owner, last)) = full.rsplit_once('.')
                        && self.api.kind(owner, false) == Some(ApiKind::EnvAll)
                    {
                        return env_value(last);
                    }
                    if let Some(ApiKind::EnvAll | ApiKind::Personal) = self.api.kind(&full, false) {
                        return self.name(&full);
                    }
                    if let Some(value) = self.lookup(&full) {
                        return value.clone();
                    }
                }
                let mut value = self.eval(base);
                if name != "text" && name != "path" && name != "stdout" {
                    value.texts.clear();
                }
                value
            }
            Expr::Index(base, index) => self.index(base, index),
            Expr::Concat(parts) => {
                let parts: Vec<Value> = parts.iter().map(|p| self.eval(p)).collect();
                let mut out = Value::concat(&parts, "");
                // `"%s…" % value` and lists put together.
                if let [first, rest @ ..] = parts.as_slice() {
                    if let Some(text) =
                        first.likely().filter(|t| t.contains("%s") && rest.len() == 1)
                    {
                        let fill = rest
                            .first()
                            .and_then(Value::likely)
                            .map_or(HOLE.to_string(), str::to_owned);
                        out.texts = vec![text.replace("%s", &fill)];
                    }
                    out.list = parts.iter().flat_map(|p| p.list.clone()).take(64).collect();
                }
                out
            }
            Expr::Path(parts) => {
                let parts: Vec<Value> = parts.iter().map(|p| self.eval(p)).collect();
                Value::concat(&parts, "/")
            }
            Expr::List(parts) => {
                let parts: Vec<Value> = parts.iter().take(256).map(|p| self.eval(p)).collect();
                let mut out = Value::default();
                for part in &parts {
                    out.taint(part);
                }
                out.list = parts;
                out
            }
            Expr::Each(whole) => {
                let mut out = self.eval(whole);
                if out.texts.is_empty() {
                    for element in std::mem::take(&mut out.list) {
                        out.join(&element);
                    }
                }
                out
            }
            Expr::Many(parts) => {
                let mut out = Value::default();
                for part in parts {
                    let value = self.eval(part);
                    out.join(&value);
                }
                if parts.len() > 1 {
                    out.list.clear();
                }
                out
            }
            Expr::Call { callee, args, line } => {
                self.line = *line;
                self.call(callee, args, *line)
            }
        }
    }

    fn name(&mut self, name: &str) -> Value {
        if let Some(value) = self.lookup(name) {
            return value.clone();
        }
        let full = self.resolve(name);
        match self.api.kind(&full, false) {
            Some(ApiKind::EnvAll) => Value::labelled(Labels::ENV_ALL, "the whole environment"),
            Some(ApiKind::Personal) => Value::labelled(Labels::CAPTURE, full),
            _ => match full.as_str() {
                "__file__" | "__dirname" => Value::text("."),
                "HOME" => Value::text("~"),
                _ => Value::default(),
            },
        }
    }

    fn index(&mut self, base: &Expr, index: &Expr) -> Value {
        let key = self.eval(index);
        if let Some(full) = self.callable(base)
            && self.api.kind(&full, false) == Some(ApiKind::EnvAll)
        {
            return env_value(key.known().unwrap_or("?"));
        }
        let mut value = self.eval(base);
        if key.known() == Some("::-1") {
            return value.map(|t| Some(t.chars().rev().collect()));
        }
        let element = key
            .known()
            .and_then(|k| k.parse::<usize>().ok())
            .and_then(|at| value.list.get(at).cloned());
        if let Some(element) = element {
            return element;
        }
        value.texts.clear();
        value.handle = None;
        value.labels = value.labels.without(Labels::ENV_ALL);
        value
    }

    fn call(&mut self, callee: &Expr, args: &[Expr], line: u32) -> Value {
        let name = self.callable(callee);
        let receiver = match callee {
            Expr::Member(base, _) => {
                // `os.environ.get(…)` reads one value, not all.
                let whole = self
                    .callable(base)
                    .is_some_and(|b| self.api.kind(&b, false) == Some(ApiKind::EnvAll));
                if whole
                    && name.as_deref().is_some_and(|n| n.ends_with(".get") || n.ends_with(".fetch"))
                {
                    let key = args.first().map(|a| self.eval(a)).unwrap_or_default();
                    return env_value(key.known().unwrap_or("?"));
                }
                self.eval(base)
            }
            Expr::Call { .. } | Expr::Index(..) => self.eval(callee),
            _ => Value::default(),
        };
        let values: Vec<Value> = args.iter().map(|a| self.eval(a)).collect();
        let method = match callee {
            Expr::Member(_, method) => Some(method.as_str()),
            _ => None,
        };
        let full = name.unwrap_or_else(|| method.map_or(String::new(), |m| format!(".{m}")));
        let local =
            full.strip_prefix("self.").or_else(|| full.strip_prefix("this.")).unwrap_or(&full);
        if let Some((scope, params)) = self.functions.get(local).cloned() {
            return self.local_call(scope, &params, &values);
        }
        if let Some(Value { .. }) = self.lookup(&full).filter(|_| full.starts_with('%')) {
            return self.name(&full);
        }
        let kind = self.api.kind(&full, receiver.net);
        // A method of an object that this file makes itself.
        if kind.is_none()
            && let Some(method) = method
            && let Some((scope, params)) = self.functions.get(method).cloned()
        {
            return self.local_call(scope, &params, &values);
        }
        if let (Expr::Member(base, _), Some(method)) = (callee, method)
            && MUTATORS.contains(&method)
            && let Expr::Name(object) = &**base
        {
            let mut put = Value::default();
            values.iter().for_each(|v| put.taint(v));
            if put.labels != Labels::NONE {
                let object = object.clone();
                self.assign(&object, &put, true);
            }
        }
        let kind =
            kind.or_else(|| method.and_then(|m| self.api.kind(&format!(".{m}"), receiver.net)));
        let from_module = self
            .api
            .net_modules
            .iter()
            .any(|m| full.strip_prefix(m.as_str()).is_some_and(|r| r.starts_with('.')));
        let mut out = match kind {
            Some(kind) => self.api_call(kind, &full, &receiver, &values, line),
            None => self.plain_call(&full, method, receiver, &values, line),
        };
        out.net |= from_module;
        out
    }

    fn local_call(&mut self, scope: usize, params: &[String], values: &[Value]) -> Value {
        for (param, value) in params.iter().zip(values) {
            self.merge(scope, param.clone(), value);
        }
        let name = format!("%ret{scope}");
        self.vars.first().and_then(|vars| vars.get(&name)).cloned().unwrap_or_default()
    }
}

/// A property of the object whose method this is.
fn own(name: &str) -> bool {
    name.starts_with("self.") || name.starts_with("this.")
}

fn strip_global(name: &str) -> &str {
    match name {
        "globalThis" | "window" | "global" | "self" | "builtins" | "__builtins__" | "Kernel" => "",
        other => other,
    }
}

fn join_global(base: &str, name: &str) -> String {
    let base = strip_global(base);
    if base.is_empty() { name.to_owned() } else { format!("{base}.{name}") }
}
