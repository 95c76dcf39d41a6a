//! The walk over the syntax tree: which commands run, in which folder, with what on which
//! descriptor.

use super::ast::{
    AndOr, Arg, Assign, Assigned, Command, Kind, List, Piece, Pipeline, Redirect, Simple, Word,
};
use super::expand::{product, unknown};
use super::state::{State, Var, join_cwd};
use super::value::{ANY, BELOW, GLOB, NAME, Val, merge, show};
use super::{Analysis, Flow, ShellContext, Sink, Source, path};
use indexmap::IndexSet;
use seawall_model::Effect;

/// What a command finds on its descriptors.
#[derive(Debug, Clone, Default)]
pub(super) struct Io {
    /// Sources of standard input.
    pub from: Vec<Source>,
    /// Its text, where it is known.
    pub text: Option<Val>,
    /// It is a pipe or a file and not the input of the whole text.
    pub piped: bool,
}

impl Io {
    /// Sources of standard input, that of the whole text included.
    pub(super) fn sources(&self) -> Vec<Source> {
        if self.piped { self.from.clone() } else { vec![Source::Stdin] }
    }
}

/// What a command leaves on standard output.
#[derive(Debug, Clone, Default)]
pub(super) struct Out {
    pub from: Vec<Source>,
    /// The text, where it is known. An absent text is unknown, and may be empty.
    pub text: Option<Val>,
}

impl Out {
    pub(super) fn from(from: Vec<Source>) -> Self {
        Self { from, text: None }
    }

    pub(super) fn silent() -> Self {
        Self { from: Vec::new(), text: Some(Val::default()) }
    }

    pub(super) fn then(self, next: Out) -> Out {
        let mut from = self.from;
        merge(&mut from, &next.from);
        let text = match (self.text, next.text) {
            (Some(mut a), Some(b)) => {
                a.push(&b);
                Some(a)
            }
            _ => None,
        };
        Out { from, text }
    }

    pub(super) fn or(self, other: Out) -> Out {
        let text = if self.text == other.text { self.text } else { None };
        let mut from = self.from;
        merge(&mut from, &other.from);
        Out { from, text }
    }
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    effects: IndexSet<Effect>,
    programs: IndexSet<String>,
    flows: IndexSet<Flow>,
    opaque: IndexSet<String>,
    literals: IndexSet<String>,
    literal_bytes: usize,
    limited: Option<&'static str>,
}

impl Found {
    pub(super) fn flow(&mut self, flow: Flow) {
        self.flows.insert(flow);
    }

    pub(super) fn finish(self) -> Analysis {
        Analysis {
            effects: self.effects.into_iter().collect(),
            programs: self.programs.into_iter().collect(),
            flows: self.flows.into_iter().collect(),
            opaque: self.opaque.into_iter().collect(),
            literals: self.literals.into_iter().collect(),
            limited: self.limited,
        }
    }
}

/// The analysis in progress.
pub(super) struct Walk<'a> {
    pub cx: &'a ShellContext<'a>,
    pub out: Found,
    /// Levels of nesting left.
    depth: usize,
    /// Commands left.
    commands: usize,
    /// In the second reading of text that most shells do not take for commands.
    pub(super) other: usize,
    /// The alternatives of the second readings are not followed inside second readings.
    pub(super) full: bool,
}

impl<'a> Walk<'a> {
    pub(super) fn new(cx: &'a ShellContext<'a>) -> Self {
        Self {
            cx,
            out: Found::default(),
            depth: cx.limits.depth,
            commands: cx.limits.commands,
            other: 0,
            full: false,
        }
    }

    // ---- findings ----

    pub(super) fn opaque(&mut self, why: &str) {
        if (self.out.opaque.len() < 64 || self.out.opaque.contains(why))
            && self.out.opaque.insert(why.to_owned())
        {
            self.out.effects.insert(Effect::Opaque { why: why.to_owned() });
        }
    }

    /// There is more than is looked at: what is behind it can be anything, and hidden there.
    pub(super) fn limit(&mut self, what: &'static str) {
        self.out.limited.get_or_insert(what);
        self.opaque(&format!("is beyond the limit on {what}"));
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        if self.out.effects.len() >= self.cx.limits.effects {
            if !self.full {
                self.full = true;
                self.limit("effects");
            }
            return;
        }
        if let Effect::Opaque { why } = &effect {
            let why = why.clone();
            return self.opaque(&why);
        }
        self.out.effects.insert(effect);
    }

