//! Follows data through a lowered program.

use super::flow::Flow;
use super::ir::{Expr, Op, Program, Stmt};
use super::value::{Act, HOLE, Labels, MAX_TEXT, Value, secret_name};
use super::{Language, command};
use crate::content::{Api, ApiKind};
use crate::text::blob;
use std::collections::HashMap;

/// Times the program is gone through: once to learn what functions return and are given, once to
/// carry that along, once to record.
const PASSES: usize = 3;
/// Expressions deeper than this are opaque.
const MAX_NESTING: usize = 120;

struct Interp<'f, 'a, 'p> {
    flow: &'f mut Flow<'a>,
    api: &'a Api,
    language: Language,
    parents: &'p [usize],
    vars: HashMap<(usize, String), Value>,
    aliases: HashMap<String, String>,
    functions: HashMap<String, (usize, Vec<String>)>,
    record: bool,
    scope: usize,
    line: u32,
    depth: usize,
}

/// Runs through `program`.
pub(crate) fn run(flow: &mut Flow<'_>, program: &Program, language: Language) {
    let Some(api) = flow.content.api(language.api()) else { return };
    let mut interp = Interp {
        flow,
        api,
        language,
        parents: &program.parents,
        vars: HashMap::new(),
        aliases: HashMap::new(),
        functions: HashMap::new(),
        record: false,
        scope: 0,
        line: 1,
        depth: 0,
    };
    for pass in 0..PASSES {
        interp.record = pass + 1 == PASSES;
        for stmt in &program.stmts {
            interp.step(stmt);
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
                let key = (0, format!("%ret{}", stmt.scope));
                self.vars.entry(key).or_default().join(&value);
            }
            Op::Assign(names, expr) => {
                // `run = os.system`, `run = getattr(os, "sys" + "tem")`.
                // A module that was loaded by name is that module, whatever it is called here.
                let module = matches!(expr, Expr::Call { .. });
                if let (Some(name), Some(real)) = (names.first(), self.callable(expr))
                    && (module || self.api.kind(&real, false).is_some())
                    && names.len() == 1
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
        let key = (scope, name.to_owned());
        if join {
            self.vars.entry(key).or_default().join(value);
        } else {
            self.vars.insert(key, value.clone());
        }
    }

    fn lookup_scope(&self, name: &str) -> Option<usize> {
        let mut scope = self.scope;
        for _ in 0..64 {
            if self.vars.contains_key(&(scope, name.to_owned())) {
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
            return self.vars.get(&(0, name.to_owned()));
        }
        let scope = self.lookup_scope(name)?;
        self.vars.get(&(scope, name.to_owned()))
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
                        "__import__" | "importlib.import_module" | "require" | "import",
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
            self.vars.entry((scope, param.clone())).or_default().join(value);
        }
        self.vars.get(&(0, format!("%ret{scope}"))).cloned().unwrap_or_default()
    }

    fn api_call(
        &mut self,
        kind: ApiKind,
        name: &str,
        receiver: &Value,
        values: &[Value],
        line: u32,
    ) -> Value {
        let first = values.first().cloned().unwrap_or_default();
        let mut all = receiver.clone();
        all.texts.clear();
        for value in values {
            all.taint(value);
        }
        match kind {
            ApiKind::Net => {
                let places: Vec<&Value> = std::iter::once(receiver)
                    .chain(values)
                    .flat_map(|v| std::iter::once(v).chain(&v.list))
                    .collect();
                let upload =
                    ["post", "put", "patch", "send", "upload", "Post", "Do", "sendBeacon", "stor"]
                        .iter()
                        .any(|w| name.contains(w))
                        || values.len() > 1;
                if self.record {
                    self.flow.net(line, &places, all.clone(), upload);
                }
                let mut out = Value::labelled(Labels::DOWNLOADED, "");
                out.sources = places
                    .iter()
                    .flat_map(|v| v.texts.iter())
                    .filter(|t| t.contains("://"))
                    .take(2)
                    .map(|t| super::super::text::clip(t, 80))
                    .collect();
                // A request that is built here and sent later carries its data along.
                if name.ends_with("Request")
                    || name.ends_with("Connection")
                    || name.ends_with("request")
                {
                    out.taint(&Value {
                        labels: all.labels.without(Labels::DOWNLOADED),
                        ..all.clone()
                    });
                    out.texts.clone_from(&first.texts);
                }
                out.net = true;
                out
            }
            ApiKind::Exec | ApiKind::Shell => self.run(kind, &values, line),
            ApiKind::Eval => {
                let timer = matches!(name, "setTimeout" | "setInterval");
                if timer
                    && first.texts.is_empty()
                    && !first.labels.has(Labels::DOWNLOADED.with(Labels::DECODED))
                {
                    return Value::default();
                }
                let code = values
                    .last()
                    .filter(|_| name == "Function")
                    .cloned()
                    .unwrap_or_else(|| first.clone());
                let code = if code.texts.is_empty() && code.labels == Labels::NONE {
                    receiver.clone()
                } else {
                    code
                };
                if self.record {
                    self.flow.emit(line, Act::Eval { what: code.clone() });
                    if let Some(text) = code.known().map(str::to_owned) {
                        let language = self.language;
                        self.flow.nested(line, |flow| {
                            super::analyse(flow, language, &text);
                        });
                    }
                }
                code
            }
            ApiKind::Load => {
                if self.record && first.labels.has(Labels::DOWNLOADED) {
                    self.flow.emit(line, Act::Eval { what: first.clone() });
                }
                if let Some(path) = first.likely()
                    && let Some(stored) = self.flow.stored(path).cloned()
                    && self.record
                {
                    self.flow.emit(line, Act::Run { what: stored, name: path.to_owned() });
                }
                first
            }
            ApiKind::Decode => decode(name, receiver, values),
            ApiKind::Read => {
                let writes = values
                    .get(1)
                    .and_then(Value::known)
                    .is_some_and(|m| m.contains(['w', 'a', 'x']) && m.len() <= 3);
                let path = first.likely().map(str::to_owned);
                let mut out = match &path {
                    Some(path) if !writes && self.record => self.flow.load(line, path),
                    Some(path) if !writes => {
                        let mut value = super::value::read_path(self.flow.content, path);
                        if let Some(stored) = self.flow.stored(path) {
                            value.taint(stored);
                        }
                        value
                    }
                    Some(_) => Value::default(),
                    None => Value::labelled(Labels::LOCAL_FILE, ""),
                };
                out.taint(&first);
                out.handle = path.clone();
                if name.ends_with("Path") || name.contains("copy") || name.contains("cp") {
                    out.texts.clone_from(&first.texts);
                }
                if (name.contains("copy") || name.contains("cp"))
                    && let (Some(to), true) = (values.get(1).and_then(Value::likely), self.record)
                {
                    let to = to.to_owned();
                    self.flow.store(line, &to, &out.clone());
                }
                out
            }
            ApiKind::Write => {
                let by_receiver =
                    receiver.handle.clone().or_else(|| receiver.likely().map(str::to_owned));
                let method = self.language != Language::JavaScript && values.len() <= 1
                    || name.starts_with('.');
                let (path, data) = match (method, by_receiver) {
                    (true, Some(path)) => (Some(path), first),
                    (true, None) => (None, first),
                    (false, _) => (
                        first.likely().map(str::to_owned),
                        values.get(1).cloned().unwrap_or_default(),
                    ),
                };
                if let (Some(path), true) = (&path, self.record) {
                    self.flow.store(line, path, &data);
                } else if let Some(path) = &path {
                    // Earlier passes only learn what is in the file.
                    let before = self.flow.events.len();
                    self.flow.store(line, path, &data);
                    self.flow.events.truncate(before);
                }
                Value { handle: path, ..Value::default() }
            }
            ApiKind::Env => env_value(first.known().unwrap_or("?")),
            ApiKind::EnvAll => Value::labelled(Labels::ENV_ALL, "the whole environment"),
            ApiKind::FetchTo => {
                if self.record {
                    self.flow.net(line, &[&first], Value::default(), false);
                }
                let data = Value::labelled(Labels::DOWNLOADED, first.likely().unwrap_or(""));
                if let Some(path) = values.get(1).and_then(Value::likely).map(str::to_owned) {
                    let before = self.flow.events.len();
                    self.flow.store(line, &path, &data);
                    if !self.record {
                        self.flow.events.truncate(before);
                    }
                }
                data
            }
            ApiKind::Personal => {
                let label = if name.contains("getpass") || name.contains("get-credential") {
                    Labels::TYPED_SECRET
                } else {
                    Labels::CAPTURE
                };
                Value::labelled(label, name)
            }
            ApiKind::Delete => {
                if let (Some(path), true) = (first.likely(), self.record) {
                    self.flow.emit(line, Act::Delete { path: path.to_owned() });
                }
                Value::default()
            }
        }
    }

    /// A program is started.
    fn run(&mut self, kind: ApiKind, values: &&[Value], line: u32) -> Value {
        let first = values.first().cloned().unwrap_or_default();
        let go = self.language == Language::Go;
        let mut argv = if first.list.is_empty() { vec![first.clone()] } else { first.list.clone() };
        if first.list.is_empty() {
            for value in values.iter().skip(1) {
                if !value.list.is_empty() {
                    argv.extend(value.list.iter().cloned());
                } else if go || kind == ApiKind::Exec {
                    argv.push(value.clone());
                }
            }
        }
        if go && argv.first().is_some_and(|v| v.texts.is_empty()) && argv.len() > 1 {
            argv.remove(0);
        }
        if !self.record {
            let mut out = Value::labelled(Labels::OUTPUT, "");
            out.taint(&first);
            return out;
        }
        // One string is a shell line (`shell=True`, `os.system`, `exec`). No program has blanks in
        // its name, so a string with some, and no list of arguments beside it, is one too.
        let line_of_words = first.likely().is_some_and(|t| t.trim().contains(' '))
            && values.iter().all(|v| v.list.is_empty());
        if first.list.is_empty() && (kind == ApiKind::Shell || argv.len() == 1 || line_of_words) {
            let text = first.likely().map(str::to_owned);
            return match text {
                Some(text) if text.trim() != HOLE.to_string() => {
                    self.flow.nested(line, |flow| super::shell::run_text(flow, &text, Some(&first)))
                }
                _ => {
                    self.flow.emit(line, Act::Run { what: first, name: String::new() });
                    Value::labelled(Labels::OUTPUT, "")
                }
            };
        }
        self.flow.nested(line, |flow| command::run(flow, &argv, &Value::default(), line))
    }

    /// A call that is not in the catalogue: text passes through what only shapes it.
    fn plain_call(
        &mut self,
        name: &str,
        method: Option<&str>,
        receiver: Value,
        values: &[Value],
        line: u32,
    ) -> Value {
        let last = name.rsplit('.').next().unwrap_or(name);
        let first = values.first();
        match name {
            "os.path.join" | "path.join" | "path.resolve" | "path.posix.join" | "filepath.Join"
            | "File.join" | "pathlib.PurePath" | "join-path" => {
                return Value::concat(values, "/");
            }
            "os.homedir" | "Path.home" | "pathlib.Path.home" | "Dir.home" | "homedir"
            | "os.UserHomeDir" => return Value::text("~"),
            "os.tmpdir" | "tempfile.gettempdir" | "tempfile.mkdtemp" | "tmpdir" | "os.TempDir" => {
                return Value::text("/tmp");
            }
            "os.dup2" | "syscall.Dup2" if self.record => {
                self.flow.emit(line, Act::Redirects);
            }
            "String.raw" | "fmt.Sprintf" | "format" | "util.format" => {
                if let Some(text) = first.and_then(Value::likely) {
                    let mut filled = text.to_owned();
                    for value in values.iter().skip(1) {
                        let hole = HOLE.to_string();
                        filled = filled.replacen("%s", value.likely().unwrap_or(&hole), 1);
                    }
                    let mut out = Value::text(filled);
                    values.iter().for_each(|v| out.taint(v));
                    return out;
                }
            }
            "chr" | "String.fromCharCode" | "String.fromCodePoint" => return characters(values),
            _ => {}
        }
        let mut out = receiver;
        let keep = out.clone();
        for value in values {
            out.taint(value);
        }
        match method.unwrap_or(last) {
            "strip" | "trim" | "rstrip" | "lstrip" | "encode" | "decode" | "toString" | "to_s"
            | "expanduser" | "resolve" | "as_posix" | "absolute" | "chomp" | "freeze"
            | "unwrap" | "to_str" | "valueOf" | "rstrip!" | "Abs" | "TrimSpace" => {
                if out.texts.is_empty()
                    && let Some(first) = first
                {
                    out.texts.clone_from(&first.texts);
                }
            }
            "str" | "String" | "repr" | "bytes" | "abspath" | "realpath" | "expandvars"
            | "list" | "tuple" | "Array" | "normalize" | "expand_path" | "URL" | "parse"
            | "quote" | "string" => {
                if let Some(first) = first {
                    out.texts.clone_from(&first.texts);
                    out.list.clone_from(&first.list);
                    out.handle = out.handle.or_else(|| first.handle.clone());
                }
            }
            "joinpath" => {
                let mut parts = vec![keep];
                parts.extend(values.iter().cloned());
                return Value::concat(&parts, "/");
            }
            "join" => {
                let separator = keep.known().map(str::to_owned);
                let parts = first
                    .map(|f| f.list.clone())
                    .filter(|l| !l.is_empty())
                    .unwrap_or(keep.list.clone());
                let separator = if keep.list.is_empty() {
                    separator
                } else {
                    first.and_then(Value::known).map(str::to_owned)
                };
                if !parts.is_empty() {
                    return Value::concat(&parts, &separator.unwrap_or_default());
                }
                // A reversed or mapped text that was split into letters.
                if keep.list.is_empty()
                    && !keep.texts.is_empty()
                    && first.is_none_or(|f| f.known() == Some(""))
                {
                    return keep;
                }
                out.texts = first.map(|f| f.texts.clone()).unwrap_or_default();
            }
            "split" if first.is_some_and(|f| f.known() == Some("")) => {}
            "reverse" | "reversed" => {
                let source =
                    if keep.texts.is_empty() { first.cloned().unwrap_or_default() } else { keep };
                return source.map(|t| Some(t.chars().rev().collect()));
            }
            "replace" | "gsub" | "replaceAll" | "sub" => {
                if let (Some(from), Some(to)) =
                    (first.and_then(Value::known), values.get(1).and_then(Value::known))
                    && !from.is_empty()
                {
                    return keep.map(|t| (t.len() < MAX_TEXT / 4).then(|| t.replace(from, to)));
                }
                out.texts.clear();
            }
            "concat" => {
                let mut parts = vec![keep];
                parts.extend(values.iter().cloned());
                return Value::concat(&parts, "");
            }
            "format" => {
                let hole = HOLE.to_string();
                out = keep.map(|t| {
                    let mut filled = t.to_owned();
                    for value in values {
                        filled = filled.replacen("{}", value.likely().unwrap_or(&hole), 1);
                    }
                    Some(filled)
                });
                values.iter().for_each(|v| out.taint(v));
            }
            "append" | "push" | "extend" => out.texts.clear(),
            "connect" => {
                let target = first.map(|f| f.list.first().cloned().unwrap_or_else(|| f.clone()));
                if let (Some(target), true) = (target.filter(|t| t.likely().is_some()), self.record)
                {
                    self.flow.net(line, &[&target], Value::default(), false);
                }
                out.texts.clear();
            }
            "map" | "filter" | "sorted" | "iter" | "copy" | "items" | "entries" | "then"
            | "catch" | "finally" => {
                out.texts.clear();
            }
            "read" | "readlines" | "readline" | "read_text" | "read_bytes" | "readFile"
            | "content" | "text" | "body" | "splitlines" => {
                if let Some(path) = keep.handle.clone().or_else(|| keep.likely().map(str::to_owned))
                {
                    let stored = if self.record {
                        self.flow.load(line, &path)
                    } else {
                        super::value::read_path(self.flow.content, &path)
                    };
                    out.taint(&stored);
                    out.texts = stored.texts;
                } else {
                    out.texts.clear();
                }
            }
            "len" | "int" | "float" | "bool" | "isinstance" | "exists" | "is_file" | "is_dir"
            | "existsSync" | "print" | "console.log" | "log" | "isfile" | "isdir"
            | "startswith" | "startsWith" | "endswith" | "includes" | "has" | "stat"
            | "statSync" | "mkdir" | "mkdirSync" | "makedirs" => {
                return Value::default();
            }
            "hexdigest" | "sha256" | "md5" | "createHash" | "digest" => {
                // A digest of a secret is not the secret.
                return Value::default();
            }
            _ => out.texts.clear(),
        }
        out
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

/// One variable of the environment.
pub(crate) fn env_value(name: &str) -> Value {
    match name {
        "HOME" | "USERPROFILE" => Value::text("~"),
        "TMPDIR" | "TEMP" | "TMP" => Value::text("/tmp"),
        _ if secret_name(name) => Value::labelled(Labels::ENV_SECRET, name),
        _ => Value::default(),
    }
}

fn characters(values: &[Value]) -> Value {
    let codes = values
        .iter()
        .flat_map(|v| if v.list.is_empty() { vec![v.clone()] } else { v.list.clone() });
    let mut text = String::new();
    for code in codes {
        match code.known().and_then(|t| t.parse::<u32>().ok()).and_then(char::from_u32) {
            Some(c) => text.push(c),
            None => return Value { labels: Labels::DECODED, ..Value::default() },
        }
    }
    let mut out = Value::text(text);
    out.labels = Labels::DECODED;
    out
}

fn decode(name: &str, receiver: &Value, values: &[Value]) -> Value {
    let source = values
        .first()
        .filter(|v| !v.texts.is_empty() || !v.list.is_empty() || v.labels != Labels::NONE);
    let source = source.cloned().unwrap_or_else(|| receiver.clone());
    if name == "Buffer.from"
        && !values
            .get(1)
            .and_then(Value::known)
            .is_some_and(|e| matches!(e, "base64" | "hex" | "base64url"))
    {
        // A buffer of bytes spelt out is hidden text; a buffer of text is that text.
        if !source.list.is_empty() {
            return characters(&source.list);
        }
        return source;
    }
    if name.ends_with("fromCharCode") || name.ends_with("fromCodePoint") || name == "[char]" {
        return characters(values);
    }
    let mut out = source.clone();
    out.labels = out.labels.with(Labels::DECODED);
    out.texts = source
        .texts
        .iter()
        .filter_map(|text| {
            if name.contains("nquote") || name.contains("URIComponent") || name.contains("nescape")
            {
                return Some(percent(text));
            }
            if name == "codecs.decode"
                && values.get(1).and_then(Value::known).is_some_and(|c| c.starts_with("rot"))
            {
                return Some(rot13(text));
            }
            if name == ".translate"
                || name.contains("ecompress")
                || name.contains("nflate")
                || name.contains("unzip")
            {
                return Some(text.clone());
            }
            blob::decode_any(text)
        })
        .collect();
    out
}

fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(b) = bytes.get(at) {
        let hex = text
            .get(at + 1..at + 3)
            .filter(|_| *b == b'%')
            .and_then(|h| u8::from_str_radix(h, 16).ok());
        match hex {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(*b);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(crate) fn rot13(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='m' | 'A'..='M' => char::from_u32(c as u32 + 13).unwrap_or(c),
            'n'..='z' | 'N'..='Z' => char::from_u32(c as u32 - 13).unwrap_or(c),
            _ => c,
        })
        .collect()
}
