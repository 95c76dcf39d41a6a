//! Calls that are not in the catalogue: text passes through what only shapes it.

use super::Interp;
use super::decode::characters;
use crate::code::value::{Act, HOLE, MAX_TEXT, Value, read_path};

impl Interp<'_, '_, '_> {
    /// A call that is not in the catalogue: text passes through what only shapes it.
    pub(super) fn plain_call(
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
            // What a pattern finds is known by the pattern.
            "glob" | "rglob" | "iglob" | "globSync" | "Glob" => {
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
                        read_path(self.flow.content, &path)
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
