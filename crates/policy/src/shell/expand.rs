//! Words to fields: what a shell makes of a word, as far as it is known statically.

use super::ast::{Param, ParamOp, Piece, Word};
use super::braces::braces;
use super::state::{State, Var};
use super::value::{ANY, BELOW, GLOB, NAME, Val, matches, merge, show};
use super::walk::{Io, Walk};
use super::{Flow, Sink};
use seawall_model::Effect;
use std::rc::Rc;

/// Ways in which a word may expand beyond which nothing is taken to be known.
const WAYS: usize = 24;
/// Fields of one word (braces, lists) beyond which nothing is taken to be known.
pub(super) const FIELDS: usize = 512;

/// One way in which a word may expand.
#[derive(Debug, Clone, Default)]
struct Way {
    done: Vec<Val>,
    open: Option<Val>,
}

impl Way {
    fn add(&mut self, value: &Val) {
        self.open.get_or_insert_with(Val::default).push(value);
    }

    fn finish(mut self) -> Vec<Val> {
        self.done.extend(self.open);
        self.done
    }
}

impl Walk<'_> {
    /// The fields of a word, one list for each way in which it may expand.
    pub(super) fn fields(&mut self, st: &mut State, word: &Word) -> Vec<Vec<Val>> {
        // bash expands a tilde behind `name=` in arguments, too; dash does not.
        if let Some(Piece::Bare(text)) = word.pieces.first()
            && let Some((name, rest)) = text.split_once('=')
            && rest.starts_with('~')
            && super::parse::is_name(name)
        {
            let home = self.tilde(st, rest, true);
            let mut other = word.clone();
            if let Some(piece) = other.pieces.first_mut() {
                *piece = Piece::Bare(format!("{name}={home}"));
            }
            let mut ways = self.plain_fields(st, word);
            // A home folder with a tilde of its own would come back here.
            ways.append(&mut self.plain_fields(st, &other));
            return ways;
        }
        let braced = word.pieces.iter().any(|p| matches!(p, Piece::Bare(t) if t.contains('{')));
        if braced && let Some(words) = braces(word) {
            if words.len() > FIELDS {
                return vec![vec![Val { many: true, ..Val::any(Vec::new()) }]];
            }
            // A shell without brace expansion takes the word as it is.
            let mut literal = self.plain_fields(st, word);
            let mut all = vec![Vec::new()];
            for word in &words {
                let ways = self.plain_fields(st, word);
                all = product(all, &ways);
            }
            all.append(&mut literal);
            return all;
        }
        self.plain_fields(st, word)
    }

    /// The assignments that `name=word` stands for when it is an argument and has braces.
    pub(super) fn braced_assign(
        &mut self,
        st: &mut State,
        name: &str,
        word: &Word,
    ) -> Option<Vec<Val>> {
        let words = braces(word)?;
        if words.len() > FIELDS {
            return Some(vec![Val { text: format!("{name}={ANY}"), ..Val::default() }]);
        }
        let assigned = words.iter().map(|word| {
            let value = self.one(st, word);
            Val { text: format!("{name}={}", value.text), ..value }
        });
        Some(assigned.collect())
    }

    fn plain_fields(&mut self, st: &mut State, word: &Word) -> Vec<Vec<Val>> {
        let mut ways = vec![Way::default()];
        for (n, piece) in word.pieces.iter().enumerate() {
            match piece {
                Piece::Bare(text) => {
                    let value = self.bare(st, text, n == 0, word.pieces.len() == 1);
                    ways.iter_mut().for_each(|way| way.add(&value));
                }
                Piece::Quoted(text) => {
                    let value = Val::known(text.as_str());
                    ways.iter_mut().for_each(|way| way.add(&value));
                }
                Piece::Param(param) => {
                    let mut values = self.param(st, param);
                    if param.quoted && param.name != "@" && param.index.is_none() {
                        values.iter_mut().flatten().for_each(|v| v.many = false);
                    }
                    self.splice(st, &mut ways, values, param.quoted);
                }
                Piece::Command { list, quoted } => {
                    let mut values = self.substitution(st, list);
                    if *quoted {
                        values.iter_mut().for_each(|v| v.many = false);
                    }
                    self.splice(st, &mut ways, vec![values], *quoted);
                }
                Piece::Arith { expression } => {
                    let value = self.arithmetic(st, expression);
                    ways.iter_mut().for_each(|way| way.add(&value));
                }
                Piece::Process { list, output } => {
                    let value = self.process(st, list, *output);
                    ways.iter_mut().for_each(|way| way.add(&value));
                }
            }
        }
        let ways: Vec<Vec<Val>> = ways.into_iter().map(Way::finish).collect();
        for field in ways.iter().flatten() {
            self.globs(st, field);
        }
        ways
    }

    /// A glob lists the folder that holds its matches, whatever becomes of them.
    fn globs(&mut self, st: &State, field: &Val) {
        if !field.text.contains([GLOB, BELOW]) {
            return;
        }
        // A URL with a question mark is no name of a file, unless somebody made such folders.
        if field.text.contains("://") && !field.text.contains("..") {
            return;
        }
        match self.paths(st, field) {
            Some(paths) => {
                for path in paths {
                    self.effect(Effect::List { path });
                }
            }
            None => self.opaque(&format!("the names that {}", unknown(&field.text))),
        }
    }

    /// The text of a word where it is neither split nor globbed: assignments, redirections,
    /// `case`, here-documents.
    pub(super) fn text(&mut self, st: &mut State, word: &Word) -> Vec<Val> {
        let mut all = vec![Val::default()];
        for (n, piece) in word.pieces.iter().enumerate() {
            let values: Vec<Val> = match piece {
                Piece::Bare(text) => vec![Val::known(self.tilde(st, text, n == 0))],
                Piece::Quoted(text) => vec![Val::known(text.as_str())],
                Piece::Param(param) => {
                    self.param(st, param).into_iter().map(|fields| spaced(&fields)).collect()
                }
                Piece::Command { list, .. } => vec![spaced(&self.substitution(st, list))],
                Piece::Arith { expression } => vec![self.arithmetic(st, expression)],
                Piece::Process { list, output } => vec![self.process(st, list, *output)],
            };
            let mut next = Vec::new();
            for before in &all {
                for value in &values {
                    let mut joined = before.clone();
                    joined.push(value);
                    joined.many = false;
                    next.push(joined);
                }
            }
            all = next;
            if all.len() > WAYS {
                let mut from = Vec::new();
                all.iter().for_each(|v| merge(&mut from, &v.from));
                all = vec![Val::any(from)];
            }
        }
        all
    }

    /// The text of a word as one value.
    pub(super) fn one(&mut self, st: &mut State, word: &Word) -> Val {
        let mut all = self.text(st, word);
        match all.len() {
            1 => all.pop().unwrap_or_default(),
            _ => {
                let mut from = Vec::new();
                all.iter().for_each(|v| merge(&mut from, &v.from));
                Val::any(from)
            }
        }
    }

    fn tilde(&self, st: &State, text: &str, first: bool) -> String {
        if !first || !text.starts_with('~') {
            return text.to_owned();
        }
        let end = text.find(['/', ':']).unwrap_or(text.len());
        let (user, rest) = text.split_at(end);
        let home = match user {
            "~" => match st.scalar(self.cx, "HOME").as_slice() {
                [one] => one.text.clone(),
                _ => ANY.to_string(),
            },
            "~+" => match st.scalar(self.cx, "PWD").as_slice() {
                [one] => one.text.clone(),
                _ => ANY.to_string(),
            },
            "~root" => "/root".to_owned(),
            // The home of somebody else, or the previous folder.
            _ => ANY.to_string(),
        };
        format!("{home}{rest}")
    }

    fn bare(&self, st: &State, text: &str, first: bool, only: bool) -> Val {
        if !text.contains(['*', '?', '[', '~']) {
            return Val::known(text);
        }
        let text = self.tilde(st, text, first);
        // `[` alone is a command, and so is what begins and never ends a set.
        if only && text == "[" {
            return Val::known(text);
        }
        Val::known(globbed(&text))
    }

    /// Adds the fields of an expansion to each way.
    fn splice(&mut self, st: &State, ways: &mut Vec<Way>, values: Vec<Vec<Val>>, quoted: bool) {
        let mut out = Vec::new();
        for fields in &values {
            let fields = if quoted { fields.clone() } else { self.split(st, fields) };
            for way in ways.iter() {
                let mut way = way.clone();
                for (n, field) in fields.iter().enumerate() {
                    if n > 0 {
                        way.done.extend(way.open.take());
                    }
                    way.add(field);
                }
                if way.done.len() > FIELDS {
                    way = Way {
                        done: Vec::new(),
                        open: Some(Val { many: true, ..Val::any(Vec::new()) }),
                    };
                }
                out.push(way);
            }
            if out.len() > WAYS {
                break;
            }
        }
        if out.len() > WAYS {
            let mut from = Vec::new();
            for fields in &values {
                fields.iter().for_each(|v| merge(&mut from, &v.from));
            }
            let any = Val { many: !quoted, ..Val::any(from) };
            out = std::mem::take(ways);
            out.iter_mut().for_each(|way| way.add(&any));
        }
        *ways = out;
    }

    /// Splits at the field separators and turns glob characters into globs.
    fn split(&self, st: &State, fields: &[Val]) -> Vec<Val> {
        let separators = match st.scalar(self.cx, "IFS").as_slice() {
            [one] if one.is_known() => Some(one.text.clone()),
            _ => None,
        };
        let mut out = Vec::new();
        for field in fields {
            let Some(separators) = &separators else {
                out.push(Val { many: true, ..Val::any(field.from.clone()) });
                continue;
            };
            // A file name may hold separators, and what stands behind one is another name.
            if field.spreads() && !separators.is_empty() {
                out.push(Val { many: true, ..Val::any(field.from.clone()) });
                continue;
            }
            let mut parts = 0;
            for part in field.text.split(|c: char| separators.contains(c)) {
                if part.is_empty() {
                    continue;
                }
                parts += 1;
                out.push(Val {
                    text: globbed(part),
                    from: field.from.clone(),
                    many: field.many || part.contains(ANY),
                });
            }
            // Other separators than blanks make empty fields, too; one of them is enough to
            // know about. An empty expansion vanishes unless it stands inside a word.
            if parts == 0 && field.text.chars().any(|c| !c.is_whitespace()) {
                out.push(Val { from: field.from.clone(), ..Val::default() });
            } else if field.text.starts_with(|c: char| separators.contains(c)) && parts > 0 {
                out.insert(out.len() - parts, Val::default());
                out.retain(|v| !v.text.is_empty() || v.many);
            }
        }
        out
    }

    /// Possible field lists of a parameter.
    fn param(&mut self, st: &mut State, param: &Param) -> Vec<Vec<Val>> {
        let name = param.name.as_str();
        if let Some(index) = &param.index {
            let index = self.one(st, index);
            self.index_runs(&index);
            if matches!(index.text.as_str(), "@" | "*") {
                let list = match st.vars.get(name) {
                    Some(Var::Array(values)) => values.clone(),
                    Some(Var::Scalar(_)) => st.scalar(self.cx, name),
                    None => vec![Val { many: true, ..Val::any(Vec::new()) }],
                };
                if matches!(param.op, ParamOp::Length) {
                    return vec![vec![Val::name()]];
                }
                return self.each(st, &param.op, name, vec![list]);
            }
            let element = match (st.vars.get(name), index.text.parse::<usize>()) {
                (Some(Var::Array(values)), Ok(n)) if placed(values, n) => {
                    values.get(n).cloned().unwrap_or_default()
                }
                (Some(Var::Array(values)), _) => {
                    let mut from = Vec::new();
                    values.iter().for_each(|v| merge(&mut from, &v.from));
                    Val::any(from)
                }
                (_, Ok(0)) => {
                    return {
                        let values =
                            st.scalar(self.cx, name).into_iter().map(|v| vec![v]).collect();
                        self.each(st, &param.op, name, values)
                    };
                }
                _ => Val::any(Vec::new()),
            };
            return self.each(st, &param.op, name, vec![vec![element]]);
        }
        let values: Vec<Vec<Val>> = match name {
            "@" | "*" => {
                let all = st
                    .args
                    .clone()
                    .unwrap_or_else(|| vec![Val { many: true, ..Val::any(Vec::new()) }]);
                if name == "*" && param.quoted { vec![vec![spaced(&all)]] } else { vec![all] }
            }
            "#" | "?" | "$" | "!" | "-" => vec![vec![Val::name()]],
            "0" => vec![vec![st.name.clone().unwrap_or_else(|| Val::known("sh"))]],
            n if n.bytes().all(|b| b.is_ascii_digit()) => {
                let n: usize = n.parse().unwrap_or(usize::MAX);
                match &st.args {
                    Some(args) if placed(args, n.saturating_sub(1)) => {
                        vec![vec![args.get(n.saturating_sub(1)).cloned().unwrap_or_default()]]
                    }
                    _ => vec![vec![Val::any(Vec::new())]],
                }
            }
            _ => st.scalar(self.cx, name).into_iter().map(|v| vec![v]).collect(),
        };
        self.each(st, &param.op, name, values)
    }

    /// Applies an operator to each possible value.
    fn each(
        &mut self,
        st: &mut State,
        op: &ParamOp,
        name: &str,
        values: Vec<Vec<Val>>,
    ) -> Vec<Vec<Val>> {
        let from = |values: &[Vec<Val>]| {
            let mut from = Vec::new();
            values.iter().flatten().for_each(|v| merge(&mut from, &v.from));
            from
        };
        match op {
            ParamOp::Plain => values,
            ParamOp::Length => vec![vec![Val::name()]],
            ParamOp::Indirect => {
                let mut out = Vec::new();
                for value in values.iter().flatten() {
                    self.index_runs(value);
                    if value.is_known() && super::parse::is_name(&value.text) {
                        out.extend(st.scalar(self.cx, &value.text).into_iter().map(|v| vec![v]));
                    } else {
                        out.push(vec![Val::any(from(&values))]);
                    }
                }
                out
            }
            ParamOp::Default(word) | ParamOp::Assign(word) => {
                let fallback = self.text(st, word);
                let mut out: Vec<Vec<Val>> = Vec::new();
                let mut used = false;
                for fields in values {
                    let empty = fields.iter().all(|v| v.text.is_empty() && !v.many);
                    if !empty {
                        let unsure = fields.iter().any(|v| v.has_any() || v.many);
                        out.push(fields);
                        if !unsure {
                            continue;
                        }
                    }
                    if !used {
                        out.extend(fallback.iter().map(|v| vec![v.clone()]));
                        used = true;
                    }
                }
                if matches!(op, ParamOp::Assign(_)) {
                    self.assigned(st, name, &out.iter().map(|f| spaced(f)).collect::<Vec<_>>());
                }
                out
            }
            ParamOp::Alternative(word) => {
                let mut out: Vec<Vec<Val>> =
                    self.text(st, word).into_iter().map(|v| vec![v]).collect();
                out.push(vec![Val::default()]);
                out
            }
            ParamOp::Error(word) => {
                let _ = self.text(st, word);
                values
            }
            ParamOp::Strip { suffix, longest, pattern } => {
                let pattern = self.pattern(st, pattern);
                values
                    .iter()
                    .map(|f| f.iter().map(|v| strip(v, &pattern, *suffix, *longest)).collect())
                    .collect()
            }
            ParamOp::Substring(word) => {
                let range = self.one(st, word);
                let _ = self.evaluated(&mut st.clone(), &range);
                let numbers: Vec<Option<usize>> =
                    range.text.split(':').map(|n| n.trim().parse().ok()).collect();
                values
                    .iter()
                    .map(|fields| {
                        if fields.len() > 1 || matches!(name, "@" | "*") {
                            return vec![Val { many: true, ..Val::any(from(&values)) }];
                        }
                        fields.iter().map(|v| substring(v, &numbers)).collect()
                    })
                    .collect()
            }
            ParamOp::Case { upper, all, pattern } => {
                let plain = pattern.pieces.is_empty() && *all;
                let change = |v: &Val| {
                    if !plain || !v.is_known() || !v.text.is_ascii() {
                        return Val { many: v.many, ..Val::any(v.from.clone()) };
                    }
                    let text = if *upper { v.text.to_uppercase() } else { v.text.to_lowercase() };
                    Val { text, ..v.clone() }
                };
                values.iter().map(|f| f.iter().map(change).collect()).collect()
            }
            ParamOp::Replace { all, pattern, replacement } => {
                let pattern = self.pattern(st, pattern);
                let with = self.one(st, replacement);
                let change = |v: &Val| {
                    let anchored = pattern.text.starts_with(['#', '%']);
                    // `&` stands for the match in newer versions of bash.
                    let refers = with.text.contains(['&', '\\']);
                    let unsure = anchored || refers || pattern.text.is_empty();
                    if !v.is_known() || !pattern.is_known() || unsure {
                        let mut from = v.from.clone();
                        merge(&mut from, &with.from);
                        return Val { many: v.many, ..Val::any(from) };
                    }
                    let text = if *all {
                        v.text.replace(&pattern.text, &with.text)
                    } else {
                        v.text.replacen(&pattern.text, &with.text, 1)
                    };
                    let mut out = Val { text, ..v.clone() };
                    merge(&mut out.from, &with.from);
                    out
                };
                values.iter().map(|f| f.iter().map(change).collect()).collect()
            }
            ParamOp::Transform(kind) => {
                let list = from(&values);
                if *kind == 'P' {
                    for value in values.iter().flatten() {
                        if !value.is_known() || value.text.contains(['$', '`']) {
                            self.opaque(
                                "a value is expanded as a prompt, which runs what it holds",
                            );
                        }
                    }
                }
                vec![vec![Val { many: true, ..Val::any(list) }]]
            }
        }
    }

    /// A pattern with its globs marked.
    fn pattern(&mut self, st: &mut State, word: &Word) -> Val {
        let mut out = Val::default();
        for piece in &word.pieces {
            match piece {
                Piece::Bare(text) => {
                    if text.contains(['[', '?']) {
                        out.text.push(ANY);
                    } else {
                        out.text.push_str(&text.replace('*', GLOB.encode_utf8(&mut [0; 4])));
                    }
                }
                other => {
                    let value = self.one(st, &Word { pieces: vec![other.clone()] });
                    let unquoted = matches!(other, Piece::Param(p) if !p.quoted);
                    if unquoted && value.text.contains(['*', '?', '[']) {
                        out.text.push(ANY);
                    } else {
                        out.push(&value);
                    }
                }
            }
        }
        out
    }

    /// Output of `$( … )`.
    fn substitution(&mut self, st: &State, list: &Rc<super::ast::List>) -> Vec<Val> {
        let mut inner = st.clone();
        inner.stdout.clear();
        if !self.descend() {
            return vec![Val { many: true, ..Val::any(Vec::new()) }];
        }
        let out = self.list(&mut inner, list, &Io::default());
        self.ascend();
        match out.text {
            Some(mut value) => {
                while value.text.ends_with('\n') {
                    value.text.pop();
                }
                merge(&mut value.from, &out.from);
                vec![value]
            }
            None => vec![Val { many: true, ..Val::any(out.from) }],
        }
    }

    /// `<( … )` and `>( … )`: the name of a pipe.
    fn process(&mut self, st: &State, list: &Rc<super::ast::List>, output: bool) -> Val {
        let mut inner = st.clone();
        let mut io = Io::default();
        if output {
            io.piped = true;
            io.from.push(super::Source::Program(String::new()));
        }
        if !self.descend() {
            return Val::any(Vec::new());
        }
        let out = self.list(&mut inner, list, &io);
        self.ascend();
        Val { text: "/dev/fd/63".into(), from: out.from, many: false }
    }

    /// The value of an arithmetic expression: a number, unless evaluating it runs something.
    pub(super) fn arithmetic(&mut self, st: &mut State, expression: &Word) -> Val {
        let value = self.one(st, expression);
        self.evaluated(st, &value)
    }

    /// Text that the shell takes for arithmetic.
    pub(super) fn evaluated(&mut self, st: &mut State, value: &Val) -> Val {
        self.index_runs(value);
        // Names in it are variables whose text is evaluated in turn.
        let text = value.text.clone();
        let mut names = text
            .split(|c: char| c != '_' && !c.is_ascii_alphanumeric())
            .filter(|n| super::parse::is_name(n))
            .take(64);
        let mut touched = Vec::new();
        for name in names.by_ref() {
            if let Some(Var::Scalar(values)) = st.vars.get(name) {
                for value in values {
                    if value.has_any() {
                        self.opaque("arithmetic on text that is not known can run commands");
                    } else {
                        self.index_runs(value);
                    }
                }
            }
            touched.push(name.to_owned());
        }
        if names.next().is_some() {
            self.opaque("arithmetic with very many variables");
        }
        if text.contains('=') || text.contains("++") || text.contains("--") {
            for name in touched {
                st.set(&name, vec![Val::name()]);
            }
        }
        if let Ok(number) = text.trim().parse::<i32>() {
            return Val { text: number.to_string(), from: value.from.clone(), many: false };
        }
        Val { text: NAME.to_string(), from: value.from.clone(), many: false }
    }

    /// An index or arithmetic text runs the substitutions that its value holds.
    pub(super) fn index_runs(&mut self, value: &Val) {
        if value.text.contains("$(") || value.text.contains('`') || value.text.contains("${ ") {
            self.opaque("an arithmetic value holds a command substitution, which is run");
        } else if value.has_any() && value.from.iter().any(|s| !matches!(s, super::Source::Env(_)))
        {
            self.opaque("arithmetic on text that is not known can run commands");
        }
    }

    /// Sets a variable and takes note when that changes what programs do.
    pub(super) fn assigned(&mut self, st: &mut State, name: &str, values: &[Val]) {
        for value in values {
            if super::hazards::variable(name, &value.text) {
                self.opaque(&format!("sets {name}, which changes what programs run or load"));
            }
            if value.is_known() && value.text.len() > 3 {
                self.literal(&value.text);
            }
        }
        st.set(name, values.to_vec());
    }

    /// Records that data moves.
    pub(super) fn flow(&mut self, from: &[super::Source], to: &Sink) {
        for source in from {
            self.out.flow(Flow { from: source.clone(), to: to.clone() });
        }
    }
}

