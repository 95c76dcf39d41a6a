//! Commands to effects: functions, builtins, and programs by their entry in the table.

use super::expand::unknown;
use super::state::{State, Var};
use super::table::{Always, Prints, Role, Spec, Takes, lookup};
use super::value::{ANY, BELOW, GLOB, NAME, Val, merge, show};
use super::walk::{Io, Out, Walk, clip};
use super::{Sink, Source, path};
use seawall_model::Effect;

/// Folders whose programs are those of the table.
const STANDARD: &[&str] = &[
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/opt/homebrew/bin",
];

/// What the arguments of a call add up to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Sources that the program reads.
    pub reads: Vec<Source>,
    /// Sources that stand in its arguments.
    pub args: Vec<Source>,
    /// Where it writes.
    pub writes: Vec<Sink>,
    /// Where it may send what it has read.
    pub hosts: Vec<String>,
    /// Operands, in order.
    pub operands: Vec<Val>,
    /// Options that were given, by their first name.
    pub given: Vec<String>,
    /// An operand was read, so standard input is not.
    pub named: bool,
}

impl Walk<'_> {
    /// Runs a command given as fields.
    pub(super) fn words(&mut self, st: &mut State, args: Vec<Val>, io: &Io) -> Out {
        self.command_words(st, args, io, true)
    }

    /// The same past functions (`command`, `env`, `exec` by a program).
    pub(super) fn without_functions(&mut self, st: &mut State, args: Vec<Val>, io: &Io) -> Out {
        self.command_words(st, args, io, false)
    }

    fn command_words(&mut self, st: &mut State, args: Vec<Val>, io: &Io, own: bool) -> Out {
        let Some((first, rest)) = args.split_first() else {
            return Out::silent();
        };
        if !self.descend() {
            return Out::default();
        }
        let out = self.dispatch(st, first, rest, io, own);
        self.ascend();
        out
    }

    fn dispatch(&mut self, st: &mut State, first: &Val, rest: &[Val], io: &Io, own: bool) -> Out {
        let mut all = io.sources();
        if !io.piped {
            all.clear();
        }
        for arg in rest {
            merge(&mut all, &arg.from);
        }
        if !first.is_known() {
            self.opaque(&format!("the program {}", unknown(&first.text)));
            rest.iter().for_each(|a| self.literal(&a.text));
            merge(&mut all, &first.from);
            self.flow(&all, &Sink::Program(String::new()));
            st.cwd.clear();
            return Out::from(all);
        }
        let name = first.text.as_str();
        if self.in_second_reading() && not_a_program(st, name) {
            return Out::default();
        }
        if own && let Some(bodies) = st.functions.get(name).cloned() {
            return self.call(st, name, &bodies, rest, io);
        }
        if name.is_empty() {
            return Out::default();
        }
        if let Some(out) = self.builtin(st, name, rest, io) {
            if matches!(name, "kill" | "test" | "[" | "pwd" | "echo" | "printf" | "true" | "false")
                && !own
            {
                // `env echo` starts the program.
                self.runs(name);
            }
            return out;
        }
        self.program(st, name, rest, io)
    }

    fn call(
        &mut self,
        st: &mut State,
        name: &str,
        bodies: &[Option<std::rc::Rc<super::ast::Command>>],
        args: &[Val],
        io: &Io,
    ) -> Out {
        let saved = st.args.take();
        let mut out = Out::default();
        let mut after: Option<State> = None;
        for body in bodies {
            let mut inner = st.clone();
            inner.args = Some(args.to_vec());
            inner.declared.clear();
            let next = match body {
                Some(body) => {
                    let list = super::ast::List {
                        items: vec![super::ast::AndOr {
                            first: super::ast::Pipeline { commands: vec![body.as_ref().clone()] },
                            rest: Vec::new(),
                            background: false,
                        }],
                    };
                    self.list(&mut inner, &list, io)
                }
                None => {
                    let mut all = vec![Val::known(name)];
                    all.extend(args.iter().cloned());
                    self.without_functions(&mut inner, all, io)
                }
            };
            merge(&mut out.from, &next.from);
            out.text = if bodies.len() == 1 { next.text } else { None };
            // `return` ends the function; `exit` would end the shell, but what follows is
            // looked at all the same.
            inner.ended = false;
            after = Some(match after {
                Some(after) => after.join(self.cx, inner),
                None => inner,
            });
        }
        if let Some(after) = after {
            let mut outer = std::mem::replace(st, after);
            let declared = std::mem::replace(&mut st.declared, std::mem::take(&mut outer.declared));
            for name in declared {
                match outer.vars.get(&name) {
                    Some(Var::Array(_)) => st.set(&name, vec![Val::any(Vec::new())]),
                    Some(Var::Scalar(old)) => st.also(self.cx, &name, old.clone()),
                    None => {
                        let old = outer.scalar(self.cx, &name);
                        st.also(self.cx, &name, old);
                    }
                }
            }
        }
        st.args = saved;
        out
    }

    /// A program that is started.
    pub(super) fn program(&mut self, st: &mut State, name: &str, args: &[Val], io: &Io) -> Out {
        self.runs(name);
        let mut base = name;
        if name.contains('/') {
            let known = path::normalise("/", name);
            base = path::base_name(name);
            if !name.starts_with('/') || !STANDARD.contains(&path::parent(&known)) {
                for path in self.known_paths(st, &Val::known(name), "the program") {
                    self.effect(Effect::Read { path });
                }
                self.opaque(&format!("runs the program file `{}`", show(name)));
                return self.unknown_program(name, args, io);
            }
        }
        let Some(spec) = lookup(base) else {
            self.opaque(&format!("`{}` is not a program whose effects are known", show(base)));
            return self.unknown_program(name, args, io);
        };
        for always in &spec.always {
            match always {
                Always::Opaque(why) => self.opaque(&format!("`{base}` {why}")),
                Always::Install(target) => self.effect(Effect::Install { target: target.clone() }),
                Always::Config(target) => {
                    self.effect(Effect::ConfigChange { target: target.clone() });
                }
                Always::Schedule(target) => {
                    self.effect(Effect::Schedule { target: target.clone() });
                }
            }
        }
        if let Some(special) = &spec.special {
            return super::special::run(self, special, st, base, spec, args, io);
        }
        self.by_table(st, base, spec, args, io)
    }

    /// A program of which nothing is known but that it gets these arguments and this input.
    pub(super) fn unknown_program(&mut self, name: &str, args: &[Val], io: &Io) -> Out {
        let mut from = if io.piped { io.from.clone() } else { Vec::new() };
        for arg in args {
            merge(&mut from, &arg.from);
            self.literal(&arg.text);
        }
        self.flow(&from, &Sink::Program(name.to_owned()));
        merge(&mut from, &[Source::Program(name.to_owned())]);
        Out::from(from)
    }

    /// A program whose arguments the table describes.
    pub(super) fn by_table(
        &mut self,
        st: &mut State,
        name: &str,
        spec: &Spec,
        args: &[Val],
        io: &Io,
    ) -> Out {
        let mut tally = Tally::default();
        self.arguments(st, name, spec, args, io, &mut tally);
        self.settle(spec, tally, io)
    }

    /// Flows and output of a call.
    pub(super) fn settle(&mut self, spec: &Spec, tally: Tally, io: &Io) -> Out {
        let mut from = tally.reads;
        if io.piped && !tally.named {
            if spec.prints != Prints::None {
                merge(&mut from, &io.from);
            }
        } else if !tally.named && spec.prints == Prints::All {
            merge(&mut from, &[Source::Stdin]);
        }
        for sink in &tally.writes {
            self.flow(&from, sink);
        }
        for host in &tally.hosts {
            self.flow(&tally.args, &Sink::Host(host.clone()));
            if io.piped {
                self.flow(&from, &Sink::Host(host.clone()));
            }
        }
        merge(&mut from, &tally.args);
        for host in tally.hosts {
            merge(&mut from, &[Source::Host(host)]);
        }
        match spec.prints {
            Prints::All => Out::from(from),
            Prints::None => Out::silent(),
            Prints::Name => Out { from: Vec::new(), text: Some(Val::known(NAME)) },
        }
    }

    /// Goes through the arguments of a call.
    pub(super) fn arguments(
        &mut self,
        st: &mut State,
        name: &str,
        spec: &Spec,
        args: &[Val],
        io: &Io,
        tally: &mut Tally,
    ) {
        let mut operands: Vec<Val> = Vec::new();
        let mut changed: Option<Role> = None;
        let mut only_operands = spec.plain;
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            at += 1;
            self.literal(&arg.text);
            merge(&mut tally.args, &arg.from);
            let text = arg.text.as_str();
            if only_operands || text == "-" || text.is_empty() {
                operands.push(arg.clone());
                continue;
            }
            if text == "--" {
                only_operands = true;
                continue;
            }
            if arg.starts_unknown() && !spec.lenient {
                self.opaque(&format!(
                    "an argument of `{name}` {} and may be an option",
                    unknown(text)
                ));
            }
            if !text.starts_with('-') {
                operands.push(arg.clone());
                continue;
            }
            // `-name`, `--name`, `--name=value`, whole.
            let (head, attached) = match text.split_once('=') {
                Some((head, value)) => (head, Some(value)),
                None => (text, None),
            };
            let exact = spec.opts.iter().find(|o| o.names.iter().any(|n| n == head));
            let found: Vec<_> = match exact {
                Some(opt) => vec![opt],
                // Long options may be shortened as long as they are unambiguous.
                None if head.starts_with("--") && head.len() > 2 => {
                    let listed = spec.long.iter().any(|l| head.get(2..) == Some(l.as_str()));
                    if listed {
                        continue;
                    }
                    spec.opts
                        .iter()
                        .filter(|o| o.names.iter().any(|n| n.starts_with(head)))
                        .collect()
                }
                None => Vec::new(),
            };
            if !found.is_empty()
                && (head.starts_with("--") || spec.dash || head.len() == 2 || exact.is_some())
            {
                let mut took = false;
                for opt in found {
                    tally.given.extend(opt.names.first().cloned());
                    match opt.takes {
                        Takes::No => {}
                        Takes::Operands => changed = Some(opt.role),
                        Takes::Attached => {
                            if let Some(value) = attached {
                                let value = Val { text: value.to_owned(), ..arg.clone() };
                                self.role(st, name, opt.role, &value, io, tally);
                            }
                        }
                        Takes::Value => {
                            let value = match attached {
                                Some(value) => Some(Val { text: value.to_owned(), ..arg.clone() }),
                                None => {
                                    took = true;
                                    let value = args.get(at).cloned();
                                    // Of the matches of a glob only the first is the value.
                                    operands.extend(value.clone().filter(Val::spreads));
                                    value
                                }
                            };
                            if let Some(value) = value {
                                self.role(st, name, opt.role, &value, io, tally);
                            }
                        }
                    }
                }
                if took {
                    if let Some(value) = args.get(at) {
                        merge(&mut tally.args, &value.from);
                        self.literal(&value.text);
                    }
                    at += 1;
                }
                continue;
            }
            if head.starts_with("--") || spec.dash {
                let listed = spec.long.iter().any(|l| head.trim_start_matches('-') == l);
                if !listed && !spec.lenient {
                    self.opaque(&format!("the option `{}` of `{name}` is not known", show(head)));
                }
                continue;
            }
            // A cluster of short options.
            let mut rest = text.get(1..).unwrap_or("");
            while let Some(c) = rest.chars().next() {
                rest = rest.get(c.len_utf8()..).unwrap_or("");
                let short = format!("-{c}");
                let opt = spec.opts.iter().find(|o| o.names.contains(&short));
                match opt {
                    None => {
                        let listed = spec.flags.contains(c) || c.is_ascii_digit();
                        if !listed && !spec.lenient {
                            self.opaque(&format!(
                                "the option `{}` of `{name}` is not known",
                                show(&short)
                            ));
                        }
                    }
                    Some(opt) => {
                        tally.given.extend(opt.names.first().cloned());
                        match opt.takes {
                            Takes::No => {}
                            Takes::Operands => {
                                changed = Some(opt.role);
                                // `-i.bak`: the rest is a suffix.
                                rest = "";
                            }
                            Takes::Attached => {
                                if !rest.is_empty() {
                                    let value = Val { text: rest.to_owned(), ..arg.clone() };
                                    self.role(st, name, opt.role, &value, io, tally);
                                }
                                rest = "";
                            }
                            Takes::Value => {
                                let value = if rest.is_empty() {
                                    at += 1;
                                    let value = args.get(at - 1).cloned();
                                    operands.extend(value.clone().filter(Val::spreads));
                                    value
                                } else {
                                    Some(Val { text: rest.to_owned(), ..arg.clone() })
                                };
                                if let Some(value) = value {
                                    merge(&mut tally.args, &value.from);
                                    self.literal(&value.text);
                                    self.role(st, name, opt.role, &value, io, tally);
                                }
                                rest = "";
                            }
                        }
                    }
                }
            }
        }
        self.operands(st, name, spec, operands, changed, io, tally);
    }

    #[expect(clippy::too_many_arguments, reason = "continues `arguments`")]
    fn operands(
        &mut self,
        st: &mut State,
        name: &str,
        spec: &Spec,
        operands: Vec<Val>,
        changed: Option<Role>,
        io: &Io,
        tally: &mut Tally,
    ) {
        if operands.is_empty()
            && let Some(role) = spec.none
        {
            self.role(st, name, changed.unwrap_or(role), &Val::known("."), io, tally);
        }
        let count = operands.len();
        // A glob or an unknown list may stand for several operands, so that positions are
        // not known.
        let first_spread = operands.iter().position(Val::spreads);
        let spread = first_spread.is_some();
        for (n, operand) in operands.iter().enumerate() {
            let mut roles = Vec::new();
            let last = spec.last.filter(|_| n + 1 == count && (count > 1 || spread));
            match last {
                Some(role) => {
                    roles.push(role);
                    if operand.spreads() {
                        roles.extend(spec.rest);
                    }
                }
                None => {
                    let given = tally.given.iter().filter(|g| {
                        // An option that stands for the first operand (`grep -e`).
                        matches!(g.as_str(), "-e" | "-f") && !spec.first.is_empty()
                    });
                    let skip = usize::from(given.count() > 0);
                    match spec.first.get(n + skip.min(spec.first.len())) {
                        Some(role) if skip == 0 => roles.push(*role),
                        _ => roles.extend(changed.or(spec.rest)),
                    }
                    if n < spec.first.len() && first_spread.is_some_and(|at| at <= n) {
                        roles.extend(changed.or(spec.rest));
                    }
                }
            }
            for role in roles {
                self.role(st, name, role, operand, io, tally);
            }
        }
        tally.operands = operands;
    }

    /// One argument in its role.
    pub(super) fn role(
        &mut self,
        st: &mut State,
        name: &str,
        role: Role,
        value: &Val,
        io: &Io,
        tally: &mut Tally,
    ) {
        if value.text == "-" && !matches!(role, Role::Shell | Role::Code) {
            return;
        }
        match role {
            Role::Skip => {}
            Role::Opaque => {
                self.opaque(&format!("an option of `{name}` changes what it runs or reads"))
            }
            Role::Install => self.effect(Effect::Install { target: show(&value.text) }),
            Role::Code => {
                self.literal(&value.text);
                self.opaque(&format!("code for `{name}` in its arguments"));
                self.flow(&value.from, &Sink::Program(name.to_owned()));
            }
            Role::Shell => {
                let mut inner = State { args: None, ..st.clone() };
                let out = self.shell_text(&mut inner, value, io, &format!("`{name}`"));
                merge(&mut tally.reads, &out.from);
            }
            Role::Run => {
                let words: Vec<Val> = value
                    .text
                    .split_whitespace()
                    .map(|w| Val { text: w.to_owned(), ..value.clone() })
                    .collect();
                let mut inner = st.clone();
                let out = self.without_functions(&mut inner, words, io);
                merge(&mut tally.reads, &out.from);
            }
            Role::Url => self.url(value, false, &[], tally),
            Role::Host => {
                let text = value.text.rsplit('@').next().unwrap_or("");
                let (host, port) = split_port(text);
                let host = self.request(&host, port, None, true, &value.from);
                tally.hosts.push(host);
            }
            Role::Read
            | Role::Write
            | Role::ReadWrite
            | Role::Delete
            | Role::Move
            | Role::List
            | Role::Script => {
                self.file(st, name, role, value, tally);
            }
        }
    }

    fn file(&mut self, st: &State, name: &str, role: Role, value: &Val, tally: &mut Tally) {
        if value.text == "/dev/fd/63" {
            // A process substitution.
            merge(&mut tally.reads, &value.from);
            if matches!(role, Role::Script) {
                self.opaque(&format!("`{name}` runs the output of other programs"));
            }
            tally.named = true;
            return;
        }
        let what = match role {
            Role::Read | Role::Script => "a file that is read,",
            Role::List => "a folder that is listed,",
            Role::Delete => "a file that is removed,",
            _ => "a file that is written,",
        };
        if matches!(role, Role::Script) {
            self.opaque(&format!("runs the file `{}`", show(&value.text)));
        }
        for path in self.known_paths(st, value, what) {
            match role {
                Role::List => self.effect(Effect::List { path: path.clone() }),
                Role::Delete => self.effect(Effect::Delete { path: path.clone() }),
                Role::Write => self.effect(Effect::Write { path: path.clone() }),
                Role::Move => {
                    self.effect(Effect::Read { path: path.clone() });
                    self.effect(Effect::Delete { path: path.clone() });
                }
                Role::ReadWrite => {
                    self.effect(Effect::Read { path: path.clone() });
                    self.effect(Effect::Write { path: path.clone() });
                }
                _ => self.effect(Effect::Read { path: path.clone() }),
            }
            if matches!(role, Role::Write | Role::ReadWrite | Role::Delete | Role::Move) {
                super::special::written(self, &path);
            }
            if matches!(role, Role::Write | Role::ReadWrite) {
                tally.writes.push(Sink::File(path.clone()));
            }
            if matches!(role, Role::Read | Role::ReadWrite | Role::Move | Role::Script) {
                merge(&mut tally.reads, &[Source::File(path)]);
                tally.named = true;
            }
        }
    }

    /// A URL that is requested. `sent`: what goes along with it.
    pub(super) fn url(&mut self, value: &Val, sends: bool, sent: &[Source], tally: &mut Tally) {
        let text = value.text.as_str();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        if scheme.eq_ignore_ascii_case("file") {
            let file = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or(rest);
            let decoded =
                percent_encoding::percent_decode_str(file).decode_utf8_lossy().into_owned();
            let at = path::normalise("/", &decoded);
            if decoded.contains([ANY, NAME, GLOB, BELOW]) {
                self.opaque("a file URL that is not known");
            }
            self.effect(Effect::Read { path: at.clone() });
            merge(&mut tally.reads, &[Source::File(at)]);
            return;
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (host, port) = split_port(place);
        let port = port.or(match scheme.to_ascii_lowercase().as_str() {
            "https" | "wss" => Some(443),
            "http" | "ws" | "" => Some(80),
            "ftp" => Some(21),
            _ => None,
        });
        let unsure = text.contains([ANY, NAME, GLOB, BELOW]);
        let query = tail.contains('?') || !user.is_empty();
        // Braces and brackets are globs of curl's own: several hosts in one word.
        let several =
            place.contains(['{', '}']) || (place.contains('[') && !place.starts_with('['));
        let host = if several { ANY.to_string() } else { host };
        let url = if unsure { None } else { Some(clip_url(text)) };
        let mut from = value.from.clone();
        merge(&mut from, sent);
        let host = self.request(&host, port, url, sends || query || unsure, &from);
        tally.hosts.push(host);
    }
}

fn clip_url(text: &str) -> String {
    clip(text).chars().take(2048).collect()
}

/// `host:port`, `[v6]:port`.
pub(super) fn split_port(text: &str) -> (String, Option<u16>) {
    if let Some(rest) = text.strip_prefix('[')
        && let Some((host, tail)) = rest.split_once(']')
    {
        return (host.to_owned(), tail.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host.to_owned(), port.parse().ok()),
        _ => (text.to_owned(), None),
    }
}

/// Words that stand where a program would in expressions read as commands: operators, numbers,
/// variables of the text.
fn not_a_program(st: &State, name: &str) -> bool {
    matches!(name, "[[" | "]]" | "=" | "==" | "!=" | "=~")
        || (name.starts_with('-') && name.len() < 4)
        || name.bytes().all(|b| b.is_ascii_digit())
        || st.vars.contains_key(name)
        || (name.contains(['+', '*', '%', '=', '?', '!', '^', '~', ',', '-'])
            && !name.contains('/')
            && lookup(name).is_none())
}

/// Text of an argument for a reason or a target.
pub(super) fn told(value: &Val) -> String {
    show(&clip(&value.text))
}
