//! What the analysis knows about the shell at one point of the text.

use super::ast::Command;
use super::value::{Val, merge};
use super::{ShellContext, Sink, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A variable.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Var {
    /// One of these values.
    Scalar(Vec<Val>),
    /// These elements.
    Array(Vec<Val>),
}

/// An open descriptor above the standard ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fd {
    pub from: Vec<Source>,
    pub to: Vec<Sink>,
}

/// The state of a shell. Cheap to clone while little is set.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// Possible working directories; empty when unknown.
    pub cwd: Vec<String>,
    /// Where the shell is instead if the last command failed (`cd`).
    pub cwd_failed: Option<Vec<String>>,
    pub vars: BTreeMap<String, Var>,
    /// Variables that the function declared, which are its own.
    pub declared: BTreeSet<String>,
    /// Read-only variables.
    pub fixed: BTreeSet<String>,
    /// Possible bodies; `None` among them when the name may also be an ordinary command.
    pub functions: BTreeMap<String, Vec<Option<Rc<Command>>>>,
    /// `$0`, where it was given.
    pub name: Option<Val>,
    /// Positional parameters; `None` when unknown.
    pub args: Option<Vec<Val>>,
    pub fds: BTreeMap<u32, Fd>,
    /// Where standard output goes since an `exec >`.
    pub stdout: Vec<Sink>,
    /// Symbolic links that the text made: link, target.
    pub links: Vec<(String, String)>,
    /// The last command ended the shell, the function or the loop.
    pub ended: bool,
    /// `set -e`.
    pub errexit: bool,
}

/// Variables that the shell gives numbers whatever is assigned to them.
const OWN: &[&str] = &[
    "RANDOM",
    "SRANDOM",
    "SECONDS",
    "LINENO",
    "UID",
    "EUID",
    "PPID",
    "BASHPID",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
];

/// Beyond this many alternatives a value is unknown.
const ALTERNATIVES: usize = 8;

impl State {
    pub(super) fn new(cx: &ShellContext<'_>) -> Self {
        Self {
            cwd: if cx.cwd.starts_with('/') {
                vec![super::path::normalise("/", cx.cwd)]
            } else {
                Vec::new()
            },
            args: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// The possible values of a variable.
    pub(super) fn scalar(&self, cx: &ShellContext<'_>, name: &str) -> Vec<Val> {
        match self.vars.get(name) {
            Some(Var::Scalar(values)) => return values.clone(),
            Some(Var::Array(values)) => {
                return vec![values.first().cloned().unwrap_or_default()];
            }
            None => {}
        }
        match name {
            "PWD" => {
                if self.cwd.is_empty() {
                    return vec![Val::any(Vec::new())];
                }
                return self.cwd.iter().map(Val::known).collect();
            }
            "HOME" if cx.home.starts_with('/') => return vec![Val::known(cx.home)],
            "HOSTNAME" | "SHLVL" | "OSTYPE" | "HOSTTYPE" | "MACHTYPE" | "BASH_VERSION"
            | "OPTIND" | "COLUMNS" | "LINES" | "USER" | "LOGNAME" => {
                return vec![Val::name()];
            }
            own if OWN.contains(&own) => return vec![Val::name()],
            "IFS" => return vec![Val::known(" \t\n")],
            _ => {}
        }
        match cx.vars.get(name) {
            Some(value) => {
                vec![Val { from: vec![Source::Env(name.to_owned())], ..Val::known(value) }]
            }
            None => vec![Val::any(vec![Source::Env(name.to_owned())])],
        }
    }

    pub(super) fn set(&mut self, name: &str, mut values: Vec<Val>) {
        // The other elements stay.
        if let Some(Var::Array(old)) = self.vars.get(name) {
            let mut from = Vec::new();
            old.iter().chain(&values).for_each(|v| merge(&mut from, &v.from));
            let list = vec![Val { many: true, ..Val::any(from) }];
            self.vars.insert(name.to_owned(), Var::Array(list));
            return;
        }
        // Such an assignment may have no effect.
        if self.fixed.contains(name)
            && let Some(Var::Scalar(old)) = self.vars.get(name)
        {
            values.extend(old.iter().cloned());
        }
        if OWN.contains(&name) {
            values.push(Val::name());
        }
        values.dedup();
        if values.len() > ALTERNATIVES {
            let mut from = Vec::new();
            for value in &values {
                merge(&mut from, &value.from);
            }
            values = vec![Val::any(from)];
        }
        self.vars.insert(name.to_owned(), Var::Scalar(values));
    }

    /// Adds values that a variable may have, too.
    pub(super) fn also(&mut self, cx: &ShellContext<'_>, name: &str, more: Vec<Val>) {
        let mut values = self.scalar(cx, name);
        for value in more {
            if !values.contains(&value) {
                values.push(value);
            }
        }
        self.set(name, values);
    }

    /// The shell after either of two ways.
    pub(super) fn join(mut self, cx: &ShellContext<'_>, other: State) -> State {
        if self == other {
            return self;
        }
        match (self.ended, other.ended) {
            (true, false) => return other,
            (false, true) => return self,
            _ => {}
        }
        self.cwd = join_cwd(std::mem::take(&mut self.cwd), &other.cwd);
        self.cwd_failed = None;
        let names: Vec<String> = self.vars.keys().chain(other.vars.keys()).cloned().collect();
        for name in names {
            if self.vars.get(&name) == other.vars.get(&name) {
                continue;
            }
            let scalar = |state: &State| match state.vars.get(&name) {
                Some(Var::Array(_)) => None,
                _ => Some(state.scalar(cx, &name)),
            };
            let joined = match (scalar(&self), scalar(&other)) {
                (Some(mut a), Some(b)) => {
                    for value in b {
                        if !a.contains(&value) {
                            a.push(value);
                        }
                    }
                    self.set(&name, a);
                    continue;
                }
                _ => Var::Array(vec![Val { many: true, ..Val::any(Vec::new()) }]),
            };
            self.vars.insert(name, joined);
        }
        let names: Vec<String> =
            self.functions.keys().chain(other.functions.keys()).cloned().collect();
        for name in names {
            let mut bodies = self.functions.get(&name).cloned().unwrap_or_else(|| vec![None]);
            for body in other.functions.get(&name).cloned().unwrap_or_else(|| vec![None]) {
                if !bodies.contains(&body) && bodies.len() < 4 * ALTERNATIVES {
                    bodies.push(body);
                }
            }
            self.functions.insert(name, bodies);
        }
        self.fixed.extend(other.fixed);
        self.declared.extend(other.declared);
        if self.name != other.name {
            self.name = Some(Val::any(Vec::new()));
        }
        if self.args != other.args {
            self.args = None;
        }
        for (fd, theirs) in other.fds {
            let mine = self.fds.entry(fd).or_default();
            merge(&mut mine.from, &theirs.from);
            for sink in theirs.to {
                if !mine.to.contains(&sink) {
                    mine.to.push(sink);
                }
            }
        }
        for sink in other.stdout {
            if !self.stdout.contains(&sink) {
                self.stdout.push(sink);
            }
        }
        for link in other.links {
            if !self.links.contains(&link) {
                self.links.push(link);
            }
        }
        self
    }
}

/// Either of two sets of folders; unknown when one is.
pub(super) fn join_cwd(mut a: Vec<String>, b: &[String]) -> Vec<String> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    for folder in b {
        if !a.contains(folder) {
            a.push(folder.clone());
        }
    }
    if a.len() > ALTERNATIVES { Vec::new() } else { a }
}
