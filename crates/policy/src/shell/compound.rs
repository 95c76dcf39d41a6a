//! Compound commands: conditions, loops, functions, groups.

use super::Sink;
use super::ast::{Kind, List, Piece, Word};
use super::state::{Fd, State, Var};
use super::value::{Val, merge};
use super::walk::{Io, Out, Walk};

impl Walk<'_> {
    pub(super) fn compound(&mut self, st: &mut State, kind: &Kind, io: &Io) -> Out {
        match kind {
            Kind::Simple(_) => Out::default(),
            Kind::Subshell(list) => self.list(&mut st.clone(), list, io),
            Kind::Group(list) => self.list(st, list, io),
            Kind::If { arms, otherwise } => {
                let mut out: Option<Out> = None;
                let mut after: Option<State> = None;
                for (condition, body) in arms {
                    let tested = self.list(st, condition, io);
                    let mut inner = st.clone();
                    let next = tested.then(self.list(&mut inner, body, io));
                    out = Some(match out {
                        Some(out) => out.or(next),
                        None => next,
                    });
                    after = Some(match after {
                        Some(after) => after.join(self.cx, inner),
                        None => inner,
                    });
                }
                let mut last = st.clone();
                let next = match otherwise {
                    Some(body) => self.list(&mut last, body, io),
                    None => Out::silent(),
                };
                if let Some(after) = after {
                    *st = after.join(self.cx, last);
                }
                match out {
                    Some(out) => out.or(next),
                    None => next,
                }
            }
            Kind::While { condition, body } => self.repeat(st, |walk, st| {
                let tested = walk.list(st, condition, io);
                tested.then(walk.list(st, body, io))
            }),
            Kind::For { variable, words, body } => {
                let mut values = Vec::new();
                match words {
                    Some(words) => {
                        for word in words {
                            values.extend(self.fields(st, word).into_iter().flatten());
                        }
                    }
                    None => values.extend(
                        st.args
                            .clone()
                            .unwrap_or_else(|| vec![Val { many: true, ..Val::any(Vec::new()) }]),
                    ),
                }
                for value in &mut values {
                    value.many = false;
                    self.literal(&value.text);
                }
                if values.is_empty() {
                    values.push(Val::default());
                }
                if super::hazards::variable(variable, "loop") {
                    self.opaque(&format!(
                        "sets {variable}, which changes what programs run or load"
                    ));
                }
                // In turns, so that each value of a long list is looked at.
                const TURN: usize = 8;
                let turns: Vec<Vec<Val>> = values.chunks(TURN).map(<[Val]>::to_vec).collect();
                self.repeat(st, |walk, st| {
                    let mut out = Out::silent();
                    for turn in &turns {
                        st.set(variable, turn.clone());
                        out = out.then(walk.list(st, body, io));
                    }
                    Out { text: None, ..out }
                })
            }
            Kind::ForArith { expression, body } => {
                let _ = self.arithmetic(st, expression);
                self.numbers(st, expression);
                self.repeat(st, |walk, st| walk.list(st, body, io))
            }
            Kind::Case { word, arms } => {
                let value = self.one(st, word);
                let mut out = Out::silent();
                let before = st.clone();
                let mut after = before.clone();
                for (patterns, body) in arms {
                    for pattern in patterns {
                        let _ = self.one(st, pattern);
                    }
                    let mut inner = before.clone();
                    let next = self.list(&mut inner, body, io);
                    out = out.or(next);
                    after = after.join(self.cx, inner);
                }
                let _ = value;
                *st = after;
                out
            }
            Kind::Function { name, body, keyword } => {
                if *keyword {
                    // Where `function` is no keyword its body is a list of commands.
                    let _ = self.command(&mut st.clone(), body, io);
                }
                if super::hazards::variable(name, "function") {
                    self.opaque(&format!("defines {name}, which the shell calls by itself"));
                }
                st.functions.insert(name.clone(), vec![Some(std::rc::Rc::clone(body))]);
                Out::silent()
            }
            Kind::Test { words, other } => {
                let mut args = Vec::new();
                for word in words {
                    args.push(self.one(st, word));
                }
                self.test(st, &args, true);
                if let Some(other) = other {
                    self.second_reading(st, other, io);
                }
                Out::silent()
            }
            Kind::Arith { expression, other } => {
                // Before the first reading makes variables of its words.
                if let Some(other) = other {
                    self.second_reading(st, other, io);
                }
                let _ = self.arithmetic(st, expression);
                self.numbers(st, expression);
                Out::silent()
            }
            Kind::Coproc(command) => {
                let out = self.command(&mut st.clone(), command, io);
                st.fds.insert(63, Fd { from: out.from, to: vec![Sink::Program(String::new())] });
                Out::silent()
            }
        }
    }

    fn second_reading(&mut self, st: &State, list: &List, io: &Io) {
        self.other += 1;
        let mut inner = st.clone();
        let _ = self.list(&mut inner, list, io);
        self.other -= 1;
    }

    /// Whether the walk is in a reading that takes expressions for commands.
    pub(super) fn in_second_reading(&self) -> bool {
        self.other > 0
    }

    /// Variables that arithmetic assigns hold numbers.
    fn numbers(&mut self, st: &mut State, expression: &Word) {
        for piece in &expression.pieces {
            let (Piece::Quoted(text) | Piece::Bare(text)) = piece else { continue };
            for name in text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
                let may_be_set = st.vars.contains_key(name) || text.contains(['=', '+', '-']);
                if super::parse::is_name(name) && may_be_set {
                    st.set(name, vec![Val::name()]);
                }
            }
        }
    }

    /// A body that runs any number of times: looked at until what is known at its start no
    /// longer changes. Every round makes what still changes unknown, so few are needed.
    fn repeat(
        &mut self,
        st: &mut State,
        mut body: impl FnMut(&mut Self, &mut State) -> Out,
    ) -> Out {
        let mut out = Out::silent();
        for round in 0.. {
            let before = st.clone();
            let mut inner = st.clone();
            out = out.or(body(self, &mut inner));
            inner.ended = false;
            inner.cwd_failed = None;
            let joined = before.clone().join(self.cx, inner);
            if joined == before {
                break;
            }
            *st = joined;
            if round >= 1 {
                // Still changing: unknown from here on.
                let changed: Vec<String> = st
                    .vars
                    .iter()
                    .filter(|(name, var)| before.vars.get(*name) != Some(*var))
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in changed {
                    let from = match st.vars.get(&name) {
                        Some(Var::Scalar(values) | Var::Array(values)) => {
                            let mut from = Vec::new();
                            values.iter().for_each(|v| merge(&mut from, &v.from));
                            from
                        }
                        None => Vec::new(),
                    };
                    st.set(&name, vec![Val::any(from)]);
                }
                if st.cwd != before.cwd {
                    st.cwd.clear();
                }
                if st.args != before.args {
                    st.args = None;
                }
            }
            if round >= 5 {
                self.opaque("a loop changes too much to be followed");
                break;
            }
        }
        Out { text: None, ..out }
    }
}