    pub(super) fn literal(&mut self, text: &str) {
        const MOST: usize = 1 << 20;
        if text.len() < 4 || self.out.literal_bytes + text.len() > MOST {
            return;
        }
        if self.out.literals.insert(text.to_owned()) {
            self.out.literal_bytes += text.len();
        }
    }

    pub(super) fn runs(&mut self, program: &str) {
        self.out.programs.insert(program.to_owned());
        self.effect(Effect::Run { program: program.to_owned() });
    }

    /// One level down; `false` when there is none left.
    pub(super) fn descend(&mut self) -> bool {
        if self.depth == 0 {
            self.limit("nesting");
            return false;
        }
        self.depth -= 1;
        true
    }

    pub(super) fn ascend(&mut self) {
        self.depth += 1;
    }

    fn spend(&mut self) -> bool {
        if self.commands == 0 {
            self.limit("commands");
            return false;
        }
        self.commands -= 1;
        true
    }

    // ---- paths ----

    /// The absolute paths that a value may name, or `None` when that is not known. A glob
    /// stands for the folder that holds its matches.
    pub(super) fn paths(&self, st: &State, value: &Val) -> Option<Vec<String>> {
        if value.many || value.has_any() {
            return None;
        }
        let mut text = value.text.as_str();
        let cut;
        if let Some(hole) = text.find([NAME, GLOB, BELOW]) {
            let (before, after) = text.split_at(hole);
            if after.split('/').any(|part| part == "..") {
                return None;
            }
            let folder = before.rfind('/').map_or("", |at| before.get(..=at).unwrap_or(""));
            let dots = text.split('/').any(|p| p.starts_with('.') && p.contains([GLOB, BELOW]));
            // `.*` matches `..` in some shells.
            cut = if dots { format!("{folder}..") } else { folder.to_owned() };
            text = if cut.is_empty() { "." } else { &cut };
        }
        if text.is_empty() {
            return Some(Vec::new());
        }
        let mut out = Vec::new();
        if text.starts_with('/') {
            out.push(self.linked(st, text));
        } else {
            if st.cwd.is_empty() {
                return None;
            }
            for base in &st.cwd {
                out.push(self.linked(st, &format!("{base}/{text}")));
            }
        }
        // The name itself, too: a hard link is opened under it.
        if !st.links.is_empty() {
            let plain: Vec<String> = if text.starts_with('/') {
                vec![path::normalise("/", text)]
            } else {
                st.cwd.iter().map(|base| path::normalise(base, text)).collect()
            };
            for name in plain {
                if !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        Some(out)
    }

    /// Normalises a path, following the symbolic links that this text made.
    fn linked(&self, st: &State, text: &str) -> String {
        let mut at = path::normalise("/", text);
        if st.links.is_empty() {
            return at;
        }
        // A walk over the parts, so that `..` behind a link leaves the target's folder.
        let mut hops = 0;
        let mut done = String::new();
        let mut parts: Vec<String> =
            text.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned).collect();
        while let Some(part) = parts.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    done = path::parent(&done).trim_end_matches('/').to_owned();
                    continue;
                }
                _ => {}
            }
            let here = format!("{done}/{part}");
            if let Some((_, target)) = st.links.iter().rev().find(|(link, _)| *link == here) {
                hops += 1;
                if hops > 16 {
                    return at;
                }
                if target.starts_with('/') {
                    done.clear();
                }
                parts.extend(target.split('/').rev().filter(|p| !p.is_empty()).map(str::to_owned));
            } else {
                done = here;
            }
        }
        at = if done.is_empty() { "/".into() } else { done };
        at
    }

    /// Paths, or an opaque entry that says what is not known.
    pub(super) fn known_paths(&mut self, st: &State, value: &Val, what: &str) -> Vec<String> {
        match self.paths(st, value) {
            Some(paths) => paths.into_iter().filter(|p| !is_device(p)).collect(),
            None if st.cwd.is_empty() && !value.has_any() && !value.many => {
                self.opaque(&format!(
                    "{what} `{}` is relative to a folder that is not known",
                    show(&value.text)
                ));
                Vec::new()
            }
            None => {
                self.opaque(&format!("{what} {}", unknown(&value.text)));
                Vec::new()
            }
        }
    }

    // ---- lists ----

    /// Runs a text in the current shell (`eval`) or, on a copy of the state, in another.
    pub(super) fn shell_text(&mut self, st: &mut State, value: &Val, io: &Io, what: &str) -> Out {
        if value.has_any() || value.many {
            self.opaque(&format!("{what} runs text that is not known before it runs"));
        } else if value.text.contains([GLOB, BELOW]) {
            self.opaque(&format!("{what} runs text made of file names"));
        }
        self.literal(&value.text);
        if value.text.len() > self.cx.limits.text {
            self.limit("length");
            return Out::default();
        }
        if !self.descend() {
            return Out::default();
        }
        let mut notes = Vec::new();
        let mut limited = false;
        let parsed = super::parse::parse(&value.text, self.depth, &mut notes, &mut limited);
        if limited {
            self.limit("nesting");
        }
        let out = match parsed {
            Ok(list) => self.list(st, &list, io),
            Err(why) => {
                self.opaque(&format!("shell text {why}"));
                Out::default()
            }
        };
        for note in notes {
            self.opaque(&note);
        }
        self.ascend();
        out
    }

    pub(super) fn list(&mut self, st: &mut State, list: &List, io: &Io) -> Out {
        if !self.descend() {
            return Out::default();
        }
        let mut out = Out::silent();
        for item in &list.items {
            let next = if item.background {
                let mut inner = st.clone();
                self.and_or(&mut inner, item, io)
            } else {
                self.and_or(st, item, io)
            };
            out = out.then(next);
        }
        self.ascend();
        out
    }

    fn and_or(&mut self, st: &mut State, item: &AndOr, io: &Io) -> Out {
        st.cwd_failed = None;
        let mut out = self.pipeline(st, &item.first, io);
        // Folders after success and after failure of what ran so far.
        let mut good = std::mem::take(&mut st.cwd);
        let mut bad = st.cwd_failed.take().unwrap_or_else(|| good.clone());
        let (mut good_live, mut bad_live) = (true, true);
        if st.ended {
            (good_live, bad_live) = (false, false);
            st.ended = false;
        }
        for (and, pipeline) in &item.rest {
            let start = if *and { &good } else { &bad };
            let mut inner = st.clone();
            inner.cwd = start.clone();
            let next = self.pipeline(&mut inner, pipeline, io);
            out = out.clone().or(out.then(next));
            let after = std::mem::take(&mut inner.cwd);
            let failed = inner.cwd_failed.take().unwrap_or_else(|| after.clone());
            let ended = std::mem::take(&mut inner.ended);
            // Variables: the pipeline may not have run.
            let before = std::mem::take(st);
            *st = if ended { before } else { before.join(self.cx, inner) };
            st.cwd_failed = None;
            if *and {
                if ended {
                    good_live = false;
                } else {
                    bad = if bad_live { join_cwd(bad, &failed) } else { failed };
                    bad_live = true;
                    good = after;
                }
            } else if ended {
                bad_live = false;
            } else {
                good = if good_live { join_cwd(good, &after) } else { after };
                good_live = true;
                bad = failed;
            }
        }
        match (good_live, bad_live) {
            // Under `set -e` a failure that nothing tests ends the shell.
            (true, true) if st.errexit && item.rest.is_empty() => st.cwd = good,
            (true, true) => st.cwd = join_cwd(good, &bad),
            (true, false) => st.cwd = good,
            (false, true) => st.cwd = bad,
            (false, false) => {
                // What follows is not reached; it is looked at all the same.
                st.cwd = join_cwd(good, &bad);
                st.ended = true;
            }
        }
        out
    }

    fn pipeline(&mut self, st: &mut State, pipeline: &Pipeline, io: &Io) -> Out {
        match pipeline.commands.as_slice() {
            [] => Out::silent(),
            [one] => self.command(st, one, io),
            many => {
                let mut io = io.clone();
                let mut out = Out::default();
                for command in many {
                    let mut inner = st.clone();
                    inner.ended = false;
                    if io.piped {
                        inner.stdout.clone_from(&st.stdout);
                    }
                    out = self.command(&mut inner, command, &io);
                    io = Io { from: out.from.clone(), text: out.text.clone(), piped: true };
                }
                out
            }
        }
    }

    pub(super) fn command(&mut self, st: &mut State, command: &Command, io: &Io) -> Out {
        if !self.spend() || !self.descend() {
            return Out::default();
        }
        let out = match &command.kind {
            Kind::Simple(simple) => self.simple(st, simple, &command.redirects, io),
            kind => {
                let saved = st.stdout.clone();
                let (io, sinks) = self.redirects(st, &command.redirects, io);
                let out = self.compound(st, kind, &io);
                st.stdout = saved;
                self.deliver(st, out, &sinks)
            }
        };
        self.ascend();
        out
    }

    // ---- simple commands ----

    fn simple(&mut self, st: &mut State, simple: &Simple, redirects: &[Redirect], io: &Io) -> Out {
        let mut ways = vec![Vec::new()];
        for arg in &simple.words {
            match arg {
                Arg::Word(word) => {
                    let fields = self.fields(st, word);
                    ways = product(ways, &fields);
                }
                Arg::Assign(assign) => {
                    let value = self.assign(st, assign);
                    let text = match &assign.value {
                        Assigned::Scalar(_) => format!("{}={}", assign.name, value.text),
                        Assigned::Array(_) => assign.name.clone(),
                    };
                    let value = Val { text, many: false, ..value };
                    // bash expands braces here, too: several assignments, of which the last counts.
                    let mut all = vec![vec![value]];
                    if let Assigned::Scalar(word) = &assign.value {
                        all.extend(self.braced_assign(st, &assign.name, word));
                    }
                    ways = product(ways, &all);
                }
            }
        }
        let sinks;
        let inner_io;
        (inner_io, sinks) = self.redirects(st, redirects, io);
        if simple.words.is_empty() {
            let mut from = Vec::new();
            for assign in &simple.assigns {
                let value = self.assign(st, assign);
                merge(&mut from, &value.from);
            }
            return self.deliver(st, Out { from: Vec::new(), text: Some(Val::default()) }, &sinks);
        }
        // `exec` without a program keeps its redirections.
        let exec_only =
            ways.iter().any(|way| way.first().is_some_and(|v| v.text == "exec") && way.len() == 1);
        if exec_only {
            if let Some(sinks) = sinks {
                st.stdout = sinks;
            }
            return Out::silent();
        }
        let kept: Vec<(String, Option<Var>)> = simple
            .assigns
            .iter()
            .map(|a| (a.name.clone(), st.vars.get(&a.name).cloned()))
            .collect();
        for assign in &simple.assigns {
            let _ = self.assign(st, assign);
        }
        let mut out: Option<Out> = None;
        let mut after: Option<State> = None;
        let count = ways.len();
        for way in ways {
            let mut inner = st.clone();
            // Where `&>` is `&` and `>`, a new command begins behind it.
            for split in &simple.splits {
                if let Some(rest) = way.get(*split..) {
                    let _ = self.words(&mut inner.clone(), rest.to_vec(), &inner_io);
                }
            }
            let next = self.words(&mut inner, way, &inner_io);
            if count == 1 {
                *st = inner;
                out = Some(next);
                break;
            }
            out = Some(match out {
                Some(out) => out.or(next),
                None => next,
            });
            after = Some(match after {
                Some(after) => after.join(self.cx, inner),
                None => inner,
            });
        }
        if let Some(after) = after {
            *st = after;
        }
        for (name, old) in kept {
            // A prefix assignment stays behind special builtins in some shells.
            let mut values = st.scalar(self.cx, &name);
            match old {
                Some(Var::Scalar(old)) => {
                    for value in old {
                        if !values.contains(&value) {
                            values.push(value);
                        }
                    }
                    st.set(&name, values);
                }
                Some(array) => {
                    st.vars.insert(name, array);
                }
                None if name == "IFS" => {
                    st.vars.remove("IFS");
                }
                None => {
                    let given = self.cx.vars.get(&name).map(Val::known);
                    values.push(given.unwrap_or_default());
                    if !self.cx.vars.contains_key(&name) {
                        values.push(Val::any(vec![Source::Env(name.clone())]));
                    }
                    st.set(&name, values);
                }
            }
        }
        self.deliver(st, out.unwrap_or_default(), &sinks)
    }

    /// Evaluates an assignment and returns the value.
    fn assign(&mut self, st: &mut State, assign: &Assign) -> Val {
        if let Some(index) = &assign.index {
            let index = self.one(st, index);
            self.index_runs(&index);
        }
        match &assign.value {
            Assigned::Scalar(word) => {
                let mut values = self.text(st, word);
                // A tilde is expanded behind every colon of an assignment.
                for value in &mut values {
                    if value.text.contains(":~") {
                        value.text = value.text.replace(":~", &format!(":{}", self.cx.home));
                    }
                }
                if assign.append {
                    let mut joined = Vec::new();
                    for old in st.scalar(self.cx, &assign.name) {
                        for new in &values {
                            let mut both = old.clone();
                            both.push(new);
                            both.many = false;
                            joined.push(both);
                        }
                    }
                    values = joined;
                }
                if assign.index.is_some() {
                    let mut all = match st.vars.get(&assign.name) {
                        Some(Var::Array(values)) => values.clone(),
                        _ => {
                            if st.vars.contains_key(&assign.name) {
                                st.scalar(self.cx, &assign.name)
                            } else {
                                Default::default()
                            }
                        }
                    };
                    // The index is not followed: any element may be the new one.
                    all.append(&mut values.clone());
                    let mut from = Vec::new();
                    all.iter().for_each(|v| merge(&mut from, &v.from));
                    let all = vec![Val { many: true, ..Val::any(from) }];
                    self.assigned(st, &assign.name, &all);
                    st.vars.insert(assign.name.clone(), Var::Array(all));
                } else {
                    self.assigned(st, &assign.name, &values);
                }
                match values.len() {
                    1 => values.pop().unwrap_or_default(),
                    _ => Val::any(values.into_iter().flat_map(|v| v.from).collect()),
                }
            }
            Assigned::Array(words) => {
                let mut all = match st.vars.get(&assign.name) {
                    Some(Var::Array(values)) if assign.append => values.clone(),
                    _ => Vec::new(),
                };
                let mut ways = vec![Vec::new()];
                for word in words {
                    let fields = self.fields(st, word);
                    ways = product(ways, &fields);
                }
                if ways.len() == 1 {
                    all.extend(ways.into_iter().flatten());
                } else {
                    let mut from = Vec::new();
                    ways.iter().flatten().for_each(|v| merge(&mut from, &v.from));
                    // The first way is bash's: a shell with arrays expands braces, too.
                    match ways.into_iter().next() {
                        Some(first) if words.iter().all(is_literal) => all.extend(first),
                        _ => all.push(Val { many: true, ..Val::any(from) }),
                    }
                }
                // `[key]=value` elements and the like.
                if all.iter().any(|v| v.text.starts_with('[') || v.text.starts_with(GLOB)) {
                    all = vec![Val { many: true, ..Val::any(Vec::new()) }];
                }
                self.assigned(st, &assign.name, &all);
                st.vars.insert(assign.name.clone(), Var::Array(all));
                Val::default()
            }
        }
    }

    // ---- network ----

    /// Records a request. Returns the host as it is reported (empty when unknown).
    pub(super) fn request(
        &mut self,
        host: &str,
        port: Option<u16>,
        url: Option<String>,
        sends: bool,
        from: &[Source],
    ) -> String {
        let known = !host.is_empty() && !host.contains([ANY, NAME, GLOB, BELOW]);
        let mut name = if known { host.to_ascii_lowercase() } else { String::new() };
        if !known {
            self.opaque(&format!("the network destination {}", unknown(host)));
        }
        // Part of a name that is not known still leaves in the look-up.
        let sends = sends || !known || !from.is_empty();
        name.truncate(253);
        self.effect(Effect::Request { host: name.clone(), port, url, sends });
        self.flow(from, &Sink::Host(name.clone()));
        name
    }
}

fn is_literal(word: &Word) -> bool {
    word.pieces.iter().all(|p| matches!(p, Piece::Bare(_) | Piece::Quoted(_)))
}

/// Text of a flow; the whole of it is among the literals.
pub(super) fn clip(text: &str) -> String {
    const MOST: usize = 256;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => text.get(..at).unwrap_or("").to_owned(),
        None => text.to_owned(),
    }
}

/// Devices and descriptors that are no files.
pub(super) fn is_device(path: &str) -> bool {
    matches!(
        path,
        "/dev/null"
            | "/dev/zero"
            | "/dev/full"
            | "/dev/tty"
            | "/dev/stdin"
            | "/dev/stdout"
            | "/dev/stderr"
            | "/dev/random"
            | "/dev/urandom"
    ) || path.starts_with("/dev/fd/")
}