/// Whether it is known which value stands at place `n`: no value before it may be several, and it
/// may not be none. A glob there is the first of its matches.
fn placed(values: &[Val], n: usize) -> bool {
    values.iter().take(n).all(|v| !v.spreads()) && values.get(n).is_none_or(|v| !v.many)
}

/// Every list of `a` followed by every list of `b`.
pub(super) fn product(a: Vec<Vec<Val>>, b: &[Vec<Val>]) -> Vec<Vec<Val>> {
    if let [only] = b {
        let mut a = a;
        for list in &mut a {
            list.extend(only.iter().cloned());
        }
        return a;
    }
    if a.len().saturating_mul(b.len()) > WAYS {
        let mut from = Vec::new();
        b.iter().flatten().for_each(|v| merge(&mut from, &v.from));
        let any = Val { many: true, ..Val::any(from) };
        return product(a, &[vec![any]]);
    }
    let mut out = Vec::new();
    for left in &a {
        for right in b {
            let mut list = left.clone();
            list.extend(right.iter().cloned());
            out.push(list);
        }
    }
    out
}

/// Fields joined by blanks.
pub(super) fn spaced(fields: &[Val]) -> Val {
    let mut out = Val::default();
    for (n, field) in fields.iter().enumerate() {
        if n > 0 {
            out.text.push(' ');
        }
        out.push(field);
    }
    out
}

