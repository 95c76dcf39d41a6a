//! Calls of the catalogue: what they fetch, run, decode, read and write.

use super::Interp;
use super::decode::{decode, env_value};
use crate::code::value::{Act, HOLE, Labels, Value, read_path};
use crate::code::{Language, analyse, command, shell};
use crate::content::ApiKind;
use crate::text::clip;

impl Interp<'_, '_, '_> {
    pub(super) fn api_call(
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
                    .map(|t| clip(t, 80))
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
                    for text in code.texts.clone().into_iter().filter(|t| !t.contains(HOLE)) {
                        let language = self.language;
                        self.flow.nested(line, |flow| {
                            analyse(flow, language, &text);
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
                        let mut value = read_path(self.flow.content, path);
                        if let Some(stored) = self.flow.stored(path) {
                            value.taint(stored);
                        }
                        value
                    }
                    Some(_) => Value::default(),
                    None => Value::labelled(Labels::LOCAL_FILE, ""),
                };
                for other in first.texts.iter().skip(1).filter(|_| !writes) {
                    let mut read = read_path(self.flow.content, other);
                    if let Some(stored) = self.flow.stored(other) {
                        read.taint(stored);
                    }
                    out.taint(&read);
                }
                // `make_archive(name, kind, folder)`: the folder is in the archive.
                if name.ends_with("make_archive")
                    && let (Some(to), Some(folder)) = (
                        values.first().and_then(Value::likely),
                        values.get(2).and_then(Value::likely),
                    )
                {
                    let held = read_path(self.flow.content, folder);
                    let ending = values.get(1).and_then(Value::likely).unwrap_or("zip");
                    let target = format!("{to}.{ending}");
                    let before = self.flow.events.len();
                    self.flow.store(line, &target, &held);
                    if !self.record {
                        self.flow.events.truncate(before);
                    }
                    return Value { texts: vec![target], ..held };
                }
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
                // A file put into an archive is its content.
                let mut data = data;
                if path.as_deref().is_some_and(archive) {
                    for text in data.texts.clone() {
                        let read = read_path(self.flow.content, &text);
                        data.taint(&read);
                    }
                }
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
            ApiKind::Unlink => {
                let target =
                    if name.starts_with('.') || first.texts.is_empty() { receiver } else { &first };
                if let (Some(path), true) =
                    (target.texts.iter().find(|t| command::user_files(t)), self.record)
                {
                    self.flow.emit(line, Act::Sweep { how: path.clone() });
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
            let known: Vec<String> =
                first.texts.iter().filter(|t| t.trim() != HOLE.to_string()).cloned().collect();
            if known.is_empty() {
                self.flow.emit(line, Act::Run { what: first, name: String::new() });
                return Value::labelled(Labels::OUTPUT, "");
            }
            let mut out = Value::default();
            for text in known {
                let printed =
                    self.flow.nested(line, |flow| shell::run_text(flow, &text, Some(&first)));
                out.join(&printed);
            }
            return out;
        }
        self.flow.nested(line, |flow| command::run(flow, &argv, &Value::default(), line))
    }
}

fn archive(path: &str) -> bool {
    [".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z"].iter().any(|e| path.ends_with(e))
}
