//! What the shell does itself.

use super::state::{State, Var};
use super::value::{NAME, Val, merge, show};
use super::walk::{Io, Out, Walk};
use super::{Sink, Source, path};
use seawall_model::Effect;

impl Walk<'_> {
    /// A builtin of bash or dash; `None` when the name is none.
    pub(super) fn builtin(
        &mut self,
        st: &mut State,
        name: &str,
        args: &[Val],
        io: &Io,
    ) -> Option<Out> {
        let first = args.first();
        Some(match name {
            ":" | "true" | "false" | "wait" | "times" | "umask" | "ulimit" | "caller" | "jobs"
            | "disown" | "bg" | "fg" | "kill" | "type" | "suspend" | "dirs" => {
                Out { from: Vec::new(), text: None }
            }
            "echo" => self.echo(args, io),
            "printf" => self.printf(st, args),
            "cd" | "chdir" => self.cd(st, args),
            "pushd" | "popd" => {
                match args.iter().find(|a| !a.text.starts_with(['-', '+'])) {
                    Some(_) if name == "pushd" => {
                        let _ = self.cd(st, args);
                    }
                    _ => {
                        st.cwd_failed = Some(st.cwd.clone());
                        st.cwd.clear();
                    }
                }
                Out::default()
            }
            "pwd" => match st.cwd.as_slice() {
                [one] => Out { from: Vec::new(), text: Some(Val::known(one)) },
                _ => Out::default(),
            },
            "exit" | "return" | "break" | "continue" | "logout" => {
                st.ended = true;
                Out::silent()
            }
            "test" | "[" => {
                self.test(st, args, false);
                Out::silent()
            }
            "eval" => {
                let text = super::expand::spaced(args);
                self.shell_text(st, &text, io, "`eval`")
            }
            "." | "source" => {
                if let Some(file) = first {
                    let paths = self.known_paths(st, file, "a sourced file");
                    for path in paths {
                        self.effect(Effect::Read { path });
                    }
                    if io.piped
                        && matches!(
                            file.text.as_str(),
                            "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0" | "/dev/fd/63"
                        )
                        && let Some(text) = &io.text
                    {
                        let text = text.clone();
                        return Some(self.shell_text(st, &text, &Io::default(), "a sourced text"));
                    }
                    self.opaque(&format!("runs what the file `{}` holds", show(&file.text)));
                    st.vars.clear();
                    st.functions.clear();
                    st.cwd.clear();
                    st.args = None;
                }
                Out::default()
            }
            "exec" => {
                let mut rest = args;
                while let Some(arg) = rest.first() {
                    let skip = match arg.text.as_str() {
                        "-c" | "-l" | "-cl" | "-lc" | "--" => 1,
                        "-a" => 2,
                        _ => break,
                    };
                    rest = rest.get(skip..).unwrap_or(&[]);
                }
                let out = self.words(st, rest.to_vec(), io);
                st.ended = true;
                out
            }
            "command" | "builtin" => {
                if name == "command"
                    && first.is_some_and(|a| matches!(a.text.as_str(), "-v" | "-V" | "-pv"))
                {
                    return Some(Out::default());
                }
                let rest: Vec<Val> = args
                    .iter()
                    .skip_while(|a| matches!(a.text.as_str(), "-p" | "--"))
                    .cloned()
                    .collect();
                self.without_functions(st, rest, io)
            }
            "export" | "declare" | "typeset" | "local" | "readonly" => {
                let mut out = Out::silent();
                let mut read_only = name == "readonly";
                for arg in args {
                    if let Some(letters) = arg.text.strip_prefix(['-', '+']) {
                        if letters.contains('n') && name != "export" {
                            self.opaque("a name reference, which is not followed");
                        }
                        if letters.contains(['i', 'l', 'u', 'c']) {
                            self.opaque("an attribute that changes what is assigned");
                        }
                        read_only |= letters.contains('r');
                        continue;
                    }
                    // What a function declares is gone when it returns.
                    if matches!(name, "declare" | "typeset" | "local") && arg.is_known() {
                        let plain = arg.text.split(['=', '+', '[']).next().unwrap_or("");
                        self.declares(st, plain, arg.text.contains('='));
                    }
                    if read_only {
                        let plain = arg.text.split(['=', '+', '[']).next().unwrap_or("");
                        st.fixed.insert(plain.to_owned());
                    }
                    if let Some((name, value)) = arg.text.split_once('=') {
                        let name = name.trim_end_matches('+');
                        self.index_runs(&Val::known(name));
                        if super::parse::is_name(name)
                            && !matches!(st.vars.get(name), Some(Var::Array(_)))
                        {
                            let value = Val { text: value.to_owned(), many: false, ..arg.clone() };
                            self.assigned(st, name, &[value]);
                        } else if !value.is_empty() {
                            self.assigned(st, name, &[Val::any(arg.from.clone())]);
                        }
                        let arithmetic =
                            args.iter().any(|a| a.text.starts_with('-') && a.text.contains('i'));
                        if arithmetic {
                            self.index_runs(&Val::known(value));
                        }
                    } else if arg.has_any() || arg.many {
                        self.opaque(&format!("`{name}` of a name that is not known"));
                    } else if super::hazards::variable(&arg.text, "exported")
                        && !matches!(arg.text.as_str(), "PATH" | "HOME")
                    {
                        self.opaque(&format!(
                            "exports {}, which changes what programs run or load",
                            arg.text
                        ));
                    }
                }
                let lists = args.is_empty()
                    || args.iter().any(|a| a.text.starts_with('-') && a.text.contains('p'));
                if lists {
                    out = Out::from(vec![Source::Env("*".into())]);
                }
                out
            }
            "set" => {
                if args.is_empty() {
                    return Some(Out::from(vec![Source::Env("*".into())]));
                }
                self.set(st, args);
                Out::silent()
            }
            "shift" => {
                let n = first.map_or(Some(1), |a| a.text.parse::<usize>().ok());
                match (n, &mut st.args) {
                    (Some(n), Some(list)) if list.iter().take(n).all(|v| !v.spreads()) => {
                        // A shift beyond the end changes nothing in bash and ends dash.
                        if n <= list.len() {
                            list.drain(..n);
                        }
                    }
                    _ => st.args = None,
                }
                Out::silent()
            }
            "unset" => {
                for arg in args {
                    self.index_runs(arg);
                    if arg.text == "-f" || arg.text == "-v" {
                        continue;
                    }
                    if arg.has_any() || arg.many {
                        self.opaque("`unset` of a name that is not known");
                    }
                    if let Some(bodies) = st.functions.get_mut(&arg.text) {
                        bodies.push(None);
                    }
                    if let Some((name, _)) = arg.text.split_once('[') {
                        if matches!(st.vars.get(name), Some(Var::Array(_))) {
                            // One element less: which is where is not known any more.
                            st.set(name, vec![Val::default()]);
                        } else {
                            st.also(self.cx, name, vec![Val::default()]);
                        }
                    } else if arg.text == "IFS" {
                        st.set("IFS", vec![Val::known(" \t\n")]);
                    } else if st.fixed.contains(&arg.text) {
                        st.also(self.cx, &arg.text, vec![Val::default()]);
                    } else {
                        st.vars.insert(arg.text.clone(), Var::Scalar(vec![Val::default()]));
                    }
                }
                Out::silent()
            }
            "read" | "mapfile" | "readarray" | "getopts" => self.read(st, name, args, io),
            "let" => {
                for arg in args {
                    self.index_runs(arg);
                    for name in arg.text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
                        if super::parse::is_name(name) {
                            if st.scalar(self.cx, name).iter().any(|v| v.text.contains(['$', '`']))
                            {
                                self.opaque("arithmetic on text that can run commands");
                            }
                            st.set(name, vec![Val::name()]);
                        }
                    }
                }
                Out::silent()
            }
            "trap" => {
                if let Some(text) = args.iter().find(|a| a.text != "--")
                    && !matches!(text.text.as_str(), "-" | "" | "-l" | "-p")
                {
                    let text = text.clone();
                    let mut inner = st.clone();
                    let _ = self.shell_text(&mut inner, &text, io, "`trap`");
                    // It may run in any folder that the shell is in later.
                    if text.text.contains(['.', '*']) || !text.text.contains('/') {
                        inner = st.clone();
                        inner.cwd.clear();
                        let _ = self.shell_text(&mut inner, &text, io, "`trap`");
                    }
                }
                Out::silent()
            }
            "alias" => {
                for arg in args {
                    if let Some((_, value)) = arg.text.split_once('=') {
                        let value = Val { text: value.to_owned(), many: false, ..arg.clone() };
                        let _ = self.shell_text(&mut st.clone(), &value, io, "an alias");
                        self.opaque("defines an alias, which can change how the rest is read");
                    }
                }
                Out::default()
            }
            "unalias" => Out::silent(),
            "shopt" => {
                for arg in args {
                    if matches!(
                        arg.text.as_str(),
                        "extglob"
                            | "expand_aliases"
                            | "lastpipe"
                            | "dotglob"
                            | "globasciiranges"
                            | "sourcepath"
                            | "checkwinsize"
                            | "globstar"
                            | "nocaseglob"
                            | "inherit_errexit"
                    ) || arg.text.starts_with('-')
                    {
                        if matches!(arg.text.as_str(), "extglob" | "expand_aliases" | "lastpipe") {
                            self.opaque(&format!(
                                "`shopt {}` changes how the rest is read",
                                arg.text
                            ));
                        }
                    } else {
                        self.opaque(&format!("`shopt {}` is not known", show(&arg.text)));
                    }
                }
                Out::default()
            }
            "hash" | "enable" | "complete" | "compgen" | "bind" | "fc" | "history" => {
                if args.is_empty() || (name == "hash" && args.iter().all(|a| a.text == "-r")) {
                    return Some(Out::default());
                }
                if name == "history" && args.iter().any(|a| matches!(a.text.as_str(), "-c" | "-d"))
                {
                    return Some(Out::silent());
                }
                self.opaque(&format!("`{name}` can load or run other code"));
                Out::default()
            }
            _ => return None,
        })
    }

    /// A declaration. Without a value the variable is empty in a function of bash and keeps its
    /// value elsewhere.
    fn declares(&mut self, st: &mut State, name: &str, assigned: bool) {
        if !super::parse::is_name(name) {
            return;
        }
        st.declared.insert(name.to_owned());
        if !assigned && !matches!(st.vars.get(name), Some(Var::Array(_))) {
            st.also(self.cx, name, vec![Val::default()]);
        }
    }

    fn echo(&mut self, args: &[Val], _io: &Io) -> Out {
        let mut shown = args;
        let mut plain = true;
        while let Some(arg) = shown.first() {
            let flags = arg.text.strip_prefix('-').unwrap_or("");
            if flags.is_empty() || !flags.chars().all(|c| "neE".contains(c)) {
                break;
            }
            plain = plain && !flags.contains('e');
            shown = shown.get(1..).unwrap_or(&[]);
        }
        let mut text = super::expand::spaced(shown);
        self.literal(&text.text);
        let from = text.from.clone();
        // dash reads backslashes in any text, bash only after `-e`.
        if !plain || text.text.contains('\\') {
            return Out { from: with_text(from, &text), text: None };
        }
        text.text.push('\n');
        Out { from, text: Some(text) }
    }

    fn printf(&mut self, st: &mut State, args: &[Val]) -> Out {
        let mut args = args;
        if args.first().is_some_and(|a| a.text == "-v") {
            if let Some(name) = args.get(1) {
                self.index_runs(name);
                let mut from = Vec::new();
                args.iter().for_each(|a| merge(&mut from, &a.from));
                if super::parse::is_name(&name.text) {
                    self.assigned(st, &name.text, &[Val::any(from)]);
                } else {
                    self.opaque("`printf -v` into a name that is not known");
                }
            }
            return Out::silent();
        }
        if args.first().is_some_and(|a| a.text == "--") {
            args = args.get(1..).unwrap_or(&[]);
        }
        let mut from = Vec::new();
        for arg in args {
            merge(&mut from, &arg.from);
            self.literal(&arg.text);
        }
        if args.first().is_some_and(|a| a.has_any() || a.many) {
            // The format may be an option.
            from.push(Source::Text(String::new()));
        }
        // Formats without anything to interpret, and the plainest with something.
        let text = match args {
            [format] if !format.text.contains(['%', '\\']) => Some(format.clone()),
            [format, rest @ ..]
                if matches!(format.text.as_str(), "%s" | "%s\\n") && !rest.is_empty() =>
            {
                let mut all = Val::default();
                for arg in rest {
                    all.push(arg);
                    if format.text.len() > 2 {
                        all.text.push('\n');
                    }
                }
                Some(all)
            }
            [format]
                if format.text.ends_with("\\n")
                    && format.text.matches(['%', '\\']).count() == 1 =>
            {
                let text = format!("{}\n", format.text.trim_end_matches("\\n"));
                Some(Val { text, ..format.clone() })
            }
            _ => None,
        };
        if text.is_none() {
            let all = super::expand::spaced(args);
            from = with_text(from, &all);
        }
        Out { from, text }
    }

    fn cd(&mut self, st: &mut State, args: &[Val]) -> Out {
        let target = args.iter().find(|a| {
            !matches!(a.text.as_str(), "-L" | "-P" | "-e" | "-@" | "--" | "-n" | "-LP" | "-Pe")
        });
        let before = st.cwd.clone();
        let next = match target {
            None => self
                .paths(st, &Val { text: self.cx.home.to_owned(), ..Val::default() })
                .filter(|_| !st.vars.contains_key("HOME")),
            Some(value) if value.text == "-" => match st.scalar(self.cx, "OLDPWD").as_slice() {
                [one] if one.is_known() => Some(vec![one.text.clone()]),
                _ => None,
            },
            Some(value) if value.text.contains([super::value::GLOB, super::value::BELOW, NAME]) => {
                // A folder below the one that is known; which one is not known.
                None
            }
            Some(value) if value.text.is_empty() && value.is_known() => Some(before.clone()),
            Some(value) => self.paths(st, value),
        };
        // CDPATH sends a plain name elsewhere.
        let cdpath = st.vars.contains_key("CDPATH") || self.cx.vars.contains_key("CDPATH");
        st.cwd = match next {
            Some(next) if !cdpath => next,
            _ => Vec::new(),
        };
        // The shell sets it again, if it could go there.
        if st.vars.contains_key("PWD") {
            let now = match st.cwd.as_slice() {
                [] => vec![Val::any(Vec::new())],
                all => all.iter().map(Val::known).collect(),
            };
            st.also(self.cx, "PWD", now);
        }
        st.cwd_failed = Some(before.clone());
        st.set("OLDPWD", before.iter().map(Val::known).collect());
        if before.is_empty() {
            st.set("OLDPWD", vec![Val::any(Vec::new())]);
        }
        Out::silent()
    }

    fn set(&mut self, st: &mut State, args: &[Val]) {
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            if arg.starts_unknown() || arg.text.is_empty() {
                // It may be an option, and then it is none of the parameters.
                st.args = None;
                return;
            }
            match arg.text.as_str() {
                "--" => {
                    st.args = Some(args.get(at + 1..).unwrap_or(&[]).to_vec());
                    return;
                }
                "-o" | "+o" => at += 1,
                text if text.starts_with(['-', '+']) => {
                    if text.starts_with('-') && text.contains('e') {
                        st.errexit = true;
                    }
                    if text.starts_with('+') {
                        st.errexit = false;
                    }
                    // `set -euo pipefail`
                    if text.ends_with('o') {
                        at += 1;
                    }
                    if text.contains('x') {
                        let hooked = st.scalar(self.cx, "PS4");
                        if hooked.iter().any(|v| v.text.contains(['$', '`']) && v.is_known()) {
                            self.opaque("tracing with a prompt that runs commands");
                        }
                    }
                }
                _ => {
                    st.args = Some(args.get(at..).unwrap_or(&[]).to_vec());
                    return;
                }
            }
            at += 1;
        }
    }

    fn read(&mut self, st: &mut State, name: &str, args: &[Val], io: &Io) -> Out {
        let from = io.sources();
        let mut at = 0;
        let mut names = Vec::new();
        let mut array = name != "read" && name != "getopts";
        while let Some(arg) = args.get(at) {
            at += 1;
            match arg.text.as_str() {
                "-C" => self.opaque("`mapfile -C` runs a callback"),
                "-a" if name == "read" => array = true,
                "-u" | "-d" | "-n" | "-N" | "-p" | "-t" | "-i" | "-O" | "-s" | "-c" => {
                    // Values of options are texts and numbers.
                    if !matches!(arg.text.as_str(), "-s") {
                        if arg.text == "-u" {
                            let fds: Vec<_> = st.fds.values().cloned().collect();
                            for fd in fds {
                                for sink in fd.from {
                                    names.push(Val { from: vec![sink], ..Val::default() });
                                }
                            }
                        }
                        at += 1;
                    }
                }
                text if text.starts_with('-') => {
                    if text.len() > 2 && text.ends_with(['u', 'd', 'n', 'N', 'p', 't', 'i']) {
                        at += 1;
                    }
                }
                _ => names.push(arg.clone()),
            }
        }
        let mut all = from;
        for name in &names {
            if name.text.is_empty() {
                merge(&mut all, &name.from);
            }
        }
        if names.iter().all(|n| n.text.is_empty()) {
            names.push(Val::known(if array { "MAPFILE" } else { "REPLY" }));
        }
        for variable in names.iter().filter(|n| !n.text.is_empty()) {
            self.index_runs(variable);
            let variable = variable.text.as_str();
            if !super::parse::is_name(variable) && name != "getopts" {
                self.opaque("reads into a name that is not known");
                continue;
            }
            if super::hazards::variable(variable, "read") {
                self.opaque(&format!("sets {variable}, which changes what programs run or load"));
            }
            // The only line of a known text is known, too.
            let line = io.text.as_ref().filter(|t| {
                name == "read"
                    && names.len() == 1
                    && t.is_known()
                    && !t.text.contains('\\')
                    && t.text.trim_end_matches('\n').lines().count() <= 1
                    && !array
            });
            let value = match line {
                Some(text) => {
                    Val { text: text.text.trim().to_owned(), from: all.clone(), many: false }
                }
                None => Val::any(all.clone()),
            };
            if array {
                let value = Val { many: true, ..Val::any(all.clone()) };
                st.vars.insert(variable.to_owned(), Var::Array(vec![value]));
            } else {
                // At the end of input the variable is empty.
                st.set(variable, vec![value, Val::default()]);
                if line.is_none() {
                    st.set(variable, vec![Val::any(all.clone())]);
                }
            }
        }
        Out::silent()
    }

    /// `test`, `[` and `[[`: looks at files, and evaluates numbers.
    pub(super) fn test(&mut self, st: &State, args: &[Val], extended: bool) {
        for (at, arg) in args.iter().enumerate() {
            let text = arg.text.as_str();
            let next = args.get(at + 1);
            match text {
                "-a" | "-e" | "-f" | "-d" | "-h" | "-L" | "-s" | "-r" | "-w" | "-x" | "-b"
                | "-c" | "-g" | "-k" | "-p" | "-u" | "-G" | "-N" | "-O" | "-S" => {
                    if let Some(paths) = next.and_then(|value| self.paths(st, value)) {
                        for path in paths {
                            self.effect(Effect::List { path });
                        }
                    }
                }
                "-v" | "-R" => {
                    if let Some(value) = next {
                        self.index_runs(&value.clone());
                    }
                }
                "-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge" if extended => {
                    let before = at.checked_sub(1).and_then(|at| args.get(at));
                    for value in [before, next].into_iter().flatten() {
                        let _ = self.evaluated(&mut st.clone(), value);
                    }
                }
                _ => {}
            }
        }
    }

    /// A link that the text makes, for the paths that go through it later.
    pub(super) fn link(&mut self, st: &mut State, link: String, target: &str) {
        if st.links.len() >= 64 {
            self.opaque("makes more links than are followed");
            return;
        }
        let absolute = path::normalise(path::parent(&link), target);
        self.effect(Effect::Read { path: absolute.clone() });
        self.flow(&[Source::File(absolute.clone())], &Sink::File(link.clone()));
        st.links.push((link, absolute));
    }
}

fn with_text(mut from: Vec<Source>, text: &Val) -> Vec<Source> {
    if text.text.len() > 3 {
        merge(&mut from, &[Source::Text(super::walk::clip(&text.text))]);
    }
    from
}