fn strip(value: &Val, pattern: &Val, suffix: bool, longest: bool) -> Val {
    let unknown = Val { many: value.many, ..Val::any(value.from.clone()) };
    if value.text.contains([ANY, BELOW, NAME]) || pattern.text.contains([ANY, NAME, BELOW]) {
        return unknown;
    }
    let text: Vec<char> = value.text.chars().collect();
    let wanted: Vec<char> = pattern.text.chars().collect();
    if text.len() > 4096 || wanted.len() > 256 {
        return unknown;
    }
    let found = |n: usize| {
        let part = if suffix { text.get(text.len() - n..) } else { text.get(..n) };
        part.is_some_and(|part| matches(&wanted, part))
    };
    let hit = if longest {
        (0..=text.len()).rev().find(|n| found(*n))
    } else {
        (0..=text.len()).find(|n| found(*n))
    };
    let kept: String = match hit {
        Some(n) if suffix => text.iter().take(text.len() - n).collect(),
        Some(n) => text.iter().skip(n).collect(),
        None => return value.clone(),
    };
    Val { text: kept, ..value.clone() }
}

fn substring(value: &Val, numbers: &[Option<usize>]) -> Val {
    let unknown = Val { many: value.many, ..Val::any(value.from.clone()) };
    // Whether characters or bytes are counted is a matter of the locale.
    if !value.is_known() || !value.text.is_ascii() {
        return unknown;
    }
    let text: String = match numbers {
        [Some(at)] => value.text.chars().skip(*at).collect(),
        [Some(at), Some(len)] => value.text.chars().skip(*at).take(*len).collect(),
        _ => return unknown,
    };
    Val { text, ..value.clone() }
}

/// Replaces glob characters by marks. A set (`[…]`) is one character of a name.
fn globbed(text: &str) -> String {
    if !text.contains(['*', '?', '[']) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut step = c.len_utf8();
        match c {
            '*' if rest.starts_with("**") => {
                out.push(BELOW);
                step = rest.len() - rest.trim_start_matches('*').len();
            }
            '*' | '?' => out.push(GLOB),
            '[' => match rest.get(1..).and_then(|r| r.find(']')) {
                Some(at) => {
                    out.push(GLOB);
                    step = at + 2;
                    // A slash in a set makes it literal text.
                    if rest.get(..step).is_some_and(|s| s.contains('/')) {
                        out.push(ANY);
                    }
                }
                None => out.push('['),
            },
            c => out.push(c),
        }
        rest = rest.get(step..).unwrap_or("");
    }
    out
}

/// The unknown program name of a command, for a reason.
pub(super) fn unknown(text: &str) -> String {
    format!("`{}` is not known before it runs", show(text))
}
